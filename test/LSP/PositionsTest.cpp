//===- PositionsTest.cpp - Lines and units of UTF-16 ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/LSP/Positions.h"

#include <gtest/gtest.h>

using namespace clade::lsp;
using llvm::lsp::Position;

namespace {

TEST(PositionsTest, AsciiIsOneUnitAByte) {
  Positions positions("abc\ndef\n");
  EXPECT_EQ(positions.offsetOf(Position(0, 0)), 0u);
  EXPECT_EQ(positions.offsetOf(Position(0, 3)), 3u);
  EXPECT_EQ(positions.offsetOf(Position(1, 1)), 5u);
  EXPECT_EQ(positions.positionOf(5), Position(1, 1));
  EXPECT_EQ(positions.positionOf(8), Position(2, 0));
}

TEST(PositionsTest, CharactersOfSeveralBytes) {
  // Two bytes and one unit; three and one; four and two.
  llvm::StringRef text = "\xC3\xA9x\xE2\x82\xACy\xF0\x9F\x98\x80z";
  Positions positions(text);
  size_t offsets[] = {0, 2, 3, 6, 7, 11, 12};
  int units[] = {0, 1, 2, 3, 4, 6, 7};
  for (size_t i = 0; i < std::size(offsets); ++i) {
    EXPECT_EQ(positions.positionOf(offsets[i]), Position(0, units[i])) << i;
    EXPECT_EQ(positions.offsetOf(Position(0, units[i])), offsets[i]) << i;
  }
  // Inside a character is its begin.
  EXPECT_EQ(positions.offsetOf(Position(0, 5)), 7u);
  EXPECT_EQ(positions.positionOf(9), Position(0, 4));
  EXPECT_EQ(positions.positionOf(4), Position(0, 2));
}

TEST(PositionsTest, PlacesBehindTheEnd) {
  Positions positions("ab\r\nc");
  EXPECT_EQ(positions.offsetOf(Position(0, 99)), 2u);
  EXPECT_EQ(positions.offsetOf(Position(1, 99)), 5u);
  EXPECT_EQ(positions.offsetOf(Position(99, 0)), 5u);
  EXPECT_EQ(positions.offsetOf(Position(-1, -1)), 0u);
  EXPECT_EQ(positions.offsetOf(Position(0, -5)), 0u);
  EXPECT_EQ(positions.positionOf(1000), Position(1, 1));
}

TEST(PositionsTest, AnEmptyText) {
  Positions positions("");
  EXPECT_EQ(positions.offsetOf(Position(0, 0)), 0u);
  EXPECT_EQ(positions.offsetOf(Position(3, 3)), 0u);
  EXPECT_EQ(positions.positionOf(0), Position(0, 0));
}

TEST(PositionsTest, BytesThatAreNoCharacters) {
  Positions positions("a\xFF\xC3(\x80");
  for (size_t i = 0; i <= 5; ++i) {
    EXPECT_EQ(positions.positionOf(i), Position(0, static_cast<int>(i)));
    EXPECT_EQ(positions.offsetOf(Position(0, static_cast<int>(i))), i);
  }
}

TEST(PositionsTest, LinesAndColumnsInBytes) {
  Positions positions("\xC3\xA9x\nab");
  EXPECT_EQ(positions.offsetOf(1u, 3u), 2u);
  EXPECT_EQ(positions.offsetOf(2u, 2u), 5u);
  EXPECT_EQ(positions.offsetOf(2u, 99u), 6u);
  EXPECT_EQ(positions.offsetOf(0u, 1u), 6u);
  EXPECT_EQ(positions.offsetOf(7u, 1u), 6u);
}

TEST(PositionsTest, ThereAndBack) {
  llvm::StringRef text = "f \xE2\x86\x92 g\n\xF0\x9D\x92\x9C = 1\r\n\nend";
  Positions positions(text);
  for (size_t i = 0; i <= text.size(); ++i) {
    Position position = positions.positionOf(i);
    size_t back = positions.offsetOf(position);
    EXPECT_LE(back, i);
    EXPECT_EQ(positions.positionOf(back), position) << i;
  }
}

} // namespace
