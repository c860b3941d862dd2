//===- CompileModel.cpp - From kernels to PTX and launches ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/CompileModel.h"

#include "lib/CodeGen/CUDA/Assemble.h"
#include "lib/CodeGen/CUDA/ChooseToken.h"
#include "lib/CodeGen/CUDA/Compile.h"
#include "lib/CodeGen/CUDA/DrawToken.h"
#include "lib/CodeGen/CUDA/StepPlanner.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace clade;

FailureOr<cuda::CompiledCode>
cuda::compileModel(ModuleOp module, const SlotTable &slots,
                   const Target &target, const LayerStates &states,
                   bool isTraced, bool choosesTokens,
                   llvm::function_ref<bool(ModuleOp)> onCode) {
  MLIRContext *context = module.getContext();
  DialectRegistry registry;
  registerCompileDialects(registry);
  context->appendDialectRegistry(registry);
  context->loadAllAvailableDialects();
  OwningOpRef<ModuleOp> code = ModuleOp::create(module.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(code->getBody());
  auto kernelModule =
      gpu::GPUModuleOp::create(builder, module.getLoc(), "kernels");
  KernelEmitter kernels(kernelModule, target);
  CompiledCode result;
  bool isThere = false;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!function->hasAttr(entryAttr))
      continue;
    bool isImages = function.getSymName() == "image";
    if (isImages ? result.images.has_value() : isThere)
      return function.emitError() << "expected one entry in a module";
    isThere |= !isImages;
    CompiledEntry &entry = isImages ? result.images.emplace()
                                    : static_cast<CompiledEntry &>(result);
    StepPlanner planner(kernels, slots, isImages ? states.images : states.text,
                        isTraced && !isImages);
    FailureOr<rt::LaunchPlan> plan = planner.plan(function);
    if (failed(plan))
      return failure();
    entry.plan = std::move(*plan);
    entry.outputWidth = planner.getOutputWidth();
    if (!choosesTokens || isImages)
      continue;
    addGreedyChoice(kernelModule, function.getLoc(), entry.outputWidth,
                    entry.plan);
    addDraws(kernelModule, function.getLoc(), entry.outputWidth, entry.plan);
  }
  if (!isThere)
    return module.emitError() << "expected an entry in the module";
  if (failed(verify(*code)) || (onCode && !onCode(*code)))
    return failure();
  FailureOr<std::string> ptx = compileToPTX(kernelModule, target);
  if (failed(ptx))
    return failure();
  result.ptx = std::move(*ptx);
  if (std::string assembler = findAssembler(); !assembler.empty())
    result.machineCode =
        assemble(module.getLoc(), assembler, result.ptx, target);
  return result;
}
