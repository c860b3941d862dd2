//===- KernelParts.h - Inside of the kernel emitter ----------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the files of KernelEmitter share: the ops of a gpu.func, and the kernel
// that is being emitted. For these files only.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_KERNELPARTS_H
#define CLADE_CODEGEN_CUDA_KERNELPARTS_H

#include "lib/CodeGen/CUDA/HalfRows.h"
#include "lib/CodeGen/CUDA/KernelEmitter.h"
#include "lib/CodeGen/KernelQueries.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace clade::cuda {

/// Threads of a block that computes the row of a token.
inline constexpr int64_t rowThreads = 128;

/// What activations become for a product in a launch of their own: records for
/// a weight in groups, rows of f16 for one of these, or else rows of their
/// type.
struct ActivationForm {
  ActivationForm(NamedTensorType input, NamedTensorType weight, int64_t k);
  /// Rows of bf16.
  static ActivationForm rows(NamedTensorType input, int64_t k);

  /// Whether a product cannot read what other kernels wrote.
  bool isOwn() const { return groups || halves; }
  /// Bytes for each token.
  int64_t bytesPerToken() const;
  /// The type of what products read.
  mlir::Type elementType() const;

  NamedTensorType input;
  mlir::Type rowType; ///< Of rows.
  int64_t k;          ///< Numbers of a row, of which a token may have several.
  const rt::PackedLayout *groups = nullptr;
  std::optional<HalfRows> halves;
};

/// The ops that become a gpu.func, and what else it reads and writes.
struct KernelEmitter::Part {
  llvm::SetVector<mlir::Operation *> ops;
  bool readsPacked = false, writesPacked = false, writesResults = false,
       usesPartial = false;
  /// Arguments that are tensor maps.
  llvm::SmallVector<KernelArgument> maps;

  /// What `value` is computed from in its kernel, without what `heart` is.
  void add(mlir::Value value, mlir::Operation *heart = nullptr) {
    mlir::Operation *op = value.getDefiningOp();
    if (op && op != heart)
      add(op, heart);
    else if (!op)
      operands.insert(value);
  }
  void add(mlir::Operation *op, mlir::Operation *heart = nullptr) {
    if (ops.contains(op))
      return;
    for (mlir::Value operand : op->getOperands())
      add(operand, heart);
    ops.insert(op);
  }
  llvm::SetVector<mlir::Value> operands;
};

/// A kernel on its way to gpu.funcs.
struct KernelEmitter::Context {
  mlir::OpBuilder builder;
  KernelOp kernel;
  bool outputIsF32, onSelected;
  llvm::SmallVector<llvm::StringRef> params;
  llvm::SmallVector<KernelCode, 0> codes;
  // Of the gpu.func that is being emitted.
  mlir::gpu::GPUFuncOp function;
  mlir::Value step, rows, packed, partial;
  /// Of operands (block arguments).
  llvm::MapVector<mlir::Value, mlir::Value> buffers;
  llvm::SmallVector<mlir::Value> results, maps, paramPointers;
  llvm::MapVector<int64_t, mlir::Value> states;
  llvm::MapVector<mlir::Operation *, mlir::Value> choices;

  mlir::Block &body() { return kernel.getBody().front(); }
  mlir::Value paramPointer(ParamOp param) {
    return paramPointers[llvm::find(params, param.getName()) - params.begin()];
  }
  mlir::Type resultType(unsigned i) {
    return clade::resultType(kernel, i, outputIsF32);
  }
};

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_KERNELPARTS_H
