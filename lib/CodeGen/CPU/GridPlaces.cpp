//===- GridPlaces.cpp - Places of patches in their images -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/GridPlaces.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace clade;
using namespace clade::cpu;

std::array<Value, 2> cpu::emitPlaceInGrid(OpBuilder &builder, Location loc,
                                          const StepView &view, Value row,
                                          int64_t merge) {
  Value image = view.sequenceAt(row), columns = view.gridSizeAt(image, 1);
  // The frames of a film follow each other.
  Value patch = arith::RemUIOp::create(
      builder, loc, view.positionAt(row),
      emitMul(builder, loc, view.gridSizeAt(image, 0), columns));
  Value side = emitIndex(builder, loc, merge),
        perBlock = emitIndex(builder, loc, merge * merge);
  auto quotient = [&](Value a, Value b) -> Value {
    return arith::DivUIOp::create(builder, loc, a, b);
  };
  auto rest = [&](Value a, Value b) -> Value {
    return arith::RemUIOp::create(builder, loc, a, b);
  };
  Value block = quotient(patch, perBlock), inBlock = rest(patch, perBlock),
        blocks = quotient(columns, side);
  auto place = [&](Value ofBlock, Value inside) {
    return emitAdd(builder, loc, emitMul(builder, loc, ofBlock, side), inside);
  };
  return {place(quotient(block, blocks), quotient(inBlock, side)),
          place(rest(block, blocks), rest(inBlock, side))};
}

std::pair<Value, Value> cpu::emitFrames(OpBuilder &builder, Location loc,
                                        const StepView &view, Value image) {
  Value patches = emitMul(builder, loc, view.gridSizeAt(image, 0),
                          view.gridSizeAt(image, 1)),
        next = emitAdd(builder, loc, image, emitIndex(builder, loc, 1));
  Value all = arith::SubIOp::create(builder, loc, view.firstTokenAt(next),
                                    view.firstTokenAt(image));
  return {patches, arith::DivUIOp::create(builder, loc, all, patches)};
}

namespace {
/// Emits what patch `index` (index) of `count` (index) along an axis of `size`
/// places is made of.
class TapEmitter {
public:
  TapEmitter(OpBuilder &builder, InterpolateOp op)
      : builder(builder), loc(op.getLoc()), op(op) {}

  SmallVector<Tap> emit(Value index, Value count, int64_t size) {
    Value at = emitPlace(toFloat(index), toFloat(count), size);
    Value first = math::FloorOp::create(builder, loc, at);
    Value whole =
        arith::FPToSIOp::create(builder, loc, builder.getI64Type(), first);
    bool isCubic = op.getKind() == InterpolationKind::Bicubic;
    SmallVector<Tap> taps;
    for (int64_t offset = isCubic ? -1 : 0; offset < (isCubic ? 3 : 2);
         ++offset) {
      Value distance = math::AbsFOp::create(
          builder, loc, sub(sub(at, first), number(offset)));
      Value place = arith::AddIOp::create(builder, loc, whole, integer(offset));
      place = arith::MaxSIOp::create(builder, loc, place, integer(0));
      place = arith::MinSIOp::create(builder, loc, place, integer(size - 1));
      taps.push_back(
          {arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                      place),
           isCubic ? emitCubic(distance) : sub(number(1), distance)});
    }
    return taps;
  }

private:
  Value number(double value) {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getF32FloatAttr(value));
  }
  Value integer(int64_t value) {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getI64IntegerAttr(value));
  }
  Value toFloat(Value index) {
    Value value =
        arith::IndexCastOp::create(builder, loc, builder.getI64Type(), index);
    return arith::SIToFPOp::create(builder, loc, builder.getF32Type(), value);
  }
  Value add(Value a, Value b) {
    return arith::AddFOp::create(builder, loc, a, b);
  }
  Value sub(Value a, Value b) {
    return arith::SubFOp::create(builder, loc, a, b);
  }
  Value mul(Value a, Value b) {
    return arith::MulFOp::create(builder, loc, a, b);
  }
  Value div(Value a, Value b) {
    return arith::DivFOp::create(builder, loc, a, b);
  }

  Value emitPlace(Value index, Value count, int64_t size) {
    if (!op.getCorners())
      return sub(div(mul(add(index, number(0.5)), number(size)), count),
                 number(0.5));
    Value most = arith::MaximumFOp::create(builder, loc, sub(count, number(1)),
                                           number(1));
    return div(mul(index, number(size - 1)), most);
  }

  /// Keys' kernel at a distance below 2.
  Value emitCubic(Value d) {
    constexpr double a = -0.75;
    Value near = add(mul(mul(sub(mul(number(a + 2), d), number(a + 3)), d), d),
                     number(1));
    Value far = sub(
        mul(add(mul(sub(mul(number(a), d), number(5 * a)), d), number(8 * a)),
            d),
        number(4 * a));
    Value isNear = arith::CmpFOp::create(
        builder, loc, arith::CmpFPredicate::OLE, d, number(1));
    return arith::SelectOp::create(builder, loc, isNear, near, far);
  }

  OpBuilder &builder;
  Location loc;
  InterpolateOp op;
};
} // namespace

SmallVector<Tap> cpu::emitTaps(OpBuilder &builder, InterpolateOp op,
                               Value index, Value count, int64_t size) {
  return TapEmitter(builder, op).emit(index, count, size);
}
