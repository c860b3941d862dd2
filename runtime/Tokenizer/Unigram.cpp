//===- Unigram.cpp - The best path through a text -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Viterbi's algorithm over all tokens that match at each character; a character
// without a token costs 10 more than the worst token. Scores add as doubles, in
// the order of the text, so that ties fall as in the tokenizers library.
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/Text.h"
#include "runtime/Tokenizer/Model.h"
#include "runtime/Tokenizer/Unicode.h"

#include <algorithm>
#include <limits>

using namespace clade::rt;

namespace {

class UnigramModel : public Model {
public:
  UnigramModel(Vocabulary vocabulary, std::vector<double> scores,
               std::optional<int32_t> unknownId, bool byteFallback);

  Status encode(std::string_view text,
                std::vector<int32_t> &ids) const override;

private:
  /// The best path that ends at a position.
  struct Node {
    double score = 0;
    int32_t start = -1; ///< Where its last token starts; -1 for no path.
    int32_t id = 0;
  };

  Status findPaths(std::string_view text, std::vector<Node> &ends) const;
  void appendToken(std::string_view text, std::vector<int32_t> &ids) const;

  std::vector<double> scores;
  std::optional<int32_t> unknownId;
  bool byteFallback;
  ByteTokens byteTokens;
  double unknownScore;
  ByteTrie trie;
};

} // namespace

UnigramModel::UnigramModel(Vocabulary vocabulary, std::vector<double> scores,
                           std::optional<int32_t> unknownId, bool byteFallback)
    : Model(std::move(vocabulary)), scores(std::move(scores)),
      unknownId(unknownId), byteFallback(byteFallback), byteTokens(tokens) {
  double lowest = std::numeric_limits<double>::infinity();
  for (double score : this->scores)
    lowest = std::min(lowest, score);
  unknownScore = lowest - 10;
  std::vector<ByteTrie::Entry> entries;
  for (int32_t id = 0; id < tokens.idLimit(); ++id) {
    const std::string &token = *tokens.token(id);
    // A repeated token encodes to its last id.
    entries.emplace_back(token, *tokens.id(token));
  }
  trie = ByteTrie(std::move(entries));
}

Status UnigramModel::findPaths(std::string_view text,
                               std::vector<Node> &ends) const {
  ends.assign(text.size() + 1, Node());
  for (size_t start = 0; start < text.size();) {
    uint32_t length = characterLength(text[start]);
    double score = ends[start].score;
    bool hasCharacter = false;
    auto offer = [&](size_t end, int32_t id, double candidate) {
      Node &node = ends[end];
      if (node.start < 0 || candidate > node.score)
        node = {candidate, static_cast<int32_t>(start), id};
    };
    trie.forEachPrefix(text.substr(start), [&](size_t size, int32_t id) {
      offer(start + size, id, scores[id] + score);
      hasCharacter |= size == length;
    });
    if (!hasCharacter) {
      if (!unknownId)
        return Status::invalidArgument("the text has the unknown character " +
                                       quoteName(text.substr(start, length)) +
                                       ", and the model has no token for that");
      offer(start + length, *unknownId, unknownScore + score);
    }
    start += length;
  }
  return Status();
}

/// Appends the id of a part of the text that the path found: a token, or a run
/// of unknown characters, which are bytes or the unknown token.
void UnigramModel::appendToken(std::string_view text,
                               std::vector<int32_t> &ids) const {
  if (std::optional<int32_t> id = tokens.id(text))
    ids.push_back(*id);
  else if (!byteFallback || !byteTokens.append(text, ids))
    ids.push_back(*unknownId);
}

Status UnigramModel::encode(std::string_view text,
                            std::vector<int32_t> &ids) const {
  std::vector<Node> ends;
  CLADE_RETURN_IF_ERROR(findPaths(text, ends));
  // Backwards: the parts, neighbours that are unknown becoming one.
  std::vector<std::pair<int32_t, int32_t>> parts;
  bool wasUnknown = false;
  for (auto end = static_cast<int32_t>(text.size()); end > 0;) {
    const Node &node = ends[end];
    bool isUnknown = unknownId && node.id == *unknownId;
    if (isUnknown && wasUnknown)
      parts.back().first = node.start;
    else
      parts.emplace_back(node.start, end);
    wasUnknown = isUnknown;
    end = node.start;
  }
  std::reverse(parts.begin(), parts.end());
  for (auto [begin, end] : parts)
    appendToken(text.substr(begin, end - begin), ids);
  return Status();
}

StatusOr<std::unique_ptr<Model>>
clade::rt::createUnigram(std::vector<VocabularyEntry> entries,
                         std::optional<int64_t> unknownId, bool byteFallback) {
  if (unknownId && *unknownId >= static_cast<int64_t>(entries.size()))
    return Status::corruption("the unknown token's id " +
                              std::to_string(*unknownId) +
                              " is not below the vocabulary's size " +
                              std::to_string(entries.size()));
  std::vector<std::pair<std::string, int64_t>> tokens;
  std::vector<double> scores;
  for (VocabularyEntry &entry : entries) {
    tokens.emplace_back(std::move(entry.token), entry.id);
    scores.push_back(entry.score);
  }
  CLADE_ASSIGN_OR_RETURN(
      Vocabulary vocabulary,
      Vocabulary::create(std::move(tokens), /*allowRepeats=*/true));
  std::optional<int32_t> unknown;
  if (unknownId)
    unknown = static_cast<int32_t>(*unknownId);
  return std::unique_ptr<Model>(new UnigramModel(
      std::move(vocabulary), std::move(scores), unknown, byteFallback));
}
