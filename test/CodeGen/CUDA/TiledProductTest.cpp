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

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/Compile.h"
#include "lib/PTX/Roofline.h"
#include "test/PTX/KernelHarness.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <bit>
#include <cmath>
#include <iostream>

using namespace mlir;
using namespace clade;
using namespace clade::cuda;

namespace {

Target targetOf(StringRef arch) {
  MLIRContext context;
  return *Target::resolve(UnknownLoc::get(&context), arch);
}

/// The PTX of a kernel `product` for weights [n, k]: its arguments are the
/// activations, the weights, the results (bf16 each) and the number of rows.
std::string productText(const Target &target, const Tiling &tiling, int64_t n,
                        int64_t k) {
  DialectRegistry registry;
  registerCompileDialects(registry);
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  Location loc = UnknownLoc::get(&context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  auto code = gpu::GPUModuleOp::create(builder, loc, "kernels");
  builder.setInsertionPointToEnd(code.getBody());
  SmallVector<Type> types(3, LLVM::LLVMPointerType::get(&context));
  types.push_back(builder.getIndexType());
  auto function = gpu::GPUFuncOp::create(builder, loc, "product",
                                         builder.getFunctionType(types, {}));
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(),
                    builder.getUnitAttr());
  function.setKnownBlockSizeAttr(builder.getDenseI32ArrayAttr(
      {static_cast<int32_t>(tiling.threads()), 1, 1}));
  Block &entry = function.getBody().front();
  builder.setInsertionPointToStart(&entry);
  Type bf16 = builder.getBF16Type();
  Product product{n,
                  k,
                  bf16,
                  bf16,
                  entry.getArgument(0),
                  entry.getArgument(1),
                  entry.getArgument(3)};
  EXPECT_TRUE(canTile(bf16, bf16, k));
  {
    OpBuilder::InsertionGuard guard(builder);
    emitTiledProduct(
        builder, loc, target, tiling, product,
        [&](Value row, Value column, Value sum) {
          Value first =
              cpu::emitMul(builder, loc, row, cpu::emitIndex(builder, loc, n));
          emitStoreFloat(builder, loc, sum, bf16, entry.getArgument(2),
                         cpu::emitAdd(builder, loc, first, column));
        });
  }
  gpu::ReturnOp::create(builder, loc);
  FailureOr<std::string> text = compileToPTX(code, target);
  EXPECT_TRUE(succeeded(text));
  return succeeded(text) ? *text : "";
}

/// Numbers in [-1, 1] with few bits, so that their products and sums are exact.
uint16_t bfloatAt(uint64_t i) {
  auto hash = static_cast<uint32_t>(i * 2654435761u);
  float value = static_cast<float>(static_cast<int>(hash >> 25) - 64) / 64;
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
}

float floatOf(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

struct Shape {
  int64_t rows, n, k;
};

struct Outcome {
  std::vector<uint16_t> input, weight, output;
  ptx::LaunchReport report;
};

/// Runs a product.
Outcome multiply(const Target &target, const Tiling &tiling, Shape shape,
                 const ptx::Checks &checks = {}, uint64_t traceCapacity = 0) {
  ptx::test::Harness harness(productText(target, tiling, shape.n, shape.k));
  Outcome outcome;
  for (int64_t i = 0; i < shape.rows * shape.k; ++i)
    outcome.input.push_back(bfloatAt(static_cast<uint64_t>(i)));
  for (int64_t i = 0; i < shape.n * shape.k; ++i)
    outcome.weight.push_back(bfloatAt(static_cast<uint64_t>(i) + 12345));
  auto count = static_cast<size_t>(shape.rows * shape.n);
  uint64_t output = harness.buffer(count * 2);
  Grid grid = tiledGrid(tiling, shape.n);
  ptx::LaunchOptions options;
  options.grid = {
      static_cast<uint32_t>(grid.columns),
      static_cast<uint32_t>(llvm::divideCeil(shape.rows, grid.rowsPerBlock)),
      1};
  options.block = {static_cast<uint32_t>(grid.threads), 1, 1};
  options.dynamicShared = static_cast<uint32_t>(tiling.sharedBytes());
  options.checks = checks;
  options.traceCapacity = traceCapacity;
  outcome.report =
      harness.launch("product", options, harness.buffer(outcome.input),
                     harness.buffer(outcome.weight), output,
                     static_cast<uint64_t>(shape.rows));
  outcome.output = harness.read<uint16_t>(output, count);
  return outcome;
}

/// Sums of exact products are exact; only the last rounding is left.
void expectElement(const Outcome &outcome, Shape shape, int64_t row,
                   int64_t column) {
  double exact = 0;
  for (int64_t i = 0; i < shape.k; ++i)
    exact +=
        double(floatOf(outcome.input[static_cast<size_t>(row * shape.k + i)])) *
        floatOf(outcome.weight[static_cast<size_t>(column * shape.k + i)]);
  float found =
      floatOf(outcome.output[static_cast<size_t>(row * shape.n + column)]);
  ASSERT_LE(std::fabs(found - exact), std::fabs(exact) * 0x1p-8)
      << row << ", " << column;
}

class TiledProductTest : public testing::TestWithParam<Shape> {};

TEST_P(TiledProductTest, IsExact) {
  Shape shape = GetParam();
  Target target = targetOf("sm_80");
  for (const Tiling &tiling : {smallTiling(target), largeTiling(target)}) {
    Outcome outcome = multiply(target, tiling, shape);
    EXPECT_TRUE(outcome.report.clean());
    for (int64_t row = 0; row < shape.rows; ++row)
      for (int64_t column = 0; column < shape.n; ++column)
        expectElement(outcome, shape, row, column);
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

TEST(TiledProductCostTest, TensorCoresMultiplyWithoutConflictsOfBanks) {
  constexpr Shape shape{256, 256, 1024};
  Target target = targetOf("sm_80");
  for (const Tiling &tiling : {smallTiling(target), largeTiling(target)}) {
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
TEST(TiledProductCostTest, DISABLED_Memory) {
  constexpr Shape shape{4096, 4096, 4096};
  ptx::Checks none;
  none.races = none.async = none.uninitialised = false;
  for (auto [arch, id] :
       {std::pair("sm_80", "a100"), {"sm_90", "h100"}, {"sm_80", "b200"}}) {
    Target target = targetOf(arch);
    Tiling tiling = largeTiling(target);
    Outcome outcome = multiply(target, tiling, shape, none, uint64_t(1) << 26);
    for (int64_t i = 0; i < 4096; i += 61)
      expectElement(outcome, shape, i, i * 7 % 4096);
    double least = 3.0 * 4096 * 4096 * 2;
    ptx::LaunchedKernel kernel;
    kernel.target = arch;
    kernel.blocks = 32 * 32;
    kernel.block = {static_cast<unsigned>(tiling.threads()), 255,
                    static_cast<unsigned>(tiling.sharedBytes())};
    const ptx::Gpu &gpu = *ptx::findGpu(id);
    ptx::Prediction found = ptx::predict(gpu, kernel, outcome.report.counters,
                                         *outcome.report.trace);
    std::cout << gpu.name << ", code for " << arch << ": "
              << found.traffic.dramBytes() / least << " of the least bytes ("
              << found.traffic.tracedBlocks << " of " << found.traffic.blocks
              << " blocks), " << found.occupancy.blocks
              << " blocks a multiprocessor, bound by " << found.bound.name
              << ", " << found.bound.seconds * 1e6 << " us predicted\n";
    for (const auto &note : found.notes)
      std::cout << "  " << note << "\n";
  }
}

} // namespace
