//===- ShapeTest.cpp - Tests of views, slices, joins, copies --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReferenceTest.h"

using namespace clade::reference;

namespace {

class ShapeTest : public ReferenceTest {
protected:
  /// Runs `body` with %x, the [p = 2, q = 3] tensor 1, 2, …, 6.
  std::vector<float> run(const std::string &body, const std::string &op) {
    addWeight("x", {2, 3}, {1, 2, 3, 4, 5, 6});
    EXPECT_TRUE(runOps("!x = !clade.tensor<[p = 2, q = 3], f32>",
                       "  %x = clade.param @x : !x\n" + body, {0}))
        << diagnostics;
    return last(op);
  }
};

TEST_F(ShapeTest, ViewKeepsRowMajorOrder) {
  EXPECT_EQ(
      run("  %y = clade.view %x : !x -> !clade.tensor<[a = 3, b = 2], f32>",
          "clade.view"),
      (std::vector<float>{1, 2, 3, 4, 5, 6}));
}

TEST_F(ShapeTest, SliceOfLastAxis) {
  EXPECT_EQ(run("  %y = clade.slice %x \"q\" from 1 : !x -> "
                "!clade.tensor<[p = 2, part = 2], f32>",
                "clade.slice"),
            (std::vector<float>{2, 3, 5, 6}));
}

TEST_F(ShapeTest, SliceOfFirstAxis) {
  EXPECT_EQ(run("  %y = clade.slice %x \"p\" from 1 : !x -> "
                "!clade.tensor<[p = 1, q = 3], f32>",
                "clade.slice"),
            (std::vector<float>{4, 5, 6}));
}

TEST_F(ShapeTest, JoinAlongLastAxis) {
  EXPECT_EQ(run("  %a = clade.slice %x \"q\" from 2 : !x -> "
                "!clade.tensor<[p = 2, last = 1], f32>\n"
                "  %y = clade.join %x, %a : (!x, !clade.tensor<[p = 2, last = "
                "1], f32>) -> !clade.tensor<[p = 2, q = 4], f32>",
                "clade.join"),
            (std::vector<float>{1, 2, 3, 3, 4, 5, 6, 6}));
}

TEST_F(ShapeTest, SpreadInTheMiddle) {
  EXPECT_EQ(run("  %y = clade.spread %x : !x -> "
                "!clade.tensor<[p = 2, n = 2, q = 3], f32>",
                "clade.spread"),
            (std::vector<float>{1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6}));
}

TEST_F(ShapeTest, SelectKeepsWantedTokensOfEverySequence) {
  ASSERT_TRUE(load("func.func @main(%tokens: !clade.tensor<[token], i32>, "
                   "%batch: !clade.batch) -> !clade.tensor<[selected], i32> "
                   "attributes {clade.entry} {\n"
                   "  %y = clade.select %tokens, %batch : "
                   "!clade.tensor<[token], i32> -> "
                   "!clade.tensor<[selected], i32>\n"
                   "  return %y : !clade.tensor<[selected], i32>\n}\n"))
      << diagnostics;
  int a = interpreter->addSequence(8), b = interpreter->addSequence(8);
  ASSERT_TRUE(step({{a, {10, 11, 12}, {true, false, true}}, {b, {20, 21}, {}}}))
      << diagnostics;
  EXPECT_EQ(rows, (std::vector<std::vector<float>>{{10}, {12}, {21}}));

  ASSERT_TRUE(step({{a, {13}, {false}}})) << diagnostics;
  EXPECT_TRUE(rows.empty());
}

} // namespace
