//===- Vocabulary.h - Tokens and their ids ----------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The two-way table between tokens and ids, and the search trees over tokens
// that the models use. All are built once and then only read.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_VOCABULARY_H
#define CLADE_RUNTIME_TOKENIZER_VOCABULARY_H

#include "runtime/Support/Status.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace clade::rt {

/// Ids at or above this are refused: they would only come from a damaged file,
/// and tables are indexed by id.
inline constexpr int64_t maxTokenId = (1 << 24) - 1;

/// Tokens by id and ids by token. Ids may have gaps.
class Vocabulary {
public:
  /// Corruption when an id is out of range or two tokens share one. A token
  /// that appears twice is an error too, unless `allowRepeats`: then its last
  /// id is the one it encodes to.
  static StatusOr<Vocabulary>
  create(std::vector<std::pair<std::string, int64_t>> entries,
         bool allowRepeats = false);

  Vocabulary() = default;
  Vocabulary(Vocabulary &&) = default;
  Vocabulary &operator=(Vocabulary &&) = default;

  std::optional<int32_t> id(std::string_view token) const {
    auto found = ids.find(token);
    if (found == ids.end())
      return std::nullopt;
    return found->second;
  }
  /// The token of an id; null for an id that has none.
  const std::string *token(int64_t id) const {
    if (id < 0 || id >= static_cast<int64_t>(tokens.size()) || !present[id])
      return nullptr;
    return &tokens[id];
  }
  /// One more than the highest id.
  int32_t idLimit() const { return static_cast<int32_t>(tokens.size()); }
  /// The number of tokens, which gaps make smaller than idLimit().
  size_t size() const { return ids.size(); }
  /// The length in bytes of the longest token.
  size_t longestToken() const { return longest; }

private:
  std::vector<std::string> tokens;
  std::vector<bool> present;
  std::unordered_map<std::string_view, int32_t> ids;
  size_t longest = 0;
};

/// A prefix tree over byte strings, each with a value (the lowest for a string
/// counts). Nodes' children lie together, sorted.
class ByteTrie {
public:
  using Entry = std::pair<std::string_view, int32_t>;

  ByteTrie() = default;
  explicit ByteTrie(std::vector<Entry> entries);

  /// Calls `visit(length, value)` for each string that `text` starts with,
  /// shortest first. The empty string never matches.
  template <typename Visit>
  void forEachPrefix(std::string_view text, Visit &&visit) const {
    uint32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      node = child(node, static_cast<unsigned char>(text[i]));
      if (node == 0)
        return;
      if (nodes[node].value >= 0)
        visit(i + 1, nodes[node].value);
    }
  }

  bool empty() const { return nodes.size() <= 1; }

private:
  struct Node {
    uint32_t firstChild = 0;
    uint16_t numChildren = 0;
    unsigned char label = 0;
    int32_t value = -1;
  };

  /// The child for a byte, or 0 (the root, which is nobody's child).
  uint32_t child(uint32_t node, unsigned char label) const;
  void addChildren(uint32_t node, const std::vector<Entry> &entries,
                   size_t begin, size_t end, size_t depth,
                   std::vector<std::array<size_t, 3>> &ranges);

  std::vector<Node> nodes;
  std::array<uint32_t, 256> rootChildren{};
};

/// The ids of the tokens "<0x00>" to "<0xFF>", where a vocabulary has them.
class ByteTokens {
public:
  ByteTokens() { ids.fill(-1); }
  explicit ByteTokens(const Vocabulary &vocabulary);

  /// The id for a byte, or -1.
  int32_t operator[](unsigned char byte) const { return ids[byte]; }

  /// Appends the ids for the bytes of `text`; false, with nothing appended,
  /// when one is missing.
  bool append(std::string_view text, std::vector<int32_t> &out) const;

private:
  std::array<int32_t, 256> ids;
};

/// The byte of a token of the form "<0xHH>", or nothing.
std::optional<unsigned char> parseByteToken(std::string_view token);

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_VOCABULARY_H
