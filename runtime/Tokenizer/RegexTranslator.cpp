//===- RegexTranslator.cpp - Oniguruma patterns in PCRE2's syntax ---------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/CharacterClass.h"
#include "runtime/Tokenizer/Regex.h"
#include "runtime/Tokenizer/Unicode.h"

#include <cctype>
#include <cstdio>

using namespace clade::rt;

namespace {
constexpr size_t maxNesting = 100;
constexpr size_t maxPatternLength = 1 << 14;
constexpr size_t maxOutputLength = 1 << 22;

bool isOneOf(std::string_view set, char c) {
  return set.find(c) != std::string_view::npos;
}

class Translator {
public:
  explicit Translator(std::string_view pattern) : pattern(pattern) {}

  StatusOr<std::string> run();

private:
  /// An open group; `implicit` for the one that `(?i)` opens up to the end of
  /// the group around it.
  struct Group {
    size_t start;
    bool implicit;
  };

  bool atEnd() const { return position >= pattern.size(); }
  char peek(size_t ahead = 0) const {
    return position + ahead < pattern.size() ? pattern[position + ahead] : '\0';
  }
  bool startsWith(std::string_view text) const {
    return pattern.substr(position).starts_with(text);
  }
  Status unsupported(const std::string &what) const {
    return Status::unsupported("regular expression '" + std::string(pattern) +
                               "': " + what);
  }
  Status broken(const std::string &what) const {
    return Status::invalidArgument("regular expression '" +
                                   std::string(pattern) + "': " + what);
  }

  Status step();
  void atom(std::string_view text);
  void literal(char32_t c);
  Status openGroup();
  Status openOptions();
  Status closeGroup();
  void closeImplicitGroups();
  Status repeat();
  Status interval();
  void wrapAtom();
  Status escape();
  Status reference();
  StatusOr<CharacterClass> property(ClassContext context);
  /// A numeric escape (`x`, `u` or `0` is at the position); nothing otherwise.
  StatusOr<std::optional<char32_t>> numericEscape();
  StatusOr<char32_t> hexadecimal(size_t minDigits, size_t maxDigits);

  StatusOr<CharacterClass> bracketClass(size_t depth);
  Status classMember(CharacterClass &current, size_t depth);
  StatusOr<bool> classEscape(CharacterClass &current, char32_t &c);
  Status rangeOrCharacter(CharacterClass &current, char32_t first);
  StatusOr<bool> posixBracket(CharacterClass &current);

  std::string_view pattern;
  size_t position = 0;
  std::string out;
  std::vector<Group> groups;
  /// Where the last atom starts in `out`, for repeats; npos when there is none.
  size_t atomStart = std::string::npos;
  bool isRepeated = false;
};
} // namespace

StatusOr<std::string> clade::rt::toPCRE2(std::string_view pattern) {
  if (pattern.size() > maxPatternLength)
    return Status::unsupported(
        "regular expression of " + std::to_string(pattern.size()) +
        " bytes, expected at most " + std::to_string(maxPatternLength));
  return Translator(pattern).run();
}

StatusOr<std::string> Translator::run() {
  while (!atEnd()) {
    CLADE_RETURN_IF_ERROR(step());
    if (out.size() > maxOutputLength)
      return unsupported("it is too large");
  }
  closeImplicitGroups();
  if (!groups.empty())
    return broken("a group is not closed");
  return std::move(out);
}

Status Translator::step() {
  switch (peek()) {
  case '\\':
    return escape();
  case '[': {
    ++position;
    CLADE_ASSIGN_OR_RETURN(CharacterClass set, bracketClass(0));
    atom(set.toPattern());
    return Status();
  }
  case '(':
    return openGroup();
  case ')':
    return closeGroup();
  case '*':
  case '+':
  case '?':
    return repeat();
  case '{':
    return interval();
  case '|':
    out += pattern[position++];
    atomStart = std::string::npos;
    return Status();
  case '.':
  case '^':
  case '$':
    atom(pattern.substr(position++, 1));
    return Status();
  default: {
    auto [c, length] = decodeCharacter(pattern, position);
    position += length;
    literal(c);
    return Status();
  }
  }
}

void Translator::atom(std::string_view text) {
  atomStart = out.size();
  isRepeated = false;
  out += text;
}

void Translator::literal(char32_t c) {
  std::string text;
  if (c < 0x80 && !std::isalnum(static_cast<int>(c)) && c > 0x20)
    text = '\\';
  appendCharacter(text, c);
  atom(text);
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

Status Translator::openGroup() {
  if (groups.size() >= maxNesting)
    return unsupported("groups are nested too deeply");
  if (startsWith("(?#")) {
    size_t end = pattern.find(')', position);
    if (end == std::string_view::npos)
      return broken("a comment is not closed");
    position = end + 1;
    return Status();
  }
  if (startsWith("(*"))
    return unsupported("'(*' is not supported");
  std::string_view opening = "(";
  for (std::string_view known : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"})
    if (startsWith(known))
      opening = known;
  if (opening == "(" && startsWith("(?<")) {
    size_t end = pattern.find('>', position);
    if (end == std::string_view::npos)
      return broken("a group's name is not closed");
    opening = pattern.substr(position, end + 1 - position);
  } else if (opening == "(" && peek(1) == '?') {
    return openOptions();
  }
  groups.push_back({out.size(), false});
  out += opening;
  position += opening.size();
  atomStart = std::string::npos;
  return Status();
}

/// `(?i)`, `(?i:`, `(?m-i:` …; Ruby's m is PCRE2's s.
Status Translator::openOptions() {
  std::string options = "(?";
  size_t i = position + 2;
  for (; i < pattern.size() && pattern[i] != ')' && pattern[i] != ':'; ++i) {
    char option = pattern[i];
    if (option != 'i' && option != 'm' && option != '-')
      return unsupported("group '(?" + std::string(1, option) +
                         "' is not supported");
    options += option == 'm' ? 's' : option;
  }
  if (i == pattern.size())
    return broken("a group is not closed");
  // Without ':', the options hold up to the end of the group around them, and
  // alternatives that follow belong to them.
  groups.push_back({out.size(), pattern[i] == ')'});
  out += options + ":";
  position = i + 1;
  atomStart = std::string::npos;
  return Status();
}

void Translator::closeImplicitGroups() {
  while (!groups.empty() && groups.back().implicit) {
    out += ')';
    groups.pop_back();
  }
}

Status Translator::closeGroup() {
  closeImplicitGroups();
  if (groups.empty())
    return broken("')' without '('");
  out += ')';
  ++position;
  atomStart = groups.back().start;
  isRepeated = false;
  groups.pop_back();
  return Status();
}

//===----------------------------------------------------------------------===//
// Repeats
//===----------------------------------------------------------------------===//

void Translator::wrapAtom() {
  out.insert(atomStart, "(?:");
  out += ')';
  isRepeated = false;
}

Status Translator::repeat() {
  if (atomStart == std::string::npos)
    return broken("nothing to repeat");
  if (isRepeated)
    wrapAtom();
  out += pattern[position++];
  // Lazy or possessive.
  if (peek() == '?' || peek() == '+')
    out += pattern[position++];
  isRepeated = true;
  return Status();
}

Status Translator::interval() {
  size_t end = pattern.find('}', position);
  std::string_view body =
      end == std::string_view::npos
          ? std::string_view()
          : pattern.substr(position + 1, end - position - 1);
  size_t comma = body.find(',');
  std::string_view low = body.substr(0, comma);
  std::string_view high =
      comma == std::string_view::npos ? low : body.substr(comma + 1);
  auto isNumber = [](std::string_view text) {
    return text.find_first_not_of("0123456789") == std::string_view::npos &&
           text.size() <= 6;
  };
  // Anything else in braces stands for itself.
  if ((low.empty() && high.empty()) || !isNumber(low) || !isNumber(high)) {
    ++position;
    literal('{');
    return Status();
  }
  if (atomStart == std::string::npos)
    return broken("nothing to repeat");
  if (isRepeated)
    wrapAtom();
  out += '{';
  out += low.empty() ? "0" : low;
  if (comma != std::string_view::npos) {
    out += ',';
    out += high;
  }
  out += '}';
  position = end + 1;
  isRepeated = true;
  // After an interval, '+' repeats it, and so does '?' after a fixed count.
  if (peek() == '?' && comma != std::string_view::npos)
    out += pattern[position++];
  return Status();
}

//===----------------------------------------------------------------------===//
// Escapes
//===----------------------------------------------------------------------===//

StatusOr<CharacterClass> Translator::property(ClassContext context) {
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

StatusOr<char32_t> Translator::hexadecimal(size_t minDigits, size_t maxDigits) {
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

StatusOr<std::optional<char32_t>> Translator::numericEscape() {
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
Status Translator::reference() {
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

Status Translator::escape() {
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
  if (isOneOf("AzZGRXK", letter)) {
    atom(pattern.substr(position - 1, 2));
    ++position;
    return Status();
  }
  if (letter == 'k' || letter == 'g' || (letter >= '1' && letter <= '9'))
    return reference();
  if (letter == 'c' || letter == 'C' || letter == 'M')
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
StatusOr<CharacterClass> Translator::bracketClass(size_t depth) {
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

Status Translator::classMember(CharacterClass &current, size_t depth) {
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
StatusOr<bool> Translator::classEscape(CharacterClass &current, char32_t &c) {
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
Status Translator::rangeOrCharacter(CharacterClass &current, char32_t first) {
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
StatusOr<bool> Translator::posixBracket(CharacterClass &current) {
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
