//===- BPE.cpp - Byte pair encoding ---------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A word starts as its characters; neighbours merge in the order of the merges'
// ranks, from left to right among equals. A heap of possible merges keeps this
// at O(n log n) for a word of any length, since some tokenizers (Gemma's) hand
// over a whole text as one word.
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/Text.h"
#include "runtime/Tokenizer/MergeTable.h"
#include "runtime/Tokenizer/Model.h"
#include "runtime/Tokenizer/Unicode.h"

#include <algorithm>

using namespace clade::rt;

namespace {

/// A token of a word under construction, in a doubly linked list.
struct Symbol {
  int32_t id;
  int32_t previous;
  int32_t next;
  bool isRemoved;
};

/// A merge that was possible when it was found.
struct Candidate {
  int32_t rank;
  int32_t position;
  int32_t result;

  /// Heaps keep the largest on top: the lowest rank, then the leftmost.
  bool operator<(const Candidate &other) const {
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};

/// Scratch space of one thread, kept between words.
struct Workspace {
  std::vector<int32_t> ids;
  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;
};

class BPEModel : public Model {
public:
  BPEModel(Vocabulary vocabulary, MergeTable merges, BPEOptions options)
      : Model(std::move(vocabulary)), merges(std::move(merges)),
        options(std::move(options)), byteTokens(tokens) {
    if (this->options.unknownToken)
      unknownId = tokens.id(*this->options.unknownToken);
  }

  Status encode(std::string_view text,
                std::vector<int32_t> &ids) const override;

private:
  Status splitCharacters(std::string_view text,
                         std::vector<int32_t> &ids) const;
  std::string_view decorate(std::string_view character, bool isFirst,
                            bool isLast, std::string &buffer) const;
  void mergeAll(Workspace &space) const;
  void addCandidate(Workspace &space, int32_t position) const;

  MergeTable merges;
  BPEOptions options;
  ByteTokens byteTokens;
  std::optional<int32_t> unknownId;
};

} // namespace

Status BPEModel::encode(std::string_view text,
                        std::vector<int32_t> &ids) const {
  if (options.ignoreMerges)
    if (std::optional<int32_t> id = tokens.id(text)) {
      ids.push_back(*id);
      return Status();
    }
  static thread_local Workspace space;
  space.ids.clear();
  CLADE_RETURN_IF_ERROR(splitCharacters(text, space.ids));
  mergeAll(space);
  ids.insert(ids.end(), space.ids.begin(), space.ids.end());
  return Status();
}

/// A character with the prefix or suffix that its place in the word asks for.
std::string_view BPEModel::decorate(std::string_view character, bool isFirst,
                                    bool isLast, std::string &buffer) const {
  bool addsPrefix = !isFirst && !options.continuingSubwordPrefix.empty();
  bool addsSuffix = isLast && !options.endOfWordSuffix.empty();
  if (!addsPrefix && !addsSuffix)
    return character;
  buffer.clear();
  if (addsPrefix)
    buffer += options.continuingSubwordPrefix;
  buffer += character;
  if (addsSuffix)
    buffer += options.endOfWordSuffix;
  return buffer;
}

/// The ids of the characters. Unknown characters become their bytes' tokens, or
/// the unknown token (one for a run, if so configured), or nothing.
Status BPEModel::splitCharacters(std::string_view text,
                                 std::vector<int32_t> &ids) const {
  bool hasPendingUnknown = false;
  auto flushUnknown = [&] {
    if (hasPendingUnknown)
      ids.push_back(*unknownId);
    hasPendingUnknown = false;
  };
  std::string buffer;
  for (size_t position = 0; position < text.size();) {
    uint32_t length = characterLength(text[position]);
    std::string_view character =
        decorate(text.substr(position, length), position == 0,
                 position + length == text.size(), buffer);
    position += length;
    if (std::optional<int32_t> id = tokens.id(character)) {
      flushUnknown();
      ids.push_back(*id);
      continue;
    }
    // Bytes do not wait for an unknown token before them; the library's order.
    if (options.byteFallback && byteTokens.append(character, ids))
      continue;
    if (!options.unknownToken)
      continue;
    if (!unknownId)
      return Status::invalidArgument(
          "the text has the unknown character " + quoteName(character) +
          ", and the vocabulary lacks the unknown token " +
          quoteName(*options.unknownToken));
    if (!options.fuseUnknown)
      flushUnknown();
    hasPendingUnknown = true;
  }
  flushUnknown();
  return Status();
}

/// Adds the merge of the symbol at `position` with the next one, if any.
void BPEModel::addCandidate(Workspace &space, int32_t position) const {
  const Symbol &left = space.symbols[position];
  if (left.next < 0)
    return;
  const MergeTable::Entry *merge =
      merges.find(left.id, space.symbols[left.next].id);
  if (!merge)
    return;
  space.heap.push_back({merge->rank, position, merge->result});
}

/// Merges `space.ids` in place.
void BPEModel::mergeAll(Workspace &space) const {
  auto count = static_cast<int32_t>(space.ids.size());
  if (count < 2)
    return;
  space.symbols.clear();
  for (int32_t i = 0; i < count; ++i)
    space.symbols.push_back(
        {space.ids[i], i - 1, i + 1 < count ? i + 1 : -1, false});
  space.heap.clear();
  for (int32_t i = 0; i < count; ++i)
    addCandidate(space, i);
  std::make_heap(space.heap.begin(), space.heap.end());

  while (!space.heap.empty()) {
    std::pop_heap(space.heap.begin(), space.heap.end());
    Candidate top = space.heap.back();
    space.heap.pop_back();
    Symbol &left = space.symbols[top.position];
    if (left.isRemoved || left.next < 0)
      continue;
    // The pair may have changed since; then this candidate is void.
    Symbol &right = space.symbols[left.next];
    const MergeTable::Entry *merge = merges.find(left.id, right.id);
    if (!merge || merge->result != top.result)
      continue;
    left.id = top.result;
    right.isRemoved = true;
    left.next = right.next;
    if (right.next >= 0)
      space.symbols[right.next].previous = top.position;
    for (int32_t position : {left.previous, top.position}) {
      size_t oldSize = space.heap.size();
      if (position >= 0)
        addCandidate(space, position);
      if (space.heap.size() > oldSize)
        std::push_heap(space.heap.begin(), space.heap.end());
    }
  }
  space.ids.clear();
  for (int32_t i = 0; i >= 0; i = space.symbols[i].next)
    space.ids.push_back(space.symbols[i].id);
}

StatusOr<std::unique_ptr<Model>>
clade::rt::createBPE(Vocabulary vocabulary, const std::vector<Merge> &merges,
                     BPEOptions options) {
  MergeTable table(merges.size());
  size_t prefixLength = options.continuingSubwordPrefix.size();
  std::string merged;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto &[left, right] = merges[rank];
    auto missing = [&](const std::string &token) {
      return Status::corruption("merge " + std::to_string(rank) + " (" +
                                quoteName(left) + " and " + quoteName(right) +
                                "): token " + quoteName(token) +
                                " is not in the vocabulary");
    };
    std::optional<int32_t> leftId = vocabulary.id(left);
    std::optional<int32_t> rightId = vocabulary.id(right);
    if (!leftId)
      return missing(left);
    if (!rightId)
      return missing(right);
    merged = left;
    merged.append(right, std::min(prefixLength, right.size()));
    std::optional<int32_t> result = vocabulary.id(merged);
    if (!result)
      return missing(merged);
    table.insert(*leftId, *rightId, static_cast<int32_t>(rank), *result);
  }
  return std::unique_ptr<Model>(new BPEModel(
      std::move(vocabulary), std::move(table), std::move(options)));
}
