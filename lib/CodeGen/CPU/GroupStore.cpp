//===- GroupStore.cpp - Rows out of groups --------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/GroupProduct.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace clade::cpu {

namespace {
/// The codes of one row of a group.
struct RowCodes {
  Location loc;
  const rt::PackedLayout &layout;
  int64_t panelRows;
  Value base; ///< Of the row's first word.

  Value step(OpBuilder &builder, int64_t step);

private:
  Value constant(OpBuilder &builder, int64_t value) {
    return arith::ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(VectorType::get(4, builder.getI32Type()),
                               static_cast<int32_t>(value)));
  }
  /// The bytes of a word as i32, shifted down and masked.
  Value bits(OpBuilder &builder, int64_t word, int64_t shift, int64_t mask) {
    Value bytes =
        emitLoad(builder, loc, VectorType::get(4, builder.getI8Type()), base,
                 emitIndex(builder, loc, word * 4 * panelRows));
    Value wide = arith::ExtUIOp::create(
        builder, loc, VectorType::get(4, builder.getI32Type()), bytes);
    if (shift > 0)
      wide =
          arith::ShRUIOp::create(builder, loc, wide, constant(builder, shift));
    return mask == 255 ? wide
                       : arith::AndIOp::create(builder, loc, wide,
                                               constant(builder, mask))
                             .getResult();
  }
};
} // namespace

/// Less what stands for zero, the codes of columns 4 step … 4 step + 3.
Value RowCodes::step(OpBuilder &builder, int64_t step) {
  int64_t run = step % 4, half = step / 4;
  Value code = layout.bits == 8 ? bits(builder, step, 0, 255)
                                : bits(builder, run, 4 * half, 15);
  Value tops;
  if (layout.bits == 5)
    tops = bits(builder, 4, step, 1);
  else if (layout.bits == 6)
    tops = bits(builder, 4 + run / 2, run % 2 * 2 + 4 * half, 3);
  if (tops)
    code = arith::OrIOp::create(
        builder, loc, code,
        arith::ShLIOp::create(builder, loc, tops, constant(builder, 4)));
  return layout.zero == 0
             ? code
             : arith::SubIOp::create(builder, loc, code,
                                     constant(builder, layout.zero))
                   .getResult();
}

void emitUnpackGroups(OpBuilder &builder, Location loc, const Target &target,
                      WeightForm form, int64_t k, Value weights, Value row,
                      function_ref<void(OpBuilder &, Value, Value)> store) {
  constexpr int64_t width = 4;
  int64_t panelRows = target.panelRows;
  const rt::PackedLayout &layout = packedLayoutOf(form);
  int64_t groups = llvm::divideCeil(k, groupColumns),
          blockBytes = panelBlockBytes(target, form);
  auto index = [&](OpBuilder &b, int64_t value) {
    return emitIndex(b, loc, value);
  };
  auto part = [&](OpBuilder &b, Value value, int64_t divisor,
                  bool isRest) -> Value {
    Value by = index(b, divisor);
    if (isRest)
      return arith::RemUIOp::create(b, loc, value, by);
    return arith::DivUIOp::create(b, loc, value, by);
  };
  auto step = [&](OpBuilder &b, Value base, Value count, int64_t bytes) {
    return emitAddress(b, loc, base, b.getI8Type(),
                       emitMul(b, loc, count, index(b, bytes)));
  };
  Value inPanel = part(builder, row, panelRows, /*isRest=*/true);
  Value panel =
      step(builder, weights, part(builder, row, panelRows, /*isRest=*/false),
           panelBytes(target, form, k));
  auto emitGroup = [&](OpBuilder &body, Location, Value group, ValueRange) {
    // A row with one scale is one block.
    Value inBlock = group, block = panel;
    if (!layout.isOfRow) {
      inBlock = part(body, group, layout.groups, /*isRest=*/true);
      block =
          step(body, panel, part(body, group, layout.groups, /*isRest=*/false),
               blockBytes);
    }
    Value at = step(
        body, step(body, block, index(body, 1), panelRows * layout.headBytes),
        inBlock, panelRows * layout.groupBytes());
    GroupScales scales = emitGroupScales(body, loc, target, form, block, at,
                                         inBlock, inPanel, /*width=*/1);
    Value codesAt = step(body, step(body, at, inPanel, 4), index(body, 1),
                         panelRows * layout.scaleBytes);
    RowCodes codes{loc, layout, panelRows, codesAt};
    for (int64_t i = 0; i < groupColumns / width; ++i) {
      Value number = arith::SIToFPOp::create(
          body, loc, VectorType::get(width, body.getF32Type()),
          codes.step(body, i));
      Value scale = scales.scales[i * layout.parts * width / groupColumns];
      number = arith::MulFOp::create(body, loc, number,
                                     emitSplat(body, loc, scale, width));
      if (scales.minimum)
        number = arith::SubFOp::create(
            body, loc, number, emitSplat(body, loc, scales.minimum, width));
      Value column = emitAdd(
          body, loc, emitMul(body, loc, group, index(body, groupColumns)),
          index(body, width * i));
      store(body, column, number);
    }
    scf::YieldOp::create(body, loc);
  };
  scf::ForOp::create(builder, loc, index(builder, 0), index(builder, groups),
                     index(builder, 1), ValueRange{}, emitGroup);
}

} // namespace clade::cpu
