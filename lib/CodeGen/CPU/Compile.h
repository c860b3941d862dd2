//===- Compile.h - From MLIR to object code and shared objects --*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The last step of the CPU route: a module of func, memref, vector, scf, cf,
// arith, index, math and llvm operations becomes an object in memory, and
// objects become a shared object, both without leaving the process.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_COMPILE_H
#define CLADE_CODEGEN_CPU_COMPILE_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/MemoryBufferRef.h"
#include <string>

namespace mlir {
class DialectRegistry;
class OpPassManager;
} // namespace mlir

namespace clade::cpu {

struct Target;

struct CompileOptions {
  /// CPU and features as in `Target::resolve`.
  std::string cpu = "native";
  std::string features;
  /// 0 to 3, LLVM's levels of its code generator.
  int optLevel = 3;
};

/// Registers what `compileToObject` needs: the dialects above and their
/// translations.
void registerCompileDialects(mlir::DialectRegistry &registry);

/// Adds the passes that leave only llvm operations. Functions take memrefs as
/// bare pointers, math on vectors becomes polynomials where VectorMath.h says
/// so, and what `target` lacks (fused multiply-add, bf16 conversions) is
/// expanded.
void buildLowerToLLVMPipeline(mlir::OpPassManager &passes,
                              const Target &target);

/// Lowers `module` in place and generates position-independent object code.
/// Errors are reported at the module's location.
mlir::FailureOr<llvm::SmallVector<char>>
compileToObject(mlir::ModuleOp module, const CompileOptions &options = {});

/// The same of each of `modules`, which share a context, by its threads.
mlir::FailureOr<llvm::SmallVector<llvm::SmallVector<char>>>
compileToObjects(llvm::ArrayRef<mlir::ModuleOp> modules,
                 const CompileOptions &options);

/// Links `objects` into the shared object `path`, which exports
/// `exportedSymbols` and nothing else. The file appears under its name only
/// when it is complete. Calls may come from several threads; they take turns.
/// Errors are reported at `loc`.
mlir::LogicalResult linkSharedObject(
    mlir::Location loc, llvm::ArrayRef<llvm::MemoryBufferRef> objects,
    llvm::StringRef path, llvm::ArrayRef<std::string> exportedSymbols);

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_COMPILE_H
