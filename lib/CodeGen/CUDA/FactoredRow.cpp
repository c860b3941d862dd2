//===- FactoredRow.cpp - Norms as factors of a row ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/FactoredRow.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;

/// The same numbers, whatever their type and axes.
static Value plain(Value value) {
  while (isa_and_nonnull<CastOp, ViewOp>(value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  return value;
}

static NamedTensorType typeOf(Value value) {
  return dyn_cast<NamedTensorType>(value.getType());
}

/// Whether a value is computed, number by number, from values that `isLeaf`
/// accepts and from constants.
static bool isElementwise(Value value, llvm::function_ref<bool(Value)> isLeaf) {
  if (isLeaf(value))
    return true;
  Operation *op = value.getDefiningOp();
  return isa_and_nonnull<ConstantOp, UnaryOp, BinaryOp, CastOp, ViewOp>(op) &&
         llvm::all_of(op->getOperands(), [&](Value operand) {
           return isElementwise(operand, isLeaf);
         });
}

/// The x of a sum or mean of x² over all features, or null.
static BlockArgument squaredRow(ReduceOp reduce) {
  auto product = plain(reduce.getInput()).getDefiningOp<BinaryOp>();
  if (reduce.getKind() == ReduceKind::Max || !product ||
      product.getKind() != BinaryKind::Mul ||
      plain(product.getLhs()) != plain(product.getRhs()))
    return {};
  return dyn_cast<BlockArgument>(plain(product.getLhs()));
}

std::optional<FactoredRow> FactoredRow::of(LinearOp linear) {
  int64_t k = linear.getNumInputs();
  FactoredRow result;
  SmallVector<Value> open{linear.getInput()};
  while (!open.empty()) {
    Value value = plain(open.pop_back_val());
    NamedTensorType type = typeOf(value);
    if (!type)
      return std::nullopt;
    auto binary = value.getDefiningOp<BinaryOp>();
    if (type.hasSequence() && type.getNumFeatures() == 1 && k > 1) {
      if (result.factor)
        return std::nullopt;
      result.factor = value;
    } else if (binary && binary.getKind() == BinaryKind::Mul) {
      open.append({binary.getLhs(), binary.getRhs()});
    } else {
      result.columns.push_back(value);
    }
  }
  if (!result.factor || result.columns.empty())
    return std::nullopt;
  bool isOfSquares = isElementwise(result.factor, [&](Value value) {
    auto reduce = value.getDefiningOp<ReduceOp>();
    if (!reduce || (result.squares && result.squares != reduce))
      return false;
    result.squares = reduce;
    return true;
  });
  if (!isOfSquares || !result.squares)
    return std::nullopt;
  result.row = squaredRow(result.squares);
  if (!result.row || !typeOf(result.row).hasSequence() ||
      typeOf(result.row).getNumFeatures() != k ||
      linear.getInput().getType().getNumFeatures() != k)
    return std::nullopt;
  bool isOfRow = llvm::all_of(result.columns, [&](Value column) {
    return isElementwise(column, [&](Value value) {
      NamedTensorType type = typeOf(value);
      bool isGain = isa<BlockArgument>(value) || value.getDefiningOp<ParamOp>();
      return value == result.row || (isGain && type && !type.hasSequence() &&
                                     type.getNumFeatures() == k);
    });
  });
  return isOfRow ? std::optional(result) : std::nullopt;
}
