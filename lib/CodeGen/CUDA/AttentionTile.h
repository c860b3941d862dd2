//===- AttentionTile.h - Inside of attention on tensor cores -- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the files of emitTiledAttention share; for these files only.
//
// Sums of more than 256 values are too many for a warp's registers: two warps
// have half of them each, for the same 16 tokens, whose scores both compute. A
// block then has 32 tokens, and keys so long that one stage is what fits; other
// blocks multiply while it waits.
//
// Rows in shared memory lie an odd number of pieces of 16 bytes apart, so that
// the eight rows that an ldmatrix reads at once are in different banks; copies
// of eight lanes are pieces of eight rows for the same reason. Scores are kept
// in units of log 2, since exponentials are powers of two.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_ATTENTIONTILE_H
#define CLADE_CODEGEN_CUDA_ATTENTIONTILE_H

#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/AttentionSlices.h"
#include "lib/CodeGen/CUDA/TensorCores.h"
#include "lib/CodeGen/CUDA/TiledAttention.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace clade::cuda {

inline constexpr int64_t tileTokens = 64, tileWarps = 4;
inline constexpr int64_t elementsOfPiece = pieceBytes / elementBytes;
/// Rows of sums that a lane has, of the 16 of its warp: eight apart.
inline constexpr int64_t ownRows = 2;

/// What a block has, and where tiles lie in shared memory.
struct TileLayout {
  explicit TileLayout(const cpu::AttentionShape &shape)
      : parts(std::max(shape.keySize, shape.valueSize) > 256 ? 2 : 1),
        tokens(tileTokens / parts), stages(parts > 1 ? 1 : 2),
        keyPieces(shape.keySize / elementsOfPiece),
        valuePieces(shape.valueSize / elementsOfPiece),
        // Fewer keys where sums take twice the registers.
        keys(shape.keySize > 128 || shape.valueSize > 128 ? 32 : 64),
        keyStride(strideOf(keyPieces)),
        valueStride(shape.hasSharedRows ? keyStride : strideOf(valuePieces)),
        valueOffset(shape.hasSharedRows ? 0 : keys * keyStride),
        stageBytes(keys * keyStride +
                   (shape.hasSharedRows ? 0 : keys * valueStride)) {}

  /// Fragments take two pieces.
  static int64_t padded(int64_t pieces) {
    return static_cast<int64_t>(llvm::alignTo(pieces, 2));
  }
  static int64_t strideOf(int64_t pieces) {
    return (padded(pieces) + 1) * pieceBytes;
  }
  int64_t queryBytes() const { return tokens * keyStride; }
  int64_t sharedBytes() const { return queryBytes() + stages * stageBytes; }
  /// Of the values that a warp has.
  int64_t partPieces() const { return valuePieces / parts; }

  int64_t parts, tokens, stages;
  int64_t keyPieces, valuePieces, keys;
  int64_t keyStride, valueStride, valueOffset, stageBytes; ///< bytes
};

/// The code of one block.
class TiledAttention : private TensorCores {
public:
  TiledAttention(mlir::OpBuilder &builder, mlir::Location loc,
                 const cpu::AttentionShape &shape,
                 const AttentionOperands &operands);
  void emit();

private:
  /// What a lane carries: for each of its two rows the largest score and its
  /// part of the sum of weights, then four sums for each eight values.
  struct State {
    Values largest, totals, sums;

    Values all() const {
      Values values = largest;
      llvm::append_range(values, totals);
      llvm::append_range(values, sums);
      return values;
    }
    static State of(mlir::ValueRange values) {
      State state;
      state.largest = Values(values.take_front(ownRows));
      state.totals = Values(values.slice(ownRows, ownRows));
      state.sums = Values(values.drop_front(2 * ownRows));
      return state;
    }
  };

  /// Two values as bf16 in a register, the first in the lower half.
  /// The values of the four lanes that share rows, joined.
  mlir::Value joinLanes(mlir::Value value, Combine combine);

  void loadRows();
  /// Copies groups of eight rows to `target` (i32): of each group the first is
  /// eight times its number behind the first of all.
  void
  copyRows(mlir::Value target, int64_t stride, int64_t pieces, int64_t rows,
           llvm::function_ref<std::pair<mlir::Value, mlir::Value>(int64_t turn)>
               source);
  void fetchQueries();
  void fetchTile(mlir::Value page, mlir::Value stage);
  /// The group (i32) of a key of the sequence (i32).
  mlir::Value groupAt(mlir::Value key);
  mlir::Value narrowPages(mlir::Value begin, mlir::Value end);
  State addSequence(mlir::Value which, State state);
  State addTile(mlir::Value page, mlir::Value stage, State state);
  Values multiplyKeys(mlir::Value stage);
  void finishScores(Values &scores, mlir::Value page);
  void multiplyValues(mlir::Value stage, llvm::ArrayRef<mlir::Value> weights,
                      Values &sums);
  void store(State state);

  const cpu::AttentionShape &shape;
  const AttentionOperands &operands;
  const TileLayout layout;
  cpu::StepView view;
  mlir::Value head, kvHead, firstToken, numTokens; ///< index
  mlir::Value warp;                                ///< i32
  /// The warp's 16 tokens among the tile's, and its part of the values (i32).
  mlir::Value tokenGroup, part;
  mlir::Value lowest, slope;
  /// Of this lane's rows: token (index), position, sequence and, if there are
  /// groups, group (i32), whether it is there and computed here.
  Values tokens, positions, sequences, groups, areOwn;
  /// Of the sequence at hand: the last key of each of this lane's rows and the
  /// first one (i32), and its pages (indices).
  Values lastKeys, firstKeys;
  mlir::Value sequence, endPage;
  /// With groups, of the sequence at hand: where those of its keys are, and its
  /// last key (i32).
  mlir::Value keyGroups, lastOfSequence;
  llvm::SmallVector<Values> queries;
};

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_ATTENTIONTILE_H
