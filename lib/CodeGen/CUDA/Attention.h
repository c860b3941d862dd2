//===- Attention.h - Attention over paged keys and values ----- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Causal softmax attention of a step's tokens, any mix of prefill and decode.
// One generator today: a block for each token and query head, online softmax
// over tiles of keys, one key a thread.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_ATTENTION_H
#define CLADE_CODEGEN_CUDA_ATTENTION_H

#include "lib/CodeGen/CPU/Attention.h"
#include "lib/CodeGen/CUDA/Product.h"

namespace clade::cuda {

/// The grid of emitRowAttention: x is the query head, y the token.
Grid rowAttentionGrid(const cpu::AttentionShape &shape);

/// Emits attention over the CladeKVState at `state` (!llvm.ptr) for that grid:
/// `queries` points to [token][qHeads][keySize], `output` to
/// [token][qHeads][valueSize], `sinks` to [qHeads] if the shape has a type of
/// sinks. Of the shape, all that is causal. Returns the bytes of shared memory
/// of a block.
int64_t emitRowAttention(mlir::OpBuilder &builder, mlir::Location loc,
                         const cpu::AttentionShape &shape, mlir::Value step,
                         mlir::Value state, mlir::Value queries,
                         mlir::Value output, mlir::Value sinks = {});

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_ATTENTION_H
