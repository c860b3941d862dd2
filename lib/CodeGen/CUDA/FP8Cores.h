//===- FP8Cores.h - Weights in FP8 on tensor cores ------------ -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products of weights in blocks of FP8 (PackedBlocks.h, panels of 16 rows) with
// activations in f16 (HalfRows.h). A code of E4M3 becomes f16 by moving its
// bits: seven of them seven places, as the exponent has one bit more there and
// another bias, so that the number is 2^-8 of what the code stands for; that is
// exact, also below the normal numbers, and activations' scales make up for it.
// These are a few operations of integers for a word of four codes, on all
// architectures; sm_89 and later also have a conversion, which is no shorter
// way from words of rows to fragments.
//
// A lane with number 4 g + t has rows 2 g and 2 g + 1 of a panel, and of each
// 16 columns 4 t …, as it has of groups (GroupCores.h). The products of a block
// of 128 columns are added on tensor cores, and their sum times its scale in
// f32.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_FP8CORES_H
#define CLADE_CODEGEN_CUDA_FP8CORES_H

#include "lib/CodeGen/CUDA/PanelSums.h"
#include "lib/CodeGen/CUDA/TensorCores.h"
#include "runtime/Weights/PackedBlocks.h"

namespace clade::cuda {

/// Columns of a block, and bytes of 16 rows of it.
inline constexpr int64_t fp8Columns = 128,
                         fp8PanelBytes = panelRows * (4 + fp8Columns);
/// Fragments of 16 columns of a block.
inline constexpr int64_t fp8Steps = fp8Columns / mmaK;

/// Blocks of a row of `k` columns, which are whole ones.
inline int64_t numFP8Blocks(int64_t k) { return k / fp8Columns; }

class FP8Cores : protected TensorCores {
public:
  FP8Cores(mlir::OpBuilder &builder, mlir::Location loc);

  /// What a lane has of a block of a panel.
  struct Weights {
    Values codes;  ///< i32: of each 16 columns words of the two rows.
    Values scales; ///< f32, of the two rows.
  };
  /// Loads block `block` (i32) of the panel at `panel`.
  Weights load(mlir::Value panel, mlir::Value block);
  /// The fragments of 16 columns each that codes are, four words each.
  llvm::SmallVector<Values> toFragments(const Weights &weights);

  /// Adds the product of a block to four sums: rows 2 g and 2 g + 1 of a panel,
  /// and of each activations 2 t and 2 t + 1. `inputs` are two words of this
  /// lane for each 16 columns, of row g.
  void multiplyAdd(llvm::ArrayRef<Values> fragments,
                   llvm::ArrayRef<mlir::Value> scales,
                   llvm::ArrayRef<Values> inputs,
                   llvm::MutableArrayRef<mlir::Value> sums);

protected:
  /// Two words or numbers beside each other.
  Values loadPair(mlir::Type type, mlir::Value pointer);

  mlir::Value rowPair, quarter; ///< i32: g and t.
};

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_FP8CORES_H
