//===- RowOps.cpp - Positions, tables and caches of a row -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/CacheWrite.h"
#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/Power.h"
#include "lib/CodeGen/CUDA/RowEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;
using cpu::emitAdd;
using cpu::emitAddress;
using cpu::emitIndex;
using cpu::emitLoad;
using cpu::emitMul;
using cpu::StepView;

//===----------------------------------------------------------------------===//
// Rotary embedding
//===----------------------------------------------------------------------===//

LogicalResult RowEmitter::evaluateRope(RopeOp op) {
  Location loc = op.getLoc();
  RowMemory input = inMemory(op.getInput()), cos = inMemory(op.getCos()),
            sin = inMemory(op.getSin());
  RowMemory output = newRow(op.getInput().getType());
  int64_t pairs = op.getCos().getType().getShape()[1],
          size = op.getInput().getType().getShape().back();
  bool adjacent = op.getPairs() == RotaryPairs::Adjacent;
  StringRef axis = output.layout.names.back(), pairAxis = cos.layout.names[0];
  auto compare = [&](arith::CmpIPredicate predicate, Value a,
                     int64_t b) -> Value {
    return arith::CmpIOp::create(builder, loc, predicate, a,
                                 emitIndex(builder, loc, b));
  };
  auto select = [&](Value condition, Value a, Value b) -> Value {
    return arith::SelectOp::create(builder, loc, condition, a, b);
  };
  forEachIndex(output.layout, loc, [&](const RowIndex &index) {
    Value own = index.find(axis), x = load(input, index, loc);
    // Features behind the pairs keep their value; their number stays in range.
    Value isRotated = compare(arith::CmpIPredicate::ult, own, 2 * pairs);
    Value at = 2 * pairs < size
                   ? select(isRotated, own, emitIndex(builder, loc, 0))
                   : own;
    Value one = emitIndex(builder, loc, 1),
          half = emitIndex(builder, loc, pairs), isFirst, pair, partner;
    if (adjacent) {
      Value two = emitIndex(builder, loc, 2);
      pair = arith::DivUIOp::create(builder, loc, at, two);
      isFirst = compare(arith::CmpIPredicate::eq,
                        arith::RemUIOp::create(builder, loc, at, two), 0);
      partner = arith::XOrIOp::create(builder, loc, at, one);
    } else {
      isFirst = compare(arith::CmpIPredicate::ult, at, pairs);
      Value before = arith::SubIOp::create(builder, loc, at, half);
      pair = select(isFirst, at, before);
      partner = select(isFirst, emitAdd(builder, loc, at, half), before);
    }
    RowIndex pairIndex, other = index;
    pairIndex.axes.emplace_back(pairAxis, pair);
    for (auto &[name, value] : other.axes)
      if (name == axis)
        value = partner;
    Value c = load(cos, pairIndex, loc), s = load(sin, pairIndex, loc);
    Value straight = arith::MulFOp::create(builder, loc, x, c),
          crossed =
              arith::MulFOp::create(builder, loc, load(input, other, loc), s);
    Value rotated =
        select(isFirst, arith::SubFOp::create(builder, loc, straight, crossed),
               arith::AddFOp::create(builder, loc, straight, crossed));
    if (2 * pairs < size)
      rotated = select(isRotated, rotated, x);
    emitStoreFloat(builder, loc, rotated, output.elementType, output.base,
                   flatIndex(output, index, loc));
  });
  emitSync(builder, loc);
  bind(op.getResult(), output);
  return success();
}

/// Frequency `pair` (an index) of a table of angles, in f32.
Value RowEmitter::emitFrequency(RotaryTableOp op, Value pair) {
  Location loc = op.getLoc();
  Type f32 = builder.getF32Type(), f64 = builder.getF64Type(),
       i32 = builder.getI32Type();
  Value frequencies = emitDeviceArray(builder, loc, op.getFrequencies());
  if (!op.getLongFrequencies() && !op.getDynamicFactor())
    return emitLoad(builder, loc, f32, frequencies, pair);
  StepView view(builder, loc, step);
  Value length = view.scaledLengthAt(view.sequenceAt(row)),
        original = emitIndex(builder, loc, *op.getOriginalLength());
  if (op.getLongFrequencies()) {
    Value isLong = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::sgt, length, original);
    frequencies = arith::SelectOp::create(
        builder, loc, isLong,
        emitDeviceArray(builder, loc, *op.getLongFrequencies()), frequencies);
  }
  if (!op.getDynamicFactor())
    return emitLoad(builder, loc, f32, frequencies, pair);
  // The base grows with the length, and is rounded to f32 as the published one.
  auto wide = [&](double value) -> Value {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getF64FloatAttr(value));
  };
  auto toFloat = [&](Value index, Type type) -> Value {
    return arith::SIToFPOp::create(
        builder, loc, type,
        arith::IndexCastOp::create(builder, loc, i32, index));
  };
  double factor = op.getDynamicFactor()->convertToDouble(),
         size = 2.0 * static_cast<double>(op.getFrequencies().size());
  Value stretched = arith::MulFOp::create(
      builder, loc, wide(factor / static_cast<double>(*op.getOriginalLength())),
      toFloat(arith::MaxSIOp::create(builder, loc, length, original), f64));
  stretched = arith::SubFOp::create(builder, loc, stretched, wide(factor - 1));
  Value base = arith::MulFOp::create(
      builder, loc, wide(op.getTheta()->convertToDouble()),
      emitPower(builder, loc, stretched, wide(size / (size - 2))));
  base = arith::TruncFOp::create(builder, loc, f32, base);
  base = arith::ExtFOp::create(builder, loc, f64, base);
  Value exponent = arith::DivFOp::create(
      builder, loc,
      toFloat(emitMul(builder, loc, pair, emitIndex(builder, loc, 2)), f32),
      emitFloat(builder, loc, size));
  Value power = arith::TruncFOp::create(
      builder, loc, f32,
      emitPower(builder, loc, base,
                arith::ExtFOp::create(builder, loc, f64, exponent)));
  return arith::DivFOp::create(builder, loc, emitFloat(builder, loc, 1), power);
}

LogicalResult RowEmitter::evaluateRotaryTable(RotaryTableOp op) {
  Location loc = op.getLoc();
  RowMemory cos = newRow(op.getCos().getType()),
            sin = newRow(op.getSin().getType());
  Type f32 = builder.getF32Type(),
       type = op.getCos().getType().getElementType();
  Value scale = emitFloat(builder, loc, op.getScale().convertToDouble());
  // Each pair may have an axis of its own.
  Value axes;
  RowMemory positions;
  if (op.getAxes()) {
    SmallVector<float> numbers(op.getAxes()->begin(), op.getAxes()->end());
    axes = emitDeviceArray(builder, loc, numbers);
    positions = inMemory(op.getPositions());
  }
  auto positionAt = [&](Value pair) {
    RowIndex index;
    if (!axes)
      return get(op.getPositions(), index);
    Value axis =
        arith::FPToSIOp::create(builder, loc, builder.getI64Type(),
                                emitLoad(builder, loc, f32, axes, pair));
    index.axes.emplace_back(
        positions.layout.names[0],
        arith::IndexCastOp::create(builder, loc, builder.getIndexType(), axis));
    return load(positions, index, loc);
  };
  forEachIndex(cos.layout, loc, [&](const RowIndex &index) {
    Value at = flatIndex(cos, index, loc);
    Value angle = arith::MulFOp::create(builder, loc, positionAt(at),
                                        emitFrequency(op, at));
    auto [sine, cosine] = emitSinCos(builder, loc, angle);
    for (auto [value, memory] : {std::pair(cosine, &cos), {sine, &sin}}) {
      Value scaled = arith::MulFOp::create(builder, loc, value, scale);
      if (type.isBF16()) // The published tables are in the model's type.
        scaled = cpu::emitWiden(builder, loc,
                                cpu::emitRoundToBF16(builder, loc, scaled));
      emitStoreFloat(builder, loc, scaled, f32, memory->base, at);
    }
  });
  emitSync(builder, loc);
  bind(op.getCos(), cos);
  bind(op.getSin(), sin);
  return success();
}

//===----------------------------------------------------------------------===//
// Tables and caches
//===----------------------------------------------------------------------===//

LogicalResult RowEmitter::evaluateEmbed(EmbedOp op) {
  Location loc = op.getLoc();
  RowMemory table = inMemory(op.getTable()), memory = table;
  // A table of learned positions has a row for each.
  StepView view(builder, loc, step);
  bool isOfPositions = op.getIds().getDefiningOp<PositionsOp>() != nullptr;
  // Tokens, or their types, are arrays that the kernel is given.
  Value token =
      isOfPositions
          ? view.positionAt(row)
          : cpu::emitToIndex(builder, loc,
                             emitLoad(builder, loc, builder.getI32Type(),
                                      inMemory(op.getIds()).base,
                                      emitIndex(builder, loc, 0)));
  if (auto blocks =
          dyn_cast_or_null<BlocksAttr>(op.getTable().getType().getLayout())) {
    memories[op.getResult()] = unpackRow(op, table, token, blocks);
    return success();
  }
  memory.layout = RowLayout::contiguous(op.getResult().getType());
  memory.base = emitAddress(
      builder, loc, table.base, table.elementType,
      emitMul(builder, loc, token,
              emitIndex(builder, loc, memory.layout.numElements())));
  bind(op.getResult(), memory);
  return success();
}

LogicalResult RowEmitter::evaluateCacheWrite(CacheWriteOp op) {
  Location loc = op.getLoc();
  StepView view(builder, loc, step);
  Value sequence = view.sequenceAt(row), position = view.positionAt(row),
        state = states.lookup(op.getState());
  for (bool isKey : {true, false}) {
    if (!isKey && op.getShared())
      break;
    RowMemory memory = inMemory(isKey ? op.getKey() : op.getValue());
    auto type =
        cast<NamedTensorType>((isKey ? op.getKey() : op.getValue()).getType());
    cpu::CacheLayout layout{type.getShape()[1], type.getShape()[2],
                            type.getElementType()};
    forEachIndex(memory.layout, loc, [&](const RowIndex &index) {
      Value pointer = cpu::emitCacheRowPointer(
          builder, loc, layout, state, sequence, position,
          index.find(memory.layout.names[0]), isKey);
      emitStoreFloat(builder, loc, load(memory, index, loc), layout.elementType,
                     pointer, index.find(memory.layout.names[1]));
    });
  }
  return success();
}
