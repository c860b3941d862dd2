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

/// Emits a product for that grid.
void emitTiledProduct(mlir::OpBuilder &builder, mlir::Location loc,
                      const Target &target, const Tiling &tiling,
                      const Product &product, Epilogue epilogue);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_TILEDPRODUCT_H
