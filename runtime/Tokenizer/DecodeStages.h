//===- DecodeStages.h - The stages of decoders ------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One class per stage, with what it keeps between tokens.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_DECODESTAGES_H
#define CLADE_RUNTIME_TOKENIZER_DECODESTAGES_H

#include "runtime/Tokenizer/Decoder.h"

namespace clade::rt {

/// Appends everything to a string.
class OutputStage : public DecodeStage {
public:
  explicit OutputStage(std::string &output) : output(output) {}
  Status text(std::string_view part) override;
  Status endToken() override { return Status(); }
  Status finish() override { return Status(); }

private:
  std::string &output;
};

/// A space in front of each token but the first.
class JoinStage : public DecodeStage {
public:
  Status text(std::string_view part) override;
  Status endToken() override;

private:
  bool isFirst = true, isInside = false;
};

/// All tokens become one.
class FuseStage : public DecodeStage {
public:
  Status text(std::string_view part) override { return next->text(part); }
  Status endToken() override { return Status(); }
  Status finish() override;
};

/// Letters become bytes, all tokens one text; bytes that are not UTF-8 become
/// U+FFFD as in toValidUTF8(). A token with another character is itself.
class ByteLevelStage : public DecodeStage {
public:
  Status finish() override;

protected:
  Status token(std::string_view token) override;

private:
  /// Bytes that do not make a whole character yet.
  std::string pending;
};

/// "<0xHH>" tokens become characters.
class ByteFallbackStage : public DecodeStage {
public:
  explicit ByteFallbackStage(bool isStream) : isStream(isStream) {}
  Status finish() override;

protected:
  Status token(std::string_view token) override;

private:
  Status emitComplete();
  Status endRun();

  bool isStream;
  std::string run;
};

/// The mark becomes a space, or nothing in the first token.
class MetaspaceStage : public DecodeStage {
public:
  MetaspaceStage(const std::string &mark, bool dropsFirst)
      : mark(mark), dropsFirst(dropsFirst) {}

protected:
  Status token(std::string_view token) override;

private:
  const std::string &mark;
  bool dropsFirst;
};

/// Tokens without the prefix start a word; `cleanup` removes spaces before
/// punctuation and contractions.
class WordPieceStage : public DecodeStage {
public:
  WordPieceStage(const std::string &prefix, bool cleanup)
      : prefix(prefix), cleanup(cleanup) {}

protected:
  Status token(std::string_view token) override;

private:
  const std::string &prefix;
  bool cleanup;
  bool isFirst = true;
};

/// The suffix ends a word: it becomes a space, or nothing in the last token,
/// which is why one token is kept back.
class BPEDecoderStage : public DecodeStage {
public:
  explicit BPEDecoderStage(const std::string &suffix) : suffix(suffix) {}
  Status finish() override;

protected:
  Status token(std::string_view token) override;

private:
  const std::string &suffix;
  std::optional<std::string> last;
};

/// All matches in a token are replaced.
class ReplaceStage : public DecodeStage {
public:
  ReplaceStage(const Regex &pattern, const std::string &content)
      : pattern(pattern), content(content) {}

protected:
  Status token(std::string_view token) override;

private:
  const Regex &pattern;
  const std::string &content;
};

/// Up to `start` leading and `stop` trailing copies of a character go.
class StripStage : public DecodeStage {
public:
  StripStage(const std::string &content, uint64_t start, uint64_t stop)
      : content(content), start(start), stop(stop), leading(start) {}
  Status text(std::string_view part) override;
  Status endToken() override;

private:
  const std::string &content;
  uint64_t start, stop;
  /// How many leading copies may still go, and how many are kept back because
  /// they may be trailing.
  uint64_t leading, heldBack = 0;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_DECODESTAGES_H
