//===- ReductionTest.cpp - Tests of reductions and softmax ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReferenceTest.h"

using namespace clade::reference;

namespace {

class ReductionTest : public ReferenceTest {
protected:
  /// Reduces the [p = 2, q = 3] tensor 1, 2, …, 6 over `axes`.
  std::vector<float> reduce(const std::string &kind, const std::string &axes,
                            const std::string &left) {
    addWeight("x", {2, 3}, {1, 2, 3, 4, 5, 6});
    EXPECT_TRUE(runOps("!x = !clade.tensor<[p = 2, q = 3], f32>\n!y = "
                       "!clade.tensor<[" +
                           left + "], f32>",
                       "  %x = clade.param @x : !x\n  %y = clade.reduce " +
                           kind + " %x over [" + axes + "] : !x -> !y",
                       {0}))
        << diagnostics;
    return last("clade.reduce");
  }
};

TEST_F(ReductionTest, SumOverLastAxis) {
  EXPECT_EQ(reduce("sum", "\"q\"", "p = 2"), (std::vector<float>{6, 15}));
}

TEST_F(ReductionTest, MeanOverFirstAxis) {
  EXPECT_EQ(reduce("mean", "\"p\"", "q = 3"),
            (std::vector<float>{2.5f, 3.5f, 4.5f}));
}

TEST_F(ReductionTest, MaxOverAllAxes) {
  EXPECT_EQ(reduce("max", "\"p\", \"q\"", ""), std::vector<float>{6});
}

TEST_F(ReductionTest, MaxOfNegativeValues) {
  addWeight("x", {2}, {-3, -7});
  ASSERT_TRUE(runOps("!x = !clade.tensor<[d = 2], f32>",
                     "  %x = clade.param @x : !x\n  %y = clade.reduce max %x "
                     "over [\"d\"] : !x -> !clade.tensor<[], f32>",
                     {0}))
      << diagnostics;
  EXPECT_EQ(last("clade.reduce"), std::vector<float>{-3});
}

TEST_F(ReductionTest, SumAccumulatesWiderThanItsElements) {
  // In bf16 or f32, 1 would be lost beside 2²⁵.
  addWeight("x", {3}, {33554432, 1, -33554432});
  ASSERT_TRUE(runOps("!x = !clade.tensor<[d = 3], f32>",
                     "  %x = clade.param @x : !x\n  %y = clade.reduce sum %x "
                     "over [\"d\"] : !x -> !clade.tensor<[], f32>",
                     {0}))
      << diagnostics;
  EXPECT_EQ(last("clade.reduce"), std::vector<float>{1});
}

TEST_F(ReductionTest, SumRoundsOnceToBF16) {
  // 1 + 2⁻⁸ + 2⁻⁸ = 1 + 2⁻⁷; rounding each sum would give 1.
  addWeight("x", {3}, {1, 0.00390625f, 0.00390625f}, clade::rt::DType::BF16);
  ASSERT_TRUE(runOps("!x = !clade.tensor<[d = 3], bf16>",
                     "  %x = clade.param @x : !x\n  %y = clade.reduce sum %x "
                     "over [\"d\"] : !x -> !clade.tensor<[], bf16>",
                     {0}))
      << diagnostics;
  EXPECT_EQ(last("clade.reduce"), std::vector<float>{1.0078125f});
}

TEST_F(ReductionTest, SoftmaxOverMiddleAxis) {
  // Pairs along p: (0, ln 3) and (1000, 1000).
  addWeight("x", {2, 2}, {0, 1000, 1.0986123f, 1000});
  ASSERT_TRUE(runOps("!x = !clade.tensor<[p = 2, q = 2], f32>",
                     "  %x = clade.param @x : !x\n"
                     "  %y = clade.softmax %x over \"p\" : !x -> !x",
                     {0}))
      << diagnostics;
  expectNear(last("clade.softmax"), {0.25f, 0.5f, 0.75f, 0.5f}, epsF32);
}

TEST_F(ReductionTest, SoftmaxRoundsToBF16) {
  addWeight("x", {3}, {0, 0, 0}, clade::rt::DType::BF16);
  ASSERT_TRUE(runOps("!x = !clade.tensor<[d = 3], bf16>",
                     "  %x = clade.param @x : !x\n"
                     "  %y = clade.softmax %x over \"d\" : !x -> !x",
                     {0}))
      << diagnostics;
  EXPECT_EQ(last("clade.softmax"), std::vector<float>(3, 0.333984375f));
}

} // namespace
