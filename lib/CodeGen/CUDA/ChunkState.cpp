//===- ChunkState.cpp - What of a chunk depends on S ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The warps that have S, 16 values each.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/ChunkTile.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;

template <typename Sums> static SmallVector<Value> flatten(const Sums &sums) {
  SmallVector<Value> all;
  for (const auto &own : sums)
    llvm::append_range(all, own);
  return all;
}

template <typename Sums> static Sums unflatten(ValueRange values) {
  Sums sums;
  for (; !values.empty(); values = values.drop_front(4))
    sums.emplace_back(values.take_front(4));
  return sums;
}

void ChunkScan::scanChunks() {
  Value page = emitStatePage(builder, loc, scan, sequence);
  SmallVector<StatePlace> places = statePlaces();
  SmallVector<Value> initial =
      emitLoadState(builder, loc, scan, page, begin, head, places);
  // Keys that are not there add nothing to sums.
  for (auto [place, element] : llvm::zip(places, initial))
    if (place.isThere)
      element = select(place.isThere, element, number(0));
  // The first chunk is prepared.
  syncPhases();
  syncPhases();
  Value chunks = cpu::emitCeilDiv(builder, loc, make<arith::SubIOp>(end, begin),
                                  index(chunkTokens));
  auto loop =
      scf::ForOp::create(builder, loc, index(0), chunks, index(1), initial);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Chunk chunk = chunkAt(loop.getInductionVar());
    Sums state = unflatten<Sums>(loop.getRegionIterArgs());
    auto [outputs, updates] = readState(chunk, state);
    syncPhases();
    if (layout.hasRate)
      solve(chunk, updates);
    SmallVector<Values> fragments;
    for (const Values &own : updates)
      fragments.push_back(fragmentOf(own));
    for (int64_t tile = 0; tile < chunkTiles; ++tile)
      addProducts(outputs[static_cast<size_t>(tile)], chunk, layout.scoresAt,
                  fragments, tile, 0, tile + 1);
    storeOutputs(chunk, outputs);
    Sums next = nextState(chunk, state, updates);
    syncPhases();
    scf::YieldOp::create(builder, loc, flatten(next));
  }
  emitStoreState(builder, loc, scan, page, head, places,
                 SmallVector<Value>(loop.getResults()));
}

/// The first of this lane's two values, eight apart, among the block's.
Value ChunkScan::ownPlace() {
  return scaled(i32<arith::SubIOp>(warp, preparingWarps), valuesOfWarp, group);
}

/// Elements of S of this lane: for each eight keys two of two values.
SmallVector<StatePlace> ChunkScan::statePlaces() {
  SmallVector<StatePlace> places;
  Value ownValue = emitAdd(builder, loc, firstValue, toIndex(ownPlace()));
  Value ownKey = toIndex(i32<arith::MulIOp>(member, 2));
  bool areWhole =
      parts.keySize % mmaKOfTF32 == 0 && parts.valueSize % layout.values == 0;
  for (int64_t key = 0; key < layout.keys; key += mmaKOfTF32)
    for (int64_t i = 0; i < 4; ++i) {
      StatePlace place{emitAdd(builder, loc, ownKey, index(key + i % 2)),
                       emitAdd(builder, loc, ownValue, index(i / 2 * 8)),
                       {}};
      if (!areWhole) {
        place.isThere = make<arith::AndIOp>(
            compare(arith::CmpIPredicate::ult, place.key, index(parts.keySize)),
            compare(arith::CmpIPredicate::ult, place.value,
                    index(parts.valueSize)));
        place.key = make<arith::MinUIOp>(place.key, index(parts.keySize - 1));
        place.value =
            make<arith::MinUIOp>(place.value, index(parts.valueSize - 1));
      }
      places.push_back(place);
    }
  return places;
}

/// What comes of S as it was before the chunk: exp(G)·Q S; and what the
/// chunk adds to it, v or b·(v − exp(G)·K S).
std::pair<ChunkScan::Sums, ChunkScan::Sums>
ChunkScan::readState(const Chunk &chunk, const Sums &state) {
  Value at =
      i32<arith::AddIOp>(chunk.stage, scaled(rowOf(group), layout.keyStride * 4,
                                             i32<arith::MulIOp>(member, 8)));
  Sums outputs = zeros(chunkTiles), known = zeros(chunkTiles);
  for (auto [i, own] : llvm::enumerate(state)) {
    Values fragment = fragmentOf(own);
    for (int64_t tile = 0; tile < chunkTiles; ++tile) {
      int64_t place =
          tile * mmaN * layout.keyStride + static_cast<int64_t>(i) * mmaKOfTF32;
      Values &output = outputs[static_cast<size_t>(tile)];
      output = multiplySplit(fragment, load(at, place, 2), output);
      if (!layout.hasRate)
        continue;
      Values &sum = known[static_cast<size_t>(tile)];
      sum = multiplySplit(fragment, load(at, layout.keysAt + place, 2), sum);
    }
  }
  scaleColumns(outputs, chunk, layout.leadsAt);
  // Values of this lane's tokens.
  Value valueAt = scaled(ownPlace(), 4, constant(layout.valuesAt() * 4));
  Sums updates;
  for (int64_t tile = 0; tile < chunkTiles; ++tile) {
    Values &own = updates.emplace_back();
    for (int64_t i = 0; i < 4; ++i) {
      Value row = rowOf(scaled(member, 2, constant(i % 2)));
      own.push_back(loadNumber(scaled(row, layout.valueStride * 4, valueAt),
                               tile * mmaN * layout.valueStride + i / 2 * 8));
    }
  }
  if (layout.hasRate) {
    scaleColumns(known, chunk, layout.leadsAt);
    for (auto [own, past] : llvm::zip_equal(updates, known))
      for (auto [value, sum] : llvm::zip_equal(own, past))
        value = make<arith::SubFOp>(value, sum);
    scaleColumns(updates, chunk, layout.ratesAt);
  }
  return {outputs, updates};
}

/// Multiplies sums by the number of their token.
void ChunkScan::scaleColumns(Sums &sums, const Chunk &chunk,
                             int64_t factorsAt) {
  Value at = scaled(member, 8, chunk.stage);
  for (auto [tile, own] : llvm::enumerate(sums)) {
    Values factors = load(at, factorsAt + static_cast<int64_t>(tile) * mmaN, 2);
    for (auto [i, sum] : llvm::enumerate(own))
      sum = make<arith::MulFOp>(sum, asNumber(factors[i % 2]));
  }
}

/// Adds to the sums of eight tokens the products of a matrix of the stage,
/// [tokens, tokens], and what `fragments` has for the tokens of some tiles.
void ChunkScan::addProducts(Values &sums, const Chunk &chunk, int64_t matrixAt,
                            ArrayRef<Values> fragments, int64_t tile,
                            int64_t first, int64_t behind) {
  Value at = scaled(group, scoreStride * 4, scaled(member, 8, chunk.stage));
  for (int64_t other = first; other < behind; ++other)
    sums = multiplySplit(
        fragments[static_cast<size_t>(other)],
        load(at, matrixAt + tile * mmaN * scoreStride + other * mmaN, 2), sums);
}

/// (I + A) W = what `sums` has, by 16 tokens: those before are multiplied by
/// −A, and their own sums by the inverse.
void ChunkScan::solve(const Chunk &chunk, Sums &sums) {
  constexpr int64_t tiles = mmaM / mmaN;
  SmallVector<Values> fragments; // Of W.
  for (int64_t first = 0; first < chunkTiles; first += tiles) {
    SmallVector<Values> rest(fragments);
    for (int64_t tile = first; tile < first + tiles; ++tile) {
      Values &own = sums[static_cast<size_t>(tile)];
      addProducts(own, chunk, layout.lacksAt, fragments, tile, 0, first);
      rest.push_back(fragmentOf(own));
    }
    for (int64_t tile = first; tile < first + tiles; ++tile) {
      Values &own = sums[static_cast<size_t>(tile)];
      own.assign(4, number(0));
      addProducts(own, chunk, layout.lacksAt, rest, tile, first, tile + 1);
      fragments.push_back(fragmentOf(own));
    }
  }
}

/// exp(G_c)·S + Kᵀ (exp(G_c − G)·W)
ChunkScan::Sums ChunkScan::nextState(const Chunk &chunk, Sums state,
                                     Sums updates) {
  scaleColumns(updates, chunk, layout.restsAt);
  SmallVector<Values> fragments;
  for (const Values &own : updates)
    fragments.push_back(fragmentOf(own));
  Value decay = loadNumber(chunk.stage, layout.leadsAt + chunkTokens - 1);
  Value ownAt = scaled(group, 4, chunk.stage);
  Value rows[] = {rowOf(i32<arith::MulIOp>(member, 2)),
                  rowOf(scaled(member, 2, constant(1)))};
  for (auto [i, own] : llvm::enumerate(state)) {
    for (Value &sum : own)
      sum = make<arith::MulFOp>(sum, decay);
    for (int64_t tile = 0; tile < chunkTiles; ++tile) {
      int64_t place = layout.keysAt + tile * mmaN * layout.keyStride +
                      static_cast<int64_t>(i) * mmaKOfTF32;
      Values keys;
      for (Value row : rows)
        keys.push_back(
            load(scaled(row, layout.keyStride * 4, ownAt), place, 1)[0]);
      own = multiplySplit(fragments[static_cast<size_t>(tile)], keys, own);
    }
  }
  return state;
}

void ChunkScan::storeOutputs(const Chunk &chunk, const Sums &outputs) {
  Value ownValue = emitAdd(builder, loc, firstValue, toIndex(ownPlace()));
  Value ownToken = i32<arith::MulIOp>(member, 2);
  for (auto [tile, own] : llvm::enumerate(outputs))
    for (int64_t odd = 0; odd < 2; ++odd) {
      Value place =
          i32<arith::AddIOp>(ownToken, static_cast<int64_t>(tile) * mmaN + odd);
      auto isToken =
          scf::IfOp::create(builder, loc, isBelow(place, chunk.count));
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(isToken.thenBlock());
      Value token = emitAdd(builder, loc, chunk.first, toIndex(place));
      for (int64_t half = 0; half < 2; ++half) {
        OpBuilder::InsertionGuard inner(builder);
        Value value = emitAdd(builder, loc, ownValue, index(half * 8));
        if (parts.valueSize % layout.values != 0) {
          auto isValue =
              scf::IfOp::create(builder, loc,
                                compare(arith::CmpIPredicate::ult, value,
                                        index(parts.valueSize)));
          builder.setInsertionPointToStart(isValue.thenBlock());
        }
        scan.store(token, head, value,
                   own[static_cast<size_t>(half * 2 + odd)]);
      }
    }
}

} // namespace clade::cuda
