//===- RowSelection.cpp - Softmax, joins and choices of one row -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What routers are made of. Choosing k of n values takes k searches for the
// largest value behind the one chosen before, in vectors: no value is changed,
// and equal values come in the order of their places.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/RowEmitter.h"
#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <limits>

using namespace mlir;
using namespace clade;
using namespace clade::cpu;

/// `value` in all lanes.
static Value lanesOf(OpBuilder &builder, Location loc, int64_t width,
                     float value) {
  auto type = VectorType::get({width}, builder.getF32Type());
  return arith::ConstantOp::create(builder, loc,
                                   DenseElementsAttr::get(type, value));
}
static Value lanesOf(OpBuilder &builder, Location loc, int64_t width,
                     int32_t value) {
  auto type = VectorType::get({width}, builder.getI32Type());
  return arith::ConstantOp::create(builder, loc,
                                   DenseElementsAttr::get(type, value));
}

//===----------------------------------------------------------------------===//
// Softmax and joins
//===----------------------------------------------------------------------===//

LogicalResult RowEmitter::evaluateSoftmax(SoftmaxOp op) {
  Location loc = op.getLoc();
  RowMemory input = inMemory(op.getInput());
  RowMemory output = newRow(op.getResult().getType());
  const RowLayout &layout = output.layout;
  int64_t axis = layout.find(op.getOver());
  bool isLast = axis == layout.rank() - 1;
  RowLayout kept = layout;
  kept.names.erase(kept.names.begin() + axis);
  kept.sizes.erase(kept.sizes.begin() + axis);
  kept.strides.erase(kept.strides.begin() + axis);
  Type type = op.getResult().getType().getElementType();
  Value lowest = lanesOf(builder, loc, target.width,
                         -std::numeric_limits<float>::infinity()),
        zero = lanesOf(builder, loc, target.width, 0.0f);
  // Lanes are places of the axis, or of the last axis that is kept.
  auto overLanes = [&](vector::CombiningKind kind, Value vector) -> Value {
    if (!isLast)
      return vector;
    Value scalar = vector::ReductionOp::create(builder, loc, kind, vector);
    return emitSplat(builder, loc, scalar, target.width);
  };
  auto masked = [&](const RowIndex &index, Value vector, Value other) -> Value {
    if (!isLast || !index.mask)
      return vector;
    return arith::SelectOp::create(builder, loc, index.mask, vector, other);
  };
  auto store = [&](const RowIndex &index, Value vector) {
    storeVector(builder, loc, vector, builder.getF32Type(), output.base,
                flatIndex(layout, index, 0, loc), index.mask);
  };
  auto row = [&](const RowIndex &outer) {
    Value largest =
        along(layout, axis, outer, lowest, loc,
              [&](const RowIndex &index, Value before) -> Value {
                Value x = masked(index, load(input, index, loc), lowest);
                return arith::MaximumFOp::create(builder, loc, before, x);
              });
    largest = overLanes(vector::CombiningKind::MAXIMUMF, largest);
    Value sum =
        along(layout, axis, outer, zero, loc,
              [&](const RowIndex &index, Value before) -> Value {
                Value power = math::ExpOp::create(
                    builder, loc,
                    arith::SubFOp::create(builder, loc, load(input, index, loc),
                                          largest));
                store(index, power);
                return arith::AddFOp::create(builder, loc, before,
                                             masked(index, power, zero));
              });
    sum = overLanes(vector::CombiningKind::ADD, sum);
    along(layout, axis, outer, zero, loc,
          [&](const RowIndex &index, Value before) -> Value {
            Value share = arith::DivFOp::create(builder, loc,
                                                load(output, index, loc), sum);
            store(index, roundTo(share, type, loc));
            return before;
          });
  };
  if (isLast)
    forEachPlace(kept, kept.rank(), loc, row);
  else
    forEachIndex(kept, loc, row);
  memories[op.getResult()] = output;
  return success();
}

LogicalResult RowEmitter::evaluateJoin(JoinOp op) {
  Location loc = op.getLoc();
  RowMemory output = newRow(op.getResult().getType());
  int64_t offset = 0;
  for (Value input : op.getInputs()) {
    auto layout = RowLayout::contiguous(cast<NamedTensorType>(input.getType()));
    RowLayout part = layout;
    part.strides = output.layout.strides;
    forEachIndex(layout, loc, [&](const RowIndex &index) {
      storeVector(builder, loc, get(input, index), builder.getF32Type(),
                  output.base, flatIndex(part, index, offset, loc), index.mask);
    });
    offset += layout.sizes.back();
  }
  memories[op.getResult()] = output;
  return success();
}

//===----------------------------------------------------------------------===//
// Choices
//===----------------------------------------------------------------------===//

LogicalResult RowEmitter::evaluateTopK(TopKOp op) {
  Location loc = op.getLoc();
  RowMemory input = inMemory(op.getInput());
  RowMemory values = newRow(op.getValues().getType()),
            indices = newRow(op.getIndices().getType());
  int64_t last = input.layout.rank() - 1, width = target.width;
  int64_t count = values.layout.sizes.back();
  constexpr int32_t nowhere = std::numeric_limits<int32_t>::max();
  float infinity = std::numeric_limits<float>::infinity();
  Type f32 = builder.getF32Type(), i32 = builder.getI32Type();
  SmallVector<int32_t> counting;
  for (int32_t lane = 0; lane < width; ++lane)
    counting.push_back(lane);
  auto i32Lanes = VectorType::get({width}, i32);
  Value lanes = arith::ConstantOp::create(
      builder, loc,
      DenseElementsAttr::get(i32Lanes, ArrayRef<int32_t>(counting)));
  Value none = lanesOf(builder, loc, width, nowhere),
        lowest = lanesOf(builder, loc, width, -infinity),
        highest = lanesOf(builder, loc, width, infinity);
  auto compare = [&](arith::CmpFPredicate how, Value a, Value b) -> Value {
    return arith::CmpFOp::create(builder, loc, how, a, b);
  };
  auto both = [&](Value a, Value b) -> Value {
    return arith::AndIOp::create(builder, loc, a, b);
  };
  auto either = [&](Value a, Value b) -> Value {
    return arith::OrIOp::create(builder, loc, a, b);
  };
  using Carried = SmallVector<Value>;
  // The best value and its place in each lane, of those behind (value, place).
  auto search = [&](const RowIndex &outer, Value at, Value mask, Value value,
                    Value place, ValueRange best) -> Carried {
    RowIndex index = outer;
    index.axes.emplace_back(input.layout.names[last], at);
    index.vectorAxis = input.layout.names[last];
    index.mask = mask;
    Value x = load(input, index, loc);
    // What is not a number counts as infinity.
    x = arith::SelectOp::create(
        builder, loc, compare(arith::CmpFPredicate::ORD, x, x), x, highest);
    Value start = arith::IndexCastOp::create(builder, loc, i32, at);
    Value places = arith::AddIOp::create(
        builder, loc, emitSplat(builder, loc, start, width), lanes);
    Value isBehind = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::sgt, places, place);
    Value isNext =
        either(compare(arith::CmpFPredicate::OLT, x, value),
               both(compare(arith::CmpFPredicate::OEQ, x, value), isBehind));
    Value isFirst = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::eq, best[1], none);
    Value takes =
        both(isNext,
             either(isFirst, compare(arith::CmpFPredicate::OGT, x, best[0])));
    if (mask)
      takes = both(takes, mask);
    return {arith::SelectOp::create(builder, loc, takes, x, best[0]),
            arith::SelectOp::create(builder, loc, takes, places, best[1])};
  };
  forEachPlace(input.layout, last, loc, [&](const RowIndex &outer) {
    Value first = arith::ConstantOp::create(builder, loc,
                                            builder.getF32FloatAttr(infinity));
    Value before =
        arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(-1));
    auto choices = scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                                      emitIndex(builder, loc, count),
                                      emitIndex(builder, loc, 1),
                                      ValueRange{first, before});
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(choices.getBody());
    Value value = emitSplat(builder, loc, choices.getRegionIterArg(0), width),
          place = emitSplat(builder, loc, choices.getRegionIterArg(1), width);
    int64_t size = input.layout.sizes[last], whole = size / width * width;
    Carried best{lowest, none};
    if (whole > 0) {
      auto loop = scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                                     emitIndex(builder, loc, whole),
                                     emitIndex(builder, loc, width), best);
      OpBuilder::InsertionGuard inner(builder);
      builder.setInsertionPointToStart(loop.getBody());
      scf::YieldOp::create(builder, loc,
                           search(outer, loop.getInductionVar(), {}, value,
                                  place, loop.getRegionIterArgs()));
      best.assign(loop.getResults().begin(), loop.getResults().end());
    }
    if (whole < size)
      best = search(outer, emitIndex(builder, loc, whole),
                    emitConstantMask(builder, loc, width, size - whole), value,
                    place, best);
    Value largest = vector::ReductionOp::create(
        builder, loc, vector::CombiningKind::MAXIMUMF, best[0]);
    Value isLargest = compare(arith::CmpFPredicate::OEQ, best[0],
                              emitSplat(builder, loc, largest, width));
    Value chosen = vector::ReductionOp::create(
        builder, loc, vector::CombiningKind::MINSI,
        arith::SelectOp::create(builder, loc, isLargest, best[1], none));
    // The value itself: it may be none that compares.
    RowIndex from = outer, to = outer;
    from.axes.emplace_back(input.layout.names[last],
                           arith::IndexCastOp::create(
                               builder, loc, builder.getIndexType(), chosen));
    to.axes.emplace_back(values.layout.names[last], choices.getInductionVar());
    storeScalar(loadScalar(input, from, loc), values, to, loc);
    storeScalar(arith::SIToFPOp::create(builder, loc, f32, chosen), indices, to,
                loc);
    scf::YieldOp::create(builder, loc, ValueRange{largest, chosen});
  });
  if (op.getRouted() && publishedLayer && indices.layout.rank() == 1)
    emitRouting(op, input, values, indices);
  memories[op.getValues()] = values;
  memories[op.getIndices()] = indices;
  return success();
}

/// Shows the experts of the token and takes those that come back.
void RowEmitter::emitRouting(TopKOp op, const RowMemory &input,
                             const RowMemory &values,
                             const RowMemory &indices) {
  Location loc = op.getLoc();
  int64_t count = values.layout.sizes.back(), size = input.layout.sizes.back();
  Type i32 = builder.getI32Type();
  Value shown = emitStackBuffer(builder, loc, count * sizeof(int32_t));
  StringRef axis = values.layout.names.back(), from = input.layout.names.back();
  forEachPlace(indices.layout, 1, loc, [&](const RowIndex &index) {
    Value place = arith::FPToSIOp::create(builder, loc, i32,
                                          loadScalar(indices, index, loc));
    emitStore(builder, loc, place, shown, index.find(axis));
  });
  emitRoute(builder, loc, step, publishedLayer, row, shown, count, size);
  forEachPlace(indices.layout, 1, loc, [&](const RowIndex &index) {
    // Whoever changes them is outside of this code: stay in the row.
    Value place = emitToIndex(
        builder, loc, emitLoad(builder, loc, i32, shown, index.find(axis)));
    place =
        arith::MaxSIOp::create(builder, loc, place, emitIndex(builder, loc, 0));
    place = arith::MinSIOp::create(builder, loc, place,
                                   emitIndex(builder, loc, size - 1));
    RowIndex at;
    at.axes.emplace_back(from, place);
    storeScalar(loadScalar(input, at, loc), values, index, loc);
    Value number = arith::IndexCastOp::create(builder, loc, i32, place);
    storeScalar(
        arith::SIToFPOp::create(builder, loc, builder.getF32Type(), number),
        indices, index, loc);
  });
}

LogicalResult RowEmitter::evaluateGather(GatherOp op) {
  Location loc = op.getLoc();
  RowMemory input = inMemory(op.getInput()),
            indices = inMemory(op.getIndices());
  RowMemory output = newRow(op.getResult().getType());
  int64_t size = input.layout.sizes[input.layout.find(op.getAxis())];
  forEachPlace(
      output.layout, output.layout.rank(), loc, [&](const RowIndex &index) {
        Value place =
            arith::FPToSIOp::create(builder, loc, builder.getI64Type(),
                                    loadScalar(indices, index, loc));
        place = arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                           place);
        place = arith::MaxSIOp::create(builder, loc, place,
                                       emitIndex(builder, loc, 0));
        place = arith::MinSIOp::create(builder, loc, place,
                                       emitIndex(builder, loc, size - 1));
        RowIndex from;
        for (const auto &[name, at] : index.axes)
          if (name != op.getAxis())
            from.axes.emplace_back(name, at);
        from.axes.emplace_back(op.getAxis(), place);
        storeScalar(loadScalar(input, from, loc), output, index, loc);
      });
  memories[op.getResult()] = output;
  return success();
}

LogicalResult RowEmitter::evaluateMember(MemberOp op) {
  Location loc = op.getLoc();
  RowMemory indices = inMemory(op.getIndices());
  RowMemory output = newRow(op.getResult().getType());
  int64_t last = output.layout.rank() - 1, size = output.layout.sizes[last];
  Value zero = lanesOf(builder, loc, target.width, 0.0f);
  forEachIndex(output.layout, loc, [&](const RowIndex &index) {
    storeVector(builder, loc, zero, builder.getF32Type(), output.base,
                flatIndex(output.layout, index, 0, loc), index.mask);
  });
  Value one =
      arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(1));
  forEachPlace(
      indices.layout, indices.layout.rank(), loc, [&](const RowIndex &index) {
        Value place =
            arith::FPToSIOp::create(builder, loc, builder.getI64Type(),
                                    loadScalar(indices, index, loc));
        place = arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                           place);
        // Below zero is above every size.
        Value isInside =
            arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                  place, emitIndex(builder, loc, size));
        auto inside = scf::IfOp::create(builder, loc, isInside);
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPointToStart(inside.thenBlock());
        RowIndex to = index;
        to.axes.back() = {output.layout.names[last], place};
        storeScalar(one, output, to, loc);
      });
  memories[op.getResult()] = output;
  return success();
}
