//===- LinearScan.h - Linear recurrences over a sequence ----- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The block of a scan that is a LinearRecurrence, token after token. What a
// matrix S [keys, values] holds for one value depends on no other, so a warp
// has a few values of a head: its lanes share the keys, and S stays in their
// registers from the sequence's first token in the step to its last.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_LINEARSCAN_H
#define CLADE_CODEGEN_CUDA_LINEARSCAN_H

#include "dialect/Clade/LinearRecurrence.h"
#include "lib/CodeGen/CUDA/Product.h"

namespace clade::cuda {

/// A recurrence and where its operands are: `step` is the CladeStep, `state`
/// the CladeRecurrentState with pages of `stateBytes`, which begin with S of
/// all heads in f32.
struct LinearScan {
  LinearRecurrence parts;
  int64_t stateBytes;
  mlir::Value step, state;
  /// The parts of a token as f32: of the head, or at a key or a value of it.
  using Row = std::function<mlir::Value(mlir::Value part, mlir::Value head,
                                        mlir::Value at)>;
  /// All numbers of tokens, heads, keys and values are indices.
  std::function<Row(mlir::Value token)> rowAt;
  /// S where a sequence begins with `token`; null if it is zero.
  std::function<mlir::Value(mlir::Value token, mlir::Value head,
                            mlir::Value key, mlir::Value value)>
      initial;
  /// Takes y[token][head][value] as f32.
  std::function<void(mlir::Value token, mlir::Value head, mlir::Value value,
                     mlir::Value y)>
      store;
};

Grid linearScanGrid(const LinearRecurrence &parts);

/// Emits the block. Blocks of a token that is no first of its sequence return
/// at once.
void emitLinearScan(mlir::OpBuilder &builder, mlir::Location loc,
                    const LinearScan &scan);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_LINEARSCAN_H
