//===- Recurrent.h - Kernels with a state of fixed size ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Convolutions over time are shared out by sequences and vectors of channels,
// scans by sequences and heads: a task runs through the tokens of its sequence
// in order, in chunks first where the scan has them. Which thread runs a task
// changes no result.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_RECURRENT_H
#define CLADE_CODEGEN_CPU_RECURRENT_H

#include "lib/CodeGen/CPU/RowEmitter.h"

namespace clade::cpu {

/// What the code of a recurrent kernel refers to.
struct RecurrentKernel {
  mlir::OpBuilder &builder;
  const Target &target;
  bool referenceRounding;
  mlir::Block &body;
  mlir::Value step, thread, numThreads;
  /// Binds the kernel's operands and parameters for one token.
  std::function<void(RowEmitter &emitter, mlir::Value token)> bindRow;
  /// The address of a state of the layer.
  std::function<mlir::Value(int64_t state)> stateAddress;
};

/// Calls `store` with each vector of the convolution: its token, first channel,
/// f32 lanes, and the mask of a part of a vector.
using ConvolutionStore =
    llvm::function_ref<void(mlir::Value token, mlir::Value channel,
                            mlir::Value vector, mlir::Value mask)>;
/// Gives the bytes of scratch memory that each thread needs.
mlir::FailureOr<int64_t> emitCausalConv(RecurrentKernel &kernel,
                                        CausalConvOp op,
                                        ConvolutionStore store);

/// Writes result i of the scan to `results[i]`, unless that is null, row-major
/// [token][features] in `resultTypes[i]`. Gives the bytes of scratch memory
/// that each thread needs.
mlir::FailureOr<int64_t> emitScan(RecurrentKernel &kernel, ScanOp op,
                                  llvm::ArrayRef<mlir::Value> results,
                                  llvm::ArrayRef<mlir::Type> resultTypes);

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_RECURRENT_H
