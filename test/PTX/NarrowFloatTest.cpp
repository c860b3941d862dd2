//===- NarrowFloatTest.cpp - Narrow formats, code by code -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The expected results come from a search among the values of all codes, which
// are written here from the definitions of the formats (OCP 8-bit floating
// point and MX specifications): no rounding arithmetic is shared with the code
// under test.
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/NarrowFloat.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

using namespace clade::ptx;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
const float nan = std::numeric_limits<float>::quiet_NaN();

struct Described {
  const char *name;
  const NarrowFormat &format;
  int exponentBits, mantissaBits, bias;
  /// The largest finite value, as the specification states it.
  double largest;
  bool hasInfinity, hasNaN;
};

const Described formats[] = {
    {"e4m3", formatE4M3, 4, 3, 7, 448, false, true},
    {"e5m2", formatE5M2, 5, 2, 15, 57344, true, true},
    {"e2m1", formatE2M1, 2, 1, 1, 6, false, false},
    {"e2m3", formatE2M3, 2, 3, 1, 7.5, false, false},
    {"e3m2", formatE3M2, 3, 2, 3, 28, false, false},
    {"f16", formatF16, 5, 10, 15, 65504, true, true},
    {"bf16", formatBF16, 8, 7, 127, 0x1.FEp127, true, true},
};

/// The value of a code without a sign; not finite above `largest`.
double valueOf(const Described &d, int code) {
  int exponent = code >> d.mantissaBits;
  int mantissa = code & ((1 << d.mantissaBits) - 1);
  double fraction = std::ldexp(mantissa, -d.mantissaBits);
  double value = exponent == 0 ? std::ldexp(fraction, 1 - d.bias)
                               : std::ldexp(1 + fraction, exponent - d.bias);
  return value <= d.largest ? value : infinity;
}

/// The values of the finite codes, ascending.
std::vector<double> finiteValues(const Described &d) {
  std::vector<double> values;
  for (int code = 0; code < 1 << (d.exponentBits + d.mantissaBits); ++code)
    if (std::isfinite(valueOf(d, code)))
      values.push_back(valueOf(d, code));
  return values;
}

/// Round to nearest, ties to the even code, by search. Saturated.
int nearestCode(const std::vector<double> &values, double magnitude) {
  auto above = std::lower_bound(values.begin(), values.end(), magnitude);
  if (above == values.end())
    return int(values.size()) - 1;
  int upper = int(above - values.begin());
  if (upper == 0 || *above == magnitude)
    return upper;
  double toUpper = *above - magnitude, toLower = magnitude - values[upper - 1];
  if (toUpper != toLower)
    return toUpper < toLower ? upper : upper - 1;
  return upper % 2 == 0 ? upper : upper - 1;
}

/// Inputs around everything of interest in a format: each value, each middle
/// between two, and their neighbours in f32.
std::vector<float> interestingInputs(const std::vector<double> &values) {
  std::vector<float> inputs;
  auto add = [&](double value) {
    float f = float(value);
    for (float near : {std::nextafterf(f, 0), f, std::nextafterf(f, infinity)})
      inputs.push_back(near);
  };
  for (size_t i = 0; i < values.size(); ++i) {
    add(values[i]);
    if (i + 1 < values.size())
      add((values[i] + values[i + 1]) / 2);
  }
  add(values.back() * 1.03125);
  add(values.back() * 2);
  return inputs;
}

TEST(NarrowFloat, DecodesEveryCode) {
  for (const Described &d : formats) {
    int signBit = 1 << (d.exponentBits + d.mantissaBits);
    for (int code = 0; code < signBit; ++code) {
      float plus = decodeNarrow(d.format, code);
      float minus = decodeNarrow(d.format, code | signBit);
      double expected = valueOf(d, code);
      if (std::isfinite(expected)) {
        EXPECT_EQ(plus, expected) << d.name << " " << code;
        EXPECT_EQ(minus, -expected) << d.name << " " << code;
        EXPECT_EQ(std::signbit(minus), true);
        continue;
      }
      bool isInfinity =
          d.hasInfinity && (code & ((1 << d.mantissaBits) - 1)) == 0;
      EXPECT_EQ(std::isinf(plus), isInfinity) << d.name << " " << code;
      EXPECT_EQ(std::isnan(plus), !isInfinity) << d.name << " " << code;
      EXPECT_TRUE(isInfinity || d.hasNaN) << d.name << " " << code;
    }
  }
}

TEST(NarrowFloat, EncodesToTheNearest) {
  for (const Described &d : formats) {
    std::vector<double> values = finiteValues(d);
    int signBit = 1 << (d.exponentBits + d.mantissaBits);
    NarrowOptions saturating;
    saturating.saturates = true;
    for (float input : interestingInputs(values)) {
      int expected = nearestCode(values, input);
      EXPECT_EQ(encodeNarrow(d.format, input, saturating), uint32_t(expected))
          << d.name << " " << input;
      EXPECT_EQ(encodeNarrow(d.format, -input, saturating),
                uint32_t(expected | signBit))
          << d.name << " " << -input;
    }
  }
}

/// All 65,536 bf16 values into every format that is narrower.
TEST(NarrowFloat, EncodesEveryBFloat) {
  NarrowOptions saturating;
  saturating.saturates = true;
  for (const Described &d : formats) {
    if (d.mantissaBits >= 7)
      continue;
    std::vector<double> values = finiteValues(d);
    for (uint32_t high = 0; high < 0x8000; ++high) {
      float input = std::bit_cast<float>(high << 16);
      if (std::isnan(input))
        continue;
      ASSERT_EQ(encodeNarrow(d.format, input, saturating),
                uint32_t(nearestCode(values, input)))
          << d.name << " " << input;
    }
  }
}

TEST(NarrowFloat, RoundsTowardZero) {
  NarrowOptions options;
  options.rounding = NarrowRounding::TowardZero;
  for (const Described &d : {formats[5], formats[6]}) {
    std::vector<double> values = finiteValues(d);
    for (float input : interestingInputs(values)) {
      if (!std::isfinite(input))
        continue;
      auto above = std::upper_bound(values.begin(), values.end(), input);
      EXPECT_EQ(encodeNarrow(d.format, input, options),
                uint32_t(above - values.begin() - 1))
          << d.name << " " << input;
    }
  }
}

TEST(NarrowFloat, OverflowsToInfinityOrTheLargest) {
  NarrowOptions plain, saturating;
  saturating.saturates = true;
  EXPECT_EQ(encodeNarrow(formatF16, 65520, plain), 0x7C00u);
  EXPECT_EQ(encodeNarrow(formatF16, 65519.996f, plain), 0x7BFFu);
  EXPECT_EQ(encodeNarrow(formatF16, -infinity, plain), 0xFC00u);
  EXPECT_EQ(encodeNarrow(formatF16, 1e30f, saturating), 0x7BFFu);
  EXPECT_EQ(encodeNarrow(formatF16, -infinity, saturating), 0xFBFFu);
  EXPECT_EQ(encodeNarrow(formatE4M3, infinity, saturating), 0x7Eu);
  EXPECT_EQ(encodeNarrow(formatE5M2, infinity, saturating), 0x7Bu);
  EXPECT_EQ(encodeNarrow(formatE2M1, -infinity, saturating), 0xFu);
  EXPECT_EQ(encodeNarrow(formatBF16, 3.4e38f, plain), 0x7F80u);
}

/// PTX ISA 9.7.9.21: NaN stays NaN where the format has one; otherwise it is
/// the largest value. `.relu` keeps NaN and clears what is below zero.
TEST(NarrowFloat, NaNAndRelu) {
  NarrowOptions relu;
  relu.relu = relu.saturates = true;
  for (const NarrowOptions &options : {NarrowOptions{}, relu}) {
    EXPECT_EQ(encodeNarrow(formatF16, nan, options), 0x7FFFu);
    EXPECT_EQ(encodeNarrow(formatBF16, -nan, options), 0x7FFFu);
    EXPECT_EQ(encodeNarrow(formatE4M3, nan, options), 0x7Fu);
    EXPECT_EQ(encodeNarrow(formatE5M2, nan, options), 0x7Fu);
    EXPECT_EQ(encodeNarrow(formatE2M1, nan, options), 0x7u);
    EXPECT_EQ(encodeNarrow(formatE2M3, -nan, options), 0x1Fu);
    EXPECT_EQ(encodeNarrow(formatE3M2, nan, options), 0x1Fu);
  }
  EXPECT_EQ(encodeNarrow(formatE4M3, -1.0f, relu), 0u);
  EXPECT_EQ(encodeNarrow(formatF16, -0.0f, relu), 0x8000u);
  EXPECT_EQ(encodeNarrow(formatF16, -1e-30f, relu), 0u);
  EXPECT_EQ(encodeNarrow(formatF16, -infinity, relu), 0u);
  EXPECT_EQ(encodeNarrow(formatF16, 1.0f, relu), 0x3C00u);
}

TEST(NarrowFloat, TF32RoundsAwayFromZeroAtTies) {
  NarrowOptions away;
  away.rounding = NarrowRounding::NearestAway;
  auto convert = [&](uint32_t bits) {
    return encodeNarrow(formatTF32, std::bit_cast<float>(bits), away) << 13;
  };
  EXPECT_EQ(convert(0x3F800000), 0x3F800000u);
  EXPECT_EQ(convert(0x3F800FFF), 0x3F800000u);
  EXPECT_EQ(convert(0x3F801000), 0x3F802000u);
  EXPECT_EQ(convert(0xBF801000), 0xBF802000u);
  EXPECT_EQ(convert(0x3FFFF000), 0x40000000u);
  EXPECT_EQ(convert(0x00001000), 0x00002000u);
  EXPECT_EQ(convert(0x7F7FFFFF), 0x7F800000u);
  EXPECT_EQ(convert(0x7F800000), 0x7F800000u);
}

/// The expectation of stochastic rounding over all random bits is the value.
TEST(NarrowFloat, StochasticRoundingCountsOut) {
  NarrowOptions options;
  options.rounding = NarrowRounding::Stochastic;
  options.saturates = true;
  options.randomBits = 16;
  // 1 + 3/32 lies 3/4 of the way between 1 and 1.125 in e4m3.
  float value = 1 + 3.0f / 32;
  unsigned up = 0;
  for (uint32_t random = 0; random < 65536; ++random) {
    options.random = random;
    uint32_t code = encodeNarrow(formatE4M3, value, options);
    ASSERT_TRUE(code == 0x38 || code == 0x39);
    up += code == 0x39;
  }
  EXPECT_EQ(up, 65536u * 3 / 4);
}

TEST(NarrowFloat, ScalesArePowersOfTwo) {
  for (int code = 0; code < 255; ++code) {
    float value = decodeUE8M0(uint8_t(code));
    EXPECT_EQ(double(value), std::ldexp(1.0, code - 127));
    for (bool up : {false, true}) {
      EXPECT_EQ(encodeUE8M0(value, up, true), code);
      EXPECT_EQ(encodeUE8M0(-value, up, true), code);
    }
    float next = std::nextafterf(value, infinity);
    EXPECT_EQ(encodeUE8M0(next, false, true), code);
    EXPECT_EQ(encodeUE8M0(next, true, true), std::min(code + 1, 254)) << code;
  }
  EXPECT_TRUE(std::isnan(decodeUE8M0(0xFF)));
  EXPECT_EQ(encodeUE8M0(nan, false, true), 0xFF);
  EXPECT_EQ(encodeUE8M0(infinity, false, true), 0xFE);
  EXPECT_EQ(encodeUE8M0(infinity, true, false), 0xFF);
  EXPECT_EQ(encodeUE8M0(0, true, true), 0);
}

TEST(NarrowFloat, FastFormsAgree) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    float slow = decodeNarrow(formatF16, bits), fast = halfToFloat(bits);
    EXPECT_EQ(std::bit_cast<uint32_t>(slow), std::bit_cast<uint32_t>(fast))
        << bits;
    float wide = bfloatToFloat(bits);
    EXPECT_EQ(std::bit_cast<uint32_t>(decodeNarrow(formatBF16, bits)),
              std::bit_cast<uint32_t>(wide))
        << bits;
  }
  for (uint32_t bits = 0; bits < 256; ++bits) {
    EXPECT_EQ(std::bit_cast<uint32_t>(e4m3Values()[bits]),
              std::bit_cast<uint32_t>(decodeNarrow(formatE4M3, bits)));
    EXPECT_EQ(std::bit_cast<uint32_t>(e5m2Values()[bits]),
              std::bit_cast<uint32_t>(decodeNarrow(formatE5M2, bits)));
  }
}

} // namespace
