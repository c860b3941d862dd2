//===- GroupSweep.cpp - Random products with quantised weights ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Activations are packed by the code under test, too.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "test/CodeGen/GroupWeights.h"
#include "test/CodeGen/ProductHarness.h"
#include "test/CodeGen/Sweep/Sweep.h"
#include "test/CodeGen/TileEmulation.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace clade::cpu;
using namespace clade::cpu::test;

namespace {

/// Packs row `row`, whose values are at the first argument.
using PackRowFunction = void(float *values, void *packed, int64_t row);

constexpr std::pair<const char *, WeightForm> forms[] = {
    {"q8_0", WeightForm::Int8},     {"q4_0", WeightForm::Int4},
    {"q5_0", WeightForm::Int5},     {"q4_k", WeightForm::Int4K},
    {"q5_k", WeightForm::Int5K},    {"q6_k", WeightForm::Int6K},
    {"q8_row", WeightForm::Int8Row}};

struct Case {
  const char *form;
  ProductShape shape;
  int64_t tokens;
  int threads;
};

constexpr int casesOfModule = 8;

Case draw(Sweep &sweep, const Target &target, MLIRContext *context) {
  Case c;
  auto [name, form] = forms[sweep.below(std::size(forms))];
  auto tokens = static_cast<TokenClass>(sweep.below(3));
  bool isLong = packedLayoutOf(form).groups > 1;
  c.form = name;
  c.shape.n = sweep.size(100);
  c.shape.k = sweep.size(isLong ? 700 : 250);
  c.shape.elementType = Float32Type::get(context);
  c.shape.form = form;
  c.shape.isExact = sweep.chance(40);
  c.shape.rowTile = productRowTile(target, c.shape, tokens);
  c.tokens =
      tokens == TokenClass::One && sweep.chance(60) ? 1 : sweep.between(0, 70);
  c.threads = static_cast<int>(sweep.between(1, 4));
  return c;
}

void addFunctions(ModuleOp module, const Case &c, const Target &target, int i) {
  std::string number = std::to_string(i);
  addProductFunction(module, "product" + number, target, c.shape);
  addFunction(module, "pack" + number, 2, 1,
              [&](OpBuilder &builder, Location loc, ValueRange args) {
                emitPackRow(builder, loc, target, c.shape, args[0], args[2],
                            args[1]);
              });
}

std::string compare(const Case &c, const Target &target,
                    const GroupWeights &weights, const std::vector<float> &x,
                    const float *y) {
  int64_t n = c.shape.n, k = c.shape.k;
  for (int64_t row = 0; row < c.tokens; ++row)
    for (int64_t column = 0; column < n; ++column) {
      auto [sum, bound] = expectedSum(weights, x.data() + row * k, k, column,
                                      operandsOf(target, c.shape));
      double got = y[row * n + column];
      if (!(std::abs(got - sum) <= bound))
        return llvm::formatv("row {0} column {1}: expected {2}, got {3}, "
                             "bound {4}",
                             row, column, sum, got, bound);
    }
  return "";
}

std::string run(Sweep &sweep, const Case &c, const Target &target,
                PackRowFunction *pack, ProductFunction *function) {
  sweep.drawWall();
  int64_t n = c.shape.n, k = c.shape.k;
  std::mt19937 random(static_cast<unsigned>(sweep.engine()()));
  GroupWeights made(c.shape.form, n, k, target.panelRows, random);
  std::vector<float> x(c.tokens * k);
  std::normal_distribution<float> normal;
  for (float &value : x)
    value = normal(random);
  GuardedBuffer weights(made.packed);
  GuardedBuffer packed(llvm::divideCeil(c.tokens, c.shape.rowTile) *
                       packedActivationTileBytes(target, c.shape));
  for (int64_t row = 0; row < c.tokens; ++row) {
    GuardedBuffer values(groupRowBytes(c.shape));
    std::memcpy(values.as<void>(), x.data() + row * k, k * sizeof(float));
    pack(values.as<float>(), packed.as<void>(), row);
  }
  GuardedBuffer y(c.tokens * n * sizeof(float));
  onThreads(c.threads, [&](int thread) {
    function(packed.as<void>(), weights.as<void>(), y.as<float>(), c.tokens,
             thread, c.threads);
  });
  return compare(c, target, made, x, y.as<float>());
}

std::string textOf(const Case &c, const TestCPU &cpu) {
  return llvm::formatv("{0} {1}, {2} x {3}, tile of {4}, {5} tokens, {6} "
                       "threads: ",
                       cpu.name, c.shape.isExact ? "exact" : "quantised",
                       c.shape.n, c.shape.k, c.shape.rowTile, c.tokens,
                       c.threads);
}

} // namespace

void clade::cpu::test::sweepGroupProducts(Sweep &sweep, int64_t cases) {
  for (int64_t done = 0; done < cases; done += casesOfModule) {
    const TestCPU &cpu = sweep.cpu();
    std::unique_ptr<MLIRContext> context = makeContext();
    Location loc = UnknownLoc::get(context.get());
    FailureOr<Target> target = Target::resolve(loc, cpu.cpu, cpu.features);
    OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
    std::vector<Case> drawn;
    std::vector<std::string> names;
    for (int i = 0; i < casesOfModule; ++i) {
      drawn.push_back(draw(sweep, *target, context.get()));
      addFunctions(*module, drawn.back(), *target, i);
      names.push_back("product" + std::to_string(i));
      names.push_back("pack" + std::to_string(i));
    }
    auto loaded = loadKernels(*module, *target, names);
    for (int i = 0; i < casesOfModule; ++i) {
      sweep.begin(drawn[i].form + (" " + textOf(drawn[i], cpu)));
      std::string difference =
          loaded
              ? run(sweep, drawn[i], *target,
                    loaded->function<PackRowFunction>(names[2 * i + 1].c_str()),
                    loaded->function<ProductFunction>(names[2 * i].c_str()))
              : "does not compile";
      if (!difference.empty())
        difference = textOf(drawn[i], cpu) + difference;
      sweep.count(std::string("products with ") + drawn[i].form, difference);
    }
  }
}
