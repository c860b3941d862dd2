//===- Model.h - The models that turn words into ids ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A model holds the vocabulary and splits a piece of text into tokens: BPE
// (byte-level or with byte fallback), Unigram, WordPiece, and SentencePiece's
// score-driven merging as GGUF files need it.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_MODEL_H
#define CLADE_RUNTIME_TOKENIZER_MODEL_H

#include "runtime/Support/Status.h"
#include "runtime/Tokenizer/JsonFile.h"
#include "runtime/Tokenizer/Vocabulary.h"

#include <memory>
#include <string_view>
#include <vector>

namespace clade::rt {

/// Splits text into tokens. Immutable once built, hence thread-safe.
class Model {
public:
  explicit Model(Vocabulary vocabulary) : tokens(std::move(vocabulary)) {}
  virtual ~Model() = default;

  /// Appends the ids of the tokens of `text`, valid UTF-8 and not empty.
  /// InvalidArgument when it has a character that no token covers and the model
  /// has no token for unknown text.
  virtual Status encode(std::string_view text,
                        std::vector<int32_t> &ids) const = 0;

  const Vocabulary &vocabulary() const { return tokens; }

  /// Builds the model of a tokenizer.json and takes its lists. Unsupported for
  /// an unknown type, Corruption for a malformed description.
  static StatusOr<std::unique_ptr<Model>> create(JsonFile &file);

protected:
  Vocabulary tokens;
};

/// How a BPE model treats the text and what it does not know.
struct BPEOptions {
  std::optional<std::string> unknownToken;
  std::string continuingSubwordPrefix;
  std::string endOfWordSuffix;
  bool fuseUnknown = false;
  bool byteFallback = false;
  /// Whether a word that is a token needs no merges.
  bool ignoreMerges = false;
};

/// A BPE model from its vocabulary and its merges, most important first.
/// Corruption when a merge names a token that is missing.
StatusOr<std::unique_ptr<Model>> createBPE(Vocabulary vocabulary,
                                           const std::vector<Merge> &merges,
                                           BPEOptions options);

/// A Unigram model: `scores[id]` is the logarithm of a token's probability, and
/// the best path counts. Corruption when `unknownId` is not a token.
StatusOr<std::unique_ptr<Model>>
createUnigram(std::vector<VocabularyEntry> entries,
              std::optional<int64_t> unknownId, bool byteFallback);

/// A WordPiece model: the longest token first, `prefix` in front of all but a
/// word's first. Corruption when the unknown token is missing.
StatusOr<std::unique_ptr<Model>>
createWordPiece(Vocabulary vocabulary, const std::string &unknownToken,
                std::string prefix, uint64_t maxCharactersPerWord);

/// SentencePiece's BPE as GGUF files carry it: neighbours merge while the
/// result is a token, the best score first; bytes stand for unknown characters.
/// `scores[id]` belongs to the token of that id.
std::unique_ptr<Model> createScoreBPE(Vocabulary vocabulary,
                                      std::vector<float> scores,
                                      std::optional<int32_t> unknownId);

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_MODEL_H
