//===- Sanitize.cpp - Sanitizers for generated code -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM's own passes. That of ThreadSanitizer leaves out what is wider than 16
// bytes, which is most of what kernels read and write: here such accesses call
// the runtime's functions for ranges. Masked ones, whose lanes differ, do not.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/Sanitize.h"

#include "llvm/Support/Compiler.h"

#if LLVM_ADDRESS_SANITIZER_BUILD || LLVM_THREAD_SANITIZER_BUILD
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Instrumentation/AddressSanitizer.h"
#include "llvm/Transforms/Instrumentation/ThreadSanitizer.h"
#endif

namespace clade::cpu {

#if LLVM_ADDRESS_SANITIZER_BUILD || LLVM_THREAD_SANITIZER_BUILD

static void mark(llvm::Module &module, llvm::Attribute::AttrKind kind) {
  for (llvm::Function &function : module)
    if (!function.isDeclaration())
      function.addFnAttr(kind);
}

static void runPasses(llvm::Module &module, llvm::TargetMachine &machine,
                      llvm::ModulePassManager passes) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  passes.run(module, modules);
}
#endif

#if LLVM_ADDRESS_SANITIZER_BUILD

void sanitizeCode(llvm::Module &module, llvm::TargetMachine &machine) {
  mark(module, llvm::Attribute::SanitizeAddress);
  llvm::AddressSanitizerOptions options;
  options.UseAfterReturn = llvm::AsanDetectStackUseAfterReturnMode::Never;
  // Calls, so that large kernels stay small enough to compile.
  options.InstrumentationWithCallsThreshold = 0;
  llvm::ModulePassManager passes;
  // The host has been initialised, and constants need no walls.
  passes.addPass(llvm::AddressSanitizerPass(
      options, /*UseGlobalGC=*/false, /*UseOdrIndicator=*/false,
      llvm::AsanDtorKind::None, llvm::AsanCtorKind::None));
  runPasses(module, machine, std::move(passes));
}

#elif LLVM_THREAD_SANITIZER_BUILD

/// Bytes of the widest access that LLVM's pass has a call for.
static constexpr uint64_t widestAccess = 16;

static void callForRanges(llvm::Module &module) {
  llvm::LLVMContext &context = module.getContext();
  const llvm::DataLayout &layout = module.getDataLayout();
  auto *pointer = llvm::PointerType::get(context, 0);
  auto *size = llvm::Type::getInt64Ty(context);
  auto declare = [&](const char *name) {
    return module.getOrInsertFunction(name, llvm::Type::getVoidTy(context),
                                      pointer, size);
  };
  llvm::FunctionCallee read = declare("__tsan_read_range"),
                       write = declare("__tsan_write_range");
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction : llvm::instructions(function)) {
      const llvm::Value *address =
          llvm::getLoadStorePointerOperand(&instruction);
      if (!address)
        continue;
      uint64_t bytes =
          layout.getTypeStoreSize(llvm::getLoadStoreType(&instruction));
      if (bytes <= widestAccess)
        continue;
      llvm::IRBuilder<> builder(&instruction);
      builder.CreateCall(
          llvm::isa<llvm::LoadInst>(instruction) ? read : write,
          {const_cast<llvm::Value *>(address), builder.getInt64(bytes)});
    }
}

void sanitizeCode(llvm::Module &module, llvm::TargetMachine &machine) {
  callForRanges(module);
  mark(module, llvm::Attribute::SanitizeThread);
  llvm::ModulePassManager passes;
  passes.addPass(
      llvm::createModuleToFunctionPassAdaptor(llvm::ThreadSanitizerPass()));
  runPasses(module, machine, std::move(passes));
}

#else

void sanitizeCode(llvm::Module &, llvm::TargetMachine &) {}

#endif

} // namespace clade::cpu
