//===- GroupProduct.h - Products with weights in groups ------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels of products whose weights are blocks in panels of 16 rows, and
// whose activations are records (GroupCores.h). For few rows a block streams a
// panel, which its warps share by groups; for more there are tiles
// (PanelTile.h).
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_GROUPPRODUCT_H
#define CLADE_CODEGEN_CUDA_GROUPPRODUCT_H

#include "lib/CodeGen/CUDA/Experts.h"

namespace clade::cuda {

/// What a block streams: a panel, and the activations that it is multiplied
/// with.
struct StreamedPanel {
  int64_t k;
  mlir::Value panel; ///< !llvm.ptr
  mlir::Value input; ///< !llvm.ptr to the first row of records.
  /// i32: how many rows of them there are, 1 … 8; null for a single one.
  mlir::Value rows;
};

/// Emits the sums of a panel. All threads of the block must get here. `store`
/// is called once in the code, with a row of activations, a row of the panel
/// (index) and their sum.
void emitStreamPanel(mlir::OpBuilder &builder, mlir::Location loc,
                     const rt::PackedLayout &layout,
                     const StreamedPanel &operands,
                     llvm::function_ref<void(
                         mlir::Value row, mlir::Value column, mlir::Value sum)>
                         store);

/// What productKernels and expertsKernels have for weights in groups.
llvm::SmallVector<ProductKernel> groupProductKernels(const Target &target,
                                                     const Product &product);
llvm::SmallVector<ExpertsKernel>
groupExpertsKernels(const Target &target, const ExpertsProduct &product);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_GROUPPRODUCT_H
