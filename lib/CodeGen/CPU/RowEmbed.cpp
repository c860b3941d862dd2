//===- RowEmbed.cpp - Rows of tables by token -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/RowEmitter.h"

#include "lib/CodeGen/CPU/GroupProduct.h"
#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace clade;
using namespace clade::cpu;

LogicalResult RowEmitter::evaluateEmbed(EmbedOp op) {
  Location loc = op.getLoc();
  RowMemory table = inMemory(op.getTable());
  // A table of learned positions has a row for each. What a kernel is given,
  // tokens or their types, is in memory.
  StepView view(builder, loc, step);
  Value token;
  if (op.getIds().getDefiningOp<PositionsOp>())
    token = view.positionAt(row);
  else if (isa<BlockArgument>(op.getIds()))
    token = emitToIndex(builder, loc,
                        emitLoad(builder, loc, builder.getI32Type(),
                                 inMemory(op.getIds()).base,
                                 emitIndex(builder, loc, 0)));
  else
    token = view.tokenAt(row);
  Attribute layout = op.getTable().getType().getLayout();
  if (auto panels = dyn_cast_or_null<PanelsAttr>(layout)) {
    memories[op.getResult()] = unpackRow(op, table, token, panels);
    return success();
  }
  if (auto blocks = dyn_cast_or_null<BlocksAttr>(layout)) {
    memories[op.getResult()] = unpackRow(op, table, token, blocks);
    return success();
  }
  RowMemory memory;
  memory.elementType = table.elementType;
  memory.layout = RowLayout::contiguous(op.getResult().getType());
  Value first = emitMul(builder, loc, token,
                        emitIndex(builder, loc, memory.layout.numElements()));
  memory.base = emitAddress(builder, loc, table.base, table.elementType, first);
  memories[op.getResult()] = memory;
  return success();
}

/// Row `token` of a table in panels, copied to scratch memory as a row of the
/// table's type; of f16 as f32, rounded where the result of every op is. The
/// neighbouring columns of a panel are one word.
RowMemory RowEmitter::unpackRow(EmbedOp op, const RowMemory &table, Value token,
                                PanelsAttr panels) {
  Location loc = op.getLoc();
  RowMemory memory = newRow(op.getResult().getType());
  bool isHalf = table.elementType.isF16(),
       isRounded = referenceRounding &&
                   op.getResult().getType().getElementType().isBF16();
  if (!isHalf)
    memory.elementType = table.elementType;
  int64_t words =
      llvm::divideCeil(memory.layout.numElements(), panels.getInner());
  Type word = builder.getIntegerType(panels.getInner() *
                                     table.elementType.getIntOrFloatBitWidth());
  Value rows = emitIndex(builder, loc, panels.getRows()),
        panel = arith::DivUIOp::create(builder, loc, token, rows),
        lane = arith::RemUIOp::create(builder, loc, token, rows),
        first = emitMul(builder, loc, panel, emitIndex(builder, loc, words));
  auto loop = scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                                 emitIndex(builder, loc, words),
                                 emitIndex(builder, loc, 1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value at = loop.getInductionVar();
  Value place = emitAdd(
      builder, loc,
      emitMul(builder, loc, emitAdd(builder, loc, first, at), rows), lane);
  Value value = emitLoad(builder, loc, word, table.base, place);
  if (isHalf)
    value = emitHalfToFloat(builder, loc, target, value);
  if (isHalf && isRounded)
    value = emitWiden(builder, loc, emitRoundToBF16(builder, loc, value));
  emitStore(builder, loc, value, memory.base, at);
  return memory;
}

/// Row `token` of a table in panels of blocks, in scratch memory as f32.
RowMemory RowEmitter::unpackRow(EmbedOp op, const RowMemory &table, Value token,
                                BlocksAttr blocks) {
  Location loc = op.getLoc();
  NamedTensorType type = op.getResult().getType();
  RowMemory memory;
  memory.elementType = builder.getF32Type();
  memory.layout = RowLayout::contiguous(type);
  int64_t columns = memory.layout.numElements();
  // The last group is unpacked whole.
  memory.base = reserve(static_cast<int64_t>(
      llvm::alignTo(columns, groupColumns) * sizeof(float)));
  emitUnpackGroups(
      builder, loc, target, weightFormOf(blocks.getFormat()), columns,
      table.base, token, [&](OpBuilder &inner, Value column, Value vector) {
        if (referenceRounding && type.getElementType().isBF16())
          vector = emitWiden(inner, loc, emitRoundToBF16(inner, loc, vector));
        emitStore(inner, loc, vector, memory.base, column);
      });
  return memory;
}
