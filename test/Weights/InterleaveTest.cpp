//===- InterleaveTest.cpp - The inner loops of packing --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every way through them against one loop over the elements.
//
//===----------------------------------------------------------------------===//

#include "runtime/Weights/Interleave.h"

#include "gtest/gtest.h"

#include <cstring>
#include <random>
#include <vector>

using namespace clade::rt;

namespace {

struct Shape {
  int64_t rows, width, elementBytes, inner, panelRows;
};

/// Packs random rows to `shift` bytes behind a 64-byte boundary.
void check(const Shape &shape, size_t shift) {
  SCOPED_TRACE(::testing::Message()
               << shape.rows << " rows of " << shape.width << " x "
               << shape.elementBytes << " bytes, inner " << shape.inner
               << ", panel " << shape.panelRows << ", shift " << shift);
  std::mt19937 random(7);
  auto rowBytes = static_cast<size_t>(shape.width * shape.elementBytes);
  // Rows begin at odd places, one behind the other in no order.
  std::vector<std::byte> data(static_cast<size_t>(shape.rows) * (rowBytes + 3));
  for (std::byte &byte : data)
    byte = std::byte(random());
  std::vector<const std::byte *> rows;
  for (int64_t r = shape.rows; r-- > 0;)
    rows.push_back(data.data() + static_cast<size_t>(r) * (rowBytes + 3));
  int64_t units = (shape.width + shape.inner - 1) / shape.inner;
  auto size = static_cast<size_t>(units * shape.panelRows * shape.inner *
                                  shape.elementBytes);
  std::vector<std::byte> expected(size, std::byte(0xa5));
  for (int64_t r = 0; r < shape.rows; ++r)
    for (int64_t k = 0; k < shape.width; ++k) {
      int64_t at = (k / shape.inner * shape.panelRows + r) * shape.inner +
                   k % shape.inner;
      std::memcpy(&expected[static_cast<size_t>(at * shape.elementBytes)],
                  rows[static_cast<size_t>(r)] + k * shape.elementBytes,
                  static_cast<size_t>(shape.elementBytes));
    }
  std::vector<std::byte> memory(size + 192, std::byte(0xa5));
  size_t start = 64 - reinterpret_cast<uintptr_t>(memory.data()) % 64 + shift;
  interleaveRows(rows, shape.width, shape.elementBytes, shape.inner,
                 shape.panelRows, memory.data() + start);
  EXPECT_EQ(std::memcmp(memory.data() + start, expected.data(), size), 0);
  // Nothing around it is written.
  for (size_t i = 0; i < memory.size(); ++i) {
    if (i < start || i >= start + size) {
      ASSERT_EQ(memory[i], std::byte(0xa5)) << i;
    }
  }
}

TEST(Interleave, UnitsOfFourBytes) {
  for (int64_t width : {1, 7, 31, 32, 33, 64, 100, 131})
    for (int64_t rows : {1, 4, 15, 16, 17, 32, 48})
      for (size_t shift : {0, 4}) {
        check({rows, width, /*elementBytes=*/2, /*inner=*/2, 48}, shift);
        check({rows, width, /*elementBytes=*/4, /*inner=*/1, 48}, shift);
      }
}

TEST(Interleave, OtherUnits) {
  for (int64_t width : {1, 5, 16, 37})
    for (int64_t rows : {1, 3, 8, 16})
      for (auto [bytes, inner] : {std::pair<int64_t, int64_t>{1, 1},
                                  {2, 1},
                                  {1, 4},
                                  {2, 4},
                                  {4, 4},
                                  {8, 1},
                                  {2, 3}})
        check({rows, width, bytes, inner, 16}, 0);
}

} // namespace
