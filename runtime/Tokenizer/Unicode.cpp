//===- Unicode.cpp - UTF-8, character classes and normal forms ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/Unicode.h"

#include <algorithm>
#include <cstdlib>
#include <utf8proc.h>

using namespace clade::rt;

namespace {
struct NewerClass {
  std::string_view name;
  std::span<const CodePointRange> ranges;
};

#include "runtime/Tokenizer/UnicodeTables.inc"

/// Lowercase mappings newer than utf8proc 2.8: first, last, distance.
struct LowercaseRange {
  char32_t first, last;
  int32_t distance;
};
constexpr LowercaseRange newerLowercase[] = {
    {0x1C89, 0x1C89, 1},      {0xA7CB, 0xA7CB, 0x264 - 0xA7CB},
    {0xA7CC, 0xA7CC, 1},      {0xA7CE, 0xA7CE, 1},
    {0xA7D2, 0xA7D2, 1},      {0xA7D4, 0xA7D4, 1},
    {0xA7DA, 0xA7DA, 1},      {0xA7DC, 0xA7DC, 0x19B - 0xA7DC},
    {0x10D50, 0x10D65, 0x20}, {0x16EA0, 0x16EB8, 0x1B},
};

/// Characters whose decomposition is newer than the library's Unicode 12.
constexpr CodePointRange undecomposed[] = {
    {0x32FF, 0x32FF},   {0xA7F2, 0xA7F4},   {0xAB69, 0xAB69},
    {0x10781, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA},
    {0x11938, 0x11938}, {0x1E030, 0x1E06D}, {0x1F16C, 0x1F16C},
    {0x1FBF0, 0x1FBF9},
};

bool contains(std::span<const CodePointRange> ranges, char32_t c) {
  const auto *end = ranges.data() + ranges.size();
  const auto *range = std::lower_bound(
      ranges.data(), end, c, [](const CodePointRange &range, char32_t value) {
        return range.last < value;
      });
  return range != end && range->first <= c;
}
} // namespace

//===----------------------------------------------------------------------===//
// UTF-8
//===----------------------------------------------------------------------===//

DecodedCharacter clade::rt::decodeCharacter(std::string_view text,
                                            size_t position) {
  auto byte = [&](size_t i) -> char32_t {
    return static_cast<unsigned char>(text[position + i]);
  };
  char32_t lead = byte(0);
  uint32_t length = characterLength(text[position]);
  switch (length) {
  case 1:
    return {lead, 1};
  case 2:
    return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  case 3:
    return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  default:
    return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 |
                (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F),
            4};
  }
}

size_t clade::rt::previousCharacter(std::string_view text, size_t end) {
  size_t start = end - 1;
  while (start > 0 && isContinuationByte(text[start]))
    --start;
  return start;
}

void clade::rt::appendCharacter(std::string &out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
    return;
  }
  if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      out += static_cast<char>(0xE0 | c >> 12);
    } else {
      out += static_cast<char>(0xF0 | c >> 18);
      out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    }
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
  }
  out += static_cast<char>(0x80 | (c & 0x3F));
}

UTF8Prefix clade::rt::scanUTF8(std::string_view bytes) {
  auto lead = static_cast<unsigned char>(bytes[0]);
  if (lead < 0x80)
    return {UTF8Prefix::Valid, 1};
  if (lead < 0xC2 || lead > 0xF4)
    return {UTF8Prefix::Invalid, 1};
  uint32_t length = characterLength(bytes[0]);
  // The second byte's range excludes overlong forms, surrogates and what lies
  // above U+10FFFF.
  unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (uint32_t i = 1; i < length; ++i) {
    if (i == bytes.size())
      return {UTF8Prefix::Incomplete, i};
    auto byte = static_cast<unsigned char>(bytes[i]);
    if (byte < low || byte > high)
      return {UTF8Prefix::Invalid, i};
    low = 0x80;
    high = 0xBF;
  }
  return {UTF8Prefix::Valid, length};
}

/// The number of leading bytes of `bytes` that are valid UTF-8.
static size_t validPrefix(std::string_view bytes) {
  size_t position = 0;
  while (position < bytes.size()) {
    if (static_cast<unsigned char>(bytes[position]) < 0x80) {
      ++position;
      continue;
    }
    UTF8Prefix next = scanUTF8(bytes.substr(position));
    if (next.kind != UTF8Prefix::Valid)
      return position;
    position += next.length;
  }
  return position;
}

bool clade::rt::isValidUTF8(std::string_view bytes) {
  return validPrefix(bytes) == bytes.size();
}

std::string clade::rt::toValidUTF8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    size_t valid = validPrefix(bytes);
    out += bytes.substr(0, valid);
    bytes.remove_prefix(valid);
    if (bytes.empty())
      break;
    out += replacementCharacter;
    bytes.remove_prefix(scanUTF8(bytes).length);
  }
  return out;
}

//===----------------------------------------------------------------------===//
// Character classes
//===----------------------------------------------------------------------===//

bool clade::rt::isWhitespace(char32_t c) {
  if (c < 0x80)
    return c == ' ' || (c >= '\t' && c <= '\r');
  return c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

bool clade::rt::isNumeric(char32_t c) { return contains(numericRanges, c); }

bool clade::rt::isPunctuation(char32_t c) {
  return contains(punctuationRanges, c);
}

bool clade::rt::isWord(char32_t c) { return contains(wordRanges, c); }

bool clade::rt::isCombiningMark(char32_t c) {
  return contains(combiningMarkRanges, c);
}

bool clade::rt::isBertAccent(char32_t c) {
  return contains(bertAccentRanges, c);
}

bool clade::rt::isBertControl(char32_t c) {
  return contains(bertControlRanges, c);
}

bool clade::rt::isChineseCharacter(char32_t c) {
  // The gap between U+2B81F and U+2B920 is the library's.
  static constexpr CodePointRange ranges[] = {
      {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
      {0x20000, 0x2A6DF}, {0x2A700, 0x2B81F}, {0x2B920, 0x2CEAF},
      {0x2F800, 0x2FA1F},
  };
  return contains(ranges, c);
}

void clade::rt::appendLowercase(std::string &out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return;
  }
  // The only character whose lowercase form is longer than one code point.
  if (c == 0x130) {
    out += "i\xCC\x87";
    return;
  }
  for (const LowercaseRange &range : newerLowercase) {
    if (c < range.first || c > range.last)
      continue;
    appendCharacter(
        out, static_cast<char32_t>(static_cast<int32_t>(c) + range.distance));
    return;
  }
  appendCharacter(out, static_cast<char32_t>(
                           utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}

std::span<const CodePointRange> clade::rt::otherAlphabetic() {
  return otherAlphabeticRanges;
}

std::span<const CodePointRange>
clade::rt::newerMembers(std::string_view className) {
  for (const NewerClass &entry : newerClasses)
    if (entry.name == className)
      return entry.ranges;
  return {};
}

//===----------------------------------------------------------------------===//
// Normal forms and graphemes
//===----------------------------------------------------------------------===//

static int utf8procOptions(NormalForm form) {
  switch (form) {
  case NormalForm::NFC:
    return UTF8PROC_COMPOSE;
  case NormalForm::NFD:
    return UTF8PROC_DECOMPOSE;
  case NormalForm::NFKC:
    return UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
  case NormalForm::NFKD:
    break;
  }
  return UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;
}

/// Whether `c` is younger than the library's tables: without decomposition, and
/// a starter, as which nothing composes with it or moves past it.
static bool isUnknownToNormalization(char32_t c) {
  if (c < 0x300)
    return false;
  if (contains(undecomposed, c))
    return true;
  const utf8proc_property_t *property =
      utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
  return property->combining_class != 0 && !contains(reorderedRanges, c);
}

/// Appends `text`, all of which the library's tables know, normalized.
static void appendNormalized(std::string &out, std::string_view text,
                             NormalForm form) {
  if (text.empty())
    return;
  auto options =
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | utf8procOptions(form));
  utf8proc_uint8_t *result = nullptr;
  utf8proc_ssize_t length = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t *>(text.data()),
      static_cast<utf8proc_ssize_t>(text.size()), &result, options);
  // Valid UTF-8 fails only for want of memory; the text then stays as it is.
  if (length < 0)
    out += text;
  else
    out.append(reinterpret_cast<const char *>(result),
               static_cast<size_t>(length));
  std::free(result);
}

std::string clade::rt::normalize(std::string_view text, NormalForm form) {
  bool isASCII = std::all_of(text.begin(), text.end(), [](char byte) {
    return static_cast<unsigned char>(byte) < 0x80;
  });
  if (isASCII)
    return std::string(text);
  std::string out;
  size_t start = 0, position = 0;
  while (position < text.size()) {
    auto [c, length] = decodeCharacter(text, position);
    if (isUnknownToNormalization(c)) {
      appendNormalized(out, text.substr(start, position - start), form);
      out += text.substr(position, length);
      start = position + length;
    }
    position += length;
  }
  appendNormalized(out, text.substr(start), form);
  return out;
}

size_t clade::rt::graphemeLength(std::string_view text) {
  auto [previous, position] = decodeCharacter(text, 0);
  utf8proc_int32_t state = 0;
  size_t end = position;
  while (end < text.size()) {
    auto [next, length] = decodeCharacter(text, end);
    if (utf8proc_grapheme_break_stateful(
            static_cast<utf8proc_int32_t>(previous),
            static_cast<utf8proc_int32_t>(next), &state))
      return end;
    previous = next;
    end += length;
  }
  return end;
}
