//===- HalfRows.h - Activations in f16 ------------------------ -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Activations of products whose weights are f16 or FP8, between two launches,
// where a model computes in bf16. Tensor cores multiply f16 by f16 alone, and
// numbers of a model may lie beyond its range: so a row is multiplied by the
// power of two that brings its largest magnitude to [2^14, 2^15). What that
// leaves below the normal numbers of f16 is at most 2^-28 of the largest; its
// error is at most 2^-39 of that, less than what sums in f32 lose; all other
// numbers of bf16 are exact, and what is computed for the product is rounded to
// 11 bits. Behind all rows, from a multiple of four bytes on, a scale in f32
// for each, by which its sums are multiplied.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_HALFROWS_H
#define CLADE_CODEGEN_CUDA_HALFROWS_H

#include "mlir/IR/Builders.h"

namespace clade::cuda {

/// Whether activations of type `input` become such rows for a weight in f16.
inline bool takesHalfRows(mlir::Type input, mlir::Type weight) {
  return weight.isF16() && input.isBF16();
}

struct HalfRows {
  int64_t k;        ///< Numbers of a row.
  int64_t perToken; ///< Rows of a token.
  /// Each four numbers are in the order 0, 2, 1, 3, in which words of codes
  /// become f16, and scales are 2^8 more: codes become 2^-8 of their numbers
  /// (FP8Cores.h).
  bool isForFP8 = false;

  /// Bytes for each token.
  int64_t bytesPerToken() const;
  /// Where row `row` of a step of `tokens` tokens is, and where its scale is;
  /// both index, `base` and results !llvm.ptr.
  mlir::Value rowAt(mlir::OpBuilder &builder, mlir::Location loc,
                    mlir::Value base, mlir::Value row) const;
  mlir::Value scaleAt(mlir::OpBuilder &builder, mlir::Location loc,
                      mlir::Value base, mlir::Value tokens,
                      mlir::Value row) const;
};

/// For the largest magnitude of a row (f32): its scale, a power of two, and
/// what numbers are multiplied by, the inverse.
std::pair<mlir::Value, mlir::Value>
emitHalfScale(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value most);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_HALFROWS_H
