//===- CompileModel.h - From kernels to a shared object ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_COMPILEMODEL_H
#define CLADE_CODEGEN_CPU_COMPILEMODEL_H

#include "lib/CodeGen/CPU/Compile.h"
#include "lib/CodeGen/CPU/StepEmitter.h"
#include "lib/CodeGen/CPU/Target.h"

namespace clade::cpu {

/// What the runtime has to know about compiled code.
/// The function of one entry, and what its steps need.
struct CompiledEntry {
  std::string symbol;
  int64_t outputWidth = 0;
  WorkspaceNeed workspace;
  ScratchNeed scratch;
};

/// The entry for text, and that for images if there is one.
struct CompiledCode : CompiledEntry {
  std::optional<CompiledEntry> images;
  int64_t numKernels = 0;
};

struct CompileModelOptions {
  /// Rounds after every op as a reference that runs op by op does.
  bool referenceRounding = false;
  /// Shows every kernel's results to CladeStep::trace.
  bool isTraced = false;
  /// Sees the functions of the step and its kernels before they are lowered to
  /// LLVM; compiling fails if it does.
  llvm::function_ref<bool(mlir::ModuleOp code)> onCode = nullptr;
};

/// Compiles the entry of a module of kernels and writes the shared object to
/// `path`.
mlir::FailureOr<CompiledCode> compileModel(mlir::ModuleOp module,
                                           const SlotTable &slots,
                                           const Target &target,
                                           const CompileModelOptions &options,
                                           llvm::StringRef path);

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_COMPILEMODEL_H
