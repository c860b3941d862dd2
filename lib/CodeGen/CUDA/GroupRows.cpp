//===- GroupRows.cpp - Rows in 8 bits, and rows of blocks -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a block does for products with weights in groups: it writes the
// activations of a token as records, and reads the row of a table whose rows
// are in panels.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/RowEmitter.h"

#include "lib/CodeGen/CPU/GroupProduct.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"
#include "lib/CodeGen/CUDA/GroupCores.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;
using cpu::emitAdd;
using cpu::emitAddress;
using cpu::emitIndex;
using cpu::emitLoad;
using cpu::emitMul;
using cpu::emitStore;

static constexpr int64_t groupColumns = rt::packedGroupColumns;
static_assert(groupColumns == warpSize, "a lane has a column of a group");
/// Groups whose largest magnitude is below this are zero, as on CPUs.
static constexpr double negligible = 0x1p-120;

namespace {
/// Groups of activations that share a scale, of each of which a lane has one.
struct RecordWriter {
  OpBuilder &builder;
  Location loc;
  const rt::PackedLayout &layout;
  Value lane;       ///< index
  Value codes, end; ///< !llvm.ptr: the parts of the first group's record.

  void write(ArrayRef<Value> numbers);

private:
  Value quotient(Value value, int64_t by) {
    return arith::DivUIOp::create(builder, loc, value,
                                  emitIndex(builder, loc, by));
  }
  Value rest(Value value, int64_t by) {
    return arith::RemUIOp::create(builder, loc, value,
                                  emitIndex(builder, loc, by));
  }
  void storeAt(Value value, Value base, Value offset) {
    emitStore(builder, loc, value,
              emitAddress(builder, loc, base, builder.getI8Type(), offset),
              emitIndex(builder, loc, 0));
  }
  /// `value` of the `count` lanes that follow each other, joined.
  Value join(Value value, int64_t count, Combine combine) {
    for (int64_t distance = count / 2; distance > 0; distance /= 2)
      value =
          combine(value, gpu::ShuffleOp::create(builder, loc, value,
                                                static_cast<int32_t>(distance),
                                                warpSize, gpu::ShuffleMode::XOR)
                             .getShuffleResult());
    return value;
  }
  void ifZero(Value value, function_ref<void()> body) {
    Value isZero = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                         value, emitIndex(builder, loc, 0));
    auto own = scf::IfOp::create(builder, loc, isZero);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(own.thenBlock());
    body();
  }
  void storeEnd(Value scale, Value code);
};
} // namespace

void RecordWriter::write(ArrayRef<Value> numbers) {
  auto larger = [&](Value a, Value b) -> Value {
    return arith::MaximumFOp::create(builder, loc, a, b);
  };
  Value most;
  for (Value number : numbers) {
    Value magnitude = math::AbsFOp::create(builder, loc, number);
    most = most ? larger(most, magnitude) : magnitude;
  }
  most = emitWarpReduce(builder, loc, most, larger);
  Value isZero =
      arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLT, most,
                            emitFloat(builder, loc, negligible));
  auto ratio = [&](Value a, Value b) -> Value {
    return arith::SelectOp::create(builder, loc, isZero,
                                   emitFloat(builder, loc, 0),
                                   arith::DivFOp::create(builder, loc, a, b));
  };
  Value limit = emitFloat(builder, loc, 127);
  Value scale = ratio(most, limit), inverse = ratio(limit, most);
  // Words of columns that are 16 apart are neighbours.
  Value word = quotient(lane, 4);
  Value place = emitAdd(
      builder, loc,
      emitMul(builder, loc, rest(word, 4), emitIndex(builder, loc, 8)),
      emitMul(builder, loc, quotient(word, 4), emitIndex(builder, loc, 4)));
  place = emitAdd(builder, loc, place, rest(lane, 4));
  Value sum;
  for (auto [i, number] : llvm::enumerate(numbers)) {
    Value whole = math::RoundEvenOp::create(
        builder, loc, arith::MulFOp::create(builder, loc, number, inverse));
    Value code =
        arith::FPToSIOp::create(builder, loc, builder.getI32Type(), whole);
    sum =
        sum ? arith::AddIOp::create(builder, loc, sum, code).getResult() : code;
    auto before = static_cast<int64_t>(i) * recordCodeBytes;
    storeAt(arith::TruncIOp::create(builder, loc, builder.getI8Type(), code),
            codes,
            emitAdd(builder, loc, place, emitIndex(builder, loc, before)));
  }
  storeEnd(scale, sum);
}

/// The scale and what sums begin with, of a lane's codes or the sums of them.
void RecordWriter::storeEnd(Value scale, Value code) {
  int64_t ofPart = groupColumns / layout.parts;
  Value sum = join(code, ofPart, [&](Value a, Value b) -> Value {
    return arith::AddIOp::create(builder, loc, a, b);
  });
  Value start;
  if (layout.hasMinimum) {
    start = arith::MulFOp::create(
        builder, loc,
        arith::SIToFPOp::create(builder, loc, builder.getF32Type(), sum),
        scale);
  } else {
    auto constant = [&](int64_t value) -> Value {
      return arith::ConstantIntOp::create(builder, loc, builder.getI32Type(),
                                          value);
    };
    start = arith::SubIOp::create(
        builder, loc, constant(sumBias),
        arith::MulIOp::create(builder, loc, sum, constant(layout.zero)));
  }
  Value part =
      emitMul(builder, loc, quotient(lane, ofPart), emitIndex(builder, loc, 4));
  ifZero(lane, [&] { storeAt(scale, end, emitIndex(builder, loc, 0)); });
  ifZero(rest(lane, ofPart), [&] {
    storeAt(start, end,
            emitAdd(builder, loc, part, emitIndex(builder, loc, 4)));
  });
}

void cuda::RowEmitter::storeRecords(Value value, Value pointer,
                                    const rt::PackedLayout &layout, int64_t k) {
  Location loc = value.getLoc();
  auto all = RowLayout::contiguous(cast<NamedTensorType>(value.getType()));
  // A warp has what shares a scale.
  int64_t together = layout.isOfRow ? recordBatch : 1,
          units = numRecords(layout, k) / together;
  Value perRow = emitIndex(builder, loc, units);
  forEachWarp(all.numElements() / k * units, loc, [&](Value at, Value lane) {
    Value unit = arith::RemUIOp::create(builder, loc, at, perRow),
          first = emitMul(builder, loc,
                          arith::DivUIOp::create(builder, loc, at, perRow),
                          emitIndex(builder, loc, k));
    SmallVector<Value> numbers;
    for (int64_t i = 0; i < together; ++i) {
      Value column =
          emitAdd(builder, loc,
                  emitMul(builder, loc, unit,
                          emitIndex(builder, loc, together * groupColumns)),
                  emitAdd(builder, loc, lane,
                          emitIndex(builder, loc, i * groupColumns)));
      numbers.push_back(
          loadOrZero(column, k, units * together * groupColumns, loc, [&] {
            return get(
                value,
                unflatten(all, emitAdd(builder, loc, first, column), loc));
          }));
    }
    auto address = [&](Value base, Value number, int64_t bytes) {
      return emitAddress(
          builder, loc, base, builder.getI8Type(),
          emitMul(builder, loc, number, emitIndex(builder, loc, bytes)));
    };
    Value ofBatch = emitIndex(builder, loc, recordBatch / together),
          inBatch = arith::RemUIOp::create(builder, loc, at, ofBatch);
    Value batch = address(
        pointer, arith::DivUIOp::create(builder, loc, at, ofBatch), batchBytes);
    Value codes = address(batch, inBatch, recordCodeBytes),
          end = emitAddress(
              builder, loc, address(batch, inBatch, recordEndBytes),
              builder.getI8Type(), emitIndex(builder, loc, batchEndsAt));
    RecordWriter{builder, loc, layout, lane, codes, end}.write(numbers);
  });
}

/// What `load` gives where `column` is below `k`, else zero. All columns are
/// below `end`.
Value cuda::RowEmitter::loadOrZero(Value column, int64_t k, int64_t end,
                                   Location loc, function_ref<Value()> load) {
  if (end == k)
    return load();
  Value isThere = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                        column, emitIndex(builder, loc, k));
  auto branch = scf::IfOp::create(builder, loc, builder.getF32Type(), isThere,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(builder, loc, load());
  builder.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(builder, loc, emitFloat(builder, loc, 0));
  return branch.getResult(0);
}

/// The number of `column` in row `lane` of a panel (index).
static Value emitBlockNumber(OpBuilder &builder, Location loc,
                             cpu::WeightForm form, Value panel, Value lane,
                             Value column) {
  const rt::PackedLayout &layout = cpu::packedLayoutOf(form);
  Type i32 = builder.getI32Type();
  auto index = [&](int64_t value) { return emitIndex(builder, loc, value); };
  auto quotient = [&](Value value, int64_t by) -> Value {
    return arith::DivUIOp::create(builder, loc, value, index(by));
  };
  auto rest = [&](Value value, int64_t by) -> Value {
    return arith::RemUIOp::create(builder, loc, value, index(by));
  };
  auto times = [&](Value value, int64_t by) {
    return emitMul(builder, loc, value, index(by));
  };
  auto add = [&](Value a, Value b) { return emitAdd(builder, loc, a, b); };
  auto at = [&](Value base, Value offset) {
    return emitAddress(builder, loc, base, builder.getI8Type(), offset);
  };
  Value number = quotient(column, groupColumns),
        inGroup = rest(column, groupColumns);
  // A row with one scale is one block.
  Value ofBlock = number, unit = panel;
  if (!layout.isOfRow) {
    ofBlock = rest(number, layout.groups);
    unit = at(panel, times(quotient(number, layout.groups),
                           panelRows * layout.blockBytes()));
  }
  Value group = at(unit, add(times(ofBlock, panelRows * layout.groupBytes()),
                             index(panelRows * layout.headBytes)));
  Value half = quotient(inGroup, groupColumns / 2);
  // Byte `inGroup` % 4 of the row's word in a run.
  Value own = add(add(times(lane, 4), rest(inGroup, 4)),
                  index(panelRows * layout.scaleBytes));
  auto bitsOf = [&](Value run, Value shift, int64_t mask) -> Value {
    Value byte = emitLoad(builder, loc, builder.getI8Type(), group,
                          add(own, times(run, 4 * panelRows)));
    Value wide = arith::ExtUIOp::create(builder, loc, i32, byte);
    Value moved = arith::ShRUIOp::create(
        builder, loc, wide,
        arith::IndexCastUIOp::create(builder, loc, i32, shift));
    return arith::AndIOp::create(
        builder, loc, moved,
        arith::ConstantIntOp::create(builder, loc, i32, mask));
  };
  Value run = rest(quotient(inGroup, 4), layout.bits == 8 ? 8 : 4), code, top;
  if (layout.bits == 8)
    code = bitsOf(run, index(0), 255);
  else
    code = bitsOf(run, times(half, 4), 15);
  if (layout.bits == 5)
    top = bitsOf(index(4), quotient(inGroup, 4), 1);
  else if (layout.bits == 6)
    top = bitsOf(add(quotient(run, 2), index(4)),
                 add(times(rest(run, 2), 2), times(half, 4)), 3);
  if (top)
    code =
        arith::OrIOp::create(builder, loc, code,
                             arith::ShLIOp::create(builder, loc, top,
                                                   arith::ConstantIntOp::create(
                                                       builder, loc, i32, 4)));
  code = arith::SubIOp::create(
      builder, loc, code,
      arith::ConstantIntOp::create(builder, loc, i32, layout.zero));
  cpu::Target halves;
  halves.hasF16 = true;
  cpu::GroupScales scales = cpu::emitGroupScales(
      builder, loc, halves, form, unit, group, ofBlock, lane, /*width=*/1);
  Value scale = scales.scales[0];
  if (layout.parts > 1) {
    Value isSecond = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::ne, half, index(0));
    scale = arith::SelectOp::create(builder, loc, isSecond, scales.scales[1],
                                    scale);
  }
  Value result = arith::MulFOp::create(
      builder, loc,
      arith::SIToFPOp::create(builder, loc, builder.getF32Type(), code), scale);
  return scales.minimum
             ? arith::SubFOp::create(builder, loc, result, scales.minimum)
                   .getResult()
             : result;
}

RowMemory cuda::RowEmitter::unpackRow(EmbedOp op, const RowMemory &table,
                                      Value token, BlocksAttr blocks) {
  Location loc = op.getLoc();
  cpu::WeightForm form = cpu::weightFormOf(blocks.getFormat());
  const rt::PackedLayout &layout = cpu::packedLayoutOf(form);
  RowMemory memory = newRow(op.getResult().getType());
  int64_t columns = memory.layout.numElements();
  Value rows = emitIndex(builder, loc, panelRows);
  Value panel = emitAddress(
      builder, loc, table.base, builder.getI8Type(),
      emitMul(builder, loc, arith::DivUIOp::create(builder, loc, token, rows),
              emitIndex(builder, loc, panelBytes(layout, columns))));
  Value lane = arith::RemUIOp::create(builder, loc, token, rows);
  emitStridedLoop(
      builder, loc, thread, threads, emitIndex(builder, loc, columns),
      [&](Value column) {
        emitStore(builder, loc,
                  emitBlockNumber(builder, loc, form, panel, lane, column),
                  memory.base, column);
      });
  emitSync(builder, loc);
  return memory;
}
