//===- Unicode.h - UTF-8, character classes and normal forms ----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the tokenizer needs of Unicode. The classes are those of the Python
// tokenizers library, whose parts follow different versions of Unicode; they
// come from UnicodeTables.inc. Normal forms, case and grapheme boundaries come
// from utf8proc, corrected where the library's versions differ.
//
// Strings are valid UTF-8 everywhere behind toValidUTF8().
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_UNICODE_H
#define CLADE_RUNTIME_TOKENIZER_UNICODE_H

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace clade::rt {

/// U+FFFD, which stands for what is not valid UTF-8.
inline constexpr std::string_view replacementCharacter = "\xEF\xBF\xBD";

/// A decoded code point and the number of bytes it took.
struct DecodedCharacter {
  char32_t codePoint;
  uint32_t length;
};

/// The length in bytes of the character that starts with `lead`, a lead byte
/// of valid UTF-8.
inline uint32_t characterLength(char lead) {
  auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// True for a byte that continues a character.
inline bool isContinuationByte(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

/// Decodes the character at `text[position]`; `text` is valid UTF-8 and
/// `position` is the start of a character.
DecodedCharacter decodeCharacter(std::string_view text, size_t position);

/// The start of the last character of `text[0, end)`; valid UTF-8, end > 0.
size_t previousCharacter(std::string_view text, size_t end);

/// Appends the UTF-8 form of a code point.
void appendCharacter(std::string &out, char32_t codePoint);

/// What stands at the start of some bytes.
struct UTF8Prefix {
  enum Kind { Valid, Invalid, Incomplete };
  Kind kind;
  /// Valid: the character's length. Invalid: the length of the maximal
  /// subpart that cannot be continued. Incomplete: all bytes, which more bytes
  /// could complete.
  uint32_t length;
};

/// Classifies the first character of `bytes`, which are not empty.
UTF8Prefix scanUTF8(std::string_view bytes);

bool isValidUTF8(std::string_view bytes);

/// `bytes` with each maximal subpart of an ill-formed sequence (Unicode 3.9,
/// the practice of the WHATWG, of Python and of Rust's from_utf8_lossy)
/// replaced by one U+FFFD.
std::string toValidUTF8(std::string_view bytes);

/// White_Space of Unicode.
bool isWhitespace(char32_t c);
/// General category Nd, Nl or No.
bool isNumeric(char32_t c);
/// ASCII punctuation and symbols, or general category P.
bool isPunctuation(char32_t c);
/// `\w`: alphabetic, mark, decimal digit, connector or join control.
bool isWord(char32_t c);
/// General category M, as StripAccents sees it.
bool isCombiningMark(char32_t c);
/// General category Mn, as BERT's accent stripping sees it.
bool isBertAccent(char32_t c);
/// The control characters, U+0000 and U+FFFD that BERT's cleaning removes.
bool isBertControl(char32_t c);
/// The CJK ideographs that BERT surrounds with spaces.
bool isChineseCharacter(char32_t c);

/// Appends the full lowercase mapping of `c`, without context.
void appendLowercase(std::string &out, char32_t c);

enum class NormalForm { NFC, NFD, NFKC, NFKD };

/// `text` in a normal form.
std::string normalize(std::string_view text, NormalForm form);

/// The length in bytes of the first extended grapheme cluster of `text`, which
/// is not empty.
size_t graphemeLength(std::string_view text);

/// Inclusive ends.
struct CodePointRange {
  char32_t first, last;
};

/// The alphabetic characters that are neither letters nor letter numbers.
std::span<const CodePointRange> otherAlphabetic();

/// What Unicode added after version 14 to a general category or to the script
/// "Han"; empty when there is nothing.
std::span<const CodePointRange> newerMembers(std::string_view className);

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_UNICODE_H
