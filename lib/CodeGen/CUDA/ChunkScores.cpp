//===- ChunkScores.cpp - What of a chunk does not depend on S -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The warps that are a chunk ahead: rows and decays, the matrices P and A of
// products between tokens, and inverses of I + A for each 16 tokens.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/ChunkTile.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <numbers>

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;

/// Rows that a warp loads, and how many of them are on their way together.
static constexpr int64_t rowsOfWarp = chunkTokens / preparingWarps,
                         rowsTogether = 4;

void ChunkScan::prepare() {
  Value chunks = cpu::emitCeilDiv(builder, loc, make<arith::SubIOp>(end, begin),
                                  index(chunkTokens));
  auto loop = scf::ForOp::create(builder, loc, index(0), chunks, index(1));
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Chunk chunk = chunkAt(loop.getInductionVar());
    Value keysAt = i32<arith::AddIOp>(chunk.stage, layout.keysAt * 4);
    loadRows(chunk, {{parts.query, chunk.stage}, {parts.key, keysAt}},
             parts.keySize, index(0), layout.keyStride, layout.keys);
    loadNumbers(chunk);
    syncPhases();
    // Those of the chunk before have been read.
    loadRows(chunk, {{parts.value, constant(layout.valuesAt() * 4)}},
             parts.valueSize, firstValue, layout.valueStride, layout.values);
    multiplyKeys(chunk);
    syncPhases();
  }
  // While the last chunk is added to S.
  syncPhases();
  syncPhases();
}

/// Brings rows of parts, each to where its matrix begins (i32, bytes): elements
/// from `first` on, of `size`, as columns `stride` words apart. Rows behind the
/// chunk and elements behind the last are zero.
void ChunkScan::loadRows(const Chunk &chunk,
                         ArrayRef<std::pair<Value, Value>> matrices,
                         int64_t size, Value first, int64_t stride,
                         int64_t columns) {
  auto loop = scf::ForOp::create(builder, loc, index(0), index(rowsOfWarp),
                                 index(rowsTogether));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  struct Element {
    Value at, value;
    int64_t column;
  };
  SmallVector<Element> elements;
  Value ownFirst = scaled(warp, rowsOfWarp, toI32(loop.getInductionVar()));
  for (int64_t row = 0; row < rowsTogether; ++row) {
    Value place = i32<arith::AddIOp>(ownFirst, row);
    Value isToken = isBelow(place, chunk.count);
    Value token =
        make<arith::MinUIOp>(emitAdd(builder, loc, chunk.first, toIndex(place)),
                             make<arith::SubIOp>(end, index(1)));
    LinearScan::Row partAt = scan.rowAt(token);
    Value offset =
        scaled(rowOf(place), stride * 4, i32<arith::MulIOp>(lane, 4));
    for (auto [part, matrix] : matrices)
      for (int64_t column = 0; column < columns; column += warpSize) {
        Value element = emitAdd(builder, loc, first,
                                toIndex(i32<arith::AddIOp>(lane, column)));
        Value isThere = make<arith::AndIOp>(
            isToken, compare(arith::CmpIPredicate::ult, element, index(size)));
        element = make<arith::MinUIOp>(element, index(size - 1));
        elements.push_back(
            {i32<arith::AddIOp>(matrix, offset),
             select(isThere, partAt(part, head, element), number(0)), column});
      }
  }
  for (const Element &element : elements) {
    OpBuilder::InsertionGuard inner(builder);
    if (columns - element.column < warpSize) {
      auto some = scf::IfOp::create(
          builder, loc, isBelow(lane, constant(columns - element.column)));
      builder.setInsertionPointToStart(some.thenBlock());
    }
    store(element.at, element.column, element.value);
  }
}

/// Sums of decays and what follows from them, by one warp, whose lanes have a
/// token each. Tokens behind the chunk decay nothing.
void ChunkScan::loadNumbers(const Chunk &chunk) {
  auto isFirst = scf::IfOp::create(
      builder, loc, compare(arith::CmpIPredicate::eq, warp, constant(0)));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(isFirst.thenBlock());
  Value isToken = isBelow(lane, chunk.count);
  Value token =
      make<arith::MinUIOp>(emitAdd(builder, loc, chunk.first, toIndex(lane)),
                           make<arith::SubIOp>(end, index(1)));
  LinearScan::Row partAt = scan.rowAt(token);
  Value sum = select(isToken, partAt(parts.logDecay, head, {}), number(0));
  for (int32_t distance = 1; distance < warpSize; distance *= 2) {
    auto before = gpu::ShuffleOp::create(builder, loc, sum, distance, warpSize,
                                         gpu::ShuffleMode::UP);
    sum = select(before.getValid(),
                 make<arith::AddFOp>(sum, before.getShuffleResult()), sum);
  }
  Value all = gpu::ShuffleOp::create(builder, loc, sum, warpSize - 1, warpSize,
                                     gpu::ShuffleMode::IDX)
                  .getShuffleResult();
  Value at = scaled(lane, 4, chunk.stage);
  store(at, layout.sumsAt, sum);
  store(at, layout.leadsAt, math::ExpOp::create(builder, loc, sum).getResult());
  store(at, layout.restsAt,
        math::ExpOp::create(builder, loc, make<arith::SubFOp>(all, sum))
            .getResult());
  if (layout.hasRate)
    store(at, layout.ratesAt,
          select(isToken, partAt(parts.rate, head, {}), number(0)));
}

/// P by two warps, and −A by two others: 16 rows each.
void ChunkScan::multiplyKeys(const Chunk &chunk) {
  OpBuilder::InsertionGuard guard(builder);
  Value isLack =
      compare(arith::CmpIPredicate::uge, warp, constant(preparingWarps / 2));
  if (!layout.hasRate) {
    auto some = scf::IfOp::create(builder, loc,
                                  isBelow(warp, constant(preparingWarps / 2)));
    builder.setInsertionPointToStart(some.thenBlock());
  }
  Value tile = i32<arith::RemUIOp>(warp, 2);
  Value pairAt =
      i32<arith::AddIOp>(chunk.stage, scaled(rowOf(group), layout.keyStride * 4,
                                             i32<arith::MulIOp>(member, 8)));
  Value leftAt = i32<arith::AddIOp>(
      scaled(tile, mmaM * layout.keyStride * 4, pairAt),
      select(isLack, constant(layout.keysAt * 4), constant(0)));
  Sums sums = zeros(chunkTiles);
  for (int64_t key = 0; key < layout.keys; key += mmaKOfTF32) {
    Values top = load(leftAt, key, 2),
           bottom = load(leftAt, 8 * layout.keyStride + key, 2);
    Values fragment = splitAll({asNumber(top[0]), asNumber(bottom[0]),
                                asNumber(top[1]), asNumber(bottom[1])});
    for (auto [i, own] : llvm::enumerate(sums)) {
      int64_t row = static_cast<int64_t>(i) * mmaN;
      own = multiplySplit(
          fragment,
          load(pairAt, layout.keysAt + row * layout.keyStride + key, 2), own);
    }
  }
  // Rows and columns of this lane are tokens.
  Value row = scaled(tile, mmaM, group), column = i32<arith::MulIOp>(member, 2);
  Value rowNumberAt = scaled(row, 4, chunk.stage),
        columnNumberAt = scaled(column, 4, chunk.stage);
  Value target = i32<arith::AddIOp>(
      scaled(row, scoreStride * 4, scaled(column, 4, chunk.stage)),
      select(isLack, constant(layout.lacksAt * 4),
             constant(layout.scoresAt * 4)));
  Value log2e = number(std::numbers::log2e);
  for (int64_t half = 0; half < 2; ++half) {
    Value own = loadNumber(rowNumberAt, layout.sumsAt + half * 8);
    // The first column that is not there: the next token, or this one.
    Value behind = i32<arith::AddIOp>(row, half * 8 + 1);
    Value factor;
    if (layout.hasRate) {
      behind =
          i32<arith::SubIOp>(behind, select(isLack, constant(1), constant(0)));
      Value rate = arith::NegFOp::create(
          builder, loc, loadNumber(rowNumberAt, layout.ratesAt + half * 8));
      factor = select(isLack, rate, number(1));
    }
    for (int64_t i = 0; i < chunkTiles; ++i) {
      Values pair;
      for (int64_t odd = 0; odd < 2; ++odd) {
        Value sum =
            sums[static_cast<size_t>(i)][static_cast<size_t>(half * 2 + odd)];
        Value other =
            loadNumber(columnNumberAt, layout.sumsAt + i * mmaN + odd);
        Value decay =
            make<arith::MulFOp>(make<arith::SubFOp>(own, other), log2e);
        sum = make<arith::MulFOp>(sum, exp2(decay));
        if (factor)
          sum = make<arith::MulFOp>(sum, factor);
        Value isThere =
            isBelow(i32<arith::AddIOp>(column, i * mmaN + odd), behind);
        pair.push_back(select(isThere, sum, number(0)));
      }
      store(target, half * 8 * scoreStride + i * mmaN, pair);
    }
  }
  if (!layout.hasRate)
    return;
  auto lacks = scf::IfOp::create(builder, loc, isLack);
  builder.setInsertionPointToStart(lacks.thenBlock());
  invert(chunk, tile);
}

/// (I + A)⁻¹ of 16 tokens takes the place of their −A: a lane has a column of
/// it, computed from the top.
void ChunkScan::invert(const Chunk &chunk, Value tile) {
  Value at = scaled(tile, mmaM * (scoreStride + 1) * 4, chunk.stage);
  Value own = i32<arith::RemUIOp>(lane, mmaM);
  syncWarp();
  Values column;
  for (int64_t row = 0; row < mmaM; ++row) {
    Value sum = select(compare(arith::CmpIPredicate::eq, own, constant(row)),
                       number(1), number(0));
    Values factors;
    for (int64_t i = 0; i < row; i += 4)
      llvm::append_range(factors,
                         load(at, layout.lacksAt + row * scoreStride + i, 4));
    for (auto [factor, above] : llvm::zip(factors, column))
      sum = math::FmaOp::create(builder, loc, asNumber(factor), above, sum);
    column.push_back(sum);
  }
  syncWarp();
  auto some = scf::IfOp::create(builder, loc, isBelow(lane, constant(mmaM)));
  builder.setInsertionPointToStart(some.thenBlock());
  Value ownAt = scaled(own, 4, at);
  for (auto [row, value] : llvm::enumerate(column))
    store(ownAt, layout.lacksAt + static_cast<int64_t>(row) * scoreStride,
          value);
}

} // namespace clade::cuda
