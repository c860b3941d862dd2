//===- TileBlocks.h - Products of many rows by tiles ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The order in which tiles multiply many rows. A tile's multiplication takes as
// long as loading two KiB from the second level of caches, so of the two sides
// one has to come from the first: a piece of a panel, as long as it fits there,
// is multiplied with all rows of a block before the next piece. Sums wait in
// memory meanwhile. A group of panels shares what is read of activations;
// weights and sums that come next are asked for while there is time.
//
//   for each block of rows, group of panels:
//     for each piece of K, panel of the group, tile of rows of the block:
//       sums += activations · weights
//
// Of a sum the steps of K come in ascending order, as in one tile
// (TileProduct.h): where a sum waits changes nothing of it.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_TILEBLOCKS_H
#define CLADE_CODEGEN_CPU_TILEBLOCKS_H

#include "lib/CodeGen/CPU/Product.h"
#include "lib/CodeGen/CPU/TileOps.h"

namespace clade::cpu {

/// What a product by blocks is made of.
struct TileBlocksInput {
  /// Packed activations, tiles of 32 rows of bf16, and how many rows are
  /// wanted (index).
  mlir::Value activations, numRows;
  /// `tileBlocksBytes` of the thread's own.
  mlir::Value memory;
  mlir::Value thread, numThreads;
  /// Steps that pieces hold a multiple of.
  int64_t stepAlign = 1;
  /// Panels that share activations at most.
  int64_t groupPanels = 8;
  /// Bytes of a panel that hold a step of K; 0 where weights are not asked
  /// for ahead.
  int64_t sourceStepBytes = 0;

  /// Where a panel's step lies, which is only asked for.
  llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Value panel,
                                 mlir::Value step)>
      source;
  /// The address of the pairs of bf16 of `count` steps of a panel from
  /// `first` on. They may be made at `memory`, which has room for a piece.
  llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Value panel,
                                 mlir::Value first, mlir::Value count,
                                 mlir::Value memory)>
      piece;
  /// Takes the sums f32 [32][R], of which `count` rows from `firstRow` on are
  /// wanted.
  llvm::function_ref<void(mlir::OpBuilder &, mlir::Value panel,
                          mlir::Value firstRow, mlir::Value count,
                          mlir::Value sums)>
      finish;
};

/// Bytes of memory of a thread's own that such a product needs.
int64_t tileBlocksBytes(const Target &target, const ProductShape &shape);

/// Emits this thread's part of the product. Tiles are configured.
void emitTileBlocks(mlir::OpBuilder &builder, mlir::Location loc,
                    const Target &target, const ProductShape &shape,
                    const TileBlocksInput &in);

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_TILEBLOCKS_H
