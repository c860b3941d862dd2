//===- CharacterClass.h - Character classes of patterns ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A character class as Oniguruma writes it: unions, nested classes, negation
// and intersections. PCRE2 has only flat unions; the rest becomes lookaheads.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_CHARACTERCLASS_H
#define CLADE_RUNTIME_TOKENIZER_CHARACTERCLASS_H

#include "runtime/Support/Status.h"
#include "runtime/Tokenizer/Unicode.h"

#include <string>
#include <string_view>
#include <vector>

namespace clade::rt {

/// A set of characters under construction.
class CharacterClass {
public:
  void addCharacter(char32_t c) { addRange(c, c); }
  void addRange(char32_t first, char32_t last);
  /// Adds text that may stand between PCRE2's brackets.
  void addText(std::string_view text) { members += text; }
  /// Adds all members of another class.
  void addClass(CharacterClass other);
  /// Keeps only the members that are also in `other`.
  void intersect(CharacterClass other);
  void negate() { isNegated = !isNegated; }

  /// PCRE2's syntax for one character of this class.
  std::string toPattern() const;

private:
  bool isFlat() const { return nested.empty() && others.empty(); }
  std::string unionPattern() const;

  bool isNegated = false;
  std::string members;
  std::vector<CharacterClass> nested;
  std::vector<CharacterClass> others;
};

/// Where a class is named. Oniguruma's `\w` and `[:punct:]` are not the same
/// everywhere.
enum class ClassContext { Bare, Bracket, POSIX };

/// The class behind `\d`, `\s`, `\w` or `\h` (a hexadecimal digit).
CharacterClass shorthandClass(char letter, ClassContext context);

/// The class of `\p{name}`: a general category, short or long, a POSIX class,
/// a script or a binary property. Unsupported for a name that none of them has.
StatusOr<CharacterClass> propertyClass(std::string_view name,
                                       ClassContext context);

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_CHARACTERCLASS_H
