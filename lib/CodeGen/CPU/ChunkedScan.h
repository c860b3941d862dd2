//===- ChunkedScan.h - A chunk of a linear recurrence -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The matrix products that compute a chunk of tokens of one head
// (LinearRecurrence.h), all in f32. Rows lie in scratch memory at multiples of
// the vector width; what is behind a row's end may be anything.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_CHUNKEDSCAN_H
#define CLADE_CODEGEN_CPU_CHUNKEDSCAN_H

#include "dialect/Clade/LinearRecurrence.h"
#include "lib/CodeGen/CPU/Target.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"

namespace clade::cpu {

class ChunkEmitter {
public:
  /// `chunk` tokens at a time, a multiple of the vector width. `scratch` points
  /// to scratchBytes() bytes.
  ChunkEmitter(mlir::OpBuilder &builder, mlir::Location loc,
               const Target &target, const LinearRecurrence &recurrence,
               int64_t chunk, mlir::Value scratch);

  static int64_t scratchBytes(const Target &target,
                              const LinearRecurrence &recurrence,
                              int64_t chunk);

  /// Copies the head's matrix from `state`, in the scan's own order, and back.
  void loadState(mlir::Value state);
  void storeState(mlir::Value state);

  /// Where the parts of the chunk's token `place` go: a row of f32, or one.
  mlir::Value logDecayAt(mlir::Value place);
  mlir::Value rateAt(mlir::Value place);
  mlir::Value keyAt(mlir::Value place);
  mlir::Value queryAt(mlir::Value place);
  mlir::Value valueAt(mlir::Value place);

  /// Computes the chunk whose parts are there.
  void run();
  /// Calls `store` with every vector of the results: its token in the chunk,
  /// first element, and the mask of a part of a vector.
  using Store = llvm::function_ref<void(mlir::Value place, mlir::Value element,
                                        mlir::Value vector, mlir::Value mask)>;
  void forEachResult(Store store);

private:
  /// Element (i, j) is at i * rowStride + j * columnStride.
  struct Matrix {
    mlir::Value base;
    int64_t rowStride, columnStride = 1;
  };
  /// Rows of scratch memory, one after the other.
  struct Layout {
    int64_t keys, queries, values, outputs, state, keysOfElement, scores,
        decays, rates, end;
    Layout(const Target &target, const LinearRecurrence &recurrence,
           int64_t chunk);
  };
  /// What a sum begins with.
  enum class Init { Zero, Result, ScaledResult };
  /// How far the sums of a block of rows go: through all of `depth`, or only
  /// to the rows' own numbers; Lower computes only results up to there.
  enum class Range { All, UpToRow, Lower };

  Matrix part(int64_t offset, int64_t rowStride) const;
  mlir::Value at(const Matrix &matrix, mlir::Value row);
  void accumulateDecays();
  void maskScores(bool isStrict);
  void subtractState();
  void solve();
  void scaleRows(const Matrix &matrix, int64_t size,
                 llvm::function_ref<mlir::Value(mlir::Value place)> factor);
  void multiply(int64_t rows, int64_t columns, int64_t depth, Matrix a,
                Matrix b, Matrix c, Init init, Range range,
                mlir::Value scale = {});
  void transpose(int64_t rows, int64_t columns, Matrix from, Matrix to);
  void transposeBlock(mlir::Value row, mlir::Value column, Matrix from,
                      Matrix to);
  mlir::Value decayAt(mlir::Value place);

  using Values = llvm::SmallVector<mlir::Value>;
  Values loop(mlir::Value lower, mlir::Value upper, int64_t step,
              mlir::ValueRange carried,
              llvm::function_ref<Values(mlir::Value, mlir::ValueRange)> body);
  void forEach(mlir::Value upper, int64_t step,
               llvm::function_ref<void(mlir::Value)> body);
  mlir::Value index(int64_t value);
  mlir::Value load(mlir::Value base, mlir::Value offset);
  mlir::Value loadScalar(mlir::Value base, mlir::Value offset);
  mlir::Value splat(mlir::Value scalar);
  int64_t padded(int64_t size) const {
    return llvm::alignTo(size, target.width);
  }

  mlir::OpBuilder &b;
  mlir::Location loc;
  const Target &target;
  const LinearRecurrence &recurrence;
  int64_t chunk;
  Layout layout;
  mlir::Value scratch;
  mlir::VectorType vectorType;
  Matrix keys, queries, values, outputs, state, keysOfElement, scores, decays,
      rates;
};

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_CHUNKEDSCAN_H
