//===- Precompiled.cpp - SentencePiece's table of replacements ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The `precompiled_charsmap` of a SentencePiece model, base64 in the file: the
// size in bytes of a double-array trie (u32), its units (u32 each, little
// endian, as darts-clone lays them out), and the replacements, each ended by a
// zero byte. The trie's values are offsets into the replacements.
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/Normalizer.h"
#include "runtime/Tokenizer/Unicode.h"

#include <optional>
#include <vector>

using namespace clade::rt;

namespace {

class PrecompiledNormalizer : public Normalizer {
public:
  PrecompiledNormalizer(std::vector<uint32_t> units, std::string replacements)
      : units(std::move(units)), replacements(std::move(replacements)) {}

  Status normalize(NormalizedText &text) const override;

private:
  std::optional<std::string_view> find(std::string_view key) const;

  std::vector<uint32_t> units;
  std::string replacements;
};

} // namespace

// Fields of a unit of darts-clone's double array.
static bool hasLeaf(uint32_t unit) { return unit >> 8 & 1; }
static uint32_t leafValue(uint32_t unit) { return unit & 0x7FFFFFFF; }
static uint32_t unitLabel(uint32_t unit) { return unit & 0x800000FF; }
static uint32_t unitOffset(uint32_t unit) {
  return unit >> 10 << ((unit & 0x200) >> 6);
}

/// The replacement for the shortest entry that `key` starts with.
std::optional<std::string_view>
PrecompiledNormalizer::find(std::string_view key) const {
  size_t node = units.empty() ? 0 : unitOffset(units[0]);
  for (char byte : key) {
    auto label = static_cast<unsigned char>(byte);
    if (label == 0)
      return std::nullopt;
    node ^= label;
    if (node >= units.size() || unitLabel(units[node]) != label)
      return std::nullopt;
    bool isEntry = hasLeaf(units[node]);
    node ^= unitOffset(units[node]);
    if (!isEntry)
      continue;
    if (node >= units.size())
      return std::nullopt;
    size_t begin = leafValue(units[node]);
    if (begin >= replacements.size())
      return std::string_view();
    size_t end = replacements.find('\0', begin);
    if (end == std::string::npos)
      end = replacements.size();
    // A damaged table could point into the middle of a character.
    std::string_view found(replacements.data() + begin, end - begin);
    return isValidUTF8(found) ? std::optional(found) : std::nullopt;
  }
  return std::nullopt;
}

namespace {
/// Follows where the library takes the characters of the result from. It counts
/// characters, and loses count of those that vanish at the start: each later
/// one then stems from one further left.
class OriginTracker {
public:
  explicit OriginTracker(const NormalizedText &text)
      : text(text.text), originBytes(text.originBytes) {}

  /// `from` became `to`.
  void replace(std::string_view from, std::string_view to) {
    if (to.empty() && isAtStart)
      return;
    isAtStart = false;
    size_t characters = countCharacters(from);
    for (size_t i = 0; i < to.size(); i += characterLength(to[i])) {
      // An additional character stems from where the one before it does.
      bool isFromOrigin =
          characters > 0 ? position < originBytes : position <= originBytes;
      if (isFromOrigin && !isPastOrigin)
        result += characterLength(to[i]);
      isPastOrigin |= !isFromOrigin;
      if (characters > 0)
        advance(characters);
    }
    while (characters > 0)
      advance(characters);
  }

  size_t resultOriginBytes() const { return result; }

private:
  static size_t countCharacters(std::string_view part) {
    size_t count = 0;
    for (char byte : part)
      count += !isContinuationByte(byte);
    return count;
  }
  void advance(size_t &characters) {
    --characters;
    position += characterLength(text[position]);
  }

  std::string_view text;
  size_t originBytes;
  size_t position = 0, result = 0;
  bool isAtStart = true, isPastOrigin = false;
};
} // namespace

Status PrecompiledNormalizer::normalize(NormalizedText &text) const {
  std::string out;
  out.reserve(text.text.size());
  OriginTracker origin(text);
  auto replace = [&](std::string_view from, std::string_view to) {
    out += to;
    origin.replace(from, to);
  };
  std::string_view rest = text.text;
  while (!rest.empty()) {
    std::string_view grapheme = rest.substr(0, graphemeLength(rest));
    rest.remove_prefix(grapheme.size());
    // As in SentencePiece: short graphemes are looked up whole first.
    std::optional<std::string_view> whole;
    if (grapheme.size() < 6)
      whole = find(grapheme);
    if (whole) {
      replace(grapheme, *whole);
      grapheme = {};
    }
    while (!grapheme.empty()) {
      std::string_view c = grapheme.substr(0, characterLength(grapheme[0]));
      grapheme.remove_prefix(c.size());
      replace(c, find(c).value_or(c));
    }
    CLADE_RETURN_IF_ERROR(checkTextSize(out.size()));
  }
  text = {std::move(out), origin.resultOriginBytes()};
  return Status();
}

/// Decodes base64 with padding; nothing when it is malformed.
static std::optional<std::string> decodeBase64(std::string_view text) {
  if (text.size() % 4 != 0)
    return std::nullopt;
  static constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  uint32_t bits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    size_t value = 0;
    if (i < text.size() - padding)
      value = alphabet.find(text[i]);
    if (value == std::string_view::npos)
      return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    if (i % 4 != 3)
      continue;
    out += static_cast<char>(bits >> 16);
    out += static_cast<char>(bits >> 8);
    out += static_cast<char>(bits);
  }
  out.resize(out.size() - padding);
  return out;
}

StatusOr<std::unique_ptr<Normalizer>>
clade::rt::createPrecompiled(const JsonView &json) {
  CLADE_ASSIGN_OR_RETURN(std::string encoded,
                         json.stringAt("precompiled_charsmap"));
  std::optional<std::string> blob = decodeBase64(encoded);
  if (!blob)
    return json.corruption("'precompiled_charsmap' is not base64");
  auto word = [&](size_t offset) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i)
      value |=
          static_cast<uint32_t>(static_cast<unsigned char>((*blob)[offset + i]))
          << (8 * i);
    return value;
  };
  if (blob->size() < 4 || word(0) > blob->size() - 4)
    return json.corruption("'precompiled_charsmap' is shorter than it says");
  std::vector<uint32_t> units(word(0) / 4);
  for (size_t i = 0; i < units.size(); ++i)
    units[i] = word(4 + 4 * i);
  std::string replacements = blob->substr(4 + 4 * units.size());
  if (!isValidUTF8(replacements))
    return json.corruption("'precompiled_charsmap' holds invalid UTF-8");
  return std::unique_ptr<Normalizer>(
      new PrecompiledNormalizer(std::move(units), std::move(replacements)));
}
