//===- ChunkTile.h - Inside of recurrences on tensor cores ---- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the files of emitChunkScan share; for these files only. Names are those
// of LinearRecurrence.h.
//
// All is computed transposed: S, W and Y are [values, …], so that a warp with
// 16 values needs nothing of another one, and sums are the left fragments of
// the next product as they lie. A lane's sums are of neighbouring columns 2·j
// and 2·j + 1 where a fragment asks for j and j + 4; the order of what a
// product sums over is free, so rows 2·j and 2·j + 1 of the other factor meet
// them.
//
// Factors are f32 and split where they are multiplied: a number is the sum of
// two of tf32 and of less than 2^-22 of it, so that three products of these are
// one of f32 but for its last bits.
//
// In shared memory rows lie eight words apart modulo 16. Lanes load pairs of
// columns of rows i = 0 … 3 or 4 … 7 at once, and columns i of rows 2·j or
// 2·j + 1. For neither to meet in a bank, the four rows must differ modulo 4:
// rows of tokens lie in the order 0 1 2 3 5 4 7 6 of each eight.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_CHUNKTILE_H
#define CLADE_CODEGEN_CUDA_CHUNKTILE_H

#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/ChunkScan.h"
#include "lib/CodeGen/CUDA/TensorCores.h"

namespace clade::cuda {

/// Tokens of a chunk: a lane of a warp has one where that is useful.
inline constexpr int64_t chunkTokens = warpSize;
/// Its fragments of eight tokens.
inline constexpr int64_t chunkTiles = chunkTokens / mmaN;
/// Warps that prepare chunks, and values of each of the others.
inline constexpr int64_t preparingWarps = 4, valuesOfWarp = mmaM;

/// Words from row to row of a matrix in shared memory.
constexpr int64_t chunkStride(int64_t columns) {
  return (columns + 8 + 15) / 16 * 16 - 8;
}
/// Of matrices of tokens and tokens.
inline constexpr int64_t scoreStride = chunkStride(chunkTokens);

/// What a block has, and where it lies in shared memory: two stages with the
/// part of a chunk that does not depend on S, and one with values.
struct ChunkLayout {
  explicit ChunkLayout(const LinearRecurrence &parts)
      : hasRate(parts.rate != nullptr),
        keys(static_cast<int64_t>(llvm::alignTo(parts.keySize, mmaKOfTF32))),
        scanningWarps(std::min<int64_t>(
            4, llvm::divideCeil(parts.valueSize, valuesOfWarp))),
        values(scanningWarps * valuesOfWarp), keyStride(chunkStride(keys)),
        valueStride(chunkStride(values)), keysAt(chunkTokens * keyStride),
        scoresAt(2 * keysAt), lacksAt(scoresAt + chunkTokens * scoreStride),
        sumsAt(lacksAt + (hasRate ? chunkTokens * scoreStride : 0)),
        leadsAt(sumsAt + chunkTokens), restsAt(leadsAt + chunkTokens),
        ratesAt(restsAt + chunkTokens),
        stageWords(ratesAt + (hasRate ? chunkTokens : 0)) {}

  int64_t threads() const {
    return (preparingWarps + scanningWarps) * warpSize;
  }
  int64_t valuesAt() const { return 2 * stageWords; }
  int64_t sharedBytes() const {
    return (valuesAt() + chunkTokens * valueStride) * 4;
  }

  bool hasRate;
  int64_t keys, scanningWarps, values;
  int64_t keyStride, valueStride;
  /// Of a stage, in words: queries at its begin, keys, P, −A with the inverses
  /// of I + A for each 16 tokens, then for each token G, exp(G), exp(G_c − G)
  /// and b.
  int64_t keysAt, scoresAt, lacksAt, sumsAt, leadsAt, restsAt, ratesAt;
  int64_t stageWords;
};

/// The code of one block.
class ChunkScan : private TensorCores {
public:
  ChunkScan(mlir::OpBuilder &builder, mlir::Location loc,
            const LinearScan &scan);
  void emit();

private:
  /// A chunk: its first token (index), how many it has (i32), and where its
  /// stage begins (i32, bytes).
  struct Chunk {
    mlir::Value first, count, stage;
  };
  /// Four sums of a lane for each fragment of eight columns.
  using Sums = llvm::SmallVector<Values>;

  /// x·a + b
  mlir::Value scaled(mlir::Value x, int64_t a, mlir::Value b) {
    return i32<mlir::arith::AddIOp>(i32<mlir::arith::MulIOp>(x, a), b);
  }
  /// The words behind `at` (i32, bytes), `words` words further on.
  Values load(mlir::Value at, int64_t words, int64_t count);
  mlir::Value loadNumber(mlir::Value at, int64_t words);
  void store(mlir::Value at, int64_t words, llvm::ArrayRef<mlir::Value> values);
  /// Where the row of a token of the chunk lies, as a number of rows.
  mlir::Value rowOf(mlir::Value place);
  /// A number as a sum of two of tf32, the larger one first, as i32.
  std::pair<mlir::Value, mlir::Value> split(mlir::Value number);
  /// A left fragment of f32, in the order of multiplyTF32: the larger parts of
  /// its numbers, then the others.
  Values splitAll(llvm::ArrayRef<mlir::Value> numbers);
  /// The same of what sums hold.
  Values fragmentOf(llvm::ArrayRef<mlir::Value> sums);
  /// Sums with the product of a split fragment and two f32 (as i32) of a right
  /// one, but for what the smaller parts of both give.
  Values multiplySplit(llvm::ArrayRef<mlir::Value> fragment,
                       llvm::ArrayRef<mlir::Value> pair, Values sums);
  mlir::Value asNumber(mlir::Value word);
  Sums zeros(int64_t count);

  mlir::Value findBlock();
  Chunk chunkAt(mlir::Value number);
  /// A barrier of the block.
  void syncPhases();
  void syncWarp();

  // What does not depend on S: ChunkScores.cpp.
  void prepare();
  void loadRows(const Chunk &chunk,
                llvm::ArrayRef<std::pair<mlir::Value, mlir::Value>> parts,
                int64_t size, mlir::Value first, int64_t stride,
                int64_t columns);
  void loadNumbers(const Chunk &chunk);
  void multiplyKeys(const Chunk &chunk);
  void invert(const Chunk &chunk, mlir::Value tile);

  // What does: ChunkState.cpp.
  void scanChunks();
  mlir::Value ownPlace();
  llvm::SmallVector<StatePlace> statePlaces();
  std::pair<Sums, Sums> readState(const Chunk &chunk, const Sums &state);
  void scaleColumns(Sums &sums, const Chunk &chunk, int64_t factorsAt);
  void addProducts(Values &sums, const Chunk &chunk, int64_t matrixAt,
                   llvm::ArrayRef<Values> fragments, int64_t tile,
                   int64_t first, int64_t behind);
  void solve(const Chunk &chunk, Sums &sums);
  Sums nextState(const Chunk &chunk, Sums state, Sums updates);
  void storeOutputs(const Chunk &chunk, const Sums &outputs);

  const LinearScan &scan;
  const LinearRecurrence &parts;
  const ChunkLayout layout;
  cpu::StepView view;
  mlir::Value warp;                 ///< i32
  mlir::Value group, member;        ///< i32, lane / 4 and lane % 4
  mlir::Value head, firstValue;     ///< index
  mlir::Value sequence, begin, end; ///< index
};

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_CHUNKTILE_H
