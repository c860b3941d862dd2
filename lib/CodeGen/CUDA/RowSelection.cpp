//===- RowSelection.cpp - Routers: choices among a row's values -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/RowEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;
using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitLoad;
using cpu::emitStore;

/// A layout without one of its axes, to be run over.
static RowLayout without(const RowLayout &layout, StringRef axis) {
  RowLayout result;
  for (auto [name, size] : llvm::zip_equal(layout.names, layout.sizes))
    if (name != axis) {
      result.names.push_back(name);
      result.sizes.push_back(size);
      result.strides.push_back(0);
    }
  return result;
}

/// The same place with one more axis.
static RowIndex with(RowIndex index, StringRef axis, Value at) {
  index.axes.emplace_back(axis, at);
  return index;
}

LogicalResult RowEmitter::evaluateSoftmax(SoftmaxOp op) {
  Location loc = op.getLoc();
  RowMemory input = inMemory(op.getInput()),
            output = newRow(op.getResult().getType());
  StringRef axis = op.getOver();
  RowLayout outer = without(input.layout, axis);
  Value size = emitIndex(builder, loc,
                         input.layout.sizes[input.layout.find(axis)]),
        lanes = emitIndex(builder, loc, warpSize);
  auto max = [&](Value a, Value b) -> Value {
    return arith::MaximumFOp::create(builder, loc, a, b);
  };
  auto add = [&](Value a, Value b) -> Value {
    return arith::AddFOp::create(builder, loc, a, b);
  };
  forEachWarp(outer.numElements(), loc, [&](Value at, Value lane) {
    RowIndex index = unflatten(outer, at, loc);
    /// What `each` gives for the values of this lane, joined over the warp.
    auto join = [&](double neutral, llvm::function_ref<Value(Value)> each,
                    Combine combine) {
      auto loop =
          scf::ForOp::create(builder, loc, lane, size, lanes,
                             ValueRange{emitFloat(builder, loc, neutral)});
      {
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPointToStart(loop.getBody());
        Value x = load(input, with(index, axis, loop.getInductionVar()), loc);
        scf::YieldOp::create(builder, loc,
                             combine(loop.getRegionIterArg(0), each(x)));
      }
      return emitWarpReduce(builder, loc, loop.getResult(0), combine);
    };
    Value largest = join(
        -std::numeric_limits<double>::infinity(), [](Value x) { return x; },
        max);
    auto power = [&](Value x) -> Value {
      return math::ExpOp::create(
          builder, loc, arith::SubFOp::create(builder, loc, x, largest));
    };
    Value sum = join(0, power, add);
    emitStridedLoop(builder, loc, lane, warpSize, size, [&](Value own) {
      RowIndex place = with(index, axis, own);
      Value share = arith::DivFOp::create(builder, loc,
                                          power(load(input, place, loc)), sum);
      emitStoreFloat(builder, loc, share, output.elementType, output.base,
                     flatIndex(output, place, loc));
    });
  });
  emitSync(builder, loc);
  bind(op.getResult(), output);
  return success();
}

LogicalResult RowEmitter::evaluateTopK(TopKOp op) {
  Location loc = op.getLoc();
  RowMemory input = inMemory(op.getInput()),
            values = newRow(op.getValues().getType()),
            indices = newRow(op.getIndices().getType());
  StringRef axis = input.layout.names.back(),
            choiceAxis = values.layout.names.back();
  RowLayout outer = without(input.layout, axis);
  Type f32 = builder.getF32Type(), i32 = builder.getI32Type();
  constexpr double infinity = std::numeric_limits<double>::infinity();
  auto number = [&](int32_t value) -> Value {
    return arith::ConstantIntOp::create(builder, loc, i32, value);
  };
  auto compare = [&](arith::CmpFPredicate how, Value a, Value b) -> Value {
    return arith::CmpFOp::create(builder, loc, how, a, b);
  };
  auto isLess = [&](Value a, Value b) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, a, b);
  };
  auto select = [&](Value condition, Value a, Value b) -> Value {
    return arith::SelectOp::create(builder, loc, condition, a, b);
  };
  Value none = number(std::numeric_limits<int32_t>::max()),
        lowest = emitFloat(builder, loc, -infinity),
        highest = emitFloat(builder, loc, infinity);
  forEachWarp(outer.numElements(), loc, [&](Value at, Value lane) {
    RowIndex index = unflatten(outer, at, loc);
    // One choice after the other: the largest behind (value, place) before it.
    auto choices = scf::ForOp::create(
        builder, loc, emitIndex(builder, loc, 0),
        emitIndex(builder, loc, values.layout.sizes.back()),
        emitIndex(builder, loc, 1), ValueRange{highest, number(-1)});
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(choices.getBody());
    Value before = choices.getRegionIterArg(0),
          placeBefore = choices.getRegionIterArg(1);
    auto loop = scf::ForOp::create(
        builder, loc, lane, emitIndex(builder, loc, input.layout.sizes.back()),
        emitIndex(builder, loc, warpSize), ValueRange{lowest, none});
    {
      OpBuilder::InsertionGuard inner(builder);
      builder.setInsertionPointToStart(loop.getBody());
      Value own = loop.getInductionVar(), best = loop.getRegionIterArg(0),
            bestPlace = loop.getRegionIterArg(1);
      Value x = load(input, with(index, axis, own), loc);
      // What is not a number counts as infinity.
      x = select(compare(arith::CmpFPredicate::ORD, x, x), x, highest);
      Value place = arith::IndexCastOp::create(builder, loc, i32, own);
      Value isBehind = arith::OrIOp::create(
          builder, loc, compare(arith::CmpFPredicate::OLT, x, before),
          arith::AndIOp::create(builder, loc,
                                compare(arith::CmpFPredicate::OEQ, x, before),
                                isLess(placeBefore, place)));
      Value isBetter = arith::OrIOp::create(
          builder, loc, compare(arith::CmpFPredicate::OGT, x, best),
          arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                bestPlace, none));
      Value takes = arith::AndIOp::create(builder, loc, isBehind, isBetter);
      scf::YieldOp::create(
          builder, loc,
          ValueRange{select(takes, x, best), select(takes, place, bestPlace)});
    }
    Value largest = emitWarpReduce(
        builder, loc, loop.getResult(0), [&](Value a, Value b) -> Value {
          return arith::MaximumFOp::create(builder, loc, a, b);
        });
    Value isLargest =
        compare(arith::CmpFPredicate::OEQ, loop.getResult(0), largest);
    Value chosen =
        emitWarpReduce(builder, loc, select(isLargest, loop.getResult(1), none),
                       [&](Value a, Value b) -> Value {
                         return arith::MinSIOp::create(builder, loc, a, b);
                       });
    Value isFirst =
        arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, lane,
                              emitIndex(builder, loc, 0));
    auto store = scf::IfOp::create(builder, loc, isFirst);
    {
      OpBuilder::InsertionGuard inner(builder);
      builder.setInsertionPointToStart(store.thenBlock());
      RowIndex to = with(index, choiceAxis, choices.getInductionVar());
      // The value itself: it may be none that compares.
      Value place = arith::IndexCastOp::create(builder, loc,
                                               builder.getIndexType(), chosen);
      emitStoreFloat(builder, loc, load(input, with(index, axis, place), loc),
                     f32, values.base, flatIndex(values, to, loc));
      emitStoreFloat(builder, loc,
                     arith::SIToFPOp::create(builder, loc, f32, chosen), f32,
                     indices.base, flatIndex(indices, to, loc));
    }
    scf::YieldOp::create(builder, loc, ValueRange{largest, chosen});
  });
  emitSync(builder, loc);
  if (choicePointers.count(op.getIndices()))
    emitRouting(op, input, values, indices);
  bind(op.getValues(), values);
  bind(op.getIndices(), indices);
  return success();
}

/// Notes the experts of the token and takes those that it is told.
void RowEmitter::emitRouting(TopKOp op, const RowMemory &input,
                             const RowMemory &values,
                             const RowMemory &indices) {
  Location loc = op.getLoc();
  int64_t count = indices.layout.sizes[0], size = input.layout.sizes.back();
  StringRef axis = indices.layout.names[0];
  Type i32 = builder.getI32Type();
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIntOp::create(builder, loc, i32, value);
  };
  Value choices = choicePointers.lookup(op.getIndices());
  Value isSeen = LLVM::ICmpOp::create(
      builder, loc, LLVM::ICmpPredicate::ne, choices,
      LLVM::ZeroOp::create(builder, loc, choices.getType()));
  auto branch = scf::IfOp::create(builder, loc, isSeen);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  Value first =
      cpu::emitMul(builder, loc, row, emitIndex(builder, loc, 2 * count));
  emitStridedLoop(
      builder, loc, thread, threads, emitIndex(builder, loc, count),
      [&](Value at) {
        RowIndex choice = with({}, axis, at);
        Value own = arith::FPToSIOp::create(builder, loc, i32,
                                            load(indices, choice, loc));
        Value place = emitAdd(builder, loc, first, at);
        emitStore(builder, loc, own, choices, place);
        Value told = emitLoad(
            builder, loc, i32, choices,
            emitAdd(builder, loc, place, emitIndex(builder, loc, count)));
        Value isTold = arith::CmpIOp::create(
            builder, loc, arith::CmpIPredicate::sge, told, constant(0));
        // Whoever tells them is outside of this code: stay in the row.
        told = arith::MinSIOp::create(builder, loc, told, constant(size - 1));
        Value expert = arith::SelectOp::create(builder, loc, isTold, told, own);
        RowIndex from = with({}, input.layout.names.back(),
                             arith::IndexCastOp::create(
                                 builder, loc, builder.getIndexType(), expert));
        emitStoreFloat(builder, loc, load(input, from, loc), values.elementType,
                       values.base, flatIndex(values, choice, loc));
        emitStoreFloat(
            builder, loc,
            arith::SIToFPOp::create(builder, loc, builder.getF32Type(), expert),
            indices.elementType, indices.base, flatIndex(indices, choice, loc));
      });
  emitSync(builder, loc);
}

/// A number of a place in memory as an index.
Value RowEmitter::loadPlace(const RowMemory &memory, const RowIndex &index,
                            Location loc) {
  Value place = arith::FPToSIOp::create(builder, loc, builder.getI64Type(),
                                        load(memory, index, loc));
  return arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                    place);
}

LogicalResult RowEmitter::evaluateGather(GatherOp op) {
  Location loc = op.getLoc();
  RowMemory input = inMemory(op.getInput()),
            indices = inMemory(op.getIndices()),
            output = newRow(op.getResult().getType());
  StringRef axis = op.getAxis();
  int64_t size = input.layout.sizes[input.layout.find(axis)];
  forEachIndex(output.layout, loc, [&](const RowIndex &index) {
    Value place = loadPlace(indices, index, loc);
    place =
        arith::MaxSIOp::create(builder, loc, place, emitIndex(builder, loc, 0));
    place = arith::MinSIOp::create(builder, loc, place,
                                   emitIndex(builder, loc, size - 1));
    RowIndex from;
    for (const auto &[name, at] : index.axes)
      if (name != axis)
        from.axes.emplace_back(name, at);
    emitStoreFloat(builder, loc, load(input, with(from, axis, place), loc),
                   output.elementType, output.base,
                   flatIndex(output, index, loc));
  });
  emitSync(builder, loc);
  bind(op.getResult(), output);
  return success();
}

LogicalResult RowEmitter::evaluateMember(MemberOp op) {
  Location loc = op.getLoc();
  RowMemory indices = inMemory(op.getIndices()),
            output = newRow(op.getResult().getType());
  StringRef axis = output.layout.names.back(),
            choiceAxis = indices.layout.names.back();
  // Each place looks for itself among the choices.
  forEachIndex(output.layout, loc, [&](const RowIndex &index) {
    Value own = index.find(axis);
    auto loop = scf::ForOp::create(
        builder, loc, emitIndex(builder, loc, 0),
        emitIndex(builder, loc, indices.layout.sizes.back()),
        emitIndex(builder, loc, 1), ValueRange{emitFloat(builder, loc, 0)});
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      Value place = loadPlace(
          indices, with(index, choiceAxis, loop.getInductionVar()), loc);
      Value isOwn = arith::CmpIOp::create(builder, loc,
                                          arith::CmpIPredicate::eq, place, own);
      scf::YieldOp::create(builder, loc,
                           Value(arith::SelectOp::create(
                               builder, loc, isOwn, emitFloat(builder, loc, 1),
                               loop.getRegionIterArg(0))));
    }
    emitStoreFloat(builder, loc, loop.getResult(0), output.elementType,
                   output.base, flatIndex(output, index, loc));
  });
  emitSync(builder, loc);
  bind(op.getResult(), output);
  return success();
}

LogicalResult RowEmitter::evaluateMix(MixOp op) {
  Location loc = op.getLoc();
  RowMemory input = inMemory(op.getInput()), share = inMemory(op.getShare()),
            chosen = inMemory(op.getChosen());
  RowMemory output = newRow(op.getResult().getType());
  StringRef axis = chosen.layout.names[0];
  int64_t active = chosen.layout.sizes[0];
  Type i32 = builder.getI32Type();
  Value count = emitIndex(builder, loc, active),
        zero = emitIndex(builder, loc, 0), one = emitIndex(builder, loc, 1);
  // Choices in the ascending order of their experts.
  Value order = newShared(active * 4);
  emitStridedLoop(builder, loc, thread, threads, count, [&](Value choice) {
    Value expert = loadPlace(chosen, with({}, axis, choice), loc);
    auto loop =
        scf::ForOp::create(builder, loc, zero, count, one, ValueRange{zero});
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      Value other =
          loadPlace(chosen, with({}, axis, loop.getInductionVar()), loc);
      Value isBefore = arith::CmpIOp::create(
          builder, loc, arith::CmpIPredicate::slt, other, expert);
      Value more = arith::SelectOp::create(builder, loc, isBefore, one, zero);
      scf::YieldOp::create(
          builder, loc, emitAdd(builder, loc, loop.getRegionIterArg(0), more));
    }
    emitStore(builder, loc,
              arith::IndexCastOp::create(builder, loc, i32, choice), order,
              loop.getResult(0));
  });
  emitSync(builder, loc);
  forEachIndex(output.layout, loc, [&](const RowIndex &index) {
    auto loop = scf::ForOp::create(builder, loc, zero, count, one,
                                   ValueRange{emitFloat(builder, loc, 0)});
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      Value choice = arith::IndexCastOp::create(
          builder, loc, builder.getIndexType(),
          emitLoad(builder, loc, i32, order, loop.getInductionVar()));
      Value product = arith::MulFOp::create(
          builder, loc, load(share, with({}, axis, choice), loc),
          load(input, with(index, axis, choice), loc));
      scf::YieldOp::create(
          builder, loc,
          Value(arith::AddFOp::create(builder, loc, loop.getRegionIterArg(0),
                                      product)));
    }
    emitStoreFloat(builder, loc, loop.getResult(0), output.elementType,
                   output.base, flatIndex(output, index, loc));
  });
  emitSync(builder, loc);
  bind(op.getResult(), output);
  return success();
}
