//===- Experts.h - Products by experts ------------------------ -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The products of routed experts: each token has its own matrices. For few
// tokens a warp streams one output feature of each choice; for more, choices
// are grouped by experts, and each group is multiplied with its matrix in tiles
// on tensor cores.
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
  bool isChosen = false;       ///< Otherwise choice i is matrix i, of all.
  mlir::Type inputType = {}, weightType = {}; ///< As in Product.
  mlir::Value rows = {};                      ///< index
  mlir::Value input = {}, weight = {};        ///< !llvm.ptr
  mlir::Value chosen = {}; ///< [token][active] i32, of streaming products.
  mlir::Value groups = {}; ///< What emitGroups wrote, of tiled ones.
  /// As in Product.
  const rt::PackedLayout *groupLayout = nullptr;
};

/// What becomes of a sum: `place` is the number of the choice in all of the
/// step, token · active + choice. Called for each place in the code where
/// threads have a sum; no others get there.
using ExpertsEpilogue =
    llvm::function_ref<void(mlir::Value place, mlir::Value expert,
                            mlir::Value column, mlir::Value sum)>;

/// A kernel for such a product in steps with some numbers of tokens.
struct ExpertsKernel {
  llvm::StringRef suffix; ///< Of its name.
  Grid grid;
  int64_t sharedBytes;
  RowRange rows;
  bool readsGroups; ///< Choices are grouped before.
  std::function<void(mlir::OpBuilder &builder, mlir::Location loc,
                     const ExpertsProduct &product, ExpertsEpilogue epilogue)>
      emit;
  bool readsRows = false; ///< As in ProductKernel.
};

/// Tokens up to which few choices share an expert, so that its matrix is read
/// about once anyway.
inline constexpr int32_t streamedTokens = 8;

/// The kernels for `product`: for every number of tokens there is one. Its
/// values need not be there yet.
llvm::SmallVector<ExpertsKernel> expertsKernels(const Target &target,
                                                const ExpertsProduct &product);

/// The matrix of a choice, whose number is `place` in all of the step and
/// `choice` in its token: what was chosen, within bounds whatever it is.
mlir::Value emitExpert(mlir::OpBuilder &builder, mlir::Location loc,
                       const ExpertsProduct &product, mlir::Value place,
                       mlir::Value choice);

/// The grid of emitStreamingExperts.
Grid streamingExpertsGrid(const ExpertsProduct &product);

/// Emits a product for that grid.
void emitStreamingExperts(mlir::OpBuilder &builder, mlir::Location loc,
                          const ExpertsProduct &product,
                          ExpertsEpilogue epilogue);

/// Tokens of a warp of emitSharedExperts, and its grid.
inline constexpr int64_t sharedTokens = 8;
Grid sharedExpertsGrid(const ExpertsProduct &product);

/// Emits a product of tokens with one choice each for that grid: a warp
/// computes one feature of a few tokens, and reads the weights once if they
/// chose the same matrix, as the tokens of a prompt choose an adapter.
void emitSharedExperts(mlir::OpBuilder &builder, mlir::Location loc,
                       const ExpertsProduct &product, ExpertsEpilogue epilogue);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_EXPERTS_H
