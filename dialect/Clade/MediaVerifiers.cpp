//===- MediaVerifiers.cpp - Checks of what concerns images ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each check is marked with the constraint of the op's description that it
// enforces; constraints without a mark are those of types and attributes.
//
//===----------------------------------------------------------------------===//

#include "dialect/Clade/CladeDialect.h"

using namespace mlir;
using namespace clade;

LogicalResult GridPositionsOp::verify() {
  // grid_positions_c1
  NamedTensorType type = getResult().getType();
  if (type.getRank() != 2 || type.getNames()[0] != tokenAxis ||
      type.getShape()[1] != 2 || !type.getElementType().isInteger(32))
    return emitOpError() << "expected a result of two i32 for each token, got "
                         << type;
  return success();
}

LogicalResult GridFramesOp::verify() {
  // grid_frames_c1
  NamedTensorType type = getFrame().getType();
  if (type.getRank() != 1 || type.getNames()[0] != tokenAxis ||
      !type.getElementType().isInteger(32))
    return emitOpError() << "expected results of an i32 for each token, got "
                         << type;
  return success();
}

LogicalResult GridWindowsOp::verify() {
  // grid_windows_c1
  NamedTensorType type = getResult().getType();
  if (type.getRank() != 1 || type.getNames()[0] != tokenAxis ||
      !type.getElementType().isInteger(32))
    return emitOpError() << "expected a result of an i32 for each token, got "
                         << type;
  return success();
}

LogicalResult InterpolateOp::verify() {
  // interpolate_c1
  NamedTensorType table = getTable().getType(), result = getResult().getType();
  if (table.getRank() < 3 || table.hasSequence() ||
      ShapedType::isDynamic(table.getNumFeatures()))
    return emitOpError()
           << "expected a table of rows, columns and features, got " << table;
  // interpolate_c2
  if (result.getRank() + 1 != table.getRank() ||
      result.getNames()[0] != tokenAxis ||
      result.getNames().drop_front() != table.getNames().drop_front(2) ||
      result.getShape().drop_front() != table.getShape().drop_front(2) ||
      !result.getElementType().isF32())
    return emitOpError() << "expected the features of " << table
                         << " in f32 for each token, got " << result;
  return success();
}

LogicalResult FoldOp::verify() {
  // fold_c1
  NamedTensorType input = getInput().getType(), result = getResult().getType();
  if (input.getRank() == 0 || result.getRank() != input.getRank() + 1 ||
      input.getNames()[0] != tokenAxis ||
      result.getNames()[0] != selectedAxis || result.isDynamic(1) ||
      getTimes() < 1 ||
      input.getNames().drop_front() != result.getNames().drop_front(2) ||
      input.getShape().drop_front() != result.getShape().drop_front(2))
    return emitOpError() << "expected 'selected' and another axis in the place "
                            "of 'token', got "
                         << input << " and " << result;
  // fold_c2
  if (input.getElementType() != result.getElementType())
    return emitOpError() << "expected one element type, got " << input
                         << " and " << result;
  return success();
}

LogicalResult AdapterChoiceOp::verify() {
  NamedTensorType type = getResult().getType();
  bool isNumbers = type.getRank() == 2 && type.getNames()[0] == tokenAxis &&
                   type.getElementType().isInteger(32);
  // adapter_choice_c1
  if (!getChosen() && (!isNumbers || type.getShape()[1] != 1))
    return emitOpError() << "expected one i32 for each token, got " << type;
  // adapter_choice_c2
  if (getChosen() &&
      (!isNumbers || getChosen().getType() != type || getExperts() < 1))
    return emitOpError() << "expected numbers of " << getExperts()
                         << " experts of the type of the result, got "
                         << getChosen().getType() << " and " << type;
  return success();
}

LogicalResult PutAtOp::verify() {
  // put_at_c1
  NamedTensorType type = getInput().getType();
  int64_t features = type.getNumFeatures();
  if (type.getRank() < 2 || type.getNames()[0] != tokenAxis ||
      ShapedType::isDynamic(features))
    return emitOpError() << "expected features of each token, got " << type;
  // put_at_c2
  int64_t from = getFrom(), width = getWidth();
  if (from < 0 || features > width || from > width - features)
    return emitOpError() << "expected " << features << " values in rows of "
                         << width << ", got them from " << from;
  // put_at_c3
  if (getTokens().empty() ||
      llvm::any_of(getTokens(), [](int32_t token) { return token < 0; }))
    return emitOpError() << "expected tokens from 0, got [" << getTokens()
                         << "]";
  return success();
}
