//===- KernelTest.cpp - Tests of kernels and layers in the interpreter ----===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReferenceTest.h"

using namespace clade::reference;

namespace {

class KernelTest : public ReferenceTest {};

TEST_F(KernelTest, KernelRunsItsBodyOnItsOperands) {
  addWeight("w", {2}, {2, 3});
  ASSERT_TRUE(runOps(
      "!x = !clade.tensor<[d = 2], f32>",
      "  %w = clade.param @w : !x\n"
      "  %c = clade.constant 10.0 : !clade.tensor<[], f32>\n"
      "  %k:2 = clade.kernel tokenwise (%w, %batch, %c) : (!x, !clade.batch, "
      "!clade.tensor<[], f32>) -> (!x, !x) {\n"
      "  ^bb0(%a: !x, %b: !clade.batch, %s: !clade.tensor<[], f32>):\n"
      "    %1 = clade.binary mul %a, %s : !x, !clade.tensor<[], f32> -> !x\n"
      "    clade.yield %1, %a : !x, !x\n"
      "  }\n"
      "  %y = clade.binary sub %k#0, %k#1 : !x, !x -> !x",
      {0}))
      << diagnostics;
  EXPECT_EQ(last("clade.binary"), (std::vector<float>{18, 27}));
}

TEST_F(KernelTest, KernelReadsWeightsOfItsLayer) {
  addTensor("w.0", {1}, {10});
  addTensor("w.1", {1}, {200});
  ASSERT_TRUE(runLayerOps(
      "!s = !clade.tensor<[], f32>\n"
      "wmap.func @w -> tensor<1xf32> {\n"
      "  %0 = wmap.source \"w.{layer}\" : tensor<1xf32>\n"
      "  wmap.return %0 : tensor<1xf32>\n}",
      "  %y = clade.kernel tokenwise (%x) : (!hidden) -> !hidden {\n"
      "  ^bb0(%a: !hidden):\n"
      "    %w = clade.param @w : !s\n"
      "    %1 = clade.binary add %a, %w : !hidden, !s -> !hidden\n"
      "    clade.yield %1 : !hidden\n"
      "  }",
      {1, 2}))
      << diagnostics;
  // Both layers ran, one after the other.
  EXPECT_EQ(last("clade.layers"), (std::vector<float>{211, 212}));
}

TEST_F(KernelTest, AScheduleMayHaveNoLayers) {
  ASSERT_TRUE(load(
      "!hidden = !clade.tensor<[token], i32>\n"
      "func.func @kind(%x: !hidden) -> !hidden {\n  return %x : !hidden\n}\n"
      "clade.schedule @layers kinds [@kind] rows []\n"
      "func.func @main(%tokens: !hidden, %batch: !clade.batch) -> "
      "!clade.tensor<[selected], i32> attributes {clade.entry} {\n"
      "  %x = clade.layers @layers(%tokens) : (!hidden) -> !hidden\n"
      "  %y = clade.select %x, %batch : !hidden -> "
      "!clade.tensor<[selected], i32>\n"
      "  return %y : !clade.tensor<[selected], i32>\n}\n"))
      << diagnostics;
  int sequence = interpreter->addSequence(1);
  ASSERT_TRUE(step({{sequence, {5}, {}}})) << diagnostics;
  EXPECT_EQ(rows[0], std::vector<float>{5});
}

} // namespace
