//===- CharacterClass.cpp - Character classes of patterns -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#define PCRE2_CODE_UNIT_WIDTH 8

#include "runtime/Tokenizer/CharacterClass.h"
#include "runtime/Support/Text.h"

#include <algorithm>
#include <cstdio>
#include <pcre2.h>

using namespace clade::rt;

static std::string escaped(char32_t c) {
  char buffer[16];
  std::snprintf(buffer, sizeof(buffer), "\\x{%X}", static_cast<unsigned>(c));
  return buffer;
}

void CharacterClass::addRange(char32_t first, char32_t last) {
  members += escaped(first);
  if (first == last)
    return;
  members += '-';
  members += escaped(last);
}

void CharacterClass::addClass(CharacterClass other) {
  if (!other.isNegated && other.isFlat())
    members += other.members;
  else
    nested.push_back(std::move(other));
}

void CharacterClass::intersect(CharacterClass other) {
  others.push_back(std::move(other));
}

/// The members before negation, of a class that is not flat.
std::string CharacterClass::unionPattern() const {
  std::string text = "(?:";
  for (const CharacterClass &part : others)
    text.append("(?=").append(part.toPattern()).append(")");
  if (!nested.empty())
    text += "(?:";
  text.append("[").append(members).append("]");
  for (const CharacterClass &part : nested)
    text.append("|").append(part.toPattern());
  if (!nested.empty())
    text += ')';
  return text += ')';
}

std::string CharacterClass::toPattern() const {
  if (isFlat())
    return (isNegated ? "[^" : "[") + members + "]";
  if (!isNegated)
    return unionPattern();
  return "(?:(?!" + unionPattern() + ")[^])";
}

//===----------------------------------------------------------------------===//
// Named classes
//===----------------------------------------------------------------------===//

namespace {
struct Category {
  const char *shortName;
  const char *longName;
};
} // namespace

/// General categories, and the long names without spaces and underscores.
static constexpr Category categories[] = {
    {"C", "other"},
    {"Cc", "control"},
    {"Cf", "format"},
    {"Cn", "unassigned"},
    {"Co", "privateuse"},
    {"Cs", "surrogate"},
    {"L", "letter"},
    {"Ll", "lowercaseletter"},
    {"Lm", "modifierletter"},
    {"Lo", "otherletter"},
    {"Lt", "titlecaseletter"},
    {"Lu", "uppercaseletter"},
    {"M", "mark"},
    {"Mc", "spacingmark"},
    {"Me", "enclosingmark"},
    {"Mn", "nonspacingmark"},
    {"N", "number"},
    {"Nd", "decimalnumber"},
    {"Nl", "letternumber"},
    {"No", "othernumber"},
    {"P", "punctuation"},
    {"Pc", "connectorpunctuation"},
    {"Pd", "dashpunctuation"},
    {"Pe", "closepunctuation"},
    {"Pf", "finalpunctuation"},
    {"Pi", "initialpunctuation"},
    {"Po", "otherpunctuation"},
    {"Ps", "openpunctuation"},
    {"S", "symbol"},
    {"Sc", "currencysymbol"},
    {"Sk", "modifiersymbol"},
    {"Sm", "mathsymbol"},
    {"So", "othersymbol"},
    {"Z", "separator"},
    {"Zl", "lineseparator"},
    {"Zp", "paragraphseparator"},
    {"Zs", "spaceseparator"},
};

/// Adds what Unicode added after PCRE2's version to the categories whose short
/// names start with `category`.
static void addNewerMembers(CharacterClass &result, std::string_view category) {
  for (const Category &entry : categories)
    if (std::string_view(entry.shortName).starts_with(category))
      for (CodePointRange range : newerMembers(entry.shortName))
        result.addRange(range.first, range.last);
}

static CharacterClass categoryClass(std::string_view category) {
  CharacterClass result;
  result.addText("\\p{" + std::string(category) + "}");
  addNewerMembers(result, category);
  if (category != "C" && category != "Cn")
    return result;
  // What is assigned by now is no longer unassigned.
  CharacterClass assigned;
  for (const char *group : {"L", "M", "N", "P", "S", "Z"})
    addNewerMembers(assigned, group);
  assigned.negate();
  result.intersect(std::move(assigned));
  return result;
}

CharacterClass clade::rt::shorthandClass(char letter, ClassContext context) {
  CharacterClass result;
  switch (letter) {
  case 'd':
    return categoryClass("Nd");
  case 'h':
    result.addText("0-9A-Fa-f");
    return result;
  case 's':
    result.addText("\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{"
                   "200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}");
    return result;
  default:
    // Alphabetic without what is a mark; enclosed letters are symbols.
    result.addText(
        "\\p{L}\\p{M}\\p{Nl}\\p{Nd}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{"
        "1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}");
    // Outside brackets, Oniguruma takes superscripts and fractions for letters.
    if (context == ClassContext::Bare)
      result.addText("\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}");
    for (const char *group : {"L", "M", "Nd", "Pc"})
      addNewerMembers(result, group);
    return result;
  }
}

static void addAlphabetic(CharacterClass &result) {
  result.addText("\\p{L}\\p{Nl}");
  addNewerMembers(result, "L");
  for (CodePointRange range : otherAlphabetic())
    result.addRange(range.first, range.last);
}

/// POSIX classes, by name without case; nothing for another name.
static std::optional<CharacterClass> posixClass(std::string_view name,
                                                ClassContext context) {
  CharacterClass result;
  if (name == "digit")
    return shorthandClass('d', context);
  if (name == "space" || name == "whitespace")
    return shorthandClass('s', context);
  if (name == "word")
    return shorthandClass('w', context);
  if (name == "xdigit")
    return shorthandClass('h', context);
  if (name == "cntrl")
    return categoryClass("Cc");
  if (name == "any") {
    result.addRange(0, 0x10FFFF);
  } else if (name == "ascii") {
    result.addRange(0, 0x7F);
  } else if (name == "blank") {
    result.addText("\\x{9}\\p{Zs}");
  } else if (name == "upper" || name == "uppercase") {
    result.addText("\\p{Uppercase}");
    addNewerMembers(result, "Lu");
  } else if (name == "lower" || name == "lowercase") {
    result.addText("\\p{Lowercase}");
    addNewerMembers(result, "Ll");
  } else if (name == "alpha" || name == "alphabetic") {
    addAlphabetic(result);
  } else if (name == "alnum") {
    addAlphabetic(result);
    result.addClass(categoryClass("Nd"));
  } else if (name == "punct") {
    result = categoryClass("P");
    if (context == ClassContext::POSIX)
      result.addClass(categoryClass("S"));
  } else {
    return std::nullopt;
  }
  return result;
}

/// Whether PCRE2 knows the property, written as between braces.
static bool knowsProperty(const std::string &property) {
  std::string pattern = "\\p{" + property + "}";
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code *code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()),
                    pattern.size(), PCRE2_UTF, &error, &offset, nullptr);
  pcre2_code_free(code);
  return code != nullptr;
}

StatusOr<CharacterClass> clade::rt::propertyClass(std::string_view name,
                                                  ClassContext context) {
  std::string key;
  for (char c : name)
    if (c != ' ' && c != '_' && c != '-')
      key += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  for (const Category &entry : categories) {
    std::string shortKey = entry.shortName;
    shortKey[0] = static_cast<char>(shortKey[0] + 32);
    if (key == shortKey || key == entry.longName)
      return categoryClass(entry.shortName);
  }
  if (std::optional<CharacterClass> posix = posixClass(key, context))
    return *posix;
  bool isName = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
  CharacterClass result;
  // PCRE2's plain script names mean script extensions, Oniguruma's do not.
  if (isName && knowsProperty("sc:" + key)) {
    result.addText("\\p{sc:" + key + "}");
    if (key == "han")
      for (CodePointRange range : newerMembers("Han"))
        result.addRange(range.first, range.last);
    return result;
  }
  if (isName && knowsProperty(key)) {
    result.addText("\\p{" + key + "}");
    return result;
  }
  return Status::unsupported("character property " + quoteName(name) +
                             " is not supported");
}
