//===- StepEmitter.h - The function of one step -----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Calls the kernels of an entry and of its layers in order, with a barrier
// after each, and says where their buffers lie in the workspace. Traced code
// shows the step's trace function each result. The code has one function a kind
// of layer and a loop over the schedule: it does not grow with the number of
// layers.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_STEPEMITTER_H
#define CLADE_CODEGEN_CPU_STEPEMITTER_H

#include "lib/CodeGen/CPU/KernelEmitter.h"
#include "lib/Weights/Slots.h"

namespace clade::cpu {

/// Bytes of workspace: fixed, and for each token, each selected token and each
/// sequence.
struct WorkspaceNeed {
  int64_t fixed = 0, perToken = 0, perSelected = 0, perSequence = 0;
};

class StepEmitter {
public:
  StepEmitter(mlir::ModuleOp code, KernelEmitter &kernels,
              const SlotTable &slots, bool isTraced)
      : code(code), kernels(kernels), slots(slots), isTraced(isTraced) {}

  /// Adds the function `symbol` for an entry.
  mlir::LogicalResult emit(mlir::func::FuncOp entry, llvm::StringRef symbol);
  WorkspaceNeed getWorkspace() const;
  /// Values of a row of the output.
  int64_t getOutputWidth() const { return outputWidth; }

private:
  struct Place {
    bool isSelected = false;
    int64_t offset = 0; ///< Bytes for each token before it.
  };
  struct Scope {
    mlir::OpBuilder builder;
    mlir::Value step, layerRow, thread, workspace, packed, tokenRows,
        selectedRows;
    llvm::DenseMap<mlir::Value, mlir::Value> buffers;
  };

  void plan(mlir::Block &block, int64_t &tokenBytes, int64_t &selectedBytes);
  mlir::Value pointerOf(Scope &scope, Place place, mlir::Location loc);
  mlir::LogicalResult emitCall(Scope &scope, KernelOp kernel,
                               llvm::ArrayRef<llvm::StringRef> params,
                               mlir::Value output);
  /// Thread 0 shows the results of a kernel that all threads have finished.
  void emitTraces(Scope &scope, KernelOp kernel, mlir::Value output);
  mlir::LogicalResult emitLayers(Scope &scope, LayersOp layers);
  /// Indices in the slot table of the kinds of a schedule.
  llvm::SmallVector<int64_t> kindsOf(LayersOp layers) const;
  /// Whether a carried value of layers is only made and passed on, by all of
  /// these kinds, and read by none.
  bool isKept(llvm::ArrayRef<int64_t> kinds, unsigned place) const;
  /// The function of kind `number`, one of the kinds of a schedule.
  mlir::FailureOr<mlir::func::FuncOp> emitKind(llvm::ArrayRef<int64_t> kinds,
                                               size_t number);

  mlir::ModuleOp code;
  KernelEmitter &kernels;
  const SlotTable &slots;
  bool isTraced;
  llvm::DenseMap<mlir::Value, Place> places;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<Place, 2>>
      alternates; ///< Of carried results of layers.
  int64_t tokenBytes = 0, selectedBytes = 0, outputWidth = 0;
  int64_t layerBase = 0,
          layerBytes = 0; ///< Temporaries of a layer, bytes for each token.
};

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_STEPEMITTER_H
