//===- GroupProductTest.cpp - Products with weights in groups -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels of one product each on the PTX machine, with weights that the runtime
// packs, beside sums in double precision; and what they read.
//
//===----------------------------------------------------------------------===//

#include "TileHarness.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/GroupCores.h"
#include "lib/PTX/Roofline.h"
#include "test/CodeGen/GroupWeights.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;

namespace {

struct Shape {
  const char *format;
  int64_t rows, n, k;
  const char *kernel; ///< Suffix of its name.
};

/// Activations in 8 bits: what the records of random codes and scales hold, and
/// the numbers that they stand for.
struct Records {
  Records(const rt::PackedLayout &layout, int64_t rows, int64_t k,
          std::mt19937 &random)
      : columns(numRecords(layout, k) * rt::packedGroupColumns),
        bytes(static_cast<size_t>(rows * recordRowBytes(layout, k))) {
    int64_t groups = numRecords(layout, k);
    float scale = 0;
    std::vector<int32_t> sums;
    for (int64_t at = 0; at < rows * groups; ++at) {
      std::byte *batch = &bytes[at / recordBatch * batchBytes];
      std::byte *codes = batch + at % recordBatch * recordCodeBytes,
                *end = batch + batchEndsAt + at % recordBatch * recordEndBytes;
      // Where rows have one scale, what a batch has is in its first end.
      if (!layout.isOfRow || at % recordBatch == 0) {
        scale = 0.25f + static_cast<float>(random() % 64) / 64;
        sums.assign(static_cast<size_t>(layout.parts), 0);
      } else {
        std::memset(end, 0xff, recordEndBytes);
        end = batch + batchEndsAt;
      }
      for (int64_t i = 0; i < rt::packedGroupColumns; ++i) {
        bool isThere = at % groups * rt::packedGroupColumns + i < k;
        int code = isThere ? static_cast<int>(random() % 255) - 127 : 0;
        // Words of four columns: 0, 4, 1, 5, ….
        int64_t word = i / 4;
        codes[(word % 4 * 2 + word / 4) * 4 + i % 4] =
            static_cast<std::byte>(code);
        sums[i * layout.parts / rt::packedGroupColumns] += code;
        numbers.push_back(static_cast<float>(code) * scale);
      }
      std::memcpy(end, &scale, 4);
      for (int64_t part = 0; part < layout.parts; ++part) {
        int32_t start = sumBias - sums[part] * int32_t(layout.zero);
        float sum = static_cast<float>(sums[part]) * scale;
        std::memcpy(end + 4 + 4 * part,
                    layout.hasMinimum ? static_cast<void *>(&sum) : &start, 4);
      }
    }
  }

  int64_t columns;
  std::vector<std::byte> bytes;
  std::vector<float> numbers; ///< [rows][columns]
};

struct Outcome {
  Outcome(Shape shape)
      : layout(layoutOf(shape.format)),
        weights(cpu::weightFormOf(shape.format), shape.n, shape.k, panelRows,
                random),
        records(layout, shape.rows, shape.k, random) {}

  std::mt19937 random{17};
  const rt::PackedLayout &layout;
  cpu::test::GroupWeights weights;
  Records records;
  std::vector<float> output;
  ptx::LaunchReport report;
  Grid grid;
};

void multiply(const Target &target, Shape shape, Outcome &outcome,
              uint64_t traceCapacity = 0) {
  MLIRContext context;
  Type type = Float32Type::get(&context);
  auto kernels = productKernels(
      target, {shape.n, shape.k, type, type, {}, {}, {}, &outcome.layout});
  const ProductKernel *kernel =
      llvm::find_if(kernels, [&](const ProductKernel &kernel) {
        return kernel.suffix == shape.kernel;
      });
  outcome.grid = kernel->grid;
  ptx::test::Harness harness(kernelText(
      target, kernel->grid.threads, 3,
      [&](OpBuilder &builder, Location loc, ValueRange arguments) {
        Type f32 = builder.getF32Type();
        Product product{shape.n,      shape.k,        f32,
                        f32,          arguments[0],   arguments[1],
                        arguments[3], &outcome.layout};
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
      harness.launch("kernel", options, harness.buffer(outcome.records.bytes),
                     harness.buffer(outcome.weights.packed), output,
                     static_cast<uint64_t>(shape.rows));
  outcome.output = harness.read<float>(output, count);
}

class GroupProductTest : public testing::TestWithParam<Shape> {};

// A group's sum is exact; it is multiplied and added in f32, one after the
// other, and with a minimum that is multiplied and added too.
TEST_P(GroupProductTest, IsWithinTheRoundingOfF32) {
  Shape shape = GetParam();
  Outcome outcome(shape);
  multiply(targetOf("sm_80"), shape, outcome);
  EXPECT_TRUE(outcome.report.clean());
  const ptx::Counters &counters = outcome.report.counters;
  EXPECT_EQ(counters.total.sharedWaves, counters.total.idealWaves);
  double rounding = double(numGroups(outcome.layout, shape.k)) *
                    double(outcome.layout.parts + 1) * 0x1p-22;
  const cpu::test::GroupWeights &weights = outcome.weights;
  const Records &records = outcome.records;
  int wrong = 0;
  for (int64_t row = 0; row < shape.rows; ++row)
    for (int64_t column = 0; column < shape.n && wrong < 5; ++column) {
      double exact = 0, size = 0;
      for (int64_t i = 0; i < shape.k; ++i) {
        double x = records.numbers[row * records.columns + i];
        exact += x * weights.numbers[column * weights.columns + i];
        size += std::abs(x) * weights.terms[column * weights.columns + i];
      }
      double found = outcome.output[row * shape.n + column];
      wrong += !(std::abs(found - exact) <= rounding * size);
      EXPECT_NEAR(found, exact, rounding * size) << row << ", " << column;
    }
}

std::vector<Shape> shapes() {
  std::vector<Shape> all;
  // Panels and blocks that end early, batches and a rest of them.
  for (const char *format :
       {"q8_0", "q4_0", "q5_0", "q4_k", "q5_k", "q6_k", "q8_row"})
    for (Shape shape : {Shape{format, 1, 32, 512, "_one"},
                        {format, 1, 19, 300, "_one"},
                        {format, 8, 16, 2304, ""},
                        {format, 3, 35, 200, ""},
                        // No tile has rows of an odd number of columns.
                        {format, 21, 35, 75, ""}})
      all.push_back(shape);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Shapes, GroupProductTest, testing::ValuesIn(shapes()),
                         [](const testing::TestParamInfo<Shape> &info) {
                           Shape shape = info.param;
                           return std::string(shape.format) + "_" +
                                  std::to_string(shape.rows) + "x" +
                                  std::to_string(shape.n) + "x" +
                                  std::to_string(shape.k) + shape.kernel;
                         });

class GroupProductCostTest : public testing::TestWithParam<const char *> {};

/// Decoding waits for the codes and scales: they come once, and nothing else of
/// a GPU would take longer.
TEST_P(GroupProductCostTest, IsBoundByTheWeights) {
  for (auto [rows, suffix] : {std::pair(1, "_one"), {8, ""}}) {
    Shape shape{GetParam(), rows, 1024, 4096, suffix};
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
      double least = double(outcome.weights.packed.size()) +
                     double(outcome.records.bytes.size()) +
                     4.0 * double(outcome.output.size());
      EXPECT_LE(double(found.traffic.dramBytes()), 1.05 * least);
      // Five bits cost the most arithmetic of all: there it takes as long.
      if (rows == 1 && GetParam() != StringRef("q5_k")) {
        EXPECT_EQ(std::string(found.bound.name), "DRAM");
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, GroupProductCostTest,
                         testing::Values("q8_0", "q4_0", "q5_0", "q4_k", "q5_k",
                                         "q6_k", "q8_row"));

} // namespace
