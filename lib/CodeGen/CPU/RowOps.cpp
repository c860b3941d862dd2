//===- RowOps.cpp - Token-wise ops that are not elementwise ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/CacheWrite.h"
#include "lib/CodeGen/CPU/RowEmitter.h"
#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace clade;
using namespace clade::cpu;

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

LogicalResult RowEmitter::evaluateView(ViewOp op) {
  RowMemory memory = inMemory(op.getInput());
  std::optional<RowMemory> seen = memory.viewed(op);
  if (!seen) {
    RowMemory copy = newRow(op.getInput().getType());
    storeRow(op.getInput(), copy.base, copy.elementType);
    seen = copy.viewed(op);
  }
  memories[op.getResult()] = *seen;
  return success();
}

LogicalResult RowEmitter::evaluateSlice(SliceOp op) {
  RowMemory memory = inMemory(op.getInput());
  memories[op.getResult()] = memory.sliced(op);
  return success();
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

static Value combine(OpBuilder &builder, Location loc, ReduceKind kind, Value a,
                     Value b) {
  if (kind == ReduceKind::Max)
    return arith::MaximumFOp::create(builder, loc, a, b);
  return arith::AddFOp::create(builder, loc, a, b);
}

static Value vectorConstant(OpBuilder &builder, Location loc, int64_t width,
                            float value) {
  auto type = VectorType::get({width}, builder.getF32Type());
  return arith::ConstantOp::create(builder, loc,
                                   DenseElementsAttr::get(type, value));
}

/// Adds up the reduced axes from `axis` on, in lanes.
Value RowEmitter::reduceOver(ReduceOp op, RowIndex &index,
                             const RowLayout &layout, int64_t axis, Value sum) {
  Location loc = op.getLoc();
  if (axis == layout.rank()) {
    Value vector = get(op.getInput(), index);
    if (index.mask) {
      float neutral = op.getKind() == ReduceKind::Max
                          ? -std::numeric_limits<float>::infinity()
                          : 0.0f;
      vector = arith::SelectOp::create(
          builder, loc, index.mask, vector,
          vectorConstant(builder, loc, target.width, neutral));
    }
    return combine(builder, loc, op.getKind(), sum, vector);
  }
  StringRef name = layout.names[axis];
  if (index.find(name)) // kept
    return reduceOver(op, index, layout, axis + 1, sum);
  bool isVector = axis == layout.rank() - 1;
  int64_t size = layout.sizes[axis], stepSize = isVector ? target.width : 1,
          whole = size / stepSize * stepSize;
  auto run = [&](Value at, Value mask, Value before) {
    RowIndex inner = index;
    inner.axes.emplace_back(name, at);
    if (isVector) {
      inner.vectorAxis = name;
      inner.mask = mask;
    }
    return reduceOver(op, inner, layout, axis + 1, before);
  };
  if (whole > 0) {
    auto loop =
        scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                           emitIndex(builder, loc, whole),
                           emitIndex(builder, loc, stepSize), ValueRange{sum});
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value next = run(loop.getInductionVar(), {}, loop.getRegionIterArg(0));
    scf::YieldOp::create(builder, loc, next);
    sum = loop.getResult(0);
  }
  if (whole < size)
    sum = run(emitIndex(builder, loc, whole),
              emitConstantMask(builder, loc, target.width, size - whole), sum);
  return sum;
}

LogicalResult RowEmitter::evaluateReduce(ReduceOp op) {
  Location loc = op.getLoc();
  auto input = RowLayout::contiguous(op.getInput().getType());
  auto kept = RowLayout::contiguous(op.getResult().getType());
  RowMemory memory = newRow(op.getResult().getType());
  bool lastIsKept = input.rank() > 0 && kept.find(input.names.back()) >= 0;
  int64_t count =
      input.numElements() / std::max<int64_t>(kept.numElements(), 1);
  float neutral = op.getKind() == ReduceKind::Max
                      ? -std::numeric_limits<float>::infinity()
                      : 0.0f;
  auto finish = [&](Value sum) {
    if (op.getKind() == ReduceKind::Mean) {
      Value n = lastIsKept ? vectorConstant(builder, loc, target.width, count)
                           : Value(arith::ConstantOp::create(
                                 builder, loc, builder.getF32FloatAttr(count)));
      sum = arith::DivFOp::create(builder, loc, sum, n);
    }
    return sum;
  };
  // One sum for each kept index; kept axes before the last are loops.
  RowLayout outer = kept;
  std::function<void(int64_t, RowIndex &)> loops = [&](int64_t axis,
                                                       RowIndex &index) {
    if (axis == outer.rank()) {
      Value sum =
          reduceOver(op, index, input, 0,
                     vectorConstant(builder, loc, target.width, neutral));
      Value at = flatIndex(memory.layout, index, 0, loc);
      if (lastIsKept) {
        Value mask = index.vectorAxis.empty()
                         ? emitConstantMask(builder, loc, target.width, 1)
                         : index.mask;
        storeVector(builder, loc,
                    roundTo(finish(sum),
                            op.getResult().getType().getElementType(), loc),
                    builder.getF32Type(), memory.base, at, mask);
        return;
      }
      auto kind = op.getKind() == ReduceKind::Max
                      ? vector::CombiningKind::MAXIMUMF
                      : vector::CombiningKind::ADD;
      Value scalar =
          finish(vector::ReductionOp::create(builder, loc, kind, sum));
      Value splat = emitSplat(builder, loc, scalar, target.width);
      storeVector(
          builder, loc,
          roundTo(splat, op.getResult().getType().getElementType(), loc),
          builder.getF32Type(), memory.base, at,
          emitConstantMask(builder, loc, target.width, 1));
      return;
    }
    if (!pinnedAxis.empty() && outer.names[axis] == pinnedAxis) {
      RowIndex inner = index;
      inner.axes.emplace_back(outer.names[axis], pinnedIndex);
      loops(axis + 1, inner);
      return;
    }
    bool isVector = lastIsKept && axis == outer.rank() - 1;
    int64_t size = outer.sizes[axis], stepSize = isVector ? target.width : 1,
            whole = size / stepSize * stepSize;
    auto run = [&](Value at, Value mask) {
      RowIndex inner = index;
      inner.axes.emplace_back(outer.names[axis], at);
      if (isVector) {
        inner.vectorAxis = outer.names[axis];
        inner.mask = mask;
      }
      loops(axis + 1, inner);
    };
    if (whole > 0) {
      auto loop = scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                                     emitIndex(builder, loc, whole),
                                     emitIndex(builder, loc, stepSize));
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      run(loop.getInductionVar(), {});
    }
    if (whole < size)
      run(emitIndex(builder, loc, whole),
          emitConstantMask(builder, loc, target.width, size - whole));
  };
  RowIndex index;
  loops(0, index);
  memories[op.getResult()] = memory;
  return success();
}

//===----------------------------------------------------------------------===//
// Rotary embedding
//===----------------------------------------------------------------------===//

/// Even or odd lanes of two vectors that follow each other.
static Value everyOther(OpBuilder &builder, Location loc, Value low, Value high,
                        int64_t width, int64_t first) {
  SmallVector<int64_t> lanes;
  for (int64_t lane = 0; lane < width; ++lane)
    lanes.push_back(2 * lane + first);
  return vector::ShuffleOp::create(builder, loc, low, high, lanes);
}

LogicalResult RowEmitter::evaluateRope(RopeOp op) {
  Location loc = op.getLoc();
  auto type = op.getInput().getType();
  RowMemory input = inMemory(op.getInput()), cos = inMemory(op.getCos()),
            sin = inMemory(op.getSin());
  RowMemory output = newRow(type);
  int64_t pairs = op.getCos().getType().getShape()[1],
          size = type.getShape().back(), width = target.width;
  Type elementType = type.getElementType();
  bool adjacent = op.getPairs() == RotaryPairs::Adjacent;
  RowLayout outer = output.layout;
  outer.names.pop_back();
  outer.sizes.pop_back();
  outer.strides.pop_back();
  auto at = [&](const RowMemory &memory, Value rowStart, Value offset,
                Value mask) {
    return loadVector(builder, loc, width, memory.elementType, memory.base,
                      emitAdd(builder, loc, rowStart, offset), mask);
  };
  auto rotate = [&](Value u, Value v, Value c, Value s, bool first) -> Value {
    auto mul = [&](Value a, Value b) {
      return roundTo(arith::MulFOp::create(builder, loc, a, b), elementType,
                     loc);
    };
    Value sum =
        first
            ? Value(arith::SubFOp::create(builder, loc, mul(u, c), mul(v, s)))
            : Value(arith::AddFOp::create(builder, loc, mul(v, c), mul(u, s)));
    return roundTo(sum, elementType, loc);
  };
  // The heads are loops; the vector loop runs over pairs.
  std::function<void(int64_t, RowIndex &)> loops = [&](int64_t axis,
                                                       RowIndex &index) {
    if (axis < outer.rank()) {
      auto loop = scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                                     emitIndex(builder, loc, outer.sizes[axis]),
                                     emitIndex(builder, loc, 1));
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      RowIndex inner = index;
      inner.axes.emplace_back(outer.names[axis], loop.getInductionVar());
      loops(axis + 1, inner);
      return;
    }
    Value in = flatIndex(input.layout, index, input.offset, loc),
          out = flatIndex(output.layout, index, 0, loc);
    for (int64_t j = 0; j < pairs; j += width) {
      int64_t count = std::min(width, pairs - j);
      Value mask = count < width ? emitConstantMask(builder, loc, width, count)
                                 : Value();
      Value c = at(cos, emitIndex(builder, loc, cos.offset),
                   emitIndex(builder, loc, j), mask);
      Value s = at(sin, emitIndex(builder, loc, sin.offset),
                   emitIndex(builder, loc, j), mask);
      if (!adjacent) {
        Value u = at(input, in, emitIndex(builder, loc, j), mask);
        Value v = at(input, in, emitIndex(builder, loc, j + pairs), mask);
        storeVector(builder, loc, rotate(u, v, c, s, true),
                    builder.getF32Type(), output.base,
                    emitAdd(builder, loc, out, emitIndex(builder, loc, j)),
                    mask);
        storeVector(
            builder, loc, rotate(u, v, c, s, false), builder.getF32Type(),
            output.base,
            emitAdd(builder, loc, out, emitIndex(builder, loc, j + pairs)),
            mask);
        continue;
      }
      auto halfMask = [&](int64_t begin) {
        int64_t lanes = std::clamp<int64_t>(2 * count - begin, 0, width);
        return lanes < width ? emitConstantMask(builder, loc, width, lanes)
                             : Value();
      };
      Value low = at(input, in, emitIndex(builder, loc, 2 * j), halfMask(0));
      Value high = at(input, in, emitIndex(builder, loc, 2 * j + width),
                      halfMask(width));
      Value u = everyOther(builder, loc, low, high, width, 0),
            v = everyOther(builder, loc, low, high, width, 1);
      Value first = rotate(u, v, c, s, true),
            second = rotate(u, v, c, s, false);
      SmallVector<int64_t> lowLanes, highLanes;
      for (int64_t lane = 0; lane < width; ++lane) {
        lowLanes.push_back(lane / 2 + (lane % 2) * width);
        highLanes.push_back(lane / 2 + width / 2 + (lane % 2) * width);
      }
      storeVector(
          builder, loc,
          vector::ShuffleOp::create(builder, loc, first, second, lowLanes),
          builder.getF32Type(), output.base,
          emitAdd(builder, loc, out, emitIndex(builder, loc, 2 * j)),
          halfMask(0));
      storeVector(
          builder, loc,
          vector::ShuffleOp::create(builder, loc, first, second, highLanes),
          builder.getF32Type(), output.base,
          emitAdd(builder, loc, out, emitIndex(builder, loc, 2 * j + width)),
          halfMask(width));
    }
    for (int64_t j = 2 * pairs; j < size; j += width) {
      Value mask = size - j < width
                       ? emitConstantMask(builder, loc, width, size - j)
                       : Value();
      storeVector(builder, loc, at(input, in, emitIndex(builder, loc, j), mask),
                  builder.getF32Type(), output.base,
                  emitAdd(builder, loc, out, emitIndex(builder, loc, j)), mask);
    }
  };
  RowIndex index;
  loops(0, index);
  memories[op.getResult()] = output;
  return success();
}

LogicalResult RowEmitter::evaluateRotaryTable(RotaryTableOp op) {
  Location loc = op.getLoc();
  RowMemory cos = newRow(op.getCos().getType()),
            sin = newRow(op.getSin().getType());
  Type f32 = builder.getF32Type();
  auto constant = [&](double value) -> Value {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getF32FloatAttr(value));
  };
  StepView view(builder, loc, step);
  auto toFloat = [&](Value index, Type type) -> Value {
    Value integer =
        arith::IndexCastOp::create(builder, loc, builder.getI64Type(), index);
    return arith::SIToFPOp::create(builder, loc, type, integer);
  };
  Value position, positions;
  if (op.getAxes())
    positions = positionsOfAxes(op);
  else if (op.getPositions().getDefiningOp<PositionsOp>())
    position = toFloat(view.positionAt(row), f32);
  else
    position = loadScalar(inMemory(op.getPositions()), RowIndex(), loc);
  Value frequencies = emitConstantArray(builder, loc, op.getFrequencies());
  Value length;
  if (op.getLongFrequencies() || op.getDynamicFactor())
    length = view.scaledLengthAt(view.sequenceAt(row));
  if (op.getLongFrequencies()) {
    Value isLong =
        arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sgt, length,
                              emitIndex(builder, loc, *op.getOriginalLength()));
    frequencies = arith::SelectOp::create(
        builder, loc, isLong,
        emitConstantArray(builder, loc, *op.getLongFrequencies()), frequencies);
  }
  int64_t pairs = op.getFrequencies().size();
  Value base;
  if (op.getDynamicFactor()) {
    Type f64 = builder.getF64Type();
    auto wide = [&](double value) -> Value {
      return arith::ConstantOp::create(builder, loc,
                                       builder.getF64FloatAttr(value));
    };
    double factor = op.getDynamicFactor()->convertToDouble(),
           original = *op.getOriginalLength();
    Value longest = arith::MaxSIOp::create(
        builder, loc, length, emitIndex(builder, loc, *op.getOriginalLength()));
    Value stretched = arith::MulFOp::create(
        builder, loc, wide(factor / original), toFloat(longest, f64));
    stretched =
        arith::SubFOp::create(builder, loc, stretched, wide(factor - 1));
    double size = 2.0 * pairs;
    Value power =
        math::PowFOp::create(builder, loc, stretched, wide(size / (size - 2)));
    Value scaled = arith::MulFOp::create(
        builder, loc, wide(op.getTheta()->convertToDouble()), power);
    base = arith::TruncFOp::create(builder, loc, f32, scaled);
  }
  auto loop = scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                                 emitIndex(builder, loc, pairs),
                                 emitIndex(builder, loc, 1));
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value j = loop.getInductionVar(), frequency;
    if (base) {
      Value exponent = arith::DivFOp::create(
          builder, loc,
          toFloat(emitMul(builder, loc, j, emitIndex(builder, loc, 2)), f32),
          constant(2.0 * pairs));
      Value power = math::PowFOp::create(builder, loc, base, exponent);
      frequency = arith::DivFOp::create(builder, loc, constant(1), power);
    } else {
      frequency = emitLoad(builder, loc, f32, frequencies, j);
    }
    if (positions)
      position = emitLoad(builder, loc, f32, positions, j);
    Value angle = arith::MulFOp::create(builder, loc, position, frequency);
    Value scale = constant(op.getScale().convertToDouble());
    Type type = op.getCos().getType().getElementType();
    auto store = [&](Value value, const RowMemory &memory) {
      value = arith::MulFOp::create(builder, loc, value, scale);
      if (type.isBF16()) // The published tables are in the model's type.
        value = emitWiden(builder, loc, emitRoundToBF16(builder, loc, value));
      emitStore(builder, loc, value, memory.base, j);
    };
    store(math::CosOp::create(builder, loc, angle), cos);
    store(math::SinOp::create(builder, loc, angle), sin);
  }
  memories[op.getCos()] = cos;
  memories[op.getSin()] = sin;
  return success();
}

//===----------------------------------------------------------------------===//
// Cache
//===----------------------------------------------------------------------===//

LogicalResult RowEmitter::evaluateCacheWrite(CacheWriteOp op) {
  Location loc = op.getLoc();
  StepView view(builder, loc, step);
  Value sequence = view.sequenceAt(row), position = view.positionAt(row);
  Value state = stateAddress(op.getState());
  for (bool isKey : {true, false}) {
    if (!isKey && op.getShared())
      break;
    Value value = isKey ? op.getKey() : op.getValue();
    auto type = cast<NamedTensorType>(value.getType());
    RowMemory memory = inMemory(value);
    CacheLayout layout{type.getShape()[1], type.getShape()[2],
                       type.getElementType()};
    auto loop = scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                                   emitIndex(builder, loc, layout.heads),
                                   emitIndex(builder, loc, 1));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value pointer =
        emitCacheRowPointer(builder, loc, layout, state, sequence, position,
                            loop.getInductionVar(), isKey);
    RowIndex index;
    index.axes.emplace_back(memory.layout.names[0], loop.getInductionVar());
    for (int64_t j = 0; j < layout.size; j += target.width) {
      RowIndex inner = index;
      inner.axes.emplace_back(memory.layout.names[1],
                              emitIndex(builder, loc, j));
      inner.vectorAxis = memory.layout.names[1];
      if (layout.size - j < target.width)
        inner.mask =
            emitConstantMask(builder, loc, target.width, layout.size - j);
      storeVector(builder, loc, load(memory, inner, loc), layout.elementType,
                  pointer, emitIndex(builder, loc, j), inner.mask);
    }
  }
  return success();
}
