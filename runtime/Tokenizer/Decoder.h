//===- Decoder.h - From tokens back to text ---------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The decoders of a tokenizer.json: ByteLevel, ByteFallback, Metaspace,
// WordPiece, BPEDecoder, Fuse, Replace, Strip and Sequence.
//
// A decoder is a chain of stages, each of which gets tokens in pieces and hands
// text on as soon as it can. Decoding a list and decoding a stream are the same
// code, so they agree by construction.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_DECODER_H
#define CLADE_RUNTIME_TOKENIZER_DECODER_H

#include "runtime/Support/Status.h"
#include "runtime/Tokenizer/JsonFile.h"
#include "runtime/Tokenizer/PreTokenizer.h"
#include "runtime/Tokenizer/Regex.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace clade::rt {

/// One stage at work. It receives text() any number of times and endToken()
/// after each token, then finish() once, and hands text to the next stage in
/// the same way.
class DecodeStage {
public:
  virtual ~DecodeStage() = default;

  /// A part of the current token. Stages that need whole tokens keep the
  /// default, which collects it for token().
  virtual Status text(std::string_view part);
  virtual Status endToken();
  /// No more tokens: hands on what was kept back.
  virtual Status finish() { return next->finish(); }

  DecodeStage *next = nullptr;

protected:
  /// A whole token.
  virtual Status token(std::string_view) { return Status(); }
  /// Hands a whole token on.
  Status emit(std::string_view token);

private:
  std::string collected;
};

/// The configuration of a stage. Immutable, hence thread-safe.
class DecodeStep {
public:
  virtual ~DecodeStep() = default;
  /// A stage at its start. `isStream`: see Decoder::start().
  virtual std::unique_ptr<DecodeStage> start(bool isStream) const = 0;
};

/// A decoding under way.
class DecodeChain {
public:
  Status push(std::string_view token);
  Status finish() { return stages.front()->finish(); }
  /// The text that is ready and was not taken yet.
  std::string take() { return std::exchange(*output, std::string()); }

private:
  friend class Decoder;
  std::vector<std::unique_ptr<DecodeStage>> stages;
  std::unique_ptr<std::string> output = std::make_unique<std::string>();
};

/// The steps from tokens to text. Without any, tokens are joined with spaces.
class Decoder {
public:
  /// Joins tokens with spaces, as the tokenizers library does without decoder.
  Decoder();

  /// Starts a decoding; the decoder must outlive it. `isStream` lets
  /// ByteFallback hand on each character when it is complete; otherwise a run
  /// of byte tokens that is not valid as a whole becomes U+FFFD as a whole.
  DecodeChain start(bool isStream) const;

  /// Builds the decoder that a file describes. Unsupported for an unknown type,
  /// Corruption for a malformed description.
  static StatusOr<Decoder> create(const JsonView &json);
  /// GPT-2's: each letter is a byte.
  static Decoder byteLevel();
  /// SentencePiece's: "▁" is a space, "<0xHH>" a byte, and one space at the
  /// start of the text goes if `stripsSpace`.
  static Decoder sentencePiece(bool stripsSpace);

private:
  static Status append(const JsonView &json,
                       std::vector<std::unique_ptr<DecodeStep>> &steps);

  std::vector<std::unique_ptr<DecodeStep>> steps;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_DECODER_H
