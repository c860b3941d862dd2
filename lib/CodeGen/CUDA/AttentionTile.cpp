//===- AttentionTile.cpp - A tile of keys on tensor cores -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/AttentionTile.h"

#include "lib/CodeGen/CPU/CacheWrite.h"
#include "runtime/include/clade/abi.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <numbers>

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitMul;

Value TiledAttention::joinLanes(Value value, Combine combine) {
  for (int32_t distance : {1, 2})
    value =
        combine(value, gpu::ShuffleOp::create(builder, loc, value, distance,
                                              warpSize, gpu::ShuffleMode::XOR)
                           .getShuffleResult());
  return value;
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

void TiledAttention::copyRows(
    Value target, int64_t stride, int64_t pieces, int64_t rows,
    llvm::function_ref<std::pair<Value, Value>(int64_t)> source) {
  // Eight lanes have a piece of eight rows; 32 lanes, 64 bytes of each.
  Value row = i32<arith::AddIOp>(i32<arith::MulIOp>(warp, 8),
                                 i32<arith::RemUIOp>(lane, 8)),
        ownPiece = i32<arith::DivUIOp>(lane, 8);
  Value begin = i32<arith::AddIOp>(
      target, i32<arith::AddIOp>(i32<arith::MulIOp>(row, stride),
                                 i32<arith::MulIOp>(ownPiece, pieceBytes)));
  Value ownBytes = i32<arith::MulIOp>(ownPiece, pieceBytes);
  for (int64_t turn = 0; turn < rows / (8 * tileWarps); ++turn) {
    // The row of this lane, and whether it is there (or null).
    auto [from, isThere] = source(turn);
    Value to =
        sharedAt(i32<arith::AddIOp>(begin, turn * 8 * tileWarps * stride));
    int64_t padded = TileLayout::padded(pieces);
    for (int64_t first = 0; first < padded; first += 4) {
      OpBuilder::InsertionGuard guard(builder);
      if (first + 4 > padded) {
        Value isPiece = isBelow(ownPiece, constant(padded - first));
        auto some = scf::IfOp::create(builder, loc, isPiece);
        builder.setInsertionPointToStart(some.thenBlock());
      }
      Value size, offset = i32<arith::AddIOp>(ownBytes, first * pieceBytes);
      if (isThere)
        size = select(isThere, constant(pieceBytes), constant(0));
      if (first + 4 > pieces) {
        // Pieces behind the row's end are zeros.
        Value isPiece =
            isBelow(i32<arith::AddIOp>(ownPiece, first), constant(pieces));
        size = select(isPiece, size ? size : constant(pieceBytes), constant(0));
        offset = i32<arith::MinUIOp>(offset, (pieces - 1) * pieceBytes);
      }
      copyAsync(advance(to, constant(first * pieceBytes)),
                advance(from, offset), pieceBytes, size);
    }
  }
}

void TiledAttention::fetchQueries() {
  Value last = make<arith::SubIOp>(numTokens, index(1));
  auto source = [&](int64_t turn) -> std::pair<Value, Value> {
    Value row =
        i32<arith::AddIOp>(i32<arith::AddIOp>(i32<arith::MulIOp>(warp, 8),
                                              i32<arith::RemUIOp>(lane, 8)),
                           turn * 8 * tileWarps);
    // Tokens behind the last one repeat it and are not stored.
    Value token = make<arith::MinUIOp>(
        emitAdd(builder, loc, firstToken, toIndex(row)), last);
    Value place = emitAdd(
        builder, loc, emitMul(builder, loc, token, index(shape.qHeads)), head);
    return {toGlobal(cpu::emitAddress(
                builder, loc, operands.queries, shape.elementType,
                emitMul(builder, loc, place, index(shape.keySize)))),
            Value()};
  };
  copyRows(constant(0), layout.keyStride, layout.keyPieces, layout.tokens,
           source);
}

/// Copies the keys and values of pages from `page` on to `stage`.
void TiledAttention::fetchTile(Value page, Value stage) {
  cpu::KVStateView state(builder, loc, operands.state);
  Value table = cpu::emitPageTable(builder, loc, operands.state, sequence);
  Value row = i32<arith::AddIOp>(i32<arith::MulIOp>(warp, 8),
                                 i32<arith::RemUIOp>(lane, 8));
  for (bool isKey : {true, false}) {
    if (!isKey && shape.hasSharedRows)
      break;
    int64_t size = isKey ? shape.keySize : shape.valueSize;
    auto source = [&](int64_t turn) -> std::pair<Value, Value> {
      // Four warps bring a page in a turn. Pages behind the last are zeros.
      Value entry = emitAdd(builder, loc, page, index(turn)), isThere;
      if (turn > 0) {
        isThere = compare(arith::CmpIPredicate::ult, entry, endPage);
        entry =
            make<arith::MinUIOp>(entry, make<arith::SubIOp>(endPage, index(1)));
      }
      Value rows = cpu::emitPageAddress(
          builder, loc, {shape.kvHeads, size, shape.elementType},
          isKey ? state.keys() : state.values(), table, entry, kvHead);
      return {
          advance(toGlobal(rows), i32<arith::MulIOp>(row, size * elementBytes)),
          isThere};
    };
    copyRows(
        isKey ? stage : Value(i32<arith::AddIOp>(stage, layout.valueOffset)),
        isKey ? layout.keyStride : layout.valueStride,
        isKey ? layout.keyPieces : layout.valuePieces, layout.keys, source);
  }
}

//===----------------------------------------------------------------------===//
// A tile of keys
//===----------------------------------------------------------------------===//

/// The products of the warp's queries with the tile's keys: four scores of a
/// lane for each eight keys.
TiledAttention::Values TiledAttention::multiplyKeys(Value stage) {
  // Of the queries the four matrices are two halves of rows, then of columns;
  // of the keys the other way round.
  Value ownRow = i32<arith::AddIOp>(i32<arith::MulIOp>(tokenGroup, mmaM),
                                    i32<arith::RemUIOp>(lane, 16));
  Value queryAt = i32<arith::AddIOp>(
      i32<arith::MulIOp>(ownRow, layout.keyStride),
      i32<arith::MulIOp>(i32<arith::DivUIOp>(lane, 16), pieceBytes));
  Value row =
      i32<arith::AddIOp>(i32<arith::RemUIOp>(lane, 8),
                         i32<arith::MulIOp>(i32<arith::DivUIOp>(lane, 16), 8));
  Value half = i32<arith::RemUIOp>(i32<arith::DivUIOp>(lane, 8), 2);
  Value keyAt = sharedAt(i32<arith::AddIOp>(
      stage, i32<arith::AddIOp>(i32<arith::MulIOp>(row, layout.keyStride),
                                i32<arith::MulIOp>(half, pieceBytes))));
  int64_t depths = TileLayout::padded(layout.keyPieces) / 2;
  Values scores(static_cast<size_t>(layout.keys / 2), number(0));
  for (int64_t depth = 0; depth < depths; ++depth) {
    // Short rows of queries stay in registers.
    Values query = depth < static_cast<int64_t>(queries.size())
                       ? queries[static_cast<size_t>(depth)]
                       : loadFragment(sharedAt(i32<arith::AddIOp>(
                             queryAt, depth * 2 * pieceBytes)));
    MutableArrayRef<Value> next(scores);
    for (int64_t key = 0; key < layout.keys; key += 2 * mmaN) {
      Values pair = loadFragment(advance(
          keyAt, constant(key * layout.keyStride + depth * 2 * pieceBytes)));
      for (ArrayRef<Value> one :
           {ArrayRef(pair).take_front(2), ArrayRef(pair).drop_front(2)}) {
        llvm::copy(multiply(query, one, next.take_front(4)), next.begin());
        next = next.drop_front(4);
      }
    }
  }
  return scores;
}

/// Scales scores, and takes out those of keys that are not attended.
void TiledAttention::finishScores(Values &scores, Value page) {
  constexpr double log2e = std::numbers::log2e;
  Value ownColumn = i32<arith::MulIOp>(i32<arith::RemUIOp>(lane, 4), 2);
  Value firstKey = i32<arith::AddIOp>(
      i32<arith::MulIOp>(toI32(page), CLADE_PAGE_TOKENS), ownColumn);
  // Keys as distances from this lane's first one.
  Values last, first, distances;
  for (int64_t row = 0; row < ownRows; ++row) {
    auto i = static_cast<size_t>(row);
    last.push_back(i32<arith::SubIOp>(lastKeys[i], firstKey));
    if (shape.window)
      first.push_back(i32<arith::SubIOp>(firstKeys[i], firstKey));
    if (slope)
      distances.push_back(
          arith::SIToFPOp::create(builder, loc, builder.getF32Type(),
                                  i32<arith::SubIOp>(firstKey, positions[i])));
  }
  std::array<Value, 2> keyGroup; // Of the keys of the last two scores.
  for (auto [place, score] : llvm::enumerate(scores)) {
    size_t row = place / 2 % 2;
    auto at = static_cast<int64_t>(place / 4 * mmaN + place % 2);
    if (shape.softcap) {
      score = make<arith::MulFOp>(score, number(shape.scale / *shape.softcap));
      score = math::TanhOp::create(builder, loc, score);
      score = make<arith::MulFOp>(score, number(*shape.softcap * log2e));
    } else {
      score = make<arith::MulFOp>(score, number(shape.scale * log2e));
    }
    if (slope)
      score = math::FmaOp::create(
          builder, loc, slope,
          make<arith::AddFOp>(distances[row], number(double(at))), score);
    Value isAttended =
        compare(arith::CmpIPredicate::sle, constant(at), last[row]);
    if (shape.window)
      isAttended =
          make<arith::AndIOp>(isAttended, compare(arith::CmpIPredicate::sge,
                                                  constant(at), first[row]));
    if (shape.hasGroups) {
      // Two rows share a key.
      Value &group = keyGroup[place % 2];
      if (row == 0)
        group = groupAt(i32<arith::MinUIOp>(i32<arith::AddIOp>(firstKey, at),
                                            lastOfSequence));
      isAttended = make<arith::AndIOp>(
          isAttended, compare(arith::CmpIPredicate::eq, group, groups[row]));
    }
    score = select(isAttended, score, lowest);
  }
}

/// Adds the tile's values, weighted by fragments of weights.
void TiledAttention::multiplyValues(Value stage, ArrayRef<Value> weights,
                                    Values &sums) {
  // Values are transposed on the way: two halves of keys, then of columns.
  Value row = i32<arith::AddIOp>(
      i32<arith::RemUIOp>(lane, 8),
      i32<arith::MulIOp>(i32<arith::RemUIOp>(i32<arith::DivUIOp>(lane, 8), 2),
                         8));
  Value own = i32<arith::AddIOp>(
      i32<arith::AddIOp>(stage, layout.valueOffset),
      i32<arith::MulIOp>(part, layout.partPieces() * pieceBytes));
  Value valueAt = sharedAt(i32<arith::AddIOp>(
      own, i32<arith::AddIOp>(
               i32<arith::MulIOp>(row, layout.valueStride),
               i32<arith::MulIOp>(i32<arith::DivUIOp>(lane, 16), pieceBytes))));
  for (int64_t key = 0; key < layout.keys; key += mmaK) {
    ArrayRef<Value> weight = weights.take_front(4);
    weights = weights.drop_front(4);
    MutableArrayRef<Value> next(sums);
    for (int64_t piece = 0; piece < layout.partPieces(); piece += 2) {
      Values pair =
          loadFragment(advance(valueAt, constant(key * layout.valueStride +
                                                 piece * pieceBytes)),
                       /*isTransposed=*/true);
      for (ArrayRef<Value> one :
           {ArrayRef(pair).take_front(2), ArrayRef(pair).drop_front(2)}) {
        if (next.empty()) // The piece behind the last one.
          break;
        llvm::copy(multiply(weight, one, next.take_front(4)), next.begin());
        next = next.drop_front(4);
      }
    }
  }
}

TiledAttention::State TiledAttention::addTile(Value page, Value stage,
                                              State state) {
  Values scores = multiplyKeys(stage);
  finishScores(scores, page);
  State next;
  Values shrinks, bases;
  for (size_t row = 0; row < ownRows; ++row) {
    auto max = [&](Value x, Value y) { return make<arith::MaximumFOp>(x, y); };
    Value largest;
    for (size_t place = 0; place < scores.size(); ++place)
      if (place / 2 % 2 == row)
        largest = largest ? max(largest, scores[place]) : scores[place];
    largest = max(state.largest[row], joinLanes(largest, max));
    next.largest.push_back(largest);
    // Rows without a key yet have no largest score, and weights of zero.
    Value isNone = arith::CmpFOp::create(
        builder, loc, arith::CmpFPredicate::OEQ, largest, lowest);
    bases.push_back(select(isNone, number(0), largest));
    shrinks.push_back(
        exp2(make<arith::SubFOp>(state.largest[row], bases[row])));
    next.totals.push_back(make<arith::MulFOp>(state.totals[row], shrinks[row]));
  }
  for (auto [place, score] : llvm::enumerate(scores)) {
    size_t row = place / 2 % 2;
    score = exp2(make<arith::SubFOp>(score, bases[row]));
    next.totals[row] = make<arith::AddFOp>(next.totals[row], score);
  }
  // Sums of scores lie as fragments of weights do: two of eight keys make one.
  Values weights;
  for (size_t place = 0; place < scores.size(); place += 2)
    weights.push_back(packBF16(scores[place], scores[place + 1]));
  for (auto [place, sum] : llvm::enumerate(state.sums))
    next.sums.push_back(make<arith::MulFOp>(sum, shrinks[place / 2 % 2]));
  multiplyValues(stage, weights, next.sums);
  return next;
}

} // namespace clade::cuda
