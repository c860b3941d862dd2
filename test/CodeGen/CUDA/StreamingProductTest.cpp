//===- StreamingProductTest.cpp - Products of a few rows ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels of one product each on the PTX machine: their results, and what they
// read.
//
//===----------------------------------------------------------------------===//

#include "TileHarness.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/PTX/Roofline.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;

namespace {

struct Shape {
  int64_t rows, n, k;
};

struct Outcome {
  std::vector<uint16_t> input, weight, output;
  ptx::LaunchReport report;
  Grid grid;
};

/// The product of `shape` in bf16 by the kernel for its number of rows, which
/// has the suffix `suffix`.
Outcome multiply(const Target &target, Shape shape, StringRef suffix,
                 uint64_t traceCapacity = 0) {
  Outcome outcome{bfloats(shape.rows * shape.k, 0),
                  bfloats(shape.n * shape.k, 12345),
                  {},
                  {},
                  {}};
  MLIRContext context;
  Type type = BFloat16Type::get(&context);
  auto isFor = [&](const ProductKernel &kernel) {
    return kernel.rows.first <= shape.rows && shape.rows <= kernel.rows.last;
  };
  auto kernels =
      productKernels(target, {shape.n, shape.k, type, type, {}, {}, {}});
  const ProductKernel *kernel = llvm::find_if(kernels, isFor);
  EXPECT_EQ(kernel->suffix, suffix);
  outcome.grid = kernel->grid;
  ptx::test::Harness harness(kernelText(
      target, kernel->grid.threads, 3,
      [&](OpBuilder &builder, Location loc, ValueRange arguments) {
        Type bf16 = builder.getBF16Type();
        Product product{shape.n,      shape.k,      bf16,        bf16,
                        arguments[0], arguments[1], arguments[3]};
        kernel->emit(
            builder, loc, product, [&](Value row, Value column, Value sum) {
              Value first = cpu::emitMul(builder, loc, row,
                                         cpu::emitIndex(builder, loc, shape.n));
              emitStoreFloat(builder, loc, sum, bf16, arguments[2],
                             cpu::emitAdd(builder, loc, first, column));
            });
      }));
  auto count = static_cast<size_t>(shape.rows * shape.n);
  uint64_t output = harness.buffer(count * 2);
  ptx::LaunchOptions options =
      launchOf(kernel->grid, shape.rows, kernel->sharedBytes);
  options.traceCapacity = traceCapacity;
  outcome.report =
      harness.launch("kernel", options, harness.buffer(outcome.input),
                     harness.buffer(outcome.weight), output,
                     static_cast<uint64_t>(shape.rows));
  outcome.output = harness.read<uint16_t>(output, count);
  return outcome;
}

class StreamingProductTest : public testing::TestWithParam<Shape> {};

TEST_P(StreamingProductTest, IsExact) {
  Shape shape = GetParam();
  Outcome outcome =
      multiply(targetOf("sm_80"), shape, shape.rows == 1 ? "_one" : "");
  EXPECT_TRUE(outcome.report.clean());
  for (int64_t row = 0; row < shape.rows; ++row)
    for (int64_t column = 0; column < shape.n; ++column) {
      SCOPED_TRACE(std::to_string(row) + ", " + std::to_string(column));
      expectProduct(outcome.output[static_cast<size_t>(row * shape.n + column)],
                    &outcome.input[static_cast<size_t>(row * shape.k)],
                    &outcome.weight[static_cast<size_t>(column * shape.k)],
                    shape.k);
    }
}

// Rows of pieces of 16 bytes and less, fewer than the lanes of a warp, several
// batches and a rest of them; features and rows that end within a block.
INSTANTIATE_TEST_SUITE_P(Shapes, StreamingProductTest,
                         testing::Values(Shape{1, 4, 256}, Shape{1, 9, 1024},
                                         Shape{1, 7, 2312}, Shape{1, 5, 12},
                                         Shape{1, 3, 34}, Shape{1, 6, 5},
                                         Shape{1, 2, 1}, Shape{2, 5, 264},
                                         Shape{7, 6, 40}, Shape{8, 5, 520},
                                         Shape{3, 4, 33}, Shape{2, 33, 2312},
                                         Shape{8, 48, 2048}, Shape{5, 16, 136}),
                         [](const testing::TestParamInfo<Shape> &info) {
                           return std::to_string(info.param.rows) + "x" +
                                  std::to_string(info.param.n) + "x" +
                                  std::to_string(info.param.k);
                         });

/// Rows that are scaled on the way: x · g · 1 / √(mean(x²) + 1), with g of bf16
/// or f32.
class ScaledRowTest : public testing::TestWithParam<std::tuple<int64_t, bool>> {
};

TEST_P(ScaledRowTest, IsWithinTheRoundingOfSums) {
  auto [k, isWide] = GetParam();
  constexpr int64_t n = 9;
  Target target = targetOf("sm_80");
  Grid grid = streamingGrid(n, 1);
  bool gainIsWide = isWide;
  int64_t columns = k;
  ptx::test::Harness harness(kernelText(
      target, grid.threads, 4,
      [&](OpBuilder &builder, Location loc, ValueRange arguments) {
        Type bf16 = builder.getBF16Type(), f32 = builder.getF32Type();
        RowScaling scaling;
        scaling.scaled = [&](Value column, ValueRange row) {
          SmallVector<Value> scaled;
          for (auto [x, g] : llvm::zip_equal(
                   row, emitLoadFloats(builder, loc, gainIsWide ? f32 : bf16,
                                       arguments[3], column,
                                       static_cast<int64_t>(row.size()))))
            scaled.push_back(arith::MulFOp::create(builder, loc, x, g));
          return scaled;
        };
        scaling.factor = [&](Value squares) {
          Value mean = arith::DivFOp::create(
              builder, loc, squares,
              emitFloat(builder, loc, static_cast<double>(columns)));
          mean = arith::AddFOp::create(builder, loc, mean,
                                       emitFloat(builder, loc, 1));
          return arith::DivFOp::create(
              builder, loc, emitFloat(builder, loc, 1),
              math::SqrtOp::create(builder, loc, mean));
        };
        Product product{
            n, columns, bf16, bf16, arguments[0], arguments[1], arguments[4]};
        product.scaling = &scaling;
        emitStreamingProduct(
            builder, loc, product, 1, [&](Value, Value column, Value sum) {
              emitStoreFloat(builder, loc, sum, f32, arguments[2], column);
            });
      }));
  std::vector<uint16_t> input = bfloats(k, 0), weight = bfloats(n * k, 12345),
                        gain = bfloats(k, 777);
  std::vector<float> wideGain;
  for (uint16_t g : gain)
    wideGain.push_back(floatOf(g));
  uint64_t output = harness.buffer(n * sizeof(float));
  ptx::LaunchReport report = harness.launch(
      "kernel", launchOf(grid, 1, 0), harness.buffer(input),
      harness.buffer(weight), output,
      isWide ? harness.buffer(wideGain) : harness.buffer(gain), uint64_t(1));
  EXPECT_TRUE(report.clean());
  std::vector<float> found = harness.read<float>(output, n);
  double squares = 0;
  for (uint16_t x : input)
    squares += double(floatOf(x)) * floatOf(x);
  double factor = 1 / std::sqrt(squares / double(k) + 1);
  for (int64_t column = 0; column < n; ++column) {
    double exact = 0, magnitude = 0;
    for (int64_t i = 0; i < k; ++i) {
      double term = double(floatOf(input[static_cast<size_t>(i)])) *
                    wideGain[static_cast<size_t>(i)] *
                    floatOf(weight[static_cast<size_t>(column * k + i)]);
      exact += term;
      magnitude += std::fabs(term);
    }
    // A lane adds k / 32 numbers, their sums are joined in five steps; x · g
    // and the factor are rounded a few times.
    double bound = (double(k) / 32 + 5 + 8) * 0x1p-24 * magnitude * factor;
    EXPECT_LE(std::fabs(found[static_cast<size_t>(column)] - exact * factor),
              bound)
        << "column " << column;
  }
}

// Whole batches of pieces, a rest of them, and pieces of one element.
INSTANTIATE_TEST_SUITE_P(Shapes, ScaledRowTest,
                         testing::Combine(testing::Values(1024, 2312, 36, 5),
                                          testing::Bool()));

/// Decoding waits for weights: they come once, in whole sectors, and nothing
/// else of a GPU would take longer.
TEST(StreamingProductCostTest, IsBoundByTheWeights) {
  // One row and eight.
  for (auto [arch, id, shape, suffix] :
       {std::tuple("sm_80", "a100", Shape{1, 2048, 4096}, "_one"),
        {"sm_90a", "h100", Shape{1, 2048, 4096}, "_one"},
        {"sm_100a", "b200", Shape{1, 2048, 4096}, "_one"},
        {"sm_80", "a100", Shape{8, 2048, 4096}, ""},
        {"sm_90a", "h100", Shape{8, 2048, 4096}, ""}}) {
    SCOPED_TRACE(std::string(id) + suffix);
    Outcome outcome =
        multiply(targetOf(arch), shape, suffix, /*traceCapacity=*/1 << 22);
    const ptx::Counters &counters = outcome.report.counters;
    ptx::LaunchedKernel kernel;
    kernel.target = arch;
    kernel.blocks = counters.blocks;
    kernel.block = {static_cast<unsigned>(outcome.grid.threads), 64, 0};
    ptx::Prediction found = ptx::predict(*ptx::findGpu(id), kernel, counters,
                                         *outcome.report.trace);
    double least = 2.0 * shape.n * shape.k + 2.0 * shape.rows * shape.k;
    EXPECT_LE(double(found.traffic.dramBytes()), 1.05 * least);
    EXPECT_EQ(counters.total.sectors - counters.total.idealSectors, 0u);
    EXPECT_EQ(counters.total.sharedWaves, counters.total.idealWaves);
    EXPECT_EQ(std::string(found.bound.name), "DRAM");
  }
}

} // namespace
