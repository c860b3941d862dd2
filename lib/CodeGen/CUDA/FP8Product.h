//===- FP8Product.h - Products with weights in FP8 ------------ -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels of products whose weights are blocks of FP8 in panels, and whose
// activations are rows of f16 (FP8Cores.h). For few rows a block streams a
// panel, which its warps share by blocks of columns; for more there are tiles
// (PanelTile.h).
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_FP8PRODUCT_H
#define CLADE_CODEGEN_CUDA_FP8PRODUCT_H

#include "lib/CodeGen/CUDA/Experts.h"

namespace clade::cuda {

/// What productKernels and expertsKernels have for weights in FP8.
llvm::SmallVector<ProductKernel> fp8ProductKernels(const Target &target,
                                                   const Product &product);
llvm::SmallVector<ExpertsKernel>
fp8ExpertsKernels(const Target &target, const ExpertsProduct &product);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_FP8PRODUCT_H
