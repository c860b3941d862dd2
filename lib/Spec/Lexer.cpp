//===- Lexer.cpp - Tokens of the .spec language ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/Lexer.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/raw_ostream.h"

using namespace clade::spec;

bool clade::spec::isReserved(StringRef word) {
  return llvm::StringSwitch<bool>(word)
      .Cases({"if", "else", "match", "for", "scan", "return", "emit"}, true)
      .Cases({"at", "as", "and", "or", "not", "in", "divides"}, true)
      .Default(false);
}

namespace {

bool isBlank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' ||
         c == '\v';
}
bool isWordStart(char c) { return llvm::isAlpha(c) || c == '_'; }
bool isWordPart(char c) { return llvm::isAlnum(c) || c == '_'; }

/// What to write instead of a character that other languages use.
StringRef hintFor(StringRef rest) {
  return llvm::StringSwitch<StringRef>(rest.take_front(2))
      .Case("&&", "; write 'and'")
      .Case("||", "; write 'or'")
      .Case("/*", "; a comment starts with '//'")
      .StartsWith("!", "; write 'not'")
      .StartsWith("&", "; write 'and'")
      .StartsWith("|", "; write 'or', or ',' in a weight path")
      .StartsWith("#", "; a comment starts with '//'")
      .StartsWith("'", "; a string stands in '\"'")
      .StartsWith(";", "; a statement ends with its line")
      .Default("");
}

class Lexer {
public:
  Lexer(StringRef text, LexErrorFn error)
      : text(text), rest(text), lineStart(text.begin()), error(error) {}

  TokenList run();

private:
  void skipBlanks();
  void takeComment();
  void takeString();
  bool takeUnknown();
  size_t numberLength() const;
  size_t punctuationLength() const;
  void add(Token::Kind kind, size_t length);
  unsigned column() const { return rest.begin() - lineStart + 1; }

  StringRef text;
  StringRef rest;
  const char *lineStart;
  unsigned line = 1;
  bool newline = true;
  bool stopped = false;
  LexErrorFn error;
  TokenList result;
};

} // namespace

void Lexer::add(Token::Kind kind, size_t length) {
  result.tokens.push_back(
      {kind, newline, line, column(), rest.take_front(length)});
  rest = rest.drop_front(length);
  newline = false;
}

void Lexer::skipBlanks() {
  while (!rest.empty() && isBlank(rest.front())) {
    if (rest.front() == '\n') {
      newline = true;
      ++line;
      lineStart = rest.begin() + 1;
    }
    rest = rest.drop_front();
  }
}

void Lexer::takeComment() {
  StringRef comment = rest.take_until([](char c) { return c == '\n'; });
  result.comments.push_back(
      {SMLoc::getFromPointer(rest.begin()), comment.rtrim()});
  rest = rest.drop_front(comment.size());
}

/// A string ends in its line; there are no escapes.
void Lexer::takeString() {
  size_t end = rest.find_first_of("\"\n", 1);
  if (end != StringRef::npos && rest[end] == '"')
    return add(Token::Kind::String, end + 1);
  stopped |= !error(line, column(),
                    "expected '\"' at the end of the string, "
                    "got end of line");
  rest = rest.drop_front(end == StringRef::npos ? rest.size() : end);
}

/// Digits, with a point only before more digits: `0..n` is a range.
size_t Lexer::numberLength() const {
  auto digitsFrom = [&](size_t begin) {
    size_t end = begin;
    while (end < rest.size() && llvm::isDigit(rest[end]))
      ++end;
    return end;
  };
  size_t end = digitsFrom(0);
  if (end < rest.size() && rest[end] == '.' && digitsFrom(end + 1) > end + 1)
    end = digitsFrom(end + 1);
  if (end < rest.size() && (rest[end] == 'e' || rest[end] == 'E')) {
    size_t digits = end + 1;
    if (digits < rest.size() && (rest[digits] == '+' || rest[digits] == '-'))
      ++digits;
    if (digitsFrom(digits) > digits)
      end = digitsFrom(digits);
  }
  return end;
}

/// The length of the punctuation here, 0 if there is none.
size_t Lexer::punctuationLength() const {
  if (rest.starts_with("/*"))
    return 0;
  for (StringRef two : {"??", "=>", "..", "+=", "==", "!=", "<=", ">="})
    if (rest.starts_with(two))
      return 2;
  return StringRef("+-*/%^(){}[],.:=<>?").contains(rest.front()) ? 1 : 0;
}

/// Reports and skips one character, or all that follow of its kind.
bool Lexer::takeUnknown() {
  size_t length = 1;
  std::string message;
  llvm::raw_string_ostream os(message);
  unsigned char c = rest.front();
  const auto *begin = reinterpret_cast<const llvm::UTF8 *>(rest.begin());
  const auto *end = reinterpret_cast<const llvm::UTF8 *>(rest.end());
  unsigned bytes = llvm::getNumBytesForUTF8(c);
  if (c >= 0x80 && llvm::isLegalUTF8Sequence(begin, end)) {
    length = bytes;
    os << "unexpected character '" << rest.take_front(length) << "'";
  } else if (llvm::isPrint(c)) {
    StringRef hint = hintFor(rest);
    length =
        hint.empty() || (!rest.starts_with("&&") && !rest.starts_with("||") &&
                         !rest.starts_with("/*"))
            ? 1
            : 2;
    os << "unexpected character '" << rest.take_front(length) << "'" << hint;
  } else {
    os << "unexpected byte 0x" << llvm::utohexstr(c, true, 2);
  }
  bool goOn = error(line, column(), std::move(message));
  rest = rest.drop_front(length);
  return goOn;
}

TokenList Lexer::run() {
  while (!stopped) {
    skipBlanks();
    if (rest.empty())
      break;
    if (rest.starts_with("//"))
      takeComment();
    else if (rest.front() == '"')
      takeString();
    else if (isWordStart(rest.front()))
      add(Token::Kind::Word, rest.take_while(isWordPart).size());
    else if (llvm::isDigit(rest.front()))
      add(Token::Kind::Number, numberLength());
    else if (size_t length = punctuationLength())
      add(Token::Kind::Punctuation, length);
    else
      stopped = !takeUnknown();
  }
  rest = text.drop_front(text.size());
  newline = true;
  add(Token::Kind::End, 0);
  return std::move(result);
}

TokenList clade::spec::lex(StringRef text, LexErrorFn error) {
  return Lexer(text, error).run();
}
