//===- RegexTranslator.cpp - Groups and repeats of patterns ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/RegexTranslator.h"
#include "runtime/Tokenizer/Regex.h"
#include "runtime/Tokenizer/Unicode.h"

using namespace clade::rt;

static constexpr size_t maxPatternLength = 1 << 14;
static constexpr size_t maxOutputLength = 1 << 22;

StatusOr<std::string> clade::rt::toPCRE2(std::string_view pattern) {
  if (pattern.size() > maxPatternLength)
    return Status::unsupported(
        "regular expression of " + std::to_string(pattern.size()) +
        " bytes, expected at most " + std::to_string(maxPatternLength));
  return RegexTranslator(pattern).run();
}

StatusOr<std::string> RegexTranslator::run() {
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

Status RegexTranslator::step() {
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

void RegexTranslator::atom(std::string_view text) {
  atomStart = out.size();
  isRepeated = false;
  out += text;
}

void RegexTranslator::literal(char32_t c) {
  std::string text;
  if (c < 0x80 && !std::isalnum(static_cast<int>(c)) && c > 0x20)
    text = '\\';
  appendCharacter(text, c);
  atom(text);
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

Status RegexTranslator::openGroup() {
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
Status RegexTranslator::openOptions() {
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

void RegexTranslator::closeImplicitGroups() {
  while (!groups.empty() && groups.back().implicit) {
    out += ')';
    groups.pop_back();
  }
}

Status RegexTranslator::closeGroup() {
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

void RegexTranslator::wrapAtom() {
  out.insert(atomStart, "(?:");
  out += ')';
  isRepeated = false;
}

Status RegexTranslator::repeat() {
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

Status RegexTranslator::interval() {
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
