//===- AttentionSlices.cpp - Parts of a context become one ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A token's softmax over its context from those over slices of it, as Flash
// Decoding does (Dao et al. 2023): with m the largest of the slices' largest
// scores m_s, sums and totals count times exp(m_s - m).
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/AttentionTile.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "runtime/include/clade/abi.h"
#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace mlir;

namespace clade::cpu {

bool hasSlices(const AttentionShape &shape) {
  bool rounds = shape.elementType.isBF16() && shape.referenceRounding;
  int64_t least = minSlicePages * CLADE_PAGE_TOKENS;
  return !rounds && !shape.isBidirectional &&
         (!shape.window || *shape.window > least);
}

SliceLayout::SliceLayout(const Target &target, const AttentionShape &shape,
                         const TilePlan &plan) {
  int64_t chunk = (shape.elementType.isBF16() ? 2 : 1) * target.width;
  int64_t lanes = std::max(plan.rows, target.width);
  maxima = sums + 4 * plan.rows * llvm::alignTo(shape.valueSize, chunk);
  totals = maxima + 4 * lanes;
  bytes = llvm::alignTo(totals + 4 * lanes, 64);
}

/// The tile's keys become those of its slice, which begin and end with pages.
void TileEmitter::narrowToSlice() {
  Value page =
      arith::DivUIOp::create(builder, loc, firstKey, index(CLADE_PAGE_TOKENS));
  Value first = add(
      page, arith::MulIOp::create(builder, loc, tile.slice, tile.slices->pages)
                .getResult());
  Value end = add(first, tile.slices->pages);
  firstKey = arith::MaxSIOp::create(builder, loc, firstKey,
                                    mul(first, CLADE_PAGE_TOKENS));
  endKey = minimum(endKey, mul(end, CLADE_PAGE_TOKENS));
}

/// Leaves the largest scores and the sums of exponentials; the sums of values
/// are there.
void TileEmitter::keepSlice(const Softmax &softmax) {
  SliceLayout layout(target, shape, plan);
  auto part = [&](int64_t offset) {
    return emitAddress(builder, loc, tile.partOfSlice, builder.getI8Type(),
                       index(offset));
  };
  for (int64_t v = 0; v < rowVectors(); ++v) {
    Value place = index(v * target.width);
    emitStore(builder, loc, softmax.maxima[v], part(layout.maxima), place);
    emitStore(builder, loc, softmax.totals[v], part(layout.totals), place);
  }
}

/// Of one vector of rows, the largest scores of all slices become what each
/// slice counts, and the inverses of the totals are left in scratch memory.
/// `maxima` and `totals` are those of the first slice.
void TileEmitter::joinScales(Value maxima, Value totals, int64_t v) {
  int64_t stride = SliceLayout(target, shape, plan).bytes / 4;
  Value zero = index(0);
  auto at = [&](Value slice) {
    return add(mul(slice, stride), v * target.width);
  };
  Value largest = splatF32(-std::numeric_limits<float>::infinity());
  if (!rowSinks.empty())
    largest = rowSinks[v];
  largest = loop(zero, tile.slices->count, 1, {largest},
                 [&](Value slice, ValueRange carried) -> Values {
                   Value own =
                       emitLoad(builder, loc, f32Vector, maxima, at(slice));
                   return {emitLarger(builder, loc, own, carried[0])};
                 })[0];
  Value total = splatF32(0);
  if (!rowSinks.empty())
    total = powerOf(rowSinks[v], largest);
  total = loop(
      zero, tile.slices->count, 1, {total},
      [&](Value slice, ValueRange carried) -> Values {
        Value place = at(slice);
        Value own = emitLoad(builder, loc, f32Vector, maxima, place);
        Value scale = powerOf(own, largest);
        emitStore(builder, loc, scale, maxima, place);
        Value sum = emitLoad(builder, loc, f32Vector, totals, place);
        return {emitMultiplyAdd(builder, loc, target, sum, scale, carried[0])};
      })[0];
  emitStore(builder, loc,
            arith::DivFOp::create(builder, loc, splatF32(1), total), inverses,
            index(v * target.width));
}

/// The sums of values of one row.
void TileEmitter::joinRow(Value row, Value maxima) {
  int64_t stride = SliceLayout(target, shape, plan).bytes / 4;
  Value first = mul(row, sumStride());
  loop(index(0), index(sumStride()), target.width, {},
       [&](Value column, ValueRange) -> Values {
         Value place = add(first, column);
         Value sum = loop(
             index(0), tile.slices->count, 1, {splatF32(0)},
             [&](Value slice, ValueRange carried) -> Values {
               Value skipped = mul(slice, stride);
               Value own = emitLoad(builder, loc, f32Vector, tile.partOfSlice,
                                    add(skipped, place));
               Value scale =
                   emitLoad(builder, loc, f32, maxima, add(skipped, row));
               return {emitMultiplyAdd(
                   builder, loc, target, own,
                   emitSplat(builder, loc, scale, target.width), carried[0])};
             })[0];
         emitStore(builder, loc, sum, sums, place);
         return {};
       });
}

void TileEmitter::emitJoin() {
  ScratchLayout scratch(target, shape);
  SliceLayout layout(target, shape, plan);
  auto at = [&](Value base, int64_t offset) {
    return emitAddress(builder, loc, base, builder.getI8Type(), index(offset));
  };
  sums = at(call.scratch, scratch.sums);
  inverses = at(call.scratch, scratch.inverses);
  if (shape.sinkType)
    rowSinks = valuesOfHeads(call.sinks, shape.sinkType,
                             at(call.scratch, scratch.sinks));
  Value maxima = at(tile.partOfSlice, layout.maxima);
  for (int64_t v = 0; v < rowVectors(); ++v)
    joinScales(maxima, at(tile.partOfSlice, layout.totals), v);
  loop(index(0), tile.heads, 1, {}, [&](Value row, ValueRange) -> Values {
    joinRow(row, maxima);
    return {};
  });
  emitOutput();
}

} // namespace clade::cpu
