//===- PreTokenizer.h - Splitting the text into words -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The pre-tokenizers of a tokenizer.json: ByteLevel, Split, Whitespace,
// WhitespaceSplit, Metaspace, BertPreTokenizer, Digits, Punctuation,
// CharDelimiterSplit, FixedLength and Sequence.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_PRETOKENIZER_H
#define CLADE_RUNTIME_TOKENIZER_PRETOKENIZER_H

#include "runtime/Support/Status.h"
#include "runtime/Tokenizer/JsonFile.h"
#include "runtime/Tokenizer/Pieces.h"

#include <memory>

namespace clade::rt {

/// A step that splits pieces of text, and may rewrite them. Stateless, hence
/// thread-safe.
class PreTokenizer {
public:
  virtual ~PreTokenizer() = default;
  virtual Status split(Pieces &pieces) const = 0;

  /// Builds the pre-tokenizer that a file describes. Unsupported for an unknown
  /// type, Corruption for a malformed description.
  static StatusOr<std::unique_ptr<PreTokenizer>> create(const JsonView &json);
  /// Splits by each of the patterns in turn, keeping matches as pieces of their
  /// own, then writes bytes as GPT-2's letters.
  static StatusOr<std::unique_ptr<PreTokenizer>>
  byteLevel(const std::vector<std::string> &patterns);
};

/// Where Metaspace puts its mark in front of the text.
enum class PrependScheme { First, Never, Always };

/// What the pre-tokenizer and the decoder Metaspace have in common.
struct MetaspaceOptions {
  std::string replacement; ///< One character.
  PrependScheme prependScheme;
  bool split;

  static StatusOr<MetaspaceOptions> parse(const JsonView &json);
};

/// Builds the pre-tokenizer Metaspace.
StatusOr<std::unique_ptr<PreTokenizer>> createMetaspace(const JsonView &json);

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_PRETOKENIZER_H
