//===- FewRows.h - Products of two to eight rows -------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products of two to eight rows, both in bf16 or both in f16: a block streams
// 16 rows of the weight, which its warps share by columns. Lanes have pieces of
// 16 bytes of weights and activations, and these are fragments for tensor
// cores, in an order of the columns that both have: nothing goes through shared
// memory but sums.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_FEWROWS_H
#define CLADE_CODEGEN_CUDA_FEWROWS_H

#include "lib/CodeGen/CUDA/Product.h"

namespace clade::cuda {

/// Whether the product has rows of whole pieces of bf16 or f16.
bool canStreamFewRows(const Product &product);

/// The grid of emitFewRows and its blocks' shared memory.
Grid fewRowsGrid(const Product &product);
int64_t fewRowsBytes(const Product &product);

/// Emits a product for that grid.
void emitFewRows(mlir::OpBuilder &builder, mlir::Location loc,
                 const Product &product, Epilogue epilogue);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_FEWROWS_H
