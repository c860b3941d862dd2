//===- PanelTile.h - Tiles of weights in codes ---------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights in blocks (PackedBlocks.h, panels of 16 rows) on their way to a tile
// in shared memory: threads load codes to registers, and write what they stand
// for as rows of bf16, as copies of rows in bf16 would lie there. So products
// of many rows of activations are those with weights in bf16 (TileEmitter.h),
// and an operation of scales is one for a number of the tile, not one for each
// of its products.
//
// A warp has groups of a panel: 16 rows and 32 columns. A lane has 16 of the
// columns of one row, two pieces of shared memory.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_PANELTILE_H
#define CLADE_CODEGEN_CUDA_PANELTILE_H

#include "lib/CodeGen/CUDA/TileEmitter.h"
#include "runtime/Weights/PackedBlocks.h"

namespace clade::cuda {

class PanelTile : TensorCores {
public:
  /// Of a matrix with `n` rows and `k` columns, whose panels begin at `weight`:
  /// the tile from row `column` (index) on.
  PanelTile(mlir::OpBuilder &builder, mlir::Location loc, const Tiling &tiling,
            const rt::PackedLayout &layout, int64_t n, int64_t k,
            mlir::Value weight, mlir::Value column);

  /// What a lane has of a group, as it lies in memory.
  struct Codes {
    Values words; ///< i32: low bits of codes.
    Values tops;  ///< i32: bits above the fourth, or none.
    /// Integers or f16: what scales are made of, in the order of memory.
    Values scales;
    mlir::Value inBlock; ///< i32: which group of its block it is.
  };
  /// Groups of a warp in a step.
  int64_t numGroups() const;
  /// Loads group `which` of this warp in `step` (i32). In place of groups
  /// behind the last one it has that: they meet zeros.
  Codes load(int64_t which, mlir::Value step);
  /// Writes it to the stage at `stage` (i32, bytes).
  void store(int64_t which, const Codes &codes, mlir::Value stage);

private:
  /// Which of the panels of its warp a group is of.
  int64_t panelOf(int64_t which) const { return which % panelsOfWarp; }
  mlir::Value groupOf(int64_t which);
  mlir::Value loadAt(mlir::Type type, mlir::Value pointer, mlir::Value offset);
  void loadScales(Codes &codes, mlir::Value unit, mlir::Value group);
  /// What a code is multiplied by, and what is added to it: of codes that come
  /// with a number that they lie in. f32, or null.
  struct Scale {
    mlir::Value factor, offset;
  };
  /// Those of both pieces.
  std::array<Scale, 2> scalesOf(const Codes &codes);
  /// The words of both pieces with one code in a byte each.
  Values bytesOf(const Codes &codes);
  mlir::Value numberOf(mlir::Value word, int64_t byte, const Scale &scale);
  mlir::Value fp8NumberOf(mlir::Value word, int64_t byte);

  const Tiling &tiling;
  const rt::PackedLayout &layout;
  const int64_t groups; ///< Of a row.
  /// Warps have so many panels of a tile at once, and groups of each; a warp
  /// has so many panels.
  const int64_t panelsAtOnce, panelsOfWarp, groupsAtOnce;
  mlir::Value warp, row, half; ///< i32: of the lane, the row and which 16.
  Values panelAt;              ///< !llvm.ptr, of each panel of this warp.
  mlir::Value rowAt;           ///< i32: where the lane's row is in a stage.
};

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_PANELTILE_H
