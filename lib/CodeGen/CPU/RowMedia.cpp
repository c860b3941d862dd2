//===- RowMedia.cpp - Code for rows of images -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/GridPlaces.h"
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

LogicalResult RowEmitter::evaluateAdapterChoice(AdapterChoiceOp op) {
  Location loc = op.getLoc();
  Value place = StepView(builder, loc, step).adapterAt(row);
  if (!op.getChosen()) {
    RowMemory memory = newRow(op.getResult().getType());
    storeNumber(place, memory, 0, loc);
    memories[op.getResult()] = memory;
    return success();
  }
  RowMemory chosen = inMemory(op.getChosen()),
            memory = newRow(op.getResult().getType());
  // Numbers of a row are f32: exact below 2^24, more matrices than fit
  // anywhere.
  Value first = arith::SIToFPOp::create(
      builder, loc, builder.getF32Type(),
      arith::IndexCastOp::create(
          builder, loc, builder.getI64Type(),
          emitMul(builder, loc, place,
                  emitIndex(builder, loc, op.getExperts()))));
  forEachPlace(
      memory.layout, memory.layout.rank(), loc, [&](const RowIndex &index) {
        storeScalar(arith::AddFOp::create(builder, loc, first,
                                          loadScalar(chosen, index, loc)),
                    memory, index, loc);
      });
  memories[op.getResult()] = memory;
  return success();
}

LogicalResult RowEmitter::evaluateGridPositions(GridPositionsOp op) {
  RowMemory memory = newRow(op.getResult().getType());
  StepView view(builder, op.getLoc(), step);
  for (auto [axis, place] : llvm::enumerate(
           emitPlaceInGrid(builder, op.getLoc(), view, row, op.getMerge())))
    storeNumber(place, memory, axis, op.getLoc());
  memories[op.getResult()] = memory;
  return success();
}

LogicalResult RowEmitter::evaluateGridFrames(GridFramesOp op) {
  Location loc = op.getLoc();
  StepView view(builder, loc, step);
  auto [patches, frames] = emitFrames(builder, loc, view, view.sequenceAt(row));
  RowMemory frame = newRow(op.getFrame().getType()),
            count = newRow(op.getFrames().getType());
  storeNumber(
      arith::DivUIOp::create(builder, loc, view.positionAt(row), patches),
      frame, 0, loc);
  storeNumber(frames, count, 0, loc);
  memories[op.getFrame()] = frame;
  memories[op.getFrames()] = count;
  return success();
}

LogicalResult RowEmitter::evaluateFold(FoldOp op) {
  Location loc = op.getLoc();
  Value rows = foldedRows.lookup(op.getResult());
  if (!rows)
    return op.emitError() << "expected the rows of a fold of films in memory";
  NamedTensorType type = op.getInput().getType();
  RowMemory output = newRow(op.getResult().getType());
  StepView view(builder, loc, step);
  Value first = view.selectedAt(row),
        features = emitIndex(builder, loc, type.getNumFeatures());
  auto [patches, frames] =
      emitFrames(builder, loc, view, view.sequenceAt(first));
  Value begin = emitMul(builder, loc, first, features),
        stride = emitMul(builder, loc, patches, features);
  Value integer =
      arith::IndexCastOp::create(builder, loc, builder.getI64Type(), frames);
  Value count = emitSplat(
      builder, loc,
      arith::SIToFPOp::create(builder, loc, builder.getF32Type(), integer),
      target.width);
  Value zero = emitSplat(
      builder, loc,
      arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0)),
      target.width);
  forEachIndex(output.layout, loc, [&](const RowIndex &index) {
    Value place = flatIndex(output.layout, index, 0, loc);
    auto loop = scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                                   frames, emitIndex(builder, loc, 1), zero);
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      Value at = emitAdd(builder, loc, begin,
                         emitMul(builder, loc, loop.getInductionVar(), stride));
      Value value =
          loadVector(builder, loc, target.width, type.getElementType(), rows,
                     emitAdd(builder, loc, at, place), index.mask);
      value =
          arith::AddFOp::create(builder, loc, loop.getRegionIterArg(0), value);
      scf::YieldOp::create(builder, loc, value);
    }
    Value mean = arith::DivFOp::create(builder, loc, loop.getResult(0), count);
    storeVector(builder, loc, roundTo(mean, type.getElementType(), loc),
                builder.getF32Type(), output.base, place, index.mask);
  });
  memories[op.getResult()] = output;
  return success();
}

LogicalResult RowEmitter::evaluateGridWindows(GridWindowsOp op) {
  Location loc = op.getLoc();
  RowMemory memory = newRow(op.getResult().getType());
  StepView view(builder, loc, step);
  auto [y, x] = emitPlaceInGrid(builder, loc, view, row, op.getMerge());
  Value side = emitIndex(builder, loc, op.getSide());
  Value across =
      emitCeilDiv(builder, loc, view.gridSizeAt(view.sequenceAt(row), 1), side);
  auto windowOf = [&](Value place) -> Value {
    return arith::DivUIOp::create(builder, loc, place, side);
  };
  storeNumber(emitAdd(builder, loc, emitMul(builder, loc, windowOf(y), across),
                      windowOf(x)),
              memory, 0, loc);
  memories[op.getResult()] = memory;
  return success();
}

LogicalResult RowEmitter::evaluateInterpolate(InterpolateOp op) {
  Location loc = op.getLoc();
  RowMemory table = inMemory(op.getTable());
  RowMemory output = newRow(op.getResult().getType());
  ArrayRef<int64_t> sizes = op.getTable().getType().getShape();
  StepView view(builder, loc, step);
  Value image = view.sequenceAt(row);
  auto [y, x] = emitPlaceInGrid(builder, loc, view, row, op.getMerge());
  SmallVector<Tap> down = emitTaps(builder, op, y, view.gridSizeAt(image, 0),
                                   sizes[0]),
                   across = emitTaps(builder, op, x, view.gridSizeAt(image, 1),
                                     sizes[1]);
  // Where each neighbour begins in the table, and how much it counts.
  int64_t features = output.layout.numElements();
  SmallVector<std::pair<Value, Value>> neighbours;
  for (const Tap &r : down)
    for (const Tap &c : across) {
      Value place = emitAdd(
          builder, loc,
          emitMul(builder, loc, r.place, emitIndex(builder, loc, sizes[1])),
          c.place);
      Value weight = arith::MulFOp::create(builder, loc, r.weight, c.weight);
      neighbours.emplace_back(
          emitMul(builder, loc, place, emitIndex(builder, loc, features)),
          emitSplat(builder, loc, weight, target.width));
    }
  forEachIndex(output.layout, loc, [&](const RowIndex &index) {
    Value feature = flatIndex(output.layout, index, 0, loc), sum;
    for (auto [begin, weight] : neighbours) {
      Value value =
          loadVector(builder, loc, target.width, table.elementType, table.base,
                     emitAdd(builder, loc, begin, feature), index.mask);
      value = arith::MulFOp::create(builder, loc, value, weight);
      sum =
          sum ? Value(arith::AddFOp::create(builder, loc, sum, value)) : value;
    }
    storeVector(builder, loc, sum, builder.getF32Type(), output.base, feature,
                index.mask);
  });
  memories[op.getResult()] = output;
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
