//===- KernelEmitterTest.cpp - What has no code for GPUs ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels as specs do not make them: what cannot be computed is an error, and
// never left out.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/KernelEmitter.h"

#include "lib/CodeGen/CUDA/Compile.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace clade;
using namespace clade::cuda;

namespace {

/// The error for the kernel in `text`.
std::string errorOf(StringRef text) {
  DialectRegistry registry;
  registerCompileDialects(registry);
  registry.insert<CladeDialect, func::FuncDialect>();
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  std::string message;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    if (message.empty())
      message = diagnostic.str();
    return success();
  });
  auto module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return "not parsed: " + message;
  Location loc = UnknownLoc::get(&context);
  OwningOpRef<ModuleOp> code = ModuleOp::create(loc);
  OpBuilder builder = OpBuilder::atBlockEnd(code->getBody());
  auto kernels = gpu::GPUModuleOp::create(builder, loc, "kernels");
  Target target = *Target::resolve(loc, "sm_80");
  KernelEmitter emitter(kernels, target);
  WalkResult result = module->walk([&](KernelOp kernel) {
    return failed(emitter.emit(kernel, /*outputIsF32=*/false))
               ? WalkResult::interrupt()
               : WalkResult::advance();
  });
  EXPECT_TRUE(result.wasInterrupted());
  return message;
}

TEST(KernelEmitterTest, OpsWithoutCodeAreNamed) {
  EXPECT_EQ(errorOf(R"(
func.func @convolve(%x: !clade.tensor<[token, d = 8], f32>, %w: !clade.tensor<[d = 8, taps = 4], f32>, %batch: !clade.batch)
    -> !clade.tensor<[token, d = 8], f32> {
  %0 = clade.kernel recurrent (%x, %w, %batch)
      : (!clade.tensor<[token, d = 8], f32>, !clade.tensor<[d = 8, taps = 4], f32>, !clade.batch) -> !clade.tensor<[token, d = 8], f32> {
  ^bb0(%a: !clade.tensor<[token, d = 8], f32>, %b: !clade.tensor<[d = 8, taps = 4], f32>, %c: !clade.batch):
    %1 = clade.causal_conv %a, %b, %c state 0 : !clade.tensor<[token, d = 8], f32>, !clade.tensor<[d = 8, taps = 4], f32>
    clade.yield %1 : !clade.tensor<[token, d = 8], f32>
  }
  return %0 : !clade.tensor<[token, d = 8], f32>
})"),
            "'clade.causal_conv' with a weight that is no parameter has no "
            "code for CUDA yet");
}

} // namespace
