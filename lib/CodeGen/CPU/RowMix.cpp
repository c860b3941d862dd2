//===- RowMix.cpp - Sums of experts' results, token by token --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/RowEmitter.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace clade;
using namespace clade::cpu;

/// The choices in the order of their experts, which differ: choice a comes
/// after as many as have smaller numbers.
static void emitOrder(OpBuilder &builder, Location loc, int64_t active,
                      llvm::function_ref<Value(OpBuilder &, Value)> expertAt,
                      Value order) {
  Value zero = emitIndex(builder, loc, 0), one = emitIndex(builder, loc, 1),
        count = emitIndex(builder, loc, active);
  scf::ForOp::create(
      builder, loc, zero, count, one, ValueRange{},
      [&](OpBuilder &b, Location, Value choice, ValueRange) {
        Value expert = expertAt(b, choice);
        auto before = scf::ForOp::create(
            b, loc, zero, count, one, ValueRange{zero},
            [&](OpBuilder &inner, Location, Value other, ValueRange carried) {
              Value isBefore =
                  arith::CmpIOp::create(inner, loc, arith::CmpIPredicate::slt,
                                        expertAt(inner, other), expert);
              Value more =
                  arith::SelectOp::create(inner, loc, isBefore, one, zero);
              scf::YieldOp::create(inner, loc,
                                   emitAdd(inner, loc, carried[0], more));
            });
        Value number =
            arith::IndexCastOp::create(b, loc, b.getI32Type(), choice);
        emitStore(b, loc, number, order, before.getResult(0));
        scf::YieldOp::create(b, loc);
      });
}

LogicalResult RowEmitter::evaluateMix(MixOp op) {
  Location loc = op.getLoc();
  RowMemory input = inMemory(op.getInput()), share = inMemory(op.getShare()),
            chosen = inMemory(op.getChosen());
  RowMemory output = newRow(op.getResult().getType());
  StringRef choiceAxis = chosen.layout.names[0];
  int64_t active = chosen.layout.sizes[0];
  Type i32 = builder.getI32Type(), sumType = op.getSum();
  if (chosen.elementType != i32)
    return op.emitError() << "expected the choices to come from another kernel";
  auto expertAt = [&](OpBuilder &b, Value choice) {
    Value at =
        emitMul(b, loc, choice, emitIndex(b, loc, chosen.layout.strides[0]));
    at = emitAdd(b, loc, at, emitIndex(b, loc, chosen.offset));
    return emitLoad(b, loc, i32, chosen.base, at);
  };
  auto indexType =
      NamedTensorType::get(op.getContext(), {builder.getStringAttr(choiceAxis)},
                           {active}, i32, Attribute());
  Value order = newRow(indexType).base;
  emitOrder(builder, loc, active, expertAt, order);
  auto zero = VectorType::get({target.width}, builder.getF32Type());
  forEachIndex(output.layout, loc, [&](const RowIndex &index) {
    Value start = arith::ConstantOp::create(builder, loc, zero,
                                            builder.getZeroAttr(zero));
    auto loop =
        scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                           emitIndex(builder, loc, active),
                           emitIndex(builder, loc, 1), ValueRange{start});
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      Value choice = emitLoad(builder, loc, i32, order, loop.getInductionVar());
      choice = arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                          choice);
      RowIndex one;
      one.axes.emplace_back(choiceAxis, choice);
      RowIndex at = index;
      at.axes.emplace_back(choiceAxis, choice);
      Value product = arith::MulFOp::create(builder, loc, load(share, one, loc),
                                            load(input, at, loc));
      Value sum = arith::AddFOp::create(builder, loc, loop.getRegionIterArg(0),
                                        roundTo(product, sumType, loc));
      scf::YieldOp::create(builder, loc, roundTo(sum, sumType, loc));
    }
    Value result = roundTo(loop.getResult(0),
                           op.getResult().getType().getElementType(), loc);
    storeVector(builder, loc, result, builder.getF32Type(), output.base,
                flatIndex(output.layout, index, 0, loc), index.mask);
  });
  memories[op.getResult()] = output;
  return success();
}
