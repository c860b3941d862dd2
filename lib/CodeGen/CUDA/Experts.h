//===- Experts.h - Products by experts ------------------------ -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The products of routed experts: each token has its own matrices. The one
// generator there is streams them, a warp for each output feature of each
// choice; grouping tokens by experts is for another one.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_EXPERTS_H
#define CLADE_CODEGEN_CUDA_EXPERTS_H

#include "lib/CodeGen/CUDA/Product.h"

namespace clade::cuda {

/// A product of each token's activations with the matrices [n, k] that it chose
/// out of `experts`, and where its operands are.
struct ExpertsProduct {
  int64_t experts = 0, active = 0, n = 0, k = 0;
  bool hasActiveInput = false; ///< Activations differ from choice to choice.
  mlir::Type inputType = {}, weightType = {}; ///< f32 or bf16 each.
  mlir::Value input = {}, weight = {};        ///< !llvm.ptr
  /// [token][active] i32; null if choice i is matrix i, of all.
  mlir::Value chosen = {};
};

/// The grid of emitStreamingExperts.
Grid streamingExpertsGrid(const ExpertsProduct &product);

/// Emits a product for that grid. `epilogue` gets the number of the choice in
/// all of the step, token · active + choice, its expert, the feature and the
/// sum; it is called once, where only threads that have a sum get to.
void emitStreamingExperts(
    mlir::OpBuilder &builder, mlir::Location loc, const ExpertsProduct &product,
    llvm::function_ref<void(mlir::Value place, mlir::Value expert,
                            mlir::Value column, mlir::Value sum)>
        epilogue);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_EXPERTS_H
