//===- RowMedia.cpp - Code for rows of images -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/RowEmitter.h"
#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace clade;
using namespace clade::cpu;

/// Stores an index as the f32 at a place of a row.
void RowEmitter::storeNumber(Value index, const RowMemory &memory,
                             int64_t place, Location loc) {
  Value integer =
      arith::IndexCastOp::create(builder, loc, builder.getI64Type(), index);
  emitStore(
      builder, loc,
      arith::SIToFPOp::create(builder, loc, builder.getF32Type(), integer),
      memory.base, emitIndex(builder, loc, place));
}

LogicalResult RowEmitter::evaluateMediaPositions(PositionsOp op) {
  RowMemory memory = newRow(op.getResult().getType());
  StepView view(builder, op.getLoc(), step);
  for (int64_t axis = 0; axis < 3; ++axis)
    storeNumber(view.mediaPositionAt(row, axis), memory, axis, op.getLoc());
  memories[op.getResult()] = memory;
  return success();
}

LogicalResult RowEmitter::evaluateGridPositions(GridPositionsOp op) {
  Location loc = op.getLoc();
  RowMemory memory = newRow(op.getResult().getType());
  StepView view(builder, loc, step);
  Value patch = view.positionAt(row),
        columns = view.gridColumnsAt(view.sequenceAt(row)),
        merge = emitIndex(builder, loc, op.getMerge()),
        perBlock = emitIndex(builder, loc, op.getMerge() * op.getMerge());
  auto quotient = [&](Value a, Value b) -> Value {
    return arith::DivUIOp::create(builder, loc, a, b);
  };
  auto rest = [&](Value a, Value b) -> Value {
    return arith::RemUIOp::create(builder, loc, a, b);
  };
  Value block = quotient(patch, perBlock), inBlock = rest(patch, perBlock),
        blocks = quotient(columns, merge);
  std::pair<Value, Value> places[] = {
      {quotient(block, blocks), quotient(inBlock, merge)},
      {rest(block, blocks), rest(inBlock, merge)}};
  for (auto [axis, place] : llvm::enumerate(places))
    storeNumber(emitAdd(builder, loc, emitMul(builder, loc, place.first, merge),
                        place.second),
                memory, axis, loc);
  memories[op.getResult()] = memory;
  return success();
}

Value RowEmitter::positionsOfAxes(RotaryTableOp op) {
  Location loc = op.getLoc();
  RowMemory positions = inMemory(op.getPositions());
  RowMemory expanded = newRow(op.getCos().getType());
  for (auto [j, axis] : llvm::enumerate(*op.getAxes())) {
    RowIndex index;
    index.axes.emplace_back(positions.layout.names[0],
                            emitIndex(builder, loc, axis));
    emitStore(builder, loc, loadScalar(positions, index, loc), expanded.base,
              emitIndex(builder, loc, j));
  }
  return expanded.base;
}

LogicalResult RowEmitter::evaluatePutAt(PutAtOp op) {
  Location loc = op.getLoc();
  RowMemory input = inMemory(op.getInput());
  RowMemory output = newRow(op.getResult().getType());
  Type f32 = builder.getF32Type(),
       own = op.getResult().getType().getElementType();
  StepView view(builder, loc, step);
  // -1 stands for a token that is no part of an image.
  Value media = view.mediaRowAt(row), zero = emitIndex(builder, loc, 0);
  Value isMedia = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge,
                                        media, zero);
  auto branch =
      scf::IfOp::create(builder, loc, isMedia, /*withElseRegion=*/true);
  for (bool places : {true, false}) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(places ? branch.thenBlock()
                                            : branch.elseBlock());
    RowMemory source = input;
    if (places) {
      source = output; // The layout of the result, elsewhere.
      Value first = emitAdd(
          builder, loc,
          emitMul(builder, loc, media, emitIndex(builder, loc, op.getWidth())),
          emitIndex(builder, loc, op.getFrom()));
      source.base = emitAddress(builder, loc, view.media(), f32, first);
    }
    forEachIndex(output.layout, loc, [&](const RowIndex &index) {
      Value value = load(source, index, loc);
      if (places)
        value = roundTo(value, own, loc);
      if (places && op.getAdd())
        value = roundTo(
            arith::AddFOp::create(builder, loc, value, load(input, index, loc)),
            own, loc);
      storeVector(builder, loc, value, f32, output.base,
                  flatIndex(output.layout, index, 0, loc), index.mask);
    });
  }
  memories[op.getResult()] = output;
  return success();
}
