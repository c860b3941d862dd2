//===- TiledExperts.h - Experts on tensor cores --------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products of many tokens by experts, in two launches. The first groups choices
// by experts; in the second, blocks multiply tiles of a group's activations,
// gathered from where they are, with tiles of its expert's matrix.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_TILEDEXPERTS_H
#define CLADE_CODEGEN_CUDA_TILEDEXPERTS_H

#include "lib/CodeGen/CUDA/Experts.h"
#include "lib/CodeGen/CUDA/TileEmitter.h"

namespace clade::cuda {

/// Bytes for each token that groups take, where there are at least 64 tokens or
/// room for them.
int64_t groupBytesPerToken(const ExpertsProduct &product);

/// The grid of emitGroups, and the shared memory of its block.
Grid groupsGrid();
int64_t groupsSharedBytes(const ExpertsProduct &product);

/// Emits the grouping of `product.chosen` by experts to `product.groups`: where
/// each group begins and the last one ends, then the numbers of choices, group
/// by group; all i32. Their order in a group changes from run to run, which no
/// sum depends on.
void emitGroups(mlir::OpBuilder &builder, mlir::Location loc,
                const ExpertsProduct &product);

/// A block's tile of a product by experts: rows of one group, and columns.
struct ExpertTile {
  mlir::Value expert;      ///< index: whose matrix it is.
  mlir::Value columnBlock; ///< index: which tile of its columns.
  mlir::Value count;       ///< i32: rows of the tile that are there.
  /// The number of the choice in all of the step, and the row of activations,
  /// for a row of the tile (index each).
  std::function<mlir::Value(mlir::Value row)> placeOf, inputRow;
};

/// Finds the tile of a block in a grid of `experts` times `columnBlocks` blocks
/// for each `m` rows, and emits `body` for blocks whose group is so long.
void emitExpertTile(mlir::OpBuilder &builder, mlir::Location loc, int64_t m,
                    int64_t columnBlocks, const ExpertsProduct &product,
                    llvm::function_ref<void(const ExpertTile &)> body);

/// The grid of emitTiledExperts.
Grid tiledExpertsGrid(const Tiling &tiling, const ExpertsProduct &product);

/// The number of tokens from which on groups fill tiles of largeTiling.
int64_t firstLargeTokens(const Target &target, const ExpertsProduct &product);

/// Adds the kernels of `product` for many tokens to that for few, which is left
/// the rest. Whether it has any.
bool addTiledExperts(const Target &target, const ExpertsProduct &product,
                     llvm::SmallVectorImpl<ExpertsKernel> &kernels);

/// Emits a product for that grid.
void emitTiledExperts(mlir::OpBuilder &builder, mlir::Location loc,
                      const Tiling &tiling, const ExpertsProduct &product,
                      ExpertsEpilogue epilogue);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_TILEDEXPERTS_H
