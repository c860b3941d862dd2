//===- SanitizeTest.cpp - Checks in generated code ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// In a build with a sanitizer generated code calls it; in others it must not.
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/ProductHarness.h"

#include "llvm/Support/Compiler.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace clade::cpu;
using namespace clade::cpu::test;

namespace {

constexpr int64_t n = 40, k = 64;

/// A product with weights in f32 that lie row by row.
class SanitizeTest : public testing::Test {
protected:
  void SetUp() override {
    Location loc = UnknownLoc::get(context.get());
    FailureOr<Target> target = Target::resolve(loc);
    ASSERT_TRUE(succeeded(target));
    options = {target->cpu, target->features, 3};
    ProductShape shape{n, k, Float32Type::get(context.get()),
                       target->rowTile(TokenClass::One)};
    shape.partRows = {n};
    module = ModuleOp::create(loc);
    addProductFunction(*module, "product", *target, shape);
  }

  /// Runs the product with memory for `rows` rows of weights.
  void run(int64_t rows) {
    loaded = LoadedCode::create(*module, options, {"product"});
    ASSERT_TRUE(loaded);
    std::vector<float> x(k, 1), y(n), weights(rows * k, 0.5f);
    loaded->function<ProductFunction>("product")(x.data(), weights.data(),
                                                 y.data(), 1, 0, 1);
    EXPECT_EQ(y, std::vector<float>(n, k * 0.5f));
  }

  std::unique_ptr<MLIRContext> context = makeContext();
  OwningOpRef<ModuleOp> module;
  std::unique_ptr<LoadedCode> loaded;
  CompileOptions options;
};

TEST_F(SanitizeTest, RightCodeRuns) { run(n); }

TEST_F(SanitizeTest, CallsTheSanitizerOfThisBuildOnly) {
  FailureOr<SmallVector<char>> object = compileToObject(*module, options);
  ASSERT_TRUE(succeeded(object));
  bool calls = StringRef(object->data(), object->size()).contains("_asan_") ||
               StringRef(object->data(), object->size()).contains("_tsan_");
  EXPECT_EQ(calls, LLVM_ADDRESS_SANITIZER_BUILD || LLVM_THREAD_SANITIZER_BUILD);
}

#if LLVM_ADDRESS_SANITIZER_BUILD
TEST_F(SanitizeTest, ARowTooFewIsReported) {
  EXPECT_DEATH(run(n - 1), "heap-buffer-overflow");
}
#endif

} // namespace
