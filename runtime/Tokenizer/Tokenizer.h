//===- Tokenizer.h - Text to token ids and back -----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A tokenizer from a Hugging Face tokenizer.json or from the metadata of a GGUF
// file. For tokenizer.json, ids and texts are those of the Python package
// `tokenizers`; its settings for truncation and padding are ignored, as
// `transformers` ignores them unless asked.
//
// Texts need not be valid UTF-8: each maximal subpart of an ill-formed sequence
// counts as one U+FFFD (Unicode 3.9; what Python's errors="replace" and Rust's
// from_utf8_lossy do). Decoded texts are valid UTF-8.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_TOKENIZER_H
#define CLADE_RUNTIME_TOKENIZER_TOKENIZER_H

#include "runtime/Support/Status.h"
#include "runtime/Tokenizer/GGUFVocabulary.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clade::rt {

/// Encodes and decodes text. Immutable; all methods may be called concurrently.
class Tokenizer {
public:
  /// Reads the text of a tokenizer.json; `sourceName` stands in messages.
  /// Corruption for text that is malformed or contradicts itself, Unsupported
  /// for a component of a type that Clade does not have.
  static StatusOr<std::unique_ptr<Tokenizer>>
  fromJson(std::string_view json, std::string_view sourceName);

  /// Builds the tokenizer that GGUF metadata describe: models "llama"
  /// (SentencePiece BPE) and "gpt2" (byte-level BPE).
  static StatusOr<std::unique_ptr<Tokenizer>>
  fromGGUF(const GGUFVocabulary &vocabulary);

  ~Tokenizer();

  /// The ids of `text`. Tokens such as "<bos>" are recognized in the text;
  /// those that the model puts around every text are added if
  /// `addSpecialTokens`. InvalidArgument when the text has a character for
  /// which the vocabulary has neither token nor unknown token;
  /// ResourceExhausted when the text grows beyond 64 MiB or a regular
  /// expression of the file beyond its limits.
  StatusOr<std::vector<int32_t>> encode(std::string_view text,
                                        bool addSpecialTokens = true) const;

  /// The text of `ids`, without special tokens if `skipSpecialTokens`. Ids that
  /// are not in the vocabulary are left out. ResourceExhausted as in encode().
  StatusOr<std::string> decode(std::span<const int32_t> ids,
                               bool skipSpecialTokens = true) const;

  /// One more than the highest id.
  int32_t vocabularySize() const;
  /// The id of a token as the vocabulary writes it, such as "<bos>" or "▁the".
  std::optional<int32_t> tokenId(std::string_view token) const;
  /// The token of an id as decoding starts from it.
  std::optional<std::string> token(int32_t id) const;
  /// Whether decode() can leave the token out.
  bool isSpecial(int32_t id) const;

  /// The steps of a tokenizer; internal.
  struct Parts;

private:
  friend class StreamDecoder;

  explicit Tokenizer(std::unique_ptr<Parts> parts);

  std::unique_ptr<const Parts> parts;
};

/// Decodes ids one by one. All texts together are what Tokenizer::decode()
/// gives, with one exception: where byte tokens ("<0xE2>") do not make valid
/// UTF-8, decode() turns all bytes of the run into U+FFFD, while a stream keeps
/// the characters that were complete already. No text ends within a character.
class StreamDecoder {
public:
  /// `tokenizer` must outlive this.
  explicit StreamDecoder(const Tokenizer &tokenizer,
                         bool skipSpecialTokens = true);
  StreamDecoder(StreamDecoder &&) noexcept;
  StreamDecoder &operator=(StreamDecoder &&) noexcept;
  ~StreamDecoder();

  /// Takes the next id; the text that is ready now, often empty.
  StatusOr<std::string> push(int32_t id);
  /// The rest of the text. Nothing may be pushed afterwards.
  StatusOr<std::string> finish();

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_TOKENIZER_H
