//===- DTypeTest.cpp - Element types and conversions ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/DType.h"
#include "runtime/Support/CheckedMath.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace clade::rt;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

float fromBits(uint32_t bits) { return std::bit_cast<float>(bits); }
uint32_t toBits(float value) { return std::bit_cast<uint32_t>(value); }

TEST(DType, NamesParseBack) {
  for (int i = 0; i < numDTypes; ++i) {
    DType type = static_cast<DType>(i);
    EXPECT_EQ(parseDType(dtypeName(type)), type);
  }
  EXPECT_EQ(parseDType("bf16"), DType::BF16);
  EXPECT_EQ(parseDType("q4_k"), DType::Q4_K);
  EXPECT_EQ(parseDType("F3"), std::nullopt);
  EXPECT_EQ(parseDType(""), std::nullopt);
}

TEST(DType, TensorBytes) {
  using Shape = std::vector<int64_t>;
  EXPECT_EQ(tensorBytes(DType::BF16, Shape{3, 5}), 30);
  EXPECT_EQ(tensorBytes(DType::F64, Shape{}), 8);
  EXPECT_EQ(tensorBytes(DType::F32, Shape{3, 0}), 0);
  EXPECT_EQ(tensorBytes(DType::Q4_K, Shape{2, 512}), 4 * 144);
  EXPECT_EQ(tensorBytes(DType::Q4_K, Shape{512, 2}), std::nullopt);
  EXPECT_EQ(tensorBytes(DType::Q8_0, Shape{}), std::nullopt);
  EXPECT_EQ(tensorBytes(DType::F4, Shape{3, 6}), 9);
  EXPECT_EQ(tensorBytes(DType::F4, Shape{3, 5}), std::nullopt);
  EXPECT_EQ(tensorBytes(DType::F32, Shape{-1}), std::nullopt);
  EXPECT_EQ(tensorBytes(DType::U8, Shape{INT64_MAX}), INT64_MAX);
  EXPECT_EQ(tensorBytes(DType::U16, Shape{INT64_MAX}), std::nullopt);
  EXPECT_EQ(tensorBytes(DType::U8, Shape{1ll << 32, 1ll << 32}), std::nullopt);
  // A zero does not hide an overflow.
  EXPECT_EQ(tensorBytes(DType::U8, Shape{1ll << 32, 1ll << 32, 0}),
            std::nullopt);
}

TEST(DType, ShapeText) {
  EXPECT_EQ(shapeText({}), "[]");
  EXPECT_EQ(shapeText(std::vector<int64_t>{2, 3}), "[2, 3]");
}

TEST(CheckedMath, NoticesOverflow) {
  EXPECT_EQ(checkedAdd<int64_t>(INT64_MAX, 1), std::nullopt);
  EXPECT_EQ(checkedAdd<uint64_t>(UINT64_MAX - 1, 1), UINT64_MAX);
  EXPECT_EQ(checkedMul<int64_t>(1ll << 32, 1ll << 31), std::nullopt);
  EXPECT_EQ(checkedAlignUp<uint64_t>(65, 64), 128u);
  EXPECT_EQ(checkedAlignUp<uint64_t>(64, 64), 64u);
  EXPECT_EQ(checkedAlignUp<uint64_t>(UINT64_MAX, 64), std::nullopt);
  EXPECT_EQ(ceilDiv(7, 3), 3);
  EXPECT_EQ(ceilDiv(6, 3), 2);
}

TEST(DType, BF16KeepsEveryValue) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    float value = bf16ToF32(static_cast<uint16_t>(bits));
    if (std::isnan(value))
      continue;
    ASSERT_EQ(f32ToBF16(value), bits);
  }
}

TEST(DType, BF16RoundsToNearestEven) {
  EXPECT_EQ(f32ToBF16(fromBits(0x3f808000)), 0x3f80); // a tie, down to even
  EXPECT_EQ(f32ToBF16(fromBits(0x3f818000)), 0x3f82); // a tie, up to even
  EXPECT_EQ(f32ToBF16(fromBits(0x3f808001)), 0x3f81);
  EXPECT_EQ(f32ToBF16(fromBits(0x3f807fff)), 0x3f80);
  EXPECT_EQ(f32ToBF16(fromBits(0x7f7fffff)), 0x7f80); // the largest f32
  EXPECT_EQ(f32ToBF16(fromBits(0x00008000)), 0x0000); // subnormal ties
  EXPECT_EQ(f32ToBF16(fromBits(0x80018000)), 0x8002);
}

TEST(DType, BF16KeepsNaN) {
  EXPECT_EQ(f32ToBF16(fromBits(0x7f800001)), 0x7fc0);
  EXPECT_EQ(f32ToBF16(fromBits(0xff800001)), 0xffc0);
  EXPECT_EQ(f32ToBF16(fromBits(0x7fffffff)), 0x7fff);
  EXPECT_EQ(f32ToBF16(infinity), 0x7f80);
  EXPECT_EQ(f32ToBF16(-infinity), 0xff80);
}

/// The value of an f16 by its definition.
double halfByDefinition(uint32_t bits) {
  double sign = bits & 0x8000 ? -1 : 1;
  int exponent = static_cast<int>(bits >> 10) & 31;
  int mantissa = static_cast<int>(bits & 0x3ff);
  return exponent == 0 ? sign * std::ldexp(mantissa, -24)
                       : sign * std::ldexp(1024 + mantissa, exponent - 25);
}

TEST(DType, F16MatchesItsDefinition) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    float value = f16ToF32(static_cast<uint16_t>(bits));
    if ((bits & 0x7fff) > 0x7c00) {
      ASSERT_TRUE(std::isnan(value));
      uint32_t quiet = bits | 0x200;
      ASSERT_EQ(f32ToF16(value), quiet);
      continue;
    }
    double expected = halfByDefinition(bits);
    if ((bits & 0x7fff) == 0x7c00)
      expected = bits & 0x8000 ? -infinity : infinity;
    ASSERT_EQ(value, expected);
    ASSERT_EQ(f32ToF16(value), bits);
  }
}

TEST(DType, F16RoundsToNearestEven) {
  // Between all neighbours: just below the middle, the middle, just above.
  for (uint32_t bits = 0; bits < 0x7c00; ++bits) {
    float below = f16ToF32(static_cast<uint16_t>(bits));
    float above = bits + 1 == 0x7c00
                      ? 65536.0f // where infinity would continue the scale
                      : f16ToF32(static_cast<uint16_t>(bits + 1));
    float middle = (below + above) / 2;
    uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    ASSERT_EQ(f32ToF16(middle), even);
    ASSERT_EQ(f32ToF16(std::nextafter(middle, 0.0f)), bits);
    ASSERT_EQ(f32ToF16(std::nextafter(middle, infinity)), bits + 1);
    ASSERT_EQ(f32ToF16(-middle), even | 0x8000);
  }
  EXPECT_EQ(f32ToF16(fromBits(1)), 0);
  EXPECT_EQ(f32ToF16(1e30f), 0x7c00);
}

TEST(DType, F8E4M3RoundsToNearestEven) {
  for (uint32_t bits = 0; bits < 0x7e; ++bits) {
    float below = f8E4M3ToF32(static_cast<uint8_t>(bits)),
          above = f8E4M3ToF32(static_cast<uint8_t>(bits + 1));
    float middle = (below + above) / 2;
    uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    ASSERT_EQ(f32ToF8E4M3(below), bits);
    ASSERT_EQ(f32ToF8E4M3(-below), bits | 0x80);
    ASSERT_EQ(f32ToF8E4M3(middle), even);
    ASSERT_EQ(f32ToF8E4M3(std::nextafter(middle, 0.0f)), bits);
    ASSERT_EQ(f32ToF8E4M3(std::nextafter(middle, infinity)), bits + 1);
  }
  EXPECT_EQ(f32ToF8E4M3(448.0f), 0x7e);
  EXPECT_EQ(f32ToF8E4M3(-1e30f), 0xfe);
  EXPECT_EQ(f32ToF8E4M3(infinity), 0x7e);
  EXPECT_EQ(f32ToF8E4M3(std::numeric_limits<float>::quiet_NaN()), 0x7f);
}

TEST(DType, F8) {
  EXPECT_EQ(f8E4M3ToF32(0x00), 0.0f);
  EXPECT_EQ(toBits(f8E4M3ToF32(0x80)), 0x80000000u);
  EXPECT_EQ(f8E4M3ToF32(0x01), 0x1p-9f);
  EXPECT_EQ(f8E4M3ToF32(0x38), 1.0f);
  EXPECT_EQ(f8E4M3ToF32(0x7e), 448.0f);
  EXPECT_EQ(f8E4M3ToF32(0xfe), -448.0f);
  EXPECT_TRUE(std::isnan(f8E4M3ToF32(0x7f)));
  EXPECT_EQ(f8E5M2ToF32(0x01), 0x1p-16f);
  EXPECT_EQ(f8E5M2ToF32(0x3c), 1.0f);
  EXPECT_EQ(f8E5M2ToF32(0x7b), 57344.0f);
  EXPECT_EQ(f8E5M2ToF32(0xfc), -infinity);
  EXPECT_TRUE(std::isnan(f8E5M2ToF32(0x7d)));
}

} // namespace
