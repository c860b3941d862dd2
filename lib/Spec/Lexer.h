//===- Lexer.h - Tokens of the .spec language -------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Splits a text into tokens. Blanks are not tokens, but a token knows whether a
// newline precedes it, because a newline ends a statement, and where it stands,
// because a weight path has no blanks inside. Words are not classified: most
// keywords of the language are keywords only where they are expected.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_SPEC_LEXER_H
#define CLADE_SPEC_LEXER_H

#include "lib/Spec/AST.h"

#include "llvm/ADT/STLFunctionalExtras.h"

#include <vector>

namespace clade::spec {

struct Token {
  enum class Kind { Word, Number, String, Punctuation, End };

  Kind kind;
  bool newlineBefore; ///< A newline stands between the previous token and this.
  unsigned line;      ///< From 1.
  unsigned column;    ///< From 1, in bytes.
  StringRef text;     ///< As written; a string with its quotes.

  /// Whether this is the word or the punctuation `expected`.
  bool is(StringRef expected) const {
    return (kind == Kind::Word || kind == Kind::Punctuation) &&
           text == expected;
  }
  bool isWord() const { return kind == Kind::Word; }
  bool isNumber() const { return kind == Kind::Number; }
  bool isString() const { return kind == Kind::String; }
  bool isEnd() const { return kind == Kind::End; }

  SMLoc begin() const { return SMLoc::getFromPointer(text.begin()); }
  SMLoc end() const { return SMLoc::getFromPointer(text.end()); }
  /// Whether nothing stands between `previous` and this token.
  bool touches(const Token &previous) const {
    return text.begin() == previous.text.end();
  }
};

/// Reports an error at a line and column; false asks the lexer to stop.
using LexErrorFn =
    llvm::function_ref<bool(unsigned line, unsigned column, std::string)>;

/// The tokens of `text`, of which the last is the only End, and its comments.
/// What is no token is reported to `error` and left out.
struct TokenList {
  std::vector<Token> tokens;
  std::vector<Comment> comments;
};
TokenList lex(StringRef text, LexErrorFn error);

/// Whether `word` is reserved: it cannot name a field, block or variable.
bool isReserved(StringRef word);

} // namespace clade::spec

#endif // CLADE_SPEC_LEXER_H
