//===- GroupTile.h - Tiles of products in groups -------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products of many rows of activations with weights in groups (GroupCores.h): a
// block has a tile of the result, each warp the rows of one panel. Records come
// to shared memory, a few batches ahead; codes go to registers, one batch
// ahead, since no other warp of the block needs them.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_GROUPTILE_H
#define CLADE_CODEGEN_CUDA_GROUPTILE_H

#include "lib/CodeGen/CUDA/Experts.h"
#include "lib/CodeGen/CUDA/TileEmitter.h"

namespace clade::cuda {

/// Tiles of 128 rows of activations and 128 features, and of 64 and 64; a step
/// is a batch of records.
Tiling largeGroupTiling();
Tiling smallGroupTiling();
/// Dynamic shared memory of a block.
int64_t groupTileBytes(const Tiling &tiling);

/// Emits a product for the grid of `tiling`.
void emitTiledGroups(mlir::OpBuilder &builder, mlir::Location loc,
                     const Target &target, const Tiling &tiling,
                     const Product &product, Epilogue epilogue);

/// The same by experts, whose choices are grouped (TiledExperts.h).
void emitTiledExpertGroups(mlir::OpBuilder &builder, mlir::Location loc,
                           const Tiling &tiling, const ExpertsProduct &product,
                           ExpertsEpilogue epilogue);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_GROUPTILE_H
