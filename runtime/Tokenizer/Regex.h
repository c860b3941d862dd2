//===- Regex.h - Regular expressions of tokenizer files ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Patterns of tokenizer files are written for Oniguruma (Ruby's dialect) with
// Unicode classes. toPCRE2() says the same in PCRE2's dialect; Regex compiles
// that, with JIT, and finds all matches as Oniguruma's iterator would.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_TOKENIZER_REGEX_H
#define CLADE_RUNTIME_TOKENIZER_REGEX_H

#include "runtime/Support/Status.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

struct pcre2_real_code_8;

namespace clade::rt {

/// A part of a text: [begin, end), and whether the pattern matched it.
struct Span {
  size_t begin;
  size_t end;
  bool isMatch;
};

/// Translates an Oniguruma pattern to PCRE2's syntax: `\s`, `\w`, `\d`, `\h`,
/// `\b`, POSIX brackets and properties with Oniguruma's meaning and with the
/// characters that Unicode added after PCRE2's version, nested classes and
/// `&&`,
/// `(?m)` for "dot matches newline", `{n,m}+` as a repeated group. Unsupported
/// for a construct that PCRE2 cannot say; InvalidArgument for a broken pattern.
StatusOr<std::string> toPCRE2(std::string_view pattern);

/// A compiled pattern. Thread-safe: matching is const and allocates its own
/// state.
class Regex {
public:
  /// Compiles an Oniguruma pattern.
  static StatusOr<Regex> compile(std::string_view pattern);
  /// Compiles a pattern that matches `text` itself.
  static StatusOr<Regex> literal(std::string_view text);

  Regex(Regex &&) = default;
  Regex &operator=(Regex &&) = default;

  using Visitor = std::function<Status(const Span &)>;

  /// Visits contiguous spans that cover `text` (valid UTF-8): matches and what
  /// lies between them. An empty match is taken unless it touches the match
  /// before it. ResourceExhausted when matching exceeds PCRE2's limits;
  /// otherwise what a visit returns, which ends the visits if it is an error.
  Status forEachSpan(std::string_view text, const Visitor &visit) const;

  /// Appends these spans to `spans`.
  Status split(std::string_view text, std::vector<Span> &spans) const;

private:
  struct CodeDeleter {
    void operator()(pcre2_real_code_8 *code) const;
  };

  Regex() = default;
  Status forEachLiteral(std::string_view text, const Visitor &visit) const;

  std::unique_ptr<pcre2_real_code_8, CodeDeleter> code;
  /// The text of a literal pattern, which needs no PCRE2.
  std::string literalText;
  /// The pattern as written, for messages.
  std::string source;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_TOKENIZER_REGEX_H
