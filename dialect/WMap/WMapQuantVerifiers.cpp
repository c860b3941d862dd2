//===- WMapQuantVerifiers.cpp - Verifiers of WMapQuantOps.td --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/WMap/WMapDialect.h"

#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;
using namespace clade::wmap;

static constexpr size_t maxConstants = 256;

static RankedTensorType shapedType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// Bits of an element, or 0 if that type has none.
static unsigned widthOf(RankedTensorType type) {
  Type element = type.getElementType();
  return element.isIntOrFloat() ? element.getIntOrFloatBitWidth() : 0;
}

static bool isInteger(Type type, bool isSigned, unsigned width) {
  auto integer = dyn_cast<IntegerType>(type);
  return integer && integer.getWidth() == width &&
         (isSigned ? integer.isSigned() : integer.isUnsigned());
}

LogicalResult ConstantOp::verify() {
  RankedTensorType type = shapedType(getResult());
  size_t count = getValues().size();
  // constant_c2
  if (count > maxConstants ||
      llvm::any_of(getValues(), [](float x) { return !std::isfinite(x); }))
    return emitOpError() << "expected at most " << maxConstants
                         << " finite numbers, got " << count;
  // constant_c1
  if (!type.getElementType().isF32() ||
      type.getNumElements() != static_cast<int64_t>(count))
    return emitOpError() << "expected f32 elements for " << count
                         << " numbers, got " << type;
  return success();
}

bool BitcastOp::keepsWidth() {
  return widthOf(shapedType(getInput())) == widthOf(shapedType(getResult()));
}

LogicalResult BitcastOp::verify() {
  RankedTensorType input = shapedType(getInput()),
                   result = shapedType(getResult());
  unsigned from = widthOf(input), to = widthOf(result);
  // bitcast_c1
  if (from == 0 || to == 0 || from % to != 0)
    return emitOpError() << "expected elements of " << input
                         << " to divide into those of " << result;
  // bitcast_c2
  SmallVector<int64_t> shape(input.getShape());
  bool fits = true;
  if (from != to)
    fits = !shape.empty() &&
           !llvm::MulOverflow<int64_t>(shape.back(), from / to, shape.back());
  if (!fits || ArrayRef(shape) != result.getShape())
    return emitOpError() << "expected the last size of " << input << " times "
                         << from / to << ", got " << result;
  // bitcast_c3
  if (getHighFirst() &&
      !isInteger(result.getElementType(), /*isSigned=*/false, 4))
    return emitOpError() << "expected elements ui4 with 'high_first', got "
                         << result;
  return success();
}

/// The common rules of scale, subtract and divide.
static LogicalResult verifyBlockwise(Operation *op, ArrayRef<int64_t> block) {
  RankedTensorType input = shapedType(op->getOperand(0)),
                   numbers = shapedType(op->getOperand(1)),
                   result = shapedType(op->getResult(0));
  // scale_c1, subtract_c1, divide_c1
  if (input.getRank() == 0 ||
      static_cast<int64_t>(block.size()) != input.getRank() ||
      llvm::any_of(block, [](int64_t size) { return size < 1; }))
    return op->emitOpError()
           << "expected a positive size of a block for each axis of " << input
           << ", got [" << block << "]";
  // scale_c2, subtract_c2, divide_c2
  SmallVector<int64_t> blocks;
  for (auto [size, step] : llvm::zip_equal(input.getShape(), block))
    blocks.push_back(static_cast<int64_t>(llvm::divideCeil(size, step)));
  if (ArrayRef(blocks) != numbers.getShape())
    return op->emitOpError()
           << "expected a number for each block: [" << blocks << "] for "
           << input << " in blocks of [" << block << "], got " << numbers;
  // scale_c3, subtract_c3, divide_c3
  if (result.getShape() != input.getShape() || !result.getElementType().isF32())
    return op->emitOpError() << "expected f32 elements in the sizes of "
                             << input << ", got " << result;
  return success();
}

LogicalResult ScaleOp::verify() { return verifyBlockwise(*this, getBlock()); }

LogicalResult SubtractOp::verify() {
  return verifyBlockwise(*this, getBlock());
}

LogicalResult DivideOp::verify() { return verifyBlockwise(*this, getBlock()); }

LogicalResult GatherOp::verify() {
  RankedTensorType table = shapedType(getTable()),
                   index = shapedType(getIndex()),
                   result = shapedType(getResult());
  Type type = index.getElementType();
  bool isIndex = isInteger(type, /*isSigned=*/true, 32) ||
                 isInteger(type, /*isSigned=*/true, 64);
  bool isCodes = isInteger(type, /*isSigned=*/false, 4) ||
                 isInteger(type, /*isSigned=*/false, 8);
  // gather_c1
  if (!isCodes && !(isIndex && index.getRank() > 0))
    return emitOpError()
           << "expected an index si32 or si64 with an axis, or codes ui4 or "
              "ui8, got "
           << index;
  // gather_c4
  if (table.getRank() == 0)
    return emitOpError() << "expected a table with an axis, got " << table;
  if (isIndex) {
    // gather_c2
    int64_t axis = index.getRank() - 1;
    SmallVector<int64_t> shape(index.getShape());
    bool isOfTables =
        table.getRank() > axis &&
        table.getShape().take_front(axis) == index.getShape().take_front(axis);
    if (isOfTables)
      llvm::append_range(shape, table.getShape().drop_front(axis + 1));
    if (!isOfTables || ArrayRef(shape) != result.getShape() ||
        result.getElementType() != table.getElementType())
      return emitOpError() << "expected " << index.getShape().back()
                           << " rows of " << table << " by " << index
                           << ", got " << result;
    return success();
  }
  // gather_c3
  int64_t codes = int64_t(1) << widthOf(index);
  if (!table.getElementType().isF32() || table.getRank() != 1 ||
      table.getDimSize(0) != codes || !result.getElementType().isF32() ||
      result.getShape() != index.getShape())
    return emitOpError() << "expected a table of " << codes
                         << " f32 values and f32 results in the sizes of "
                         << index << ", got " << table << " and " << result;
  return success();
}
