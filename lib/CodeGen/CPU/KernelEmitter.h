//===- KernelEmitter.h - One function for each kernel -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A clade.kernel becomes a function that every thread calls: (step, layer row,
// thread, packed activations, operand buffers …, result buffers …). Buffers are
// row-major [token or selected][features]. Kernels that differ only in which
// weights they read share a function.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_KERNELEMITTER_H
#define CLADE_CODEGEN_CPU_KERNELEMITTER_H

#include "dialect/Clade/CladeDialect.h"
#include "lib/CodeGen/CPU/Product.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace clade::cpu {

/// Memory that a thread needs for itself.
struct ScratchNeed {
  int64_t fixedBytes = 0;
  int64_t bytesPerContextToken = 0;
};

class KernelEmitter {
public:
  /// Functions go into `code`, with names that begin with `prefix`.
  KernelEmitter(mlir::ModuleOp code, const Target &target,
                bool referenceRounding, std::string prefix = "cpu_")
      : code(code), target(target), referenceRounding(referenceRounding),
        prefix(std::move(prefix)) {}

  /// The function of a kernel whose parameters have the numbers of `params`. If
  /// `outputIsF32`, its one result is written as f32 whatever its type.
  mlir::FailureOr<mlir::func::FuncOp>
  emit(KernelOp kernel, llvm::ArrayRef<llvm::StringRef> params,
       bool outputIsF32);
  const ScratchNeed &getScratch() const { return scratch; }
  int64_t getNumKernels() const { return functions.size(); }
  /// Bytes of packed activations for each row, the largest of all products.
  int64_t getPackedBytesPerRow() const { return packedBytesPerRow; }
  /// Bytes of the same memory for each sequence of a step, beside them.
  int64_t getPackedBytesPerSequence() const { return packedBytesPerSequence; }

private:
  struct Context;
  mlir::LogicalResult emitTokenwise(Context &context);
  mlir::LogicalResult emitProductKernel(Context &context);
  mlir::LogicalResult emitAttentionKernel(Context &context);
  mlir::LogicalResult emitRecurrentKernel(Context &context);
  mlir::LogicalResult emitExpertsKernel(Context &context);
  mlir::LogicalResult emitHeadsKernel(Context &context);
  mlir::LogicalResult emitProductClass(Context &context, LinearOp linear,
                                       TokenClass tokens);
  ProductShape productOf(NamedTensorType weight, int64_t n, int64_t k,
                         int64_t rowTile) const;
  mlir::LogicalResult emitPrologueRow(Context &context, LinearOp linear,
                                      mlir::Value row, mlir::Value packed,
                                      mlir::Value rowScratch,
                                      const ProductShape &shape,
                                      int64_t usedScratch);
  mlir::Value emitEpilogue(Context &context, mlir::Value value,
                           mlir::Value heart, mlir::Value row,
                           mlir::Value column, mlir::Value accumulator,
                           mlir::Value mask);

  mlir::ModuleOp code;
  const Target &target;
  bool referenceRounding;
  std::string prefix;
  llvm::StringMap<mlir::func::FuncOp> functions;
  ScratchNeed scratch;
  int64_t packedBytesPerRow = 0, packedBytesPerSequence = 0;
};

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_KERNELEMITTER_H
