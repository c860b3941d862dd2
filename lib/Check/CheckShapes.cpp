//===- CheckShapes.cpp - Lists as shapes, views ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/FamilyChecker.h"

#include <cmath>

using namespace clade;
using namespace clade::check;

/// The number as an axis that is named by its digits.
static std::optional<Axis> axisOfDigits(const Type &type) {
  bool isWhole = type.number && *type.number >= 0 && *type.number < 1e15 &&
                 *type.number == std::trunc(*type.number);
  if (!isWhole)
    return std::nullopt;
  return Axis{std::to_string(static_cast<int64_t>(*type.number)), {}};
}

/// An axis in a shape: a name for a bare name or number, a sum for '+', a
/// product or quotient named after its parts.
Type FamilyChecker::evalShapeElement(const spec::Expr *expr, Frame &frame) {
  Session::Level level(session);
  if (level.isTooDeep())
    return Type::unknown();
  if (auto *paren = dyn_cast<spec::ParenExpr>(expr))
    return evalShapeElement(paren->inner, frame);
  auto *binary = dyn_cast<spec::BinaryExpr>(expr);
  bool isSum = binary && binary->op == spec::BinaryOp::Add;
  bool isProduct = binary && (binary->op == spec::BinaryOp::Mul ||
                              binary->op == spec::BinaryOp::Div);
  if (isSum || isProduct)
    return evalShapeOperator(binary, frame);
  Type type = eval(expr, frame);
  bool isSize = type.is(Type::Kind::Number) || type.is(Type::Kind::Config);
  if (!isSize || type.axisName != AxisName::None)
    return type;
  auto *name = dyn_cast<spec::NameExpr>(expr);
  std::optional<Axis> axis =
      name ? Axis{name->name.str(), {}} : axisOfDigits(type);
  type.axisName = axis ? AxisName::Known : AxisName::Unknown;
  if (axis)
    type.axis = std::move(*axis);
  return type;
}

Type FamilyChecker::evalShapeOperator(const spec::BinaryExpr *expr,
                                      Frame &frame) {
  Type lhs = evalShapeElement(expr->lhs, frame);
  Type rhs = evalShapeElement(expr->rhs, frame);
  auto isSize = [](const Type &type) {
    return type.is(Type::Kind::Number) || type.is(Type::Kind::Config) ||
           (type.isUnknown() && type.axisName == AxisName::Known);
  };
  if (!isSize(lhs) || !isSize(rhs))
    return arithmetic(expr->op, lhs, rhs, expr->getLoc());
  Type result = Type::ofNumber();
  result.axisName = AxisName::Unknown;
  if (lhs.axisName != AxisName::Known || rhs.axisName != AxisName::Known)
    return result;
  if (expr->op != spec::BinaryOp::Add) {
    std::string name =
        (lhs.axis.name + spec::spelling(expr->op) + rhs.axis.name).str();
    return Type::size({std::move(name), {}});
  }
  auto partsOf = [](const Axis &axis) {
    return axis.isSum() ? axis.parts : std::vector<Axes>{{axis}};
  };
  std::vector<Axes> parts = partsOf(lhs.axis);
  llvm::append_range(parts, partsOf(rhs.axis));
  std::optional<Axis> sum = sumOf(std::move(parts));
  return sum ? Type::size(std::move(*sum)) : result;
}

Type FamilyChecker::evalList(const spec::ListExpr *expr, Frame &frame) {
  std::vector<Type> elements;
  bool hasLength = true;
  for (const spec::Arg &arg : expr->args) {
    if (arg.where)
      error(arg.where->getLoc(), "expected no 'where' in a list");
    Type type = evalShapeElement(arg.value, frame);
    if (arg.name) {
      if (!type.mayBe(Type::Kind::Number))
        type = error(arg.name->loc,
                     "expected a size to name, got " + type.describe());
      type = Type::size({arg.name->name.str(), {}});
      frame.vars[arg.name->name.str()] = type;
    }
    if (type.is(Type::Kind::List)) { // A shape inside a shape is spliced.
      hasLength &= type.hasLength;
      llvm::append_range(elements, type.elements);
      continue;
    }
    // It may be a shape, too.
    hasLength &= !type.isUnknown() || type.axisName == AxisName::Known;
    elements.push_back(std::move(type));
  }
  if (hasLength)
    return Type::list(std::move(elements));
  return Type::listOf(Type::unknown());
}

/// The axes that a size or a list stands for; nothing if they are not known, or
/// if it stands for none, which is reported.
std::optional<Axes> FamilyChecker::shapeOf(const Type &type, Location loc) {
  auto axisOf = [&](const Type &size) -> std::optional<Axis> {
    bool isSize = size.mayBe(Type::Kind::Number);
    bool isWhole = !size.number || *size.number == std::trunc(*size.number);
    if (!isSize || !isWhole) {
      error(loc, "expected the size of an axis, got " + size.describe());
      return std::nullopt;
    }
    if (size.axisName == AxisName::Known)
      return size.axis;
    return size.axisName == AxisName::None ? axisOfDigits(size) : std::nullopt;
  };
  if (type.is(Type::Kind::List)) {
    Axes axes;
    bool known = type.hasLength;
    for (const Type &element : type.elements) {
      std::optional<Axis> axis = axisOf(element);
      known &= axis.has_value();
      if (axis)
        axes.push_back(std::move(*axis));
    }
    return known ? std::optional(std::move(axes)) : std::nullopt;
  }
  bool mayBeShape =
      type.mayBe(Type::Kind::Number) || type.mayBe(Type::Kind::List);
  if (!mayBeShape) {
    error(loc, "expected axes such as [q_heads, head], got " + type.describe());
    return std::nullopt;
  }
  std::optional<Axis> axis = axisOf(type);
  return axis ? std::optional(Axes{std::move(*axis)}) : std::nullopt;
}

bool FamilyChecker::checkDistinct(ArrayRef<Axis> axes, Location loc) {
  for (auto [place, axis] : llvm::enumerate(axes)) {
    if (place > 0 && axis.name == "token") {
      error(loc, "expected another name than 'token', the axis of the "
                 "sequence, for an axis of " +
                     toString(axes));
      return false;
    }
    if (findAxis(axes.drop_front(place + 1), axis.name)) {
      error(loc, "axis '" + axis.name + "' occurs twice in " + toString(axes) +
                     ": name one, as in [to = " + axis.name + "]");
      return false;
    }
  }
  return true;
}

Type FamilyChecker::tensorOf(Axes axes, Location loc) {
  if (!checkDistinct(axes, loc))
    return Type::tensor();
  return Type::tensor(std::move(axes));
}

Type FamilyChecker::evalAs(const spec::AsExpr *expr, Frame &frame) {
  Type base = eval(expr->base, frame);
  Type list = evalList(expr->shape, frame);
  std::optional<Axes> shape = shapeOf(list, expr->shape->getLoc());
  if (!base.mayBeTensor())
    return error(expr->getLoc(),
                 "expected a tensor before 'as', got " + base.describe());
  if (!shape || !base.axes)
    return Type::tensor();
  Axes axes(base.axes->begin(),
            base.axes->end() - featuresOf(*base.axes).size());
  llvm::append_range(axes, withoutOnes(*shape));
  return tensorOf(std::move(axes), expr->getLoc());
}
