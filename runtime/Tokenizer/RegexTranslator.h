//===- RegexTranslator.h - Oniguruma in PCRE2's syntax ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The translator behind toPCRE2(): one pass over the pattern that writes the
// translation as it goes.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_REGEXTRANSLATOR_H
#define CLADE_RUNTIME_TOKENIZER_REGEXTRANSLATOR_H

#include "runtime/Support/Text.h"
#include "runtime/Tokenizer/CharacterClass.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clade::rt {

class RegexTranslator {
public:
  explicit RegexTranslator(std::string_view pattern) : pattern(pattern) {}

  StatusOr<std::string> run();

private:
  /// How deep groups, and classes within classes, may be nested.
  static constexpr size_t maxNesting = 100;

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
    return Status::unsupported("regular expression " + quoteName(pattern) +
                               ": " + what);
  }
  Status broken(const std::string &what) const {
    return Status::invalidArgument("regular expression " + quoteName(pattern) +
                                   ": " + what);
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

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_REGEXTRANSLATOR_H
