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
// registers from the sequence's first token in the step to its last. Prompts in
// bf16 are for ChunkScan.h.
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
/// at once, and if `hasChunks` those of sequences that are left to
/// emitChunkScan.
void emitLinearScan(mlir::OpBuilder &builder, mlir::Location loc,
                    const LinearScan &scan, bool hasChunks);

/// An element of S of a head: its key and value (indices), whose numbers are
/// valid, and whether it is there; null if that is certain.
struct StatePlace {
  mlir::Value key, value, isThere;
};
/// Where S of all heads of a sequence is.
mlir::Value emitStatePage(mlir::OpBuilder &builder, mlir::Location loc,
                          const LinearScan &scan, mlir::Value sequence);
/// Elements of S of `head` before `token`, the first of its sequence in the
/// step: as the step before left it at `page`, or as a sequence begins.
llvm::SmallVector<mlir::Value>
emitLoadState(mlir::OpBuilder &builder, mlir::Location loc,
              const LinearScan &scan, mlir::Value page, mlir::Value token,
              mlir::Value head, llvm::ArrayRef<StatePlace> places);
/// Stores those that are there.
void emitStoreState(mlir::OpBuilder &builder, mlir::Location loc,
                    const LinearScan &scan, mlir::Value page, mlir::Value head,
                    llvm::ArrayRef<StatePlace> places,
                    llvm::ArrayRef<mlir::Value> state);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_LINEARSCAN_H
