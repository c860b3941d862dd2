//===- ProductSweep.cpp - Random products ---------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each case is a product of its own shape; some share a module, so that less
// time is spent on linking.
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/ProductHarness.h"
#include "test/CodeGen/Sweep/Sweep.h"
#include "test/CodeGen/TileEmulation.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace clade::cpu;
using namespace clade::cpu::test;

namespace {

/// What is drawn of a product.
struct Case {
  bool bf16;
  ProductShape shape;
  int64_t tokens;
  int threads;
};

constexpr int casesOfModule = 12;

Case draw(Sweep &sweep, const Target &target, MLIRContext *context) {
  Case c;
  c.bf16 = sweep.chance(50);
  auto tokens = static_cast<TokenClass>(sweep.below(3));
  c.shape.n = sweep.size(130);
  c.shape.k = sweep.chance(10) ? sweep.size(1100) : sweep.size(200);
  c.shape.elementType = c.bf16 ? Type(BFloat16Type::get(context))
                               : Type(Float32Type::get(context));
  c.shape.rowTile = productRowTile(target, c.shape, tokens);
  // Every class computes any number of tokens.
  c.tokens = sweep.chance(60) ? tokens == TokenClass::One ? 1
                                : tokens == TokenClass::Few
                                    ? sweep.between(2, 8)
                                    : sweep.between(9, 50)
                              : sweep.between(0, 30);
  c.threads = static_cast<int>(sweep.between(1, 4));
  if (sweep.chance(40)) {
    int64_t first = 0, panel = target.panelRows;
    while (c.shape.n - first > panel && sweep.chance(50)) {
      int64_t most = (c.shape.n - first - 1) / panel;
      c.shape.partRows.push_back(panel * sweep.between(1, most));
      first += c.shape.partRows.back();
    }
    c.shape.partRows.push_back(c.shape.n - first);
  }
  return c;
}

/// Random numbers in [-1, 1), representable in the case's element type.
std::vector<float> fill(Sweep &sweep, int64_t count, bool bf16) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(count);
  for (float &value : values) {
    value = uniform(sweep.engine());
    if (bf16)
      value = widenBF16(roundToBF16(value));
  }
  return values;
}

/// The bytes of a buffer between walls.
GuardedBuffer guard(const Buffer &buffer) {
  const char *bytes = buffer.as<char>();
  return GuardedBuffer(std::vector<char>(bytes, bytes + buffer.size()));
}

/// Weights row by row, with a NaN between parts.
GuardedBuffer layRows(const std::vector<float> &w, const Case &c) {
  std::vector<uint16_t> narrow;
  std::vector<float> wide;
  const float *from = w.data();
  for (auto [part, rows] : llvm::enumerate(c.shape.partRows)) {
    if (part > 0)
      wide.push_back(std::numeric_limits<float>::quiet_NaN());
    wide.insert(wide.end(), from, from + rows * c.shape.k);
    from += rows * c.shape.k;
  }
  if (!c.bf16)
    return GuardedBuffer(wide);
  for (float value : wide)
    narrow.push_back(std::isnan(value) ? 0x7fc0 : roundToBF16(value));
  return GuardedBuffer(narrow);
}

/// A sum of k products in f32 with at most two roundings a product is off by
/// less than k * eps * sum |a * w|, eps = 2^-23 being twice the unit.
std::string compare(const Case &c, const std::vector<float> &a,
                    const std::vector<float> &w, const float *y) {
  double eps = std::numeric_limits<float>::epsilon();
  int64_t n = c.shape.n, k = c.shape.k;
  for (int64_t row = 0; row < c.tokens; ++row)
    for (int64_t column = 0; column < n; ++column) {
      double sum = 0, magnitude = 0;
      for (int64_t i = 0; i < k; ++i) {
        double product = double(a[row * k + i]) * w[column * k + i];
        sum += product;
        magnitude += std::abs(product);
      }
      double got = y[row * n + column], bound = double(k) * eps * magnitude;
      // Written so that a NaN fails.
      if (!(std::abs(got - sum) <= bound))
        return llvm::formatv("row {0} column {1}: expected {2}, got {3}, "
                             "bound {4}",
                             row, column, sum, got, bound);
    }
  return "";
}

std::string run(Sweep &sweep, const Case &c, const Target &target,
                ProductFunction *function) {
  sweep.drawWall();
  int64_t n = c.shape.n, k = c.shape.k;
  std::vector<float> a = fill(sweep, c.tokens * k, c.bf16),
                     w = fill(sweep, n * k, c.bf16);
  GuardedBuffer packed =
      guard(packActivations(target, a, c.tokens, k, c.shape.rowTile, c.bf16));
  GuardedBuffer weights =
      c.shape.partRows.empty()
          ? guard(packMatrix(w, n, k, target.panelRows, c.bf16))
          : layRows(w, c);
  GuardedBuffer y(c.tokens * n * sizeof(float));
  onThreads(c.threads, [&](int thread) {
    function(packed.as<void>(), weights.as<void>(), y.as<float>(), c.tokens,
             thread, c.threads);
  });
  return compare(c, a, w, y.as<float>());
}

std::string textOf(const Case &c, const TestCPU &cpu) {
  return llvm::formatv(
      "{0} {1}, {2} x {3}, tile of {4}, {5} parts, {6} tokens, "
      "{7} threads: ",
      cpu.name, c.bf16 ? "bf16" : "f32", c.shape.n, c.shape.k, c.shape.rowTile,
      c.shape.partRows.size(), c.tokens, c.threads);
}

} // namespace

void clade::cpu::test::sweepProducts(Sweep &sweep, int64_t cases) {
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
      names.push_back("product" + std::to_string(i));
      addProductFunction(*module, names.back(), *target, drawn.back().shape);
    }
    auto loaded = loadKernels(*module, *target, names);
    for (int i = 0; i < casesOfModule; ++i) {
      std::string kind = drawn[i].shape.partRows.empty() ? "products of panels"
                                                         : "products of rows";
      sweep.begin(textOf(drawn[i], cpu));
      std::string difference =
          loaded ? run(sweep, drawn[i], *target,
                       loaded->function<ProductFunction>(names[i].c_str()))
                 : "does not compile";
      if (!difference.empty())
        difference = textOf(drawn[i], cpu) + difference;
      sweep.count(kind, difference);
    }
  }
}
