//===- CheckArithmetic.cpp - Operators ------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/FamilyChecker.h"

#include <cmath>

using namespace clade;
using namespace clade::check;
using Op = spec::BinaryOp;

Type FamilyChecker::evalBinary(const spec::BinaryExpr *expr, Frame &frame) {
  Type lhs = eval(expr->lhs, frame);
  bool isLogic = expr->op == Op::And || expr->op == Op::Or;
  if (!isLogic)
    return arithmetic(expr->op, lhs, eval(expr->rhs, frame), expr->getLoc());
  // The right side is not evaluated where the left decides.
  bool decides = lhs.truth == (expr->op == Op::Or);
  dead += decides;
  branches += !lhs.truth;
  Type rhs = eval(expr->rhs, frame);
  branches -= !lhs.truth;
  dead -= decides;
  return decides ? lhs : logic(expr->op, lhs, rhs, expr->getLoc());
}

Type FamilyChecker::logic(Op op, const Type &lhs, const Type &rhs,
                          Location loc) {
  for (const Type *side : {&lhs, &rhs})
    if (!side->mayBe(Type::Kind::Bool) && !side->mayBeTensor() &&
        !side->is(Type::Kind::Mask))
      return error(loc, "expected true or false on both sides of '" +
                            spec::spelling(op) + "', got " + lhs.describe() +
                            " and " + rhs.describe());
  if (lhs.isUnknown() || rhs.isUnknown())
    return Type::unknown();
  bool anyTensor = lhs.isTensor() || rhs.isTensor();
  bool anyMask = lhs.is(Type::Kind::Mask) || rhs.is(Type::Kind::Mask);
  if (anyTensor && anyMask)
    return Type::unknown();
  if (lhs.is(Type::Kind::Mask) && rhs.is(Type::Kind::Mask))
    return lhs;
  if (lhs.isTensor() && rhs.isTensor())
    return broadcast(lhs, rhs, /*outer=*/false, loc);
  if (anyTensor || !lhs.mayBe(Type::Kind::Bool) || !rhs.mayBe(Type::Kind::Bool))
    return error(loc, "expected true or false on both sides of '" +
                          spec::spelling(op) + "', got " + lhs.describe() +
                          " and " + rhs.describe());
  if (!lhs.truth || !rhs.truth)
    // 'x or true' is true, 'x and false' false.
    return Type::boolean(rhs.truth == (op == Op::Or) ? rhs.truth
                                                     : std::nullopt);
  return Type::boolean(op == Op::And ? *lhs.truth && *rhs.truth
                                     : *lhs.truth || *rhs.truth);
}

/// Whether two values are equal, if that is the same in every configuration.
static std::optional<bool> areEqual(const Type &lhs, const Type &rhs) {
  bool anyNone = lhs.is(Type::Kind::None) || rhs.is(Type::Kind::None);
  if (anyNone && lhs.kind == rhs.kind)
    return true;
  if (anyNone && !lhs.is(Type::Kind::Config) && !rhs.is(Type::Kind::Config))
    return false;
  if (lhs.number && rhs.number)
    return *lhs.number == *rhs.number;
  if (lhs.text && rhs.text)
    return *lhs.text == *rhs.text;
  if (lhs.truth && rhs.truth)
    return *lhs.truth == *rhs.truth;
  return std::nullopt;
}

static bool isComparison(Op op) {
  return op == Op::Less || op == Op::Greater || op == Op::LessEqual ||
         op == Op::GreaterEqual || op == Op::Divides;
}

Type FamilyChecker::arithmetic(Op op, const Type &lhs, const Type &rhs,
                               Location loc) {
  if (op == Op::In) {
    if (!rhs.mayBe(Type::Kind::List))
      return error(loc, "expected a list after 'in', got " + rhs.describe());
    return lhs.isConfigValue() ? Type::boolean() : Type::unknown();
  }
  if (lhs.isTensor() || rhs.isTensor())
    return broadcast(lhs, rhs, /*outer=*/false, loc);
  bool isEquality = op == Op::Equal || op == Op::NotEqual;
  if (lhs.isUnknown() || rhs.isUnknown()) {
    for (const Type *side : {&lhs, &rhs})
      if (!isEquality && !side->isUnknown() &&
          !side->mayBe(Type::Kind::Number) &&
          !(op == Op::Add && side->mayBe(Type::Kind::List)))
        return error(loc,
                     "expected a tensor or a number, got " + side->describe());
    return Type::unknown();
  }
  if (isEquality) {
    std::optional<bool> equal = areEqual(lhs, rhs);
    return Type::boolean(equal ? std::optional(*equal == (op == Op::Equal))
                               : std::nullopt);
  }
  bool anyList = lhs.is(Type::Kind::List) || rhs.is(Type::Kind::List);
  if (op == Op::Add && anyList && lhs.mayBe(Type::Kind::List) &&
      rhs.mayBe(Type::Kind::List))
    return sumOfShapes(lhs, rhs, loc);
  return numeric(op, lhs, rhs, loc);
}

/// '[a, b] + [c]' as one axis that can be split.
Type FamilyChecker::sumOfShapes(const Type &lhs, const Type &rhs,
                                Location loc) {
  std::vector<Axes> parts;
  for (const Type *side : {&lhs, &rhs}) {
    std::optional<Axes> shape = shapeOf(*side, loc);
    if (!shape)
      return Type::listOf(Type::unknown());
    if (shape->size() == 1 && shape->front().isSum())
      llvm::append_range(parts, shape->front().parts);
    else
      parts.push_back(std::move(*shape));
  }
  std::optional<Axis> sum = sumOf(std::move(parts));
  return sum ? Type::list({Type::size(std::move(*sum))})
             : Type::listOf(Type::unknown());
}

static std::optional<double> compute(Op op, double a, double b) {
  switch (op) {
  case Op::Add:
    return a + b;
  case Op::Sub:
    return a - b;
  case Op::Mul:
    return a * b;
  case Op::Div:
    return a / b;
  case Op::Pow:
    return std::pow(a, b);
  default:
    return std::nullopt;
  }
}

static std::optional<bool> compare(Op op, double a, double b) {
  switch (op) {
  case Op::Less:
    return a < b;
  case Op::Greater:
    return a > b;
  case Op::LessEqual:
    return a <= b;
  case Op::GreaterEqual:
    return a >= b;
  default:
    return std::nullopt;
  }
}

Type FamilyChecker::numeric(Op op, const Type &lhs, const Type &rhs,
                            Location loc) {
  if (!lhs.mayBe(Type::Kind::Number) || !rhs.mayBe(Type::Kind::Number))
    return error(loc, "expected numbers on both sides of '" +
                          spec::spelling(op) + "', got " + lhs.describe() +
                          " and " + rhs.describe());
  bool constants = lhs.number && rhs.number;
  if (isComparison(op))
    return Type::boolean(constants ? compare(op, *lhs.number, *rhs.number)
                                   : std::nullopt);
  if (constants && op == Op::Div && *rhs.number == 0)
    return error(loc, "division of " + lhs.describe() + " by zero");
  return Type::ofNumber(constants ? compute(op, *lhs.number, *rhs.number)
                                  : std::nullopt);
}

/// The axes of an operation on each element: one side's contain the other's.
Type FamilyChecker::broadcast(const Type &lhs, const Type &rhs, bool outer,
                              Location loc) {
  for (const Type *side : {&lhs, &rhs})
    if (!side->mayBeTensor() && !side->mayBe(Type::Kind::Number))
      return error(loc,
                   "expected a tensor or a number, got " + side->describe());
  if (lhs.isUnknown() || rhs.isUnknown())
    return lhs.isTensor() || rhs.isTensor() ? Type::tensor() : Type::unknown();
  if (!lhs.isTensor() && !rhs.isTensor())
    return error(loc, "expected a tensor, got " + lhs.describe() + " and " +
                          rhs.describe());
  std::optional<Axes> a = lhs.isTensor() ? lhs.axes : Axes();
  std::optional<Axes> b = rhs.isTensor() ? rhs.axes : Axes();
  if (!a || !b)
    return Type::tensor();
  if (contains(*a, *b))
    return Type::tensor(a);
  if (contains(*b, *a))
    return Type::tensor(b);
  if (!outer)
    return error(loc, "expected the axes of one side to contain those of the "
                      "other, got " +
                          toString(*a) + " and " + toString(*b) +
                          " (say outer(a, b), or spread one of them)");
  Axes axes = *a;
  llvm::copy_if(*b, std::back_inserter(axes),
                [&](const Axis &axis) { return !findAxis(*a, axis.name); });
  std::stable_partition(axes.begin(), axes.end(),
                        [](const Axis &axis) { return axis.name == "token"; });
  return Type::tensor(std::move(axes));
}
