//===- ProductTest.cpp - Tests of linear maps and embeddings --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReferenceTest.h"

using namespace clade::reference;

namespace {

class ProductTest : public ReferenceTest {};

TEST_F(ProductTest, LinearContractsTheFeaturesOfEachToken) {
  addWeight("table", {2, 2}, {1, 2, 3, 4});
  addWeight("w", {3, 2}, {1, 0, 0, 1, 1, 1});
  addWeight("bias", {3}, {0, 10, 20});
  ASSERT_TRUE(runOps(
      "!x = !clade.tensor<[token, d = 2], f32>\n"
      "!t = !clade.tensor<[vocab = 2, d = 2], f32>\n"
      "!w = !clade.tensor<[out = 3, d = 2], f32>\n"
      "!b = !clade.tensor<[out = 3], f32>\n"
      "!y = !clade.tensor<[token, out = 3], f32>",
      "  %t = clade.param @table : !t\n  %w = clade.param @w : !w\n"
      "  %b = clade.param @bias : !b\n"
      "  %x = clade.embed %tokens, %t : !clade.tensor<[token], i32>, !t -> !x\n"
      "  %y = clade.linear %x, %w bias %b : !x, !w, !b -> !y",
      {0, 1}))
      << diagnostics;
  EXPECT_EQ(last("clade.linear"), (std::vector<float>{1, 12, 23, 3, 14, 27}));
}

TEST_F(ProductTest, LinearFlattensHeadsInRowMajorOrder) {
  // x is [2 heads, 2]; the weight's outputs are [2, 1].
  addWeight("x", {2, 2}, {1, 2, 3, 4});
  addWeight("w", {2, 1, 4}, {1, 10, 100, 1000, 1, 1, 1, 1});
  ASSERT_TRUE(runOps("!x = !clade.tensor<[heads = 2, head = 2], f32>\n"
                     "!w = !clade.tensor<[a = 2, b = 1, in = 4], f32>\n"
                     "!y = !clade.tensor<[a = 2, b = 1], f32>",
                     "  %x = clade.param @x : !x\n  %w = clade.param @w : !w\n"
                     "  %y = clade.linear %x, %w : !x, !w -> !y",
                     {0}))
      << diagnostics;
  EXPECT_EQ(last("clade.linear"), (std::vector<float>{4321, 10}));
}

TEST_F(ProductTest, EachHeadHasItsMatrix) {
  // Two tokens of two heads: [1 2] [3 4] and [5 6] [7 8].
  addWeight("table", {2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  addWeight("w", {2, 1, 2}, {1, 10, 100, 1000});
  ASSERT_TRUE(runOps(
      "!x = !clade.tensor<[token, heads = 2, head = 2], f32>\n"
      "!t = !clade.tensor<[vocab = 2, heads = 2, head = 2], f32>\n"
      "!w = !clade.tensor<[heads = 2, out = 1, head = 2], f32>\n"
      "!y = !clade.tensor<[token, heads = 2, out = 1], f32>",
      "  %t = clade.param @table : !t\n  %w = clade.param @w : !w\n"
      "  %x = clade.embed %tokens, %t : !clade.tensor<[token], i32>, !t -> !x\n"
      "  %y = clade.head_linear %x, %w : !x, !w -> !y",
      {0, 1}))
      << diagnostics;
  EXPECT_EQ(last("clade.head_linear"),
            (std::vector<float>{21, 4300, 65, 8700}));
}

TEST_F(ProductTest, HeadsRoundOnceToBF16) {
  // 1 + 2⁻⁹ + 2⁻⁹ is 1 + 2⁻⁸, a tie that goes to 1; three of 2⁻⁹ do not.
  addWeight("table", {1, 1, 4}, {1, 0.001953125f, 0.001953125f, 0.001953125f},
            clade::rt::DType::BF16);
  addWeight("w", {1, 1, 4}, {1, 1, 1, 1}, clade::rt::DType::BF16);
  ASSERT_TRUE(runOps(
      "!x = !clade.tensor<[token, heads = 1, head = 4], bf16>\n"
      "!t = !clade.tensor<[vocab = 1, heads = 1, head = 4], bf16>\n"
      "!w = !clade.tensor<[heads = 1, out = 1, head = 4], bf16>\n"
      "!y = !clade.tensor<[token, heads = 1, out = 1], bf16>",
      "  %t = clade.param @table : !t\n  %w = clade.param @w : !w\n"
      "  %x = clade.embed %tokens, %t : !clade.tensor<[token], i32>, !t -> !x\n"
      "  %y = clade.head_linear %x, %w : !x, !w -> !y",
      {0}))
      << diagnostics;
  EXPECT_EQ(last("clade.head_linear"), std::vector<float>{1.0078125f});
}

TEST_F(ProductTest, LinearRoundsOnceToBF16) {
  // 1 + 2⁻⁸ + 2⁻⁸, the last from the bias: 1 + 2⁻⁷ if rounded once.
  addWeight("x", {2}, {1, 0.00390625f}, clade::rt::DType::BF16);
  addWeight("w", {1, 2}, {1, 1}, clade::rt::DType::BF16);
  addWeight("bias", {1}, {0.00390625f}, clade::rt::DType::BF16);
  ASSERT_TRUE(runOps("!x = !clade.tensor<[d = 2], bf16>\n"
                     "!w = !clade.tensor<[out = 1, d = 2], bf16>\n"
                     "!y = !clade.tensor<[out = 1], bf16>",
                     "  %x = clade.param @x : !x\n  %w = clade.param @w : !w\n"
                     "  %b = clade.param @bias : !y\n"
                     "  %y = clade.linear %x, %w bias %b : !x, !w, !y -> !y",
                     {0}))
      << diagnostics;
  EXPECT_EQ(last("clade.linear"), std::vector<float>{1.0078125f});
}

TEST_F(ProductTest, LinearAccumulatesWide) {
  // Long enough for all partial sums; the large terms cancel exactly.
  std::vector<float> x(37, 1), w(37, 1);
  w[0] = 33554432;
  w[36] = -33554432;
  addWeight("x", {37}, x);
  addWeight("w", {1, 37}, w);
  ASSERT_TRUE(runOps("!x = !clade.tensor<[d = 37], f32>\n"
                     "!w = !clade.tensor<[out = 1, d = 37], f32>\n"
                     "!y = !clade.tensor<[out = 1], f32>",
                     "  %x = clade.param @x : !x\n  %w = clade.param @w : !w\n"
                     "  %y = clade.linear %x, %w : !x, !w -> !y",
                     {0}))
      << diagnostics;
  EXPECT_EQ(last("clade.linear"), std::vector<float>{35});
}

TEST_F(ProductTest, EmbedConvertsRows) {
  addWeight("table", {3, 2}, {1, 2, 3, 4, 5.0078125f, 6});
  ASSERT_TRUE(runOps("!x = !clade.tensor<[token, d = 2], bf16>\n"
                     "!t = !clade.tensor<[vocab = 3, d = 2], f32>",
                     "  %t = clade.param @table : !t\n  %x = clade.embed "
                     "%tokens, %t : !clade.tensor<[token], i32>, !t -> !x",
                     {2, 0}))
      << diagnostics;
  EXPECT_EQ(last("clade.embed"), (std::vector<float>{5, 6, 1, 2}));
}

TEST_F(ProductTest, EmbedRejectsAnUnknownToken) {
  addWeight("table", {3, 2}, {1, 2, 3, 4, 5, 6});
  EXPECT_FALSE(runOps("!x = !clade.tensor<[token, d = 2], f32>\n"
                      "!t = !clade.tensor<[vocab = 3, d = 2], f32>",
                      "  %t = clade.param @table : !t\n  %x = clade.embed "
                      "%tokens, %t : !clade.tensor<[token], i32>, !t -> !x",
                      {0, 3}));
  EXPECT_EQ(diagnostics, "expected token ids from 0 to 2, got 3\n");
}

} // namespace
