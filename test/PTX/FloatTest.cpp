//===- FloatTest.cpp - Floats against the host ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

#include "lib/PTX/Instructions/Formats.h"

#include <bit>
#include <cfenv>
#include <cmath>
#include <limits>

using namespace clade::ptx;
using namespace clade::ptx::test;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
const float nan = std::bit_cast<float>(0x7fffffffu);

const std::vector<float> singles = {
    0.0f,        -0.0f,   1.0f,     -1.0f,    1.5f,     0.1f,
    -2.5f,       3.0e38f, -3.0e38f, 1.0e-38f, 1.0e-40f, -1.0e-45f,
    16777217.0f, 1e10f,   inf,      -inf,     nan,      0.33333334f};
const std::vector<double> doubles = {
    0.0,   -0.0,     1.0,      -1.0,   0.1,
    1e308, -1e308,   5e-324,   1e-310, 3.0000000000000004,
    1e16,  HUGE_VAL, -HUGE_VAL};

float canonical(float value) { return std::isnan(value) ? nan : value; }

/// What '.relu' makes of a number: -0 is not below zero. By its sign, as
/// compilers may make a maximum of a comparison with zero.
float clamped(float value) {
  return std::signbit(value) && value != 0 && !std::isnan(value) ? 0 : value;
}

/// The host's operation in a direction of rounding.
template <typename T, typename Function>
T rounded(int mode, Function function, T a, T b) {
  volatile T x = a, y = b;
  std::fesetround(mode);
  volatile T z = function(x, y);
  std::fesetround(FE_TONEAREST);
  return z;
}

/// f32 is compared as bits, so that signs of zeros and NaNs count.
void expectSingles(const std::string &code, float (*function)(float, float)) {
  auto [a, b] = pairsOf(singles);
  expectResults<float>(
      code, [&](float x, float y) { return canonical(function(x, y)); }, a, b);
}

TEST(PtxFloat, RoundsToNearest) {
  expectSingles("add.f32 %d, %a, %b;", [](float a, float b) { return a + b; });
  expectSingles("sub.rn.f32 %d, %a, %b;",
                [](float a, float b) { return a - b; });
  expectSingles("mul.f32 %d, %a, %b;", [](float a, float b) { return a * b; });
  expectSingles("div.rn.f32 %d, %a, %b;",
                [](float a, float b) { return a / b; });
  expectSingles("fma.rn.f32 %d, %a, %b, %a;",
                [](float a, float b) { return std::fma(a, b, a); });
  expectSingles("mad.rn.f32 %d, %a, %b, 0f3F800000;",
                [](float a, float b) { return std::fma(a, b, 1.0f); });
}

TEST(PtxFloat, RoundsInADirection) {
  struct {
    std::string name;
    int mode;
  } modes[] = {{"rz", FE_TOWARDZERO}, {"rm", FE_DOWNWARD}, {"rp", FE_UPWARD}};
  auto [a, b] = pairsOf(singles);
  auto [c, e] = pairsOf(doubles);
  for (auto [name, mode] : modes) {
    expectResults<float>(
        "add." + name + ".f32 %d, %a, %b;",
        [m = mode](float x, float y) {
          return canonical(
              rounded(m, [](float p, float q) { return p + q; }, x, y));
        },
        a, b);
    expectResults<float>(
        "mul." + name + ".f32 %d, %a, %b;",
        [m = mode](float x, float y) {
          return canonical(
              rounded(m, [](float p, float q) { return p * q; }, x, y));
        },
        a, b);
    expectResults<float>(
        "div." + name + ".f32 %d, %a, %b;",
        [m = mode](float x, float y) {
          return canonical(
              rounded(m, [](float p, float q) { return p / q; }, x, y));
        },
        a, b);
    expectResults<float>(
        "fma." + name + ".f32 %d, %a, %b, %b;",
        [m = mode](float x, float y) {
          return canonical(rounded(
              m, [](float p, float q) { return std::fma(p, q, q); }, x, y));
        },
        a, b);
    std::vector<double> found =
        evaluate<double>("add." + name + ".f64 %d, %a, %b;", c, e);
    for (size_t i = 0; i < c.size(); ++i) {
      double expected =
          rounded(mode, [](double p, double q) { return p + q; }, c[i], e[i]);
      EXPECT_TRUE(std::bit_cast<uint64_t>(found[i]) ==
                      std::bit_cast<uint64_t>(expected) ||
                  (std::isnan(found[i]) && std::isnan(expected)))
          << name << " " << c[i] << " " << e[i];
    }
  }
}

TEST(PtxFloat, FlushesAndSaturates) {
  auto [a, b] = pairsOf(singles);
  expectResults<float>(
      "add.ftz.f32 %d, %a, %b;",
      [](float x, float y) { return canonical(flush(flush(x) + flush(y))); }, a,
      b);
  expectResults<float>(
      "mul.ftz.f32 %d, %a, %b;",
      [](float x, float y) { return canonical(flush(flush(x) * flush(y))); }, a,
      b);
  expectResults<float>(
      "add.sat.f32 %d, %a, %b;",
      [](float x, float y) {
        float s = x + y;
        return s > 0 ? std::min(s, 1.0f) : 0.0f;
      },
      a, b);
  expectResults<float>(
      "neg.ftz.f32 %d, %a;",
      [](float x) {
        return std::bit_cast<float>(std::bit_cast<uint32_t>(flush(x)) ^
                                    0x80000000);
      },
      singles);
  expectResults<float>(
      "abs.f32 %d, %a;", [](float x) { return std::fabs(x); }, singles);
  expectResults<float>(
      "copysign.f32 %d, %a, %b;",
      [](float x, float y) { return std::copysign(y, x); }, a, b);
}

TEST(PtxFloat, PairsOfSingles) {
  std::vector<uint64_t> a, b;
  for (float x : singles)
    for (float y : singles) {
      a.push_back(std::bit_cast<uint32_t>(x) |
                  uint64_t(std::bit_cast<uint32_t>(y)) << 32);
      b.push_back(std::bit_cast<uint32_t>(y) |
                  uint64_t(std::bit_cast<uint32_t>(1.5f)) << 32);
    }
  auto half = [](uint64_t v, unsigned k) {
    return std::bit_cast<float>(uint32_t(v >> 32 * k));
  };
  auto both = [](float x, float y) {
    return std::bit_cast<uint32_t>(canonical(x)) |
           uint64_t(std::bit_cast<uint32_t>(canonical(y))) << 32;
  };
  expectResults<uint64_t>(
      "add.rn.f32x2 %d, %a, %b;",
      [&](uint64_t x, uint64_t y) {
        return both(half(x, 0) + half(y, 0), half(x, 1) + half(y, 1));
      },
      a, b);
  expectResults<uint64_t>(
      "fma.rn.f32x2 %d, %a, %b, %b;",
      [&](uint64_t x, uint64_t y) {
        return both(std::fma(half(x, 0), half(y, 0), half(y, 0)),
                    std::fma(half(x, 1), half(y, 1), half(y, 1)));
      },
      a, b);
}

TEST(PtxFloat, ChoosesExtremes) {
  auto [a, b] = pairsOf(singles);
  auto least = [](float x, float y) {
    return std::isnan(x)                          ? canonical(y)
           : std::isnan(y)                        ? x
           : x < y || (x == y && std::signbit(x)) ? x
                                                  : y;
  };
  auto greatest = [](float x, float y) {
    return std::isnan(x)                           ? canonical(y)
           : std::isnan(y)                         ? x
           : x > y || (x == y && !std::signbit(x)) ? x
                                                   : y;
  };
  expectResults<float>("min.f32 %d, %a, %b;", least, a, b);
  expectResults<float>("max.f32 %d, %a, %b;", greatest, a, b);
  expectResults<float>(
      "max.NaN.f32 %d, %a, %b;",
      [&](float x, float y) {
        return std::isnan(x) || std::isnan(y) ? nan : greatest(x, y);
      },
      a, b);
  expectResults<float>(
      "min.xorsign.abs.f32 %d, %a, %b;",
      [&](float x, float y) {
        return std::isnan(x) && std::isnan(y)
                   ? nan
                   : std::copysign(least(std::fabs(x), std::fabs(y)),
                                   std::signbit(x) != std::signbit(y) ? -1.0f
                                                                      : 1.0f);
      },
      a, b);
}

TEST(PtxFloat, ComparesWithNaN) {
  auto [a, b] = pairsOf(singles);
  struct {
    std::string name;
    bool (*test)(float, float);
  } tests[] = {
      {"eq", [](float x, float y) { return x == y; }},
      {"ne", [](float x, float y) { return x < y || x > y; }},
      {"lt", [](float x, float y) { return x < y; }},
      {"gtu", [](float x, float y) { return !(x <= y); }},
      {"equ", [](float x, float y) { return !(x < y || x > y); }},
      {"neu", [](float x, float y) { return x != y; }},
      {"num",
       [](float x, float y) { return !std::isnan(x) && !std::isnan(y); }},
      {"nan", [](float x, float y) { return std::isnan(x) || std::isnan(y); }},
      {"leu", [](float x, float y) { return !(x > y); }},
      {"geu", [](float x, float y) { return !(x < y); }},
      {"ltu", [](float x, float y) { return !(x >= y); }}};
  for (auto &[name, test] : tests)
    expectResults<uint32_t>(
        "setp." + name + ".f32 %p1, %a, %b; selp.b32 %d, 1, 0, %p1;",
        [t = test](float x, float y) { return uint32_t(t(x, y)); }, a, b);
  expectResults<uint32_t>(
      "setp.eq.ftz.f32 %p1, %a, 0f00000000; selp.b32 %d, 1, 0, %p1;",
      [](float x) { return uint32_t(flush(x) == 0); }, singles);
  struct {
    std::string name;
    bool (*test)(float);
  } properties[] = {{"finite", [](float x) { return std::isfinite(x); }},
                    {"infinite", [](float x) { return std::isinf(x); }},
                    {"number", [](float x) { return !std::isnan(x); }},
                    {"notanumber", [](float x) { return std::isnan(x); }},
                    {"normal", [](float x) { return std::isnormal(x); }},
                    {"subnormal", [](float x) {
                       return std::fpclassify(x) == FP_SUBNORMAL;
                     }}};
  for (auto &[name, test] : properties)
    expectResults<uint32_t>(
        "testp." + name + ".f32 %p1, %a; selp.b32 %d, 1, 0, %p1;",
        [t = test](float x) { return uint32_t(t(x)); }, singles);
}

TEST(PtxFloat, Approximates) {
  expectResults<float>(
      "rcp.rn.f32 %d, %a;", [](float x) { return canonical(1.0f / x); },
      singles);
  expectResults<float>(
      "sqrt.rn.f32 %d, %a;", [](float x) { return canonical(std::sqrt(x)); },
      singles);
  expectResults<float>(
      "rsqrt.approx.f32 %d, %a;",
      [](float x) { return canonical(float(1.0 / std::sqrt(double(x)))); },
      singles);
  expectResults<float>(
      "ex2.approx.f32 %d, %a;",
      [](float x) { return canonical(float(std::exp2(double(x)))); }, singles);
  expectResults<float>(
      "lg2.approx.f32 %d, %a;",
      [](float x) { return canonical(float(std::log2(double(x)))); }, singles);
  expectResults<float>(
      "sin.approx.f32 %d, %a;",
      [](float x) { return canonical(float(std::sin(double(x)))); }, singles);
  expectResults<float>(
      "tanh.approx.f32 %d, %a;",
      [](float x) { return canonical(float(std::tanh(double(x)))); }, singles);
  expectResults<float>(
      "div.approx.f32 %d, 0f3F800000, %a;",
      [](float x) {
        return std::fabs(x) > 0x1p126f && std::isfinite(x)
                   ? std::copysign(0.0f, x)
                   : canonical(1.0f / x);
      },
      singles);
  std::vector<double> found =
      evaluate<double>("rcp.approx.ftz.f64 %d, %a;", doubles);
  for (size_t i = 0; i < doubles.size(); ++i) {
    EXPECT_EQ(std::bit_cast<uint64_t>(found[i]) & 0xffffffff, 0u);
    if (std::isnormal(doubles[i]) && std::isnormal(1 / doubles[i])) {
      EXPECT_NEAR(found[i] * doubles[i], 1.0, 0x1p-19) << doubles[i];
    }
  }
}

//===----------------------------------------------------------------------===//
// 16 bits
//===----------------------------------------------------------------------===//

const std::vector<uint16_t> halves = {
    0x0000, 0x8000, 0x3c00, 0xbc00, 0x3555, 0x0001, 0x8001, 0x03ff, 0x0400,
    0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7fff, 0x4248, 0x1234, 0x6789, 0xabcd};
const std::vector<uint16_t> bfloats = {
    0x0000, 0x8000, 0x3f80, 0xbf80, 0x0001, 0x007f, 0x0080, 0x7f7f,
    0xff7f, 0x7f80, 0xff80, 0x7fff, 0x4049, 0x1234, 0xabcd, 0x3eab};

/// A 16-bit result from an exact or odd-rounded f64; NaN is 0x7fff.
uint16_t half(double value) { return toHalf(value); }
uint16_t bfloat(double value) { return toBFloat(value); }

TEST(PtxHalf, ConvertsExactlyAndBack) {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    float wide = halfToFloat(uint16_t(bits));
    if (std::isnan(wide))
      continue;
    ASSERT_EQ(toHalf(wide), bits);
    ASSERT_EQ(floatToHalf(wide), bits);
    float bf = bfloatToFloat(uint16_t(bits));
    if (!std::isnan(bf)) {
      ASSERT_EQ(toBFloat(bf), bits);
    }
  }
  EXPECT_EQ(halfToFloat(0x3555), 0.333251953125f);
  EXPECT_EQ(halfToFloat(0x0001), 0x1p-24f);
  // Ties go to even, in each direction otherwise.
  EXPECT_EQ(toHalf(1.0 + 0x1p-11), 0x3c00);
  EXPECT_EQ(toHalf(1.0 + 3 * 0x1p-11), 0x3c02);
  EXPECT_EQ(toHalf(1.0 + 0x1p-11, Rounding::Up), 0x3c01);
  EXPECT_EQ(toHalf(-1.0 - 0x1p-11, Rounding::Up), 0xbc00);
  EXPECT_EQ(toHalf(65520.0), 0x7c00);
  EXPECT_EQ(toHalf(65519.0), 0x7bff);
  EXPECT_EQ(toHalf(1e9, Rounding::Zero), 0x7bff);
  EXPECT_EQ(toHalf(0x1p-25), 0);
  EXPECT_EQ(toHalf(0x1.8p-25), 1);
  EXPECT_EQ(toHalf(1e-30, Rounding::Up), 1);
}

/// Factors of 16 bits beside f32, as sm_100 has them.
TEST(PtxHalf, AddsProductsToF32) {
  auto [a, b] = pairsOf(halves);
  auto f = [](uint16_t x) { return halfToFloat(x); };
  expectResults<float>(
      "fma.rn.f32.f16 %d, %a, %b, 0f3F800000;",
      [&](uint16_t x, uint16_t y) {
        return canonical(std::fma(f(x), f(y), 1.0f));
      },
      a, b);
}

TEST(PtxHalf, ComputesF16) {
  auto [a, b] = pairsOf(halves);
  auto f = [](uint16_t x) { return double(halfToFloat(x)); };
  expectResults<uint16_t>(
      "add.f16 %d, %a, %b;",
      [&](uint16_t x, uint16_t y) { return half(f(x) + f(y)); }, a, b);
  expectResults<uint16_t>(
      "sub.rn.f16 %d, %a, %b;",
      [&](uint16_t x, uint16_t y) { return half(f(x) - f(y)); }, a, b);
  expectResults<uint16_t>(
      "mul.f16 %d, %a, %b;",
      [&](uint16_t x, uint16_t y) { return half(f(x) * f(y)); }, a, b);
  // A product and a sum that fit 64 bits of mantissa are exact.
  expectResults<uint16_t>(
      "fma.rn.f16 %d, %a, %b, %a;",
      [&](uint16_t x, uint16_t y) {
        long double exact = (long double)(f(x)) * f(y) + f(x);
        double odd = double(exact);
        if (std::isfinite(odd) && odd != exact &&
            !(std::bit_cast<uint64_t>(odd) & 1))
          odd = std::nextafter(odd, exact > odd ? HUGE_VAL : -HUGE_VAL);
        return half(odd);
      },
      a, b);
  expectResults<uint16_t>(
      "fma.rn.relu.f16 %d, %a, %b, 0x0000;",
      [&](uint16_t x, uint16_t y) {
        double p = f(x) * f(y) + 0.0;
        return half(p < 0 ? 0 : p);
      },
      a, b);
  expectResults<uint16_t>(
      "mul.ftz.f16 %d, %a, %b;",
      [&](uint16_t x, uint16_t y) {
        return flushHalf(half(f(flushHalf(x)) * f(flushHalf(y))));
      },
      a, b);
  expectResults<uint16_t>(
      "neg.f16 %d, %a;", [](uint16_t x) { return uint16_t(x ^ 0x8000); },
      halves);
  expectResults<uint16_t>(
      "max.f16 %d, %a, %b;",
      [&](uint16_t x, uint16_t y) {
        return std::isnan(f(x))   ? (std::isnan(f(y)) ? uint16_t(0x7fff) : y)
               : std::isnan(f(y)) ? x
               : f(x) > f(y) || (f(x) == f(y) && !(x & 0x8000)) ? x
                                                                : y;
      },
      a, b);
  expectResults<uint32_t>(
      "setp.ltu.f16 %p1, %a, %b; selp.b32 %d, 1, 0, %p1;",
      [&](uint16_t x, uint16_t y) { return uint32_t(!(f(x) >= f(y))); }, a, b);
}

TEST(PtxHalf, ComputesBF16AndPairs) {
  auto [a, b] = pairsOf(bfloats);
  auto f = [](uint16_t x) { return double(bfloatToFloat(x)); };
  expectResults<uint16_t>(
      "add.rn.bf16 %d, %a, %b;",
      [&](uint16_t x, uint16_t y) {
        return bfloat(double((long double)(f(x)) + f(y)));
      },
      std::vector<uint16_t>(bfloats), std::vector<uint16_t>(bfloats));
  expectResults<uint16_t>(
      "mul.rn.bf16 %d, %a, %b;",
      [&](uint16_t x, uint16_t y) { return bfloat(f(x) * f(y)); }, a, b);
  std::vector<uint32_t> p, q;
  for (size_t i = 0; i < a.size(); ++i) {
    p.push_back(a[i] | uint32_t(b[i]) << 16);
    q.push_back(b[i] | 0x3f80u << 16);
  }
  auto pair = [](uint16_t low, uint16_t high) {
    return low | uint32_t(high) << 16;
  };
  expectResults<uint32_t>(
      "mul.rn.bf16x2 %d, %a, %b;",
      [&](uint32_t x, uint32_t y) {
        return pair(bfloat(f(uint16_t(x)) * f(uint16_t(y))),
                    bfloat(f(uint16_t(x >> 16)) * f(uint16_t(y >> 16))));
      },
      p, q);
  expectResults<uint32_t>(
      "abs.bf16x2 %d, %a;", [&](uint32_t x) { return x & 0x7fff7fff; }, p);
  auto h = [](uint16_t x) { return double(halfToFloat(x)); };
  expectResults<uint32_t>(
      "add.f16x2 %d, %a, %b;",
      [&](uint32_t x, uint32_t y) {
        return pair(half(h(uint16_t(x)) + h(uint16_t(y))),
                    half(h(uint16_t(x >> 16)) + h(uint16_t(y >> 16))));
      },
      p, q);
  expectResults<uint32_t>(
      "setp.eq.f16x2 %p1|%p2, %a, %b; selp.b32 %d, 1, 0, %p1; selp.b32 %r1, 2, "
      "0, %p2; or.b32 %d, %d, %r1;",
      [&](uint32_t x, uint32_t y) {
        return uint32_t(h(uint16_t(x)) == h(uint16_t(y))) |
               uint32_t(h(uint16_t(x >> 16)) == h(uint16_t(y >> 16))) << 1;
      },
      p, q);
}

//===----------------------------------------------------------------------===//
// Conversions
//===----------------------------------------------------------------------===//

TEST(PtxConvert, IntegersToIntegers) {
  std::vector<int32_t> list = {0,     1,     -1,        127,      128,
                               255,   256,   -128,      -129,     32767,
                               32768, 65535, INT32_MAX, INT32_MIN};
  expectResults<int32_t>(
      "cvt.s32.s8 %d, %a;", [](int32_t x) { return int32_t(int8_t(x)); }, list);
  expectResults<int32_t>(
      "cvt.u32.u8 %d, %a;", [](int32_t x) { return int32_t(uint8_t(x)); },
      list);
  expectResults<int32_t>(
      "cvt.sat.s8.s32 %d, %a;",
      [](int32_t x) { return std::min(127, std::max(-128, x)); }, list);
  expectResults<int32_t>(
      "cvt.sat.u8.s32 %d, %a;",
      [](int32_t x) { return std::min(255, std::max(0, x)); }, list);
  expectResults<int64_t>(
      "cvt.s64.s32 %d, %a;", [](int32_t x) { return int64_t(x); }, list);
  expectResults<int64_t>(
      "cvt.u64.u32 %d, %a;", [](int32_t x) { return int64_t(uint32_t(x)); },
      list);
  expectResults<uint16_t>(
      "cvt.u16.u32 %d, %a;", [](int32_t x) { return uint16_t(x); }, list);
  expectResults<uint32_t>(
      "cvt.pack.sat.s16.s32 %d, %a, 70000;",
      [](int32_t x) {
        return uint32_t(uint16_t(std::min(32767, std::max(-32768, x)))) << 16 |
               32767u;
      },
      list);
  expectResults<uint32_t>(
      "cvt.pack.sat.u8.s32.b32 %d, %a, -4, 0x1234;",
      [](int32_t x) {
        return 0x12340000u | uint32_t(std::min(255, std::max(0, x))) << 8;
      },
      list);
}

TEST(PtxConvert, FloatsToIntegers) {
  std::vector<float> list = {
      0.0f,           -0.0f, 0.5f,          -0.5f,         1.5f,
      2.5f,           -2.5f, 0.49999997f,   2147483647.0f, 2147483904.0f,
      -2147483648.0f, -3e9f, 4294967296.0f, 1e20f,         inf,
      -inf,           nan,   1e-40f};
  auto clamp = [](double v) {
    return std::isnan(v)        ? 0
           : v >= 2147483647.0  ? INT32_MAX
           : v <= -2147483648.0 ? INT32_MIN
                                : int32_t(v);
  };
  expectResults<int32_t>(
      "cvt.rzi.s32.f32 %d, %a;", [&](float x) { return clamp(std::trunc(x)); },
      list);
  expectResults<int32_t>(
      "cvt.rni.s32.f32 %d, %a;",
      [&](float x) { return clamp(std::nearbyint(x)); }, list);
  expectResults<int32_t>(
      "cvt.rmi.ftz.s32.f32 %d, %a;",
      [&](float x) { return clamp(std::floor(flush(x))); }, list);
  expectResults<int32_t>(
      "cvt.rpi.s32.f32 %d, %a;", [&](float x) { return clamp(std::ceil(x)); },
      list);
  expectResults<uint32_t>(
      "cvt.rzi.u32.f32 %d, %a;",
      [&](float x) {
        return std::isnan(x) || x <= 0 ? 0u
               : x >= 4294967296.0f    ? ~0u
                                       : uint32_t(x);
      },
      list);
  expectResults<int64_t>(
      "cvt.rzi.s64.f32 %d, %a;",
      [&](float x) {
        return std::isnan(x)   ? 0
               : x >= 0x1p63f  ? INT64_MAX
               : x <= -0x1p63f ? INT64_MIN
                               : int64_t(x);
      },
      list);
  expectResults<int32_t>(
      "cvt.rzi.s32.f64 %d, %a;", [&](double x) { return clamp(std::trunc(x)); },
      doubles);
  expectResults<float>(
      "cvt.rni.f32.f32 %d, %a;",
      [](float x) { return canonical(std::nearbyint(x)); }, list);
  expectResults<float>(
      "cvt.sat.f32.f32 %d, %a;",
      [](float x) { return x > 0 ? std::min(x, 1.0f) : 0.0f; }, list);
  expectResults<double>(
      "cvt.rpi.f64.f64 %d, %a;", [](double x) { return std::ceil(x); },
      doubles);
}

TEST(PtxConvert, IntegersToFloats) {
  std::vector<int64_t> list = {0,
                               1,
                               -1,
                               16777217,
                               33554435,
                               -16777219,
                               INT64_MAX,
                               INT64_MIN,
                               (int64_t(1) << 53) + 1,
                               (int64_t(1) << 62) + 1,
                               65505,
                               65520,
                               257};
  auto directed = [](int mode, int64_t v) {
    volatile int64_t x = v;
    std::fesetround(mode);
    volatile float z = float(x);
    std::fesetround(FE_TONEAREST);
    return float(z);
  };
  expectResults<float>(
      "cvt.rn.f32.s64 %d, %a;", [](int64_t x) { return float(x); }, list);
  expectResults<float>(
      "cvt.rz.f32.s64 %d, %a;",
      [&](int64_t x) { return directed(FE_TOWARDZERO, x); }, list);
  expectResults<float>(
      "cvt.rp.f32.s64 %d, %a;",
      [&](int64_t x) { return directed(FE_UPWARD, x); }, list);
  expectResults<float>(
      "cvt.rn.f32.u64 %d, %a;", [](int64_t x) { return float(uint64_t(x)); },
      list);
  expectResults<double>(
      "cvt.rn.f64.u64 %d, %a;", [](int64_t x) { return double(uint64_t(x)); },
      list);
  expectResults<float>(
      ".reg .b32 %n; cvt.u32.u64 %n, %a; cvt.rn.f32.s32 %d, %n;",
      [](int64_t x) { return float(int32_t(x)); }, list);
  expectResults<uint16_t>(
      "cvt.rn.f16.s64 %d, %a;", [](int64_t x) { return toHalf(double(x)); },
      list);
  expectResults<uint16_t>(
      "cvt.rz.bf16.s64 %d, %a;",
      [](int64_t x) { return toBFloat(double(x), Rounding::Zero); },
      std::vector<int64_t>{1, 257, 65505, -259});
}

TEST(PtxConvert, FloatsToFloats) {
  expectResults<uint16_t>(
      "cvt.rn.f16.f32 %d, %a;", [](float x) { return toHalf(x); }, singles);
  expectResults<uint16_t>(
      "cvt.rz.f16.f32 %d, %a;",
      [](float x) { return toHalf(x, Rounding::Zero); }, singles);
  expectResults<uint16_t>(
      "cvt.rn.relu.bf16.f32 %d, %a;",
      [](float x) { return toBFloat(clamped(x)); }, singles);
  expectResults<uint16_t>(
      "cvt.rn.bf16.f32 %d, %a;", [](float x) { return toBFloat(x); }, singles);
  expectResults<float>(
      "cvt.f32.f16 %d, %a;",
      [](uint16_t x) { return canonical(halfToFloat(x)); }, halves);
  expectResults<float>(
      "cvt.rn.f32.f64 %d, %a;", [](double x) { return canonical(float(x)); },
      doubles);
  auto down = [](double v) {
    volatile double x = v;
    std::fesetround(FE_DOWNWARD);
    volatile float z = float(x);
    std::fesetround(FE_TONEAREST);
    return canonical(z);
  };
  expectResults<float>("cvt.rm.f32.f64 %d, %a;", down, doubles);
  expectResults<double>(
      "cvt.f64.f32 %d, %a;", [](float x) { return double(x); },
      std::vector<float>(singles.begin(), singles.begin() + 16));
  auto [a, b] = pairsOf(singles);
  expectResults<uint32_t>(
      "cvt.rn.bf16x2.f32 %d, %a, %b;",
      [](float x, float y) {
        return uint32_t(toBFloat(x)) << 16 | toBFloat(y);
      },
      a, b);
  expectResults<uint32_t>(
      "cvt.rz.relu.f16x2.f32 %d, %a, %b;",
      [](float x, float y) {
        return uint32_t(toHalf(clamped(x), Rounding::Zero)) << 16 |
               toHalf(clamped(y), Rounding::Zero);
      },
      a, b);
}

} // namespace
