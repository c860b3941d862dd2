//===- Normalizer.cpp - Rewriting of the text before it is split ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/Normalizer.h"
#include "runtime/Tokenizer/ByteLevel.h"
#include "runtime/Tokenizer/Unicode.h"

#include <algorithm>
#include <vector>

using namespace clade::rt;

Status clade::rt::checkTextSize(size_t size) {
  if (size <= maxTextSize)
    return Status();
  return Status::resourceExhausted("the text grew beyond " +
                                   std::to_string(maxTextSize) + " bytes");
}

/// Rewrites `text` character by character: `append(out, c)` appends what `c`
/// becomes. Characters from the origin stay at the origin.
template <typename Append>
static void mapCharacters(NormalizedText &text, Append &&append) {
  std::string out;
  out.reserve(text.text.size());
  size_t originBytes = 0;
  for (size_t position = 0; position < text.text.size();) {
    auto [c, length] = decodeCharacter(text.text, position);
    append(out, c);
    if (position < text.originBytes)
      originBytes = out.size();
    position += length;
  }
  text.text = std::move(out);
  text.originBytes = originBytes;
}

static void applyNormalForm(NormalizedText &text, NormalForm form) {
  // The first character's part of the result is where the origin ends.
  std::string_view origin(text.text.data(), text.originBytes);
  size_t originBytes = origin.empty() ? 0 : normalize(origin, form).size();
  text.text = normalize(text.text, form);
  text.originBytes = std::min(originBytes, text.text.size());
}

static void lowercase(NormalizedText &text) {
  mapCharacters(text, appendLowercase);
}

namespace {

class NormalFormNormalizer : public Normalizer {
public:
  explicit NormalFormNormalizer(NormalForm form) : form(form) {}
  Status normalize(NormalizedText &text) const override {
    applyNormalForm(text, form);
    return Status();
  }

private:
  NormalForm form;
};

class LowercaseNormalizer : public Normalizer {
public:
  Status normalize(NormalizedText &text) const override {
    lowercase(text);
    return Status();
  }
};

class StripAccentsNormalizer : public Normalizer {
public:
  Status normalize(NormalizedText &text) const override {
    mapCharacters(text, [](std::string &out, char32_t c) {
      if (!isCombiningMark(c))
        appendCharacter(out, c);
    });
    return Status();
  }
};

class StripNormalizer : public Normalizer {
public:
  StripNormalizer(bool left, bool right) : left(left), right(right) {}
  Status normalize(NormalizedText &text) const override;

private:
  bool left, right;
};

/// SentencePiece's cleaning: control characters go, blanks become spaces.
class NmtNormalizer : public Normalizer {
public:
  Status normalize(NormalizedText &text) const override;
};

class BertNormalizer : public Normalizer {
public:
  struct Options {
    bool cleanText, handleChineseCharacters, stripAccents, lowercase;
  };
  explicit BertNormalizer(Options options) : options(options) {}
  Status normalize(NormalizedText &text) const override;

private:
  Options options;
};

class ReplaceNormalizer : public Normalizer {
public:
  ReplaceNormalizer(Regex pattern, std::string content)
      : pattern(std::move(pattern)), content(std::move(content)) {}
  Status normalize(NormalizedText &text) const override {
    return replaceAll(text, pattern, content);
  }

private:
  Regex pattern;
  std::string content;
};

class PrependNormalizer : public Normalizer {
public:
  explicit PrependNormalizer(std::string content)
      : content(std::move(content)) {}
  Status normalize(NormalizedText &text) const override {
    if (text.text.empty())
      return Status();
    text.text.insert(0, content);
    if (text.originBytes > 0)
      text.originBytes += content.size();
    return Status();
  }

private:
  std::string content;
};

class ByteLevelNormalizer : public Normalizer {
public:
  Status normalize(NormalizedText &text) const override {
    std::string out;
    out.reserve(text.text.size() * 2);
    std::string_view whole = text.text;
    appendByteLetters(out, whole.substr(0, text.originBytes));
    size_t originBytes = out.size();
    appendByteLetters(out, whole.substr(text.originBytes));
    text = {std::move(out), originBytes};
    return Status();
  }
};

class SequenceNormalizer : public Normalizer {
public:
  explicit SequenceNormalizer(std::vector<std::unique_ptr<Normalizer>> steps)
      : steps(std::move(steps)) {}
  Status normalize(NormalizedText &text) const override {
    for (const auto &step : steps) {
      CLADE_RETURN_IF_ERROR(step->normalize(text));
      CLADE_RETURN_IF_ERROR(checkTextSize(text.text.size()));
    }
    return Status();
  }

private:
  std::vector<std::unique_ptr<Normalizer>> steps;
};

} // namespace

Status StripNormalizer::normalize(NormalizedText &text) const {
  std::string_view rest = text.text;
  while (left && !rest.empty()) {
    auto [c, length] = decodeCharacter(rest, 0);
    if (!isWhitespace(c))
      break;
    rest.remove_prefix(length);
  }
  size_t removed = text.text.size() - rest.size();
  while (right && !rest.empty()) {
    size_t last = previousCharacter(rest, rest.size());
    if (!isWhitespace(decodeCharacter(rest, last).codePoint))
      break;
    rest = rest.substr(0, last);
  }
  text.originBytes -= std::min(text.originBytes, removed);
  text.originBytes = std::min(text.originBytes, rest.size());
  text.text = std::string(rest);
  return Status();
}

Status NmtNormalizer::normalize(NormalizedText &text) const {
  mapCharacters(text, [](std::string &out, char32_t c) {
    bool isRemoved = (c >= 0x01 && c <= 0x08) || c == 0x0B ||
                     (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F ||
                     c == 0x9F;
    if (isRemoved)
      return;
    bool isBlank = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D ||
                   c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 ||
                   c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
    appendCharacter(out, isBlank ? U' ' : c);
  });
  return Status();
}

Status BertNormalizer::normalize(NormalizedText &text) const {
  if (options.cleanText)
    mapCharacters(text, [](std::string &out, char32_t c) {
      if (!isBertControl(c))
        appendCharacter(out, isWhitespace(c) ? U' ' : c);
    });
  if (options.handleChineseCharacters)
    mapCharacters(text, [](std::string &out, char32_t c) {
      bool isolated = isChineseCharacter(c);
      if (isolated)
        out += ' ';
      appendCharacter(out, c);
      if (isolated)
        out += ' ';
    });
  if (options.stripAccents) {
    applyNormalForm(text, NormalForm::NFD);
    mapCharacters(text, [](std::string &out, char32_t c) {
      if (!isBertAccent(c))
        appendCharacter(out, c);
    });
  }
  if (options.lowercase)
    lowercase(text);
  return Status();
}

Status clade::rt::replaceAll(NormalizedText &text, const Regex &pattern,
                             std::string_view content) {
  std::string out;
  out.reserve(text.text.size());
  size_t originBytes = 0;
  std::string_view whole = text.text;
  CLADE_RETURN_IF_ERROR(pattern.forEachSpan(whole, [&](const Span &span) {
    if (span.isMatch)
      out += content;
    else
      out += whole.substr(span.begin, span.end - span.begin);
    // A replacement comes from where its match ends.
    if (span.end <= text.originBytes)
      originBytes = out.size();
    else if (!span.isMatch && span.begin < text.originBytes)
      originBytes = out.size() - (span.end - text.originBytes);
    return checkTextSize(out.size());
  }));
  text = {std::move(out), originBytes};
  return Status();
}

//===----------------------------------------------------------------------===//
// Creation
//===----------------------------------------------------------------------===//

StatusOr<Regex> clade::rt::parsePattern(const JsonView &json) {
  if (json.has("String")) {
    CLADE_ASSIGN_OR_RETURN(std::string text, json.stringAt("String"));
    return Regex::literal(text);
  }
  if (!json.has("Regex"))
    return json.corruption("expected a member 'String' or 'Regex'");
  CLADE_ASSIGN_OR_RETURN(std::string text, json.stringAt("Regex"));
  StatusOr<Regex> regex = Regex::compile(text);
  if (regex.ok())
    return regex;
  // What the pattern says wrong is the file's fault.
  if (regex.status().code() == StatusCode::InvalidArgument)
    return json.corruption(regex.status().message());
  return json.unsupported(regex.status().message());
}

static StatusOr<std::unique_ptr<Normalizer>> createBert(const JsonView &json) {
  BertNormalizer::Options options;
  CLADE_ASSIGN_OR_RETURN(options.cleanText, json.boolOr("clean_text", true));
  CLADE_ASSIGN_OR_RETURN(options.handleChineseCharacters,
                         json.boolOr("handle_chinese_chars", true));
  CLADE_ASSIGN_OR_RETURN(options.lowercase, json.boolOr("lowercase", true));
  CLADE_ASSIGN_OR_RETURN(options.stripAccents,
                         json.boolOr("strip_accents", options.lowercase));
  return std::unique_ptr<Normalizer>(new BertNormalizer(options));
}

static StatusOr<std::unique_ptr<Normalizer>>
createNormalizers(const JsonView &json) {
  CLADE_ASSIGN_OR_RETURN(JsonView list, json.at("normalizers"));
  CLADE_ASSIGN_OR_RETURN(std::vector<JsonView> elements, list.elements());
  std::vector<std::unique_ptr<Normalizer>> steps;
  for (const JsonView &element : elements) {
    CLADE_ASSIGN_OR_RETURN(auto step, Normalizer::create(element));
    steps.push_back(std::move(step));
  }
  return std::unique_ptr<Normalizer>(new SequenceNormalizer(std::move(steps)));
}

StatusOr<std::unique_ptr<Normalizer>>
Normalizer::sentencePiece(bool addsSpace) {
  constexpr const char *mark = "\xE2\x96\x81";
  CLADE_ASSIGN_OR_RETURN(Regex space, Regex::literal(" "));
  std::vector<std::unique_ptr<Normalizer>> steps;
  if (addsSpace)
    steps.push_back(std::make_unique<PrependNormalizer>(mark));
  steps.push_back(std::make_unique<ReplaceNormalizer>(std::move(space), mark));
  return std::unique_ptr<Normalizer>(new SequenceNormalizer(std::move(steps)));
}

StatusOr<std::unique_ptr<Normalizer>> Normalizer::create(const JsonView &json) {
  using Result = std::unique_ptr<Normalizer>;
  CLADE_ASSIGN_OR_RETURN(std::string type, json.type());
  static constexpr std::pair<std::string_view, NormalForm> forms[] = {
      {"NFC", NormalForm::NFC},
      {"NFD", NormalForm::NFD},
      {"NFKC", NormalForm::NFKC},
      {"NFKD", NormalForm::NFKD}};
  for (const auto &[name, form] : forms)
    if (type == name)
      return Result(new NormalFormNormalizer(form));
  if (type == "Lowercase")
    return Result(new LowercaseNormalizer());
  if (type == "StripAccents")
    return Result(new StripAccentsNormalizer());
  if (type == "Nmt")
    return Result(new NmtNormalizer());
  if (type == "ByteLevel")
    return Result(new ByteLevelNormalizer());
  if (type == "BertNormalizer")
    return createBert(json);
  if (type == "Precompiled")
    return createPrecompiled(json);
  if (type == "Sequence")
    return createNormalizers(json);
  if (type == "Strip") {
    CLADE_ASSIGN_OR_RETURN(bool left, json.boolAt("strip_left"));
    CLADE_ASSIGN_OR_RETURN(bool right, json.boolAt("strip_right"));
    return Result(new StripNormalizer(left, right));
  }
  if (type == "Prepend") {
    CLADE_ASSIGN_OR_RETURN(std::string content, json.stringAt("prepend"));
    return Result(new PrependNormalizer(std::move(content)));
  }
  if (type == "Replace") {
    CLADE_ASSIGN_OR_RETURN(JsonView patternJson, json.at("pattern"));
    CLADE_ASSIGN_OR_RETURN(Regex pattern, parsePattern(patternJson));
    CLADE_ASSIGN_OR_RETURN(std::string content, json.stringAt("content"));
    return Result(
        new ReplaceNormalizer(std::move(pattern), std::move(content)));
  }
  return json.unsupportedType("normalizer", type);
}
