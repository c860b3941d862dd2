//===- CompileModel.h - From kernels to PTX and launches ------ -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_COMPILEMODEL_H
#define CLADE_CODEGEN_CUDA_COMPILEMODEL_H

#include "lib/CodeGen/CUDA/Target.h"
#include "lib/Weights/Slots.h"
#include "runtime/Device/LaunchPlan.h"

#include <map>
#include <optional>

namespace clade::cuda {

/// The launches of an entry.
struct CompiledEntry {
  rt::LaunchPlan plan;
  int64_t outputWidth = 0;
};

/// What the runtime runs on a GPU: the entry `forward`, and perhaps `image`.
struct CompiledCode : CompiledEntry {
  std::string ptx;
  /// Machine code by architecture, where there is an assembler.
  std::map<std::string, std::string> machineCode;
  std::optional<CompiledEntry> images;
};

/// The first state of each layer of an entry, in their order.
struct LayerStates {
  llvm::SmallVector<int64_t> text, images;
};

/// Compiles the entries of a module of kernels whose weights are not packed.
/// With `isTraced` the plan for texts says of each result of each kernel where
/// it is (LaunchPlan::traces). With `choosesTokens`, for rows of output that
/// are logits, it also has what chooses tokens (LaunchPlan::greedy, draws).
/// `onCode` sees the gpu.module before it is lowered; compiling fails if it
/// does. Reports ops without a CUDA form at the line of their spec.
mlir::FailureOr<CompiledCode>
compileModel(mlir::ModuleOp module, const SlotTable &slots,
             const Target &target, const LayerStates &states, bool isTraced,
             bool choosesTokens,
             llvm::function_ref<bool(mlir::ModuleOp code)> onCode);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_COMPILEMODEL_H
