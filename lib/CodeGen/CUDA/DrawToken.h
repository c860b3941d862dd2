//===- DrawToken.h - Draws of tokens on a GPU ------------------ -*- C++
//-*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What runtime/Device/TokenDraw.h asks of rows of logits, in four launches: the
// largest logit of each slice, of each row, then weights of tokens, then a
// token or the candidates that filters may leave.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_DRAWTOKEN_H
#define CLADE_CODEGEN_CUDA_DRAWTOKEN_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "runtime/Device/LaunchPlan.h"

namespace clade::cuda {

/// Emits the kernels into `code` and adds them to `plan`, which has the greedy
/// choice from rows of `vocab` logits, with the launches and the places of what
/// they give (rt::LaunchDraws). They write where temporaries of selected rows
/// were.
void addDraws(mlir::gpu::GPUModuleOp code, mlir::Location loc, int64_t vocab,
              rt::LaunchPlan &plan);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_DRAWTOKEN_H
