//===- Compile.cpp - From MLIR to object code -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// MLIR's conversions, translation and LLVM's code generator. LLVM's own
// optimisation pipeline does not run: emitters write the code that they want,
// and code generation alone has been measured to keep it as fast.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/Compile.h"

#include "lib/CodeGen/CPU/Sanitize.h"
#include "lib/CodeGen/CPU/Target.h"
#include "lib/CodeGen/CPU/VectorMath.h"
#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MathToLibm/MathToLibm.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Conversion/VectorToSCF/VectorToSCF.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Index/IR/IndexDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Threading.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include <mutex>

using namespace mlir;

namespace clade::cpu {

void registerCompileDialects(DialectRegistry &registry) {
  registry
      .insert<arith::ArithDialect, cf::ControlFlowDialect, func::FuncDialect,
              index::IndexDialect, LLVM::LLVMDialect, math::MathDialect,
              memref::MemRefDialect, scf::SCFDialect, vector::VectorDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}

void buildLowerToLLVMPipeline(OpPassManager &passes, const Target &target) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addPass(createLoopInvariantCodeMotionPass());
  passes.addPass(createExpandVectorMathPass(target.hasFMA));
  arith::ArithExpandOpsPassOptions expand;
  expand.includeBf16 = !target.hasBF16;
  passes.addPass(arith::createArithExpandOpsPass(expand));
  // Without instructions for bf16 the values are 16-bit integers. One that is
  // bf16 from one block to another would be converted on the way, by calls of
  // functions that nobody provides: casts to bf16 and back have to go.
  if (!target.hasBF16)
    passes.addPass(createCanonicalizerPass());
  // Transfers are unrolled: a loop over one would put its buffer on the stack
  // again in each iteration of the loops around it.
  passes.addPass(createConvertVectorToSCFPass(
      VectorTransferToSCFOptions().enableFullUnroll()));
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertVectorToLLVMPass());
  passes.addPass(memref::createExpandStridedMetadataPass());
  passes.addPass(createLowerAffinePass());
  passes.addPass(createFinalizeMemRefToLLVMConversionPass());
  ConvertFuncToLLVMPassOptions functions;
  functions.useBarePtrCallConv = true;
  passes.addPass(createConvertFuncToLLVMPass(functions));
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createConvertMathToLibmPass());
  // Scalar calls of functions on vectors bring vector and func operations.
  passes.addPass(createConvertVectorToLLVMPass());
  passes.addPass(createConvertFuncToLLVMPass(functions));
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createConvertIndexToLLVMPass());
  passes.addPass(createUBToLLVMConversionPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
}

static std::unique_ptr<llvm::TargetMachine>
createTargetMachine(Location loc, const Target &target, int optLevel) {
  static std::once_flag initialised;
  std::call_once(initialised, [] {
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeAArch64AsmParser();
  });
  std::string error;
  llvm::Triple triple(target.triple());
  const llvm::Target *backend =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!backend) {
    emitError(loc) << error;
    return nullptr;
  }
  auto level = llvm::CodeGenOpt::getLevel(optLevel);
  if (!level) {
    emitError(loc) << "expected an optimisation level from 0 to 3, got "
                   << optLevel;
    return nullptr;
  }
  llvm::TargetOptions options;
  options.MCOptions.AsmVerbose = false;
  std::unique_ptr<llvm::TargetMachine> machine(backend->createTargetMachine(
      triple, target.codeGenCPU(), target.features, options, llvm::Reloc::PIC_,
      std::nullopt, *level));
  if (!machine)
    emitError(loc) << "no code generator for '" << triple.str() << "'";
  return machine;
}

namespace {

/// Turns LLVM's errors into MLIR's; warnings and remarks are dropped.
class ErrorHandler : public llvm::DiagnosticHandler {
public:
  ErrorHandler(Location loc, bool &failed) : loc(loc), failed(failed) {}

  bool handleDiagnostics(const llvm::DiagnosticInfo &info) override {
    if (info.getSeverity() != llvm::DS_Error)
      return true;
    std::string text;
    llvm::raw_string_ostream stream(text);
    llvm::DiagnosticPrinterRawOStream printer(stream);
    info.print(printer);
    emitError(loc) << text;
    failed = true;
    return true;
  }

private:
  Location loc;
  bool &failed;
};

} // namespace

/// Keeps LLVM from splitting vectors of the target's width on CPUs whose tuning
/// prefers narrower ones.
static void allowFullVectors(llvm::Module &module, const Target &target) {
  std::string bits = std::to_string(target.width * 32);
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("min-legal-vector-width", bits);
    function.addFnAttr("prefer-vector-width", bits);
  }
}

static FailureOr<SmallVector<char>>
generateObject(ModuleOp module, const Target &target, int optLevel) {
  Location loc = module.getLoc();
  std::unique_ptr<llvm::TargetMachine> machine =
      createTargetMachine(loc, target, optLevel);
  if (!machine)
    return failure();

  bool failed = false;
  llvm::LLVMContext context;
  context.setDiagnosticHandler(std::make_unique<ErrorHandler>(loc, failed));
  std::unique_ptr<llvm::Module> translated =
      translateModuleToLLVMIR(module, context);
  if (!translated)
    return failure();
  translated->setTargetTriple(machine->getTargetTriple());
  translated->setDataLayout(machine->createDataLayout());
  allowFullVectors(*translated, target);
  sanitizeCode(*translated, *machine);

  SmallVector<char> object;
  {
    // The stream writes to `object` until it is destroyed.
    llvm::SmallVector<char, 0> bytes;
    llvm::raw_svector_ostream stream(bytes);
    llvm::legacy::PassManager passes;
    if (machine->addPassesToEmitFile(passes, stream, nullptr,
                                     llvm::CodeGenFileType::ObjectFile))
      return emitError(loc) << "the code generator cannot write objects";
    passes.run(*translated);
    object.assign(bytes.begin(), bytes.end());
  }
  if (failed)
    return failure();
  return object;
}

/// What only one thread may do to a context: loads what the lowering needs.
static void loadCompileDialects(MLIRContext *context, OpPassManager &passes) {
  DialectRegistry registry;
  registerCompileDialects(registry);
  passes.getDependentDialects(registry);
  context->appendDialectRegistry(registry);
  for (StringRef name : registry.getDialectNames())
    context->getOrLoadDialect(name);
}

FailureOr<SmallVector<SmallVector<char>>>
compileToObjects(ArrayRef<ModuleOp> modules, const CompileOptions &options) {
  SmallVector<SmallVector<char>> objects(modules.size());
  if (modules.empty())
    return objects;
  ModuleOp first = modules.front();
  MLIRContext *context = first.getContext();
  FailureOr<Target> target =
      Target::resolve(first.getLoc(), options.cpu, options.features);
  if (failed(target))
    return failure();
  // Each thread has passes of its own.
  std::vector<std::unique_ptr<PassManager>> passes;
  for (size_t i = 0; i < modules.size(); ++i) {
    passes.push_back(std::make_unique<PassManager>(context));
    // Verifying after each pass would take two fifths of the lowering's time:
    // what it gives is verified once.
    passes.back()->enableVerifier(false);
    buildLowerToLLVMPipeline(*passes.back(), *target);
  }
  loadCompileDialects(context, *passes.front());
  auto compile = [&](size_t i) -> LogicalResult {
    ModuleOp module = modules[i];
    if (failed(passes[i]->run(module)) || failed(verify(module)))
      return failure();
    FailureOr<SmallVector<char>> object =
        generateObject(module, *target, options.optLevel);
    if (failed(object))
      return failure();
    objects[i] = std::move(*object);
    return success();
  };
  // All else that is done in a context is too little for threads, and faster
  // without their locks.
  bool wasThreaded = context->isMultithreadingEnabled();
  context->enableMultithreading(wasThreaded || modules.size() > 1);
  LogicalResult result =
      failableParallelForEachN(context, 0, modules.size(), compile);
  context->enableMultithreading(wasThreaded);
  if (failed(result))
    return failure();
  return objects;
}

FailureOr<SmallVector<char>> compileToObject(ModuleOp module,
                                             const CompileOptions &options) {
  FailureOr<SmallVector<SmallVector<char>>> objects =
      compileToObjects(module, options);
  if (failed(objects))
    return failure();
  return std::move(objects->front());
}

} // namespace clade::cpu
