//===- DequantiserOps.cpp - The steps that quantised forms share ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Ops with their types derived, checks of arguments, and the blocks of scales.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Dequantiser.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"

#include <cmath>

using namespace clade;
using namespace clade::import;
using namespace clade::import::dequantise;
using namespace mlir;

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

mlir::Value Dequantiser::castTo(mlir::Value value, Type type) {
  if (shaped(value).getElementType() == type)
    return value;
  return wmap::CastOp::create(
      builder, loc, RankedTensorType::get(shapeOf(value), type), value);
}

mlir::Value Dequantiser::reshape(mlir::Value value, ArrayRef<int64_t> shape) {
  if (shapeOf(value) == shape)
    return value;
  return wmap::ReshapeOp::create(
      builder, loc,
      RankedTensorType::get(shape, shaped(value).getElementType()), value);
}

mlir::Value Dequantiser::transpose(mlir::Value value,
                                   ArrayRef<int64_t> permutation) {
  auto type =
      RankedTensorType::get(applyPermutation(shapeOf(value), permutation),
                            shaped(value).getElementType());
  return wmap::TransposeOp::create(builder, loc, type, value, permutation);
}

/// The first `size` elements of an axis.
mlir::Value Dequantiser::firstOf(mlir::Value value, int64_t axis,
                                 int64_t size) {
  SmallVector<int64_t> shape(shapeOf(value));
  if (shape[axis] == size)
    return value;
  shape[axis] = size;
  return wmap::SliceOp::create(
      builder, loc,
      RankedTensorType::get(shape, shaped(value).getElementType()), value,
      builder.getI64IntegerAttr(axis), builder.getI64IntegerAttr(0));
}

mlir::Value Dequantiser::bitcast(mlir::Value value, Type type, bool highFirst) {
  RankedTensorType from = shaped(value);
  SmallVector<int64_t> shape(from.getShape());
  if (!shape.empty())
    shape.back() *= from.getElementType().getIntOrFloatBitWidth() /
                    type.getIntOrFloatBitWidth();
  return wmap::BitcastOp::create(
      builder, loc, RankedTensorType::get(shape, type), value, highFirst);
}

mlir::Value Dequantiser::gather(mlir::Value table, mlir::Value index) {
  SmallVector<int64_t> shape(shapeOf(index));
  if (shaped(index).getElementType().isSignedInteger())
    llvm::append_range(shape, shapeOf(table).drop_front(shape.size()));
  return wmap::GatherOp::create(
      builder, loc,
      RankedTensorType::get(shape, shaped(table).getElementType()), table,
      index);
}

mlir::Value Dequantiser::shift(mlir::Value value, double amount) {
  return wmap::ShiftOp::create(builder, loc, value.getType(), value,
                               builder.getF64FloatAttr(amount));
}

mlir::Value Dequantiser::codesDown(mlir::Value words, int64_t bits) {
  int64_t rows = shapeOf(words)[0], columns = shapeOf(words)[1];
  mlir::Value codes =
      bitcast(reshape(words, {rows, columns, 1}), unsignedType(bits));
  mlir::Value turned = transpose(castTo(codes, f32()), {0, 2, 1});
  return reshape(turned, {rows * (32 / bits), columns});
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

static std::string firstName(const WeightTree &tree) {
  if (tree.kind == WeightTree::Kind::Source || tree.inputs.empty())
    return tree.name;
  return firstName(tree.inputs.front());
}

std::string Dequantiser::nameOf(size_t i) const {
  return firstName(call.inputs[i]);
}

LogicalResult Dequantiser::expectShape(size_t i, ArrayRef<int64_t> expected,
                                       const llvm::Twine &why) {
  if (shapeOf(tensors[i]) == expected)
    return success();
  return error() << "tensor " << described(i) << " should be " << text(expected)
                 << why;
}

LogicalResult Dequantiser::expectType(size_t i, bool holds,
                                      StringRef expected) {
  if (holds)
    return success();
  return error() << "expected " << expected << " elements of tensor '"
                 << nameOf(i) << "', got " << tensors[i].getType();
}

FailureOr<int64_t> Dequantiser::integer(size_t i, StringRef what,
                                        int64_t least) {
  SpecValue value = call.inputs[i].asValue();
  double number = value.isNumber() ? value.asDouble() : NAN;
  if (number >= least && number <= maxAxisSize && number == std::floor(number))
    return static_cast<int64_t>(number);
  return error() << "expected " << what << ", got " << value.describe();
}

//===----------------------------------------------------------------------===//
// Scales and their blocks
//===----------------------------------------------------------------------===//

FailureOr<mlir::Value> Dequantiser::scalesOf(size_t i) {
  mlir::Value scales = tensors[i];
  Type type = shaped(scales).getElementType();
  if (type.isUnsignedInteger(8))
    return bitcast(scales, Float8E8M0FNUType::get(builder.getContext()));
  if (failed(expectType(i,
                        type.isF32() || type.isBF16() || type.isF16() ||
                            isa<Float8E8M0FNUType>(type),
                        "F32, BF16, F16, F8_E8M0 or U8")))
    return failure();
  return scales;
}

/// A number for everything, or for each place along the first axes, as a tensor
/// with more axes.
SmallVector<int64_t> dequantise::alignedShape(ArrayRef<int64_t> whole,
                                              ArrayRef<int64_t> scales) {
  if (ShapedType::getNumElements(scales) == 1)
    return SmallVector<int64_t>(whole.size(), 1);
  SmallVector<int64_t> shape(scales);
  bool isOfFirstAxes =
      shape.size() < whole.size() && llvm::all_of(
                                         llvm::zip(shape, whole),
                                         [](auto sizes) {
                                           auto [scale, size] = sizes;
                                           return scale == size || scale == 1;
                                         });
  if (isOfFirstAxes)
    shape.resize(whole.size(), 1);
  return shape;
}

FailureOr<SmallVector<int64_t>>
Dequantiser::blocksOf(ArrayRef<int64_t> whole, size_t i, mlir::Value &scales) {
  SmallVector<int64_t> shape = alignedShape(whole, shapeOf(scales)), block;
  bool fits = shape.size() == whole.size() && !whole.empty();
  for (size_t axis = 0; fits && axis < shape.size(); ++axis) {
    fits = whole[axis] % shape[axis] == 0;
    block.push_back(whole[axis] / shape[axis]);
  }
  if (!fits)
    return error() << "tensor " << described(i)
                   << " does not divide a tensor of " << text(whole)
                   << " into blocks, and no size of a block is given";
  scales = reshape(scales, shape);
  return block;
}

FailureOr<SmallVector<int64_t>>
Dequantiser::blocksOfSize(ArrayRef<int64_t> whole, size_t i,
                          mlir::Value &scales, const SpecValue &size) {
  if (!size.is(SpecValue::Kind::List))
    return blocksOf(whole, i, scales);
  // The last axes have blocks.
  size_t given = size.elements.size();
  SmallVector<int64_t> block(whole.size(), 1), expected;
  bool isValid = given <= whole.size() && given > 0;
  for (size_t axis = 0; isValid && axis < given; ++axis) {
    const SpecValue &element = size.elements[axis];
    isValid = element.is(SpecValue::Kind::Int) && element.dim.size > 0;
    block[whole.size() - given + axis] = element.dim.size;
  }
  if (!isValid)
    return error() << "expected positive sizes of a block for the last axes of "
                   << text(whole) << ", got " << size.describe();
  for (auto [extent, step] : llvm::zip_equal(whole, block))
    expected.push_back(llvm::divideCeil(extent, step));
  if (alignedShape(whole, shapeOf(scales)) != expected)
    return error() << "tensor " << described(i) << " should be "
                   << text(expected) << ", a scale for each block of "
                   << text(block) << " of " << text(whole)
                   << ", as the configuration says";
  scales = reshape(scales, expected);
  return block;
}
