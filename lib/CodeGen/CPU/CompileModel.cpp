//===- CompileModel.cpp - From kernels to a shared object -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/CompileModel.h"

#include "clade/abi.h"
#include "lib/CodeGen/CPU/CodeParts.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace clade;
using namespace clade::cpu;

/// The entry whose tokens are patches of images.
static constexpr StringRef imagesEntry = "image";
static constexpr StringRef abiSymbol = "clade_abi_version";
/// Parts that are lowered side by side: the same on every machine, so that what
/// is made is, too.
static constexpr unsigned codeParts = 4;

/// The version of the contract, for the runtime to check.
static void addVersion(ModuleOp code) {
  OpBuilder builder = OpBuilder::atBlockBegin(code.getBody());
  LLVM::GlobalOp::create(builder, code.getLoc(), builder.getI32Type(),
                         /*isConstant=*/true, LLVM::Linkage::External,
                         abiSymbol,
                         builder.getI32IntegerAttr(CLADE_ABI_VERSION));
}

FailureOr<CompiledCode>
cpu::compileModel(ModuleOp module, const SlotTable &slots, const Target &target,
                  const CompileModelOptions &options, StringRef path) {
  DialectRegistry registry;
  registerCompileDialects(registry);
  MLIRContext *context = module.getContext();
  context->appendDialectRegistry(registry);
  context->loadAllAvailableDialects();
  OwningOpRef<ModuleOp> code = ModuleOp::create(module.getLoc());
  addVersion(*code);
  CompiledCode result;
  std::vector<std::string> exported{abiSymbol.str()};
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!function->hasAttr(entryAttr))
      continue;
    bool isImages = function.getSymName() == imagesEntry;
    if (isImages ? result.images.has_value() : !result.symbol.empty())
      return function.emitError() << "expected one entry in a module";
    CompiledEntry &entry = isImages ? result.images.emplace()
                                    : static_cast<CompiledEntry &>(result);
    entry.symbol = ("clade_step_" + function.getSymName()).str();
    KernelEmitter kernels(*code, target, options.referenceRounding,
                          isImages ? "cpu_image_" : "cpu_");
    StepEmitter steps(*code, kernels, slots, options.isTraced && !isImages);
    if (failed(steps.emit(function, entry.symbol)))
      return failure();
    entry.outputWidth = steps.getOutputWidth();
    entry.workspace = steps.getWorkspace();
    entry.scratch = kernels.getScratch();
    result.numKernels += kernels.getNumKernels();
    exported.push_back(entry.symbol);
  }
  if (result.symbol.empty())
    return module.emitError() << "expected an entry in the module";
  if (failed(verify(*code)) || (options.onCode && !options.onCode(*code)))
    return failure();
  SmallVector<OwningOpRef<ModuleOp>> parts = cutIntoParts(*code, codeParts);
  SmallVector<ModuleOp> modules;
  for (OwningOpRef<ModuleOp> &part : parts)
    modules.push_back(*part);
  FailureOr<SmallVector<SmallVector<char>>> objects =
      compileToObjects(modules, {target.cpu, target.features, 3});
  if (failed(objects))
    return failure();
  SmallVector<llvm::MemoryBufferRef> buffers;
  for (const SmallVector<char> &object : *objects)
    buffers.emplace_back(StringRef(object.data(), object.size()), "model.o");
  if (failed(linkSharedObject(module.getLoc(), buffers, path, exported)))
    return failure();
  return result;
}
