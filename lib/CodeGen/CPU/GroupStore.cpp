//===- GroupStore.cpp - Rows into groups and out of them ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/GroupProduct.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace clade::cpu {

/// Groups whose largest magnitude is below this are zero: its reciprocal is a
/// number.
static constexpr float negligible = 0x1p-120f;

static void forEach(OpBuilder &builder, Location loc, int64_t end, int64_t step,
                    function_ref<void(OpBuilder &, Value)> body) {
  scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0),
                     emitIndex(builder, loc, end),
                     emitIndex(builder, loc, step), ValueRange{},
                     [&](OpBuilder &inner, Location, Value i, ValueRange) {
                       body(inner, i);
                       scf::YieldOp::create(inner, loc);
                     });
}

static int64_t paddedColumns(int64_t k) {
  return static_cast<int64_t>(llvm::alignTo(k, groupColumns));
}

int64_t groupRowBytes(int64_t k) {
  return static_cast<int64_t>(llvm::alignTo(paddedColumns(k) * 4, 64));
}

void emitPadRow(OpBuilder &builder, Location loc, int64_t k, Value values) {
  Value zero =
      arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0));
  for (int64_t i = k; i < paddedColumns(k); ++i)
    emitStore(builder, loc, zero, values, emitIndex(builder, loc, i));
}

namespace {
/// One row and its place.
struct RowPacker {
  Location loc;
  const Target &target;
  const ProductShape &shape;
  Value values, base;

  void quantise(OpBuilder &builder, Value group);
  Value correction(OpBuilder &builder, Value sum, Value scale);
  void storeCodes(OpBuilder &builder, Value codes, int64_t first, Value at);
};
} // namespace

/// Stores `width` codes (i8), which begin at column `first` of a group, whose
/// packed form is at `at`.
void RowPacker::storeCodes(OpBuilder &builder, Value codes, int64_t first,
                           Value at) {
  int64_t words = target.width / 4;
  auto type = VectorType::get(words, builder.getI32Type());
  Value packed = vector::BitCastOp::create(builder, loc, type, codes);
  if (shape.rowTile == 1)
    return emitStore(builder, loc, packed, at,
                     emitIndex(builder, loc, first / 4));
  for (int64_t word = 0; word < words; ++word)
    emitStore(builder, loc,
              vector::ExtractOp::create(builder, loc, packed, word), at,
              emitIndex(builder, loc, (first / 4 + word) * shape.rowTile));
}

void RowPacker::quantise(OpBuilder &builder, Value group) {
  int64_t width = target.width;
  auto f32s = VectorType::get(width, builder.getF32Type());
  auto i32s = VectorType::get(width, builder.getI32Type());
  auto constant = [&](float value) -> Value {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getF32FloatAttr(value));
  };
  Value first =
      emitMul(builder, loc, group, emitIndex(builder, loc, groupColumns));
  SmallVector<Value> parts;
  // Without their signs numbers are ordered as their bits are, with what is no
  // number above all.
  Value magnitudeBits = arith::ConstantOp::create(
      builder, loc, DenseElementsAttr::get(i32s, 0x7fffffff));
  Value largest;
  for (int64_t i = 0; i < groupColumns; i += width) {
    parts.push_back(
        emitLoad(builder, loc, f32s, values,
                 emitAdd(builder, loc, first, emitIndex(builder, loc, i))));
    Value bits = arith::BitcastOp::create(builder, loc, i32s, parts.back());
    Value magnitude = arith::AndIOp::create(builder, loc, bits, magnitudeBits);
    largest = largest ? arith::MaxSIOp::create(builder, loc, largest, magnitude)
                            .getResult()
                      : magnitude;
  }
  Value most = arith::BitcastOp::create(
      builder, loc, builder.getF32Type(),
      vector::ReductionOp::create(builder, loc, vector::CombiningKind::MAXSI,
                                  largest));
  Value isZero = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLT,
                                       most, constant(negligible));
  auto orZero = [&](Value value) -> Value {
    return arith::SelectOp::create(builder, loc, isZero, constant(0), value);
  };
  Value scale =
      orZero(arith::MulFOp::create(builder, loc, most, constant(1.0f / 127)));
  Value inverse =
      orZero(arith::DivFOp::create(builder, loc, constant(127), most));
  Value factor = emitSplat(builder, loc, inverse, width);
  Value at =
      emitAddress(builder, loc, base, builder.getI8Type(),
                  emitMul(builder, loc, group,
                          emitIndex(builder, loc, groupTileBytes(shape))));
  const rt::PackedLayout &layout = packedLayoutOf(shape.form);
  SmallVector<Value, 2> totals(layout.parts);
  for (auto [i, part] : llvm::enumerate(parts)) {
    Value scaled = arith::MulFOp::create(builder, loc, part, factor);
    Value whole = math::RoundEvenOp::create(builder, loc, scaled);
    Value integers = arith::FPToSIOp::create(builder, loc, i32s, whole);
    Value &total = totals[i * layout.parts / parts.size()];
    total =
        total ? arith::AddIOp::create(builder, loc, total, integers).getResult()
              : integers;
    Value codes = arith::TruncIOp::create(
        builder, loc, VectorType::get(width, builder.getI8Type()), integers);
    storeCodes(builder, codes, static_cast<int64_t>(i) * width, at);
  }
  int64_t scalesAt = groupColumns / 4 * shape.rowTile;
  emitStore(builder, loc, scale, at, emitIndex(builder, loc, scalesAt));
  for (auto [part, total] : llvm::enumerate(totals)) {
    Value sum = vector::ReductionOp::create(builder, loc,
                                            vector::CombiningKind::ADD, total);
    int64_t place = scalesAt + (1 + static_cast<int64_t>(part)) * shape.rowTile;
    emitStore(builder, loc, correction(builder, sum, scale), at,
              emitIndex(builder, loc, place));
  }
}

/// What a product adds for the sum of the codes of a part: to the integers, or
/// with a minimum times that.
Value RowPacker::correction(OpBuilder &builder, Value sum, Value scale) {
  if (packedLayoutOf(shape.form).hasMinimum) {
    Value number =
        arith::SIToFPOp::create(builder, loc, builder.getF32Type(), sum);
    return arith::MulFOp::create(builder, loc, number, scale);
  }
  Value offset =
      arith::ConstantOp::create(builder, loc,
                                builder.getI32IntegerAttr(static_cast<int32_t>(
                                    -groupOffset(target, shape.form))));
  return arith::MulIOp::create(builder, loc, sum, offset);
}

void emitPackGroups(OpBuilder &builder, Location loc, const Target &target,
                    const ProductShape &shape, Value values, Value row,
                    Value base) {
  if (shape.isExact) {
    auto type = VectorType::get(target.width, builder.getF32Type());
    return forEach(builder, loc, paddedColumns(shape.k), target.width,
                   [&](OpBuilder &body, Value column) {
                     emitStorePacked(body, loc, target, body.getF32Type(),
                                     shape.rowTile, paddedColumns(shape.k),
                                     base, row, column,
                                     emitLoad(body, loc, type, values, column));
                   });
  }
  Value tileRows = emitIndex(builder, loc, shape.rowTile);
  Value tile = arith::DivUIOp::create(builder, loc, row, tileRows),
        inTile = arith::RemUIOp::create(builder, loc, row, tileRows);
  Value place = emitAdd(
      builder, loc,
      emitMul(builder, loc, tile,
              emitIndex(builder, loc, packedActivationTileBytes(shape))),
      emitMul(builder, loc, inTile, emitIndex(builder, loc, 4)));
  RowPacker packer{loc, target, shape, values,
                   emitAddress(builder, loc, base, builder.getI8Type(), place)};
  forEach(builder, loc, paddedColumns(shape.k) / groupColumns, 1,
          [&](OpBuilder &body, Value group) { packer.quantise(body, group); });
}

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
  int64_t groups = paddedColumns(k) / groupColumns,
          blockBytes = panelBlockBytes(target, form),
          panelBytes = llvm::divideCeil(groups, layout.groups) * blockBytes;
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
           panelBytes);
  forEach(builder, loc, groups, 1, [&](OpBuilder &body, Value group) {
    Value inBlock = part(body, group, layout.groups, /*isRest=*/true);
    Value block =
        step(body, panel, part(body, group, layout.groups, /*isRest=*/false),
             blockBytes);
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
  });
}

} // namespace clade::cpu
