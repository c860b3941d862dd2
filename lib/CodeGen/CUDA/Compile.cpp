//===- Compile.cpp - From gpu kernels to PTX ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// MLIR's conversions, translation, LLVM's optimisations and its code generator
// for NVPTX.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/Compile.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;

namespace clade::cuda {

void registerCompileDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, cf::ControlFlowDialect, gpu::GPUDialect,
                  LLVM::LLVMDialect, math::MathDialect, NVVM::NVVMDialect,
                  scf::SCFDialect, vector::VectorDialect>();
  // The pass from gpu to nvvm converts these on the way.
  arith::registerConvertArithToLLVMInterface(registry);
  cf::registerConvertControlFlowToLLVMInterface(registry);
  registerBuiltinDialectTranslation(registry);
  registerGPUDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
}

namespace {

/// What has no instruction becomes polynomials of f32, as on CPUs.
class ExpandDeviceMath
    : public PassWrapper<ExpandDeviceMath, OperationPass<gpu::GPUModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandDeviceMath)

  StringRef getArgument() const override { return "clade-expand-device-math"; }
  StringRef getDescription() const override {
    return "replace math on scalars by polynomials";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, math::MathDialect,
                    vector::VectorDialect>();
  }

  void runOnOperation() override {
    auto isApproximated = [](StringRef name) {
      return llvm::StringSwitch<bool>(name)
          .Cases({"math.exp", "math.expm1", "math.log", "math.log2"}, true)
          .Cases({"math.log1p", "math.tanh", "math.erf"}, true)
          .Default(false);
    };
    RewritePatternSet patterns(&getContext());
    populateMathF32ExpansionPatterns(patterns, isApproximated);
    populateMathPolynomialApproximationPatterns(patterns, isApproximated);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

/// What has an instruction becomes LLVM's intrinsic. Conversions to nvvm would
/// call a library of device functions instead.
class UseIntrinsics
    : public PassWrapper<UseIntrinsics, OperationPass<gpu::GPUModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(UseIntrinsics)

  StringRef getArgument() const override { return "clade-use-intrinsics"; }
  StringRef getDescription() const override {
    return "replace math that has an instruction by intrinsics";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<LLVM::LLVMDialect>();
  }

  void runOnOperation() override {
    getOperation()->walk([&](Operation *op) {
      StringRef intrinsic =
          llvm::StringSwitch<StringRef>(op->getName().getStringRef())
              .Case("math.sqrt", "llvm.sqrt")
              .Case("math.absf", "llvm.fabs")
              .Case("math.floor", "llvm.floor")
              .Case("math.roundeven", "llvm.roundeven")
              .Case("math.fma", "llvm.fma")
              .Default("");
      if (intrinsic.empty())
        return;
      OpBuilder builder(op);
      auto call = LLVM::CallIntrinsicOp::create(
          builder, op->getLoc(), op->getResult(0).getType(),
          builder.getStringAttr(intrinsic), op->getOperands());
      op->replaceAllUsesWith(call);
      op->erase();
    });
  }
};

/// Says of arguments that are tensor maps what makes them such: they come by
/// value and code takes their address. The conversion to llvm leaves nothing of
/// that on a gpu.func.
class PassTensorMaps
    : public PassWrapper<PassTensorMaps, OperationPass<gpu::GPUModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PassTensorMaps)

  StringRef getArgument() const override { return "clade-pass-tensor-maps"; }
  StringRef getDescription() const override {
    return "make tensor maps arguments that are passed by value";
  }

  void runOnOperation() override {
    constexpr int64_t mapBytes = 128, mapAlignment = 64;
    OpBuilder builder(&getContext());
    auto type = LLVM::LLVMArrayType::get(builder.getI8Type(), mapBytes);
    for (auto function : getOperation().getOps<LLVM::LLVMFuncOp>()) {
      auto numbers = function->getAttrOfType<DenseI32ArrayAttr>(tensorMapsAttr);
      if (!numbers)
        continue;
      for (int32_t number : numbers.asArrayRef()) {
        auto set = [&](StringRef name, Attribute value) {
          function.setArgAttr(static_cast<unsigned>(number), name, value);
        };
        set(LLVM::LLVMDialect::getByValAttrName(), TypeAttr::get(type));
        set(LLVM::LLVMDialect::getAlignAttrName(),
            builder.getI64IntegerAttr(mapAlignment));
        set(NVVM::NVVMDialect::getGridConstantAttrName(),
            builder.getUnitAttr());
      }
      function->removeAttr(tensorMapsAttr);
    }
  }
};

} // namespace

void buildLowerToNVVMPipeline(OpPassManager &passes) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addPass(std::make_unique<ExpandDeviceMath>());
  passes.addPass(createLoopInvariantCodeMotionPass());
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(std::make_unique<UseIntrinsics>());
  passes.addPass(createConvertGpuOpsToNVVMOps());
  passes.addPass(std::make_unique<PassTensorMaps>());
  passes.addPass(createConvertNVVMToLLVMPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
}

static std::unique_ptr<llvm::TargetMachine>
createTargetMachine(Location loc, const Target &target) {
  LLVMInitializeNVPTXTargetInfo();
  LLVMInitializeNVPTXTarget();
  LLVMInitializeNVPTXTargetMC();
  LLVMInitializeNVPTXAsmPrinter();
  std::string error;
  llvm::Triple triple("nvptx64-nvidia-cuda");
  const llvm::Target *backend =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!backend) {
    emitError(loc) << error;
    return nullptr;
  }
  return std::unique_ptr<llvm::TargetMachine>(backend->createTargetMachine(
      triple, target.arch, target.features, llvm::TargetOptions(), std::nullopt,
      std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

static void optimise(llvm::Module &module, llvm::TargetMachine &machine) {
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
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3)
      .run(module, modules);
}

FailureOr<std::string> compileToPTX(gpu::GPUModuleOp code,
                                    const Target &target) {
  Location loc = code.getLoc();
  DialectRegistry registry;
  registerCompileDialects(registry);
  code.getContext()->appendDialectRegistry(registry);
  code.getContext()->loadAllAvailableDialects();
  PassManager passes(code.getContext(), gpu::GPUModuleOp::getOperationName());
  buildLowerToNVVMPipeline(passes);
  if (failed(passes.run(code)))
    return failure();
  std::unique_ptr<llvm::TargetMachine> machine =
      createTargetMachine(loc, target);
  if (!machine)
    return failure();
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = translateModuleToLLVMIR(code, context);
  if (!module)
    return failure();
  module->setTargetTriple(machine->getTargetTriple());
  module->setDataLayout(machine->createDataLayout());
  optimise(*module, *machine);
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager generator;
  if (machine->addPassesToEmitFile(generator, stream, nullptr,
                                   llvm::CodeGenFileType::AssemblyFile))
    return emitError(loc) << "the code generator cannot write PTX";
  generator.run(*module);
  return std::string(text);
}

} // namespace clade::cuda
