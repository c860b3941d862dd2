//===- Lexer.cpp - Tokens of PTX ------------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Lexer.h"

#include <bit>
#include <charconv>
#include <cstdlib>

using namespace clade::ptx;

namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isWordStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         c == '$' || c == '%';
}
bool isWordRest(char c) { return (isWordStart(c) && c != '%') || isDigit(c); }
int hexDigit(char c) {
  if (isDigit(c))
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

} // namespace

std::string Token::described() const {
  if (kind == Kind::End)
    return "the end of the text";
  if (kind == Kind::Invalid && text.size() == 1 &&
      (text[0] < ' ' || text[0] > '~')) {
    static const char digits[] = "0123456789abcdef";
    unsigned char byte = text[0];
    return std::string("the byte 0x") + digits[byte >> 4] + digits[byte & 15];
  }
  constexpr size_t longest = 60;
  std::string shown(text.substr(0, longest));
  if (text.size() > longest)
    shown += "…";
  return "'" + shown + "'";
}

void Lexer::skipBlanks() {
  while (position < text.size()) {
    char c = text[position];
    if (c == '\n') {
      ++position;
      ++line;
      lineStart = position;
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v' ||
               c == '\0') {
      // Some drivers' callers count the terminating zero as text.
      ++position;
    } else if (c == '/' && at(1) == '/') {
      while (position < text.size() && text[position] != '\n')
        ++position;
    } else if (c == '#' && position == lineStart) {
      while (position < text.size() && text[position] != '\n')
        ++position;
    } else if (c == '/' && at(1) == '*') {
      position += 2;
      while (position < text.size() && !(text[position] == '*' && at(1) == '/'))
        if (text[position++] == '\n') {
          ++line;
          lineStart = position;
        }
      position = position + 2 < text.size() ? position + 2 : text.size();
    } else {
      return;
    }
  }
}

Token Lexer::take(Token::Kind kind, size_t length) {
  Token token;
  token.kind = kind;
  token.text = text.substr(position, length);
  token.line = line;
  token.column = position - lineStart + 1;
  position += length;
  return token;
}

Token Lexer::word() {
  size_t length = 1;
  while (isWordRest(at(length)))
    ++length;
  return take(Token::Kind::Word, length);
}

Token Lexer::dotted() {
  size_t length = 1;
  while (isWordRest(at(length)) || (at(length) == ':' && at(length + 1) == ':'))
    length += at(length) == ':' ? 2 : 1;
  return take(Token::Kind::Dotted, length);
}

Token Lexer::number() {
  // 0f and 0d: the bits of a float.
  if (at(0) == '0' &&
      (at(1) == 'f' || at(1) == 'F' || at(1) == 'd' || at(1) == 'D')) {
    bool isSingle = at(1) == 'f' || at(1) == 'F';
    size_t digits = isSingle ? 8 : 16;
    uint64_t bits = 0;
    size_t length = 2;
    for (; length < 2 + digits && hexDigit(at(length)) >= 0; ++length)
      bits = bits << 4 | hexDigit(at(length));
    bool isWhole = length == 2 + digits && !isWordRest(at(length));
    Token token = take(!isWhole   ? Token::Kind::Invalid
                       : isSingle ? Token::Kind::Float32
                                  : Token::Kind::Float64,
                       length);
    token.bits = bits;
    return token;
  }
  // Integers: hexadecimal, binary, octal, decimal.
  unsigned base = 10;
  size_t length = 0;
  if (at(0) == '0' && (at(1) == 'x' || at(1) == 'X'))
    base = 16, length = 2;
  else if (at(0) == '0' && (at(1) == 'b' || at(1) == 'B'))
    base = 2, length = 2;
  size_t firstDigit = length;
  while (base == 16 ? hexDigit(at(length)) >= 0 : isDigit(at(length)))
    ++length;
  bool isFloat =
      base == 10 && ((at(length) == '.' && isDigit(at(length + 1))) ||
                     at(length) == 'e' || at(length) == 'E');
  if (isFloat) {
    double value = 0;
    const char *begin = text.data() + position;
    auto [end, status] =
        std::from_chars(begin, text.data() + text.size(), value);
    bool isGood = status == std::errc() && size_t(end - begin) >= length;
    Token token = take(isGood ? Token::Kind::Float64 : Token::Kind::Invalid,
                       isGood ? end - begin : length);
    token.bits = std::bit_cast<uint64_t>(value);
    return token;
  }
  if (base == 10 && at(0) == '0' && length > 1)
    base = 8, firstDigit = 1;
  uint64_t bits = 0;
  bool isGood = length > firstDigit || (base == 8 && length == 1);
  for (size_t i = firstDigit; i < length; ++i) {
    unsigned digit = hexDigit(at(i));
    isGood &= digit < base && bits <= (~uint64_t(0) - digit) / base;
    bits = bits * base + digit;
  }
  if (at(length) == 'U')
    ++length;
  isGood &= !isWordRest(at(length));
  Token token =
      take(isGood ? Token::Kind::Integer : Token::Kind::Invalid, length);
  token.bits = bits;
  return token;
}

Token Lexer::string() {
  size_t length = 1;
  while (position + length < text.size() && at(length) != '"' &&
         at(length) != '\n')
    length += at(length) == '\\' && position + length + 1 < text.size() ? 2 : 1;
  bool isClosed = at(length) == '"';
  return take(isClosed ? Token::Kind::String : Token::Kind::Invalid,
              length + isClosed);
}

Token Lexer::next() {
  skipBlanks();
  if (position >= text.size())
    return take(Token::Kind::End, 0);
  char c = text[position];
  if (isWordStart(c))
    return word();
  if (isDigit(c))
    return number();
  if (c == '.' && isWordRest(at(1)))
    return dotted();
  if (c == '"')
    return string();
  for (std::string_view two : {"<<", ">>", "@@"})
    if (text.substr(position, 2) == two)
      return take(Token::Kind::Punctuation, 2);
  constexpr std::string_view single = ",;:{}[]()<>=+-*/%!~&|^@.";
  bool isKnown = single.find(c) != std::string_view::npos;
  return take(isKnown ? Token::Kind::Punctuation : Token::Kind::Invalid, 1);
}
