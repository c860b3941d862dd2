//===- ConvertNarrowTest.cpp - cvt with packed operands -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelHarness.h"

#include <bit>
#include <cmath>
#include <limits>

using namespace clade::ptx;
using namespace clade::ptx::test;

namespace {

/// Applies one instruction to each of `inputs` (up to four words, and a fifth
/// of random bits): "$d", "$a" … "$e" are its operands; the result is zero
/// extended to a word.
std::vector<uint32_t>
convert(const std::string &instruction,
        const std::vector<std::array<uint32_t, 5>> &inputs,
        unsigned resultBits = 32, unsigned sourceBits = 32) {
  auto registerFor = [](char letter, unsigned bits) {
    std::string prefix = bits == 8 ? "%b" : bits == 16 ? "%h" : "%r";
    return prefix + std::to_string(letter - 'a');
  };
  std::string line;
  for (size_t i = 0; i < instruction.size(); ++i) {
    if (instruction[i] != '$') {
      line += instruction[i];
      continue;
    }
    char letter = instruction[++i];
    line += letter == 'd'   ? registerFor('i', resultBits)
            : letter == 'a' ? registerFor('a', sourceBits)
                            : registerFor(letter, 32);
  }
  std::string narrow;
  if (sourceBits < 32)
    narrow = "cvt.u" + std::to_string(sourceBits) + ".u32 " +
             registerFor('a', sourceBits) + ", %r0;\n";
  std::string widen = resultBits < 32
                          ? "cvt.u32.u" + std::to_string(resultBits) +
                                " %r8, " + registerFor('i', resultBits) + ";\n"
                          : "";
  Harness harness(
      ptxHeader("sm_100a") +
      ".visible .entry k(.param .u64 in, .param .u64 out, .param .u32 n) {\n"
      ".reg .b8 %b<9>; .reg .b16 %h<9>; .reg .b32 %r<16>; .reg .b64 %p<4>; "
      ".reg .pred %q;\n"
      "ld.param.u64 %p0, [in]; ld.param.u64 %p1, [out]; ld.param.u32 %r9, "
      "[n];\n"
      "mov.u32 %r10, %ctaid.x; mov.u32 %r11, %tid.x; "
      "mad.lo.u32 %r10, %r10, 128, %r11;\n"
      "setp.ge.u32 %q, %r10, %r9; @%q bra DONE;\n"
      "mad.wide.u32 %p2, %r10, 20, %p0; mad.wide.u32 %p3, %r10, 4, %p1;\n"
      "ld.global.u32 %r0, [%p2]; ld.global.u32 %r1, [%p2+4]; "
      "ld.global.u32 %r2, [%p2+8]; ld.global.u32 %r4, [%p2+12]; "
      "ld.global.u32 %r5, [%p2+16];\n" +
      narrow + line + ";\n" + widen +
      "st.global.u32 [%p3], %r8;\nDONE:\nret;\n}\n");
  uint64_t out = harness.buffer(inputs.size() * 4);
  harness.run("k", unsigned(inputs.size() + 127) / 128, 128,
              harness.buffer(inputs), out, uint32_t(inputs.size()));
  return harness.read<uint32_t>(out, inputs.size());
}

uint32_t bits(float value) { return std::bit_cast<uint32_t>(value); }

std::vector<uint32_t> convertPair(const std::string &form, float a, float b,
                                  unsigned resultBits) {
  return convert("cvt." + form + " $d, $a, $b", {{{bits(a), bits(b)}}},
                 resultBits);
}

/// The first operand goes to the upper half.
TEST(ConvertNarrow, PairsHaveTheFirstOnTop) {
  EXPECT_EQ(convertPair("rn.f16x2.f32", 1, 2, 32)[0], 0x3C004000u);
  EXPECT_EQ(convertPair("rn.bf16x2.f32", 1, 2, 32)[0], 0x3F804000u);
  EXPECT_EQ(convertPair("rn.satfinite.e4m3x2.f32", 1, 2, 16)[0], 0x3840u);
  EXPECT_EQ(convertPair("rn.satfinite.e5m2x2.f32", 1, 2, 16)[0], 0x3C40u);
  EXPECT_EQ(convertPair("rn.satfinite.e2m3x2.f32", 1, 2, 16)[0], 0x0810u);
  EXPECT_EQ(convertPair("rn.satfinite.e3m2x2.f32", 1, 2, 16)[0], 0x0C10u);
  EXPECT_EQ(convertPair("rn.satfinite.e2m1x2.f32", 1, 2, 8)[0], 0x24u);
  EXPECT_EQ(convertPair("rz.ue8m0x2.f32", 1, 2, 16)[0], 0x7F80u);
}

TEST(ConvertNarrow, Modifiers) {
  EXPECT_EQ(convertPair("rn.relu.f16x2.f32", -1, 2, 32)[0], 0x00004000u);
  EXPECT_EQ(convertPair("rz.f16x2.f32", 1.9999f, -1.9999f, 32)[0], 0x3FFFBFFFu);
  EXPECT_EQ(convertPair("rn.relu.satfinite.bf16x2.f32", -3, 3.4e38f, 32)[0],
            0x00007F7Fu);
  EXPECT_EQ(convertPair("rn.satfinite.relu.e4m3x2.f32", -1, 1e9f, 16)[0],
            0x007Eu);
  EXPECT_EQ(convertPair("rp.satfinite.ue8m0x2.f32", 1.5f, 3, 16)[0], 0x8081u);
  EXPECT_EQ(convert("cvt.rn.relu.f16.f32 $d, $a", {{{bits(-2)}}}, 16)[0], 0u);
  EXPECT_EQ(convert("cvt.rn.satfinite.bf16.f32 $d, $a",
                    {{{bits(std::numeric_limits<float>::infinity())}}}, 16)[0],
            0x7F7Fu);
  EXPECT_EQ(convert("cvt.rna.tf32.f32 $d, $a", {{{0x3F801000}}})[0],
            0x3F802000u);
  EXPECT_EQ(convert("cvt.rz.tf32.f32 $d, $a", {{{0x3F801FFF}}})[0],
            0x3F800000u);
  EXPECT_EQ(convert("cvt.rn.relu.tf32.f32 $d, $a", {{{bits(-1)}}})[0], 0u);
}

/// Every pair of codes into f16: value by value from the definition.
TEST(ConvertNarrow, EveryPairOfCodesIntoHalves) {
  struct Format {
    const char *name;
    int exponent, mantissa, bias, fieldBits;
    double largest;
  };
  for (Format f :
       {Format{"e4m3x2", 4, 3, 7, 8, 448}, Format{"e5m2x2", 5, 2, 15, 8, 57344},
        Format{"e2m3x2", 2, 3, 1, 8, 7.5}, Format{"e3m2x2", 3, 2, 3, 8, 28},
        Format{"e2m1x2", 2, 1, 1, 4, 6}}) {
    auto valueOf = [&](uint32_t code) {
      int size = 1 + f.exponent + f.mantissa;
      int e = code >> f.mantissa & ((1 << f.exponent) - 1);
      double fraction =
          std::ldexp(code & ((1u << f.mantissa) - 1), -f.mantissa);
      double value = e == 0 ? std::ldexp(fraction, 1 - f.bias)
                            : std::ldexp(1 + fraction, e - f.bias);
      if (value > f.largest)
        value = std::string(f.name) == "e5m2x2" && fraction == 0
                    ? std::numeric_limits<double>::infinity()
                    : std::nan("");
      return code >> (size - 1) & 1 ? -value : value;
    };
    auto halfOf = [](uint32_t half) {
      int e = half >> 10 & 31;
      double fraction = std::ldexp(half & 1023, -10);
      double value = e == 31  ? fraction == 0
                                    ? std::numeric_limits<double>::infinity()
                                    : std::nan("")
                     : e == 0 ? std::ldexp(fraction, -14)
                              : std::ldexp(1 + fraction, e - 15);
      return half & 0x8000 ? -value : value;
    };
    std::vector<std::array<uint32_t, 5>> inputs;
    for (uint32_t code = 0; code < 1u << (2 * f.fieldBits); ++code)
      inputs.push_back({code});
    std::vector<uint32_t> found =
        convert("cvt.rn.f16x2." + std::string(f.name) + " $d, $a", inputs, 32,
                f.fieldBits == 4 ? 8 : 16);
    uint32_t mask =
        f.fieldBits == 4 ? 0xF : (1u << (1 + f.exponent + f.mantissa)) - 1;
    for (uint32_t code = 0; code < inputs.size(); ++code) {
      for (int half : {0, 1}) {
        uint32_t field = code >> (half * f.fieldBits) & mask;
        double expected = valueOf(field);
        double value = halfOf(found[code] >> (16 * half) & 0xFFFF);
        if (std::isnan(expected))
          ASSERT_TRUE(std::isnan(value)) << f.name << " " << code;
        else
          ASSERT_EQ(value, expected) << f.name << " " << code;
      }
    }
  }
}

TEST(ConvertNarrow, HalvesIntoNarrow) {
  // 1 and 2 in f16 and bf16.
  EXPECT_EQ(
      convert("cvt.rn.satfinite.e4m3x2.f16x2 $d, $a", {{{0x3C004000}}}, 16)[0],
      0x3840u);
  EXPECT_EQ(
      convert("cvt.rn.satfinite.e5m2x2.bf16x2 $d, $a", {{{0x3F804000}}}, 16)[0],
      0x3C40u);
  EXPECT_EQ(
      convert("cvt.rn.satfinite.e2m1x2.f16x2 $d, $a", {{{0x3C00C000}}}, 8)[0],
      0x2Cu);
  EXPECT_EQ(convert("cvt.rz.ue8m0x2.bf16x2 $d, $a", {{{0x3F804000}}}, 16)[0],
            0x7F80u);
  EXPECT_EQ(convert("cvt.rn.bf16x2.ue8m0x2 $d, $a", {{{0x7F80}}}, 32, 16)[0],
            0x3F804000u);
}

/// Four values: the first is in the highest bits.
TEST(ConvertNarrow, StochasticFour) {
  std::array<uint32_t, 5> input = {bits(1), bits(2), bits(4), bits(1.0625f), 0};
  EXPECT_EQ(convert("cvt.rs.satfinite.e4m3x4.f32 $d, {$a, $b, $c, $e}, $f",
                    {input})[0],
            0x38404838u);
  input[4] = 0xFFFFFFFF; // Carries whatever is dropped.
  EXPECT_EQ(convert("cvt.rs.satfinite.e4m3x4.f32 $d, {$a, $b, $c, $e}, $f",
                    {input})[0],
            0x38404839u);
}

} // namespace
