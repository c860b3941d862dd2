//===- HalfProductTest.cpp - Products with weights in f16 -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels of products of f16 on the PTX machine, for each number of rows and
// with and without tails, beside sums in double precision; and the scales of
// activations.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/HalfRows.h"

#include "TileHarness.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/PTX/Roofline.h"
#include "runtime/Formats/DType.h"

#include <random>

using namespace mlir;
using namespace clade;
using namespace clade::cuda;

namespace {

struct Shape {
  const char *arch;
  int64_t rows, n, k;
  const char *kernel; ///< Suffix of its name.
};

/// Numbers of f16 with all their bits, of 2^-15 (below the normal ones) to 1.
std::vector<uint16_t> halves(int64_t count, std::mt19937 &random) {
  std::vector<uint16_t> numbers;
  for (int64_t i = 0; i < count; ++i)
    numbers.push_back(
        static_cast<uint16_t>((random() % (15 << 10)) | (random() % 2 << 15)));
  return numbers;
}

struct Outcome {
  std::vector<uint16_t> input, weight;
  std::vector<float> output;
  ptx::LaunchReport report;
  Grid grid;
};

/// Activations are f16, or f32 of the same numbers.
Outcome multiply(Shape shape, bool isInputF32 = false,
                 uint64_t traceCapacity = 0) {
  std::mt19937 random(7);
  Outcome outcome{halves(shape.rows * shape.k, random),
                  halves(shape.n * shape.k, random),
                  {},
                  {},
                  {}};
  Target target = targetOf(shape.arch);
  MLIRContext context;
  Type f16 = Float16Type::get(&context),
       input = isInputF32 ? Type(Float32Type::get(&context)) : f16;
  auto kernels =
      productKernels(target, {shape.n, shape.k, input, f16, {}, {}, {}});
  const ProductKernel *kernel =
      llvm::find_if(kernels, [&](const ProductKernel &kernel) {
        return kernel.suffix == shape.kernel;
      });
  EXPECT_NE(kernel, kernels.end());
  outcome.grid = kernel->grid;
  ptx::test::Harness harness(kernelText(
      target, kernel->grid.threads, 3,
      [&](OpBuilder &builder, Location loc, ValueRange arguments) {
        Type f32 = builder.getF32Type(), f16 = builder.getF16Type();
        Product product{shape.n,     shape.k,      isInputF32 ? f32 : f16,
                        f16,         arguments[0], arguments[1],
                        arguments[3]};
        product.inputMap = arguments[0];
        product.weightMap = arguments[1];
        kernel->emit(
            builder, loc, product, [&](Value row, Value column, Value sum) {
              Value first = cpu::emitMul(builder, loc, row,
                                         cpu::emitIndex(builder, loc, shape.n));
              emitStoreFloat(builder, loc, sum, f32, arguments[2],
                             cpu::emitAdd(builder, loc, first, column));
            });
      },
      kernel->inputMap ? 2 : 0));
  std::vector<float> wide;
  for (uint16_t number : outcome.input)
    wide.push_back(rt::f16ToF32(number));
  auto count = static_cast<size_t>(shape.rows * shape.n);
  uint64_t output = harness.buffer(count * 4);
  ptx::LaunchOptions options =
      launchOf(kernel->grid, shape.rows, kernel->sharedBytes);
  options.traceCapacity = traceCapacity;
  uint64_t given = isInputF32 ? harness.buffer(wide)
                              : harness.buffer(outcome.input),
           weight = harness.buffer(outcome.weight),
           rows = static_cast<uint64_t>(shape.rows);
  if (kernel->inputMap)
    outcome.report = harness.launch(
        "kernel", options, mapOf(given, *kernel->inputMap, shape.rows),
        mapOf(weight, *kernel->weightMap, shape.n), output, rows);
  else
    outcome.report =
        harness.launch("kernel", options, given, weight, output, rows);
  outcome.output = harness.read<float>(output, count);
  return outcome;
}

/// Products of two f16 are exact in f32; sums are rounded, each addition once.
void expectWithinRounding(Shape shape, const Outcome &outcome) {
  EXPECT_TRUE(outcome.report.clean());
  EXPECT_EQ(outcome.report.counters.total.bankConflicts(), 0u);
  int wrong = 0;
  for (int64_t row = 0; row < shape.rows; ++row)
    for (int64_t column = 0; column < shape.n && wrong < 5; ++column) {
      double exact = 0, size = 0;
      for (int64_t i = 0; i < shape.k; ++i) {
        double product =
            double(rt::f16ToF32(outcome.input[row * shape.k + i])) *
            rt::f16ToF32(outcome.weight[column * shape.k + i]);
        exact += product;
        size += std::abs(product);
      }
      double found = outcome.output[row * shape.n + column];
      bool isClose =
          std::abs(found - exact) <= double(shape.k) * 0x1p-23 * size;
      EXPECT_TRUE(isClose) << row << ", " << column << ": " << found << ", not "
                           << exact;
      wrong += !isClose;
    }
}

class HalfProductTest : public testing::TestWithParam<Shape> {};

TEST_P(HalfProductTest, IsWithinTheRoundingOfSums) {
  expectWithinRounding(GetParam(), multiply(GetParam()));
}

// A single row, few and tiles; pieces of 16 bytes and less, with and without
// tensor maps, ends within fragments, steps and tiles.
INSTANTIATE_TEST_SUITE_P(
    Shapes, HalfProductTest,
    testing::Values(
        Shape{"sm_80", 1, 9, 1024, "_one"}, Shape{"sm_80", 1, 5, 34, "_one"},
        Shape{"sm_80", 1, 3, 5, "_one"}, Shape{"sm_80", 8, 48, 2048, ""},
        Shape{"sm_80", 2, 33, 2312, ""}, Shape{"sm_80", 3, 4, 33, ""},
        Shape{"sm_80", 33, 130, 200, "_narrow"},
        Shape{"sm_80", 70, 140, 34, "_small"},
        Shape{"sm_80", 129, 130, 96, "_large"},
        Shape{"sm_90a", 129, 130, 596, "_large"},
        Shape{"sm_90a", 129, 130, 600, "_large"},
        Shape{"sm_90a", 129, 250, 600, "_wide"}),
    [](const testing::TestParamInfo<Shape> &info) {
      return std::string(info.param.arch) + info.param.kernel + "_" +
             std::to_string(info.param.rows) + "x" +
             std::to_string(info.param.n) + "x" + std::to_string(info.param.k);
    });

/// In f32 nothing but sums is rounded either, and no tensor core multiplies.
TEST(HalfWeightsTest, AreWidenedBesideF32) {
  for (Shape shape :
       {Shape{"sm_80", 1, 9, 1024, "_one"}, {"sm_80", 5, 6, 36, ""}})
    expectWithinRounding(shape, multiply(shape, /*isInputF32=*/true));
}

/// Decoding waits for weights, as it does in bf16.
TEST(HalfWeightsTest, BoundASingleRow) {
  for (auto [arch, id] :
       {std::pair("sm_80", "a100"), {"sm_90a", "h100"}, {"sm_100a", "b200"}}) {
    SCOPED_TRACE(id);
    Shape shape{arch, 1, 2048, 4096, "_one"};
    Outcome outcome =
        multiply(shape, /*isInputF32=*/false, /*traceCapacity=*/1 << 22);
    const ptx::Counters &counters = outcome.report.counters;
    ptx::LaunchedKernel kernel;
    kernel.target = arch;
    kernel.blocks = counters.blocks;
    kernel.block = {static_cast<unsigned>(outcome.grid.threads), 64, 0};
    ptx::Prediction found = ptx::predict(*ptx::findGpu(id), kernel, counters,
                                         *outcome.report.trace);
    EXPECT_LE(double(found.traffic.dramBytes()),
              1.05 * 2.0 * double(shape.n + 1) * double(shape.k));
    EXPECT_EQ(counters.total.sectors - counters.total.idealSectors, 0u);
    EXPECT_EQ(std::string(found.bound.name), "DRAM");
  }
}

/// Scales are powers of two and normal numbers, whatever a row has; its largest
/// magnitude comes to [2^14, 2^15).
TEST(HalfScaleTest, BringsTheLargestBelowTheEndOfF16) {
  std::vector<float> sizes{1,
                           0.75f,
                           65504,
                           0x1p-20f,
                           3.4e38f,
                           0x1p-112f,
                           0x1p-126f,
                           0x1p-140f,
                           0,
                           std::numeric_limits<float>::infinity(),
                           std::numeric_limits<float>::quiet_NaN()};
  std::string text = kernelText(
      targetOf("sm_80"), 32, 2,
      [&](OpBuilder &builder, Location loc, ValueRange arguments) {
        Type f32 = builder.getF32Type();
        Value thread = emitThread(builder, loc);
        auto [scale, inverse] = emitHalfScale(
            builder, loc,
            emitLoadFloat(builder, loc, f32, arguments[0], thread));
        emitStoreFloat(builder, loc, scale, f32, arguments[1], thread);
        emitStoreFloat(builder, loc, inverse, f32, arguments[1],
                       cpu::emitAdd(builder, loc, thread,
                                    cpu::emitIndex(builder, loc, 32)));
      });
  sizes.resize(32, 1);
  ptx::test::Harness harness(text);
  uint64_t output = harness.buffer(64 * 4);
  ptx::LaunchReport report =
      harness.launch("kernel", launchOf({1, 1, 32}, 1, 0),
                     harness.buffer(sizes), output, uint64_t(1));
  EXPECT_TRUE(report.clean());
  auto found = harness.read<float>(output, 64);
  for (size_t i = 0; i < sizes.size(); ++i) {
    SCOPED_TRACE(sizes[i]);
    float scale = found[i], inverse = found[i + 32];
    EXPECT_TRUE(std::isnormal(scale) && std::isnormal(inverse));
    EXPECT_EQ(scale * inverse, 1);
    EXPECT_EQ(std::bit_cast<uint32_t>(scale) & 0x7fffff, 0u);
    if (!std::isfinite(sizes[i]))
      continue;
    EXPECT_LT(sizes[i] * inverse, 0x1p15f);
    if (sizes[i] >= 0x1p-112f) {
      EXPECT_GE(sizes[i] * inverse, 0x1p14f);
    }
  }
}

} // namespace
