//===- TileOps.h - The tile registers of AMX --------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Instructions on the eight tile registers of AMX, by number. LLVM's intrinsics
// for that are the instructions and nothing else, in the order in which they
// are emitted; its allocation of tiles would configure them anew in every
// function and around calls.
//
// A thread that multiplies configures its own tiles first and releases them
// when it is done, so that nothing of them outlives a kernel. Nothing that is
// called in between keeps tiles.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_TILEOPS_H
#define CLADE_CODEGEN_CPU_TILEOPS_H

#include "mlir/IR/Builders.h"

namespace clade::cpu {

/// Which tiles hold what: four of sums, two of what stands on the left of a
/// product, two of what stands on its right.
inline constexpr int64_t firstRowTile = 4, firstColumnTile = 6;
/// Columns of bf16 that are multiplied at once: those of a tile's row.
inline constexpr int64_t tileColumns = 32;
/// Bytes of a tile's row, and of what LDTILECFG takes.
inline constexpr int64_t tileRowBytes = 64, tileConfigBytes = 64;

/// Configures the tiles of this thread: 0 to 3 for sums of `rows` rows, 4 and 5
/// for `rows` rows of `bytes` bytes, and 6 and 7 for what they are multiplied
/// with, `bytes` / 4 rows; all other rows have 64 bytes. `memory` has room for
/// the operand of LDTILECFG.
void emitTileConfig(mlir::OpBuilder &builder, mlir::Location loc, int64_t rows,
                    int64_t bytes, mlir::Value memory);
void emitReleaseTiles(mlir::OpBuilder &builder, mlir::Location loc);

void emitZeroTile(mlir::OpBuilder &builder, mlir::Location loc, int64_t tile);
/// Loads or stores a tile whose rows are `stride` bytes apart.
void emitLoadTile(mlir::OpBuilder &builder, mlir::Location loc, int64_t tile,
                  mlir::Value address, int64_t stride);
/// Loads what is not needed again soon: the first level of caches keeps what it
/// has.
void emitLoadTileOnce(mlir::OpBuilder &builder, mlir::Location loc,
                      int64_t tile, mlir::Value address, int64_t stride);
void emitStoreTile(mlir::OpBuilder &builder, mlir::Location loc, int64_t tile,
                   mlir::Value address, int64_t stride);
/// Adds to the tile `sums`, f32, the product of `rows`, pairs of bf16 side by
/// side, with `columns`, pairs of bf16 below each other.
void emitMultiplyTiles(mlir::OpBuilder &builder, mlir::Location loc,
                       int64_t sums, int64_t rows, int64_t columns);
/// The same of codes of 8 bits, signed in `rows` and unsigned in `columns`, in
/// fours; `sums` is i32.
void emitMultiplyByteTiles(mlir::OpBuilder &builder, mlir::Location loc,
                           int64_t sums, int64_t rows, int64_t columns);

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_TILEOPS_H
