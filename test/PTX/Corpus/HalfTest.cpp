//===- HalfTest.cpp - Numbers of 16 and 8 bits ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Corpus/Harness.h"
#include "test/PTX/Corpus/Narrow.h"

using namespace corpus;

CORPUS_FILE(Half);

/// Numbers whose sums and products are exact in double.
static std::vector<uint16_t> numbers(const Format &format, size_t n,
                                     uint64_t seed) {
  Random random(seed);
  std::vector<double> values;
  for (size_t i = 0; i < n; ++i)
    values.push_back(
        std::ldexp(random.uniform() - 0.5, int(random.integer(-5, 3))));
  return encodeAll(format, values);
}

/// Bits of results, where any NaN is the same as any other.
static void expectBits(const Format &format, const std::vector<uint16_t> &got,
                       const std::vector<double> &expected) {
  ASSERT_EQ(got.size(), expected.size());
  std::vector<double> values = decodeAll(format, got);
  expectSame(values, expected);
}

TEST_P(Half, HalfArithmetic) {
  size_t n = 500;
  auto a = numbers(half, n, 1), b = numbers(half, n, 2),
       c = numbers(half, n, 3);
  Buffer<uint16_t> out(6 * n);
  forElements("halfArithmetic", n)(Buffer(a), Buffer(b), Buffer(c), out,
                                   int(n));
  std::vector<double> expected;
  for (size_t i = 0; i < n; ++i) {
    double x = half.decode(a[i]), y = half.decode(b[i]), z = half.decode(c[i]);
    expected.insert(expected.end(),
                    {half.round(x + y), half.round(x - y), half.round(x * y),
                     half.round(x * y + z), -x, std::fabs(y)});
  }
  expectBits(half, out.read(), expected);
}

TEST_P(Half, HalfPairs) {
  size_t n = 300;
  auto a = numbers(half, 2 * n, 4), b = numbers(half, 2 * n, 5),
       c = numbers(half, 2 * n, 6);
  a[0] = uint16_t(half.encode(NAN));
  Buffer<uint16_t> out(12 * n);
  forElements("halfPairs", n)(Buffer(a), Buffer(b), Buffer(c), out, int(n));
  std::vector<double> expected(12 * n);
  for (size_t i = 0; i < 2 * n; ++i) {
    double x = half.decode(a[i]), y = half.decode(b[i]), z = half.decode(c[i]);
    double sum = half.round(x * y + z);
    double row[] = {half.round(x + y), half.round(x * y), sum,
                    // A NaN or a negative number becomes zero, or stays NaN.
                    std::isnan(sum) ? NAN : std::max(sum, 0.0), std::fmin(x, y),
                    std::fmax(x, y)};
    for (size_t k = 0; k < 6; ++k)
      expected[12 * (i / 2) + 2 * k + i % 2] = row[k];
  }
  expectBits(half, out.read(), expected);
}

TEST_P(Half, HalfCompare) {
  size_t n = 300;
  auto a = numbers(half, n, 7), b = numbers(half, n, 8);
  for (size_t i = 0; i < n; i += 5)
    b[i] = a[i];
  a[1] = b[2] = uint16_t(half.encode(NAN));
  Buffer<unsigned> out(n);
  forElements("halfCompare", n)(Buffer(a), Buffer(b), out, int(n));
  std::vector<unsigned> expected;
  for (size_t i = 0; i < n; ++i) {
    double x = half.decode(a[i]), y = half.decode(b[i]);
    bool unordered = std::isnan(x) || std::isnan(y);
    // __hne is false for NaN: it compares ordered numbers.
    expected.push_back((x < y) | (x <= y) << 1 | (x == y) << 2 |
                       (!unordered && x != y) << 3 | (unordered || x > y) << 4 |
                       std::isnan(x) << 5);
  }
  expectSame(out.read(), expected);
}

TEST_P(Half, HalfConvert) {
  size_t n = 600;
  Random random(9);
  std::vector<float> a(n);
  for (float &x : a)
    x = std::ldexp(float(random.uniform() - 0.5), int(random.integer(-24, 19)));
  a[0] = 65520, a[1] = -65519.996f, a[2] = INFINITY, a[3] = 1e-8f, a[4] = 2.5f,
  a[5] = 70000;
  Buffer<uint16_t> out(5 * n);
  Buffer<int> whole(2 * n);
  Buffer<float> back(n);
  forElements("halfConvert", n)(Buffer(a), out, whole, back, int(n));
  std::vector<double> expected;
  std::vector<int> expectedWhole;
  std::vector<float> expectedBack;
  auto saturate = [](double x, double low, double high) {
    return int(std::fmax(low, std::fmin(x, high)));
  };
  for (float x : a) {
    double near = half.round(x);
    // As an int: an infinite float is the largest, and zero has no sign.
    double integer =
        std::fmax(-2147483648.0, std::fmin(std::trunc(x), 2147483647.0)) + 0.0;
    expected.insert(expected.end(),
                    {near, half.round(x, FE_TOWARDZERO),
                     half.round(x, FE_UPWARD), half.round(x, FE_DOWNWARD),
                     half.round(integer)});
    expectedWhole.push_back(
        saturate(std::trunc(near), -2147483648.0, 2147483647.0));
    expectedWhole.push_back(saturate(std::nearbyint(near), -32768, 32767));
    expectedBack.push_back(float(near));
  }
  expectBits(half, out.read(), expected);
  expectSame(whole.read(), expectedWhole);
  expectSame(back.read(), expectedBack);
}

TEST_P(Half, HalfFunctions) {
  size_t n = 300;
  std::vector<double> values;
  Random random(10);
  for (size_t i = 0; i < n; ++i)
    values.push_back(0.1 + 5 * random.uniform());
  auto a = encodeAll(half, values);
  Buffer<uint16_t> out(6 * n);
  forElements("halfFunctions", n)(Buffer(a), out, int(n));
  std::vector<uint16_t> got = out.read();
  for (size_t i = 0; i < n; ++i) {
    double x = half.decode(a[i]);
    double exact[] = {std::exp(x), std::log(x),   std::sqrt(x),
                      1 / x,       std::floor(x), std::sin(x)};
    for (size_t k = 0; k < 6; ++k) {
      double value = half.decode(got[6 * i + k]);
      // Computed in float and rounded: the nearest number, or its neighbour
      // where the float's error decides; hsin is off by 2 units at most.
      double unit = std::ldexp(
          1.0, std::max(std::ilogb(exact[k] ? exact[k] : 1.0), -14) - 10);
      EXPECT_LE(std::fabs(value - exact[k]), (k == 5 ? 2 : 0.502) * unit)
          << "function " << k << " at " << x;
    }
  }
}

TEST_P(Half, BfloatArithmetic) {
  size_t n = 500;
  auto a = numbers(bfloat, n, 11), b = numbers(bfloat, n, 12),
       c = numbers(bfloat, n, 13);
  Buffer<uint16_t> out(6 * n);
  forElements("bfloatArithmetic", n)(Buffer(a), Buffer(b), Buffer(c), out,
                                     int(n));
  std::vector<double> expected;
  for (size_t i = 0; i < n; ++i) {
    double x = bfloat.decode(a[i]), y = bfloat.decode(b[i]),
           z = bfloat.decode(c[i]);
    expected.insert(expected.end(),
                    {bfloat.round(x + y), bfloat.round(x - y),
                     bfloat.round(x * y), bfloat.round(x * y + z),
                     std::fmax(x, y), std::fmin(x, y)});
  }
  expectBits(bfloat, out.read(), expected);
}

TEST_P(Half, BfloatConvert) {
  size_t n = 600;
  Random random(14);
  auto a = random.patterns<float>(n);
  a[0] = 1.00390625f, a[1] = 1.01171875f, a[2] = 3.4e38f, a[3] = INFINITY,
  a[4] = NAN, a[5] = 1e-40f;
  Buffer<uint16_t> out(2 * n), pairs(2 * n);
  Buffer<float> back(n);
  forElements("bfloatConvert", n)(Buffer(a), out, pairs, back, int(n));
  std::vector<double> expected, expectedPairs;
  std::vector<float> expectedBack;
  for (size_t i = 0; i < n; ++i) {
    double near = bfloat.round(a[i]);
    expected.insert(expected.end(), {near, bfloat.round(a[i], FE_TOWARDZERO)});
    expectedPairs.insert(expectedPairs.end(),
                         {near, bfloat.round(a[n - 1 - i])});
    expectedBack.push_back(float(near));
  }
  expectBits(bfloat, out.read(), expected);
  expectBits(bfloat, pairs.read(), expectedPairs);
  expectSame(back.read(), expectedBack);
}

TEST_P(Half, BfloatRows) {
  int rows = 20, pairs = 96;
  auto matrix = numbers(bfloat, rows * pairs * 2, 15),
       vector = numbers(bfloat, pairs * 2, 16);
  Buffer<float> out(rows);
  kernel("bfloatRows", rows, 32)(Buffer(matrix), Buffer(vector), out, pairs);
  std::vector<float> expected(rows);
  for (int r = 0; r < rows; ++r) {
    float lanes[32] = {};
    for (int k = 0; k < pairs; ++k) {
      auto m = [&](int e) {
        return float(bfloat.decode(matrix[(r * pairs + k) * 2 + e]));
      };
      auto v = [&](int e) { return float(bfloat.decode(vector[2 * k + e])); };
      float &sum = lanes[k % 32];
      sum = std::fma(m(0), v(0), std::fma(m(1), v(1), sum));
    }
    for (int offset = 16; offset > 0; offset /= 2)
      for (int lane = 0; lane < offset; ++lane)
        lanes[lane] += lanes[lane + offset];
    expected[r] = lanes[0];
  }
  expectSame(out.read(), expected);
}

static std::vector<float> smallNumbers(size_t n, uint64_t seed) {
  Random random(seed);
  std::vector<float> a(n);
  for (float &x : a)
    x = std::ldexp(float(random.uniform() - 0.5), int(random.integer(-12, 12)));
  a[0] = 448, a[1] = 465, a[2] = -1e6f, a[3] = 0.001953125f, a[4] = -0.0f,
  a[5] = 1.0625f;
  return a;
}

TEST_P(Half, EightBits) {
  size_t n = 600;
  auto a = smallNumbers(n, 17);
  Buffer<uint8_t> first(n), second(n);
  Buffer<float> back(2 * n);
  forElements("eightBits", n)(Buffer(a), first, second, back, int(n));
  std::vector<uint8_t> expectedFirst, expectedSecond;
  std::vector<float> expectedBack;
  for (float value : a) {
    double x = e4m3.round(value, FE_TONEAREST, true),
           y = e5m2.round(value, FE_TONEAREST, true);
    expectedFirst.push_back(uint8_t(e4m3.encode(x)));
    expectedSecond.push_back(uint8_t(e5m2.encode(y)));
    expectedBack.insert(expectedBack.end(), {float(x), float(y)});
  }
  expectSame(first.read(), expectedFirst);
  expectSame(second.read(), expectedSecond);
  expectSame(back.read(), expectedBack);
}

TEST_P(Half, EightBitPairs) {
  size_t n = 300;
  auto a = smallNumbers(2 * n, 18);
  Buffer<uint8_t> first(2 * n), second(2 * n);
  Buffer<uint16_t> back(4 * n);
  forElements("eightBitPairs", n)(Buffer(a), first, second, back, int(n));
  std::vector<uint8_t> expectedFirst, expectedSecond;
  std::vector<double> expectedBack(4 * n);
  for (size_t i = 0; i < 2 * n; ++i) {
    double x = e4m3.round(a[i], FE_TONEAREST, true),
           y = e5m2.round(a[i], FE_TONEAREST, true);
    expectedFirst.push_back(uint8_t(e4m3.encode(x)));
    expectedSecond.push_back(uint8_t(e5m2.encode(y)));
    expectedBack[i / 2 * 4 + i % 2] = x;
    expectedBack[i / 2 * 4 + 2 + i % 2] = y;
  }
  expectSame(first.read(), expectedFirst);
  expectSame(second.read(), expectedSecond);
  expectBits(half, back.read(), expectedBack);
}
