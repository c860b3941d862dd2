//===- ChooseToken.h - The greedy choice on a GPU ------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From rows of logits to tokens, in two launches: blocks find the largest of a
// slice of a row each, then a block for each row finds the largest of these.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_CHOOSETOKEN_H
#define CLADE_CODEGEN_CUDA_CHOOSETOKEN_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "runtime/Device/LaunchPlan.h"

namespace clade::cuda {

/// Emits the kernels into `code` and adds them to `plan`, a plan whose rows of
/// output are `vocab` logits, with the launches and the place of the tokens
/// (rt::LaunchGreedy). They write where temporaries of selected rows were.
void addGreedyChoice(mlir::gpu::GPUModuleOp code, mlir::Location loc,
                     int64_t vocab, rt::LaunchPlan &plan);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_CHOOSETOKEN_H
