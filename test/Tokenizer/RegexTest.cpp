//===- RegexTest.cpp - Patterns in PCRE2's syntax -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/Regex.h"

#include <gtest/gtest.h>

using namespace clade::rt;

namespace {

/// The parts of `text`, with matches in brackets.
std::string split(std::string_view pattern, std::string_view text) {
  StatusOr<Regex> regex = Regex::compile(pattern);
  if (!regex.ok())
    return "error: " + regex.status().message();
  std::vector<Span> spans;
  Status status = regex->split(text, spans);
  if (!status.ok())
    return "error: " + status.message();
  std::string result;
  for (const Span &span : spans) {
    std::string part(text.substr(span.begin, span.end - span.begin));
    result += span.isMatch ? "[" + part + "]" : part;
  }
  return result;
}

std::string error(std::string_view pattern) {
  return toPCRE2(pattern).status().message();
}

TEST(Regex, Plain) {
  EXPECT_EQ(split("b+", "abba"), "a[bb]a");
  EXPECT_EQ(split("a|b", ""), "");
  EXPECT_EQ(split("x", "abc"), "abc");
  EXPECT_EQ(split(R"(\.\{a\}-)", ".{a}-"), "[.{a}-]");
}

// An empty match counts unless it touches the match before it.
TEST(Regex, EmptyMatches) {
  EXPECT_EQ(split("x*", "axb"), "[]a[x]b[]");
  EXPECT_EQ(split("", "aé"), "[]a[]é[]");
  EXPECT_EQ(split("(?=b)", "abb"), "a[]b[]b");
}

TEST(Regex, RubyIsNotPerl) {
  EXPECT_EQ(split(R"(\h+)", "xyAf09g"), "xy[Af09]g"); // Hexadecimal digits.
  EXPECT_EQ(split("(?m:a.)", "a\n"), "[a\n]");        // Dot matches newlines.
  EXPECT_EQ(split("a.", "a\n"), "a\n");
  EXPECT_EQ(split("^a$", "b\na\nb"), "b\n[a]\nb");
  EXPECT_EQ(split("a{,2}b", "aaab"), "a[aab]");
  EXPECT_EQ(split("(?:a{1,2}+)a", "aaaa"), "[aaaa]"); // Repeats the interval.
  EXPECT_EQ(split("a{2}?b", "aab b"), "[aab] [b]");   // An optional pair.
  EXPECT_EQ(split("a{1,2}?", "aa"), "[a][a]");
  EXPECT_EQ(split("a{x}", "a{x}"), "[a{x}]");
  EXPECT_EQ(split("x(?i)a|b", "xB B"), "[xB] B"); // Options hold for all of it.
  EXPECT_EQ(split("(?i:ss)", "SS"), "[SS]");
  EXPECT_EQ(split(R"(\v)", "\x0b\n"), "[\x0b]\n");
  EXPECT_EQ(split(R"(\u00e9\x{65E5}\x41\t)", "é日A\t"), "[é日A\t]");
  EXPECT_EQ(split(R"((?<x>a)\k<x>|(?#c)b)", "aab"), "[aa][b]");
}

TEST(Regex, Repeats) {
  EXPECT_EQ(split("a**b", "aab"), "[aab]");
  EXPECT_EQ(split("a+?", "aa"), "[a][a]");
  EXPECT_EQ(split("a++a", "aaa"), "aaa");
  EXPECT_EQ(split("(ab)+", "abab"), "[abab]");
}

TEST(Regex, Classes) {
  EXPECT_EQ(split("[^a-c]+", "abxyc"), "ab[xy]c");
  EXPECT_EQ(split("[a-c&&[^b]]+", "aabcc"), "[aa]b[cc]");
  EXPECT_EQ(split("[a[x-z]]+", "aaxb"), "[aax]b");
  EXPECT_EQ(split("[^a[^b]]", "abc"), "a[b]c"); // Neither a nor anything but b.
  EXPECT_EQ(split("[]a]+", "x]a"), "x[]a]");
  EXPECT_EQ(split(R"([\]\-\\]+)", "a]-\\b"), "a[]-\\]b");
  EXPECT_EQ(split(R"([\w-]+)", "a-b c"), "[a-b] [c]");
  EXPECT_EQ(split(R"([a-\d]+)", "a-4b"), "[a-4]b");
  EXPECT_EQ(split("[[:digit:]]+", "a42"), "a[42]");
  EXPECT_EQ(split("[[:^alpha:]]+", "a42b"), "a[42]b");
  EXPECT_EQ(split("[日本]+", "a日本"), "a[日本]");
  EXPECT_EQ(split(R"([\b])", "a\b"), "a[\b]");
}

TEST(Regex, Properties) {
  EXPECT_EQ(split(R"(\p{Lu}\p{lowercase_letter}+)", "xAbc"), "x[Abc]");
  EXPECT_EQ(split(R"(\p{^L}+|\P{^N})", "ab1"), "ab[1]");
  EXPECT_EQ(split(R"(\p{Han}+)", "a漢字か"), "a[漢字]か");
  EXPECT_EQ(split(R"(\p{Greek}+)", "aαβ"), "a[αβ]");
  EXPECT_EQ(split(R"([\P{L}]+)", "a12b"), "a[12]b");
  // Letters that Unicode got after PCRE2's tables.
  EXPECT_EQ(split(R"(\p{L}+)", "a\U00031350b"), "[a\U00031350b]");
  EXPECT_EQ(split(R"([^\p{L}]+)", "a\U00031350b"), "a\U00031350b");
  EXPECT_EQ(split(R"(\p{Cn})", "\U00031350\U0003FFFF"),
            "\U00031350[\U0003FFFF]");
}

TEST(Regex, Spaces) {
  // The Mongolian vowel separator is no white space, NEL and NBSP are.
  EXPECT_EQ(split(R"(\s+)", "a\u180E \u0085\u00A0b"),
            "a\u180E[ \u0085\u00A0]b");
  EXPECT_EQ(split(R"(\s+(?!\S)|\s+)", "a   b "), "a[  ][ ]b[ ]");
}

TEST(Regex, Words) {
  EXPECT_EQ(split(R"(\w+)", "né² a\u0301"), "[né²] [a\u0301]");
  EXPECT_EQ(split(R"([\w]+)", "x²"), "[x]²");
  EXPECT_EQ(split(R"(\ba)", "a ba"), "[a] ba");
  EXPECT_EQ(split(R"(a\B)", "a ab"), "a [a]b");
}

TEST(Regex, Unsupported) {
  const std::pair<const char *, const char *> cases[] = {
      {"(*FAIL)", "'(*' is not supported"},
      {"(?P<x>a)", "group '(?P' is not supported"},
      {"(?x)a", "group '(?x' is not supported"},
      {"(?~a)", "group '(?~' is not supported"},
      {R"(\ca)", R"('\c' is not supported)"},
      {R"(a\K)", R"('\K' is not supported)"},
      {R"([\R])", R"('\R' in a class is not supported)"},
      {R"(\xE9)", "a byte escape above 0x7F is not supported"},
      {R"(\p{InBasicLatin})",
       "character property 'InBasicLatin' is not supported"},
      {"[[:emoji!:]]", "character property 'emoji!' is not supported"},
      {R"(\k'x')", "this form of reference is not supported"},
  };
  for (const auto &[pattern, message] : cases) {
    EXPECT_EQ(error(pattern),
              "regular expression '" + std::string(pattern) + "': " + message);
    EXPECT_EQ(toPCRE2(pattern).status().code(), StatusCode::Unsupported);
  }
  EXPECT_EQ(error(std::string(20000, 'a')),
            "regular expression of 20000 bytes, expected at most 16384");
  EXPECT_TRUE(
      error(std::string(200, '(')).ends_with("groups are nested too deeply"));
  EXPECT_TRUE(error(std::string(200, '['))
                  .ends_with("character classes are nested too deeply"));
  std::string words;
  while (words.size() < 16000)
    words += "\\b";
  EXPECT_TRUE(error(words).ends_with("it is too large")) << error(words);
}

TEST(Regex, Broken) {
  const std::pair<const char *, const char *> cases[] = {
      {"(a", "a group is not closed"},
      {"a)", "')' without '('"},
      {"(?i", "a group is not closed"},
      {"(?#a", "a comment is not closed"},
      {"(?<a", "a group's name is not closed"},
      {"*a", "nothing to repeat"},
      {"a|{2}", "nothing to repeat"},
      {"a\\", "a backslash ends it"},
      {"[a\\", "a backslash ends it"},
      {"[a", "a character class is not closed"},
      {"[z-a]", "a range in a class runs backwards"},
      {R"(\pL)", "a property needs a name in braces"},
      {R"(\k<a)", "a reference is not closed"},
      {R"(\x{41)", "a hexadecimal escape is not closed"},
      {R"(\u00)", "a hexadecimal escape is not a character"},
      {R"(\x{D800})", "a hexadecimal escape is not a character"},
  };
  for (const auto &[pattern, message] : cases) {
    EXPECT_EQ(error(pattern),
              "regular expression '" + std::string(pattern) + "': " + message);
    EXPECT_EQ(toPCRE2(pattern).status().code(), StatusCode::InvalidArgument);
  }
  // What PCRE2 finds wrong.
  StatusOr<Regex> regex = Regex::compile(R"((a)\2)");
  ASSERT_FALSE(regex.ok());
  EXPECT_TRUE(regex.status().message().starts_with(
      R"(regular expression '(a)\2' does not compile: )"));
}

} // namespace
