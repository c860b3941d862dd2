//===- RowEmitter.cpp - Token-wise computation of a block -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/RowEmitter.h"

#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/Power.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;
using cpu::emitAdd;
using cpu::emitAddress;
using cpu::emitIndex;
using cpu::emitMul;
using cpu::StepView;

LogicalResult cuda::reportNoCode(Operation *op, const Twine &what) {
  return op->emitError() << "'" << op->getName() << "'" << what.str()
                         << " has no code for CUDA yet";
}

RowEmitter::RowEmitter(OpBuilder &builder, Location loc, int64_t threads,
                       Value step, Value row)
    : builder(builder), threads(threads), step(step), row(row),
      thread(emitThread(builder, loc)), shared(emitShared(builder, loc)) {}

//===----------------------------------------------------------------------===//
// Places and memory
//===----------------------------------------------------------------------===//

RowIndex RowEmitter::unflatten(const RowLayout &layout, Value flat,
                               Location loc) {
  RowIndex index;
  for (int64_t axis = layout.rank() - 1; axis >= 0; --axis) {
    Value at = flat;
    if (axis > 0) {
      Value size = emitIndex(builder, loc, layout.sizes[axis]);
      at = arith::RemUIOp::create(builder, loc, flat, size);
      flat = arith::DivUIOp::create(builder, loc, flat, size);
    }
    index.axes.emplace_back(layout.names[axis], at);
  }
  return index;
}

void RowEmitter::forEachIndex(const RowLayout &layout, Location loc,
                              llvm::function_ref<void(const RowIndex &)> body) {
  emitStridedLoop(builder, loc, thread, threads,
                  emitIndex(builder, loc, layout.numElements()),
                  [&](Value at) { body(unflatten(layout, at, loc)); });
}

Value RowEmitter::flatIndex(const RowMemory &memory, const RowIndex &index,
                            Location loc) {
  Value flat = emitIndex(builder, loc, memory.offset);
  const RowLayout &layout = memory.layout;
  for (auto [name, stride, size] :
       llvm::zip_equal(layout.names, layout.strides, layout.sizes))
    if (Value at = index.find(name); at && size > 1)
      flat =
          emitAdd(builder, loc, flat,
                  emitMul(builder, loc, at, emitIndex(builder, loc, stride)));
  return flat;
}

Value RowEmitter::load(const RowMemory &memory, const RowIndex &index,
                       Location loc) {
  return emitLoadFloat(builder, loc, memory.elementType, memory.base,
                       flatIndex(memory, index, loc));
}

Value RowEmitter::newShared(int64_t bytes) {
  Location loc = shared.getLoc();
  Value memory = emitAddress(builder, loc, shared, builder.getI8Type(),
                             emitIndex(builder, loc, sharedBytes));
  sharedBytes += llvm::alignTo(bytes, 16);
  return memory;
}

RowMemory RowEmitter::newRow(NamedTensorType type) {
  RowMemory memory;
  memory.elementType = builder.getF32Type();
  memory.layout = RowLayout::contiguous(type);
  memory.base = newShared(memory.layout.numElements() * 4);
  return memory;
}

void RowEmitter::writeRow(Value value, const RowMemory &memory) {
  Location loc = value.getLoc();
  forEachIndex(memory.layout, loc, [&](const RowIndex &index) {
    emitStoreFloat(builder, loc, get(value, index), memory.elementType,
                   memory.base, flatIndex(memory, index, loc));
  });
  emitSync(builder, loc);
}

RowMemory &RowEmitter::inMemory(Value value) {
  if (auto it = memories.find(value); it != memories.end())
    return it->second;
  RowMemory memory = newRow(cast<NamedTensorType>(value.getType()));
  writeRow(value, memory);
  return memories[value] = std::move(memory);
}

void RowEmitter::storeRow(Value value, Value pointer, Type elementType) {
  Location loc = value.getLoc();
  RowMemory memory{
      pointer, elementType,
      RowLayout::contiguous(cast<NamedTensorType>(value.getType()))};
  forEachIndex(memory.layout, loc, [&](const RowIndex &index) {
    emitStoreFloat(builder, loc, get(value, index), elementType, pointer,
                   flatIndex(memory, index, loc));
  });
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

Value RowEmitter::get(Value value, const RowIndex &index) {
  Location loc = value.getLoc();
  if (auto it = memories.find(value); it != memories.end())
    return load(it->second, index, loc);
  if (Value alias = aliases.lookup(value))
    return get(alias, index);
  Operation *op = value.getDefiningOp();
  if (auto view = dyn_cast<ViewOp>(op))
    return getViewed(view, index);
  if (auto constant = dyn_cast<ConstantOp>(op))
    return emitFloat(builder, loc, constant.getValue().convertToDouble());
  if (auto unary = dyn_cast<UnaryOp>(op))
    return cpu::RowEmitter::applyUnary(builder, loc, unary.getKind(),
                                       get(unary.getInput(), index));
  if (auto binary = dyn_cast<BinaryOp>(op)) {
    Value lhs = get(binary.getLhs(), index), rhs = get(binary.getRhs(), index);
    return emitBinary(builder, loc, binary.getKind(), lhs, rhs);
  }
  if (auto where = dyn_cast<WhereOp>(op)) {
    Value condition = get(where.getCondition(), index),
          onTrue = get(where.getOnTrue(), index),
          onFalse = get(where.getOnFalse(), index);
    Value isTrue =
        arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UNE,
                              condition, emitFloat(builder, loc, 0));
    return arith::SelectOp::create(builder, loc, isTrue, onTrue, onFalse);
  }
  if (isa<PositionsOp>(op)) {
    Value position = arith::IndexCastOp::create(
        builder, loc, builder.getI32Type(),
        StepView(builder, loc, step).positionAt(row));
    return arith::SIToFPOp::create(builder, loc, builder.getF32Type(),
                                   position);
  }
  if (auto repeat = dyn_cast<RepeatOp>(op)) {
    StringRef to = repeat.getResult().getType().getNames()[repeat.getPlace()];
    RowIndex inner = index;
    for (auto &[name, at] : inner.axes)
      if (name == to) {
        name = repeat.getAxis();
        at = arith::DivUIOp::create(builder, loc, at,
                                    emitIndex(builder, loc, repeat.getTimes()));
      }
    return get(repeat.getInput(), inner);
  }
  // Casts and spreads: evaluate() keeps no other op as an expression.
  return get(op->getOperand(0), index);
}

/// The same place in row-major order, under the axes of what is viewed.
Value RowEmitter::getViewed(ViewOp op, const RowIndex &index) {
  Location loc = op.getLoc();
  RowMemory seen;
  seen.layout = RowLayout::contiguous(op.getResult().getType());
  auto own = RowLayout::contiguous(op.getInput().getType());
  return get(op.getInput(), unflatten(own, flatIndex(seen, index, loc), loc));
}

LogicalResult RowEmitter::evaluate(Operation *op) {
  if (isa<UnaryOp, BinaryOp, CastOp, SpreadOp, RepeatOp, ConstantOp, WhereOp>(
          op)) {
    if (mustBeInMemory(op,
                       [&](Value value) { return memories.count(value) > 0; }))
      inMemory(op->getResult(0));
    return success();
  }
  if (auto reduce = dyn_cast<ReduceOp>(op))
    return evaluateReduce(reduce);
  if (auto softmax = dyn_cast<SoftmaxOp>(op))
    return evaluateSoftmax(softmax);
  if (auto topK = dyn_cast<TopKOp>(op))
    return evaluateTopK(topK);
  if (auto gather = dyn_cast<GatherOp>(op))
    return evaluateGather(gather);
  if (auto member = dyn_cast<MemberOp>(op))
    return evaluateMember(member);
  if (auto mix = dyn_cast<MixOp>(op))
    return evaluateMix(mix);
  if (auto join = dyn_cast<JoinOp>(op))
    return evaluateJoin(join);
  if (auto view = dyn_cast<ViewOp>(op))
    return evaluateView(view);
  if (auto slice = dyn_cast<SliceOp>(op))
    return evaluateSlice(slice);
  if (auto rope = dyn_cast<RopeOp>(op))
    return evaluateRope(rope);
  if (auto table = dyn_cast<RotaryTableOp>(op))
    return evaluateRotaryTable(table);
  if (auto embed = dyn_cast<EmbedOp>(op))
    return evaluateEmbed(embed);
  if (auto write = dyn_cast<CacheWriteOp>(op))
    return evaluateCacheWrite(write);
  if (auto fold = dyn_cast<FoldOp>(op); fold && fold.getBatch())
    return evaluateFold(fold);
  // The kernel binds these.
  if (isa<ParamOp, SelectOp, FoldOp>(op) && memories.count(op->getResult(0)))
    return success();
  return evaluateMedia(op);
}

/// The ops of places and rows that the step tells.
LogicalResult RowEmitter::evaluateMedia(Operation *op) {
  if (auto positions = dyn_cast<PositionsOp>(op)) {
    // Those of one axis are read where they are used.
    if (positions.getResult().getType().getRank() == 2)
      evaluateMediaPositions(positions);
    return success();
  }
  if (auto choice = dyn_cast<AdapterChoiceOp>(op))
    evaluateAdapterChoice(choice);
  else if (auto grid = dyn_cast<GridPositionsOp>(op))
    evaluateGridPositions(grid);
  else if (auto frames = dyn_cast<GridFramesOp>(op))
    evaluateGridFrames(frames);
  else if (auto windows = dyn_cast<GridWindowsOp>(op))
    evaluateGridWindows(windows);
  else if (auto interpolate = dyn_cast<InterpolateOp>(op))
    evaluateInterpolate(interpolate);
  else if (auto put = dyn_cast<PutAtOp>(op))
    evaluatePutAt(put);
  else
    return reportNoCode(op);
  return success();
}

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

LogicalResult RowEmitter::evaluateView(ViewOp op) {
  if (keepsViews && !memories.count(op.getInput()))
    return success();
  RowMemory memory = inMemory(op.getInput());
  std::optional<RowMemory> seen = memory.viewed(op);
  if (!seen && keepsViews)
    return success();
  if (!seen) {
    RowMemory copy = newRow(op.getInput().getType());
    writeRow(op.getInput(), copy);
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

LogicalResult RowEmitter::evaluateJoin(JoinOp op) {
  // Parts follow each other along the last axis.
  RowMemory output = newRow(op.getResult().getType());
  RowMemory part = output;
  for (Value input : op.getInputs()) {
    part.layout = RowLayout::contiguous(cast<NamedTensorType>(input.getType()));
    part.layout.strides = output.layout.strides;
    writeRow(input, part);
    part.offset += part.layout.sizes.back();
  }
  memories[op.getResult()] = output;
  return success();
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

void RowEmitter::forEachWarp(int64_t count, Location loc,
                             llvm::function_ref<void(Value, Value)> body) {
  Value lanes = emitIndex(builder, loc, warpSize);
  Value lane = arith::RemUIOp::create(builder, loc, thread, lanes),
        warp = arith::DivUIOp::create(builder, loc, thread, lanes);
  emitStridedLoop(builder, loc, warp, threads / warpSize,
                  emitIndex(builder, loc, count),
                  [&](Value at) { body(at, lane); });
}

LogicalResult RowEmitter::evaluateReduce(ReduceOp op) {
  Location loc = op.getLoc();
  Value input = op.getInput();
  auto kept = RowLayout::contiguous(op.getResult().getType());
  RowLayout reduced;
  auto all = RowLayout::contiguous(op.getInput().getType());
  for (auto [name, size] : llvm::zip_equal(all.names, all.sizes))
    if (kept.find(name) < 0) {
      reduced.names.push_back(name);
      reduced.sizes.push_back(size);
      reduced.strides.push_back(0);
    }
  bool isMax = op.getKind() == ReduceKind::Max;
  double neutral = isMax ? -std::numeric_limits<double>::infinity() : 0;
  auto combine = [&](Value a, Value b) -> Value {
    if (isMax)
      return arith::MaximumFOp::create(builder, loc, a, b);
    return arith::AddFOp::create(builder, loc, a, b);
  };
  Value count = emitIndex(builder, loc, reduced.numElements());
  /// What the threads `first`, `first` + `stride` … of a group read, joined.
  auto joinOwn = [&](const RowIndex &outer, Value first, int64_t stride) {
    auto loop = scf::ForOp::create(
        builder, loc, first, count, emitIndex(builder, loc, stride),
        ValueRange{emitFloat(builder, loc, neutral)});
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    RowIndex index = unflatten(reduced, loop.getInductionVar(), loc);
    llvm::append_range(index.axes, outer.axes);
    Value joined = combine(loop.getRegionIterArg(0), get(input, index));
    scf::YieldOp::create(builder, loc, joined);
    return loop.getResult(0);
  };
  auto finish = [&](Value joined) -> Value {
    if (op.getKind() != ReduceKind::Mean)
      return joined;
    return arith::DivFOp::create(
        builder, loc, joined, emitFloat(builder, loc, reduced.numElements()));
  };
  RowMemory memory = newRow(op.getResult().getType());
  auto storeFrom = [&](Value self, Value joined, Value at) {
    Value isFirst =
        arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, self,
                              emitIndex(builder, loc, 0));
    auto branch = scf::IfOp::create(builder, loc, isFirst);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    emitStoreFloat(builder, loc, finish(joined), memory.elementType,
                   memory.base, at);
  };
  if (kept.numElements() == 1) {
    // One sum: the whole block works on it.
    Value words = newShared(threads / warpSize * 4);
    Value joined = emitBlockReduce(
        builder, loc, threads, joinOwn({}, thread, threads), words, combine);
    storeFrom(thread, joined, emitIndex(builder, loc, 0));
  } else {
    // A warp for each sum.
    forEachWarp(kept.numElements(), loc, [&](Value at, Value lane) {
      Value own = joinOwn(unflatten(kept, at, loc), lane, warpSize);
      storeFrom(lane, emitWarpReduce(builder, loc, own, combine), at);
    });
  }
  emitSync(builder, loc);
  memories[op.getResult()] = memory;
  return success();
}
