//===- ElementwiseTest.cpp - Tests of elementwise rules -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Expected values come from the formulas of the op descriptions, evaluated to
// more than f32 needs; those of torch 2 agree with them to an f32 step.
//
//===----------------------------------------------------------------------===//

#include "ReferenceTest.h"

#include <cmath>

using namespace clade::reference;

namespace {

class ElementwiseTest : public ReferenceTest {
protected:
  /// f of `values` in element type `type`.
  std::vector<float> unary(const std::string &kind, std::vector<float> values,
                           const std::string &type = "f32") {
    std::string size = std::to_string(values.size());
    clade::rt::DType dtype =
        type == "f32" ? clade::rt::DType::F32 : *clade::rt::parseDType(type);
    addWeight("x", {static_cast<int64_t>(values.size())}, values, dtype);
    EXPECT_TRUE(runOps("!x = !clade.tensor<[d = " + size + "], " + type + ">",
                       "  %x = clade.param @x : !x\n  %y = clade.unary " +
                           kind + " %x : !x -> !x",
                       {0}))
        << diagnostics;
    return last("clade.unary");
  }

  std::vector<float> binary(const std::string &kind, std::vector<float> a,
                            std::vector<float> b,
                            const std::string &type = "f32") {
    std::string size = std::to_string(a.size());
    clade::rt::DType dtype = *clade::rt::parseDType(type);
    addWeight("a_" + kind, {static_cast<int64_t>(a.size())}, a, dtype);
    addWeight("b_" + kind, {static_cast<int64_t>(b.size())}, b, dtype);
    EXPECT_TRUE(runOps("!x = !clade.tensor<[d = " + size + "], " + type + ">",
                       "  %a = clade.param @a_" + kind +
                           " : !x\n  %b = clade.param @b_" + kind +
                           " : !x\n  %y = clade.binary " + kind +
                           " %a, %b : !x, !x -> !x",
                       {0}))
        << diagnostics;
    return last("clade.binary");
  }
};

struct UnaryCase {
  const char *kind;
  std::vector<float> inputs, expected;
};

std::string caseName(const ::testing::TestParamInfo<UnaryCase> &info) {
  return info.param.kind;
}

class UnaryTest : public ElementwiseTest,
                  public ::testing::WithParamInterface<UnaryCase> {};

TEST_P(UnaryTest, ComputesItsFormula) {
  const UnaryCase &test = GetParam();
  std::vector<float> actual = unary(test.kind, test.inputs);
  ASSERT_EQ(actual.size(), test.expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    EXPECT_NEAR(actual[i], test.expected[i],
                std::max(1.0f, std::abs(test.expected[i])) * epsF32)
        << test.kind << " of " << test.inputs[i];
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, UnaryTest,
    ::testing::Values(
        UnaryCase{"neg", {1.5f, -2, 0}, {-1.5f, 2, -0.0f}},
        UnaryCase{"abs", {1.5f, -2, 0}, {1.5f, 2, 0}},
        UnaryCase{"exp", {0, 1, -1}, {1, 2.7182818f, 0.36787944f}},
        UnaryCase{"log", {1, 2, 0.5f}, {0, 0.69314718f, -0.69314718f}},
        UnaryCase{"sqrt", {0, 2, 9}, {0, 1.4142136f, 3}},
        UnaryCase{"rsqrt", {1, 2, 0.25f}, {1, 0.70710678f, 2}},
        UnaryCase{"tanh", {0, 1, -100}, {0, 0.76159416f, -1}},
        UnaryCase{"sigmoid", {0, 1, -100}, {0.5f, 0.73105858f, 3.783506e-44f}},
        UnaryCase{"softplus",
                  {0, 1, 100, -100},
                  {0.69314718f, 1.3132617f, 100, 3.783506e-44f}},
        UnaryCase{"relu", {-1, 0, 2}, {0, 0, 2}},
        UnaryCase{"relu2", {-1, 0, 3}, {0, 0, 9}},
        UnaryCase{"floor", {1.5f, -1.5f, 2}, {1, -2, 2}},
        UnaryCase{"silu", {0, 1, -2}, {0, 0.73105858f, -0.23840584f}},
        UnaryCase{"gelu", {0, 1, -2}, {0, 0.84134475f, -0.045500264f}},
        UnaryCase{"gelu_tanh", {0, 1, -2}, {0, 0.84119199f, -0.045402306f}},
        UnaryCase{"quick_gelu", {0, 1, -2}, {0, 0.84579577f, -0.064341374f}}),
    caseName);

TEST_F(ElementwiseTest, UnaryRoundsToBF16) {
  // exp(1) = 2.71828 lies between the bf16 values 2.703125 and 2.71875.
  EXPECT_EQ(unary("exp", {1}, "bf16"), std::vector<float>{2.71875f});
}

TEST_F(ElementwiseTest, UnaryRoundsToF16) {
  // exp(1) = 2.7182818 lies between the f16 values 2.716797 and 2.71875.
  EXPECT_EQ(unary("exp", {1}, "f16"), std::vector<float>{2.71875f});
}

TEST_F(ElementwiseTest, BinaryOfEveryKind) {
  std::vector<float> a{3, -2}, b{2, 0.5f};
  EXPECT_EQ(binary("add", a, b), (std::vector<float>{5, -1.5f}));
  EXPECT_EQ(binary("sub", a, b), (std::vector<float>{1, -2.5f}));
  EXPECT_EQ(binary("mul", a, b), (std::vector<float>{6, -1}));
  EXPECT_EQ(binary("div", a, b), (std::vector<float>{1.5f, -4}));
  EXPECT_EQ(binary("min", a, b), (std::vector<float>{2, -2}));
  EXPECT_EQ(binary("max", a, b), (std::vector<float>{3, 0.5f}));
  EXPECT_EQ(binary("pow", {3, 4}, b), (std::vector<float>{9, 2}));
}

TEST_F(ElementwiseTest, MinAndMaxKeepNaN) {
  float nan = std::nanf("");
  for (const char *kind : {"min", "max"})
    for (float value : binary(kind, {nan, 1}, {1, nan}))
      EXPECT_TRUE(std::isnan(value)) << kind;
}

TEST_F(ElementwiseTest, BinaryRoundsOnceToBF16) {
  // 1 + 2⁻⁸ is half way between 1 and 1 + 2⁻⁷, whose last bit is odd.
  EXPECT_EQ(binary("add", {1, 1.0078125f}, {0.00390625f, 0.00390625f}, "bf16"),
            (std::vector<float>{1, 1.015625f}));
}

TEST_F(ElementwiseTest, BinaryPairsAxesByName) {
  addWeight("a", {2, 3}, {1, 2, 3, 4, 5, 6});
  addWeight("b", {2}, {10, 20});
  ASSERT_TRUE(runOps("!a = !clade.tensor<[p = 2, q = 3], f32>\n"
                     "!b = !clade.tensor<[p = 2], f32>\n"
                     "!y = !clade.tensor<[q = 3, p = 2], f32>",
                     "  %a = clade.param @a : !a\n  %b = clade.param @b : !b\n"
                     "  %y = clade.binary add %a, %b : !a, !b -> !y",
                     {0}))
      << diagnostics;
  EXPECT_EQ(last("clade.binary"), (std::vector<float>{11, 24, 12, 25, 13, 26}));
}

TEST_F(ElementwiseTest, BinaryBroadcastsOverTokens) {
  addWeight("table", {2, 2}, {1, 2, 3, 4});
  addWeight("gain", {2}, {10, 100});
  ASSERT_TRUE(runOps(
      "!x = !clade.tensor<[token, d = 2], f32>\n"
      "!t = !clade.tensor<[vocab = 2, d = 2], f32>\n"
      "!g = !clade.tensor<[d = 2], f32>",
      "  %t = clade.param @table : !t\n  %g = clade.param @gain : !g\n"
      "  %x = clade.embed %tokens, %t : !clade.tensor<[token], i32>, !t -> !x\n"
      "  %y = clade.binary mul %g, %x : !g, !x -> !x",
      {1, 0, 1}))
      << diagnostics;
  EXPECT_EQ(last("clade.binary"),
            (std::vector<float>{30, 400, 10, 200, 30, 400}));
}

TEST_F(ElementwiseTest, CastRoundsToNearestEven) {
  addWeight("x", {4}, {1.00390625f, 1.01171875f, -3.0f, 1e38f});
  ASSERT_TRUE(runOps("!x = !clade.tensor<[d = 4], f32>\n"
                     "!y = !clade.tensor<[d = 4], bf16>",
                     "  %x = clade.param @x : !x\n"
                     "  %y = clade.cast %x : !x -> !y",
                     {0}))
      << diagnostics;
  std::vector<float> y = last("clade.cast");
  EXPECT_EQ(y[0], 1.0f);
  EXPECT_EQ(y[1], 1.015625f);
  EXPECT_EQ(y[2], -3.0f);
  EXPECT_NEAR(y[3], 1e38f, 1e38f / 256);
}

TEST_F(ElementwiseTest, CastToF16Overflows) {
  addWeight("x", {3}, {65504, 65519, 65520});
  ASSERT_TRUE(runOps("!x = !clade.tensor<[d = 3], f32>\n"
                     "!y = !clade.tensor<[d = 3], f16>",
                     "  %x = clade.param @x : !x\n"
                     "  %y = clade.cast %x : !x -> !y",
                     {0}))
      << diagnostics;
  EXPECT_EQ(last("clade.cast"), (std::vector<float>{65504, 65504, INFINITY}));
}

TEST_F(ElementwiseTest, ConstantRounds) {
  ASSERT_TRUE(
      runOps("", "  %y = clade.constant 0.1 : !clade.tensor<[], bf16>", {0}))
      << diagnostics;
  EXPECT_EQ(last("clade.constant"), std::vector<float>{0.10009765625f});
}

TEST(Rounding, WideValuesRoundOnce) {
  // 1 + 2⁻⁸ + 2⁻⁴⁰ is above the middle; rounding to f32 first would lose that.
  double value = 1 + std::ldexp(1.0, -8) + std::ldexp(1.0, -40);
  EXPECT_EQ(roundTo(Element::BF16, value), 1.0078125f);
  EXPECT_EQ(roundTo(Element::BF16, -value), -1.0078125f);
  EXPECT_EQ(
      roundTo(Element::BF16, 1 + std::ldexp(1.0, -8) - std::ldexp(1.0, -40)),
      1.0f);
  EXPECT_EQ(
      roundTo(Element::F16, 1 + std::ldexp(1.0, -11) + std::ldexp(1.0, -40)),
      1.0009765625f);
  EXPECT_EQ(roundTo(Element::BF16, 1e-60), 0.0f);
  EXPECT_EQ(roundTo(Element::BF16, 1e60), INFINITY);
  EXPECT_EQ(roundTo(Element::I32, -1.75), -1.0f);
}

} // namespace
