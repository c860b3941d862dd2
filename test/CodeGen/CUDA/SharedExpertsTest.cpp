//===- SharedExpertsTest.cpp - Tokens that chose the same matrix ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products in f32 of tokens with one choice each, on the PTX machine: their
// results, and how often weights are read.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/Experts.h"

#include "TileHarness.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;

namespace {

std::vector<float> floats(int64_t count, uint32_t seed) {
  std::vector<float> numbers;
  for (uint16_t bits : bfloats(count, seed))
    numbers.push_back(floatOf(bits));
  return numbers;
}

/// Multiplies tokens, which chose `chosen`, with matrices [n, k] of which there
/// are three, and compares the results, which are exact.
ptx::LaunchReport multiply(const std::vector<int32_t> &chosen, int64_t n,
                           int64_t k) {
  constexpr int64_t experts = 3;
  auto rows = static_cast<int64_t>(chosen.size());
  ExpertsProduct product;
  product.experts = experts;
  product.active = 1;
  product.n = n;
  product.k = k;
  product.isChosen = true;
  Grid grid = sharedExpertsGrid(product);
  ptx::test::Harness harness(kernelText(
      targetOf("sm_80"), grid.threads, 4,
      [&](OpBuilder &builder, Location loc, ValueRange arguments) {
        Type f32 = builder.getF32Type();
        product.inputType = product.weightType = f32;
        product.input = arguments[0];
        product.weight = arguments[1];
        product.chosen = arguments[2];
        product.rows = arguments[4];
        emitSharedExperts(
            builder, loc, product,
            [&](Value place, Value, Value column, Value sum) {
              Value first = cpu::emitMul(builder, loc, place,
                                         cpu::emitIndex(builder, loc, n));
              emitStoreFloat(builder, loc, sum, f32, arguments[3],
                             cpu::emitAdd(builder, loc, first, column));
            });
      }));
  std::vector<float> input = floats(rows * k, 0),
                     weight = floats(experts * n * k, 12345);
  auto count = static_cast<size_t>(rows * n);
  uint64_t output = harness.buffer(count * sizeof(float));
  ptx::LaunchReport report =
      harness.launch("kernel", launchOf(grid, rows, 0), harness.buffer(input),
                     harness.buffer(weight), harness.buffer(chosen), output,
                     static_cast<uint64_t>(rows));
  EXPECT_TRUE(report.clean());
  std::vector<float> found = harness.read<float>(output, count);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < n; ++column) {
      float exact = 0;
      for (int64_t i = 0; i < k; ++i)
        exact += input[static_cast<size_t>(row * k + i)] *
                 weight[static_cast<size_t>(
                     (chosen[static_cast<size_t>(row)] * n + column) * k + i)];
      EXPECT_EQ(found[static_cast<size_t>(row * n + column)], exact)
          << row << ", " << column;
    }
  return report;
}

TEST(SharedExpertsTest, IsExact) {
  // Sequences of several adapters, of one, and changing from token to token;
  // ranks, rows of activations, and sizes that no piece of 16 bytes divides.
  std::vector<int32_t> one(19, 2), two(one), all(one);
  for (size_t i = 0; i < one.size(); ++i) {
    two[i] = i < 11 ? 0 : 1;
    all[i] = static_cast<int32_t>(i % 3);
  }
  for (auto [n, k] : {std::pair(9, 4), {4, 16}, {7, 264}, {5, 33}})
    for (const std::vector<int32_t> &chosen : {one, two, all, {1}}) {
      SCOPED_TRACE(std::to_string(n) + " x " + std::to_string(k));
      multiply(chosen, n, k);
    }
}

TEST(SharedExpertsTest, WeightsAreReadOnceForTokensThatShareThem) {
  std::vector<int32_t> one(16, 1), other(one);
  for (size_t i = 1; i < other.size(); i += 2)
    other[i] = 0;
  auto sectors = [](const ptx::LaunchReport &report) {
    return static_cast<double>(report.counters.total.sectors);
  };
  // Activations are read as often by both, eight tokens by a warp; weights
  // once by one of them and eight times by the other.
  EXPECT_LT(sectors(multiply(one, 8, 256)),
            0.6 * sectors(multiply(other, 8, 256)));
}

} // namespace
