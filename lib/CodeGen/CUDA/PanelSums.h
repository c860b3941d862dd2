//===- PanelSums.h - Sums that warps of a block share --------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The end of products of few rows: the warps of a block have partial sums of
// the same 16 features and up to eight rows of activations, as tensor cores
// leave them, and join them through shared memory.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_PANELSUMS_H
#define CLADE_CODEGEN_CUDA_PANELSUMS_H

#include "lib/CodeGen/CUDA/TensorCores.h"

namespace clade::cuda {

/// Features of a block, and rows of activations that it computes at once.
inline constexpr int64_t panelRows = 16, inputRows = 8;
/// Bytes that the rows of a panel have of a word each.
inline constexpr int64_t runBytes = 4 * panelRows;

/// Panels of a matrix with `n` rows.
int64_t numPanels(int64_t n);

/// The address of row or panel `number` (index) behind `base`, of those with
/// `bytes` bytes each.
mlir::Value addressOf(mlir::OpBuilder &builder, mlir::Location loc,
                      mlir::Value base, mlir::Value number, int64_t bytes);

class PanelSums : TensorCores {
public:
  /// `rows` (i32) of the activations are there; null for a single one.
  PanelSums(mlir::OpBuilder &builder, mlir::Location loc, int64_t numWarps,
            mlir::Value rows);

  /// Shared memory that joining takes, for blocks of so many warps.
  static int64_t sharedBytes(int64_t numWarps, int64_t numRows);

  /// Joins four sums of each lane 4 g + t: features 2 g and 2 g + 1, of each
  /// rows 2 t and 2 t + 1; of a single row the first and third. All threads of
  /// the block must get here. `store` is called once in the code with a row, a
  /// feature (index) and their sum.
  void join(llvm::ArrayRef<mlir::Value> sums,
            llvm::function_ref<void(mlir::Value row, mlir::Value column,
                                    mlir::Value sum)>
                store);

private:
  void storePairs(llvm::ArrayRef<mlir::Value> sums);
  void storeSingle(llvm::ArrayRef<mlir::Value> sums);
  int64_t warpBytes() const;

  int64_t numWarps;
  mlir::Value rows, warp, begin; ///< i32; where this lane's features begin.
};

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_PANELSUMS_H
