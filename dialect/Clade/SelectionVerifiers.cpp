//===- SelectionVerifiers.cpp - Checks of the ops that choose -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Clade/Verification.h"

using namespace mlir;
using namespace clade;

/// Whether the last axis is a feature axis of known size.
static bool hasSizedLast(NamedTensorType type) {
  return type.getRank() > type.getNumSequenceAxes() &&
         !ShapedType::isDynamic(type.getShape().back());
}

/// Whether two types agree in all axes but the last.
static bool agreeBeforeLast(NamedTensorType a, NamedTensorType b) {
  return a.getRank() == b.getRank() && a.getRank() > 0 &&
         a.getNames().drop_back() == b.getNames().drop_back() &&
         a.getShape().drop_back() == b.getShape().drop_back();
}

LogicalResult TopKOp::verify() {
  NamedTensorType input = getInput().getType(), values = getValues().getType(),
                  indices = getIndices().getType();
  // top_k_c1
  if (!hasSizedLast(input))
    return emitOpError() << "expected a last axis with a size to choose from, "
                            "got "
                         << input;
  // top_k_c2
  int64_t size = input.getShape().back();
  if (!agreeBeforeLast(input, values) || !hasSizedLast(values) ||
      values.getShape().back() < 1 || values.getShape().back() > size)
    return emitOpError() << "expected values that differ from " << input
                         << " in the last axis, of size 1 to " << size
                         << ", got " << values;
  // top_k_c3
  if (indices.getNames() != values.getNames() ||
      indices.getShape() != values.getShape() ||
      !indices.getElementType().isInteger(32))
    return emitOpError() << "expected i32 indices with the axes of " << values
                         << ", got " << indices;
  // top_k_c4
  if (values.getElementType() != input.getElementType())
    return emitOpError() << "expected values of type " << input.getElementType()
                         << ", got " << values;
  return success();
}

LogicalResult GatherOp::verify() {
  NamedTensorType input = getInput().getType(),
                  indices = getIndices().getType(),
                  result = getResult().getType();
  // gather_c5
  if (failed(expectDistinctAxes(*this, {input, indices})))
    return failure();
  // gather_c1
  int64_t place = input.find(getAxis());
  if (place < input.getNumSequenceAxes() ||
      ShapedType::isDynamic(input.getShape()[place]))
    return emitOpError() << "expected '" << getAxis()
                         << "' to be a feature axis with a size of " << input;
  // gather_c2
  for (int64_t axis = 0; axis < input.getRank(); ++axis) {
    int64_t other = indices.find(input.getNames()[axis].getValue());
    if (axis != place && (other < 0 || differ(input.getShape()[axis],
                                              indices.getShape()[other])))
      return emitOpError() << "expected axis '"
                           << input.getNames()[axis].getValue() << "' of "
                           << input << " in the indices " << indices;
  }
  // gather_c3
  if (!indices.getElementType().isInteger(32))
    return emitOpError() << "expected indices of type i32, got " << indices;
  // gather_c4
  if (result != indices.withElementType(input.getElementType()))
    return emitOpError() << "expected a result of type "
                         << indices.withElementType(input.getElementType())
                         << ", got " << result;
  return success();
}

LogicalResult MemberOp::verify() {
  NamedTensorType indices = getIndices().getType(),
                  result = getResult().getType();
  // member_c1
  if (!indices.getElementType().isInteger(32) || !hasSizedLast(indices))
    return emitOpError()
           << "expected i32 indices along a feature axis with a size, got "
           << indices;
  // member_c2
  if (!agreeBeforeLast(indices, result) ||
      !result.getElementType().isInteger(1))
    return emitOpError() << "expected an i1 result that differs from "
                         << indices << " in the last axis, got " << result;
  // member_c3
  if (!hasSizedLast(result))
    return emitOpError() << "expected a last axis with a size, got " << result;
  return success();
}

LogicalResult WhereOp::verify() {
  NamedTensorType condition = getCondition().getType(),
                  onTrue = getOnTrue().getType(),
                  onFalse = getOnFalse().getType(),
                  result = getResult().getType();
  // where_c1
  for (NamedTensorType operand : {condition, onTrue, onFalse})
    if (!containsAxes(result, operand))
      return emitOpError() << "expected every axis of " << operand
                           << " in the result " << result;
  // where_c2
  for (StringAttr name : result.getNames())
    if (condition.find(name) < 0 && onTrue.find(name) < 0 &&
        onFalse.find(name) < 0)
      return emitOpError() << "expected axis '" << name.getValue()
                           << "' of the result in an operand, got " << condition
                           << ", " << onTrue << " and " << onFalse;
  // where_c3
  if (!condition.getElementType().isInteger(1))
    return emitOpError() << "expected a condition of type i1, got "
                         << condition;
  // where_c4
  return expectDistinctAxes(*this, {condition, onTrue, onFalse, result});
}
