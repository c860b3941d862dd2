//===- FactoredRowTest.cpp - Norms as factors of a row --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which activations are a row, times parameters, times one number of the row.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/FactoredRow.h"

#include "dialect/WMap/WMapDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace clade;
using namespace clade::cuda;

namespace {

/// What is found of a product of x, [token, d = 8] in bf16, whose activations
/// are %y of `body`, of that type as well: its factors, or nothing.
std::optional<size_t> factorsOf(StringRef body) {
  std::string text = (R"(
func.func @f(%arg0: !clade.tensor<[token, d = 8], bf16>, %arg1: !clade.tensor<[token, d = 8], bf16>, %arg2: !clade.tensor<[d = 8], f32>) -> !clade.tensor<[token, e = 4], bf16> {
  %0 = clade.kernel product(%arg0, %arg1, %arg2) : (!clade.tensor<[token, d = 8], bf16>, !clade.tensor<[token, d = 8], bf16>, !clade.tensor<[d = 8], f32>) -> !clade.tensor<[token, e = 4], bf16> {
  ^bb0(%x: !clade.tensor<[token, d = 8], bf16>, %other: !clade.tensor<[token, d = 8], bf16>, %gain: !clade.tensor<[d = 8], f32>):
    %g = clade.param @gain : <[d = 8], bf16>
    %one = clade.constant 1.0 : <[], f32>
    %wide = clade.cast %x : <[token, d = 8], bf16> -> <[token, d = 8], f32>
    %square = clade.binary mul %wide, %wide : <[token, d = 8], f32>, <[token, d = 8], f32> -> <[token, d = 8], f32>
)" + body + R"(
    %w = clade.param @weight : <[e = 4, d = 8], bf16>
    %product = clade.linear %y, %w : <[token, d = 8], bf16>, <[e = 4, d = 8], bf16> -> <[token, e = 4], bf16>
    clade.yield %product : !clade.tensor<[token, e = 4], bf16>
  }
  return %0 : !clade.tensor<[token, e = 4], bf16>
}
wmap.func @gain -> tensor<8xbf16> {
  %0 = wmap.source "gain" : tensor<8xbf16>
  wmap.return %0 : tensor<8xbf16>
}
wmap.func @weight -> tensor<4x8xbf16> {
  %0 = wmap.source "weight" : tensor<4x8xbf16>
  wmap.return %0 : tensor<4x8xbf16>
})")
                         .str();
  DialectRegistry registry;
  registry.insert<CladeDialect, wmap::WMapDialect, func::FuncDialect>();
  MLIRContext context(registry);
  auto module = parseSourceString<ModuleOp>(text, &context);
  std::optional<size_t> found;
  EXPECT_TRUE(module);
  if (module)
    module->walk([&](LinearOp linear) {
      std::optional<FactoredRow> row = FactoredRow::of(linear);
      if (!row)
        return;
      EXPECT_EQ(row->row, linear->getBlock()->getArgument(0));
      found = row->columns.size();
    });
  return found;
}

constexpr StringLiteral meanOfSquares = R"(
    %mean = clade.reduce mean %square over ["d"] : <[token, d = 8], f32> -> <[token], f32>
    %more = clade.binary add %mean, %one : <[token], f32>, <[], f32> -> <[token], f32>
    %root = clade.unary rsqrt %more : <[token], f32> -> <[token], f32>
)";

TEST(FactoredRowTest, NormsByTheRootMeanSquare) {
  // Rounded, then scaled.
  EXPECT_EQ(factorsOf(meanOfSquares.str() + R"(
    %n = clade.binary mul %wide, %root : <[token, d = 8], f32>, <[token], f32> -> <[token, d = 8], f32>
    %r = clade.cast %n : <[token, d = 8], f32> -> <[token, d = 8], bf16>
    %y = clade.binary mul %g, %r : <[d = 8], bf16>, <[token, d = 8], bf16> -> <[token, d = 8], bf16>
)"),
            2u);
  // Scaled by 1 + g, then rounded; by what another kernel made; and by nothing.
  EXPECT_EQ(factorsOf(meanOfSquares.str() + R"(
    %v = clade.cast %g : <[d = 8], bf16> -> <[d = 8], f32>
    %p = clade.binary add %one, %v : <[], f32>, <[d = 8], f32> -> <[d = 8], f32>
    %n = clade.binary mul %wide, %root : <[token, d = 8], f32>, <[token], f32> -> <[token, d = 8], f32>
    %s = clade.binary mul %n, %p : <[token, d = 8], f32>, <[d = 8], f32> -> <[token, d = 8], f32>
    %y = clade.cast %s : <[token, d = 8], f32> -> <[token, d = 8], bf16>
)"),
            2u);
  EXPECT_EQ(factorsOf(meanOfSquares.str() + R"(
    %n = clade.binary mul %wide, %root : <[token, d = 8], f32>, <[token], f32> -> <[token, d = 8], f32>
    %s = clade.binary mul %gain, %n : <[d = 8], f32>, <[token, d = 8], f32> -> <[token, d = 8], f32>
    %y = clade.cast %s : <[token, d = 8], f32> -> <[token, d = 8], bf16>
)"),
            2u);
  EXPECT_EQ(factorsOf(meanOfSquares.str() + R"(
    %n = clade.binary mul %wide, %root : <[token, d = 8], f32>, <[token], f32> -> <[token, d = 8], f32>
    %y = clade.cast %n : <[token, d = 8], f32> -> <[token, d = 8], bf16>
)"),
            1u);
}

TEST(FactoredRowTest, OthersAreNone) {
  // No number of the row.
  EXPECT_EQ(factorsOf(R"(
    %y = clade.binary mul %x, %g : <[token, d = 8], bf16>, <[d = 8], bf16> -> <[token, d = 8], bf16>
)"),
            std::nullopt);
  // The number is that of another row.
  EXPECT_EQ(factorsOf(meanOfSquares.str() + R"(
    %r = clade.cast %root : <[token], f32> -> <[token], bf16>
    %y = clade.binary mul %other, %r : <[token, d = 8], bf16>, <[token], bf16> -> <[token, d = 8], bf16>
)"),
            std::nullopt);
  // The largest number, which is not known at the end of the squares.
  EXPECT_EQ(factorsOf(R"(
    %max = clade.reduce max %square over ["d"] : <[token, d = 8], f32> -> <[token], f32>
    %root = clade.unary rsqrt %max : <[token], f32> -> <[token], f32>
    %n = clade.binary mul %wide, %root : <[token, d = 8], f32>, <[token], f32> -> <[token, d = 8], f32>
    %y = clade.cast %n : <[token, d = 8], f32> -> <[token, d = 8], bf16>
)"),
            std::nullopt);
  // A sum of what is no square.
  EXPECT_EQ(factorsOf(R"(
    %mean = clade.reduce mean %wide over ["d"] : <[token, d = 8], f32> -> <[token], f32>
    %n = clade.binary mul %wide, %mean : <[token, d = 8], f32>, <[token], f32> -> <[token, d = 8], f32>
    %y = clade.cast %n : <[token, d = 8], f32> -> <[token, d = 8], bf16>
)"),
            std::nullopt);
  // Divided, where the mean is subtracted first.
  EXPECT_EQ(factorsOf(meanOfSquares.str() + R"(
    %m = clade.reduce mean %wide over ["d"] : <[token, d = 8], f32> -> <[token], f32>
    %c = clade.binary sub %wide, %m : <[token, d = 8], f32>, <[token], f32> -> <[token, d = 8], f32>
    %n = clade.binary mul %c, %root : <[token, d = 8], f32>, <[token], f32> -> <[token, d = 8], f32>
    %y = clade.cast %n : <[token, d = 8], f32> -> <[token, d = 8], bf16>
)"),
            std::nullopt);
}

} // namespace
