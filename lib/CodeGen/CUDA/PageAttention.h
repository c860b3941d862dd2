//===- PageAttention.h - Inside of attention page by page ----- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the files of emitPageAttention share; for these files only.
//
// A warp takes a page of 32 keys at a time. Lanes share rows in pieces of 16
// bytes, so that every load of a warp is whole rows; each lane has its pieces
// of the queries and of the sums of all heads in registers. Partial scores are
// exchanged so that lane l ends with the scores of key l, and is all that
// evaluates them. Each warp has an online softmax of its own; the four are
// joined through shared memory at the end.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_PAGEATTENTION_H
#define CLADE_CODEGEN_CUDA_PAGEATTENTION_H

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/AttentionSlices.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "runtime/include/clade/abi.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace clade::cuda {

static_assert(CLADE_PAGE_TOKENS == warpSize, "a lane has a key of a page");

inline constexpr int64_t pageWarps = attentionThreads / warpSize;
/// Registers of queries and sums that a thread has at most.
inline constexpr int64_t mostRegisters = 128;
/// Rows that are loaded and multiplied together.
inline constexpr int64_t rowsTogether = 8;

/// How the lanes of a warp share rows of `size` elements: `lanes` of them have
/// `perLane` pieces of `piece` elements of a row each, and 32 / `lanes` rows
/// are read at once.
struct RowPieces {
  RowPieces(int64_t size, mlir::Type type) {
    // At most 16 bytes, and what every row begins at a multiple of.
    piece = std::min<int64_t>(type.isBF16() ? 8 : 4, size & -size);
    count = size / piece;
    lanes = std::min<int64_t>(warpSize, static_cast<int64_t>(llvm::PowerOf2Ceil(
                                            static_cast<uint64_t>(count))));
    perLane = static_cast<int64_t>(llvm::divideCeil(count, lanes));
  }
  int64_t elements() const { return piece * perLane; }
  /// Rows that are multiplied together by a lane.
  int64_t rows() const { return std::min(lanes, rowsTogether); }
  /// Floats from one element of the lanes' pieces to the next in shared memory:
  /// neither lanes nor features that follow each other meet in a bank.
  int64_t stride() const {
    int64_t lanesOfBanks = warpSize / piece;
    return lanes <= lanesOfBanks ? lanesOfBanks : lanes + lanesOfBanks;
  }

  int64_t piece, count, lanes, perLane;
};

/// The code of one block.
class PageAttention {
public:
  PageAttention(mlir::OpBuilder &b, mlir::Location loc,
                const cpu::AttentionShape &shape,
                const AttentionOperands &operands, bool isSlice);
  void emit(bool hasTiles);

private:
  using Values = llvm::SmallVector<mlir::Value>;

  mlir::Value index(int64_t value) { return cpu::emitIndex(b, loc, value); }
  template <typename Op> mlir::Value make(mlir::Value x, mlir::Value y) {
    return Op::create(b, loc, x, y);
  }
  mlir::Value exp(mlir::Value x) {
    return mlir::math::ExpOp::create(b, loc, x);
  }
  mlir::Value fma(mlir::Value x, mlir::Value y, mlir::Value z) {
    return mlir::math::FmaOp::create(b, loc, x, y, z);
  }
  mlir::Value isEqual(mlir::Value x, mlir::Value y) {
    return mlir::arith::CmpIOp::create(b, loc, mlir::arith::CmpIPredicate::eq,
                                       x, y);
  }
  mlir::Value isLess(mlir::Value x, mlir::Value y) {
    return mlir::arith::CmpIOp::create(b, loc, mlir::arith::CmpIPredicate::slt,
                                       x, y);
  }
  mlir::Value exchange(mlir::Value value, int64_t distance) {
    return mlir::gpu::ShuffleOp::create(b, loc, value,
                                        static_cast<int32_t>(distance),
                                        warpSize, mlir::gpu::ShuffleMode::XOR)
        .getShuffleResult();
  }
  /// The lane's number among those that share a row.
  mlir::Value ownLane(const RowPieces &pieces) {
    return make<mlir::arith::RemUIOp>(lane, index(pieces.lanes));
  }
  /// This lane's elements of the row of f32 or bf16 at element `first`.
  Values loadRow(mlir::Value base, mlir::Value first, const RowPieces &pieces);
  void loadQueries();
  /// Where a page has this head's rows.
  mlir::Value pageOf(mlir::Value page, bool isKey);
  Values emitScores(mlir::Value page);
  mlir::Value finishScore(mlir::Value score, mlir::Value position,
                          int64_t head);
  /// Adds the values of a page, weighted by `weights` of each lane's key.
  Values addValues(mlir::Value page, const Values &weights, Values sums);
  void emitPages();
  void emitWarpPages();
  void joinWarps();
  /// A loop over `count` rows in turns of `rows`; unrolled if it is one.
  Values
  forTurns(int64_t turns, Values carried,
           llvm::function_ref<Values(mlir::Value turn, Values carried)> body);

  mlir::OpBuilder &b;
  mlir::Location loc;
  const cpu::AttentionShape &shape;
  const AttentionOperands &operands;
  const bool isSlice;
  const int64_t heads;
  const RowPieces keys, values;
  mlir::Value thread, lane, warp, token, sequence, position, kvHead, firstHead,
      shared;
  PageRange pages;
  Slices slices;
  mlir::Value slice;
  llvm::SmallVector<Values> queries; ///< Of each head this lane's elements.
  Values slopes;
  /// Where the groups of the sequence's keys are, and the token's own (i32).
  mlir::Value keyGroups, ownGroup;
  Values largest, totals, sums; ///< Of the warp, at the end.
};

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_PAGEATTENTION_H
