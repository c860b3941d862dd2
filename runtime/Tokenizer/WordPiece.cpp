//===- WordPiece.cpp - The longest token first ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/Text.h"
#include "runtime/Tokenizer/Model.h"
#include "runtime/Tokenizer/Unicode.h"

#include <algorithm>

using namespace clade::rt;

namespace {

class WordPieceModel : public Model {
public:
  WordPieceModel(Vocabulary vocabulary, int32_t unknownId, std::string prefix,
                 uint64_t maxCharacters)
      : Model(std::move(vocabulary)), unknownId(unknownId),
        prefix(std::move(prefix)), maxCharacters(maxCharacters) {}

  Status encode(std::string_view text,
                std::vector<int32_t> &ids) const override;

private:
  /// The longest token at `start`; its end and its id.
  std::optional<std::pair<size_t, int32_t>>
  longestToken(std::string_view text, size_t start, std::string &buffer) const;

  int32_t unknownId;
  std::string prefix;
  uint64_t maxCharacters;
};

} // namespace

std::optional<std::pair<size_t, int32_t>>
WordPieceModel::longestToken(std::string_view text, size_t start,
                             std::string &buffer) const {
  // No token is longer than the longest; this bounds the work per position.
  size_t end = std::min(text.size(), start + tokens.longestToken());
  while (end < text.size() && end > start && isContinuationByte(text[end]))
    --end;
  for (; end > start; end = previousCharacter(text, end)) {
    std::string_view part = text.substr(start, end - start);
    if (start > 0) {
      buffer = prefix;
      buffer += part;
      part = buffer;
    }
    if (std::optional<int32_t> id = tokens.id(part))
      return std::make_pair(end, *id);
  }
  return std::nullopt;
}

Status WordPieceModel::encode(std::string_view text,
                              std::vector<int32_t> &ids) const {
  size_t oldSize = ids.size();
  auto characters = static_cast<uint64_t>(
      std::count_if(text.begin(), text.end(),
                    [](char byte) { return !isContinuationByte(byte); }));
  std::string buffer;
  bool isKnown = characters <= maxCharacters;
  for (size_t start = 0; isKnown && start < text.size();) {
    auto token = longestToken(text, start, buffer);
    isKnown = token.has_value();
    if (!isKnown)
      break;
    ids.push_back(token->second);
    start = token->first;
  }
  // A word that tokens do not cover is unknown as a whole.
  if (!isKnown) {
    ids.resize(oldSize);
    ids.push_back(unknownId);
  }
  return Status();
}

StatusOr<std::unique_ptr<Model>>
clade::rt::createWordPiece(Vocabulary vocabulary,
                           const std::string &unknownToken, std::string prefix,
                           uint64_t maxCharactersPerWord) {
  std::optional<int32_t> unknownId = vocabulary.id(unknownToken);
  if (!unknownId)
    return Status::corruption("the unknown token " + quoteName(unknownToken) +
                              " is not in the vocabulary");
  return std::unique_ptr<Model>(
      new WordPieceModel(std::move(vocabulary), *unknownId, std::move(prefix),
                         maxCharactersPerWord));
}
