//===- CladeFolds.cpp - Local simplifications -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Only what keeps every bit of the result: no fold removes a rounding.
//
//===----------------------------------------------------------------------===//

#include "dialect/Clade/CladeDialect.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace clade;

/// Whether every value of float type `from` is one of float type `to`.
static bool holds(Type to, Type from) {
  auto narrow = dyn_cast<FloatType>(from), wide = dyn_cast<FloatType>(to);
  return narrow && wide &&
         llvm::APFloat::isRepresentableBy(narrow.getFloatSemantics(),
                                          wide.getFloatSemantics());
}

OpFoldResult CastOp::fold(FoldAdaptor) {
  if (getInput().getType() == getResult().getType())
    return getInput();
  // round(f32(x)) is x: widening is exact.
  if (auto inner = getInput().getDefiningOp<CastOp>())
    if (inner.getInput().getType() == getResult().getType() &&
        holds(getInput().getType().getElementType(),
              getResult().getType().getElementType()))
      return inner.getInput();
  return {};
}

OpFoldResult ViewOp::fold(FoldAdaptor) {
  if (getInput().getType() == getResult().getType())
    return getInput();
  if (auto inner = getInput().getDefiningOp<ViewOp>()) {
    getInputMutable().assign(inner.getInput());
    return getResult();
  }
  return {};
}

OpFoldResult SliceOp::fold(FoldAdaptor) {
  if (getInput().getType() == getResult().getType())
    return getInput();
  return {};
}

/// x · 1, x / 1, x + 0 and x − 0 are x, bit for bit but for the sign of a zero
/// sum, which no op tells apart.
OpFoldResult BinaryOp::fold(FoldAdaptor) {
  auto constant = getRhs().getDefiningOp<ConstantOp>();
  if (!constant || getLhs().getType() != getResult().getType())
    return {};
  double value = constant.getValue().convertToDouble();
  bool scales = getKind() == BinaryKind::Mul || getKind() == BinaryKind::Div;
  bool adds = getKind() == BinaryKind::Add || getKind() == BinaryKind::Sub;
  if ((scales && value == 1.0) || (adds && value == 0.0))
    return getLhs();
  return {};
}

/// join(x[0 .. a], x[a .. b], …) is x[0 .. b]: what a family takes apart and
/// puts together again without a change is never copied.
LogicalResult JoinOp::canonicalize(JoinOp op, PatternRewriter &rewriter) {
  NamedTensorType type = op.getResult().getType();
  if (type.getRank() != type.getNumSequenceAxes() + 1)
    return failure();
  SliceOp first;
  int64_t end = 0;
  for (Value input : op.getInputs()) {
    while (auto view = input.getDefiningOp<ViewOp>())
      input = view.getInput();
    auto slice = input.getDefiningOp<SliceOp>();
    if (!slice)
      return failure();
    int64_t begin = slice.getBegin();
    if (!first) {
      // Of a tensor with one feature axis: parts that follow one another.
      NamedTensorType whole = slice.getInput().getType();
      if (whole.getRank() != whole.getNumSequenceAxes() + 1)
        return failure();
      first = slice;
    } else if (slice.getInput() != first.getInput() || begin != end) {
      return failure();
    }
    end = begin + slice.getResult().getType().getShape().back();
  }
  rewriter.replaceOpWithNewOp<SliceOp>(op, type, first.getInput(),
                                       first.getAxis(), first.getBegin());
  return success();
}
