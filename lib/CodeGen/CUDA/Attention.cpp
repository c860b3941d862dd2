//===- Attention.cpp - Attention over paged keys and values ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/Attention.h"

#include "lib/CodeGen/CPU/CacheWrite.h"
#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "runtime/include/clade/abi.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace clade::cuda {

using cpu::emitAdd;
using cpu::emitAddress;
using cpu::emitIndex;
using cpu::emitLoad;
using cpu::emitMul;
using cpu::emitStore;

/// Threads of a block, and keys of a tile.
static constexpr int64_t tile = 128;

Grid rowAttentionGrid(const cpu::AttentionShape &shape) {
  return {shape.qHeads, 1, tile};
}

namespace {
/// The code of one block.
class RowAttention {
public:
  RowAttention(OpBuilder &b, Location loc, const cpu::AttentionShape &shape,
               Value step, Value state)
      : b(b), loc(loc), shape(shape), step(step), state(state),
        thread(emitThread(b, loc)), shared(emitShared(b, loc)) {}

  int64_t emit(Value queries, Value output, Value sinks);

private:
  Value index(int64_t value) { return emitIndex(b, loc, value); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y); }
  Value max(Value x, Value y) {
    return arith::MaximumFOp::create(b, loc, x, y);
  }
  Value exp(Value x) { return math::ExpOp::create(b, loc, x); }
  Value less(Value x, Value y) {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, x, y);
  }
  Value sharedAt(int64_t bytes) {
    return emitAddress(b, loc, shared, b.getI8Type(), index(bytes));
  }
  /// The address of the row of a key or value of this head.
  Value rowOf(Value position, bool isKey);
  Value score(Value position);
  /// Values that this thread accumulates: one for each `tile` features.
  int64_t numOwn() const { return llvm::divideCeil(shape.valueSize, tile); }

  OpBuilder &b;
  Location loc;
  const cpu::AttentionShape &shape;
  Value step, state, thread, shared;
  Value sequence, kvHead, query, weights, queryPosition, slope;
};
} // namespace

Value RowAttention::rowOf(Value position, bool isKey) {
  // Values may be the first elements of the keys' rows.
  isKey |= shape.hasSharedRows;
  cpu::CacheLayout layout{shape.kvHeads,
                          isKey ? shape.keySize : shape.valueSize,
                          shape.elementType};
  return cpu::emitCacheRowPointer(b, loc, layout, state, sequence, position,
                                  kvHead, isKey);
}

Value RowAttention::score(Value position) {
  Value key = rowOf(position, /*isKey=*/true);
  auto loop = scf::ForOp::create(b, loc, index(0), index(shape.keySize),
                                 index(1), ValueRange{emitFloat(b, loc, 0)});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value at = loop.getInductionVar();
    Value sum =
        math::FmaOp::create(b, loc, emitLoad(b, loc, b.getF32Type(), query, at),
                            emitLoadFloat(b, loc, shape.elementType, key, at),
                            loop.getRegionIterArg(0));
    scf::YieldOp::create(b, loc, sum);
  }
  Value result = mul(loop.getResult(0), emitFloat(b, loc, shape.scale));
  if (shape.softcap) {
    Value cap = emitFloat(b, loc, *shape.softcap);
    result = mul(cap, math::TanhOp::create(
                          b, loc, arith::DivFOp::create(b, loc, result, cap)));
  }
  if (!shape.slopes.empty()) {
    Value distance = arith::IndexCastOp::create(
        b, loc, b.getI32Type(),
        arith::SubIOp::create(b, loc, position, queryPosition));
    result = add(result, mul(slope, arith::SIToFPOp::create(
                                        b, loc, b.getF32Type(), distance)));
  }
  return result;
}

int64_t RowAttention::emit(Value queries, Value output, Value sinks) {
  Value head = emitBlock(b, loc, Axis::X), token = emitBlock(b, loc, Axis::Y);
  cpu::StepView view(b, loc, step);
  sequence = view.sequenceAt(token);
  Value position = view.positionAt(token);
  queryPosition = position;
  if (!shape.slopes.empty())
    slope = emitLoad(b, loc, b.getF32Type(),
                     emitDeviceArray(b, loc, shape.slopes), head);
  kvHead =
      arith::DivUIOp::create(b, loc, head, index(shape.qHeads / shape.kvHeads));
  Value row =
      emitAdd(b, loc, emitMul(b, loc, token, index(shape.qHeads)), head);

  // Shared memory: the query, the tile's weights, words of two reductions.
  int64_t queryBytes = llvm::alignTo(shape.keySize * 4, 16),
          weightBytes = tile * 4, wordBytes = tile / warpSize * 4;
  query = sharedAt(0);
  weights = sharedAt(queryBytes);
  Value maxWords = sharedAt(queryBytes + weightBytes),
        sumWords = sharedAt(queryBytes + weightBytes + wordBytes);
  Value queryStart = emitMul(b, loc, row, index(shape.keySize));
  emitStridedLoop(b, loc, thread, tile, index(shape.keySize), [&](Value at) {
    Value value = emitLoadFloat(b, loc, shape.elementType, queries,
                                emitAdd(b, loc, queryStart, at));
    emitStore(b, loc, value, query, at);
  });
  emitSync(b, loc);

  Value begin = index(0), end = emitAdd(b, loc, position, index(1));
  if (shape.window)
    begin = arith::MaxSIOp::create(
        b, loc, begin,
        arith::SubIOp::create(b, loc, end, index(*shape.window)));
  // Carried: the largest score, the sum of the weights, the weighted values.
  Value lowest = emitFloat(b, loc, -std::numeric_limits<float>::infinity());
  SmallVector<Value> carried(2 + numOwn(), emitFloat(b, loc, 0));
  carried[0] = lowest;
  if (sinks) { // One more score, which has no value.
    carried[0] = emitLoadFloat(b, loc, shape.sinkType, sinks, head);
    carried[1] = emitFloat(b, loc, 1);
  }
  auto loop = scf::ForOp::create(b, loc, begin, end, index(tile), carried);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value key = emitAdd(b, loc, loop.getInductionVar(), thread);
    auto own = scf::IfOp::create(b, loc, TypeRange{b.getF32Type()},
                                 less(key, end), /*withElseRegion=*/true);
    {
      OpBuilder::InsertionGuard inner(b);
      b.setInsertionPointToStart(own.thenBlock());
      scf::YieldOp::create(b, loc, score(key));
      b.setInsertionPointToStart(own.elseBlock());
      scf::YieldOp::create(b, loc, lowest);
    }
    // The first key of a tile is there, so the maximum is finite.
    Value oldMax = loop.getRegionIterArg(0);
    Value newMax = emitBlockReduce(b, loc, tile, own.getResult(0), maxWords,
                                   [&](Value x, Value y) { return max(x, y); });
    newMax = max(oldMax, newMax);
    Value weight = exp(arith::SubFOp::create(b, loc, own.getResult(0), newMax));
    emitStore(b, loc, weight, weights, thread);
    Value sum = emitBlockReduce(b, loc, tile, weight, sumWords,
                                [&](Value x, Value y) { return add(x, y); });
    Value shrink = exp(arith::SubFOp::create(b, loc, oldMax, newMax));
    SmallVector<Value> next{newMax,
                            add(mul(loop.getRegionIterArg(1), shrink), sum)};
    // The barrier of the second reduction has made all weights visible.
    Value left = arith::SubIOp::create(b, loc, end, loop.getInductionVar());
    Value count = arith::MinSIOp::create(b, loc, left, index(tile));
    for (int64_t i = 0; i < numOwn(); ++i) {
      Value feature = emitAdd(b, loc, thread, index(i * tile));
      // Threads without a feature repeat the last one and do not store it.
      feature =
          arith::MinSIOp::create(b, loc, feature, index(shape.valueSize - 1));
      Value before = mul(loop.getRegionIterArg(2 + i), shrink);
      auto keys = scf::ForOp::create(b, loc, index(0), count, index(1),
                                     ValueRange{before});
      OpBuilder::InsertionGuard inner(b);
      b.setInsertionPointToStart(keys.getBody());
      Value at = keys.getInductionVar();
      Value value = emitLoadFloat(
          b, loc, shape.elementType,
          rowOf(emitAdd(b, loc, loop.getInductionVar(), at), /*isKey=*/false),
          feature);
      scf::YieldOp::create(
          b, loc,
          Value(math::FmaOp::create(
              b, loc, emitLoad(b, loc, b.getF32Type(), weights, at), value,
              keys.getRegionIterArg(0))));
      next.push_back(keys.getResult(0));
    }
    // Nobody overwrites weights and words that another still reads.
    emitSync(b, loc);
    scf::YieldOp::create(b, loc, next);
  }
  Value start = emitMul(b, loc, row, index(shape.valueSize));
  for (int64_t i = 0; i < numOwn(); ++i) {
    Value feature = emitAdd(b, loc, thread, index(i * tile));
    auto store =
        scf::IfOp::create(b, loc, less(feature, index(shape.valueSize)));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(store.thenBlock());
    Value value =
        arith::DivFOp::create(b, loc, loop.getResult(2 + i), loop.getResult(1));
    emitStoreFloat(b, loc, value, shape.elementType, output,
                   emitAdd(b, loc, start, feature));
  }
  return queryBytes + weightBytes + 2 * wordBytes;
}

int64_t emitRowAttention(OpBuilder &builder, Location loc,
                         const cpu::AttentionShape &shape, Value step,
                         Value state, Value queries, Value output,
                         Value sinks) {
  return RowAttention(builder, loc, shape, step, state)
      .emit(queries, output, sinks);
}

} // namespace clade::cuda
