//===- RegexEscapes.cpp - Escapes and brackets of patterns ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/RegexTranslator.h"
#include "runtime/Tokenizer/Unicode.h"

#include <cctype>
#include <cstdio>

using namespace clade::rt;

static bool isOneOf(std::string_view set, char c) {
  return set.find(c) != std::string_view::npos;
}

//===----------------------------------------------------------------------===//
// Escapes
//===----------------------------------------------------------------------===//

StatusOr<CharacterClass> RegexTranslator::property(ClassContext context) {
  bool negated = peek() == 'P';
  ++position;
  size_t end = pattern.find('}', position);
  if (peek() != '{' || end == std::string_view::npos)
    return broken("a property needs a name in braces");
  std::string_view name = pattern.substr(position + 1, end - position - 1);
  position = end + 1;
  if (name.starts_with("^")) {
    negated = !negated;
    name.remove_prefix(1);
  }
  StatusOr<CharacterClass> result = propertyClass(name, context);
  if (!result.ok())
    return unsupported(result.status().message());
  if (negated)
    result->negate();
  return result;
}

StatusOr<char32_t> RegexTranslator::hexadecimal(size_t minDigits,
                                                size_t maxDigits) {
  char32_t value = 0;
  size_t digits = 0;
  while (digits < maxDigits &&
         std::isxdigit(static_cast<unsigned char>(peek()))) {
    char digit = pattern[position++];
    value = value * 16 + static_cast<char32_t>(
                             digit <= '9' ? digit - '0' : (digit | 32) - 87);
    ++digits;
  }
  if (digits < minDigits || value > 0x10FFFF ||
      (value >= 0xD800 && value <= 0xDFFF))
    return broken("a hexadecimal escape is not a character");
  return value;
}

StatusOr<std::optional<char32_t>> RegexTranslator::numericEscape() {
  char kind = peek();
  if (kind == 'u') {
    ++position;
    CLADE_ASSIGN_OR_RETURN(char32_t c, hexadecimal(4, 4));
    return std::optional<char32_t>(c);
  }
  if (kind == '0') {
    char32_t c = 0;
    for (int i = 0; i < 3 && peek() >= '0' && peek() <= '7'; ++i)
      c = c * 8 + static_cast<char32_t>(pattern[position++] - '0');
    return std::optional<char32_t>(c);
  }
  if (kind != 'x')
    return std::optional<char32_t>();
  ++position;
  if (peek() != '{') {
    CLADE_ASSIGN_OR_RETURN(char32_t c, hexadecimal(1, 2));
    if (c >= 0x80)
      return unsupported("a byte escape above 0x7F is not supported");
    return std::optional<char32_t>(c);
  }
  ++position;
  CLADE_ASSIGN_OR_RETURN(char32_t c, hexadecimal(1, 8));
  if (peek() != '}')
    return broken("a hexadecimal escape is not closed");
  ++position;
  return std::optional<char32_t>(c);
}

/// `\k<name>`, `\g<name>`, `\1`.
Status RegexTranslator::reference() {
  size_t end = position + 1;
  if (!std::isdigit(static_cast<unsigned char>(peek()))) {
    if (peek(1) != '<')
      return unsupported("this form of reference is not supported");
    end = pattern.find('>', position);
    if (end == std::string_view::npos)
      return broken("a reference is not closed");
    ++end;
  } else {
    while (end < pattern.size() &&
           std::isdigit(static_cast<unsigned char>(pattern[end])))
      ++end;
  }
  // In a group, so that what follows is not read as part of it.
  atom("(?:\\" + std::string(pattern.substr(position, end - position)) + ")");
  position = end;
  return Status();
}

/// What a letter after a backslash stands for when it is one character, the
/// same in and outside classes.
static std::optional<char32_t> controlEscape(char letter) {
  switch (letter) {
  case 't':
    return U'\t';
  case 'n':
    return U'\n';
  case 'r':
    return U'\r';
  case 'f':
    return U'\f';
  case 'v':
    return U'\v';
  case 'a':
    return U'\a';
  case 'e':
    return char32_t(0x1B);
  default:
    return std::nullopt;
  }
}

Status RegexTranslator::escape() {
  ++position;
  if (atEnd())
    return broken("a backslash ends it");
  char letter = peek();
  if (isOneOf("dDsSwWhH", letter)) {
    ++position;
    bool negated = letter < 'a';
    CharacterClass set = shorthandClass(
        static_cast<char>(negated ? letter + 32 : letter), ClassContext::Bare);
    if (negated)
      set.negate();
    atom(set.toPattern());
    return Status();
  }
  if (letter == 'p' || letter == 'P') {
    CLADE_ASSIGN_OR_RETURN(CharacterClass set, property(ClassContext::Bare));
    atom(set.toPattern());
    return Status();
  }
  if (letter == 'b' || letter == 'B') {
    ++position;
    std::string word = shorthandClass('w', ClassContext::Bare).toPattern();
    bool same = letter == 'B';
    atom("(?:(?<=" + word + ")(?" + (same ? "=" : "!") + word + ")|(?<!" +
         word + ")(?" + (same ? "!" : "=") + word + "))");
    return Status();
  }
  if (isOneOf("AzZGRX", letter)) {
    atom(pattern.substr(position - 1, 2));
    ++position;
    return Status();
  }
  if (letter == 'k' || letter == 'g' || (letter >= '1' && letter <= '9'))
    return reference();
  if (isOneOf("cCMK", letter))
    return unsupported("'\\" + std::string(1, letter) + "' is not supported");
  CLADE_ASSIGN_OR_RETURN(std::optional<char32_t> number, numericEscape());
  if (number) {
    atom("\\x{" + [&] {
      char digits[16];
      std::snprintf(digits, sizeof(digits), "%X",
                    static_cast<unsigned>(*number));
      return std::string(digits);
    }() + "}");
    return Status();
  }
  auto [c, length] = decodeCharacter(pattern, position);
  position += length;
  literal(length == 1 ? controlEscape(letter).value_or(c) : c);
  return Status();
}

//===----------------------------------------------------------------------===//
// Bracket classes
//===----------------------------------------------------------------------===//

/// Reads a class behind its '['.
StatusOr<CharacterClass> RegexTranslator::bracketClass(size_t depth) {
  if (depth > maxNesting)
    return unsupported("character classes are nested too deeply");
  bool negated = peek() == '^';
  if (negated)
    ++position;
  // The operands of `&&`; the result is all but the last, cut to each other.
  CharacterClass current, result;
  bool hasIntersection = false, isFirst = true;
  auto finishOperand = [&] {
    if (!hasIntersection)
      result = std::move(current);
    else
      result.intersect(std::move(current));
    current = CharacterClass();
  };
  while (true) {
    if (atEnd())
      return broken("a character class is not closed");
    if (peek() == ']' && !isFirst) {
      ++position;
      break;
    }
    if (startsWith("&&")) {
      finishOperand();
      hasIntersection = true;
      position += 2;
    } else {
      CLADE_RETURN_IF_ERROR(classMember(current, depth));
    }
    isFirst = false;
  }
  finishOperand();
  if (negated)
    result.negate();
  return result;
}

Status RegexTranslator::classMember(CharacterClass &current, size_t depth) {
  if (peek() == '[') {
    CLADE_ASSIGN_OR_RETURN(bool isPosix, posixBracket(current));
    if (isPosix)
      return Status();
    ++position;
    CLADE_ASSIGN_OR_RETURN(CharacterClass nested, bracketClass(depth + 1));
    current.addClass(std::move(nested));
    return Status();
  }
  if (peek() == '\\') {
    char32_t c = 0;
    CLADE_ASSIGN_OR_RETURN(bool isCharacter, classEscape(current, c));
    return isCharacter ? rangeOrCharacter(current, c) : Status();
  }
  auto [c, length] = decodeCharacter(pattern, position);
  position += length;
  return rangeOrCharacter(current, c);
}

/// Reads an escape in a class: one character (true), or a set that it adds.
StatusOr<bool> RegexTranslator::classEscape(CharacterClass &current,
                                            char32_t &c) {
  ++position;
  if (atEnd())
    return broken("a backslash ends it");
  char letter = peek();
  if (isOneOf("dDsSwWhH", letter)) {
    ++position;
    bool negated = letter < 'a';
    CharacterClass set =
        shorthandClass(static_cast<char>(negated ? letter + 32 : letter),
                       ClassContext::Bracket);
    if (negated)
      set.negate();
    current.addClass(std::move(set));
    return false;
  }
  if (letter == 'p' || letter == 'P') {
    CLADE_ASSIGN_OR_RETURN(CharacterClass set, property(ClassContext::Bracket));
    current.addClass(std::move(set));
    return false;
  }
  if (letter == 'c' || letter == 'C' || letter == 'M' || letter == 'R' ||
      letter == 'X')
    return unsupported("'\\" + std::string(1, letter) +
                       "' in a class is not supported");
  CLADE_ASSIGN_OR_RETURN(std::optional<char32_t> number, numericEscape());
  if (number) {
    c = *number;
    return true;
  }
  auto [character, length] = decodeCharacter(pattern, position);
  position += length;
  c = letter == 'b' ? char32_t(8)
      : length == 1 ? controlEscape(letter).value_or(character)
                    : character;
  return true;
}

/// Adds `first`, or the range that it starts.
Status RegexTranslator::rangeOrCharacter(CharacterClass &current,
                                         char32_t first) {
  bool isRange = peek() == '-' && position + 1 < pattern.size() &&
                 peek(1) != ']' && peek(1) != '[';
  if (!isRange) {
    current.addCharacter(first);
    return Status();
  }
  ++position;
  char32_t last = 0;
  if (peek() == '\\') {
    CharacterClass set;
    CLADE_ASSIGN_OR_RETURN(bool isCharacter, classEscape(set, last));
    if (!isCharacter) { // As in [a-\d]: the dash is a dash.
      current.addCharacter(first);
      current.addCharacter('-');
      current.addClass(std::move(set));
      return Status();
    }
  } else {
    auto [c, length] = decodeCharacter(pattern, position);
    position += length;
    last = c;
  }
  if (first > last)
    return broken("a range in a class runs backwards");
  current.addRange(first, last);
  return Status();
}

/// Reads `[:name:]` or `[:^name:]`, if that is what stands here.
StatusOr<bool> RegexTranslator::posixBracket(CharacterClass &current) {
  if (!startsWith("[:"))
    return false;
  size_t end = pattern.find(":]", position + 2);
  if (end == std::string_view::npos || end - position > 20)
    return false;
  std::string_view name = pattern.substr(position + 2, end - position - 2);
  bool negated = name.starts_with("^");
  if (negated)
    name.remove_prefix(1);
  StatusOr<CharacterClass> set = propertyClass(name, ClassContext::POSIX);
  if (!set.ok())
    return unsupported(set.status().message());
  if (negated)
    set->negate();
  current.addClass(std::move(*set));
  position = end + 2;
  return true;
}
