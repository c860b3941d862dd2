//===- LexerTest.cpp - Tokens of the .spec language -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/Lexer.h"

#include "gtest/gtest.h"

using namespace clade::spec;

namespace {

TokenList lexValid(StringRef text) {
  return lex(text, [](unsigned, unsigned, std::string message) {
    ADD_FAILURE() << message;
    return false;
  });
}

/// The tokens of `text`, each followed by a blank.
std::string spell(StringRef text) {
  std::string result;
  for (const Token &token : lexValid(text).tokens)
    result += (token.text + " ").str();
  return result;
}

} // namespace

TEST(Lexer, SplitsNumbersFromRanges) {
  EXPECT_EQ(spell("0..n 1.5..2 1.x"), "0 .. n 1.5 .. 2 1 . x  ");
}

TEST(Lexer, TakesExponentsOnlyWithDigits) {
  EXPECT_EQ(spell("1e-5 2E3 1e x 3e+"), "1e-5 2E3 1 e x 3 e +  ");
}

TEST(Lexer, TakesTheLongestPunctuation) {
  EXPECT_EQ(spell("a??b?c=>d==e=f+=g!=h<=i"),
            "a ?? b ? c => d == e = f += g != h <= i  ");
}

TEST(Lexer, KnowsLinesAndColumns) {
  TokenList list = lexValid("ab c\r\n\td");
  ASSERT_EQ(list.tokens.size(), 4u);
  EXPECT_TRUE(list.tokens[0].newlineBefore);
  EXPECT_FALSE(list.tokens[1].newlineBefore);
  EXPECT_EQ(list.tokens[1].line, 1u);
  EXPECT_EQ(list.tokens[1].column, 4u);
  EXPECT_TRUE(list.tokens[2].newlineBefore);
  EXPECT_EQ(list.tokens[2].line, 2u);
  EXPECT_EQ(list.tokens[2].column, 2u);
  EXPECT_TRUE(list.tokens[3].isEnd());
}

TEST(Lexer, KnowsWhatTouches) {
  TokenList list = lexValid("a.b . c");
  EXPECT_TRUE(list.tokens[1].touches(list.tokens[0]));
  EXPECT_TRUE(list.tokens[2].touches(list.tokens[1]));
  EXPECT_FALSE(list.tokens[3].touches(list.tokens[2]));
}

TEST(Lexer, CollectsComments) {
  TokenList list = lexValid("a // first  \n// second");
  ASSERT_EQ(list.comments.size(), 2u);
  EXPECT_EQ(list.comments[0].text, "// first");
  EXPECT_EQ(list.comments[1].text, "// second");
  EXPECT_EQ(list.tokens.size(), 2u);
}

TEST(Lexer, HasNoKeywordsInStrings) {
  TokenList list = lexValid("\"if // x\"");
  EXPECT_TRUE(list.tokens[0].isString());
  EXPECT_FALSE(list.tokens[0].is("\"if // x\""));
  EXPECT_TRUE(list.comments.empty());
}

TEST(Lexer, StopsWhenAsked) {
  unsigned errors = 0;
  TokenList list = lex(
      "$ $ $ a", [&](unsigned, unsigned, std::string) { return ++errors < 2; });
  EXPECT_EQ(errors, 2u);
  ASSERT_EQ(list.tokens.size(), 1u);
  EXPECT_TRUE(list.tokens[0].isEnd());
}

TEST(Lexer, NamesBytesThatAreNoCharacters) {
  std::vector<std::string> messages;
  lex("\x01\xFF\xC3\xE2\x82\xAC", [&](unsigned, unsigned, std::string message) {
    messages.push_back(message);
    return true;
  });
  EXPECT_EQ(messages, (std::vector<std::string>{
                          "unexpected byte 0x01", "unexpected byte 0xff",
                          "unexpected byte 0xc3", "unexpected character '€'"}));
}
