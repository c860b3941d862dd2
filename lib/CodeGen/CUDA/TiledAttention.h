//===- TiledAttention.h - Attention on tensor cores ----------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Attention of the tokens of prompts: a block has 64 tokens that follow each
// other in the step, and a query head. Its warps have 16 tokens each, whose
// scores, weights and sums stay in registers; keys and values are copied to
// shared memory, the next ones while some are multiplied. Keys that no token of
// the block attends are not read.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_TILEDATTENTION_H
#define CLADE_CODEGEN_CUDA_TILEDATTENTION_H

#include "lib/CodeGen/CUDA/Attention.h"

namespace clade::cuda {

/// Tokens that a sequence has in a step at least, for them to be tiled.
inline constexpr int32_t tiledRun = 16;

/// Whether there is such a kernel: for bf16 in rows of whole pieces of 16
/// bytes, whose tiles fit into registers and into the shared memory of a block.
bool canTileAttention(const Target &target, const cpu::AttentionShape &shape);

/// Its grid: x is the query head, y the tile of tokens.
Grid tiledAttentionGrid(const cpu::AttentionShape &shape);
int64_t tiledAttentionShared(const cpu::AttentionShape &shape);

/// Emits a block of that grid. It computes the tokens of sequences with
/// `tiledRun` tokens or more.
void emitTiledAttention(mlir::OpBuilder &builder, mlir::Location loc,
                        const cpu::AttentionShape &shape,
                        const AttentionOperands &operands);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_TILEDATTENTION_H
