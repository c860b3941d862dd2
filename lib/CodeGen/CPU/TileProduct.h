//===- TileProduct.h - Products by the tile registers of AMX ----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The sums of products whose arithmetic is that of tiles: up to 16 rows of 64
// bytes in a register. Weights in panels are what a tile takes on its right
// side: 16 pairs of columns of bf16 of 16 rows of the matrix, or eight words of
// four columns of codes of 8 bits. What it takes on its left side are rows of
// activations, 64 bytes of each, or the 32 codes of a group.
//
// Sums of tiles go to memory before an epilogue sees them: nothing that is
// called in between has to keep tiles.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_TILEPRODUCT_H
#define CLADE_CODEGEN_CPU_TILEPRODUCT_H

#include "lib/CodeGen/CPU/Product.h"
#include "lib/CodeGen/CPU/TileOps.h"

namespace clade::cpu {

/// Bytes of memory on the stack that a product by tiles needs: the sums f32
/// [MR][R], which come first, a piece of a panel or one tile of integers, and
/// the configuration.
int64_t tileBufferBytes(const Target &target, const ProductShape &shape);

/// Configures the tiles of this thread for a product. `buffer` is memory as
/// above.
void emitConfigureTiles(mlir::OpBuilder &builder, mlir::Location loc,
                        const Target &target, const ProductShape &shape,
                        mlir::Value buffer);

/// Writes to `buffer` the sums of the tile of activations at `a`, of which
/// `count` rows (index) are wanted, with all rows of the panel at `w`. A sum is
/// made in steps of 32 columns, in ascending order: in each, as the instruction
/// does it, one sum of the even columns and one of the odd ones, whose sum is
/// added to what there was. That holds for any MR and any row.
void emitTileSums(mlir::OpBuilder &builder, mlir::Location loc,
                  const Target &target, const ProductShape &shape,
                  mlir::Value a, mlir::Value w, mlir::Value count,
                  mlir::Value buffer);

/// Adds to the sums at `sums`, f32 [MR][R] of which the first `rows` (index)
/// are wanted, the products of `steps` (index) steps of 32 columns of
/// activations from `a` on and of pairs of columns from `w` on. Sums begin with
/// zero where `isFirst` (i1). `beside` is emitted once for each step.
void emitTilePiece(
    mlir::OpBuilder &builder, mlir::Location loc, const Target &target,
    const ProductShape &shape, mlir::Value a, mlir::Value w, mlir::Value steps,
    mlir::Value rows, mlir::Value isFirst, mlir::Value sums,
    llvm::function_ref<void(mlir::OpBuilder &, mlir::Value step)> beside);

/// Of codes of 8 bits: multiplies the 16 rows of codes of a group at `a` with
/// 16 of the panel's, whose first words are at `w`. Returns the address, in
/// `buffer`, of the sums i32 [16][16]: signed codes of activations times
/// unsigned ones of weights.
mlir::Value emitTileIntegers(mlir::OpBuilder &builder, mlir::Location loc,
                             const Target &target, const ProductShape &shape,
                             mlir::Value a, mlir::Value w, mlir::Value buffer);

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_TILEPRODUCT_H
