//===- AddedTokens.h - Tokens that are found in the text first --*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Added tokens, special ones among them, are cut out of the text before the
// rest of it is split: those that are not normalized from the text as given,
// the others from the normalized text.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_ADDEDTOKENS_H
#define CLADE_RUNTIME_TOKENIZER_ADDEDTOKENS_H

#include "runtime/Support/Status.h"
#include "runtime/Tokenizer/JsonFile.h"
#include "runtime/Tokenizer/Normalizer.h"
#include "runtime/Tokenizer/Pieces.h"
#include "runtime/Tokenizer/Vocabulary.h"

#include <deque>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace clade::rt {

/// A token that was added to a model's vocabulary.
struct AddedToken {
  std::string content;
  int32_t id = 0;
  /// Whether word characters next to it make it no match.
  bool singleWord = false;
  /// Whether it takes the white space before or after it along.
  bool lstrip = false;
  bool rstrip = false;
  /// Whether it is looked for in the normalized text.
  bool normalized = false;
  /// Whether decoding can leave it out.
  bool special = false;

  static StatusOr<AddedToken> parse(const JsonView &json);
};

/// All added tokens of a tokenizer.
class AddedTokens {
public:
  AddedTokens() = default;

  /// Takes the tokens; `normalizer` may be null. Corruption when an id is not
  /// the one that the vocabulary gives, or belongs to another token.
  static StatusOr<AddedTokens> create(std::vector<AddedToken> tokens,
                                      const Vocabulary &vocabulary,
                                      const Normalizer *normalizer);

  /// Cuts the tokens that are not normalized out of all texts in `pieces`.
  Status splitOriginal(Pieces &pieces) const {
    return splitAll(pieces, original);
  }
  /// Cuts the others out of the normalized texts.
  Status splitNormalized(Pieces &pieces) const {
    return splitAll(pieces, normalized);
  }

  std::optional<int32_t> id(std::string_view content) const;
  /// The text that decoding starts from (the normalized content), or null.
  const std::string *token(int32_t id) const;
  /// Whether `token`, a text to decode, is that of a special token.
  bool isSpecial(const std::string &token) const {
    return specialContents.contains(token);
  }
  /// One more than the highest id, 0 without tokens.
  int32_t idLimit() const { return limit; }

private:
  Status splitAll(Pieces &pieces, const ByteTrie &trie) const;
  void splitPiece(const Piece &piece, const ByteTrie &trie,
                  std::vector<Piece> &out) const;

  std::vector<AddedToken> list;
  /// The texts that the trees below refer to and decoding starts from.
  std::deque<std::string> texts;
  std::unordered_map<int32_t, size_t> byId;
  std::unordered_map<std::string, int32_t> byContent;
  std::unordered_set<std::string> specialContents;
  /// Values are indices into `list`.
  ByteTrie original, normalized;
  int32_t limit = 0;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_ADDEDTOKENS_H
