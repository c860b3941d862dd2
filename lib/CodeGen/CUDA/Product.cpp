//===- Product.cpp - Products with a weight -------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/Product.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/TiledProduct.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitMul;

/// Rows that a warp computes at once: the weight is read once for all of them.
static constexpr int64_t rowTile = 8;
static constexpr int64_t numWarps = 4;

Grid streamingGrid(int64_t n) {
  return {static_cast<int64_t>(llvm::divideCeil(n, numWarps)), rowTile,
          numWarps * warpSize};
}

void emitStreamingProduct(OpBuilder &builder, Location loc,
                          const Product &product, Epilogue epilogue) {
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
  SmallVector<Value> starts;
  for (int64_t i = 0; i < rowTile; ++i) {
    // Rows behind the last one repeat it and are not stored.
    Value row = arith::MinUIOp::create(
        builder, loc, emitAdd(builder, loc, first, index(i)), last);
    starts.push_back(emitMul(builder, loc, row, index(product.k)));
  }
  Value weightStart = emitMul(builder, loc, column, index(product.k));
  SmallVector<Value> zeros(rowTile, emitFloat(builder, loc, 0));
  auto loop =
      scf::ForOp::create(builder, loc, lane, index(product.k), lanes, zeros);
  {
    OpBuilder::InsertionGuard inner(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value at = loop.getInductionVar();
    Value weight =
        emitLoadFloat(builder, loc, product.weightType, product.weight,
                      emitAdd(builder, loc, weightStart, at));
    SmallVector<Value> sums;
    for (auto [start, sum] : llvm::zip_equal(starts, loop.getRegionIterArgs()))
      sums.push_back(math::FmaOp::create(
          builder, loc,
          emitLoadFloat(builder, loc, product.inputType, product.input,
                        emitAdd(builder, loc, start, at)),
          weight, sum));
    scf::YieldOp::create(builder, loc, sums);
  }
  // Lane i keeps the sum of row i.
  Value own = emitFloat(builder, loc, 0);
  for (auto [i, sum] : llvm::enumerate(loop.getResults())) {
    Value joined =
        emitWarpReduce(builder, loc, sum, [&](Value a, Value b) -> Value {
          return arith::AddFOp::create(builder, loc, a, b);
        });
    Value isOwn = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        lane, index(i));
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
  SmallVector<ProductKernel> kernels{{"", streamingGrid(product.n),
                                      /*sharedBytes=*/0, RowRange(),
                                      emitStreamingProduct}};
  if (!canTile(product.inputType, product.weightType, product.k))
    return kernels;
  // One pass over the weight is all that few rows need, and tensor cores would
  // wait for it.
  int64_t next = rowTile + 1;
  kernels[0].rows.last = rowTile;
  // Tiles until larger ones are enough; the last for all further rows.
  auto add = [&](StringRef suffix, const Tiling &tiling, int64_t end) {
    if (next >= end)
      return;
    kernels.push_back(
        {suffix, tiledGrid(tiling, product.n), tiling.sharedBytes(),
         RowRange{static_cast<int32_t>(next), static_cast<int32_t>(end - 1)},
         [target, tiling](OpBuilder &builder, Location loc,
                          const Product &product, Epilogue epilogue) {
           emitTiledProduct(builder, loc, target, tiling, product, epilogue);
         }});
    next = end;
  };
  Tiling narrow = narrowTiling(target), small = smallTiling(target),
         large = largeTiling(target);
  add("_narrow", narrow,
      std::min(firstBusyRows(small, product.n), narrow.m + 1));
  add("_small", small, std::max(firstBusyRows(large, product.n), small.m + 1));
  add("_large", large, int64_t(RowRange().last) + 1);
  return kernels;
}

} // namespace clade::cuda
