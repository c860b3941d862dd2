//===- Product.cpp - Products with a weight -------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/Product.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/FP8Product.h"
#include "lib/CodeGen/CUDA/FewRows.h"
#include "lib/CodeGen/CUDA/GroupProduct.h"
#include "lib/CodeGen/CUDA/TiledProduct.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitMul;

/// Rows that a warp computes at once, where there are some: the weight is read
/// once for all of them.
static constexpr int64_t mostRows = 8;
static constexpr int64_t numWarps = 4;
/// Pieces of a row that are on their way together, where rows are few.
static constexpr int64_t pieceBatch = 4;

SmallVector<Value> emitRowDots(OpBuilder &builder, Location loc, Value lane,
                               const RowDots &dots) {
  auto index = [&](int64_t value) { return emitIndex(builder, loc, value); };
  int64_t piece =
      std::min<int64_t>(dots.weightType.isF32() ? 4 : 8, dots.k & -dots.k);
  int64_t numPieces = dots.k / piece;
  int64_t batch = dots.inputStarts.size() == 1 ? pieceBatch : 1;
  int64_t numBatches = numPieces / (batch * warpSize);
  /// Adds `count` pieces, each `warpSize` behind the one before.
  auto addPieces = [&](Value first, int64_t count, ValueRange sums) {
    SmallVector<SmallVector<Value>> weights;
    SmallVector<Value> places, next(sums);
    for (int64_t i = 0; i < count; ++i) {
      Value number = emitAdd(builder, loc, first, index(i * warpSize));
      places.push_back(emitMul(builder, loc, number, index(piece)));
      weights.push_back(emitLoadFloats(
          builder, loc, dots.weightType, dots.weight,
          emitAdd(builder, loc, dots.weightStart, places.back()), piece));
    }
    for (auto [place, weight] : llvm::zip_equal(places, weights))
      for (auto [i, start] : llvm::enumerate(dots.inputStarts)) {
        SmallVector<Value> row =
            emitLoadFloats(builder, loc, dots.inputType, dots.input,
                           emitAdd(builder, loc, start, place), piece);
        if (dots.scaling) {
          for (Value x : row)
            next.back() = math::FmaOp::create(builder, loc, x, x, next.back());
          row = dots.scaling->scaled(place, row);
        }
        for (auto [x, y] : llvm::zip_equal(row, weight))
          next[i] = math::FmaOp::create(builder, loc, x, y, next[i]);
      }
    return next;
  };
  SmallVector<Value> sums(dots.inputStarts.size() + (dots.scaling ? 1 : 0),
                          emitFloat(builder, loc, 0));
  auto addLoop = [&](Value begin, int64_t end, int64_t count) {
    auto loop = scf::ForOp::create(builder, loc, begin, index(end),
                                   index(count * warpSize), sums);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(
        builder, loc,
        addPieces(loop.getInductionVar(), count, loop.getRegionIterArgs()));
    sums = loop.getResults();
  };
  int64_t whole = numBatches * batch * warpSize;
  if (batch > 1 && whole > 0)
    addLoop(lane, whole, batch);
  if (batch == 1)
    addLoop(lane, numPieces, 1);
  else if (whole < numPieces)
    addLoop(emitAdd(builder, loc, lane, index(whole)), numPieces, 1);
  return sums;
}

Grid streamingGrid(int64_t n, int64_t rowTile) {
  return {static_cast<int64_t>(llvm::divideCeil(n, numWarps)), rowTile,
          numWarps * warpSize};
}

void emitStreamingProduct(OpBuilder &builder, Location loc,
                          const Product &product, int64_t rowTile,
                          Epilogue epilogue) {
  auto index = [&](int64_t value) { return emitIndex(builder, loc, value); };
  Value thread = emitThread(builder, loc), lanes = index(warpSize);
  Value lane = arith::RemUIOp::create(builder, loc, thread, lanes),
        warp = arith::DivUIOp::create(builder, loc, thread, lanes);
  Value column = emitAdd(
      builder, loc,
      emitMul(builder, loc, emitBlock(builder, loc, Axis::X), index(numWarps)),
      warp);
  // A warp behind the last feature has nothing to do; all its lanes agree.
  Value isThere = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                        column, index(product.n));
  auto whole = scf::IfOp::create(builder, loc, isThere);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(whole.thenBlock());
  Value first =
      emitMul(builder, loc, emitBlock(builder, loc, Axis::Y), index(rowTile));
  Value last = arith::SubIOp::create(builder, loc, product.rows, index(1));
  RowDots dots{product.k,
               product.inputType,
               product.weightType,
               product.input,
               product.weight,
               {},
               {},
               product.scaling};
  for (int64_t i = 0; i < rowTile; ++i) {
    // Rows behind the last one repeat it and are not stored.
    Value row = arith::MinUIOp::create(
        builder, loc, emitAdd(builder, loc, first, index(i)), last);
    dots.inputStarts.push_back(emitMul(builder, loc, row, index(product.k)));
  }
  dots.weightStart = emitMul(builder, loc, column, index(product.k));
  SmallVector<Value> sums = emitRowDots(builder, loc, lane, dots);
  auto join = [&](Value sum) {
    return emitWarpReduce(builder, loc, sum, [&](Value a, Value b) -> Value {
      return arith::AddFOp::create(builder, loc, a, b);
    });
  };
  Value factor;
  if (product.scaling)
    factor = product.scaling->factor(join(sums.pop_back_val()));
  // Lane i keeps the sum of row i.
  Value own = emitFloat(builder, loc, 0);
  for (auto [i, sum] : llvm::enumerate(sums)) {
    Value joined = join(sum);
    if (factor)
      joined = arith::MulFOp::create(builder, loc, joined, factor);
    Value isOwn = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        lane, index(static_cast<int64_t>(i)));
    own = arith::SelectOp::create(builder, loc, isOwn, joined, own);
  }
  Value row = emitAdd(builder, loc, first, lane);
  Value isStored = arith::AndIOp::create(
      builder, loc,
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, lane,
                            index(rowTile)),
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, row,
                            product.rows));
  auto store = scf::IfOp::create(builder, loc, isStored);
  builder.setInsertionPointToStart(store.thenBlock());
  epilogue(row, column, own);
}

SmallVector<ProductKernel> productKernels(const Target &target,
                                          const Product &product) {
  if (product.groups && product.groups->isFloat)
    return fp8ProductKernels(target, product);
  if (product.groups)
    return groupProductKernels(target, product);
  auto streaming = [](int64_t rowTile) {
    return [rowTile](OpBuilder &builder, Location loc, const Product &product,
                     Epilogue epilogue) {
      emitStreamingProduct(builder, loc, product, rowTile, epilogue);
    };
  };
  SmallVector<ProductKernel> kernels{{"_one", streamingGrid(product.n, 1),
                                      /*sharedBytes=*/0, RowRange{1, 1},
                                      streaming(1)}};
  kernels[0].scalesRow = true;
  if (canStreamFewRows(product))
    kernels.push_back({"", fewRowsGrid(product), fewRowsBytes(product),
                       RowRange{2}, emitFewRows});
  else
    kernels.push_back({"", streamingGrid(product.n, mostRows),
                       /*sharedBytes=*/0, RowRange{2}, streaming(mostRows)});
  addTiledKernels(target, product, kernels);
  return kernels;
}

} // namespace clade::cuda
