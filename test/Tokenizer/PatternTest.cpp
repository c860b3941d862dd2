//===- PatternTest.cpp - Patterns that tokenizers split by ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The expected pieces are what tokenizers 0.23.3, whose patterns are
// Oniguruma's, gives.
//
//===----------------------------------------------------------------------===//

#include "TokenizerSupport.h"

#include "runtime/Tokenizer/Regex.h"

using namespace clade::rt;

namespace {

/// The matches of a pattern and what is between them, in order.
struct Group {
  const char *pattern;
  std::vector<std::pair<std::string, std::vector<std::string>>> cases;
};

const std::vector<Group> groups = {
    // The words of Llama 3, Qwen 2 and GPT-4o.
    {R"~((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)~",
     {{"I'LL go  now!\n\nx12345",
       {"I", "'LL", " go", " ", " now", "!\n\n", "x", "123", "45"}},
      {"don'T", {"don", "'T"}},
      {"a\r\n b", {"a", "\r\n", " b"}},
      {"  ", {"  "}},
      {"naïve café", {"naïve", " café"}},
      {"１２３４", {"１２３", "４"}}}},
    {R"~([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)~",
     {{"HelloWorld it's", {"Hello", "World", " it's"}},
      {"ABCdef", {"ABCdef"}},
      {"x/y//\n", {"x", "/y", "//\n"}},
      {"日本語ですABC", {"日本語です", "ABC"}}}},
    // Possessive and lazy repetition, groups that are not kept.
    {R"~(a++b|a+?c|(?>ab|a)b)~",
     {{"aab", {"aab"}},
      {"aaac", {"aaac"}},
      {"abb", {"ab", "b"}},
      {"ab", {"ab"}}}},
    // What stands before and behind.
    {R"~((?<=a)b|b(?!c)|(?<!x)y(?=z))~",
     {{"abbc", {"a", "b", "bc"}},
      {"bc", {"bc"}},
      {"yz xyz yzz", {"y", "z xyz ", "y", "zz"}}}},
    // Classes: sets, ranges, their intersections, negations, names.
    {R"~([[:digit:]]+|[a-z&&[^aeiou]]+|[^\P{Lu}X]+)~",
     {{"abc123XYZ", {"a", "bc", "123", "X", "YZ"}},
      {"hello", {"h", "e", "ll", "o"}},
      {"ÄÖX", {"ÄÖ", "X"}}}},
    // Letters by script and by what they are.
    {R"~(\p{Han}+|\p{Greek}+|\p{Cyrillic}+)~",
     {{"漢字かなαβгд", {"漢字", "かな", "αβ", "гд"}}, {"a", {"a"}}}},
    // Blanks of every kind, and those of a line.
    {R"~(\h+|\R)~",
     {{"a \t\xC2\xA0"
       "b",
       {"a", " \t\xC2\xA0", "b"}},
      {"a\r\nb\nc", {"a", "\r\n", "b", "\n", "c"}}}},
    // Anchors and boundaries.
    {R"~(\b\w|\w\b)~",
     {{"ab cd", {"a", "b", " ", "c", "d"}}, {"é x", {"é", " ", "x"}}}},
    // Case does not matter in part of a pattern.
    {R"~((?i)straße|(?-i:A)b)~",
     {{"STRAßE Straße", {"STRAßE", " ", "Straße"}},
      {"Ab ab AB", {"Ab", " ab ", "AB"}}}},
    // Escapes by number.
    {R"~(\u00e9+|\x41|\t)~",
     {{"ééA\tA", {"éé", "A", "\t", "A"}}, {"x", {"x"}}}},
    // The empty alternative matches nowhere that counts.
    {R"~(x*)~", {{"axxb", {"a", "xx", "b"}}, {"", {}}}},
};

TEST(Pattern, SplitsAsTheLibraryDoes) {
  for (const Group &group : groups) {
    auto regex = Regex::compile(group.pattern);
    ASSERT_TRUE(regex.ok())
        << group.pattern << ": " << regex.status().message();
    for (const auto &[text, expected] : group.cases) {
      std::vector<Span> spans;
      Status status = regex->split(text, spans);
      EXPECT_TRUE(status.ok()) << status.message();
      std::vector<std::string> pieces;
      for (const Span &span : spans)
        if (span.end > span.begin)
          pieces.push_back(text.substr(span.begin, span.end - span.begin));
      EXPECT_EQ(pieces, expected) << group.pattern << " in " << text;
    }
  }
}

} // namespace
