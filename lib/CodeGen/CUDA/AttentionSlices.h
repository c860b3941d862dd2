//===- AttentionSlices.h - Contexts in slices ----------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How the context of a token is cut for blocks, in steps of few tokens. Slices
// are whole pages. How many there can be depends on the number of tokens, which
// decides the grid; how many there are, on the token's own context: blocks
// behind the last slice return at once, so a grid is good for contexts of any
// length.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_ATTENTIONSLICES_H
#define CLADE_CODEGEN_CUDA_ATTENTIONSLICES_H

#include "lib/CodeGen/CUDA/Attention.h"

namespace clade::cuda {

/// Query heads that a block has: all that share a key/value head, unless their
/// queries and sums would take too many registers.
int64_t blockHeads(const cpu::AttentionShape &shape);
/// Blocks for a token, and a slice.
int64_t blocksOfToken(const cpu::AttentionShape &shape);
/// Slices of all tokens of a step together; below two there are none.
int64_t sliceSlots(const cpu::AttentionShape &shape);

/// The keys that a token attends, as pages (indices).
struct PageRange {
  mlir::Value first, end;        ///< pages
  mlir::Value begin, contextEnd; ///< positions: the first key, behind the last
};
/// Of the token (an index) of the step: those up to it, or in attention in both
/// directions all of its sequence, which is in the step as a whole.
PageRange emitPageRange(mlir::OpBuilder &builder, mlir::Location loc,
                        const cpu::AttentionShape &shape, mlir::Value step,
                        mlir::Value token);

/// Slices of a token (indices): how many there can be, and pages of each.
struct Slices {
  mlir::Value most, pages;
};
Slices emitSlices(mlir::OpBuilder &builder, mlir::Location loc,
                  const cpu::AttentionShape &shape, mlir::Value step,
                  const PageRange &pages);

/// Where slice `slice` of the token's head has its sums [valueSize] in the f32
/// at `partial`, and its largest score and sum of weights, [2]; both as
/// numbers of elements.
struct PartialPlace {
  mlir::Value sums, stats;
};
PartialPlace emitPartialPlace(mlir::OpBuilder &builder, mlir::Location loc,
                              const cpu::AttentionShape &shape,
                              mlir::Value token, mlir::Value head,
                              const Slices &slices, mlir::Value slice);

/// Emits a block that attends pages, each warp every fourth of them: of the
/// whole context, or of a slice of it. If `hasTiles`, other blocks compute the
/// tokens of long prompts. Grid: x is the slice, and in it the
/// block of heads; y the token.
void emitPageAttention(mlir::OpBuilder &builder, mlir::Location loc,
                       const cpu::AttentionShape &shape,
                       const AttentionOperands &operands, bool isSlice,
                       bool hasTiles);
int64_t pageAttentionShared(const cpu::AttentionShape &shape);

/// Emits the block of a token and a query head that joins slices.
void emitJoinSlices(mlir::OpBuilder &builder, mlir::Location loc,
                    const cpu::AttentionShape &shape,
                    const AttentionOperands &operands, bool hasTiles);

/// Begins a branch for blocks whose token is computed here: if tiles are made
/// for others, that of a sequence with few tokens. The builder is left in it.
void beginOwnTokens(mlir::OpBuilder &builder, mlir::Location loc,
                    mlir::Value step, mlir::Value token, bool hasTiles);

/// Threads of these blocks.
inline constexpr int64_t attentionThreads = 128;

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_ATTENTIONSLICES_H
