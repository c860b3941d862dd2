//===- WMapDialect.cpp - Definitions and verifiers of wmap ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/WMap/WMapDialect.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace clade::wmap;

#include "dialect/WMap/WMapDialect.cpp.inc"

#define GET_OP_CLASSES
#include "dialect/WMap/WMapOps.cpp.inc"

void WMapDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialect/WMap/WMapOps.cpp.inc"
      >();
}

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

LogicalResult FuncOp::verify() {
  // func_c1
  auto ret = dyn_cast<ReturnOp>(getBody().front().getTerminator());
  if (!ret || ret.getValue().getType() != getResultType())
    return emitOpError() << "expected a wmap.return of " << getResultType();
  return success();
}

LogicalResult ConcatOp::verify() {
  RankedTensorType result = typeOf(getResult());
  int64_t axis = getAxis(), total = 0;
  if (getInputs().empty() || axis < 0 || axis >= result.getRank())
    return emitOpError() << "expected operands and an axis of " << result << ", got axis " << axis;
  for (Value input : getInputs()) {
    // concat_c1
    RankedTensorType type = typeOf(input);
    SmallVector<int64_t> shape(type.getShape());
    if (axis < static_cast<int64_t>(shape.size())) {
      total += shape[axis];
      shape[axis] = result.getShape()[axis];
    }
    if (ArrayRef(shape) != result.getShape() || type.getElementType() != result.getElementType())
      return emitOpError() << "expected " << type << " to agree with " << result << " in all but axis " << axis;
  }
  // concat_c2
  if (total != result.getShape()[axis])
    return emitOpError() << "expected axis " << axis << " of the result to be " << total << ", got " << result;
  return success();
}

LogicalResult SliceOp::verify() {
  RankedTensorType input = typeOf(getInput()), result = typeOf(getResult());
  int64_t axis = getAxis();
  if (axis < 0 || axis >= input.getRank() || result.getRank() != input.getRank())
    return emitOpError() << "expected an axis of " << input << ", got " << axis;
  // slice_c1
  int64_t size = result.getShape()[axis];
  int64_t begin = getBegin();
  if (begin < 0 || begin + size > input.getShape()[axis])
    return emitOpError() << "expected a range inside " << input.getShape()[axis] << ", got " << begin << " to "
                         << begin + size;
  // slice_c2
  SmallVector<int64_t> shape(input.getShape());
  shape[axis] = size;
  if (ArrayRef(shape) != result.getShape() || input.getElementType() != result.getElementType())
    return emitOpError() << "expected " << result << " to differ from " << input << " in axis " << axis << " only";
  return success();
}

LogicalResult TransposeOp::verify() {
  RankedTensorType input = typeOf(getInput()), result = typeOf(getResult());
  // transpose_c1
  SmallVector<int64_t> sorted(getPermutation());
  llvm::sort(sorted);
  if (!llvm::equal(sorted, llvm::seq<int64_t>(0, input.getRank())))
    return emitOpError() << "expected a permutation of " << input.getRank() << " axes, got [" << getPermutation()
                         << "]";
  // transpose_c2
  SmallVector<int64_t> shape;
  for (int64_t axis : getPermutation())
    shape.push_back(input.getShape()[axis]);
  if (ArrayRef(shape) != result.getShape() || input.getElementType() != result.getElementType())
    return emitOpError() << "expected the sizes of " << input << " permuted, got " << result;
  return success();
}

LogicalResult ReshapeOp::verify() {
  RankedTensorType input = typeOf(getInput()), result = typeOf(getResult());
  if (input.getNumElements() != result.getNumElements() || input.getElementType() != result.getElementType())
    return emitOpError() << "expected as many elements of one type, got " << input << " and " << result;
  return success();
}

LogicalResult CastOp::verify() {
  RankedTensorType input = typeOf(getInput()), result = typeOf(getResult());
  if (input.getShape() != result.getShape() || !isa<FloatType>(input.getElementType()) ||
      !isa<FloatType>(result.getElementType()))
    return emitOpError() << "expected float types of the same sizes, got " << input << " and " << result;
  return success();
}

bool CastOp::isLossy() {
  auto from = cast<FloatType>(typeOf(getInput()).getElementType());
  auto to = cast<FloatType>(typeOf(getResult()).getElementType());
  return !llvm::APFloat::isRepresentableBy(from.getFloatSemantics(), to.getFloatSemantics());
}

/// The rule of ops that keep the type.
static LogicalResult expectOneType(Operation *op) {
  if (op->getOperand(0).getType() == op->getResult(0).getType())
    return success();
  return op->emitOpError() << "expected operand and result of one type, got " << op->getOperand(0).getType()
                           << " and " << op->getResult(0).getType();
}

LogicalResult ShiftOp::verify() { return expectOneType(*this); }

LogicalResult UnitRowsOp::verify() {
  if (typeOf(getInput()).getRank() != 2)
    return emitOpError() << "expected a matrix, got " << getInput().getType();
  return expectOneType(*this);
}

LogicalResult RopeUnpermuteOp::verify() {
  RankedTensorType input = typeOf(getInput());
  // rope_unpermute_c2
  int64_t heads = getHeads();
  if (input.getRank() < 1 || heads < 1 || input.getShape()[0] % (2 * heads) != 0)
    return emitOpError() << "expected the rows of " << input << " to divide into " << heads << " heads of even size";
  // rope_unpermute_c1
  return expectOneType(*this);
}

LogicalResult PackOp::verify() {
  RankedTensorType input = typeOf(getInput()), result = typeOf(getResult());
  int64_t rows = getRows(), inner = getInner();
  // pack_c1
  if (input.getRank() != 2 || rows < 1 || inner < 1)
    return emitOpError() << "expected a matrix and positive panel sizes, got " << input;
  // pack_c2
  SmallVector<int64_t> shape{static_cast<int64_t>(llvm::divideCeil(input.getShape()[0], rows)),
                             static_cast<int64_t>(llvm::divideCeil(input.getShape()[1], inner)), rows, inner};
  if (ArrayRef(shape) != result.getShape() || input.getElementType() != result.getElementType())
    return emitOpError() << "expected panels of " << rows << " rows and " << inner << " columns of " << input
                         << ", got " << result;
  return success();
}
