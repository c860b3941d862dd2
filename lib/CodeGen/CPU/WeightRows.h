//===- WeightRows.h - Weights read as they are published --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A checkpoint holds a matrix row by row. Products multiply panels, in which
// the same column of neighbouring rows lies side by side. What is here makes
// panels out of rows while they are read, in registers, so that weights are
// used where the file is mapped and take no memory of their own. See
// docs/rationale/published-rows.md.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_WEIGHTROWS_H
#define CLADE_CODEGEN_CPU_WEIGHTROWS_H

#include "lib/CodeGen/CPU/Target.h"
#include "mlir/IR/Builders.h"

namespace clade::cpu {

/// A weight matrix [n, k] of bf16 or f32 in one or several parts, whose rows
/// follow each other. A group is P neighbouring elements of a row: 32 bits.
class WeightRows {
public:
  /// `partRows` are the rows of each part: multiples of R but for the last one;
  /// `parts` are !llvm.ptr. Elements need only their own alignment.
  WeightRows(mlir::Location loc, const Target &target, mlir::Type elementType,
             int64_t k, llvm::ArrayRef<int64_t> partRows,
             mlir::ValueRange parts);

  /// The addresses of `width` rows of panel `panel` (index), from row
  /// `firstColumn` of the panel on. Rows past n are the last one again.
  llvm::SmallVector<mlir::Value>
  rows(mlir::OpBuilder &builder, mlir::Value panel, int64_t firstColumn) const;

  /// The groups [first, first + count) of the rows, one vector of `width` lanes
  /// a group: of f32, or of i32 for pairs of bf16. `first` is of type index,
  /// `count` at most `width`. What lies past k is zero and not read.
  /// `isLast`: the groups are the last ones of the row.
  llvm::SmallVector<mlir::Value> transposed(mlir::OpBuilder &builder,
                                            llvm::ArrayRef<mlir::Value> rows,
                                            mlir::Value first, int64_t count,
                                            bool isLast) const;

  /// Asks for the same groups of the rows that come `ahead` rows later.
  void prefetch(mlir::OpBuilder &builder, llvm::ArrayRef<mlir::Value> rows,
                mlir::Value first, int64_t ahead) const;

  /// Writes panel `panel` to `memory`, in the packed form.
  void copyPanel(mlir::OpBuilder &builder, mlir::Value panel,
                 mlir::Value memory) const;

  /// Emits `body` for all groups in ascending order, `width` at a time and then
  /// the rest; it gets and returns what is carried.
  using Body = llvm::function_ref<llvm::SmallVector<mlir::Value>(
      mlir::OpBuilder &, mlir::Value first, int64_t count, bool isLast,
      mlir::ValueRange carried)>;
  llvm::SmallVector<mlir::Value>
  forGroups(mlir::OpBuilder &builder, mlir::ValueRange init, Body body) const;

private:
  mlir::Location loc;
  const Target &target;
  mlir::Type elementType;
  int64_t k, n = 0, pack;
  llvm::SmallVector<int64_t> partRows;
  llvm::SmallVector<mlir::Value> parts;
};

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_WEIGHTROWS_H
