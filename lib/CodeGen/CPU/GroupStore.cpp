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
  Value largest;
  for (int64_t i = 0; i < groupColumns; i += width) {
    parts.push_back(
        emitLoad(builder, loc, f32s, values,
                 emitAdd(builder, loc, first, emitIndex(builder, loc, i))));
    Value magnitude = math::AbsFOp::create(builder, loc, parts.back());
    largest = largest
                  ? arith::MaximumFOp::create(builder, loc, largest, magnitude)
                        .getResult()
                  : magnitude;
  }
  Value most = vector::ReductionOp::create(
      builder, loc, vector::CombiningKind::MAXIMUMF, largest);
  Value isZero = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLT,
                                       most, constant(negligible));
  auto orZero = [&](Value value) -> Value {
    return arith::SelectOp::create(builder, loc, isZero, constant(0), value);
  };
  Value scale =
      orZero(arith::DivFOp::create(builder, loc, most, constant(127)));
  Value inverse =
      orZero(arith::DivFOp::create(builder, loc, constant(127), most));
  Value factor = emitSplat(builder, loc, inverse, width);
  Value at =
      emitAddress(builder, loc, base, builder.getI8Type(),
                  emitMul(builder, loc, group,
                          emitIndex(builder, loc, groupTileBytes(shape))));
  Value total;
  for (auto [i, part] : llvm::enumerate(parts)) {
    Value scaled = arith::MulFOp::create(builder, loc, part, factor);
    Value whole = math::RoundEvenOp::create(builder, loc, scaled);
    Value integers = arith::FPToSIOp::create(builder, loc, i32s, whole);
    total =
        total ? arith::AddIOp::create(builder, loc, total, integers).getResult()
              : integers;
    Value codes = arith::TruncIOp::create(
        builder, loc, VectorType::get(width, builder.getI8Type()), integers);
    storeCodes(builder, codes, static_cast<int64_t>(i) * width, at);
  }
  Value scalesAt = emitIndex(builder, loc, groupColumns / 4 * shape.rowTile);
  emitStore(builder, loc, scale, at, scalesAt);
  Value sum = vector::ReductionOp::create(builder, loc,
                                          vector::CombiningKind::ADD, total);
  Value offset =
      arith::ConstantOp::create(builder, loc,
                                builder.getI32IntegerAttr(static_cast<int32_t>(
                                    -groupOffset(target, shape.form))));
  emitStore(
      builder, loc, arith::MulIOp::create(builder, loc, sum, offset), at,
      emitAdd(builder, loc, scalesAt, emitIndex(builder, loc, shape.rowTile)));
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

void emitUnpackGroups(OpBuilder &builder, Location loc, const Target &target,
                      WeightForm form, int64_t k, Value weights, Value row,
                      function_ref<void(OpBuilder &, Value, Value)> store) {
  constexpr int64_t unitRows = 16, runBytes = 64;
  bool isInt8 = form == WeightForm::Int8;
  int64_t groups = paddedColumns(k) / groupColumns,
          groupBytes = groupPanelBytes(target, form),
          unitBytes = groupBytes * unitRows / target.panelRows;
  auto index = [&](OpBuilder &b, int64_t value) {
    return emitIndex(b, loc, value);
  };
  auto part = [&](Value value, int64_t divisor, bool isRest) -> Value {
    Value by = index(builder, divisor);
    if (isRest)
      return arith::RemUIOp::create(builder, loc, value, by);
    return arith::DivUIOp::create(builder, loc, value, by);
  };
  Value inPanel = part(row, target.panelRows, /*isRest=*/true),
        lane = part(inPanel, unitRows, /*isRest=*/true);
  Value start = emitMul(builder, loc, part(row, target.panelRows, false),
                        index(builder, groups * groupBytes));
  start = emitAdd(builder, loc, start,
                  emitMul(builder, loc, part(inPanel, unitRows, false),
                          index(builder, unitBytes)));
  Value unit = emitAddress(builder, loc, weights, builder.getI8Type(), start);
  forEach(builder, loc, groups, 1, [&](OpBuilder &body, Value group) {
    Value at = emitAddress(body, loc, unit, body.getI8Type(),
                           emitMul(body, loc, group, index(body, groupBytes)));
    Value bits = emitLoad(body, loc, body.getI16Type(), at, lane);
    Value scale =
        emitSplat(body, loc, emitHalfToFloat(body, loc, target, bits), 4);
    Value codesAt =
        emitAddress(body, loc, at, body.getI8Type(),
                    emitAdd(body, loc, index(body, 2 * unitRows),
                            emitMul(body, loc, lane, index(body, 4))));
    auto bytes = VectorType::get(4, body.getI8Type());
    auto i32s = VectorType::get(4, body.getI32Type());
    auto splat = [&](int32_t value) -> Value {
      return arith::ConstantOp::create(body, loc,
                                       DenseElementsAttr::get(i32s, value));
    };
    for (int64_t step = 0; step < groupColumns / 4; ++step) {
      int64_t run = isInt8 ? step : step % 4;
      Value code = arith::ExtUIOp::create(
          body, loc, i32s,
          emitLoad(body, loc, bytes, codesAt, index(body, run * runBytes)));
      if (!isInt8 && step >= 4)
        code = arith::ShRUIOp::create(body, loc, code, splat(4));
      if (!isInt8)
        code = arith::AndIOp::create(body, loc, code, splat(15));
      code = arith::SubIOp::create(body, loc, code, splat(isInt8 ? 128 : 8));
      Value number = arith::SIToFPOp::create(
          body, loc, VectorType::get(4, body.getF32Type()), code);
      Value column = emitAdd(
          body, loc, emitMul(body, loc, group, index(body, groupColumns)),
          index(body, 4 * step));
      store(body, column, arith::MulFOp::create(body, loc, number, scale));
    }
  });
}

} // namespace clade::cpu
