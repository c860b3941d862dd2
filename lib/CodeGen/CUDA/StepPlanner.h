//===- StepPlanner.h - The launches of one step --------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes down the launches of an entry and of its layers in order, with the
// places of all buffers in the workspace. Layers are unrolled here, in a list,
// and not in the code: kernels of layers of a kind are the same.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_STEPPLANNER_H
#define CLADE_CODEGEN_CUDA_STEPPLANNER_H

#include "lib/CodeGen/CUDA/KernelEmitter.h"
#include "lib/Weights/Slots.h"
#include "runtime/Device/LaunchPlan.h"

namespace clade::cuda {

class StepPlanner {
public:
  /// `firstStates` are the states of the entry's layers, in their order. With
  /// `isTraced` the plan says where each result of each kernel is.
  StepPlanner(KernelEmitter &kernels, const SlotTable &slots,
              llvm::ArrayRef<int64_t> firstStates, bool isTraced)
      : kernels(kernels), slots(slots), firstStates(firstStates),
        isTraced(isTraced) {}

  /// Plans an entry and emits its kernels.
  mlir::FailureOr<rt::LaunchPlan> plan(mlir::func::FuncOp entry);
  /// Values of a row of the output.
  int64_t getOutputWidth() const { return outputWidth; }

private:
  /// Where the buffers of values are, and the numbers of a layer.
  struct Scope {
    llvm::DenseMap<mlir::Value, rt::LaunchArgument> buffers;
    llvm::ArrayRef<llvm::StringRef> params;
    int64_t firstWeight = 0, firstState = 0, layer = 0;
  };
  rt::LaunchArgument take(mlir::Type type);
  mlir::LogicalResult addKernel(Scope &scope, KernelOp kernel, bool isOutput);
  mlir::LogicalResult addLayers(Scope &scope, LayersOp layers);

  KernelEmitter &kernels;
  const SlotTable &slots;
  llvm::ArrayRef<int64_t> firstStates; ///< Of the layers that are to come.
  bool isTraced;
  rt::LaunchPlan result;
  /// Temporaries of a kind's kernels, which all its layers share.
  llvm::DenseMap<mlir::Value, rt::LaunchArgument> temporaries;
  /// Where the activations of products lie is known at the end.
  llvm::SmallVector<std::pair<size_t, size_t>> packedArguments;
  int64_t outputWidth = 0;
};

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_STEPPLANNER_H
