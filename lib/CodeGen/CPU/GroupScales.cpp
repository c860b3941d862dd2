//===- GroupScales.cpp - Scales of packed blocks --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/GroupProduct.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/ErrorHandling.h"

using namespace mlir;

namespace clade::cpu {

WeightForm weightFormOf(StringRef format) {
  return llvm::StringSwitch<WeightForm>(format)
      .Case("q8_0", WeightForm::Int8)
      .Case("q4_0", WeightForm::Int4)
      .Case("q5_0", WeightForm::Int5)
      .Case("q4_k", WeightForm::Int4K)
      .Case("q5_k", WeightForm::Int5K)
      .Case("q6_k", WeightForm::Int6K)
      .Case("q8_row", WeightForm::Int8Row)
      .Default(WeightForm::Plain);
}

const rt::PackedLayout &packedLayoutOf(WeightForm form) {
  auto of = [](rt::DType type) -> const rt::PackedLayout & {
    return *rt::packedLayout(type);
  };
  switch (form) {
  case WeightForm::Int8:
    return of(rt::DType::Q8_0);
  case WeightForm::Int4:
    return of(rt::DType::Q4_0);
  case WeightForm::Int5:
    return of(rt::DType::Q5_0);
  case WeightForm::Int4K:
    return of(rt::DType::Q4_K);
  case WeightForm::Int5K:
    return of(rt::DType::Q5_K);
  case WeightForm::Int6K:
    return of(rt::DType::Q6_K);
  case WeightForm::Int8Row:
    return of(rt::DType::Q8_ROW);
  case WeightForm::Plain:
  case WeightForm::Half:
    break;
  }
  llvm_unreachable("numbers have no blocks");
}

namespace {
class ScaleEmitter {
public:
  ScaleEmitter(OpBuilder &builder, Location loc, const Target &target,
               Value row, int64_t width)
      : builder(builder), loc(loc), target(target), row(row), width(width) {}

  /// The field of one row a lane, `offset` bytes from `base`.
  Value field(Value base, int64_t offset, unsigned bits) {
    Value at = emitAddress(builder, loc, base, builder.getI8Type(),
                           emitIndex(builder, loc, offset));
    return emitLoad(builder, loc, typeOf(builder.getIntegerType(bits)), at,
                    row);
  }
  Value single(Value base, int64_t offset) {
    Type f32 = typeOf(builder.getF32Type());
    return arith::BitcastOp::create(builder, loc, f32, field(base, offset, 32));
  }
  Value half(Value base, int64_t offset) {
    return emitHalfToFloat(builder, loc, target, field(base, offset, 16));
  }
  Value times(Value integers, Value scale) {
    Value number = arith::SIToFPOp::create(
        builder, loc, typeOf(builder.getF32Type()), integers);
    return arith::MulFOp::create(builder, loc, number, scale);
  }
  /// A byte of each row as i32.
  Value signedByte(Value base, int64_t offset) {
    return arith::ExtSIOp::create(builder, loc, typeOf(builder.getI32Type()),
                                  field(base, offset, 8));
  }
  Value unsignedByte(Value base, int64_t offset) {
    return arith::ExtUIOp::create(builder, loc, typeOf(builder.getI32Type()),
                                  field(base, offset, 8));
  }
  Value splat(Value scalar) {
    return width == 1 ? scalar : emitSplat(builder, loc, scalar, width);
  }
  Value constant(int32_t value) {
    return splat(arith::ConstantOp::create(builder, loc,
                                           builder.getI32IntegerAttr(value)));
  }
  Value both(Value value, int32_t mask) {
    return arith::AndIOp::create(builder, loc, value, constant(mask));
  }
  Value up(Value value, int32_t bits) {
    return arith::ShLIOp::create(builder, loc, value, constant(bits));
  }
  Value down(Value value, Value bits) {
    return arith::ShRUIOp::create(builder, loc, value, bits);
  }
  Value either(Value a, Value b) {
    return arith::OrIOp::create(builder, loc, a, b);
  }

private:
  Type typeOf(Type element) {
    return width == 1 ? element : VectorType::get(width, element);
  }

  OpBuilder &builder;
  Location loc;
  const Target &target;
  Value row;
  int64_t width;
};
} // namespace

GroupScales emitGroupScales(OpBuilder &builder, Location loc,
                            const Target &target, WeightForm form, Value block,
                            Value group, Value index, Value row,
                            int64_t width) {
  ScaleEmitter emitter(builder, loc, target, row, width);
  // Bytes of a field of all rows.
  int64_t byteField = target.panelRows, halfField = 2 * byteField;
  const rt::PackedLayout &layout = packedLayoutOf(form);
  if (layout.isOfRow)
    return {{emitter.single(block, 0)}, {}};
  if (layout.headBytes == 0)
    return {{emitter.half(group, 0)}, {}};
  Value scale = emitter.half(block, 0);
  GroupScales result;
  if (!layout.hasMinimum) {
    for (int64_t part = 0; part < layout.parts; ++part)
      result.scales.push_back(
          emitter.times(emitter.signedByte(group, byteField * part), scale));
    return result;
  }
  Value low = emitter.unsignedByte(group, 0);
  // Four bits a group: two of the scale and two of the minimum.
  Value bits = arith::IndexCastOp::create(
      builder, loc, builder.getI32Type(),
      emitMul(builder, loc, index, emitIndex(builder, loc, 4)));
  Value tops = emitter.down(emitter.field(block, 2 * halfField, 32),
                            emitter.splat(bits));
  Value ofScale = emitter.either(emitter.both(low, 15),
                                 emitter.up(emitter.both(tops, 3), 4));
  Value ofMinimum = emitter.either(emitter.down(low, emitter.constant(4)),
                                   emitter.up(emitter.both(tops, 12), 2));
  result.scales.push_back(emitter.times(ofScale, scale));
  result.minimum = emitter.times(ofMinimum, emitter.half(block, halfField));
  return result;
}

} // namespace clade::cpu
