//===- ScoreBPE.cpp - SentencePiece's merging by score --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Neighbours merge while their concatenation is a token, the one with the best
// score first, the leftmost among equals. A heap keeps this at O(n log n).
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/Text.h"
#include "runtime/Tokenizer/Model.h"
#include "runtime/Tokenizer/Unicode.h"

#include <algorithm>

using namespace clade::rt;

namespace {

/// A part of the text under construction, in a doubly linked list.
struct ScoredSymbol {
  size_t begin;
  size_t length; ///< 0 once merged into the symbol on the left.
  int32_t previous;
  int32_t next;
};

/// Two neighbours whose concatenation, of `length` bytes, is a token.
struct ScoredPair {
  float score;
  int32_t left;
  size_t length;

  /// Heaps keep the largest on top: the best score, then the leftmost.
  bool operator<(const ScoredPair &other) const {
    return score != other.score ? score < other.score : left > other.left;
  }
};

struct ScoreWorkspace {
  std::vector<ScoredSymbol> symbols;
  std::vector<ScoredPair> heap;
};

class ScoreBPEModel : public Model {
public:
  ScoreBPEModel(Vocabulary vocabulary, std::vector<float> scores,
                std::optional<int32_t> unknownId)
      : Model(std::move(vocabulary)), scores(std::move(scores)),
        unknownId(unknownId), byteTokens(tokens) {}

  Status encode(std::string_view text,
                std::vector<int32_t> &ids) const override;

private:
  void addCandidate(std::string_view text, ScoreWorkspace &space,
                    int32_t left) const;
  void mergeAll(std::string_view text, ScoreWorkspace &space) const;

  std::vector<float> scores;
  std::optional<int32_t> unknownId;
  ByteTokens byteTokens;
};

} // namespace

void ScoreBPEModel::addCandidate(std::string_view text, ScoreWorkspace &space,
                                 int32_t left) const {
  if (left < 0 || space.symbols[left].next < 0)
    return;
  const ScoredSymbol &first = space.symbols[left];
  size_t length = first.length + space.symbols[first.next].length;
  if (length > tokens.longestToken())
    return;
  std::optional<int32_t> id = tokens.id(text.substr(first.begin, length));
  if (!id)
    return;
  space.heap.push_back({scores[*id], left, length});
  std::push_heap(space.heap.begin(), space.heap.end());
}

void ScoreBPEModel::mergeAll(std::string_view text,
                             ScoreWorkspace &space) const {
  auto count = static_cast<int32_t>(space.symbols.size());
  for (int32_t i = 0; i < count; ++i)
    addCandidate(text, space, i);
  while (!space.heap.empty()) {
    std::pop_heap(space.heap.begin(), space.heap.end());
    ScoredPair top = space.heap.back();
    space.heap.pop_back();
    ScoredSymbol &left = space.symbols[top.left];
    if (left.length == 0 || left.next < 0)
      continue;
    // Either side may have grown since.
    ScoredSymbol &right = space.symbols[left.next];
    if (left.length + right.length != top.length)
      continue;
    left.length = top.length;
    right.length = 0;
    left.next = right.next;
    if (right.next >= 0)
      space.symbols[right.next].previous = top.left;
    addCandidate(text, space, left.previous);
    addCandidate(text, space, top.left);
  }
}

Status ScoreBPEModel::encode(std::string_view text,
                             std::vector<int32_t> &ids) const {
  static thread_local ScoreWorkspace space;
  space.symbols.clear();
  space.heap.clear();
  for (size_t begin = 0; begin < text.size();) {
    size_t length = characterLength(text[begin]);
    auto index = static_cast<int32_t>(space.symbols.size());
    bool isLast = begin + length == text.size();
    space.symbols.push_back(
        {begin, length, index - 1, isLast ? -1 : index + 1});
    begin += length;
  }
  mergeAll(text, space);
  for (int32_t i = 0; i >= 0; i = space.symbols[i].next) {
    const ScoredSymbol &symbol = space.symbols[i];
    std::string_view part = text.substr(symbol.begin, symbol.length);
    // What is no token is a single character.
    if (std::optional<int32_t> id = tokens.id(part)) {
      ids.push_back(*id);
      continue;
    }
    if (byteTokens.append(part, ids))
      continue;
    if (!unknownId)
      return Status::invalidArgument(
          "the text has the unknown character " + quoteName(part) +
          ", and the vocabulary has no token for that");
    ids.push_back(*unknownId);
  }
  return Status();
}

std::unique_ptr<Model>
clade::rt::createScoreBPE(Vocabulary vocabulary, std::vector<float> scores,
                          std::optional<int32_t> unknownId) {
  return std::make_unique<ScoreBPEModel>(std::move(vocabulary),
                                         std::move(scores), unknownId);
}
