//===- TiledProductTest.cpp - Products on tensor cores --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels of one product each on the PTX machine: their results for shapes with
// and without tails, and what they cost by its counters.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/TiledProduct.h"

#include "TileHarness.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/PTX/Roofline.h"

#include <iostream>

using namespace mlir;
using namespace clade;
using namespace clade::cuda;

namespace {

struct Shape {
  int64_t rows, n, k;
};

/// The PTX of a product; arguments are activations, weights and results, bf16.
std::string productText(const Target &target, const Tiling &tiling,
                        Shape shape) {
  return kernelText(
      target, tiling.threads(), 3,
      [&](OpBuilder &builder, Location loc, ValueRange arguments) {
        Type bf16 = builder.getBF16Type();
        EXPECT_TRUE(canTile(bf16, bf16, shape.k));
        Product product{shape.n,      shape.k,      bf16,        bf16,
                        arguments[0], arguments[1], arguments[3]};
        product.inputMap = arguments[0];
        product.weightMap = arguments[1];
        emitTiledProduct(
            builder, loc, target, tiling, product,
            [&](Value row, Value column, Value sum) {
              Value first = cpu::emitMul(builder, loc, row,
                                         cpu::emitIndex(builder, loc, shape.n));
              emitStoreStreamed(builder, loc, sum, bf16, arguments[2],
                                cpu::emitAdd(builder, loc, first, column));
            });
      },
      tiling.hasProducer ? 2 : 0);
}

struct Outcome {
  std::vector<uint16_t> input, weight, output;
  ptx::LaunchReport report;

  void expectElement(Shape shape, int64_t row, int64_t column) const {
    SCOPED_TRACE(std::to_string(row) + ", " + std::to_string(column));
    expectProduct(output[static_cast<size_t>(row * shape.n + column)],
                  &input[static_cast<size_t>(row * shape.k)],
                  &weight[static_cast<size_t>(column * shape.k)], shape.k);
  }
};

Outcome multiply(const Target &target, const Tiling &tiling, Shape shape,
                 const ptx::Checks &checks = {}, uint64_t traceCapacity = 0) {
  ptx::test::Harness harness(productText(target, tiling, shape));
  Outcome outcome{bfloats(shape.rows * shape.k, 0),
                  bfloats(shape.n * shape.k, 12345),
                  {},
                  {}};
  auto count = static_cast<size_t>(shape.rows * shape.n);
  uint64_t output = harness.buffer(count * 2);
  ptx::LaunchOptions options =
      launchOf(tiledGrid(tiling, shape.n), shape.rows, tiling.sharedBytes());
  options.checks = checks;
  options.traceCapacity = traceCapacity;
  uint64_t input = harness.buffer(outcome.input),
           weight = harness.buffer(outcome.weight),
           rows = static_cast<uint64_t>(shape.rows);
  if (tiling.hasProducer)
    outcome.report = harness.launch(
        "kernel", options,
        mapOf(input, mappedInput(tiling, shape.k), shape.rows),
        mapOf(weight, mappedWeight(tiling, shape.n, shape.k), shape.n), output,
        rows);
  else
    outcome.report =
        harness.launch("kernel", options, input, weight, output, rows);
  outcome.output = harness.read<uint16_t>(output, count);
  return outcome;
}

class TiledProductTest : public testing::TestWithParam<Shape> {};

TEST_P(TiledProductTest, IsExact) {
  Shape shape = GetParam();
  Target target = targetOf("sm_80");
  for (const Tiling &tiling :
       {narrowTiling(target), smallTiling(target), largeTiling(target)}) {
    Outcome outcome = multiply(target, tiling, shape);
    EXPECT_TRUE(outcome.report.clean());
    for (int64_t row = 0; row < shape.rows; ++row)
      for (int64_t column = 0; column < shape.n; ++column)
        outcome.expectElement(shape, row, column);
  }
}

// Rows and features around a tile's edge, inner sizes that end inside of a step
// and of a piece, fewer steps than stages, and several groups of rows.
INSTANTIATE_TEST_SUITE_P(
    Shapes, TiledProductTest,
    testing::Values(Shape{128, 128, 128}, Shape{9, 64, 64}, Shape{1, 1, 2},
                    Shape{129, 130, 40}, Shape{127, 127, 32},
                    Shape{200, 300, 96}, Shape{70, 140, 36}, Shape{70, 140, 34},
                    Shape{33, 17, 200}, Shape{256, 384, 16},
                    Shape{8500, 40, 8}),
    [](const testing::TestParamInfo<Shape> &info) {
      return std::to_string(info.param.rows) + "x" +
             std::to_string(info.param.n) + "x" + std::to_string(info.param.k);
    });

/// Code for one architecture has the stages that its shared memory holds, code
/// that later ones run too those that fit on each.
TEST(TiledProductArchTest, IsExactWithMoreStages) {
  EXPECT_EQ(largeTiling(targetOf("sm_80")).stages, 3);
  EXPECT_EQ(largeTiling(targetOf("sm_86")).stages, 3);
  EXPECT_EQ(largeTiling(targetOf("sm_90")).stages, 3);
  Target target = targetOf("sm_90a");
  Tiling tiling = largeTiling(target);
  EXPECT_EQ(tiling.stages, 6);
  constexpr Shape shape{130, 100, 600};
  Outcome outcome = multiply(target, tiling, shape);
  for (int64_t row = 0; row < shape.rows; ++row)
    outcome.expectElement(shape, row, row * 7 % shape.n);
}

/// On sm_90a large tiles are multiplied by warpgroups: fewer steps than stages
/// and more, and ends within steps and pieces.
TEST(TiledProductArchTest, IsExactOnWarpgroups) {
  Target target = targetOf("sm_90a");
  Tiling tiling = largeTiling(target);
  EXPECT_TRUE(tiling.usesWarpgroups);
  for (Shape shape : {Shape{128, 128, 1024}, Shape{1, 1, 2}, Shape{70, 140, 34},
                      Shape{200, 300, 96}, Shape{129, 130, 600}}) {
    Outcome outcome = multiply(target, tiling, shape);
    EXPECT_TRUE(outcome.report.clean());
    const ptx::Counters &counters = outcome.report.counters;
    EXPECT_EQ(counters.total.bankConflicts(), 0u);
    EXPECT_GE(counters.tensorShare(), shape.k > 500 ? 0.99 : 0.0);
    for (int64_t row = 0; row < shape.rows; ++row)
      for (int64_t column = 0; column < shape.n; ++column)
        outcome.expectElement(shape, row, column);
  }
}

/// A producer's tiles: fewer steps than stages, as many and more, ends within
/// steps and rows, more columns than the wide tile has, and the shortest rows.
TEST(TiledProductArchTest, IsExactWithAProducer) {
  Target target = targetOf("sm_90a");
  for (const Tiling &tiling : {mappedTiling(target), wideTiling(target)}) {
    EXPECT_TRUE(tiling.hasProducer);
    EXPECT_EQ(tiling.threads(), 288);
    for (Shape shape :
         {Shape{128, 256, 1024}, Shape{1, 1, 8}, Shape{70, 140, 40},
          Shape{200, 300, 256}, Shape{129, 257, 600}, Shape{256, 512, 384}}) {
      SCOPED_TRACE(std::to_string(tiling.n) + " columns, " +
                   std::to_string(shape.rows) + "x" + std::to_string(shape.n) +
                   "x" + std::to_string(shape.k));
      Outcome outcome = multiply(target, tiling, shape);
      EXPECT_TRUE(outcome.report.clean());
      const ptx::Counters &counters = outcome.report.counters;
      EXPECT_EQ(counters.total.bankConflicts(), 0u);
      // Where rows begin at sectors, every one that is asked for is used whole.
      if (shape.k % 16 == 0 && shape.n % 16 == 0) {
        EXPECT_EQ(counters.total.sectors, counters.total.idealSectors);
      }
      EXPECT_GE(counters.tensorShare(), shape.k > 500 ? 0.99 : 0.0);
      for (int64_t row = 0; row < shape.rows; ++row)
        for (int64_t column = 0; column < shape.n; ++column)
          outcome.expectElement(shape, row, column);
    }
  }
}

/// Every number of rows has one kernel, which has enough blocks for a GPU.
TEST(ProductKernelsTest, ShareTheNumbersOfRows) {
  MLIRContext context;
  Type bf16 = BFloat16Type::get(&context), f32 = Float32Type::get(&context);
  Target target = targetOf("sm_90a");
  auto namesOf = [&](int64_t n, int64_t k, Type type) {
    int64_t next = 1;
    std::string names;
    for (const ProductKernel &kernel :
         productKernels(target, {n, k, type, type, {}, {}, {}})) {
      EXPECT_EQ(kernel.rows.first, next);
      next = int64_t(kernel.rows.last) + 1;
      names += kernel.suffix.str() + " " + std::to_string(next) + ";";
    }
    return names;
  };
  EXPECT_EQ(namesOf(4096, 4096, bf16),
            "_one 2; 9;_narrow 65;_small 385;_large 897;_wide 2147483648;");
  EXPECT_EQ(namesOf(28672, 4096, bf16),
            "_one 2; 9;_small 65;_large 129;_wide 2147483648;");
  EXPECT_EQ(namesOf(1 << 20, 64, bf16),
            "_one 2; 9;_small 65;_wide 2147483648;");
  EXPECT_EQ(namesOf(64, 64, bf16),
            "_one 2; 9;_narrow 65;_small 16257;_large 2147483648;");
  // No tensor maps.
  EXPECT_EQ(namesOf(4096, 4092, bf16),
            "_one 2; 9;_narrow 65;_small 385;_large 2147483648;");
  // No tensor cores.
  EXPECT_EQ(namesOf(4096, 4096, f32), "_one 2; 2147483648;");
  EXPECT_EQ(namesOf(4096, 4095, bf16), "_one 2; 2147483648;");
}

TEST(TiledProductCostTest, TensorCoresMultiplyWithoutConflictsOfBanks) {
  constexpr Shape shape{256, 256, 1024};
  Target target = targetOf("sm_80");
  for (const Tiling &tiling :
       {narrowTiling(target), smallTiling(target), largeTiling(target)}) {
    Outcome outcome = multiply(target, tiling, shape);
    const ptx::Counters &counters = outcome.report.counters;
    EXPECT_EQ(counters.tensorOperations[unsigned(ptx::Format::F16)],
              uint64_t(2) * shape.rows * shape.n * shape.k);
    EXPECT_GE(counters.tensorShare(), 0.99);
    EXPECT_GT(counters.total.sharedRequests, 0u);
    EXPECT_EQ(counters.total.bankConflicts(), 0u);
    // Every sector that is asked for is used whole.
    EXPECT_EQ(counters.total.sectors, counters.total.idealSectors);
  }
}

/// Run by hand, as `--gtest_also_run_disabled_tests --gtest_filter=*Memory*`:
/// the traffic with DRAM of a product of 4,096 cubed by the model of caches,
/// for all blocks.
struct MemoryCase {
  const char *name, *arch, *gpu;
  Tiling (*tiling)(const Target &);
};

class DISABLED_TiledProductMemoryTest
    : public testing::TestWithParam<MemoryCase> {};

TEST_P(DISABLED_TiledProductMemoryTest, IsLittleMoreThanTheMatrices) {
  constexpr Shape shape{4096, 4096, 4096};
  ptx::Checks none;
  none.races = none.async = none.uninitialised = false;
  auto [name, arch, id, tilingOf] = GetParam();
  Target target = targetOf(arch);
  Tiling tiling = tilingOf(target);
  Outcome outcome = multiply(target, tiling, shape, none, uint64_t(1) << 26);
  for (int64_t i = 0; i < 4096; i += 61)
    outcome.expectElement(shape, i, i * 7 % 4096);
  double least = 3.0 * 4096 * 4096 * 2;
  ptx::LaunchedKernel kernel;
  kernel.target = arch;
  kernel.blocks = static_cast<uint32_t>(4096 / tiling.m * (4096 / tiling.n));
  // As many registers as it may have: they are given out to four warps at once.
  kernel.block = {static_cast<unsigned>(tiling.threads()),
                  tiling.hasProducer ? 168u : 255u,
                  static_cast<unsigned>(tiling.sharedBytes())};
  const ptx::Gpu &gpu = *ptx::findGpu(id);
  ptx::Prediction found =
      ptx::predict(gpu, kernel, outcome.report.counters, *outcome.report.trace);
  EXPECT_LE(found.traffic.dramBytes(), 1.15 * least);
  std::cout << gpu.name << ", code for " << arch << ", tiles of " << tiling.m
            << " x " << tiling.n << ": " << found.traffic.dramBytes() / least
            << " of the least bytes (" << found.traffic.tracedBlocks << " of "
            << found.traffic.blocks << " blocks), " << found.occupancy.blocks
            << " blocks a multiprocessor, bound by " << found.bound.name << ", "
            << found.bound.seconds * 1e6 << " us predicted\n";
  for (const auto &note : found.notes)
    std::cout << "  " << note << "\n";
}

INSTANTIATE_TEST_SUITE_P(
    Gpus, DISABLED_TiledProductMemoryTest,
    testing::Values(MemoryCase{"a100", "sm_80", "a100", largeTiling},
                    MemoryCase{"h100", "sm_90a", "h100", mappedTiling},
                    MemoryCase{"h100_wide", "sm_90a", "h100", wideTiling},
                    MemoryCase{"b200", "sm_100a", "b200", largeTiling}),
    [](const auto &info) { return std::string(info.param.name); });

} // namespace
