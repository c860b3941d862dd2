//===- AddedTokens.cpp - Tokens that are found in the text first ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/AddedTokens.h"
#include "runtime/Support/Text.h"
#include "runtime/Tokenizer/Unicode.h"

#include <algorithm>

using namespace clade::rt;

StatusOr<AddedToken> AddedToken::parse(const JsonView &json) {
  AddedToken token;
  CLADE_ASSIGN_OR_RETURN(JsonView id, json.at("id"));
  CLADE_ASSIGN_OR_RETURN(token.id, id.asId());
  CLADE_ASSIGN_OR_RETURN(token.content, json.stringAt("content"));
  CLADE_ASSIGN_OR_RETURN(token.singleWord, json.boolOr("single_word", false));
  CLADE_ASSIGN_OR_RETURN(token.lstrip, json.boolOr("lstrip", false));
  CLADE_ASSIGN_OR_RETURN(token.rstrip, json.boolOr("rstrip", false));
  CLADE_ASSIGN_OR_RETURN(token.special, json.boolOr("special", false));
  CLADE_ASSIGN_OR_RETURN(token.normalized,
                         json.boolOr("normalized", !token.special));
  return token;
}

/// Checks that an added token's id is its own.
static Status checkId(const AddedToken &token, const Vocabulary &vocabulary,
                      const AddedToken *sameId) {
  std::string name = "added token " + quoteName(token.content);
  std::string id = std::to_string(token.id);
  if (token.id > maxTokenId)
    return Status::corruption(name + " has id " + id + ", expected at most " +
                              std::to_string(maxTokenId));
  std::optional<int32_t> known = vocabulary.id(token.content);
  if (known && *known != token.id)
    return Status::corruption(name + " has id " + id +
                              ", but the vocabulary gives it id " +
                              std::to_string(*known));
  const std::string *other = vocabulary.token(token.id);
  if (!known && other)
    return Status::corruption(name + " has id " + id +
                              ", which is the vocabulary's token " +
                              quoteName(*other));
  if (sameId && sameId->content != token.content)
    return Status::corruption(name + " has id " + id +
                              ", which is added token " +
                              quoteName(sameId->content));
  return Status();
}

StatusOr<AddedTokens> AddedTokens::create(std::vector<AddedToken> tokens,
                                          const Vocabulary &vocabulary,
                                          const Normalizer *normalizer) {
  AddedTokens result;
  std::vector<ByteTrie::Entry> originals, normalizeds;
  for (AddedToken &token : tokens) {
    if (token.content.empty())
      continue;
    auto same = result.byId.find(token.id);
    CLADE_RETURN_IF_ERROR(checkId(
        token, vocabulary,
        same == result.byId.end() ? nullptr : &result.list[same->second]));
    auto [named, isNew] = result.byContent.emplace(token.content, token.id);
    if (!isNew && named->second != token.id)
      return Status::corruption(
          "added token " + quoteName(token.content) + " has two ids, " +
          std::to_string(named->second) + " and " + std::to_string(token.id));
    if (!isNew)
      continue;
    NormalizedText text = {token.content, 0};
    if (token.normalized && normalizer)
      CLADE_RETURN_IF_ERROR(normalizer->normalize(text));
    result.texts.push_back(std::move(text.text));
    auto index = static_cast<int32_t>(result.list.size());
    (token.normalized ? normalizeds : originals)
        .emplace_back(result.texts.back(), index);
    result.byId.emplace(token.id, result.list.size());
    if (token.special)
      result.specialContents.insert(token.content);
    result.limit = std::max(result.limit, token.id + 1);
    result.list.push_back(std::move(token));
  }
  result.original = ByteTrie(std::move(originals));
  result.normalized = ByteTrie(std::move(normalizeds));
  return result;
}

std::optional<int32_t> AddedTokens::id(std::string_view content) const {
  auto found = byContent.find(std::string(content));
  if (found == byContent.end())
    return std::nullopt;
  return found->second;
}

const std::string *AddedTokens::token(int32_t id) const {
  auto found = byId.find(id);
  return found == byId.end() ? nullptr : &texts[found->second];
}

/// Whether the match [begin, end) has no word character next to it.
static bool standsAlone(std::string_view text, size_t begin, size_t end) {
  auto isWordAt = [&](size_t position) {
    return isWord(decodeCharacter(text, position).codePoint);
  };
  return (begin == 0 || !isWordAt(previousCharacter(text, begin))) &&
         (end == text.size() || !isWordAt(end));
}

/// The start of the white space that ends at `end`, at most back to `limit`.
static size_t skipSpaceBackwards(std::string_view text, size_t end,
                                 size_t limit) {
  while (end > limit) {
    size_t last = previousCharacter(text, end);
    if (!isWhitespace(decodeCharacter(text, last).codePoint))
      break;
    end = last;
  }
  return end;
}

/// The end of the white space that starts at `position`.
static size_t skipSpace(std::string_view text, size_t position) {
  while (position < text.size()) {
    auto [c, length] = decodeCharacter(text, position);
    if (!isWhitespace(c))
      break;
    position += length;
  }
  return position;
}

void AddedTokens::splitPiece(const Piece &piece, const ByteTrie &trie,
                             std::vector<Piece> &out) const {
  std::string_view text = piece.text;
  // Up to where the text is in `out`; a token that strips goes further than its
  // match.
  size_t covered = 0;
  for (size_t position = 0; position < text.size();) {
    size_t length = 0;
    int32_t index = -1;
    trie.forEachPrefix(text.substr(position), [&](size_t size, int32_t value) {
      length = size; // The longest match counts.
      index = value;
    });
    if (index < 0) {
      position += characterLength(text[position]);
      continue;
    }
    size_t begin = position, end = position + length;
    position = end;
    const AddedToken &token = list[index];
    if (token.singleWord && !standsAlone(text, begin, end))
      continue;
    if (token.lstrip)
      begin = skipSpaceBackwards(text, begin, std::min(begin, covered));
    begin = std::max(begin, covered);
    if (token.rstrip)
      end = skipSpace(text, end);
    if (covered < begin)
      out.push_back(piece.slice(covered, begin));
    Piece found = piece.slice(std::min(begin, end), end);
    found.id = token.id;
    out.push_back(found);
    covered = std::max(covered, end);
  }
  if (covered < text.size())
    out.push_back(piece.slice(covered, text.size()));
}

Status AddedTokens::splitAll(Pieces &pieces, const ByteTrie &trie) const {
  return pieces.forEachText([&](const Piece &piece, std::vector<Piece> &out) {
    if (!trie.empty())
      splitPiece(piece, trie, out);
    else if (!piece.text.empty())
      out.push_back(piece.slice(0, piece.text.size()));
    return Status();
  });
}
