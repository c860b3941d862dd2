//===- TiledProduct.h - Products on tensor cores -------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The products for many rows: a block computes a tile of the result. Any number
// of rows and of output features; what is asked of the operands says `canTile`.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_TILEDPRODUCT_H
#define CLADE_CODEGEN_CUDA_TILEDPRODUCT_H

#include "lib/CodeGen/CUDA/Product.h"
#include "lib/CodeGen/CUDA/TileEmitter.h"

namespace clade::cuda {

/// The grid of tiled products with `n` output features.
Grid tiledGrid(const Tiling &tiling, int64_t n);

/// The rows from which on there are enough tiles for the multiprocessors of a
/// GPU.
int64_t firstBusyRows(const Tiling &tiling, int64_t n);

/// Where the tile of this block begins (row and column, index) in a product of
/// `rows` (index) rows of activations of `rowBytes` bytes each. Blocks that run
/// together take a few rows of tiles, and columns one after another: their
/// activations stay in L2, and weights come from memory once for each such
/// group. Every other group goes back, since the weights it begins with were
/// used last.
std::pair<mlir::Value, mlir::Value>
emitTilePlace(mlir::OpBuilder &builder, mlir::Location loc,
              const Target &target, const Tiling &tiling, int64_t n,
              int64_t rowBytes, mlir::Value rows);

/// What tensor maps describe for a tiling with a producer.
MappedRows mappedInput(const Tiling &tiling, int64_t k);
MappedRows mappedWeight(const Tiling &tiling, int64_t n, int64_t k);

/// Adds the kernels of `product` for many rows to those for few, of which the
/// last one is left the rest; none if it has no tiles.
void addTiledKernels(const Target &target, const Product &product,
                     llvm::SmallVectorImpl<ProductKernel> &kernels);

/// Emits a product for that grid.
void emitTiledProduct(mlir::OpBuilder &builder, mlir::Location loc,
                      const Target &target, const Tiling &tiling,
                      const Product &product, Epilogue epilogue);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_TILEDPRODUCT_H
