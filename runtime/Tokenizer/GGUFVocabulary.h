//===- GGUFVocabulary.h - The vocabulary of a GGUF file ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_GGUFVOCABULARY_H
#define CLADE_RUNTIME_TOKENIZER_GGUFVOCABULARY_H

#include "runtime/Support/Status.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clade::rt {

/// Values of `token_type`.
namespace gguf_token {
inline constexpr int32_t normal = 1, unknown = 2, control = 3, userDefined = 4,
                         unused = 5, byte = 6;
} // namespace gguf_token

/// What `tokenizer.ggml.*` says in a GGUF file. A key that the file lacks is an
/// empty list, an empty string or nothing.
struct GGUFVocabulary {
  /// `model`: "llama" (SentencePiece BPE) or "gpt2" (byte-level BPE).
  std::string model;
  /// `pre`: how "gpt2" splits text into words, such as "llama-bpe" or "qwen2".
  std::string pre;
  /// `tokens`; the id is the position.
  std::vector<std::string> tokens;
  /// `scores`, one for each token; "llama" needs them.
  std::vector<float> scores;
  /// `token_type`, one of gguf_token for each token. Without it all are normal.
  std::vector<int32_t> tokenTypes;
  /// `merges`, each "left right", most important first; "gpt2" needs them.
  std::vector<std::string> merges;
  /// `bos_token_id` and so on.
  std::optional<int32_t> bosId, eosId, unknownId, paddingId;
  /// `add_bos_token`, `add_eos_token`, `add_space_prefix`. The default depends
  /// on model and pre.
  std::optional<bool> addBos, addEos, addSpacePrefix;
};

/// How a byte-level vocabulary splits text into words: patterns that apply one
/// after another, as the models' own tokenizer.json files have them.
struct GGUFSplit {
  std::vector<std::string> patterns;
  bool ignoreMerges = false;
  bool addBos = false; ///< Unless `add_bos_token` says otherwise.
};

/// The split that `pre` names, or null.
const GGUFSplit *findGGUFSplit(const std::string &pre);

/// `pre` of the split into words by these patterns, one after another; empty if
/// GGUF files have no name for it.
std::string ggufSplitName(const std::vector<std::string> &patterns,
                          bool ignoreMerges);

/// The vocabulary that tokenizer.json describes, of `size` tokens: numbers that
/// no token has become unused ones. `text` is the file, `name` stands for it in
/// messages. Unsupported for what GGUF files cannot say, Corruption for a file
/// that is malformed.
StatusOr<GGUFVocabulary> ggufVocabulary(std::string_view text,
                                        const std::string &name, size_t size);

/// The tokenizer.json that makes the same of texts. Errors are those of
/// Tokenizer::fromGGUF(); Unsupported for what such a file cannot say.
StatusOr<std::string> tokenizerJson(const GGUFVocabulary &vocabulary);

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_GGUFVOCABULARY_H
