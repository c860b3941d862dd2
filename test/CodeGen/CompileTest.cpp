//===- CompileTest.cpp - Lowering, vector math and messages ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/Compile.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "test/CodeGen/KernelTestSupport.h"
#include "test/CodeGen/ProductHarness.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Object/ObjectFile.h"
#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <limits>

using namespace mlir;
using namespace clade::cpu;
using namespace clade::cpu::test;

namespace {

/// The symbols that an object takes from elsewhere.
std::vector<std::string> undefinedSymbols(ArrayRef<char> object) {
  std::vector<std::string> names;
  llvm::MemoryBufferRef buffer(StringRef(object.data(), object.size()), "o");
  auto file = llvm::object::ObjectFile::createObjectFile(buffer);
  if (!file) {
    ADD_FAILURE() << llvm::toString(file.takeError());
    return names;
  }
  for (llvm::object::SymbolRef symbol : (*file)->symbols()) {
    uint32_t flags = llvm::cantFail(symbol.getFlags());
    std::string name = llvm::cantFail(symbol.getName()).str();
    StringRef text(name);
    bool isSanitizer =
        text.starts_with("__asan_") || text.starts_with("__tsan_");
    if ((flags & llvm::object::SymbolRef::SF_Undefined) && !text.empty() &&
        !isSanitizer)
      names.push_back(name);
  }
  return names;
}

class VectorMathTest : public testing::TestWithParam<TestCPU> {};

template <typename Op>
std::function<Value(OpBuilder &, Location, Value)> unary() {
  return [](OpBuilder &b, Location loc, Value x) -> Value {
    return Op::create(b, loc, x);
  };
}

struct Function {
  const char *name;
  std::function<Value(OpBuilder &, Location, Value)> emit;
  double (*exact)(double);
  double from, to;
  /// Allowed error, in units of eps * max(|result|, scale).
  double scale, bound;
};

std::vector<Function> functions() {
  // Bounds are what the polynomials are documented or designed to reach, and
  // far from what a wrong coefficient would give.
  return {{"exp", unary<math::ExpOp>(), std::exp, -87, 88, 0, 4},
          {"expm1", unary<math::ExpM1Op>(), std::expm1, -20, 80, 0, 8},
          {"log", unary<math::LogOp>(), std::log, 1e-30, 1e30, 1e-30, 8},
          {"log2", unary<math::Log2Op>(), std::log2, 1e-30, 1e30, 1e-30, 8},
          {"log1p", unary<math::Log1pOp>(), std::log1p, -0.9, 1e6, 1e-30, 8},
          {"tanh", unary<math::TanhOp>(), std::tanh, -20, 20, 0, 8},
          {"erf", unary<math::ErfOp>(), std::erf, -6, 6, 1, 8},
          {"sqrt", unary<math::SqrtOp>(), std::sqrt, 0, 1e9, 0, 1},
          {"floor", unary<math::FloorOp>(), std::floor, -1e6, 1e6, 0, 0}};
}

TEST_P(VectorMathTest, IsAccurateAndCallsNothing) {
  std::unique_ptr<MLIRContext> context = makeContext();
  Location loc = UnknownLoc::get(context.get());
  FailureOr<Target> target = Target::resolve(loc, GetParam().cpu);
  ASSERT_TRUE(succeeded(target));
  CompileOptions options{target->cpu, target->features, 3};
  auto type = VectorType::get(target->width, Float32Type::get(context.get()));
  for (const Function &f : functions()) {
    auto build = [&] {
      OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
      addFunction(*module, "f", 2, 0,
                  [&](OpBuilder &b, Location, ValueRange args) {
                    Value zero = emitIndex(b, loc, 0);
                    Value x = emitLoad(b, loc, type, args[0], zero);
                    emitStore(b, loc, f.emit(b, loc, x), args[1], zero);
                  });
      return module;
    };
    OwningOpRef<ModuleOp> module = build();
    FailureOr<SmallVector<char>> object = compileToObject(*module, options);
    ASSERT_TRUE(succeeded(object)) << f.name;
    EXPECT_EQ(undefinedSymbols(*object), std::vector<std::string>()) << f.name;

    module = build();
    std::unique_ptr<LoadedCode> loaded =
        LoadedCode::create(*module, options, {"f"});
    ASSERT_TRUE(loaded) << f.name;
    double worst = 0, where = 0;
    constexpr int kSteps = 20000;
    for (int i = 0; i < kSteps; ++i) {
      // Half of the points are spread evenly, half by magnitude around zero.
      double t = double(i) / kSteps;
      double x = f.from + (f.to - f.from) * t;
      if (i % 2)
        x = (i % 4 == 1 && f.from < 0 ? f.from : f.to) * std::pow(1e-6, t);
      if (x < f.from)
        continue;
      std::vector<float> in(target->width, float(x)), out(target -> width);
      loaded->function<void(const float *, float *)>("f")(in.data(),
                                                          out.data());
      double exact = f.exact(float(x));
      double eps = std::numeric_limits<float>::epsilon() *
                   std::max(std::abs(exact), f.scale);
      double error = exact == out[0] ? 0 : std::abs(out[0] - exact) / eps;
      if (!(error <= worst)) {
        worst = error;
        where = float(x);
      }
    }
    EXPECT_LE(worst, f.bound) << f.name << " at " << where;
  }
}

TEST_P(VectorMathTest, KeepsLimits) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  struct {
    std::function<Value(OpBuilder &, Location, Value)> emit;
    float x, y;
  } cases[] = {
      {unary<math::ExpOp>(), -kInf, 0},   {unary<math::ExpOp>(), -1e30f, 0},
      {unary<math::ExpOp>(), -200, 0},    {unary<math::ExpOp>(), 0, 1},
      {unary<math::ExpOp>(), 200, kInf},  {unary<math::ExpOp>(), kInf, kInf},
      {unary<math::ExpOp>(), kNaN, kNaN}, {unary<math::TanhOp>(), kInf, 1},
      {unary<math::TanhOp>(), -kInf, -1}, {unary<math::TanhOp>(), 0, 0},
      {unary<math::ErfOp>(), 30, 1},      {unary<math::ErfOp>(), -30, -1},
      {unary<math::LogOp>(), 0, -kInf},   {unary<math::LogOp>(), 1, 0},
      {unary<math::LogOp>(), kInf, kInf}, {unary<math::LogOp>(), -1, kNaN},
      {unary<math::Log1pOp>(), 0, 0}};
  std::unique_ptr<MLIRContext> context = makeContext();
  Location loc = UnknownLoc::get(context.get());
  FailureOr<Target> target = Target::resolve(loc, GetParam().cpu);
  ASSERT_TRUE(succeeded(target));
  auto type = VectorType::get(target->width, Float32Type::get(context.get()));
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  std::vector<std::string> names;
  for (const auto &c : cases) {
    names.push_back("f" + std::to_string(names.size()));
    addFunction(*module, names.back(), 2, 0,
                [&](OpBuilder &b, Location, ValueRange args) {
                  Value zero = emitIndex(b, loc, 0);
                  Value x = emitLoad(b, loc, type, args[0], zero);
                  emitStore(b, loc, c.emit(b, loc, x), args[1], zero);
                });
  }
  std::unique_ptr<LoadedCode> loaded =
      LoadedCode::create(*module, {target->cpu, target->features, 3}, names);
  ASSERT_TRUE(loaded);
  for (auto [i, c] : llvm::enumerate(cases)) {
    std::vector<float> in(target->width, c.x), out(target->width);
    loaded->function<void(const float *, float *)>(names[i].c_str())(
        in.data(), out.data());
    // Infinities, zeros and NaN are exact; ones may miss by two steps.
    float slack = 2 * std::numeric_limits<float>::epsilon();
    for (float y : out)
      EXPECT_TRUE(y == c.y || (std::isnan(c.y) && std::isnan(y)) ||
                  (std::abs(c.y) == 1 && std::abs(y - c.y) <= slack))
          << "case " << i << " at " << c.x << ": expected " << c.y << ", got "
          << y;
  }
}

INSTANTIATE_TEST_SUITE_P(All, VectorMathTest, testing::ValuesIn(testCPUs()),
                         [](const auto &info) {
                           return std::string(info.param.name);
                         });

class CompileTest : public testing::Test {
protected:
  /// Compiles MLIR text; errors end up in `message`.
  FailureOr<SmallVector<char>> compile(StringRef text,
                                       const CompileOptions &options = {}) {
    CollectedErrors errors(context.get());
    OwningOpRef<ModuleOp> module =
        parseSourceString<ModuleOp>(text, context.get());
    FailureOr<SmallVector<char>> object = failure();
    if (module)
      object = compileToObject(*module, options);
    message = errors.text();
    return object;
  }

  std::unique_ptr<MLIRContext> context = makeContext();
  std::string message;
};

TEST_F(CompileTest, ScalarMathMayCallTheMathLibrary) {
  auto object = compile("func.func @f(%x: f32, %y: f32) -> f32 {\n"
                        "  %0 = math.powf %x, %y : f32\n"
                        "  %1 = math.sin %0 : f32\n"
                        "  return %1 : f32\n"
                        "}");
  ASSERT_TRUE(succeeded(object)) << message;
  std::vector<std::string> names = undefinedSymbols(*object);
  llvm::sort(names);
  EXPECT_EQ(names, (std::vector<std::string>{"powf", "sinf"}));
}

TEST_F(CompileTest, LowersTheDialectsThatKernelsUse) {
  // Vectors whose sines are exact by libm, memrefs as bare pointers, affine
  // index arithmetic.
  auto object = compile(
      "func.func @f(%m: memref<4x8xf32>, %i: index) {\n"
      "  %j = arith.ceildivsi %i, %i : index\n"
      "  %v = vector.load %m[%i, %j] : memref<4x8xf32>, vector<4xf32>\n"
      "  %s = math.sin %v : vector<4xf32>\n"
      "  %sum = vector.reduction <add>, %s : vector<4xf32> into f32\n"
      "  %view = memref.subview %m[%i, 0] [1, 8] [1, 1]\n"
      "      : memref<4x8xf32> to memref<1x8xf32, strided<[8, 1], offset: ?>>\n"
      "  %k = index.add %i, %j\n"
      "  memref.store %sum, %view[%k, %k]\n"
      "      : memref<1x8xf32, strided<[8, 1], offset: ?>>\n"
      "  return\n"
      "}");
  ASSERT_TRUE(succeeded(object)) << message;
}

TEST_F(CompileTest, TellsWhatItCannotLower) {
  EXPECT_TRUE(failed(compile("func.func private @g(tensor<4xf32>)\n"
                             "func.func @f(%x: tensor<4xf32>) {\n"
                             "  call @g(%x) : (tensor<4xf32>) -> ()\n"
                             "  return\n"
                             "}")));
  EXPECT_NE(message, "");
}

TEST_F(CompileTest, RefusesUnknownLevels) {
  const char *text = "func.func @f() { return }";
  for (int level : {-1, 4}) {
    EXPECT_TRUE(failed(compile(text, {"native", "", level})));
    EXPECT_EQ(message, "expected an optimisation level from 0 to 3, got " +
                           std::to_string(level) + "\n");
  }
  for (int level : {0, 1, 2, 3})
    EXPECT_TRUE(succeeded(compile(text, {"native", "", level}))) << message;
  EXPECT_TRUE(failed(compile(text, {"pentium9", "", 3})));
  EXPECT_EQ(message, "unknown CPU 'pentium9'\n");
}

} // namespace
