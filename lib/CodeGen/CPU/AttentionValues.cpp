//===- AttentionValues.cpp - Weighted sums of values of a tile ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Page by page, so that a page of values stays in the first cache while all
// rows of the tile use it; the sums wait in scratch memory in between. Only
// rows of written tokens are read: zero times a stale number could be anything.
//
// Where the CPU multiplies pairs of bf16, a tile of several tokens takes two
// keys at once: their weights are rounded to bf16, as flash attention does
// (Dao et al. 2022), and their rows of values are mixed as they are loaded.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/AttentionTile.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "runtime/include/clade/abi.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace clade::cpu {

/// Elements between rows of sums.
int64_t TileEmitter::sumStride() const {
  return llvm::alignTo(shape.valueSize, chunk());
}

void TileEmitter::clearSums() {
  Value zero = splatF32(0);
  loop(index(0), index(plan.rows * sumStride()), target.width, {},
       [&](Value place, ValueRange) -> Values {
         emitStore(builder, loc, zero, sums, place);
         return {};
       });
}

void TileEmitter::emitValues() {
  Value rows = mul(tile.tokens, plan.heads);
  forEachPage(
      {},
      [&](Value page, Value firstSlot, Value endSlot, ValueRange) -> Values {
        PageOfValues values;
        values.base = pageOf(/*isKey=*/false, page);
        values.firstSlot = firstSlot;
        values.endSlot = endSlot;
        if (asksAhead())
          values.next = pageBehind(/*isKey=*/false, page);
        Value firstScore = sub(mul(page, CLADE_PAGE_TOKENS), baseKey);
        values.scores =
            emitAddress(builder, loc, scores, f32, mul(firstScore, plan.rows));
        loop(index(0), rows, plan.rowBlock, {},
             [&](Value row, ValueRange) -> Values {
               emitColumns(values, row);
               return {};
             });
        return {};
      });
}

/// All columns of a block of rows: groups of as many whole chunks as fit the
/// registers, the whole chunks that are left, and the rest of the row.
void TileEmitter::emitColumns(const PageOfValues &page, Value firstRow) {
  int64_t registers = target.accumulators >= 16 ? 16 : 8;
  int64_t perGroup =
      std::max<int64_t>(1, registers / (plan.rowBlock * units()));
  int64_t chunks = shape.valueSize / chunk();
  int64_t grouped = chunks / perGroup * perGroup;
  if (grouped > 0)
    loop(index(0), index(grouped), perGroup, {},
         [&](Value first, ValueRange) -> Values {
           emitColumnGroup(page, firstRow, first, perGroup, chunk());
           return {};
         });
  if (grouped < chunks)
    emitColumnGroup(page, firstRow, index(grouped), chunks - grouped, chunk());
  if (int64_t rest = shape.valueSize % chunk())
    emitColumnGroup(page, firstRow, index(chunks), 1, rest);
}

/// `chunks` chunks of `count` elements each, from `firstChunk` on.
void TileEmitter::emitColumnGroup(const PageOfValues &page, Value firstRow,
                                  Value firstChunk, int64_t chunks,
                                  int64_t count) {
  Value column = mul(firstChunk, chunk());
  int64_t vectors = chunks * units();
  auto place = [&](int64_t row, int64_t v) {
    Value start = add(mul(add(firstRow, row), sumStride()), column);
    return add(start, v * target.width);
  };
  Values totals;
  for (int64_t row = 0; row < plan.rowBlock; ++row)
    for (int64_t v = 0; v < vectors; ++v)
      totals.push_back(emitLoad(builder, loc, f32Vector, sums, place(row, v)));

  auto addKey = [&](Value slot, ValueRange carried) {
    Values next(carried);
    Values values;
    Value start = add(mul(slot, shape.valueStride()), column);
    if (page.next)
      askFor(page.next, start, (chunks - 1) * chunk() + count);
    for (int64_t c = 0; c < chunks; ++c)
      values.append(
          splitChunk(loadChunk(page.base, add(start, c * chunk()), count)));
    Value scorePlace = add(mul(slot, plan.rows), firstRow);
    for (int64_t row = 0; row < plan.rowBlock; ++row) {
      Value score =
          emitLoad(builder, loc, f32, page.scores, add(scorePlace, row));
      Value weight = emitSplat(builder, loc, score, target.width);
      for (int64_t v = 0; v < vectors; ++v) {
        Value &sum = next[row * vectors + v];
        sum = emitMultiplyAdd(builder, loc, target, weight, values[v], sum);
      }
    }
    return next;
  };
  auto addPair = [&](Value slot, ValueRange carried) {
    Values next(carried);
    Values values;
    // A key outside of the range weighs nothing: any written row will do.
    Value low = arith::MaxSIOp::create(builder, loc, slot, page.firstSlot),
          high = minimum(add(slot, 1), sub(page.endSlot, index(1)));
    for (int64_t c = 0; c < chunks; ++c) {
      auto rowOf = [&](Value key) {
        return loadChunk(
            page.base,
            add(mul(key, shape.valueStride()), add(column, c * chunk())),
            count);
      };
      values.append(mixChunks(rowOf(low), rowOf(high)));
    }
    Value scorePlace = add(mul(slot, plan.rows), firstRow);
    for (int64_t row = 0; row < plan.rowBlock; ++row) {
      Value pair =
          emitLoad(builder, loc, i32, page.scores, add(scorePlace, row));
      Value weights =
          productOperands(emitSplat(builder, loc, pair, target.width)).front();
      for (int64_t v = 0; v < vectors; ++v) {
        Value &sum = next[row * vectors + v];
        sum = addProduct(sum, weights, values[v]);
      }
    }
    return next;
  };
  totals = pairsKeys() ? loop(alignDown(page.firstSlot, 2), page.endSlot, 2,
                              totals, addPair)
                       : loop(page.firstSlot, page.endSlot, 1, totals, addKey);
  for (int64_t row = 0; row < plan.rowBlock; ++row)
    for (int64_t v = 0; v < vectors; ++v)
      emitStore(builder, loc, totals[row * vectors + v], sums, place(row, v));
}

//===----------------------------------------------------------------------===//
// Output
//===----------------------------------------------------------------------===//

void TileEmitter::emitOutput() {
  Value zero = index(0);
  loop(zero, tile.tokens, 1, {}, [&](Value token, ValueRange) -> Values {
    loop(zero, tile.heads, 1, {}, [&](Value head, ValueRange) -> Values {
      emitOutputRow(token, head);
      return {};
    });
    return {};
  });
}

void TileEmitter::emitOutputRow(Value token, Value head) {
  Value row = add(mul(token, plan.heads), head);
  Value outputToken = add(tile.firstToken, token);
  Value outputHead = add(tile.firstQueryHead, head);
  Value offset =
      mul(add(mul(outputToken, shape.qHeads), outputHead), shape.valueSize);
  OutputRow output;
  output.base =
      emitAddress(builder, loc, call.output, shape.elementType, offset);
  output.sums = emitAddress(builder, loc, sums, f32, mul(row, sumStride()));
  // The probabilities of the reference's mode already sum to one.
  if (!rounds())
    output.inverse = emitSplat(
        builder, loc, emitLoad(builder, loc, f32, inverses, row), target.width);

  int64_t chunks = shape.valueSize / chunk();
  loop(index(0), index(chunks), 1, {}, [&](Value c, ValueRange) -> Values {
    storeChunk(output, mul(c, chunk()), chunk());
    return {};
  });
  if (int64_t rest = shape.valueSize % chunk())
    storeChunk(output, index(chunks * chunk()), rest);
}

/// Elements [column, column + count) of a row, in the order that splitChunk
/// took apart.
void TileEmitter::storeChunk(const OutputRow &output, Value column,
                             int64_t count) {
  auto part = [&](int64_t u) -> Value {
    Value sum = emitLoad(builder, loc, f32Vector, output.sums,
                         add(column, u * target.width));
    if (!output.inverse)
      return sum;
    return arith::MulFOp::create(builder, loc, sum, output.inverse);
  };
  Value first = part(0), second = isBF16() ? part(1) : first;
  SmallVector<int32_t> lanes;
  for (int32_t i = 0; i < count; ++i)
    lanes.push_back(isBF16() ? i / 2 + (i % 2) * target.width : i);
  Value elements =
      LLVM::ShuffleVectorOp::create(builder, loc, first, second, lanes);
  if (isBF16())
    elements = emitRoundToBF16(builder, loc, elements);
  emitStore(builder, loc, elements, output.base, column);
}

} // namespace clade::cpu
