//===- PanelTileTest.cpp - Tiles of weights in codes ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products of many rows with weights in blocks on the PTX machine, beside sums
// of what codes stand for, rounded to bf16; and what they cost by its counters.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/PanelTile.h"

#include "FP8Weights.h"
#include "TileHarness.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/GroupCores.h"
#include "lib/CodeGen/CUDA/TiledExperts.h"
#include "lib/PTX/Roofline.h"
#include "test/CodeGen/GroupWeights.h"

#include <iostream>

using namespace mlir;
using namespace clade;
using namespace clade::cuda;

namespace {

/// Weights in panels, and the numbers that tiles multiply: what codes stand
/// for, rounded to bf16. Where a minimum is subtracted, 2^-24 of 128 scales may
/// be lost before that, and the least and the most that it may be are kept.
struct Panels {
  Panels(llvm::StringRef format, int64_t n, int64_t k, std::mt19937 &random)
      : columns(k) {
    auto round = [](double number) {
      return rt::bf16ToF32(rt::f32ToBF16(static_cast<float>(number)));
    };
    auto add = [&](double number) {
      least.push_back(round(number));
      most.push_back(least.back());
    };
    if (format == "fp8_128") {
      FP8Weights weights(n, k, random);
      packed = weights.packed;
      llvm::for_each(weights.numbers, add);
      return;
    }
    cpu::test::GroupWeights weights(cpu::weightFormOf(format), n, k, panelRows,
                                    random);
    packed = weights.packed;
    columns = weights.columns;
    if (!layoutOf(format).hasMinimum) {
      llvm::for_each(weights.numbers, add);
      return;
    }
    for (size_t at = 0; at < weights.numbers.size(); ++at) {
      // Some code of a group is more than half of the most there is.
      size_t group = at / 32 * 32;
      double largest =
          *std::max_element(&weights.terms[group], &weights.terms[group] + 32);
      double lost = 0x1p-24 * (128 / 8 + 1) * largest;
      least.push_back(round(weights.numbers[at] - lost));
      most.push_back(round(weights.numbers[at] + lost));
    }
  }

  std::vector<std::byte> packed;
  /// Sums in f32 of products that f32 holds: an mma.sync adds 16 at once.
  bool isClose(const uint16_t *x, int64_t row, int64_t k, double found) const {
    double low = 0, high = 0, size = 0;
    for (int64_t i = 0; i < k; ++i) {
      double number = floatOf(x[i]);
      auto [one, other] = std::minmax({number * least[row * columns + i],
                                       number * most[row * columns + i]});
      low += one;
      high += other;
      size += std::max(std::abs(one), std::abs(other));
    }
    double bound = (double(k) / mmaK + 2) * 0x1p-23 * size;
    EXPECT_GE(found, low - bound);
    EXPECT_LE(found, high + bound);
    return found >= low - bound && found <= high + bound;
  }

  std::vector<float> least, most; ///< [n][columns]
  int64_t columns;
};

struct Shape {
  const char *format;
  int64_t rows, n, k;
};

struct Outcome {
  std::mt19937 random{23};
  Panels weights;
  std::vector<uint16_t> input;
  std::vector<float> output;
  ptx::LaunchReport report;
  ptx::LaunchedKernel kernel;

  explicit Outcome(Shape shape)
      : weights(shape.format, shape.n, shape.k, random),
        input(bfloats(shape.rows * shape.k, 0)) {}
  bool isElementClose(Shape shape, int64_t row, int64_t column) const {
    SCOPED_TRACE(std::to_string(row) + ", " + std::to_string(column));
    return weights.isClose(&input[row * shape.k], column, shape.k,
                           output[row * shape.n + column]);
  }
};

/// `suffix` is that of the kernel's name.
void multiply(const Target &target, Shape shape, llvm::StringRef suffix,
              Outcome &outcome, const ptx::Checks &checks = {},
              uint64_t traceCapacity = 0) {
  const rt::PackedLayout &layout = layoutOf(shape.format);
  MLIRContext context;
  Type type = BFloat16Type::get(&context);
  auto kernels = productKernels(
      target, {shape.n, shape.k, type, type, {}, {}, {}, &layout});
  const ProductKernel *kernel =
      llvm::find_if(kernels, [&](const ProductKernel &kernel) {
        return kernel.suffix == suffix;
      });
  ASSERT_NE(kernel, kernels.end());
  EXPECT_TRUE(kernel->readsRows);
  ptx::test::Harness harness(kernelText(
      target, kernel->grid.threads, 3,
      [&](OpBuilder &builder, Location loc, ValueRange arguments) {
        Type bf16 = builder.getBF16Type();
        Product product{shape.n,      shape.k,      bf16,         bf16,
                        arguments[0], arguments[1], arguments[3], &layout};
        kernel->emit(
            builder, loc, product, [&](Value row, Value column, Value sum) {
              Value first = cpu::emitMul(builder, loc, row,
                                         cpu::emitIndex(builder, loc, shape.n));
              emitStoreStreamed(builder, loc, sum, builder.getF32Type(),
                                arguments[2],
                                cpu::emitAdd(builder, loc, first, column));
            });
      }));
  auto count = static_cast<size_t>(shape.rows * shape.n);
  uint64_t output = harness.buffer(count * 4);
  ptx::LaunchOptions options =
      launchOf(kernel->grid, shape.rows, kernel->sharedBytes);
  options.checks = checks;
  options.traceCapacity = traceCapacity;
  outcome.report =
      harness.launch("kernel", options, harness.buffer(outcome.input),
                     harness.buffer(outcome.weights.packed), output,
                     static_cast<uint64_t>(shape.rows));
  outcome.output = harness.read<float>(output, count);
  outcome.kernel.blocks = outcome.report.counters.blocks;
  outcome.kernel.block = {static_cast<unsigned>(kernel->grid.threads), 255u,
                          static_cast<unsigned>(kernel->sharedBytes)};
}

constexpr const char *formats[] = {"q8_0", "q4_0", "q5_0",   "q4_k",
                                   "q5_k", "q6_k", "q8_row", "fp8_128"};

class PanelTileTest : public testing::TestWithParam<const char *> {
public:
  /// All tiles that code for `arch` has.
  void expectExact(llvm::StringRef arch, int64_t rows, int64_t n, int64_t k,
                   std::vector<const char *> suffixes = {"_narrow", "_small",
                                                         "_large"}) {
    // Rows of FP8 are whole blocks.
    if (GetParam() == llvm::StringRef("fp8_128"))
      k = llvm::alignTo(k, 128);
    Shape shape{GetParam(), rows, n, k};
    for (const char *suffix : suffixes) {
      SCOPED_TRACE(std::to_string(rows) + "x" + std::to_string(n) + "x" +
                   std::to_string(k) + suffix);
      Outcome outcome(shape);
      multiply(targetOf(arch), shape, suffix, outcome);
      EXPECT_TRUE(outcome.report.clean());
      EXPECT_EQ(outcome.report.counters.total.bankConflicts(), 0u);
      int wrong = 0;
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t column = 0; column < n && wrong < 5; ++column)
          wrong += !outcome.isElementClose(shape, row, column);
    }
  }
};

// Whole tiles; panels, blocks and steps that end early; fewer steps than
// stages, rows of one group.
TEST_P(PanelTileTest, IsWhatCodesStandFor) {
  expectExact("sm_80", 64, 64, 512);
  expectExact("sm_80", 131, 150, 840);
  expectExact("sm_80", 9, 19, 34);
}

TEST_P(PanelTileTest, IsTheSameOnWarpgroups) {
  expectExact("sm_90a", 131, 150, 840, {"_small", "_large", "_wide"});
  expectExact("sm_90a", 64, 512, 64, {"_wide"});
}

INSTANTIATE_TEST_SUITE_P(Formats, PanelTileTest, testing::ValuesIn(formats),
                         [](const auto &info) {
                           return std::string(info.param);
                         });

/// Experts of many tokens: tiles of what chose each, gathered from where it is.
struct ExpertsCase {
  const char *format;
  int64_t rows, experts, active, n, k;
  bool hasActiveInput;
  const char *kernel; ///< Suffix of its name.
};

class PanelExpertsTest : public testing::TestWithParam<ExpertsCase> {};

TEST_P(PanelExpertsTest, AreWhatCodesStandFor) {
  ExpertsCase shape = GetParam();
  std::mt19937 random(29);
  const rt::PackedLayout &layout = layoutOf(shape.format);
  std::vector<Panels> matrices;
  std::vector<std::byte> packed;
  for (int64_t i = 0; i < shape.experts; ++i) {
    matrices.emplace_back(shape.format, shape.n, shape.k, random);
    packed.insert(packed.end(), matrices.back().packed.begin(),
                  matrices.back().packed.end());
  }
  int64_t places = shape.rows * shape.active;
  std::vector<uint16_t> input =
      bfloats((shape.hasActiveInput ? places : shape.rows) * shape.k, 5);
  // Groups as emitGroups writes them; the last expert has none.
  std::vector<std::vector<int32_t>> chosenBy(
      static_cast<size_t>(shape.experts));
  std::vector<int64_t> expertOf;
  for (int64_t place = 0; place < places; ++place) {
    int64_t row = place / shape.active, choice = place % shape.active;
    expertOf.push_back((row * row % 3 + choice) % (shape.experts - 1));
    chosenBy[expertOf.back()].push_back(static_cast<int32_t>(place));
  }
  std::vector<int32_t> groups{0}, order;
  for (const auto &chosen : chosenBy) {
    order.insert(order.end(), chosen.begin(), chosen.end());
    groups.push_back(static_cast<int32_t>(order.size()));
  }
  groups.insert(groups.end(), order.begin(), order.end());
  ExpertsProduct product;
  product.experts = shape.experts;
  product.active = shape.active;
  product.n = shape.n;
  product.k = shape.k;
  product.hasActiveInput = shape.hasActiveInput;
  product.isChosen = true;
  product.groupLayout = &layout;
  Target target = targetOf("sm_80");
  auto kernels = expertsKernels(target, product);
  const ExpertsKernel *kernel =
      llvm::find_if(kernels, [&](const ExpertsKernel &kernel) {
        return kernel.suffix == shape.kernel;
      });
  ASSERT_NE(kernel, kernels.end());
  EXPECT_TRUE(kernel->readsRows);
  ptx::test::Harness harness(kernelText(
      target, kernel->grid.threads, 4,
      [&](OpBuilder &builder, Location loc, ValueRange arguments) {
        product.inputType = product.weightType = builder.getBF16Type();
        product.input = arguments[0];
        product.weight = arguments[1];
        product.groups = arguments[2];
        product.rows = arguments[4];
        kernel->emit(
            builder, loc, product,
            [&](Value place, Value, Value column, Value sum) {
              Value first = cpu::emitMul(builder, loc, place,
                                         cpu::emitIndex(builder, loc, shape.n));
              emitStoreFloat(builder, loc, sum, builder.getF32Type(),
                             arguments[3],
                             cpu::emitAdd(builder, loc, first, column));
            });
      }));
  auto count = static_cast<size_t>(places * shape.n);
  uint64_t output = harness.buffer(count * 4);
  ptx::LaunchReport report = harness.launch(
      "kernel", launchOf(kernel->grid, shape.rows, kernel->sharedBytes),
      harness.buffer(input), harness.buffer(packed), harness.buffer(groups),
      output, static_cast<uint64_t>(shape.rows));
  EXPECT_TRUE(report.clean());
  EXPECT_EQ(report.counters.total.bankConflicts(), 0u);
  auto found = harness.read<float>(output, count);
  int wrong = 0;
  for (int64_t place = 0; place < places; ++place)
    for (int64_t column = 0; column < shape.n && wrong < 5; ++column) {
      SCOPED_TRACE(std::to_string(place) + ", " + std::to_string(column));
      int64_t row = shape.hasActiveInput ? place : place / shape.active;
      wrong += !matrices[expertOf[place]].isClose(
          &input[row * shape.k], column, shape.k,
          found[place * shape.n + column]);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, PanelExpertsTest,
    testing::Values(ExpertsCase{"q8_0", 50, 4, 2, 83, 168, false, "_small"},
                    ExpertsCase{"q4_k", 40, 3, 2, 64, 256, true, "_small"},
                    ExpertsCase{"q6_k", 170, 3, 1, 40, 256, false, "_large"},
                    ExpertsCase{"fp8_128", 150, 3, 2, 140, 128, true, "_large"},
                    ExpertsCase{"q4_0", 150, 3, 2, 140, 96, true, "_large"}),
    [](const testing::TestParamInfo<ExpertsCase> &info) {
      return std::string(info.param.format) + info.param.kernel;
    });

/// Tensor cores do nearly all of a prompt's operations: what codes become costs
/// a few for each number of a tile, which 128 rows share.
class PanelTileCostTest : public testing::TestWithParam<const char *> {};

TEST_P(PanelTileCostTest, IsTensorCores) {
  Shape shape{GetParam(), 128, 128, 2048};
  for (const char *arch : {"sm_80", "sm_90a"}) {
    Outcome outcome(shape);
    multiply(targetOf(arch), shape, "_large", outcome);
    const ptx::Counters &counters = outcome.report.counters;
    EXPECT_EQ(counters.total.flops, 2u * 128 * 128 * 2048);
    EXPECT_GE(counters.tensorShare(), 0.99);
    EXPECT_EQ(counters.total.bankConflicts(), 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, PanelTileCostTest,
                         testing::ValuesIn(formats));

/// Run by hand, as `--gtest_also_run_disabled_tests --gtest_filter=*Memory*`:
/// the traffic with DRAM of a product of 4,096 cubed by the model of caches,
/// for all blocks.
struct MemoryCase {
  const char *arch, *gpu, *tile, *format;
};

class DISABLED_PanelTileMemoryTest : public testing::TestWithParam<MemoryCase> {
};

TEST_P(DISABLED_PanelTileMemoryTest, IsLittleMoreThanTheMatrices) {
  auto [arch, id, tile, format] = GetParam();
  Shape shape{format, 4096, 4096, 4096};
  ptx::Checks none;
  none.races = none.async = none.uninitialised = false;
  Outcome outcome(shape);
  multiply(targetOf(arch), shape, tile, outcome, none, uint64_t(1) << 26);
  for (int64_t i = 0; i < 4096; i += 61)
    EXPECT_TRUE(outcome.isElementClose(shape, i, i * 7 % 4096));
  // Results are f32 here and written once, which is left out.
  double least = double(outcome.weights.packed.size()) + 2.0 * 4096 * 4096;
  outcome.kernel.target = arch;
  const ptx::Gpu &gpu = *ptx::findGpu(id);
  ptx::Prediction found = ptx::predict(
      gpu, outcome.kernel, outcome.report.counters, *outcome.report.trace);
  double bytes = double(found.traffic.dramBytes()) - 4.0 * 4096 * 4096;
  EXPECT_GE(bytes, 0.99 * least);
  EXPECT_LE(bytes, 1.15 * least);
  std::cout << gpu.name << ", code for " << arch << ", " << format << tile
            << ": " << bytes / least << " of the least bytes ("
            << found.traffic.tracedBlocks << " of " << found.traffic.blocks
            << " blocks), bound by " << found.bound.name << ", "
            << found.bound.seconds * 1e6 << " us predicted\n";
  for (const auto &note : found.notes)
    std::cout << "  " << note << "\n";
}

std::vector<MemoryCase> memoryCases() {
  std::vector<MemoryCase> all;
  for (const char *format :
       {"fp8_128", "q8_row", "q8_0", "q4_0", "q4_k", "q6_k"})
    for (MemoryCase one : {MemoryCase{"sm_80", "a100", "_large", format},
                           {"sm_90a", "h100", "_wide", format},
                           {"sm_100a", "b200", "_large", format}})
      all.push_back(one);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Gpus, DISABLED_PanelTileMemoryTest,
                         testing::ValuesIn(memoryCases()),
                         [](const auto &info) {
                           return std::string(info.param.gpu) + "_" +
                                  info.param.format;
                         });

} // namespace
