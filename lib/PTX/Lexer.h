//===- Lexer.h - Tokens of PTX ----------------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_LEXER_H
#define CLADE_PTX_LEXER_H

#include <cstdint>
#include <string>
#include <string_view>

namespace clade::ptx {

struct Token {
  enum class Kind : uint8_t {
    Word,   ///< An identifier, "%r1" or "$L__BB0_1" among them.
    Dotted, ///< ".global", ".L2::128B": a directive or a modifier.
    Integer,
    Float32, ///< 0f3F800000
    Float64, ///< 0d3FF0000000000000, or a decimal number with a point.
    String,  ///< With its quotes.
    Punctuation,
    Invalid,
    End,
  };
  Kind kind = Kind::End;
  std::string_view text;
  uint64_t bits = 0; ///< Of a number.
  unsigned line = 1;
  unsigned column = 1;

  bool is(std::string_view expected) const {
    return text == expected && kind != Kind::String && kind != Kind::End;
  }
  bool isWord() const { return kind == Kind::Word; }
  bool isDotted() const { return kind == Kind::Dotted; }
  bool isNumber() const {
    return kind >= Kind::Integer && kind <= Kind::Float64;
  }
  bool isEnd() const { return kind == Kind::End; }
  /// For messages: the text in quotes, or "the end of the text".
  std::string described() const;
};

/// Splits PTX into tokens, one at a time. Comments and lines that begin with
/// '#' are skipped.
class Lexer {
public:
  explicit Lexer(std::string_view text) : text(text) {}
  Token next();

private:
  void skipBlanks();
  Token word();
  Token dotted();
  Token number();
  Token string();
  Token take(Token::Kind kind, size_t length);
  char at(size_t offset) const {
    return position + offset < text.size() ? text[position + offset] : '\0';
  }

  std::string_view text;
  size_t position = 0;
  size_t lineStart = 0;
  unsigned line = 1;
};

} // namespace clade::ptx

#endif // CLADE_PTX_LEXER_H
