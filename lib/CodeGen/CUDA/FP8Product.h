//===- FP8Product.h - Products with weights in FP8 ------------ -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels of products whose weights are blocks of FP8 in panels, and whose
// activations are rows of f16 (FP8Cores.h). For few rows a block streams a
// panel, which its warps share by blocks of columns; for more there are tiles
// (FP8Tile.cpp).
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_FP8PRODUCT_H
#define CLADE_CODEGEN_CUDA_FP8PRODUCT_H

#include "lib/CodeGen/CUDA/Experts.h"
#include "lib/CodeGen/CUDA/TileEmitter.h"

namespace clade::cuda {

/// What productKernels and expertsKernels have for weights in FP8.
llvm::SmallVector<ProductKernel> fp8ProductKernels(const Target &target,
                                                   const Product &product);
llvm::SmallVector<ExpertsKernel>
fp8ExpertsKernels(const Target &target, const ExpertsProduct &product);

/// Tiles of 128 rows of activations and 128 features, and of 64 and 64; a step
/// is a block of columns.
Tiling largeFP8Tiling(const Target &target);
Tiling smallFP8Tiling(const Target &target);
/// Dynamic shared memory of a block.
int64_t fp8TileBytes(const Tiling &tiling);

/// Emits the product of a tile of `n` features and `k` columns, whose weight is
/// panels from `tile.weight` on and whose activations are rows of f16. All
/// threads of the block must get here. `store` as in TileEmitter.
void emitFP8Tile(mlir::OpBuilder &builder, mlir::Location loc,
                 const Tiling &tiling, int64_t n, int64_t k, const Tile &tile,
                 llvm::function_ref<void(mlir::Value row, mlir::Value column,
                                         mlir::Value sum)>
                     store);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_FP8PRODUCT_H
