//===- InvertOps.cpp - The inverse of each wmap op ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Weights/InvertOps.h"

#include "mlir/IR/TypeUtilities.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace clade;

static RankedTensorType withShape(Value like, ArrayRef<int64_t> shape) {
  return RankedTensorType::get(
      shape, cast<RankedTensorType>(like.getType()).getElementType());
}

static Value reshape(OpBuilder &builder, Location loc, Value value,
                     ArrayRef<int64_t> shape) {
  return wmap::ReshapeOp::create(builder, loc, withShape(value, shape), value);
}

static Value transpose(OpBuilder &builder, Location loc, Value value,
                       ArrayRef<int64_t> permutation) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(value.getType()).getShape();
  return wmap::TransposeOp::create(
      builder, loc, withShape(value, applyPermutation(shape, permutation)),
      value, builder.getDenseI64ArrayAttr(permutation));
}

static Value slice(OpBuilder &builder, Location loc, Value value, int64_t axis,
                   int64_t begin, int64_t size) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getDimSize(axis) == size)
    return value;
  SmallVector<int64_t> shape(type.getShape());
  shape[axis] = size;
  return wmap::SliceOp::create(builder, loc, withShape(value, shape), value,
                               builder.getI64IntegerAttr(axis),
                               builder.getI64IntegerAttr(begin));
}

//===----------------------------------------------------------------------===//
// One function an op
//===----------------------------------------------------------------------===//

static Value invert(OpBuilder &builder, wmap::ConcatOp op, OpOperand &use,
                    Value result) {
  int64_t axis = op.getAxis(), begin = 0;
  for (Value before : op.getInputs().take_front(use.getOperandNumber()))
    begin += cast<RankedTensorType>(before.getType()).getDimSize(axis);
  int64_t size = cast<RankedTensorType>(use.get().getType()).getDimSize(axis);
  return slice(builder, op.getLoc(), result, axis, begin, size);
}

static Value invert(OpBuilder &builder, wmap::TransposeOp op, OpOperand &,
                    Value result) {
  return transpose(builder, op.getLoc(), result,
                   invertPermutationVector(op.getPermutation()));
}

static Value invert(OpBuilder &builder, wmap::ReshapeOp op, OpOperand &use,
                    Value result) {
  return wmap::ReshapeOp::create(builder, op.getLoc(), use.get().getType(),
                                 result);
}

static Value invert(OpBuilder &builder, wmap::CastOp op, OpOperand &use,
                    Value result) {
  return wmap::CastOp::create(builder, op.getLoc(), use.get().getType(),
                              result);
}

static Value invert(OpBuilder &builder, wmap::ShiftOp op, OpOperand &use,
                    Value result) {
  return wmap::ShiftOp::create(
      builder, op.getLoc(), use.get().getType(), result,
      builder.getF64FloatAttr(-op.getAmount().convertToDouble()));
}

static Value invert(OpBuilder &builder, wmap::BitcastOp op, OpOperand &use,
                    Value result) {
  return wmap::BitcastOp::create(builder, op.getLoc(), use.get().getType(),
                                 result, /*high_first=*/false);
}

/// What the blocks stand for, without what fills the last one.
static Value invert(OpBuilder &builder, wmap::QuantiseOp op, OpOperand &use,
                    Value result) {
  Location loc = op.getLoc();
  auto type = cast<RankedTensorType>(use.get().getType());
  ArrayRef<int64_t> padded =
      cast<RankedTensorType>(result.getType()).getShape();
  Value numbers = wmap::DequantiseOp::create(
      builder, loc, RankedTensorType::get(padded, builder.getF32Type()),
      result);
  Value cut = slice(builder, loc, numbers, type.getRank() - 1, 0,
                    type.getShape().back());
  return cut.getType() == type
             ? cut
             : wmap::CastOp::create(builder, loc, type, cut).getResult();
}

static Value invert(OpBuilder &builder, wmap::PackBlocksOp op, OpOperand &use,
                    Value result) {
  return wmap::UnpackBlocksOp::create(builder, op.getLoc(), use.get().getType(),
                                      result);
}

/// Halves back to pairs: [heads, 2, size/2, …] to [heads, size/2, 2, …].
static Value invert(OpBuilder &builder, wmap::RopeUnpermuteOp op, OpOperand &,
                    Value result) {
  Location loc = op.getLoc();
  ArrayRef<int64_t> shape = cast<RankedTensorType>(result.getType()).getShape();
  int64_t heads = op.getHeads(), half = shape[0] / heads / 2;
  int64_t columns = ShapedType::getNumElements(shape.drop_front());
  Value halves = reshape(builder, loc, result, {heads, 2, half, columns});
  Value pairs = transpose(builder, loc, halves, {0, 2, 1, 3});
  return reshape(builder, loc, pairs, shape);
}

/// [N/rows, K/inner, rows, inner] back to [N, K], without the padding.
static Value invert(OpBuilder &builder, wmap::PackOp op, OpOperand &use,
                    Value result) {
  Location loc = op.getLoc();
  ArrayRef<int64_t> panels =
      cast<RankedTensorType>(result.getType()).getShape();
  ArrayRef<int64_t> shape =
      cast<RankedTensorType>(use.get().getType()).getShape();
  // A stack of matrices has one more axis in front.
  int64_t first = shape.size() - 2;
  SmallVector<int64_t> order{0}, sizes(shape.take_front(first));
  for (int64_t axis : {0, 2, 1, 3})
    order.push_back(first + axis);
  if (first == 0)
    order.erase(order.begin());
  for (int64_t axis : {0, 1})
    sizes.push_back(panels[first + axis] * panels[first + axis + 2]);
  Value rows = transpose(builder, loc, result, order);
  Value padded = reshape(builder, loc, rows, sizes);
  Value cut = slice(builder, loc, padded, first, 0, shape[first]);
  return slice(builder, loc, cut, first + 1, 0, shape[first + 1]);
}

std::optional<std::string> clade::lossOf(Operation *op, bool mayRound) {
  if (mayRound && isa<wmap::CastOp, wmap::ShiftOp, wmap::QuantiseOp>(op))
    return std::nullopt;
  return llvm::TypeSwitch<Operation *, std::optional<std::string>>(op)
      .Case<wmap::ConcatOp, wmap::TransposeOp, wmap::ReshapeOp,
            wmap::RopeUnpermuteOp, wmap::PackOp, wmap::PackBlocksOp>(
          [](Operation *) { return std::nullopt; })
      .Case([](wmap::CastOp cast) -> std::optional<std::string> {
        if (!cast.isLossy())
          return std::nullopt;
        std::string text;
        llvm::raw_string_ostream(text)
            << "cast from " << getElementTypeOrSelf(cast.getInput().getType())
            << " to " << getElementTypeOrSelf(cast.getResult().getType());
        return text;
      })
      .Case([](wmap::BitcastOp op) -> std::optional<std::string> {
        if (op.keepsWidth())
          return std::nullopt;
        return "'wmap.bitcast' takes its elements apart";
      })
      .Case<wmap::ScaleOp, wmap::SubtractOp, wmap::DivideOp, wmap::GatherOp>(
          [](Operation *op) {
            return ("'" + op->getName().getStringRef() + "' dequantises it")
                .str();
          })
      .Case([](wmap::QuantiseOp op) -> std::optional<std::string> {
        auto block = dyn_cast<wmap::BlockType>(
            getElementTypeOrSelf(op.getResult().getType()));
        std::string text =
            "quantised to " + (block ? block.getFormat().str() : "blocks");
        if (block && block.hasRowScale())
          return text + ": off by at most 1/254 of the largest magnitude of "
                        "its row, and the rounding of that to f32";
        if (block && block.getLength() > 32)
          return text + ": the best of the grids that ggml's reference "
                        "quantiser tries, without a bound";
        bool isWide = block && block.getFormat() == "q8_0";
        return text + ": off by at most 1/" + (isWide ? "254" : "8") +
               " of the largest magnitude of its 32 columns, and the rounding "
               "of that to f16";
      })
      .Case([](wmap::AddOp) -> std::optional<std::string> {
        return "'wmap.add' merges an adapter into it";
      })
      .Default([](Operation *op) {
        return ("'" + op->getName().getStringRef() + "' has no exact inverse")
            .str();
      });
}

Value clade::invertOp(OpBuilder &builder, OpOperand &use, Value result) {
  return llvm::TypeSwitch<Operation *, Value>(use.getOwner())
      .Case<wmap::ConcatOp, wmap::TransposeOp, wmap::ReshapeOp, wmap::CastOp,
            wmap::RopeUnpermuteOp, wmap::PackOp, wmap::BitcastOp, wmap::ShiftOp,
            wmap::QuantiseOp, wmap::PackBlocksOp>(
          [&](auto op) { return invert(builder, op, use, result); })
      .Default([](Operation *) { return Value(); });
}

/// A panel of all rows: what no element goes to is zero.
Value clade::padRows(OpBuilder &builder, Location loc, Value value,
                     RankedTensorType type) {
  int64_t stored = cast<RankedTensorType>(value.getType()).getDimSize(0),
          rows = type.getDimSize(0),
          columns = ShapedType::getNumElements(type.getShape().drop_front());
  Value matrix = reshape(builder, loc, value, {stored, columns});
  Value panel = wmap::PackOp::create(
      builder, loc, withShape(value, {1, columns, rows, 1}), matrix,
      builder.getI64IntegerAttr(rows), builder.getI64IntegerAttr(1));
  Value turned = reshape(builder, loc, panel, {columns, rows});
  return reshape(builder, loc, transpose(builder, loc, turned, {1, 0}),
                 type.getShape());
}

Value clade::pickFirst(OpBuilder &builder, Location loc, Value value,
                       int64_t index) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(value.getType()).getShape();
  Value one = slice(builder, loc, value, 0, index, 1);
  return reshape(builder, loc, one, shape.drop_front());
}
