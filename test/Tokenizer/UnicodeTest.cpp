//===- UnicodeTest.cpp - UTF-8 and character classes ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/Unicode.h"

#include <gtest/gtest.h>

using namespace clade::rt;

namespace {

TEST(Unicode, EveryCodePointRoundTrips) {
  for (char32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 97) {
    if (c >= 0xD800 && c < 0xE000)
      continue;
    std::string text;
    appendCharacter(text, c);
    ASSERT_TRUE(isValidUTF8(text)) << std::hex << uint32_t(c);
    DecodedCharacter decoded = decodeCharacter(text, 0);
    ASSERT_EQ(decoded.codePoint, c);
    ASSERT_EQ(decoded.length, text.size());
  }
}

TEST(Unicode, ScanStopsAtTheFirstWrongByte) {
  EXPECT_EQ(scanUTF8("\xE2\x82").kind, UTF8Prefix::Incomplete);
  EXPECT_EQ(scanUTF8("\xE2\x82").length, 2u);
  EXPECT_EQ(scanUTF8("\xE2\x82x").kind, UTF8Prefix::Invalid);
  EXPECT_EQ(scanUTF8("\xE2\x82x").length, 2u);
  EXPECT_EQ(scanUTF8("\xED\xA0").length, 1u); // No surrogate starts like this.
}

TEST(Unicode, NormalForms) {
  EXPECT_EQ(normalize("e\u0301", NormalForm::NFC), "é");
  EXPECT_EQ(normalize("é", NormalForm::NFD), "e\u0301");
  EXPECT_EQ(normalize("ﬁ①", NormalForm::NFKC), "fi1");
  EXPECT_EQ(normalize("각", NormalForm::NFKD), "\u1100\u1161\u11A8");
  EXPECT_EQ(normalize("plain", NormalForm::NFKC), "plain");
  // Newer than the library's tables: U+32FF stays, U+1ABF does not move.
  EXPECT_EQ(normalize("\u32FF", NormalForm::NFKC), "\u32FF");
  EXPECT_EQ(normalize("a\u0301\u1ABF", NormalForm::NFD), "a\u0301\u1ABF");
}

TEST(Unicode, Lowercase) {
  std::string text;
  for (char32_t c : U"AÉΣİ\U00010D50")
    if (c)
      appendLowercase(text, c);
  EXPECT_EQ(text, "aéσi\u0307\U00010D70");
}

TEST(Unicode, Classes) {
  EXPECT_TRUE(isWhitespace(0x85) && isWhitespace(0x3000) && !isWhitespace('a'));
  EXPECT_TRUE(isNumeric(U'²') && isNumeric(U'Ⅷ') && !isNumeric('a'));
  EXPECT_TRUE(isPunctuation('$') && isPunctuation(U'。') &&
              !isPunctuation('1'));
  EXPECT_TRUE(isWord('_') && isWord(0x301) && !isWord('-'));
  EXPECT_TRUE(isCombiningMark(0x301) && !isCombiningMark('a'));
  EXPECT_TRUE(isBertAccent(0x301) && !isBertAccent(0x903));
  EXPECT_TRUE(isBertControl(0xFFFD) && !isBertControl('\n'));
  EXPECT_TRUE(isChineseCharacter(U'漢') && !isChineseCharacter(U'か'));
}

TEST(Unicode, Graphemes) {
  EXPECT_EQ(graphemeLength("ab"), 1u);
  EXPECT_EQ(graphemeLength("e\u0301x"), 3u);
  EXPECT_EQ(graphemeLength("\r\n"), 2u);
  EXPECT_EQ(graphemeLength("👨‍👩‍👧x"),
            std::string("👨‍👩‍👧").size());
}

} // namespace
