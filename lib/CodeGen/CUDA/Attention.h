//===- Attention.h - Attention over paged keys and values ----- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels of softmax attention of a step's tokens, causal in any mix of
// prefill and decode, or in both directions over whole sequences. Each is a
// generator with grids of its own, for steps of some numbers of tokens. Where
// sequences have few tokens, a block has a token and query heads of one
// key/value head, so that it loads keys and values once for all of them; in
// steps of few tokens it has a slice of the context as well, and a second
// kernel joins the slices. Prompts in bf16 are tiled for tensor cores; in a
// step with both each kernel leaves out what is the other's.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_ATTENTION_H
#define CLADE_CODEGEN_CUDA_ATTENTION_H

#include "lib/CodeGen/CPU/Attention.h"
#include "lib/CodeGen/CUDA/Product.h"

namespace clade::cuda {

/// Where the operands of attention are, !llvm.ptr each: the CladeStep, its
/// CladeKVState, [token][qHeads][keySize], [token][qHeads][valueSize], [qHeads]
/// if the shape has a type of sinks, and the group (i32) of each token if it
/// has groups. `partial` is room for what slices give, `partialBytes` of it.
struct AttentionOperands {
  mlir::Value step, state, queries, output, sinks, groups, partial;
};

struct AttentionKernel {
  llvm::StringRef suffix; ///< Of its name.
  Grid grid;
  llvm::SmallVector<LaunchRange> ranges; ///< For which it is launched.
  int64_t sharedBytes;
  /// Of the operands, the step is always read.
  bool readsState, writesPartial, readsPartial;
  std::function<void(mlir::OpBuilder &builder, mlir::Location loc,
                     const AttentionOperands &operands)>
      emit;
};

/// The kernels for `shape` in order: for every number of tokens there are some.
/// They keep `shape`.
llvm::SmallVector<AttentionKernel>
attentionKernels(const Target &target, const cpu::AttentionShape &shape);

/// Bytes that slices of a context give, for all tokens of a step with slices; 0
/// if there never are any.
int64_t partialBytes(const cpu::AttentionShape &shape);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_ATTENTION_H
