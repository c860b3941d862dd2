//===- GroupProductTest.cpp - Products with quantised weights -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights are packed by the runtime's own program; code that multiplies by them
// is compared with sums in double precision of what the blocks stand for.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/GroupProduct.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "test/CodeGen/GroupWeights.h"
#include "test/CodeGen/KernelTestSupport.h"
#include "test/CodeGen/ProductHarness.h"
#include "test/CodeGen/TileEmulation.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <random>
#include <thread>

using namespace mlir;
using namespace clade::cpu;
using namespace clade::cpu::test;
using namespace clade;

namespace {

struct Case {
  std::string name;
  TestCPU cpu;
  WeightForm form;
  bool isExact;
};

void PrintTo(const Case &c, std::ostream *stream) { *stream << c.name; }

/// Packs row `row` of f32 [tokens][groupRowBytes / 4].
using PackRowFunction = void(const float *values, void *packed, int64_t row);
using UnpackRowFunction = void(const void *weights, float *values, int64_t row);

/// A product of one shape, compiled.
class Product {
public:
  Product(const Case &c, TokenClass tokens, int64_t n, int64_t k)
      : n(n), k(k), context(makeContext()) {
    Location loc = UnknownLoc::get(context.get());
    FailureOr<Target> resolved =
        Target::resolve(loc, c.cpu.cpu, c.cpu.features);
    if (failed(resolved))
      return;
    target = *resolved;
    shape = {n,
             k,
             Float32Type::get(context.get()),
             /*rowTile=*/1,
             c.form,
             c.isExact};
    shape.rowTile = productRowTile(target, shape, tokens);
    OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
    addProductFunction(*module, "product", target, shape);
    addFunction(*module, "pack", 2, 1,
                [&](OpBuilder &builder, Location loc, ValueRange args) {
                  emitPackRow(builder, loc, target, shape, args[0], args[2],
                              args[1]);
                });
    addFunction(*module, "unpack", 2, 1,
                [&](OpBuilder &builder, Location loc, ValueRange args) {
                  emitUnpackGroups(
                      builder, loc, target, shape.form, k, args[0], args[2],
                      [&](OpBuilder &inner, Value column, Value vector) {
                        emitStore(inner, loc, vector, args[1], column);
                      });
                });
    loaded = loadKernels(*module, target, {"product", "pack", "unpack"});
    weights.emplace(c.form, n, k, target.panelRows, random);
    EXPECT_EQ(static_cast<int64_t>(weights->packed.size()),
              packedWeightBytes(target, shape));
  }

  /// y for `tokens` rows of `x`, with guard elements on both sides.
  std::vector<float> run(const std::vector<float> &x, int64_t tokens,
                         int threads) {
    int64_t tiles = llvm::divideCeil(tokens, shape.rowTile);
    Buffer packed(std::max<int64_t>(tiles, 1) *
                  packedActivationTileBytes(target, shape));
    Buffer row(groupRowBytes(shape));
    auto *pack = loaded->function<PackRowFunction>("pack");
    for (int64_t i = 0; i < tokens; ++i) {
      std::memset(row.as<void>(), 0xff, groupRowBytes(shape)); // NaN
      std::memcpy(row.as<void>(), x.data() + i * k, k * 4);
      pack(row.as<float>(), packed.as<void>(), i);
    }
    std::vector<float> y(tokens * n + 2 * guard, untouched);
    auto *function = loaded->function<ProductFunction>("product");
    std::vector<std::thread> workers;
    for (int thread = 0; thread < threads; ++thread)
      workers.emplace_back([&, thread] {
        function(packed.as<void>(), weights->packed.data(), y.data() + guard,
                 tokens, thread, threads);
      });
    for (std::thread &worker : workers)
      worker.join();
    return y;
  }

  std::vector<float> fill(int64_t count) {
    std::normal_distribution<float> normal;
    std::vector<float> values(count);
    for (float &value : values)
      value = normal(random);
    return values;
  }

  void check(const std::vector<float> &y, const std::vector<float> &x,
             int64_t tokens) {
    int wrong = 0;
    for (int64_t row = 0; row < tokens && wrong < 5; ++row)
      for (int64_t column = 0; column < n && wrong < 5; ++column) {
        auto [sum, bound] = expectedSum(*weights, x.data() + row * k, k, column,
                                        operandsOf(target, shape));
        double got = y[guard + row * n + column];
        bool right = std::abs(got - sum) <= bound;
        wrong += !right;
        EXPECT_TRUE(right) << n << " x " << k << ", tokens " << tokens
                           << " row " << row << " column " << column
                           << ": expected " << sum << ", got " << got
                           << ", bound " << bound;
      }
    for (int64_t i = 0; i < guard; ++i) {
      EXPECT_EQ(y[i], untouched);
      EXPECT_EQ(y[guard + tokens * n + i], untouched);
    }
  }

  static constexpr int64_t guard = 64;
  static constexpr float untouched = -12345;

  int64_t n, k;
  std::mt19937 random{7};
  std::unique_ptr<MLIRContext> context;
  Target target;
  ProductShape shape;
  std::unique_ptr<LoadedCode> loaded;
  std::optional<GroupWeights> weights;
};

class GroupProductTest : public testing::TestWithParam<Case> {};

constexpr TokenClass classes[] = {TokenClass::One, TokenClass::Few,
                                  TokenClass::Many};

TEST_P(GroupProductTest, AgreesWithPlainLoop) {
  std::mt19937 random(3);
  auto below = [&](int64_t limit) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(limit));
  };
  for (TokenClass tokenClass : classes)
    for (int shape = 0; shape < 5; ++shape) {
      // Tails of panels, of units of 16 rows and of groups, and none.
      // Of long blocks also the rest of one behind a whole one.
      bool isLong = packedLayoutOf(GetParam().form).groups > 1;
      int64_t n = shape == 0 ? 64 : 1 + below(80);
      int64_t k =
          shape == 0 ? (isLong ? 512 : 128) : 1 + below(isLong ? 600 : 200);
      Product product(GetParam(), tokenClass, n, k);
      ASSERT_TRUE(product.loaded);
      for (int64_t tokens :
           {int64_t(1), 2 + below(6), 9 + below(20), 33 + below(60)}) {
        std::vector<float> x = product.fill(tokens * k);
        product.check(product.run(x, tokens, 1), x, tokens);
      }
    }
}

TEST_P(GroupProductTest, SameBitsForEveryClassAndNumberOfThreads) {
  Product one(GetParam(), TokenClass::One, 70, 133);
  ASSERT_TRUE(one.loaded);
  std::vector<float> x = one.fill(13 * 133);
  std::vector<float> expected = one.run(x, 13, 1);
  for (TokenClass tokenClass : classes) {
    Product product(GetParam(), tokenClass, 70, 133);
    ASSERT_TRUE(product.loaded);
    // Of operands that are rounded otherwise sums are others, for all threads.
    if (operandsOf(product.target, product.shape) !=
        operandsOf(one.target, one.shape))
      expected = product.run(x, 13, 1);
    for (int threads : {1, 2, 5})
      EXPECT_EQ(expected, product.run(x, 13, threads)) << threads;
  }
}

TEST_P(GroupProductTest, RowsComeBackFromPanels) {
  Product product(GetParam(), TokenClass::One, 70, 77);
  ASSERT_TRUE(product.loaded);
  auto *unpack = product.loaded->function<UnpackRowFunction>("unpack");
  for (int64_t row : {0, 15, 16, 31, 32, 69}) {
    std::vector<float> values(llvm::alignTo(77, groupColumns));
    unpack(product.weights->packed.data(), values.data(), row);
    const float *from =
        product.weights->numbers.data() + row * product.weights->columns;
    EXPECT_EQ(values, std::vector<float>(from, from + values.size())) << row;
  }
}

TEST_P(GroupProductTest, ZerosTinyAndHugeActivations) {
  Product product(GetParam(), TokenClass::One, 16, 96);
  ASSERT_TRUE(product.loaded);
  std::vector<float> x = product.fill(96);
  for (int64_t i = 0; i < 32; ++i) {
    x[i] = 0;
    x[32 + i] *= 1e-38f;
    x[64 + i] *= 1e30f;
  }
  product.check(product.run(x, 1, 1), x, 1);
  std::fill(x.begin(), x.end(), 0.0f);
  for (float y : product.run(x, 1, 1))
    EXPECT_TRUE(y == 0 || y == Product::untouched);
}

TEST_P(GroupProductTest, WhatIsNoNumberStaysNone) {
  Product product(GetParam(), TokenClass::Many, 16, 64);
  ASSERT_TRUE(product.loaded);
  std::vector<float> x = product.fill(2 * 64);
  x[64 + 5] = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> y = product.run(x, 2, 1);
  for (int64_t column = 0; column < 16; ++column) {
    EXPECT_TRUE(std::isfinite(y[Product::guard + column]));
    EXPECT_TRUE(std::isnan(y[Product::guard + 16 + column]));
  }
}

std::vector<Case> cases() {
  constexpr std::pair<const char *, WeightForm> forms[] = {
      {"Int8", WeightForm::Int8},      {"Int4", WeightForm::Int4},
      {"Int5", WeightForm::Int5},      {"Int4K", WeightForm::Int4K},
      {"Int5K", WeightForm::Int5K},    {"Int6K", WeightForm::Int6K},
      {"Int8Row", WeightForm::Int8Row}};
  std::vector<Case> result;
  for (const TestCPU &cpu : productCPUs())
    for (auto [formName, form] : forms)
      for (bool isExact : {false, true})
        result.push_back(
            {std::string(cpu.name) + formName + (isExact ? "Exact" : ""), cpu,
             form, isExact});
  return result;
}

INSTANTIATE_TEST_SUITE_P(All, GroupProductTest, testing::ValuesIn(cases()),
                         [](const auto &info) { return info.param.name; });

} // namespace
