//===- ProductTest.cpp - Matrix products against a plain loop -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every class of product, element type and instruction set that this machine
// runs, executed and compared with sums in double precision.
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/GuardedBuffer.h"
#include "test/CodeGen/KernelTestSupport.h"
#include "test/CodeGen/ProductHarness.h"
#include "test/CodeGen/TileEmulation.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Verifier.h"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <thread>

using namespace mlir;
using namespace clade::cpu;
using namespace clade::cpu::test;

namespace {

struct Case {
  std::string name;
  TestCPU cpu;
  TokenClass tokens;
  bool bf16;
};

void PrintTo(const Case &c, std::ostream *stream) { *stream << c.name; }

/// A product of one shape, compiled, with operands for up to `maxTokens` rows.
struct Product {
  /// `parts`: the rows of each part of weights that lie row by row, but for
  /// those of the last one; in panels where it is not there.
  Product(const Case &c, int64_t n, int64_t k, int64_t maxTokens,
          std::optional<std::vector<int64_t>> parts = std::nullopt)
      : n(n), k(k), bf16(c.bf16), context(makeContext()) {
    Location loc = UnknownLoc::get(context.get());
    FailureOr<Target> resolved =
        Target::resolve(loc, c.cpu.cpu, c.cpu.features);
    if (failed(resolved))
      return;
    target = *resolved;
    Type element = bf16 ? Type(BFloat16Type::get(context.get()))
                        : Type(Float32Type::get(context.get()));
    OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
    ProductShape shape{n, k, element, /*rowTile=*/1};
    rowTile = shape.rowTile = productRowTile(target, shape, c.tokens);
    if (parts) {
      shape.partRows.assign(parts->begin(), parts->end());
      shape.partRows.push_back(
          n - std::accumulate(parts->begin(), parts->end(), int64_t(0)));
    }
    addProductFunction(*module, "product", target, shape);
    loaded = loadKernels(*module, target, {"product"});
    a = fill(maxTokens * k);
    w = fill(n * k);
    if (parts)
      layRows(shape.partRows);
    else
      weights.emplace(packMatrix(w, n, k, target.panelRows, bf16));
  }

  /// The weights row by row, with a NaN between parts.
  void layRows(llvm::ArrayRef<int64_t> partRows) {
    size_t elements = n * k + partRows.size() - 1;
    rows.emplace(elements * (bf16 ? 2 : 4));
    size_t from = 0, to = 0;
    for (int64_t count : partRows) {
      for (int64_t i = 0; i < count * k; ++i, ++from, ++to)
        if (bf16)
          rows->as<uint16_t>()[to] = roundToBF16(w[from]);
        else
          rows->as<float>()[to] = w[from];
      ++to;
    }
  }

  /// Random values in [-1, 1), representable in the element type.
  std::vector<float> fill(int64_t count) {
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::vector<float> values(count);
    for (float &value : values) {
      value = uniform(random);
      if (bf16)
        value = widenBF16(roundToBF16(value));
    }
    return values;
  }

  /// y for `tokens` rows, with guard elements on both sides.
  std::vector<float> run(int64_t tokens, int threads) {
    Buffer activations = packActivations(target, a, tokens, k, rowTile, bf16);
    std::vector<float> y(tokens * n + 2 * kGuard, kUntouched);
    auto *function = loaded->function<ProductFunction>("product");
    std::vector<std::thread> workers;
    for (int thread = 0; thread < threads; ++thread)
      workers.emplace_back([&, thread] {
        function(activations.as<void>(),
                 rows ? rows->as<void>() : weights->as<void>(),
                 y.data() + kGuard, tokens, thread, threads);
        EXPECT_TRUE(tiles::areReleased());
      });
    for (std::thread &worker : workers)
      worker.join();
    return y;
  }

  void check(const std::vector<float> &y, int64_t tokens) {
    // A sum of k products in f32 with at most two roundings a product is off by
    // less than k * eps * sum |a * w|, eps = 2^-23 being twice the unit.
    double eps = std::numeric_limits<float>::epsilon();
    int wrong = 0;
    for (int64_t row = 0; row < tokens && wrong < 10; ++row)
      for (int64_t column = 0; column < n && wrong < 10; ++column) {
        double sum = 0, magnitude = 0;
        for (int64_t i = 0; i < k; ++i) {
          double product = double(a[row * k + i]) * w[column * k + i];
          sum += product;
          magnitude += std::abs(product);
        }
        double got = y[kGuard + row * n + column], bound = k * eps * magnitude;
        bool right = std::abs(got - sum) <= bound;
        wrong += !right;
        EXPECT_TRUE(right) << "tokens " << tokens << " row " << row
                           << " column " << column << ": expected " << sum
                           << ", got " << got << ", bound " << bound;
      }
    for (int64_t i = 0; i < kGuard; ++i) {
      EXPECT_EQ(y[i], kUntouched);
      EXPECT_EQ(y[kGuard + tokens * n + i], kUntouched);
    }
  }

  static constexpr int64_t kGuard = 64;
  static constexpr float kUntouched = -12345;

  int64_t n, k, rowTile = 1;
  bool bf16;
  std::mt19937 random{7};
  std::unique_ptr<MLIRContext> context;
  Target target;
  std::unique_ptr<LoadedCode> loaded;
  std::vector<float> a, w;
  std::optional<Buffer> weights;     ///< In panels, or
  std::optional<GuardedBuffer> rows; ///< row by row.
};

class ProductTest : public testing::TestWithParam<Case> {};

constexpr std::pair<int64_t, int64_t> kShapes[] = {
    {1, 1}, {5, 3}, {16, 64}, {32, 65}, {33, 128}, {77, 31}, {96, 257}};

TEST_P(ProductTest, AgreesWithPlainLoop) {
  for (auto [n, k] : kShapes) {
    Product product(GetParam(), n, k, 64);
    ASSERT_TRUE(product.loaded);
    for (int64_t tokens : {1, 2, 3, 5, 7, 8, 11, 12, 13, 20, 64})
      product.check(product.run(tokens, 1), tokens);
  }
}

TEST_P(ProductTest, ManyTokensAndRowBlocks) {
  Product product(GetParam(), 45, 1023, 510);
  ASSERT_TRUE(product.loaded);
  product.check(product.run(510, 1), 510);
}

TEST_P(ProductTest, NoTokensWriteNothing) {
  Product product(GetParam(), 45, 16, 1);
  ASSERT_TRUE(product.loaded);
  product.check(product.run(0, 2), 0);
}

TEST_P(ProductTest, SameBitsForEveryNumberOfThreads) {
  Product product(GetParam(), 173, 511, 64);
  ASSERT_TRUE(product.loaded);
  for (int64_t tokens : {1, 7, 13, 64}) {
    std::vector<float> one = product.run(tokens, 1);
    for (int threads : {2, 3, 7, 64})
      EXPECT_EQ(one, product.run(tokens, threads))
          << tokens << " tokens, " << threads << " threads";
  }
}

TEST_P(ProductTest, SameBitsForEveryClass) {
  Case other = GetParam();
  other.tokens = TokenClass::One;
  Product one(other, 50, 333, 13), product(GetParam(), 50, 333, 13);
  ASSERT_TRUE(one.loaded && product.loaded);
  EXPECT_EQ(one.run(13, 1), product.run(13, 1));
}

/// Weights that lie row by row, whole and in parts, are the same matrix.
TEST_P(ProductTest, SameBitsForRowsAndPanels) {
  // Rows that are not whole panels, and ends of rows: less than a square of
  // groups, one whole but for an element, and several with a rest.
  constexpr std::pair<int64_t, int64_t> shapes[] = {
      {1, 1}, {77, 31}, {96, 257}};
  for (auto [n, k] : shapes) {
    Product panels(GetParam(), n, k, 64);
    ASSERT_TRUE(panels.loaded);
    int64_t rows = panels.target.panelRows;
    std::vector<std::vector<int64_t>> cuts{{}};
    if (n > rows)
      cuts.push_back({rows});
    if (n > 2 * rows)
      cuts.push_back({rows, rows});
    for (const std::vector<int64_t> &cut : cuts) {
      Product product(GetParam(), n, k, 64, cut);
      ASSERT_TRUE(product.loaded);
      for (int64_t tokens : {0, 1, 7, 13, 64})
        for (int threads : {1, 3})
          EXPECT_EQ(panels.run(tokens, threads), product.run(tokens, threads))
              << n << " x " << k << " in " << cut.size() + 1 << " parts, "
              << tokens << " tokens, " << threads << " threads";
    }
  }
}

TEST_P(ProductTest, RowsInManyRowBlocks) {
  Product panels(GetParam(), 45, 1023, 510),
      product(GetParam(), 45, 1023, 510, std::vector<int64_t>{32});
  ASSERT_TRUE(panels.loaded && product.loaded);
  EXPECT_EQ(panels.run(510, 2), product.run(510, 2));
}

/// By tiles: one configuration around all, and in the loops over K no more
/// loads of a tile than multiplications, of one row three for two.
void checkTiles(ModuleOp module, const Target &target,
                const ProductShape &shape) {
  auto count = [](Block *block, StringRef name) {
    return llvm::count_if(
        block->getOps<LLVM::CallIntrinsicOp>(),
        [&](LLVM::CallIntrinsicOp op) { return op.getIntrin() == name; });
  };
  int64_t columns = target.panelRows / Target::tileRows;
  SmallVector<int64_t> sums;
  module.walk([&](scf::ForOp loop) {
    int64_t dots = count(loop.getBody(), "llvm.x86.tdpbf16ps");
    EXPECT_EQ(count(loop.getBody(), "llvm.x86.ldtilecfg"), 0);
    // A loop over tiles has the columns behind its loops over K.
    if (dots == 0 || count(loop.getBody(), "llvm.x86.tilezero") > 0)
      return;
    sums.push_back(dots);
    EXPECT_EQ(count(loop.getBody(), "llvm.x86.tileloadd64") +
                  count(loop.getBody(), "llvm.x86.tileloaddt164"),
              columns + dots / columns);
  });
  if (shape.rowTile > Target::tileRows)
    EXPECT_EQ(sums, (SmallVector<int64_t>{2 * columns, columns}));
  else
    EXPECT_EQ(sums, SmallVector<int64_t>{columns});
  auto function = *module.getOps<func::FuncOp>().begin();
  Block *entry = &function.getBody().front();
  EXPECT_EQ(count(entry, "llvm.x86.ldtilecfg"), 1);
  EXPECT_EQ(count(entry, "llvm.x86.tilerelease"), 1);
}

/// One loop over K a column tile, all sums of a register tile carried through
/// it, and one multiply-add for each sum and step.
TEST_P(ProductTest, Skeleton) {
  const Case &c = GetParam();
  std::unique_ptr<MLIRContext> context = makeContext();
  Location loc = UnknownLoc::get(context.get());
  FailureOr<Target> target = Target::resolve(loc, c.cpu.cpu, c.cpu.features);
  ASSERT_TRUE(succeeded(target));
  Type element = c.bf16 ? Type(BFloat16Type::get(context.get()))
                        : Type(Float32Type::get(context.get()));
  ProductShape shape{100, 50, element, /*rowTile=*/1};
  int64_t rowTile = shape.rowTile = productRowTile(*target, shape, c.tokens);
  int64_t rows = target->registerRows(element, rowTile);
  int64_t columns = target->columnTile(rows);
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  addProductFunction(*module, "product", *target, shape);
  ASSERT_TRUE(succeeded(verify(*module)));
  if (usesTiles(*target, shape))
    return checkTiles(*module, *target, shape);

  // A register tile of more than eight rows is also there with a third of them.
  int64_t tileSums = rows * columns / target->width;
  std::map<int64_t, int64_t> loops, expected;
  expected[tileSums] = target->panelRows / columns;
  if (rows > 8)
    expected[tileSums / 3] = target->panelRows / columns;
  module->walk([&](scf::ForOp loop) {
    if (loop.getNumResults() == 0)
      return;
    ++loops[loop.getNumResults()];
    int64_t fused = 0, dots = 0, sums = 0;
    loop.walk([&](Operation *op) {
      fused += isa<math::FmaOp>(op);
      dots += isa<LLVM::CallIntrinsicOp>(op);
      sums += isa<arith::AddFOp>(op);
    });
    bool isDot = c.bf16 && target->hasBF16;
    int64_t steps = loop.getNumResults() * (c.bf16 && !isDot ? 2 : 1);
    EXPECT_EQ(dots, isDot ? steps : 0);
    EXPECT_EQ(fused, !isDot && target->hasFMA ? steps : 0);
    EXPECT_EQ(sums, !isDot && !target->hasFMA ? steps : 0);
  });
  EXPECT_EQ(loops, expected);
}

std::vector<Case> cases() {
  std::vector<Case> result;
  const char *classes[] = {"One", "Few", "Many"};
  for (const TestCPU &cpu : productCPUs())
    for (TokenClass tokens :
         {TokenClass::One, TokenClass::Few, TokenClass::Many})
      for (bool bf16 : {false, true})
        result.push_back({std::string(cpu.name) + classes[int(tokens)] +
                              (bf16 ? "BF16" : "F32"),
                          cpu, tokens, bf16});
  return result;
}

INSTANTIATE_TEST_SUITE_P(All, ProductTest, testing::ValuesIn(cases()),
                         [](const auto &info) { return info.param.name; });

} // namespace
