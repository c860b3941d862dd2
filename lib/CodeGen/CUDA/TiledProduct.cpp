//===- TiledProduct.cpp - Products on tensor cores ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/TiledProduct.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitMul;

/// Rows for which one pass over the weight is all that is needed: tensor cores
/// would wait for it.
static constexpr int64_t fewRows = 8;
/// Multiprocessors that should have a tile each: GPUs have 108 to 148.
static constexpr int64_t busyTiles = 128;

Grid tiledGrid(const Tiling &tiling, int64_t n) {
  return {static_cast<int64_t>(llvm::divideCeil(n, tiling.n)), tiling.m,
          tiling.threads()};
}

int64_t firstBusyRows(const Tiling &tiling, int64_t n) {
  auto rowsOfTiles = static_cast<int64_t>(
      llvm::divideCeil(busyTiles, tiledGrid(tiling, n).columns));
  return (rowsOfTiles - 1) * tiling.m + 1;
}

std::pair<Value, Value> emitTilePlace(OpBuilder &builder, Location loc,
                                      const Target &target,
                                      const Tiling &tiling, int64_t n,
                                      int64_t rowBytes, Value rows) {
  auto index = [&](int64_t value) { return emitIndex(builder, loc, value); };
  auto minus = [&](Value a, Value b) -> Value {
    return arith::SubIOp::create(builder, loc, a, b);
  };
  auto divide = [&](Value a, Value b) -> Value {
    return arith::DivUIOp::create(builder, loc, a, b);
  };
  auto remainder = [&](Value a, Value b) -> Value {
    return arith::RemUIOp::create(builder, loc, a, b);
  };
  int64_t numColumns = tiledGrid(tiling, n).columns;
  // Most of L2: of weights a few columns pass through it, and results leave it
  // first.
  int64_t most = std::clamp<int64_t>(
      target.l2Bytes * 6 / 7 / (tiling.m * rowBytes), 1, 64);
  Value number = emitAdd(builder, loc,
                         emitMul(builder, loc, emitBlock(builder, loc, Axis::Y),
                                 index(numColumns)),
                         emitBlock(builder, loc, Axis::X));
  Value numRows = cpu::emitCeilDiv(builder, loc, rows, index(tiling.m));
  // Groups of one size: a small one would pass all weights for few rows.
  Value group =
      cpu::emitCeilDiv(builder, loc, numRows,
                       cpu::emitCeilDiv(builder, loc, numRows, index(most)));
  Value size = emitMul(builder, loc, group, index(numColumns));
  Value which = divide(number, size), inGroup = remainder(number, size);
  Value first = emitMul(builder, loc, which, group);
  Value height =
      arith::MinUIOp::create(builder, loc, minus(numRows, first), group);
  Value row = emitAdd(builder, loc, first, remainder(inGroup, height));
  Value column = divide(inGroup, height);
  Value goesBack = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne,
                                         remainder(which, index(2)), index(0));
  column = arith::SelectOp::create(
      builder, loc, goesBack, minus(index(numColumns - 1), column), column);
  return {emitMul(builder, loc, row, index(tiling.m)),
          emitMul(builder, loc, column, index(tiling.n))};
}

/// Whether wide tiles have hardly more columns behind the last one than large
/// ones.
static bool fillsWideTiles(const Target &target, int64_t n) {
  auto padded = [&](const Tiling &tiling) {
    return tiledGrid(tiling, n).columns * tiling.n;
  };
  return 8 * padded(wideTiling(target)) <= 9 * padded(largeTiling(target));
}

MappedRows mappedInput(const Tiling &tiling, int64_t k) {
  return {k, /*rows=*/0, tiling.k, tiling.m};
}

MappedRows mappedWeight(const Tiling &tiling, int64_t n, int64_t k) {
  return {k, n, tiling.k, tiling.n};
}

void emitTiledProduct(OpBuilder &builder, Location loc, const Target &target,
                      const Tiling &tiling, const Product &product,
                      Epilogue epilogue) {
  TileEmitter emitter(builder, loc, tiling, product.n, product.k,
                      product.groups ? builder.getBF16Type()
                                     : product.weightType,
                      product.groups);
  Tile tile;
  tile.input = product.input;
  tile.weight = product.weight;
  tile.inputMap = product.inputMap;
  tile.weightMap = product.weightMap;
  std::tie(tile.row, tile.column) =
      emitTilePlace(builder, loc, target, tiling, product.n,
                    product.k * elementBytes, product.rows);
  tile.rows = emitter.left(product.rows, tile.row, tiling.m);
  tile.columns = emitter.columnsFrom(tile.column);
  emitter.emit(tile, [&](Value row, Value column, Value sum) {
    epilogue(emitAdd(builder, loc, tile.row, row),
             emitAdd(builder, loc, tile.column, column), sum);
  });
}

void addTiledKernels(const Target &target, const Product &product,
                     SmallVectorImpl<ProductKernel> &kernels) {
  if (product.groups
          ? !canTileCodes(product.k)
          : !canTile(product.inputType, product.weightType, product.k))
    return;
  int64_t next = fewRows + 1;
  kernels.back().rows.last = fewRows;
  // Tiles until larger ones are enough; the last for all further rows. No
  // tensor map describes panels.
  bool isMapped =
      target.hasWarpgroups() && canMap(product.k) && !product.groups;
  Tiling narrow = narrowTiling(target), small = smallTiling(target),
         large = isMapped ? mappedTiling(target) : largeTiling(target);
  auto add = [&](StringRef suffix, const Tiling &tiling, int64_t end) {
    if (next >= end)
      return;
    kernels.push_back(
        {suffix, tiledGrid(tiling, product.n), tiling.sharedBytes(),
         RowRange{static_cast<int32_t>(next), static_cast<int32_t>(end - 1)},
         [target, tiling](OpBuilder &builder, Location loc,
                          const Product &product, Epilogue epilogue) {
           emitTiledProduct(builder, loc, target, tiling, product, epilogue);
         },
         /*streamsResults=*/tiling.m == large.m});
    kernels.back().readsRows = product.groups != nullptr;
    if (tiling.hasProducer) {
      kernels.back().inputMap = mappedInput(tiling, product.k);
      kernels.back().weightMap = mappedWeight(tiling, product.n, product.k);
    }
    next = end;
  };
  add("_narrow", narrow,
      std::min(firstBusyRows(small, product.n), narrow.m + 1));
  add("_small", small, std::max(firstBusyRows(large, product.n), small.m + 1));
  constexpr int64_t end = int64_t(RowRange().last) + 1;
  if ((isMapped || (product.groups && target.hasWarpgroups())) &&
      fillsWideTiles(target, product.n)) {
    Tiling wide = wideTiling(target);
    wide.hasProducer = isMapped;
    add("_large", large, firstBusyRows(wide, product.n));
    add("_wide", wide, end);
  } else {
    add("_large", large, end);
  }
}

} // namespace clade::cuda
