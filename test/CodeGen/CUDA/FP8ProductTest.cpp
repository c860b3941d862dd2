//===- FP8ProductTest.cpp - Products with weights in FP8 ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels of one product each on the PTX machine, with codes and scales that
// the runtime packs, beside sums in double precision; and what they read.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/FP8Product.h"

#include "FP8Weights.h"
#include "TileHarness.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/GroupCores.h"
#include "lib/PTX/Roofline.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;

namespace {

/// Rows of f16 in the order that kernels read, and their numbers.
struct HalfInputs {
  HalfInputs(int64_t rows, int64_t k, std::mt19937 &random)
      : stored(static_cast<size_t>(rows * k)) {
    for (int64_t i = 0; i < rows * k; ++i) {
      auto bits =
          static_cast<uint16_t>((random() % (15 << 10)) | (random() % 2 << 15));
      numbers.push_back(rt::f16ToF32(bits));
      constexpr int64_t places[] = {0, 2, 1, 3};
      stored[i / 4 * 4 + places[i % 4]] = bits;
    }
  }

  std::vector<uint16_t> stored;
  std::vector<float> numbers; ///< [rows][k]
};

/// Products are exact; a block's sum, its product with the scale and the sum of
/// all are rounded. As f16 codes are 2^-8 of their numbers.
bool isClose(const float *x, const double *w, int64_t k, double found) {
  double exact = 0, size = 0;
  for (int64_t i = 0; i < k; ++i) {
    exact += x[i] * w[i] * 0x1p-8;
    size += std::abs(x[i] * w[i]) * 0x1p-8;
  }
  double bound = double(scaleBlock + k / scaleBlock) * 0x1p-23 * size;
  EXPECT_NEAR(found, exact, bound);
  return std::abs(found - exact) <= bound;
}

struct Shape {
  int64_t rows, n, k;
  const char *kernel; ///< Suffix of its name.
};

struct Outcome {
  explicit Outcome(Shape shape)
      : weights(shape.n, shape.k, random), input(shape.rows, shape.k, random) {}

  std::mt19937 random{11};
  FP8Weights weights;
  HalfInputs input;
  std::vector<float> output;
  ptx::LaunchReport report;
  Grid grid;
};

void multiply(const Target &target, Shape shape, Outcome &outcome,
              uint64_t traceCapacity = 0) {
  const rt::PackedLayout &layout = layoutOf("fp8_128");
  MLIRContext context;
  Type f16 = Float16Type::get(&context), f32 = Float32Type::get(&context);
  auto kernels =
      productKernels(target, {shape.n, shape.k, f16, f32, {}, {}, {}, &layout});
  const ProductKernel *kernel =
      llvm::find_if(kernels, [&](const ProductKernel &kernel) {
        return kernel.suffix == shape.kernel;
      });
  ASSERT_NE(kernel, kernels.end());
  outcome.grid = kernel->grid;
  ptx::test::Harness harness(kernelText(
      target, kernel->grid.threads, 3,
      [&](OpBuilder &builder, Location loc, ValueRange arguments) {
        Type f32 = builder.getF32Type();
        Product product{shape.n,      shape.k,      builder.getF16Type(),
                        f32,          arguments[0], arguments[1],
                        arguments[3], &layout};
        kernel->emit(
            builder, loc, product, [&](Value row, Value column, Value sum) {
              Value first = cpu::emitMul(builder, loc, row,
                                         cpu::emitIndex(builder, loc, shape.n));
              emitStoreFloat(builder, loc, sum, f32, arguments[2],
                             cpu::emitAdd(builder, loc, first, column));
            });
      }));
  auto count = static_cast<size_t>(shape.rows * shape.n);
  uint64_t output = harness.buffer(count * 4);
  ptx::LaunchOptions options =
      launchOf(kernel->grid, shape.rows, kernel->sharedBytes);
  options.traceCapacity = traceCapacity;
  outcome.report =
      harness.launch("kernel", options, harness.buffer(outcome.input.stored),
                     harness.buffer(outcome.weights.packed), output,
                     static_cast<uint64_t>(shape.rows));
  outcome.output = harness.read<float>(output, count);
}

class FP8ProductTest : public testing::TestWithParam<Shape> {};

TEST_P(FP8ProductTest, IsWithinTheRoundingOfSums) {
  Shape shape = GetParam();
  Outcome outcome(shape);
  multiply(targetOf("sm_80"), shape, outcome);
  EXPECT_TRUE(outcome.report.clean());
  EXPECT_EQ(outcome.report.counters.total.bankConflicts(), 0u);
  int wrong = 0;
  for (int64_t row = 0; row < shape.rows; ++row)
    for (int64_t column = 0; column < shape.n && wrong < 5; ++column) {
      SCOPED_TRACE(std::to_string(row) + ", " + std::to_string(column));
      wrong += !isClose(&outcome.input.numbers[row * shape.k],
                        &outcome.weights.numbers[column * shape.k], shape.k,
                        outcome.output[row * shape.n + column]);
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, FP8ProductTest,
                         testing::Values(Shape{1, 32, 512, "_one"},
                                         Shape{1, 19, 2176, "_one"},
                                         Shape{8, 16, 2304, ""},
                                         Shape{3, 35, 128, ""}),
                         [](const testing::TestParamInfo<Shape> &info) {
                           return std::to_string(info.param.rows) + "x" +
                                  std::to_string(info.param.n) + "x" +
                                  std::to_string(info.param.k) +
                                  info.param.kernel;
                         });

/// Decoding waits for codes: with the scales of each row they are 1.03 bytes a
/// number.
TEST(FP8ProductCostTest, IsBoundByTheWeights) {
  for (auto [rows, suffix] : {std::pair(1, "_one"), {8, ""}}) {
    Shape shape{rows, 1024, 4096, suffix};
    Outcome outcome(shape);
    for (auto [arch, id] : {std::pair("sm_80", "a100"), {"sm_90a", "h100"}}) {
      SCOPED_TRACE(std::string(id) + suffix);
      multiply(targetOf(arch), shape, outcome, /*traceCapacity=*/1 << 22);
      const ptx::Counters &counters = outcome.report.counters;
      ptx::LaunchedKernel kernel;
      kernel.target = arch;
      kernel.blocks = counters.blocks;
      kernel.block = {static_cast<unsigned>(outcome.grid.threads), 64, 0};
      ptx::Prediction found = ptx::predict(*ptx::findGpu(id), kernel, counters,
                                           *outcome.report.trace);
      // Codes and a scale for each 128 by 128 of them.
      double least = double(shape.n * shape.k) * (1 + 4.0 / (128 * 128)) +
                     2.0 * double(shape.rows * shape.k) +
                     4.0 * double(outcome.output.size());
      EXPECT_LE(double(found.traffic.dramBytes()), 1.05 * least);
      if (rows == 1) {
        EXPECT_EQ(std::string(found.bound.name), "DRAM");
      }
    }
  }
}

struct ExpertsCase {
  int64_t rows, experts, active, n, k;
  bool hasActiveInput;
  const char *kernel; ///< Suffix of its name.
};

class FP8ExpertsTest : public testing::TestWithParam<ExpertsCase> {};

TEST_P(FP8ExpertsTest, AreWithinTheRoundingOfSums) {
  ExpertsCase shape = GetParam();
  std::mt19937 random(29);
  std::vector<FP8Weights> matrices;
  std::vector<std::byte> packed;
  for (int64_t i = 0; i < shape.experts; ++i) {
    matrices.emplace_back(shape.n, shape.k, random);
    packed.insert(packed.end(), matrices.back().packed.begin(),
                  matrices.back().packed.end());
  }
  int64_t places = shape.rows * shape.active;
  HalfInputs input(shape.hasActiveInput ? places : shape.rows, shape.k, random);
  std::vector<int32_t> chosen;
  for (int64_t place = 0; place < places; ++place) {
    int64_t row = place / shape.active, choice = place % shape.active;
    chosen.push_back(
        static_cast<int32_t>((row * row % 3 + choice) % (shape.experts - 1)));
  }
  ExpertsProduct product;
  product.experts = shape.experts;
  product.active = shape.active;
  product.n = shape.n;
  product.k = shape.k;
  product.hasActiveInput = shape.hasActiveInput;
  product.isChosen = true;
  product.groupLayout = &layoutOf("fp8_128");
  Target target = targetOf("sm_80");
  auto kernels = expertsKernels(target, product);
  const ExpertsKernel *kernel =
      llvm::find_if(kernels, [&](const ExpertsKernel &kernel) {
        return kernel.suffix == shape.kernel;
      });
  ASSERT_NE(kernel, kernels.end());
  ptx::test::Harness harness(kernelText(
      target, kernel->grid.threads, 4,
      [&](OpBuilder &builder, Location loc, ValueRange arguments) {
        Type f32 = builder.getF32Type();
        product.inputType = builder.getF16Type();
        product.weightType = f32;
        product.input = arguments[0];
        product.weight = arguments[1];
        product.chosen = arguments[2];
        product.rows = arguments[4];
        kernel->emit(
            builder, loc, product,
            [&](Value place, Value, Value column, Value sum) {
              Value first = cpu::emitMul(builder, loc, place,
                                         cpu::emitIndex(builder, loc, shape.n));
              emitStoreFloat(builder, loc, sum, f32, arguments[3],
                             cpu::emitAdd(builder, loc, first, column));
            });
      }));
  auto count = static_cast<size_t>(places * shape.n);
  uint64_t output = harness.buffer(count * 4);
  ptx::LaunchReport report = harness.launch(
      "kernel", launchOf(kernel->grid, shape.rows, kernel->sharedBytes),
      harness.buffer(input.stored), harness.buffer(packed),
      harness.buffer(chosen), output, static_cast<uint64_t>(shape.rows));
  EXPECT_TRUE(report.clean());
  EXPECT_EQ(report.counters.total.bankConflicts(), 0u);
  auto found = harness.read<float>(output, count);
  int wrong = 0;
  for (int64_t place = 0; place < places; ++place)
    for (int64_t column = 0; column < shape.n && wrong < 5; ++column) {
      SCOPED_TRACE(std::to_string(place) + ", " + std::to_string(column));
      int64_t row = shape.hasActiveInput ? place : place / shape.active;
      wrong += !isClose(&input.numbers[row * shape.k],
                        &matrices[chosen[place]].numbers[column * shape.k],
                        shape.k, found[place * shape.n + column]);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, FP8ExpertsTest,
    testing::Values(ExpertsCase{3, 4, 2, 40, 256, false, ""},
                    ExpertsCase{2, 3, 2, 35, 128, true, ""}),
    [](const testing::TestParamInfo<ExpertsCase> &info) {
      return "rows" + std::to_string(info.param.rows) + info.param.kernel;
    });

} // namespace
