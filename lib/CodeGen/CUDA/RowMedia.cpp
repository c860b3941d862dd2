//===- RowMedia.cpp - Rows of images --------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the rows of patches and of tokens that stand for them are made of. The
// places of patches are a few numbers for each row: every thread has them.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/GridPlaces.h"
#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/RowEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;
using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitLoad;
using cpu::emitMul;
using cpu::StepView;

/// An index as f32.
static Value toFloat(OpBuilder &builder, Location loc, Value index) {
  Value integer =
      arith::IndexCastOp::create(builder, loc, builder.getI64Type(), index);
  return arith::SIToFPOp::create(builder, loc, builder.getF32Type(), integer);
}

RowMemory RowEmitter::storeNumbers(NamedTensorType type,
                                   ArrayRef<Value> numbers, Location loc) {
  RowMemory memory = newRow(type);
  forEachIndex(memory.layout, loc, [&](const RowIndex &index) {
    Value at = flatIndex(memory, index, loc), number = numbers[0];
    for (auto [place, other] : llvm::enumerate(numbers)) {
      Value isOwn = arith::CmpIOp::create(
          builder, loc, arith::CmpIPredicate::eq, at,
          emitIndex(builder, loc, static_cast<int64_t>(place)));
      number = arith::SelectOp::create(builder, loc, isOwn, other, number);
    }
    emitStoreFloat(builder, loc, toFloat(builder, loc, number),
                   memory.elementType, memory.base, at);
  });
  emitSync(builder, loc);
  return memory;
}

void RowEmitter::evaluateMediaPositions(PositionsOp op) {
  StepView view(builder, op.getLoc(), step);
  SmallVector<Value> numbers;
  for (int64_t axis = 0; axis < 3; ++axis)
    numbers.push_back(view.mediaPositionAt(row, axis));
  bind(op.getResult(),
       storeNumbers(op.getResult().getType(), numbers, op.getLoc()));
}

void RowEmitter::evaluateAdapterChoice(AdapterChoiceOp op) {
  Location loc = op.getLoc();
  Value place = StepView(builder, loc, step).adapterAt(row);
  if (!op.getChosen()) {
    bind(op.getResult(), storeNumbers(op.getResult().getType(), place, loc));
    return;
  }
  RowMemory chosen = inMemory(op.getChosen()),
            memory = newRow(op.getResult().getType());
  Value first = toFloat(
      builder, loc,
      emitMul(builder, loc, place, emitIndex(builder, loc, op.getExperts())));
  forEachIndex(memory.layout, loc, [&](const RowIndex &index) {
    Value expert =
        arith::AddFOp::create(builder, loc, first, load(chosen, index, loc));
    emitStoreFloat(builder, loc, expert, memory.elementType, memory.base,
                   flatIndex(memory, index, loc));
  });
  emitSync(builder, loc);
  bind(op.getResult(), memory);
}

void RowEmitter::evaluateGridPositions(GridPositionsOp op) {
  StepView view(builder, op.getLoc(), step);
  auto place =
      cpu::emitPlaceInGrid(builder, op.getLoc(), view, row, op.getMerge());
  bind(op.getResult(),
       storeNumbers(op.getResult().getType(), place, op.getLoc()));
}

void RowEmitter::evaluateGridFrames(GridFramesOp op) {
  Location loc = op.getLoc();
  StepView view(builder, loc, step);
  auto [patches, frames] =
      cpu::emitFrames(builder, loc, view, view.sequenceAt(row));
  Value frame =
      arith::DivUIOp::create(builder, loc, view.positionAt(row), patches);
  bind(op.getFrame(), storeNumbers(op.getFrame().getType(), frame, loc));
  bind(op.getFrames(), storeNumbers(op.getFrames().getType(), frames, loc));
}

void RowEmitter::evaluateGridWindows(GridWindowsOp op) {
  Location loc = op.getLoc();
  StepView view(builder, loc, step);
  auto [y, x] = cpu::emitPlaceInGrid(builder, loc, view, row, op.getMerge());
  Value side = emitIndex(builder, loc, op.getSide());
  Value across = cpu::emitCeilDiv(
      builder, loc, view.gridSizeAt(view.sequenceAt(row), 1), side);
  auto windowOf = [&](Value place) -> Value {
    return arith::DivUIOp::create(builder, loc, place, side);
  };
  Value window = emitAdd(
      builder, loc, emitMul(builder, loc, windowOf(y), across), windowOf(x));
  bind(op.getResult(), storeNumbers(op.getResult().getType(), window, loc));
}

LogicalResult RowEmitter::evaluateFold(FoldOp op) {
  Location loc = op.getLoc();
  Value rows = foldedRows.lookup(op.getResult());
  if (!rows)
    return reportNoCode(op, " of what its own kernel computes");
  NamedTensorType type = op.getInput().getType();
  RowMemory output = newRow(op.getResult().getType());
  StepView view(builder, loc, step);
  Value first = view.selectedAt(row),
        features = emitIndex(builder, loc, type.getNumFeatures());
  auto [patches, frames] =
      cpu::emitFrames(builder, loc, view, view.sequenceAt(first));
  Value begin = emitMul(builder, loc, first, features),
        stride = emitMul(builder, loc, patches, features),
        count = toFloat(builder, loc, frames), last = frames;
  forEachIndex(output.layout, loc, [&](const RowIndex &index) {
    Value place = flatIndex(output, index, loc);
    auto loop = scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                                   last, emitIndex(builder, loc, 1),
                                   ValueRange{emitFloat(builder, loc, 0)});
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      Value at = emitAdd(builder, loc, begin,
                         emitMul(builder, loc, loop.getInductionVar(), stride));
      Value value = emitLoadFloat(builder, loc, type.getElementType(), rows,
                                  emitAdd(builder, loc, at, place));
      value =
          arith::AddFOp::create(builder, loc, loop.getRegionIterArg(0), value);
      scf::YieldOp::create(builder, loc, value);
    }
    emitStoreFloat(
        builder, loc,
        arith::DivFOp::create(builder, loc, loop.getResult(0), count),
        output.elementType, output.base, place);
  });
  emitSync(builder, loc);
  bind(op.getResult(), output);
  return success();
}

void RowEmitter::evaluateInterpolate(InterpolateOp op) {
  Location loc = op.getLoc();
  RowMemory table = inMemory(op.getTable()),
            output = newRow(op.getResult().getType());
  ArrayRef<int64_t> sizes = op.getTable().getType().getShape();
  StepView view(builder, loc, step);
  Value image = view.sequenceAt(row);
  auto [y, x] = cpu::emitPlaceInGrid(builder, loc, view, row, op.getMerge());
  SmallVector<cpu::Tap> down =
                            cpu::emitTaps(builder, op, y,
                                          view.gridSizeAt(image, 0), sizes[0]),
                        across =
                            cpu::emitTaps(builder, op, x,
                                          view.gridSizeAt(image, 1), sizes[1]);
  Value features = emitIndex(builder, loc, output.layout.numElements());
  forEachIndex(output.layout, loc, [&](const RowIndex &index) {
    Value feature = flatIndex(output, index, loc), sum;
    for (const cpu::Tap &r : down)
      for (const cpu::Tap &c : across) {
        Value place = emitAdd(
            builder, loc,
            emitMul(builder, loc, r.place, emitIndex(builder, loc, sizes[1])),
            c.place);
        Value value = emitLoadFloat(
            builder, loc, table.elementType, table.base,
            emitAdd(builder, loc, emitMul(builder, loc, place, features),
                    feature));
        Value weight = arith::MulFOp::create(builder, loc, r.weight, c.weight);
        value = arith::MulFOp::create(builder, loc, value, weight);
        sum = sum ? Value(arith::AddFOp::create(builder, loc, sum, value))
                  : value;
      }
    emitStoreFloat(builder, loc, sum, output.elementType, output.base, feature);
  });
  emitSync(builder, loc);
  bind(op.getResult(), output);
}

void RowEmitter::evaluatePutAt(PutAtOp op) {
  Location loc = op.getLoc();
  RowMemory input = inMemory(op.getInput()),
            output = newRow(op.getResult().getType());
  Type own = op.getResult().getType().getElementType();
  StepView view(builder, loc, step);
  Value media = view.media();
  // -1 stands for a token that is no part of an image.
  Value place = view.mediaRowAt(row);
  Value isMedia = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge,
                                        place, emitIndex(builder, loc, 0));
  Value first = emitAdd(
      builder, loc,
      emitMul(builder, loc, place, emitIndex(builder, loc, op.getWidth())),
      emitIndex(builder, loc, op.getFrom()));
  forEachIndex(output.layout, loc, [&](const RowIndex &index) {
    Value at = flatIndex(output, index, loc);
    auto value = scf::IfOp::create(
        builder, loc, isMedia,
        [&](OpBuilder &, Location) {
          // Of the model's type, as the text's rows are.
          Value put = emitLoad(builder, loc, builder.getF32Type(), media,
                               emitAdd(builder, loc, first, at));
          if (own.isBF16())
            put = cpu::emitWiden(builder, loc,
                                 cpu::emitRoundToBF16(builder, loc, put));
          if (op.getAdd())
            put = arith::AddFOp::create(builder, loc, put,
                                        load(input, index, loc));
          scf::YieldOp::create(builder, loc, put);
        },
        [&](OpBuilder &, Location) {
          scf::YieldOp::create(builder, loc, load(input, index, loc));
        });
    emitStoreFloat(builder, loc, value.getResult(0), output.elementType,
                   output.base, at);
  });
  emitSync(builder, loc);
  bind(op.getResult(), output);
}
