//===- Normalizer.h - Rewriting of the text before it is split --*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The normalizers of a tokenizer.json: NFC, NFD, NFKC, NFKD, Lowercase, Strip,
// StripAccents, BertNormalizer, Nmt, Replace, Prepend, Precompiled, ByteLevel
// and Sequence.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_NORMALIZER_H
#define CLADE_RUNTIME_TOKENIZER_NORMALIZER_H

#include "runtime/Support/Status.h"
#include "runtime/Tokenizer/JsonFile.h"
#include "runtime/Tokenizer/Regex.h"

#include <memory>
#include <string>

namespace clade::rt {

/// A text on its way through normalizers.
struct NormalizedText {
  std::string text;
  /// How many leading bytes stem from the first character of the input. Only
  /// Metaspace with `prepend_scheme: first` asks: it prepends to a piece that
  /// starts where the input starts.
  size_t originBytes = 0;
};

/// No text may grow beyond this: only a damaged or hostile file makes it.
inline constexpr size_t maxTextSize = size_t(1) << 26;

/// ResourceExhausted when `size` exceeds maxTextSize.
Status checkTextSize(size_t size);

/// A step of normalization. Stateless, hence thread-safe.
class Normalizer {
public:
  virtual ~Normalizer() = default;
  /// Rewrites `text`, which is valid UTF-8 and stays so. ResourceExhausted when
  /// a regular expression exceeds its limits.
  virtual Status normalize(NormalizedText &text) const = 0;

  /// Builds the normalizer that a file describes. Unsupported for an unknown
  /// type, Corruption for a malformed description.
  static StatusOr<std::unique_ptr<Normalizer>> create(const JsonView &json);
  /// SentencePiece's: a space becomes "▁", and one goes in front of the text if
  /// `addsSpace`.
  static StatusOr<std::unique_ptr<Normalizer>> sentencePiece(bool addsSpace);
};

/// Replaces all matches of `pattern` in `text`.
Status replaceAll(NormalizedText &text, const Regex &pattern,
                  std::string_view content);

/// The pattern of Replace and Split: {"String": …} or {"Regex": …}.
StatusOr<Regex> parsePattern(const JsonView &json);

/// Builds the Precompiled normalizer of SentencePiece: a table of replacements
/// for graphemes and characters.
StatusOr<std::unique_ptr<Normalizer>> createPrecompiled(const JsonView &json);

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_NORMALIZER_H
