//===- PreTokenizer.cpp - Splitting the text into words -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/PreTokenizer.h"
#include "runtime/Support/Text.h"
#include "runtime/Tokenizer/ByteLevel.h"
#include "runtime/Tokenizer/Normalizer.h"
#include "runtime/Tokenizer/Unicode.h"

#include <algorithm>

using namespace clade::rt;

/// Appends spans that cover `text`, each character for which `matches` holds
/// being a match of its own.
template <typename Predicate>
static void splitCharacters(std::string_view text, Predicate matches,
                            std::vector<Span> &spans) {
  size_t covered = 0;
  for (size_t position = 0; position < text.size();) {
    auto [c, length] = decodeCharacter(text, position);
    if (matches(c)) {
      if (covered < position)
        spans.push_back({covered, position, false});
      covered = position + length;
      spans.push_back({position, covered, true});
    }
    position += length;
  }
  if (covered < text.size())
    spans.push_back({covered, text.size(), false});
}

/// Splits every text at the characters for which `matches` holds.
template <typename Predicate>
static Status splitAtCharacters(Pieces &pieces, Predicate matches,
                                SplitBehavior behavior) {
  std::vector<Span> spans;
  return pieces.forEachText([&](const Piece &piece, std::vector<Piece> &out) {
    spans.clear();
    splitCharacters(piece.text, matches, spans);
    splitPiece(piece, spans, behavior, out);
    return Status();
  });
}

static Status splitAtPattern(Pieces &pieces, const Regex &pattern, bool invert,
                             SplitBehavior behavior) {
  std::vector<Span> spans;
  return pieces.forEachText([&](const Piece &piece, std::vector<Piece> &out) {
    spans.clear();
    CLADE_RETURN_IF_ERROR(pattern.split(piece.text, spans));
    if (invert)
      for (Span &span : spans)
        span.isMatch = !span.isMatch;
    splitPiece(piece, spans, behavior, out);
    return Status();
  });
}

/// `text` in front of `piece`, whose origin it then shares.
static StatusOr<Piece> prepended(Pieces &pieces, std::string_view text,
                                 const Piece &piece) {
  std::string joined(text);
  joined += piece.text;
  Piece result = piece;
  CLADE_ASSIGN_OR_RETURN(result.text, pieces.keep(std::move(joined)));
  if (result.originBytes > 0)
    result.originBytes += text.size();
  return result;
}

namespace {

class SplitPreTokenizer : public PreTokenizer {
public:
  SplitPreTokenizer(Regex pattern, bool invert, SplitBehavior behavior)
      : pattern(std::move(pattern)), invert(invert), behavior(behavior) {}
  Status split(Pieces &pieces) const override {
    return splitAtPattern(pieces, pattern, invert, behavior);
  }

private:
  Regex pattern;
  bool invert;
  SplitBehavior behavior;
};

class ByteLevelPreTokenizer : public PreTokenizer {
public:
  ByteLevelPreTokenizer(bool addPrefixSpace, std::optional<Regex> pattern)
      : addPrefixSpace(addPrefixSpace), pattern(std::move(pattern)) {}
  Status split(Pieces &pieces) const override;

private:
  bool addPrefixSpace;
  std::optional<Regex> pattern;
};

/// Splits at characters of a class.
class ClassPreTokenizer : public PreTokenizer {
public:
  ClassPreTokenizer(bool (*matches)(char32_t), SplitBehavior behavior)
      : matches(matches), behavior(behavior) {}
  Status split(Pieces &pieces) const override {
    return splitAtCharacters(pieces, matches, behavior);
  }

private:
  bool (*matches)(char32_t);
  SplitBehavior behavior;
};

/// Runs of word characters and runs of neither word nor white space.
class WhitespacePreTokenizer : public PreTokenizer {
public:
  Status split(Pieces &pieces) const override;
};

class BertPreTokenizer : public PreTokenizer {
public:
  Status split(Pieces &pieces) const override {
    CLADE_RETURN_IF_ERROR(
        splitAtCharacters(pieces, isWhitespace, SplitBehavior::Removed));
    return splitAtCharacters(pieces, isPunctuation, SplitBehavior::Isolated);
  }
};

class FixedLengthPreTokenizer : public PreTokenizer {
public:
  explicit FixedLengthPreTokenizer(uint64_t length) : length(length) {}
  Status split(Pieces &pieces) const override;

private:
  uint64_t length;
};

class SequencePreTokenizer : public PreTokenizer {
public:
  explicit SequencePreTokenizer(
      std::vector<std::unique_ptr<PreTokenizer>> steps)
      : steps(std::move(steps)) {}
  Status split(Pieces &pieces) const override {
    for (const auto &step : steps)
      CLADE_RETURN_IF_ERROR(step->split(pieces));
    return Status();
  }

private:
  std::vector<std::unique_ptr<PreTokenizer>> steps;
};

} // namespace

Status ByteLevelPreTokenizer::split(Pieces &pieces) const {
  if (addPrefixSpace) {
    CLADE_RETURN_IF_ERROR(pieces.forEachText(
        [&](const Piece &piece, std::vector<Piece> &out) -> Status {
          out.push_back(piece);
          if (piece.text.starts_with(' '))
            return Status();
          CLADE_ASSIGN_OR_RETURN(out.back(), prepended(pieces, " ", piece));
          return Status();
        }));
  }
  if (pattern)
    CLADE_RETURN_IF_ERROR(
        splitAtPattern(pieces, *pattern, false, SplitBehavior::Isolated));
  // One buffer for all pieces: what they become lies there in order.
  std::string letters;
  std::vector<size_t> ends;
  for (Piece &piece : pieces.list) {
    if (piece.id < 0) {
      size_t start = letters.size();
      appendByteLetters(letters, piece.text.substr(0, piece.originBytes));
      size_t originBytes = letters.size() - start;
      appendByteLetters(letters, piece.text.substr(piece.originBytes));
      piece.originBytes = originBytes;
    }
    ends.push_back(letters.size());
  }
  CLADE_ASSIGN_OR_RETURN(std::string_view kept,
                         pieces.keep(std::move(letters)));
  size_t begin = 0;
  for (size_t i = 0; i < ends.size(); ++i) {
    if (pieces.list[i].id < 0)
      pieces.list[i].text = kept.substr(begin, ends[i] - begin);
    begin = ends[i];
  }
  return Status();
}

Status WhitespacePreTokenizer::split(Pieces &pieces) const {
  enum Kind { Space, Word, Other };
  auto kindOf = [](char32_t c) {
    return isWord(c) ? Word : isWhitespace(c) ? Space : Other;
  };
  return pieces.forEachText([&](const Piece &piece, std::vector<Piece> &out) {
    size_t start = 0;
    Kind current = Space;
    for (size_t position = 0; position <= piece.text.size();) {
      bool atEnd = position == piece.text.size();
      DecodedCharacter next = {0, 1};
      if (!atEnd)
        next = decodeCharacter(piece.text, position);
      Kind kind = atEnd ? Space : kindOf(next.codePoint);
      if (kind != current || atEnd) {
        if (current != Space)
          out.push_back(piece.slice(start, position));
        start = position;
        current = kind;
      }
      position += next.length;
    }
    return Status();
  });
}

Status FixedLengthPreTokenizer::split(Pieces &pieces) const {
  return pieces.forEachText([&](const Piece &piece, std::vector<Piece> &out) {
    size_t start = 0;
    uint64_t characters = 0;
    for (size_t position = 0; position < piece.text.size();) {
      position += characterLength(piece.text[position]);
      if (++characters < length && position < piece.text.size())
        continue;
      out.push_back(piece.slice(start, position));
      start = position;
      characters = 0;
    }
    return Status();
  });
}

//===----------------------------------------------------------------------===//
// Creation
//===----------------------------------------------------------------------===//

using PreTokenizerPtr = std::unique_ptr<PreTokenizer>;

static StatusOr<SplitBehavior> parseBehavior(const JsonView &json) {
  static constexpr std::pair<std::string_view, SplitBehavior> names[] = {
      {"Removed", SplitBehavior::Removed},
      {"Isolated", SplitBehavior::Isolated},
      {"MergedWithPrevious", SplitBehavior::MergedWithPrevious},
      {"MergedWithNext", SplitBehavior::MergedWithNext},
      {"Contiguous", SplitBehavior::Contiguous},
  };
  CLADE_ASSIGN_OR_RETURN(std::string text, json.asString());
  for (const auto &[name, behavior] : names)
    if (text == name)
      return behavior;
  return json.corruption(
      "expected 'Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext' "
      "or 'Contiguous', got " +
      quoteName(text));
}

/// GPT-2's split into words.
static constexpr std::string_view gpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

static StatusOr<PreTokenizerPtr> createByteLevel(const JsonView &json) {
  CLADE_ASSIGN_OR_RETURN(bool addPrefixSpace, json.boolAt("add_prefix_space"));
  CLADE_ASSIGN_OR_RETURN(bool useRegex, json.boolOr("use_regex", true));
  std::optional<Regex> pattern;
  if (useRegex) {
    CLADE_ASSIGN_OR_RETURN(pattern, Regex::compile(gpt2Pattern));
  }
  return PreTokenizerPtr(
      new ByteLevelPreTokenizer(addPrefixSpace, std::move(pattern)));
}

static StatusOr<PreTokenizerPtr> createSplit(const JsonView &json) {
  CLADE_ASSIGN_OR_RETURN(JsonView patternJson, json.at("pattern"));
  CLADE_ASSIGN_OR_RETURN(Regex pattern, parsePattern(patternJson));
  CLADE_ASSIGN_OR_RETURN(JsonView behaviorJson, json.at("behavior"));
  CLADE_ASSIGN_OR_RETURN(SplitBehavior behavior, parseBehavior(behaviorJson));
  CLADE_ASSIGN_OR_RETURN(bool invert, json.boolAt("invert"));
  return PreTokenizerPtr(
      new SplitPreTokenizer(std::move(pattern), invert, behavior));
}

static StatusOr<PreTokenizerPtr> createPunctuation(const JsonView &json) {
  SplitBehavior behavior = SplitBehavior::Isolated;
  if (std::optional<JsonView> given = json.find("behavior")) {
    CLADE_ASSIGN_OR_RETURN(behavior, parseBehavior(*given));
  }
  return PreTokenizerPtr(new ClassPreTokenizer(isPunctuation, behavior));
}

static StatusOr<PreTokenizerPtr> createFixedLength(const JsonView &json) {
  uint64_t length = 5;
  if (json.has("length")) {
    CLADE_ASSIGN_OR_RETURN(length, json.sizeAt("length"));
  }
  if (length == 0)
    return json.corruption("'length' is 0, expected at least 1");
  return PreTokenizerPtr(new FixedLengthPreTokenizer(length));
}

static StatusOr<PreTokenizerPtr> createDelimiter(const JsonView &json) {
  CLADE_ASSIGN_OR_RETURN(std::string delimiter, json.stringAt("delimiter"));
  if (delimiter.empty() || characterLength(delimiter[0]) != delimiter.size())
    return json.corruption("'delimiter' is not one character");
  CLADE_ASSIGN_OR_RETURN(Regex pattern, Regex::literal(delimiter));
  return PreTokenizerPtr(
      new SplitPreTokenizer(std::move(pattern), false, SplitBehavior::Removed));
}

static StatusOr<PreTokenizerPtr> createPreTokenizers(const JsonView &json) {
  CLADE_ASSIGN_OR_RETURN(JsonView list, json.at("pretokenizers"));
  CLADE_ASSIGN_OR_RETURN(std::vector<JsonView> elements, list.elements());
  std::vector<PreTokenizerPtr> steps;
  for (const JsonView &element : elements) {
    CLADE_ASSIGN_OR_RETURN(PreTokenizerPtr step, PreTokenizer::create(element));
    steps.push_back(std::move(step));
  }
  return PreTokenizerPtr(new SequencePreTokenizer(std::move(steps)));
}

StatusOr<PreTokenizerPtr> PreTokenizer::create(const JsonView &json) {
  CLADE_ASSIGN_OR_RETURN(std::string type, json.type());
  if (type == "ByteLevel")
    return createByteLevel(json);
  if (type == "Split")
    return createSplit(json);
  if (type == "Metaspace")
    return createMetaspace(json);
  if (type == "Sequence")
    return createPreTokenizers(json);
  if (type == "Punctuation")
    return createPunctuation(json);
  if (type == "FixedLength")
    return createFixedLength(json);
  if (type == "CharDelimiterSplit")
    return createDelimiter(json);
  if (type == "Whitespace")
    return PreTokenizerPtr(new WhitespacePreTokenizer());
  if (type == "BertPreTokenizer")
    return PreTokenizerPtr(new BertPreTokenizer());
  if (type == "WhitespaceSplit")
    return PreTokenizerPtr(
        new ClassPreTokenizer(isWhitespace, SplitBehavior::Removed));
  if (type == "Digits") {
    CLADE_ASSIGN_OR_RETURN(bool individual, json.boolAt("individual_digits"));
    return PreTokenizerPtr(new ClassPreTokenizer(
        isNumeric,
        individual ? SplitBehavior::Isolated : SplitBehavior::Contiguous));
  }
  return json.unsupportedType("pre-tokenizer", type);
}

StatusOr<PreTokenizerPtr>
PreTokenizer::byteLevel(const std::vector<std::string> &patterns) {
  std::vector<PreTokenizerPtr> steps;
  for (const std::string &pattern : patterns) {
    CLADE_ASSIGN_OR_RETURN(Regex regex, Regex::compile(pattern));
    steps.push_back(std::make_unique<SplitPreTokenizer>(
        std::move(regex), false, SplitBehavior::Isolated));
  }
  steps.push_back(std::make_unique<ByteLevelPreTokenizer>(false, std::nullopt));
  return PreTokenizerPtr(new SequencePreTokenizer(std::move(steps)));
}
