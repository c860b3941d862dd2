//===- Vocabulary.cpp - Tokens and their ids ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/Vocabulary.h"
#include "runtime/Support/Text.h"

#include <algorithm>

using namespace clade::rt;

StatusOr<Vocabulary>
Vocabulary::create(std::vector<std::pair<std::string, int64_t>> entries,
                   bool allowRepeats) {
  int64_t limit = 0;
  for (const auto &[token, id] : entries) {
    if (id < 0 || id > maxTokenId)
      return Status::corruption("token " + quoteName(token) + " has id " +
                                std::to_string(id) + ", expected at most " +
                                std::to_string(maxTokenId));
    limit = std::max(limit, id + 1);
  }
  Vocabulary result;
  result.tokens.resize(limit);
  result.present.resize(limit);
  for (auto &[token, id] : entries) {
    if (result.present[id])
      return Status::corruption("tokens " + quoteName(result.tokens[id]) +
                                " and " + quoteName(token) +
                                " have the same id " + std::to_string(id));
    result.present[id] = true;
    result.tokens[id] = std::move(token);
  }
  result.ids.reserve(entries.size());
  for (const auto &[moved, id] : entries) {
    const std::string &token = result.tokens[id];
    result.longest = std::max(result.longest, token.size());
    auto [slot, isNew] = result.ids.emplace(token, static_cast<int32_t>(id));
    if (isNew)
      continue;
    if (!allowRepeats)
      return Status::corruption("token " + quoteName(token) + " has two ids, " +
                                std::to_string(slot->second) + " and " +
                                std::to_string(id));
    slot->second = static_cast<int32_t>(id);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// ByteTrie
//===----------------------------------------------------------------------===//

ByteTrie::ByteTrie(std::vector<Entry> entries) {
  std::sort(entries.begin(), entries.end());
  nodes.emplace_back();
  // Breadth first, so that the children of a node lie together. A range is the
  // entries below a node: begin, end, depth; ranges[i] belongs to nodes[i].
  std::vector<std::array<size_t, 3>> ranges = {{0, entries.size(), 0}};
  for (size_t node = 0; node < nodes.size(); ++node) {
    auto [begin, end, depth] = ranges[node];
    addChildren(static_cast<uint32_t>(node), entries, begin, end, depth,
                ranges);
  }
  for (uint32_t i = 0; i < nodes[0].numChildren; ++i)
    rootChildren[nodes[nodes[0].firstChild + i].label] =
        nodes[0].firstChild + i;
}

void ByteTrie::addChildren(uint32_t node, const std::vector<Entry> &entries,
                           size_t begin, size_t end, size_t depth,
                           std::vector<std::array<size_t, 3>> &ranges) {
  // Entries that end here sort before those that go on.
  while (begin < end && entries[begin].first.size() == depth) {
    if (nodes[node].value < 0)
      nodes[node].value = entries[begin].second;
    ++begin;
  }
  nodes[node].firstChild = static_cast<uint32_t>(nodes.size());
  while (begin < end) {
    char label = entries[begin].first[depth];
    size_t next = begin;
    while (next < end && entries[next].first[depth] == label)
      ++next;
    Node child;
    child.label = static_cast<unsigned char>(label);
    nodes.push_back(child);
    ranges.push_back({begin, next, depth + 1});
    ++nodes[node].numChildren;
    begin = next;
  }
}

uint32_t ByteTrie::child(uint32_t node, unsigned char label) const {
  if (node == 0)
    return rootChildren[label];
  const Node *first = nodes.data() + nodes[node].firstChild;
  const Node *end = first + nodes[node].numChildren;
  const Node *found =
      std::lower_bound(first, end, label, [](const Node &n, unsigned char l) {
        return n.label < l;
      });
  if (found == end || found->label != label)
    return 0;
  return static_cast<uint32_t>(found - nodes.data());
}

//===----------------------------------------------------------------------===//
// Byte tokens
//===----------------------------------------------------------------------===//

ByteTokens::ByteTokens(const Vocabulary &vocabulary) {
  static const char digits[] = "0123456789ABCDEF";
  for (int byte = 0; byte < 256; ++byte) {
    std::string token =
        std::string("<0x") + digits[byte >> 4] + digits[byte & 15] + ">";
    ids[byte] = vocabulary.id(token).value_or(-1);
  }
}

bool ByteTokens::append(std::string_view text,
                        std::vector<int32_t> &out) const {
  for (char byte : text)
    if (ids[static_cast<unsigned char>(byte)] < 0)
      return false;
  for (char byte : text)
    out.push_back(ids[static_cast<unsigned char>(byte)]);
  return true;
}

std::optional<unsigned char> clade::rt::parseByteToken(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>')
    return std::nullopt;
  int value = 0;
  for (char digit : token.substr(3, 2)) {
    int nibble = digit >= '0' && digit <= '9'   ? digit - '0'
                 : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                 : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                                                : -1;
    if (nibble < 0)
      return std::nullopt;
    value = value * 16 + nibble;
  }
  return static_cast<unsigned char>(value);
}
