//===- AttentionTile.cpp - Attention of one tile of queries ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The frame of a tile: its rows' positions, the range of its keys, its queries
// in the layout of the products, and the walk over pages. Rows beyond the
// tile's own repeat its last token and head, so that no lane holds a number
// that is not one; they are not stored.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/AttentionTile.h"

#include "lib/CodeGen/CPU/CacheWrite.h"
#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/TileOps.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "runtime/include/clade/abi.h"
#include <limits>

using namespace mlir;

namespace clade::cpu {

TileEmitter::TileEmitter(OpBuilder &builder, Location loc, const Target &target,
                         const AttentionShape &shape, const TilePlan &plan,
                         const AttentionValues &call, const Tile &tile)
    : builder(builder), loc(loc), target(target), shape(shape), plan(plan),
      call(call), tile(tile), f32(builder.getF32Type()),
      i32(builder.getI32Type()) {
  f32Vector = VectorType::get(target.width, f32);
  i32Vector = VectorType::get(target.width, i32);
}

void TileEmitter::emit() {
  ScratchLayout layout(target, shape);
  auto part = [&](int64_t offset) {
    return emitAddress(builder, loc, call.scratch, builder.getI8Type(),
                       index(offset));
  };
  packedQueries = part(layout.queries);
  sums = part(layout.sums);
  Value sliced = tile.slices ? tile.slices->areSeveral : Value();
  if (sliced)
    sums =
        arith::SelectOp::create(builder, loc, sliced, tile.partOfSlice, sums);
  rowPositions = part(layout.positions);
  inverses = part(layout.inverses);
  mixedValues = part(layout.mixed);
  scores = part(layout.scores);
  pageTable = emitPageTable(builder, loc, call.state, tile.sequence);

  emitPositions();
  if (shape.sinkType)
    rowSinks = valuesOfHeads(call.sinks, shape.sinkType, part(layout.sinks));
  // Sinks count once, where slices are joined.
  if (sliced)
    for (Value &sink : rowSinks)
      sink = arith::SelectOp::create(
          builder, loc, sliced,
          splatF32(-std::numeric_limits<float>::infinity()), sink);
  if (call.slopes)
    rowSlopes = valuesOfHeads(call.slopes, f32, part(layout.slopes));
  emitKeyRange();
  if (plan.usesTiles) {
    emitTileConfig(builder, loc, Target::tileRows, tileRowBytes,
                   emitStackBuffer(builder, loc, tileConfigBytes));
    packQueryTiles();
  } else {
    packQueries();
  }
  Values maxima = emitScores();
  Softmax softmax = emitExponentials(maxima);
  if (rounds())
    emitProbabilities(softmax.inverses);
  clearSums();
  if (plan.usesTiles) {
    transposeWeights();
    emitTileValues();
    emitReleaseTiles(builder, loc);
  } else {
    if (pairsKeys())
      pairWeights();
    emitValues();
  }
  if (!sliced)
    return emitOutput();
  auto branch =
      scf::IfOp::create(builder, loc, sliced, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  keepSlice(softmax);
  builder.setInsertionPointToStart(branch.elseBlock());
  emitOutput();
}

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

/// The last position (i32) that a token attends: its own, or the last of its
/// sequence.
Value TileEmitter::lastKeyOf(Value token) {
  if (!shape.isBidirectional)
    return emitLoad(builder, loc, i32, call.positions, token);
  Value first = emitLoad(builder, loc, i32, call.firstTokens, tile.sequence),
        end = emitLoad(builder, loc, i32, call.firstTokens,
                       add(tile.sequence, 1));
  Value one =
      arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(1));
  return arith::SubIOp::create(
      builder, loc, arith::SubIOp::create(builder, loc, end, first), one);
}

/// The token of the step whose row a lane has.
Value TileEmitter::tokenOfRow(Value lane) {
  Value row = arith::RemUIOp::create(builder, loc, lane, index(plan.rows));
  Value token = arith::DivUIOp::create(builder, loc, row, index(plan.heads));
  return add(tile.firstToken, minimum(token, sub(tile.tokens, index(1))));
}

void TileEmitter::emitPositions() {
  int64_t lanes = std::max(plan.rows, target.width);
  if (shape.hasGroups) {
    loop(index(0), index(lanes), 1, {}, [&](Value lane, ValueRange) -> Values {
      Value group = emitLoad(builder, loc, i32, call.groups, tokenOfRow(lane));
      emitStore(builder, loc, group, rowPositions, lane);
      return {};
    });
    for (int64_t v = 0; v < rowVectors(); ++v)
      rowGroups.push_back(emitLoad(builder, loc, i32Vector, rowPositions,
                                   index(v * target.width)));
    Value first = emitLoad(builder, loc, i32, call.groups, tile.firstToken);
    groupRange =
        loop(index(1), tile.tokens, 1, {first, first},
             [&](Value token, ValueRange range) -> Values {
               Value group = emitLoad(builder, loc, i32, call.groups,
                                      add(tile.firstToken, token));
               return {arith::MinSIOp::create(builder, loc, range[0], group),
                       arith::MaxSIOp::create(builder, loc, range[1], group)};
             });
  }
  loop(index(0), index(lanes), 1, {}, [&](Value lane, ValueRange) -> Values {
    emitStore(builder, loc, lastKeyOf(tokenOfRow(lane)), rowPositions, lane);
    return {};
  });
  for (int64_t v = 0; v < rowVectors(); ++v) {
    Value position = emitLoad(builder, loc, i32Vector, rowPositions,
                              index(v * target.width));
    lastPositions.push_back(position);
    if (!shape.window)
      continue;
    Value window = arith::ConstantOp::create(
        builder, loc, i32Vector,
        DenseElementsAttr::get(i32Vector, static_cast<int32_t>(*shape.window)));
    beforePositions.push_back(
        arith::SubIOp::create(builder, loc, position, window));
  }
}

/// The number of each row's head, of type `type` in `numbers`, by way of the
/// memory at `rows`.
Values TileEmitter::valuesOfHeads(Value numbers, Type type, Value rows) {
  int64_t lanes = std::max(plan.rows, target.width);
  Value lastHead = sub(tile.heads, index(1));
  loop(index(0), index(lanes), 1, {}, [&](Value lane, ValueRange) -> Values {
    Value row = arith::RemUIOp::create(builder, loc, lane, index(plan.rows));
    Value head = arith::RemUIOp::create(builder, loc, row, index(plan.heads));
    head = add(tile.firstQueryHead, minimum(head, lastHead));
    Value number = emitLoad(builder, loc, type, numbers, head);
    if (type.isBF16())
      number = emitWiden(builder, loc, number);
    emitStore(builder, loc, number, rows, lane);
    return {};
  });
  Values vectors;
  for (int64_t v = 0; v < rowVectors(); ++v)
    vectors.push_back(
        emitLoad(builder, loc, f32Vector, rows, index(v * target.width)));
  return vectors;
}

/// Positions rise within a tile: its first token bounds the window and its last
/// one the causal range.
void TileEmitter::emitKeyRange() {
  auto positionAt = [&](Value token) {
    return emitToIndex(builder, loc, lastKeyOf(token));
  };
  Value lastToken = sub(add(tile.firstToken, tile.tokens), index(1));
  endKey = add(positionAt(lastToken), 1);
  firstKey = index(0);
  if (shape.window) {
    Value first = sub(positionAt(tile.firstToken), index(*shape.window - 1));
    firstKey = arith::MaxSIOp::create(builder, loc, first, firstKey);
  }
  if (tile.slices)
    narrowToSlice();
  Value pageTokens = index(CLADE_PAGE_TOKENS);
  firstPage = arith::DivUIOp::create(builder, loc, firstKey, pageTokens);
  endPage = emitCeilDiv(builder, loc, endKey, pageTokens);
  baseKey = mul(firstPage, CLADE_PAGE_TOKENS);
}

/// The group of a key of the tile's sequence.
Value TileEmitter::groupOfKey(Value key) {
  Value start = emitLoad(builder, loc, i32, call.firstTokens, tile.sequence);
  return emitLoad(builder, loc, i32, call.groups,
                  add(emitToIndex(builder, loc, start), key));
}

/// Whether the group of one of the keys [firstKey, endKey) lies among those of
/// the tile's rows.
Value TileEmitter::isSeen(Value firstKey, Value endKey) {
  Value no =
      arith::ConstantOp::create(builder, loc, builder.getBoolAttr(false));
  return loop(firstKey, endKey, 1, {no},
              [&](Value key, ValueRange carried) -> Values {
                Value group = groupOfKey(key);
                auto compare = [&](arith::CmpIPredicate predicate,
                                   Value bound) {
                  return arith::CmpIOp::create(builder, loc, predicate, group,
                                               bound);
                };
                Value among = arith::AndIOp::create(
                    builder, loc,
                    compare(arith::CmpIPredicate::sge, groupRange[0]),
                    compare(arith::CmpIPredicate::sle, groupRange[1]));
                return {arith::OrIOp::create(builder, loc, carried[0], among)};
              })
      .front();
}

/// Pages none of whose keys a row may attend are `skipped`.
Values TileEmitter::forEachPage(
    ValueRange carried, PageBody body,
    llvm::function_ref<void(Value page, Value firstSlot, Value endSlot)>
        skipped) {
  return loop(
      firstPage, endPage, 1, carried, [&](Value page, ValueRange inner) {
        Value start = mul(page, CLADE_PAGE_TOKENS);
        Value firstSlot = arith::MaxSIOp::create(
            builder, loc, sub(firstKey, start), index(0));
        Value endSlot = minimum(sub(endKey, start), index(CLADE_PAGE_TOKENS));
        if (!shape.hasGroups)
          return body(page, firstSlot, endSlot, inner);
        auto branch = scf::IfOp::create(
            builder, loc, inner.getTypes(),
            isSeen(add(start, firstSlot), add(start, endSlot)),
            /*withElseRegion=*/true);
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPointToStart(branch.thenBlock());
        Values next = body(page, firstSlot, endSlot, inner);
        if (!inner.empty())
          scf::YieldOp::create(builder, loc, next);
        builder.setInsertionPointToStart(branch.elseBlock());
        if (skipped)
          skipped(page, firstSlot, endSlot);
        if (!inner.empty())
          scf::YieldOp::create(builder, loc, inner);
        return Values(branch.getResults());
      });
}

Value TileEmitter::pageOf(bool isKey, Value page) {
  CacheLayout layout{shape.kvHeads, isKey ? shape.keySize : shape.valueStride(),
                     shape.elementType};
  return emitPageAddress(builder, loc, layout, isKey ? call.keys : call.values,
                         pageTable, page, tile.kvHead);
}

/// The page behind `page`; behind the last one, itself.
Value TileEmitter::pageBehind(bool isKey, Value page) {
  return pageOf(isKey, minimum(add(page, 1), sub(endPage, index(1))));
}

/// Asks for `count` elements of `base` from `offset` on.
void TileEmitter::askFor(Value base, Value offset, int64_t count) {
  Value first = emitAddress(builder, loc, base, shape.elementType, offset);
  int64_t bytes = count * shape.elementType.getIntOrFloatBitWidth() / 8;
  for (int64_t at = 0; at < bytes; at += 64)
    LLVM::Prefetch::create(
        builder, loc,
        emitAddress(builder, loc, first, builder.getI8Type(), index(at)),
        /*rw=*/0, /*hint=*/2, /*cache=*/1);
}

//===----------------------------------------------------------------------===//
// Queries
//===----------------------------------------------------------------------===//

/// The address of the query of `row`.
Value TileEmitter::queryRow(Value row) {
  Value heads = index(plan.heads);
  Value token = arith::DivUIOp::create(builder, loc, row, heads);
  Value head = arith::RemUIOp::create(builder, loc, row, heads);
  token = add(tile.firstToken, minimum(token, sub(tile.tokens, index(1))));
  head = add(tile.firstQueryHead, minimum(head, sub(tile.heads, index(1))));
  Value offset = mul(add(mul(token, shape.qHeads), head), shape.keySize);
  return emitAddress(builder, loc, call.queries, shape.elementType, offset);
}

void TileEmitter::packQueries() {
  loop(index(0), index(plan.rows), 1, {}, [&](Value row, ValueRange) -> Values {
    Value source = queryRow(row);
    if (plan.form == TilePlan::Form::Packed)
      transposeRow(row, source);
    else
      packRow(row, source);
    return {};
  });
}

/// [chunk][unit][lane] of each row, zeros behind the row's end.
void TileEmitter::packRow(Value row, Value source) {
  int64_t chunks = llvm::divideCeil(shape.keySize, chunk());
  for (int64_t c = 0; c < chunks; ++c) {
    int64_t count = std::min(chunk(), shape.keySize - c * chunk());
    Value elements = loadChunk(source, index(c * chunk()), count);
    Values parts = productOperands(elements);
    for (auto [unit, part] : llvm::enumerate(parts)) {
      auto type = cast<VectorType>(part.getType());
      Value offset = mul(add(mul(row, chunks), c), parts.size());
      emitStore(builder, loc, part, packedQueries,
                mul(add(offset, unit), type.getNumElements()));
    }
  }
}

/// [element][row], or [pair][row] of two neighbouring bf16 for dot products.
void TileEmitter::transposeRow(Value row, Value source) {
  auto store = [&](Value element, Value place) {
    emitStore(builder, loc, element, packedQueries,
              add(mul(place, plan.rows), row));
  };
  int64_t size = shape.keySize;
  if (!isBF16()) {
    loop(index(0), index(size), 1, {}, [&](Value i, ValueRange) -> Values {
      store(emitLoad(builder, loc, f32, source, i), i);
      return {};
    });
    return;
  }
  auto widened = [&](Value i) {
    Value bits = emitLoad(builder, loc, builder.getI16Type(), source, i);
    return arith::ExtUIOp::create(builder, loc, i32, bits);
  };
  Value sixteen =
      arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(16));
  if (!usesDotBF16()) {
    loop(index(0), index(size), 1, {}, [&](Value i, ValueRange) -> Values {
      store(arith::ShLIOp::create(builder, loc, widened(i), sixteen), i);
      return {};
    });
    return;
  }
  loop(index(0), index(size / 2), 1, {}, [&](Value i, ValueRange) -> Values {
    Value address = emitAddress(builder, loc, source, builder.getI32Type(), i);
    store(LLVM::LoadOp::create(builder, loc, i32, address, /*alignment=*/2), i);
    return {};
  });
  if (size % 2)
    store(widened(index(size - 1)), index(size / 2));
}

//===----------------------------------------------------------------------===//
// Chunks of rows
//===----------------------------------------------------------------------===//

/// Elements [offset, offset + count) of `base`, zero up to `chunk()`: f32, or
/// pairs of bf16 as i32 (LLVM takes vectors of bf16 apart where the CPU has no
/// instructions for them). Nothing else is read: a neighbouring row may hold
/// anything.
Value TileEmitter::loadChunk(Value base, Value offset, int64_t count) {
  Type element = isBF16() ? Type(builder.getI16Type()) : f32;
  if (count == chunk()) {
    Value address = emitAddress(builder, loc, base, element, offset);
    return LLVM::LoadOp::create(builder, loc, isBF16() ? i32Vector : f32Vector,
                                address, /*alignment=*/isBF16() ? 2 : 4);
  }
  auto type = VectorType::get(count, element);
  Value part = emitLoad(builder, loc, type, base, offset);
  Value zero =
      arith::ConstantOp::create(builder, loc, type, builder.getZeroAttr(type));
  SmallVector<int32_t> lanes;
  for (int64_t i = 0; i < chunk(); ++i)
    lanes.push_back(std::min(i, count));
  Value whole = LLVM::ShuffleVectorOp::create(builder, loc, part, zero, lanes);
  if (!isBF16())
    return whole;
  return vector::BitCastOp::create(builder, loc, i32Vector, whole);
}

/// What a chunk is to a product: pairs of bf16 for dot products, otherwise its
/// parts as f32.
Values TileEmitter::productOperands(Value chunk) {
  if (!usesDotBF16())
    return splitChunk(chunk);
  auto pairs = VectorType::get(2 * target.width, builder.getBF16Type());
  return {vector::BitCastOp::create(builder, loc, pairs, chunk)};
}

/// A chunk as f32: of bf16 its even and its odd elements.
Values TileEmitter::splitChunk(Value chunk) {
  if (!isBF16())
    return {chunk};
  auto constant = [&](int32_t bits) {
    return arith::ConstantOp::create(builder, loc, i32Vector,
                                     DenseElementsAttr::get(i32Vector, bits));
  };
  Value even = arith::ShLIOp::create(builder, loc, chunk, constant(16));
  Value odd = arith::AndIOp::create(builder, loc, chunk,
                                    constant(static_cast<int32_t>(0xffff0000)));
  return {arith::BitcastOp::create(builder, loc, f32Vector, even),
          arith::BitcastOp::create(builder, loc, f32Vector, odd)};
}

/// Of the same chunk of two rows, pairs of an element of each: the even ones
/// and the odd ones.
Values TileEmitter::mixChunks(Value low, Value high) {
  auto constant = [&](int32_t bits) {
    return arith::ConstantOp::create(builder, loc, i32Vector,
                                     DenseElementsAttr::get(i32Vector, bits));
  };
  Value sixteen = constant(16), lowHalf = constant(0xffff),
        highHalf = constant(static_cast<int32_t>(0xffff0000));
  Value even = arith::OrIOp::create(
      builder, loc, arith::AndIOp::create(builder, loc, low, lowHalf),
      arith::ShLIOp::create(builder, loc, high, sixteen));
  Value odd = arith::OrIOp::create(
      builder, loc, arith::ShRUIOp::create(builder, loc, low, sixteen),
      arith::AndIOp::create(builder, loc, high, highHalf));
  return {productOperands(even).front(), productOperands(odd).front()};
}

//===----------------------------------------------------------------------===//
// Small pieces
//===----------------------------------------------------------------------===//

Value TileEmitter::index(int64_t value) {
  return emitIndex(builder, loc, value);
}
Value TileEmitter::add(Value a, Value b) { return emitAdd(builder, loc, a, b); }
Value TileEmitter::add(Value a, int64_t b) { return add(a, index(b)); }
Value TileEmitter::sub(Value a, Value b) {
  return builder.createOrFold<arith::SubIOp>(loc, a, b);
}
Value TileEmitter::mul(Value a, int64_t b) {
  return emitMul(builder, loc, a, index(b));
}
Value TileEmitter::minimum(Value a, Value b) {
  return arith::MinSIOp::create(builder, loc, a, b);
}
Value TileEmitter::alignDown(Value a, int64_t b) {
  return sub(a, arith::RemUIOp::create(builder, loc, a, index(b)));
}
Value TileEmitter::toI32(Value value) {
  return arith::IndexCastOp::create(builder, loc, i32, value);
}
Value TileEmitter::splatF32(float value) {
  return arith::ConstantOp::create(builder, loc, f32Vector,
                                   DenseElementsAttr::get(f32Vector, value));
}
/// To bf16 and back.
Value TileEmitter::round(Value vector) {
  return emitWiden(builder, loc, emitRoundToBF16(builder, loc, vector));
}
Values TileEmitter::loop(Value lower, Value upper, int64_t step,
                         ValueRange carried,
                         llvm::function_ref<Values(Value, ValueRange)> body) {
  return emitLoop(builder, loc, lower, upper, step, carried, body);
}

} // namespace clade::cpu
