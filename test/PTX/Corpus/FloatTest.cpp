//===- FloatTest.cpp - Floating-point arithmetic and functions ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiled so that roundings asked for at run time are done.
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Corpus/Harness.h"

#include <cfenv>

using namespace corpus;

CORPUS_FILE(Float);

/// Numbers of all sizes, with the special ones first.
template <typename T> static std::vector<T> mixed(size_t n, uint64_t seed) {
  Random random(seed);
  using Limits = std::numeric_limits<T>;
  std::vector<T> values = {T(0),
                           T(-0.0),
                           T(1),
                           T(-1),
                           Limits::max(),
                           Limits::min(),
                           Limits::denorm_min(),
                           Limits::infinity(),
                           T(NAN),
                           T(1.5),
                           T(-2.5),
                           Limits::lowest()};
  for (size_t i = values.size(); i < n; ++i)
    values.push_back(i % 2 ? random.patterns<T>(1)[0]
                           : T(std::ldexp(random.uniform() - 0.5,
                                          int(random.integer(-20, 20)))));
  return values;
}

/// `compute` in each rounding: nearest, to zero, up, down.
template <typename T, typename F>
static void inRoundings(std::vector<T> &out, F compute) {
  for (int mode : {FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD}) {
    std::fesetround(mode);
    volatile T value = compute();
    out.push_back(T(value));
  }
  std::fesetround(FE_TONEAREST);
}

template <typename T>
static std::vector<T> roundOperations(const std::vector<T> &a,
                                      const std::vector<T> &b,
                                      const std::vector<T> &c) {
  std::vector<T> out;
  for (size_t i = 0; i < a.size(); ++i) {
    volatile T x = a[i], y = b[i], z = c[i];
    inRoundings(out, [&]() -> T { return x + y; });
    inRoundings(out, [&]() -> T { return x * y; });
    inRoundings(out, [&]() -> T { return std::fma(x, y, z); });
    inRoundings(out, [&]() -> T { return x / y; });
    inRoundings(out, [&]() -> T { return std::sqrt(std::fabs(x)); });
  }
  return out;
}

TEST_P(Float, Roundings) {
  size_t n = 600;
  auto a = mixed<float>(n, 1), b = mixed<float>(n, 2), c = mixed<float>(n, 3);
  Buffer<float> out(20 * n);
  forElements("roundings", n)(Buffer(a), Buffer(b), Buffer(c), out, int(n));
  expectSame(out.read(), roundOperations(a, b, c));
}

TEST_P(Float, RoundingsDouble) {
  size_t n = 600;
  auto a = mixed<double>(n, 4), b = mixed<double>(n, 5),
       c = mixed<double>(n, 6);
  Buffer<double> out(20 * n);
  forElements("roundingsDouble", n)(Buffer(a), Buffer(b), Buffer(c), out,
                                    int(n));
  expectSame(out.read(), roundOperations(a, b, c));
}

/// A number to an integer type as PTX does it: rounded, saturated, NaN is 0 for
/// 32 bits (and the top bit for 64).
template <typename T> static T toInteger(long double x, int mode) {
  if (std::isnan(x))
    return sizeof(T) == 8 ? T(uint64_t(1) << 63) : 0;
  std::fesetround(mode);
  volatile long double in = x;
  long double whole = std::nearbyint(in);
  std::fesetround(FE_TONEAREST);
  if (whole < (long double)std::numeric_limits<T>::min())
    return std::numeric_limits<T>::min();
  if (whole > (long double)std::numeric_limits<T>::max())
    return std::numeric_limits<T>::max();
  return T(whole);
}

TEST_P(Float, ToIntegers) {
  size_t n = 500;
  auto a = mixed<float>(n, 7);
  auto b = mixed<double>(n, 8);
  // NaN to 64 bits is not stated by the ISA for every form: it is not tested.
  for (size_t i = 0; i < n; ++i) {
    if (std::isnan(a[i]))
      a[i] = 0.5f;
    if (std::isnan(b[i]))
      b[i] = -0.5;
  }
  a[12] = 2.5f, a[13] = -3.5f, a[14] = 2147483648.0f, a[15] = 4294967296.0f;
  Buffer<int> out(6 * n);
  Buffer<int64_t> wide(4 * n);
  forElements("toIntegers", n)(Buffer(a), Buffer(b), out, wide, int(n));
  std::vector<int> expected;
  std::vector<int64_t> expectedWide;
  for (size_t i = 0; i < n; ++i) {
    for (int mode : {FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD})
      expected.push_back(toInteger<int>(a[i], mode));
    expected.push_back(int(toInteger<unsigned>(a[i], FE_TONEAREST)));
    expected.push_back(toInteger<int>(b[i], FE_TOWARDZERO));
    expectedWide.push_back(toInteger<int64_t>(a[i], FE_TONEAREST));
    expectedWide.push_back(toInteger<int64_t>(b[i], FE_DOWNWARD));
    expectedWide.push_back(int64_t(toInteger<uint64_t>(b[i], FE_UPWARD)));
    expectedWide.push_back(int64_t(toInteger<uint64_t>(a[i], FE_TOWARDZERO)));
  }
  expectSame(out.read(), expected);
  expectSame(wide.read(), expectedWide);
}

/// A wider number rounded to T.
template <typename T> static T rounded(long double x, int mode) {
  std::fesetround(mode);
  volatile long double in = x;
  volatile T out = T(in);
  std::fesetround(FE_TONEAREST);
  return out;
}

TEST_P(Float, FromIntegers) {
  size_t n = 500;
  auto a = Random(9).patterns<int64_t>(n);
  for (size_t i = 0; i < n; i += 2)
    a[i] >>= i % 63;
  auto b = mixed<double>(n, 10);
  for (size_t i = 12; i < n; i += 3)
    b[i] = std::ldexp(b[i] == b[i] ? std::fmod(b[i], 1.0) : 0.3,
                      int(i % 260) - 150);
  Buffer<float> out(10 * n, 0.0f);
  Buffer<double> wide(3 * n);
  forElements("fromIntegers", n)(Buffer(a), Buffer(b), out, wide, int(n));
  std::vector<float> expected;
  std::vector<double> expectedWide;
  for (size_t i = 0; i < n; ++i) {
    int64_t x = a[i];
    expected.insert(expected.end(),
                    {rounded<float>(int(x), FE_TONEAREST),
                     rounded<float>(int(x), FE_TOWARDZERO),
                     rounded<float>(x, FE_UPWARD),
                     rounded<float>(x, FE_DOWNWARD),
                     rounded<float>(uint64_t(x), FE_TONEAREST),
                     rounded<float>(unsigned(x), FE_TOWARDZERO)});
    for (int mode : {FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD})
      expected.push_back(rounded<float>(b[i], mode));
    expectedWide.insert(expectedWide.end(),
                        {rounded<double>(x, FE_TONEAREST),
                         rounded<double>(uint64_t(x), FE_DOWNWARD),
                         double(rounded<float>(b[i], FE_TONEAREST))});
  }
  expectSame(out.read(), expected);
  expectSame(wide.read(), expectedWide);
}

TEST_P(Float, WholeNumbers) {
  size_t n = 600;
  auto a = mixed<float>(n, 11), b = mixed<float>(n, 12);
  Buffer<float> out(10 * n);
  forElements("wholeNumbers", n)(Buffer(a), Buffer(b), out, int(n));
  std::vector<float> expected;
  for (size_t i = 0; i < n; ++i) {
    float x = a[i], y = b[i];
    expected.insert(expected.end(),
                    {std::floor(x), std::ceil(x), std::trunc(x), std::rint(x),
                     std::round(x), std::fmod(x, y),
                     std::ldexp(x, int(i % 40) - 20), std::copysign(x, y),
                     std::nextafter(x, y), std::remainder(x, y)});
  }
  expectSame(out.read(), expected);
}

TEST_P(Float, Comparisons) {
  size_t n = 600;
  auto a = mixed<float>(n, 13), b = mixed<float>(n, 14);
  b[0] = -0.0f, b[1] = NAN, b[3] = -1;
  Buffer<unsigned> out(n);
  Buffer<float> values(3 * n);
  forElements("comparisons", n)(Buffer(a), Buffer(b), out, values, int(n));
  std::vector<unsigned> expected(n);
  std::vector<float> expectedValues;
  for (size_t i = 0; i < n; ++i) {
    float x = a[i], y = b[i];
    bool bits[] = {x<y, x <= y, x> y,
                   x >= y,
                   x == y,
                   x != y,
                   !(x < y),
                   !(x > y),
                   std::isnan(x),
                   std::isinf(y),
                   std::signbit(x),
                   std::isnan(x) || std::isnan(y)};
    for (unsigned k = 0; k < 12; ++k)
      expected[i] |= unsigned(bits[k]) << k;
    // The smaller of two zeros is the negative one.
    bool lessOrZero = x < y || (x == y && std::signbit(x));
    float least = std::isnan(x) ? y : std::isnan(y) ? x : lessOrZero ? x : y;
    float most = std::isnan(x) ? y : std::isnan(y) ? x : lessOrZero ? y : x;
    expectedValues.insert(expectedValues.end(), {least, most, std::fdim(x, y)});
  }
  expectSame(out.read(), expected);
  expectSame(values.read(), expectedValues);
}

TEST_P(Float, Subnormals) {
  size_t n = 400;
  Random random(15);
  std::vector<float> a(n);
  for (float &x : a)
    x = std::ldexp(float(random.uniform() - 0.5),
                   int(random.integer(-126, -100)));
  Buffer<float> out(4 * n);
  forElements("subnormals", n)(Buffer(a), out, int(n));
  std::vector<float> expected;
  for (float x : a) {
    // a * 2^-20 + a * 2^-12: the compiler fuses the first product.
    float second = x * 0x1p-12f;
    expected.insert(expected.end(),
                    {x * 0x1p-10f, std::fma(x, 0x1p-20f, second),
                     std::fma(x, 0x1p-18f, 0x1p-149f), x * 0x1p-30f / 0x1p-4f});
  }
  expectSame(out.read(), expected);
}

//===--- Functions: bounds of the CUDA programming guide, in units ---===//

/// Compares column k of rows of eight with `functions[k]` within `bounds[k]`
/// units in the last place.
template <typename T, typename Wide>
static void
checkFunctions(const std::vector<T> &in, const std::vector<T> &got,
               const std::vector<std::function<Wide(Wide)>> &functions,
               const std::vector<double> &bounds) {
  for (size_t k = 0; k < functions.size(); ++k) {
    double worst = 0;
    size_t place = 0;
    for (size_t i = 0; i < in.size(); ++i) {
      double error = ulps(got[8 * i + k], functions[k](Wide(in[i])));
      if (error > worst || error != error)
        worst = error, place = i;
    }
    EXPECT_LE(worst, bounds[k])
        << "function " << k << " at " << in[place] << ": " << got[8 * place + k]
        << " instead of " << double(functions[k](Wide(in[place])));
  }
}

TEST_P(Float, Trigonometry) {
  size_t n = 400;
  auto a = Random(16).reals(n, -20, 20);
  // Arguments that need many digits of pi, whose reduction uses local memory.
  for (size_t i = 0; i < n; i += 4)
    a[i] = std::ldexp(a[i], int(i % 100));
  Buffer<float> out(8 * n);
  forElements("trigonometry", n)(Buffer(a), out, int(n));
  auto sinPi = [](double x) {
    double rest = std::fmod(x, 2.0);
    return std::fmod(x, 1.0) == 0 ? std::copysign(0.0, x)
                                  : std::sin(M_PI * rest);
  };
  checkFunctions<float, double>(a, out.read(),
                                {[](double x) { return std::sin(x); },
                                 [](double x) { return std::cos(x); },
                                 [](double x) { return std::tan(x); },
                                 [](double x) { return std::atan(x); },
                                 [](double x) { return std::sin(x); },
                                 [](double x) { return std::cos(x); },
                                 [](double x) { return std::atan2(x, 1.5); },
                                 sinPi},
                                {2, 2, 4, 2, 2, 2, 3, 2});
}

TEST_P(Float, Exponentials) {
  size_t n = 400;
  auto a = Random(17).reals(n, -12, 12);
  a[0] = 0, a[1] = 100, a[2] = -100, a[3] = 1e-8f;
  Buffer<float> out(8 * n);
  forElements("exponentials", n)(Buffer(a), out, int(n));
  checkFunctions<float, double>(
      a, out.read(),
      {[](double x) { return std::exp(x); },
       [](double x) { return std::exp2(x); },
       [](double x) { return std::expm1(x); },
       [](double x) { return std::tanh(x); },
       [](double x) { return std::sinh(x); },
       [](double x) { return std::erf(x); },
       // expf(-x), which may be infinite, is off by 2; then a sum and a
       // quotient.
       [](double x) { return 1 / (1 + double(float(std::exp(-x)))); },
       [](double x) { return std::pow(10.0, x); }},
      {2, 2, 1, 2, 3, 2, 3, 2});
}

TEST_P(Float, Logarithms) {
  size_t n = 400;
  Random random(18);
  std::vector<float> a(n);
  for (float &x : a)
    x = std::ldexp(float(random.uniform() + 0.5), int(random.integer(-40, 40)));
  a[0] = 1, a[1] = 1.0000001f, a[2] = 0.99999994f, a[3] = 1e-40f;
  Buffer<float> out(8 * n);
  forElements("logarithms", n)(Buffer(a), out, int(n));
  checkFunctions<float, double>(
      a, out.read(),
      {[](double x) { return std::log(x); },
       [](double x) { return std::log2(x); },
       [](double x) { return std::log10(x); },
       [](double x) { return std::log1p(x); },
       [](double x) { return 1 / std::sqrt(x); },
       [](double x) { return std::cbrt(x); },
       [](double x) { return std::pow(x, double(1.7f)); },
       [](double x) { return 1 / x; }},
      {1, 1, 2, 1, 2, 1, 4, 0});
}

TEST_P(Float, FunctionsDouble) {
  size_t n = 300;
  auto a = Random(19).reals<double>(n, 0.01, 30);
  Buffer<double> out(8 * n);
  forElements("functionsDouble", n)(Buffer(a), out, int(n));
  using Wide = long double;
  checkFunctions<double, Wide>(
      a, out.read(),
      {[](Wide x) { return std::sin(x); }, [](Wide x) { return std::cos(x); },
       [](Wide x) { return std::exp(-x); }, [](Wide x) { return std::log(x); },
       [](Wide x) { return std::pow(x, Wide(0.3)); },
       [](Wide x) { return std::tanh(x); },
       [](Wide x) { return 1 / std::sqrt(x); },
       [](Wide x) { return std::atan(x); }},
      {2, 2, 1, 1, 2, 2, 1, 2});
}

TEST_P(Float, FastFunctions) {
  size_t n = 400;
  auto a = Random(20).reals(n, 0.05, 3.1);
  Buffer<float> out(8 * n);
  forElements("fastFunctions", n)(Buffer(a), out, int(n));
  std::vector<float> got = out.read();
  for (size_t i = 0; i < n; ++i) {
    double x = a[i];
    const float *row = &got[8 * i];
    EXPECT_NEAR(row[0], std::sin(x), std::exp2(-21.41)) << x;
    EXPECT_NEAR(row[1], std::cos(x), std::exp2(-21.19)) << x;
    EXPECT_LE(ulps(row[2], std::exp(x)), 2 + std::floor(1.173 * x)) << x;
    if (x >= 0.5 && x <= 2)
      EXPECT_NEAR(row[3], std::log(x), std::exp2(-21.41)) << x;
    else
      EXPECT_LE(ulps(row[3], std::log(x)), 3) << x;
    EXPECT_LE(ulps(row[4], x / double(3.7f)), 2) << x;
    EXPECT_EQ(ulps(row[5], 1 / std::sqrt(x)), 0) << x;
    if (x >= 0.5 && x <= 2)
      EXPECT_NEAR(row[6], std::log2(x), std::exp2(-22)) << x;
    else
      EXPECT_LE(ulps(row[6], std::log2(x)), 2) << x;
    // tanh.approx: a relative error of 2^-10.987 (PTX ISA).
    EXPECT_NEAR(row[7] / std::tanh(x), 1, std::exp2(-10.987)) << x;
  }
}

TEST_P(Float, CompensatedSum) {
  int n = 60, length = 40;
  auto in = Random(21).reals(n * length, -1e4, 1e4);
  Buffer<float> out(n);
  forElements("compensatedSum", n)(Buffer(in), out, n, length);
  std::vector<float> expected(n);
  for (int i = 0; i < n; ++i) {
    volatile float sum = 0, rest = 0;
    for (int k = 0; k < length; ++k) {
      volatile float y = in[i * length + k] - rest, t = sum + y,
                     difference = t - sum;
      rest = difference - y;
      sum = t;
    }
    expected[i] = sum;
  }
  expectSame(out.read(), expected);
}

TEST_P(Float, Mandelbrot) {
  int width = 48, height = 32, limit = 60;
  Buffer<unsigned> out(width * height);
  kernel("mandelbrot", {3, 4}, {16, 8})(out, width, height, limit);
  std::vector<unsigned> expected;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      float cr = std::fma(float(x), 3.0f / float(width), -2.0f),
            ci = std::fma(float(y), 2.0f / float(height), -1.0f), zr = 0,
            zi = 0;
      unsigned steps = 0;
      for (; int(steps) < limit; ++steps) {
        float a = zr * zr, b = zi * zi, c = 2.0f * zr;
        if (a + b > 4.0f)
          break;
        zr = (a - b) + cr;
        zi = std::fma(c, zi, ci);
      }
      expected.push_back(steps);
    }
  expectSame(out.read(), expected);
}

TEST_P(Float, FloatBits) {
  size_t n = 300;
  auto a = Random(22).patterns<float>(n);
  auto b = Random(23).reals<double>(n, -1e9, 1e9);
  Buffer<unsigned> out(3 * n);
  Buffer<double> wide(n);
  forElements("floatBits", n)(Buffer(a), Buffer(b), out, wide, int(n));
  std::vector<unsigned> expected;
  std::vector<double> expectedWide;
  for (size_t i = 0; i < n; ++i) {
    auto bits = std::bit_cast<uint64_t>(b[i]);
    expected.insert(expected.end(),
                    {std::bit_cast<unsigned>(a[i]) ^ 0x80000000u,
                     unsigned(bits >> 32), unsigned(bits)});
    expectedWide.push_back(
        std::bit_cast<double>(bits ^ uint64_t(0x100000) << 32));
  }
  expectSame(out.read(), expected);
  expectSame(wide.read(), expectedWide);
}
