//===- FewRows.cpp - Products of two to eight rows ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/FewRows.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/PanelSums.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitMul;

static constexpr int64_t pieceElements = pieceBytes / elementBytes;
/// Columns that the four lanes of a row have together: two fragments.
static constexpr int64_t chunkColumns = 4 * pieceElements;
/// Chunks that are on their way together.
static constexpr int64_t chunkBatch = 4;

static int64_t fewRowsWarps(const Product &product) {
  // Each warp has a few batches, if there are so many.
  return product.k >= 16 * chunkBatch * chunkColumns ? 8 : 4;
}

bool canStreamFewRows(const Product &product) {
  return canMultiply(product.inputType, product.weightType) &&
         product.k % pieceElements == 0;
}

Grid fewRowsGrid(const Product &product) {
  return {static_cast<int64_t>(llvm::divideCeil(product.n, panelRows)),
          inputRows, fewRowsWarps(product) * warpSize};
}

int64_t fewRowsBytes(const Product &product) {
  return PanelSums::sharedBytes(fewRowsWarps(product), inputRows);
}

namespace {
class FewRows : TensorCores {
public:
  FewRows(OpBuilder &builder, Location loc, const Product &product);
  void emit(Epilogue epilogue);

private:
  /// This lane's pieces of a chunk, four words each: of two rows of the weight
  /// and a row of activations.
  struct Chunk {
    Values weights[2], input;
  };
  Value rowAt(Value base, Value first, Value row, Value last);
  Values loadPiece(Value row, Value at, Value isThere);
  /// Adds `count` chunks from column `column` (i32) on; of the last one of a
  /// row what is there.
  Values addChunks(Value column, int64_t count, ValueRange carried);
  Values sumChunks();

  const Product &product;
  Value panel, first; ///< index: where features and rows begin.
  Value inputs;       ///< Where this lane's row of activations is.
  Value weights[2];   ///< Where its rows of the weight are.
  Value piece;        ///< i32: its first column in a chunk.
};
} // namespace

/// Row `first` plus `row` (i32) of a matrix, at most row `last` (index): what
/// is not there is not stored.
Value FewRows::rowAt(Value base, Value first, Value row, Value last) {
  Value number = arith::MinUIOp::create(
      builder, loc, emitAdd(builder, loc, first, toIndex(row)), last);
  return cpu::emitAddress(
      builder, loc, base, builder.getI8Type(),
      emitMul(builder, loc, number,
              emitIndex(builder, loc, product.k * elementBytes)));
}

FewRows::FewRows(OpBuilder &builder, Location loc, const Product &product)
    : TensorCores(builder, loc, product.weightType), product(product) {
  Value group = i32<arith::DivUIOp>(lane, 4);
  piece = i32<arith::MulIOp>(i32<arith::RemUIOp>(lane, 4), pieceElements);
  panel = emitMul(builder, loc, emitBlock(builder, loc, Axis::X),
                  emitIndex(builder, loc, panelRows));
  first = emitMul(builder, loc, emitBlock(builder, loc, Axis::Y),
                  emitIndex(builder, loc, inputRows));
  inputs = rowAt(product.input, first, group,
                 arith::SubIOp::create(builder, loc, product.rows,
                                       emitIndex(builder, loc, 1)));
  for (int64_t i : {0, 1})
    weights[i] = rowAt(product.weight, panel,
                       i32<arith::AddIOp>(i32<arith::MulIOp>(group, 2), i),
                       emitIndex(builder, loc, product.n - 1));
}

FewRows::Values FewRows::loadPiece(Value row, Value at, Value isThere) {
  auto type = VectorType::get({4}, builder.getI32Type());
  Value loaded = LLVM::LoadOp::create(
      builder, loc, type, advance(row, i32<arith::MulIOp>(at, elementBytes)),
      /*alignment=*/pieceBytes);
  Values words;
  for (int64_t i = 0; i < 4; ++i) {
    words.push_back(
        LLVM::ExtractElementOp::create(builder, loc, loaded, constant(i)));
    if (isThere)
      words.back() = arith::SelectOp::create(builder, loc, isThere,
                                             words.back(), constant(0));
  }
  return words;
}

FewRows::Values FewRows::addChunks(Value column, int64_t count,
                                   ValueRange carried) {
  SmallVector<Chunk> chunks(static_cast<size_t>(count));
  for (auto [i, chunk] : llvm::enumerate(chunks)) {
    Value at = i32<arith::AddIOp>(
        i32<arith::AddIOp>(column, static_cast<int64_t>(i) * chunkColumns),
        piece);
    Value isThere;
    if (count == 1 && product.k % chunkColumns != 0) {
      isThere = isBelow(at, constant(product.k));
      at = arith::SelectOp::create(builder, loc, isThere, at, constant(0));
    }
    for (int64_t row : {0, 1})
      chunk.weights[row] = loadPiece(weights[row], at, isThere);
    chunk.input = loadPiece(inputs, at, isThere);
  }
  Values sums(carried);
  for (const Chunk &chunk : chunks)
    for (size_t word : {0, 2})
      sums = multiply({chunk.weights[0][word], chunk.weights[1][word],
                       chunk.weights[0][word + 1], chunk.weights[1][word + 1]},
                      ArrayRef(chunk.input).slice(word, 2), sums);
  return sums;
}

FewRows::Values FewRows::sumChunks() {
  constexpr int64_t batchColumns = chunkBatch * chunkColumns;
  int64_t whole = product.k / batchColumns * batchColumns;
  Values sums(4, emitFloat(builder, loc, 0));
  Value warp = i32<arith::DivUIOp>(thread, warpSize);
  auto addLoop = [&](int64_t begin, int64_t end, int64_t count) {
    if (begin == end)
      return;
    int64_t columns = count * chunkColumns;
    auto loop = scf::ForOp::create(
        builder, loc,
        i32<arith::AddIOp>(i32<arith::MulIOp>(warp, columns), begin),
        constant(end), constant(columns * fewRowsWarps(product)), sums);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(
        builder, loc,
        addChunks(loop.getInductionVar(), count, loop.getRegionIterArgs()));
    sums = loop.getResults();
  };
  addLoop(0, whole, chunkBatch);
  addLoop(whole, product.k, 1);
  return sums;
}

void FewRows::emit(Epilogue epilogue) {
  Value rows = left(product.rows, first, inputRows);
  PanelSums(builder, loc, fewRowsWarps(product), rows)
      .join(sumChunks(), [&](Value row, Value column, Value sum) {
        column = emitAdd(builder, loc, panel, column);
        OpBuilder::InsertionGuard guard(builder);
        if (product.n % panelRows != 0) {
          Value isThere =
              arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                    column, emitIndex(builder, loc, product.n));
          auto there = scf::IfOp::create(builder, loc, isThere);
          builder.setInsertionPointToStart(there.thenBlock());
        }
        epilogue(emitAdd(builder, loc, first, row), column, sum);
      });
}

void emitFewRows(OpBuilder &builder, Location loc, const Product &product,
                 Epilogue epilogue) {
  FewRows(builder, loc, product).emit(epilogue);
}

} // namespace clade::cuda
