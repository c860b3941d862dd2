//===- Experts.h - Products by chosen experts -------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The code of a `clade.expert_linear` and of a `clade.head_linear`. The choices
// of all tokens are sorted by expert, each expert's are cut into tiles of rows,
// and a tile is multiplied with the matrix of its expert alone: nothing is
// computed for experts that nobody chose. Heads are experts that every token
// chooses, all of them in order.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_EXPERTS_H
#define CLADE_CODEGEN_CPU_EXPERTS_H

#include "lib/CodeGen/CPU/Product.h"

namespace clade::cpu {

/// The static part of a product by experts.
struct ExpertsShape {
  int64_t experts;
  int64_t active;         ///< Choices of a token.
  int64_t n, k;           ///< Rows and columns of an expert's matrix.
  mlir::Type elementType; ///< bf16 or f32, of the input and of plain weights.
  bool perChoice;         ///< The input has a row for each choice of a token.
  /// Every token chooses all experts in order: `active` is `experts`.
  bool choosesAll = false;
  /// As in `ProductShape`.
  WeightForm form = WeightForm::Plain;
  bool isExact = false;

  /// The product of one expert, in tiles of the rows of a class.
  ProductShape product(const Target &target, TokenClass tokens) const;
};

/// Bytes of scratch memory that each thread needs.
int64_t expertsScratchBytes(const Target &target, const ExpertsShape &shape);

/// Bytes of memory that all threads share, for `tokens` tokens in steps of 64
/// and at least 64 more: what a step's packed activations get.
int64_t expertsPlanBytesPerToken(const ExpertsShape &shape);

/// What a product by experts reads, as !llvm.ptr; the numbers are of type
/// index.
struct ExpertsOperands {
  mlir::Value step;
  mlir::Value input;   ///< [tokens, k] or [tokens, active, k]
  mlir::Value chosen;  ///< [tokens, active] i32; not read if all are chosen
  mlir::Value weights; ///< Packed, one matrix after the other.
  mlir::Value plan;    ///< Shared memory, see expertsPlanBytesPerToken.
  mlir::Value scratch; ///< This thread's.
  mlir::Value numTokens, thread, numThreads;
};

/// Consumes one vector of sums of the choice `row` (place in [tokens, active])
/// and the expert `expert`; otherwise as `ProductEpilogue`.
using ExpertsEpilogue = llvm::function_ref<void(
    mlir::OpBuilder &builder, mlir::Location loc, mlir::Value row,
    mlir::Value expert, mlir::Value column, mlir::Value accumulator,
    mlir::Value mask)>;

/// Emits this thread's part. Meets the other threads at one barrier, after the
/// choices are sorted, if there is a choice. Results do not depend on the
/// number of threads.
void emitExperts(mlir::OpBuilder &builder, mlir::Location loc,
                 const Target &target, const ExpertsShape &shape,
                 const ExpertsOperands &operands, ExpertsEpilogue epilogue);

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_EXPERTS_H
