//===- GroupProduct.h - Products with quantised weights ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The inner loops of products whose weights are codes with a scale for each
// group of 32 columns of a row, in panels as runtime/Weights/PackedBlocks.h has
// them. Activations come in two ways:
//
//   quantised  codes of 8 bits with a scale for each group of 32, multiplied by
//              the CPU's integer dot products. For each tile and group: the
//              codes [8][MR][4], or [MR][32] for AMX (TileProduct.h), or where
//              weights of 8 bits are multiplied as 16 bits i16 [8][2][MR][2],
//              the even and the odd ones of four columns; scales f32 [MR], and
//              i32 [parts][MR] what a sum of a part begins with, so that codes
//              of weights may be unsigned; of forms with a minimum f32 [MR],
//              the sum of the group as its codes stand for it. A value is off
//              by at most 1/254 of the largest of its group
//   exact      f32 [columns][MR], multiplied by what the codes stand for
//
// Weights that have one scale for a row are multiplied by activations in groups
// of 128 columns, [32][MR][4]; a sum is multiplied by the row's scale at its
// end.
//
// Both are padded with zeros to whole groups. A group of numbers that are all
// below 2^-120 is taken as zero.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_GROUPPRODUCT_H
#define CLADE_CODEGEN_CPU_GROUPPRODUCT_H

#include "lib/CodeGen/CPU/Product.h"
#include "runtime/Weights/PackedBlocks.h"

namespace clade::cpu {

/// Columns that weights lie in groups of.
inline constexpr int64_t groupColumns = rt::packedGroupColumns;

/// The form of blocks of `format`, a name of `!wmap.block`.
WeightForm weightFormOf(llvm::StringRef format);
/// How blocks of a form that is not Plain lie in panels.
const rt::PackedLayout &packedLayoutOf(WeightForm form);

/// What codes of a form are greater than the numbers that they stand for while
/// they are multiplied.
int64_t groupOffset(const Target &target, WeightForm form);
/// Columns of a row as it is packed: k and zeros up to whole blocks.
int64_t packedColumns(WeightForm form, int64_t k);
/// Bytes of a panel's blocks of one block's columns, and of a panel of rows of
/// k columns.
int64_t panelBlockBytes(const Target &target, WeightForm form);
int64_t panelBytes(const Target &target, WeightForm form, int64_t k);
/// Columns of a group of activations, which share a scale where they are
/// quantised.
int64_t activationGroup(const ProductShape &shape);
/// Bytes of a code of activations: 2 where no instruction multiplies weights of
/// 8 bits with codes of both signs.
int64_t activationCodeBytes(const Target &target, WeightForm form);
/// Bytes of the group of a tile of `shape.rowTile` rows of activations.
int64_t groupTileBytes(const Target &target, const ProductShape &shape);
/// Rows and columns of the register tile.
int64_t groupRegisterRows(const Target &target, const ProductShape &shape);
int64_t groupColumnTile(const Target &target, const ProductShape &shape);

/// Emits the sums of one register tile, row by row: `rows` rows of the tile of
/// activations at `a` and `columns` columns from `firstColumn` of the panel at
/// `w` on. `buffer` is the product's memory, which tiles need.
llvm::SmallVector<mlir::Value>
emitGroupSums(mlir::OpBuilder &builder, mlir::Location loc,
              const Target &target, const ProductShape &shape, mlir::Value a,
              mlir::Value w, int64_t firstColumn, int64_t rows, int64_t columns,
              mlir::Value buffer);

/// Writes the groups [first, first + count) (index) of the panel at `w` to
/// `memory` as numbers of bf16, each the nearest to what its code stands for:
/// pairs of neighbouring columns, [16][R] of them for each group. The CPU has
/// AVX512-BF16.
void emitDecodeGroups(mlir::OpBuilder &builder, mlir::Location loc,
                      const Target &target, const ProductShape &shape,
                      mlir::Value w, mlir::Value first, mlir::Value count,
                      mlir::Value memory);

/// Of a group of some rows, one a lane, what codes are multiplied by: one scale
/// for each part, f32; and where there is one the minimum that is subtracted.
struct GroupScales {
  llvm::SmallVector<mlir::Value, 2> scales;
  mlir::Value minimum;
};
/// Emits the scales of `width` rows of a panel, as vectors or, of one, as
/// scalars. `block` is where a block of the panel begins, `group` where its
/// group number `index` does, `row` (index) the first of the rows.
GroupScales emitGroupScales(mlir::OpBuilder &builder, mlir::Location loc,
                            const Target &target, WeightForm form,
                            mlir::Value block, mlir::Value group,
                            mlir::Value index, mlir::Value row, int64_t width);

/// Bytes of the row that emitPackGroups takes.
int64_t groupRowBytes(const ProductShape &shape);
/// Writes zeros behind the k values of such a row.
void emitPadRow(mlir::OpBuilder &builder, mlir::Location loc,
                const ProductShape &shape, mlir::Value values);
/// Packs row `row` of the activations to its place at `base`: k values of f32,
/// and behind them zeros up to a whole group.
void emitPackGroups(mlir::OpBuilder &builder, mlir::Location loc,
                    const Target &target, const ProductShape &shape,
                    mlir::Value values, mlir::Value row, mlir::Value base);

/// The numbers of a row of a matrix in panels: calls `store` with vectors of
/// four f32 and the columns (index) of their first lanes, up to whole groups of
/// 32.
void emitUnpackGroups(
    mlir::OpBuilder &builder, mlir::Location loc, const Target &target,
    WeightForm form, int64_t k, mlir::Value weights, mlir::Value row,
    llvm::function_ref<void(mlir::OpBuilder &, mlir::Value column,
                            mlir::Value vector)>
        store);

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_GROUPPRODUCT_H
