//===- TiledProduct.h - Products on tensor cores -------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The product for many rows: a block computes a tile of the result on tensor
// cores, from tiles of both operands that asynchronous copies bring to shared
// memory some steps ahead. Any number of rows and of output features; what is
// asked of the operands says `canTile`.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_TILEDPRODUCT_H
#define CLADE_CODEGEN_CUDA_TILEDPRODUCT_H

#include "lib/CodeGen/CUDA/Product.h"

namespace clade::cuda {

/// Whether there is a tiled product for these types and sizes: both operands
/// are bf16, and rows are copied in pieces of at least four bytes, which must
/// be aligned.
bool canTile(const Product &product);

/// The grid of tiled products with `n` output features.
Grid tiledGrid(int64_t n);
/// Dynamic shared memory of a block, in bytes.
int64_t tiledSharedBytes();

/// Emits a product for that grid.
void emitTiledProduct(mlir::OpBuilder &builder, mlir::Location loc,
                      const Product &product, Epilogue epilogue);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_TILEDPRODUCT_H
