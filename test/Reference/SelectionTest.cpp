//===- SelectionTest.cpp - Tests of choosing the largest values -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReferenceTest.h"

#include <cmath>
#include <limits>

using namespace clade::reference;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

class SelectionTest : public ReferenceTest {
protected:
  /// Chooses `k` of each row of x, a [rows, n] tensor, and runs `body` on %x,
  /// %v and %i.
  void choose(std::vector<float> x, int64_t rows, int64_t k,
              const std::string &body = "") {
    int64_t n = x.size() / rows;
    addWeight("x", {rows, n}, std::move(x));
    auto type = [&](const std::string &name, int64_t size,
                    const std::string &element) {
      return "!clade.tensor<[rows = " + std::to_string(rows) + ", " + name +
             " = " + std::to_string(size) + "], " + element + ">\n";
    };
    ASSERT_TRUE(
        runOps("!x = " + type("n", n, "f32") + "!v = " + type("k", k, "f32") +
                   "!i = " + type("k", k, "i32") + "!m = " + type("n", n, "i1"),
               "  %x = clade.param @x : !x\n"
               "  %v, %i = clade.top_k %x : !x -> !v, !i\n" +
                   body,
               {0}))
        << diagnostics;
  }
  /// What the op gave as its result `number`.
  std::vector<float> result(const std::string &op, size_t number) {
    std::vector<std::vector<float>> results;
    for (const Observed &value : observed)
      if (value.op == op)
        results.push_back(value.values);
    return number < results.size() ? results[number] : std::vector<float>();
  }
};

TEST_F(SelectionTest, LargestValuesOfEachRowInFallingOrder) {
  choose({1, 5, 3, 4, -8, -2, -1, -9}, 2, 3);
  EXPECT_EQ(result("clade.top_k", 0),
            (std::vector<float>{5, 4, 3, -1, -2, -8}));
  EXPECT_EQ(result("clade.top_k", 1), (std::vector<float>{1, 3, 2, 2, 1, 0}));
}

TEST_F(SelectionTest, EqualValuesComeInTheirOrder) {
  choose({2, 7, 2, 7, 2}, 1, 4);
  EXPECT_EQ(result("clade.top_k", 1), (std::vector<float>{1, 3, 0, 2}));
}

TEST_F(SelectionTest, MinusInfinityIsChosenOnceEach) {
  choose({-infinity, 1, -infinity, -infinity}, 1, 3);
  EXPECT_EQ(result("clade.top_k", 1), (std::vector<float>{1, 0, 2}));
}

TEST_F(SelectionTest, WhatIsNotANumberCountsAsInfinity) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  choose({infinity, nan, 3}, 1, 3);
  EXPECT_EQ(result("clade.top_k", 1), (std::vector<float>{0, 1, 2}));
  EXPECT_TRUE(std::isnan(result("clade.top_k", 0)[1]));
}

TEST_F(SelectionTest, GatherReadsAtTheIndicesOfEachRow) {
  choose({1, 5, 3, 4, -8, -2, -1, -9}, 2, 2,
         "  %g = clade.gather %x \"n\" at %i : !x, !i -> !v\n");
  EXPECT_EQ(last("clade.gather"), (std::vector<float>{5, 4, -1, -2}));
}

TEST_F(SelectionTest, GatherReadsATableForAllRows) {
  addWeight("t", {4}, {10, 20, 30, 40});
  choose({1, 5, 3, 4, -8, -2, -1, -9}, 2, 2,
         "  %t = clade.param @t : !clade.tensor<[n = 4], f32>\n"
         "  %g = clade.gather %t \"n\" at %i : !clade.tensor<[n = 4], f32>, "
         "!i -> !v\n");
  EXPECT_EQ(last("clade.gather"), (std::vector<float>{20, 40, 30, 20}));
}

TEST_F(SelectionTest, GatherAlongAnAxisBeforeTheLast) {
  // x[n, rows] at indices [rows, k]: the other axes pair by name.
  addWeight("t", {3, 2}, {1, 2, 3, 4, 5, 6});
  choose({0, 0, 9, 0, 9, 0}, 2, 1,
         "  %t = clade.param @t : !clade.tensor<[n = 3, rows = 2], f32>\n"
         "  %g = clade.gather %t \"n\" at %i : !clade.tensor<[n = 3, rows = "
         "2], f32>, !i -> !v\n");
  EXPECT_EQ(last("clade.gather"), (std::vector<float>{5, 4}));
}

TEST_F(SelectionTest, IndexBeyondTheAxisIsAnError) {
  addWeight("t", {2}, {1, 2});
  addWeight("x", {1, 3}, {0, 0, 9});
  EXPECT_FALSE(runOps(
      "!x = !clade.tensor<[n = 3], f32>\n!v = !clade.tensor<[k = 1], f32>\n"
      "!i = !clade.tensor<[k = 1], i32>\n!t = !clade.tensor<[n = 2], f32>",
      "  %x = clade.param @x : !x\n  %t = clade.param @t : !t\n"
      "  %v, %i = clade.top_k %x : !x -> !v, !i\n"
      "  %g = clade.gather %t \"n\" at %i : !t, !i -> !v\n",
      {0}));
  EXPECT_NE(diagnostics.find("expected indices from 0 to 1, got 2"),
            std::string::npos)
      << diagnostics;
}

TEST_F(SelectionTest, MembersAndWhatStandsWhereTheyAre) {
  choose({1, 5, 3, 4, -8, -2, -1, -9}, 2, 2,
         "  %m = clade.member %i : !i -> !m\n"
         "  %low = clade.constant 0xFFF0000000000000 : !clade.tensor<[], "
         "f32>\n"
         "  %w = clade.where %m, %x, %low : !m, !x, !clade.tensor<[], f32> -> "
         "!x\n");
  EXPECT_EQ(last("clade.member"), (std::vector<float>{0, 1, 0, 1, 0, 1, 1, 0}));
  EXPECT_EQ(last("clade.where"),
            (std::vector<float>{-infinity, 5, -infinity, 4, -infinity, -2, -1,
                                -infinity}));
}

} // namespace
