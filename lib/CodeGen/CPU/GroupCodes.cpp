//===- GroupCodes.cpp - Codes of packed blocks ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/GroupCodes.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace clade::cpu {

Value GroupCodes::splatInt(OpBuilder &builder, int32_t value) {
  return arith::ConstantOp::create(
      builder, loc, DenseElementsAttr::get(i32s(builder), value));
}

Value GroupCodes::addressAt(OpBuilder &builder, Value base, Value offset) {
  return emitAddress(builder, loc, base, builder.getI8Type(), offset);
}

Value GroupCodes::addressAt(OpBuilder &builder, Value base, Value count,
                            int64_t bytes) {
  return addressAt(
      builder, base,
      emitMul(builder, loc, count, emitIndex(builder, loc, bytes)));
}

Value GroupCodes::loadAt(OpBuilder &builder, Type type, Value base,
                         int64_t offset) {
  Value address = addressAt(builder, base, emitIndex(builder, loc, offset));
  return LLVM::LoadOp::create(builder, loc, type, address, /*alignment=*/1);
}

SmallVector<GroupScales> GroupCodes::scalesOf(OpBuilder &builder,
                                              const Group &group) {
  SmallVector<GroupScales> scales;
  for (int64_t v = 0; v < vectors; ++v)
    scales.push_back(emitGroupScales(
        builder, loc, target, form, group.block, group.address, group.index,
        emitIndex(builder, loc, rowOf(v)), target.width));
  return scales;
}

GroupCodes::Group GroupCodes::groupAt(OpBuilder &builder, Value panel,
                                      Value index) {
  Value block = panel, inBlock = index;
  // The scales of rows stand in front of all groups.
  if (!layout.isOfRow) {
    Value perBlock = emitIndex(builder, loc, layout.groups);
    block = addressAt(builder, panel,
                      arith::DivUIOp::create(builder, loc, index, perBlock),
                      panelBlockBytes(target, form));
    inBlock = arith::RemUIOp::create(builder, loc, index, perBlock);
  }
  Value head =
      addressAt(builder, block,
                emitIndex(builder, loc, target.panelRows * layout.headBytes));
  Value address = addressAt(builder, head, inBlock, panelGroupBytes());
  return {block, address,
          layout.isOfRow ? emitIndex(builder, loc, 0) : inBlock};
}

GroupCodes::Run GroupCodes::loadRun(OpBuilder &builder, Value group, int64_t v,
                                    Value run) {
  int64_t rows = target.panelRows, runBytes = 4 * rows,
          first = rows * layout.scaleBytes + 4 * rowOf(v);
  Run result{loadAt(builder, i32s(builder),
                    addressAt(builder, group, run, runBytes), first),
             {}};
  if (layout.bits <= 4 || layout.bits == 8)
    return result;
  // One word has the fifth bits of all runs, or two more bits of two runs.
  Value two = emitIndex(builder, loc, 2), word = emitIndex(builder, loc, 0),
        shift = run;
  if (layout.bits == 6) {
    word = arith::DivUIOp::create(builder, loc, run, two);
    shift = emitMul(builder, loc, two,
                    arith::RemUIOp::create(builder, loc, run, two));
  }
  Value tops =
      loadAt(builder, i32s(builder), addressAt(builder, group, word, runBytes),
             first + steps / 2 * runBytes);
  Value bits =
      arith::IndexCastOp::create(builder, loc, builder.getI32Type(), shift);
  result.tops = arith::ShRUIOp::create(
      builder, loc, tops, emitSplat(builder, loc, bits, target.width));
  return result;
}

Value GroupCodes::codesOf(OpBuilder &builder, const Run &run, int64_t half) {
  if (layout.bits == 8)
    return run.codes;
  Value four = splatInt(builder, 4), codes = run.codes;
  if (half == 1)
    codes = arith::ShRUIOp::create(builder, loc, codes, four);
  codes =
      arith::AndIOp::create(builder, loc, codes, splatInt(builder, 0x0f0f0f0f));
  if (!run.tops)
    return codes;
  // Those of the second half are four bits up already.
  int32_t mask = layout.bits == 5 ? 0x01010101 : 0x03030303;
  Value tops = arith::AndIOp::create(
      builder, loc, run.tops, splatInt(builder, half ? mask << 4 : mask));
  if (half == 0)
    tops = arith::ShLIOp::create(builder, loc, tops, four);
  return arith::OrIOp::create(builder, loc, codes, tops);
}

Value GroupCodes::byteOf(OpBuilder &builder, Value codes, int64_t byte) {
  if (byte > 0)
    codes = arith::ShRUIOp::create(
        builder, loc, codes, splatInt(builder, static_cast<int32_t>(8 * byte)));
  return arith::AndIOp::create(builder, loc, codes, splatInt(builder, 255));
}

} // namespace clade::cpu
