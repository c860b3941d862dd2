//===- EvalShapes.cpp - Lists, shapes and views ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Evaluator.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;
using llvm::dyn_cast;

/// An axis in a shape: a name for a bare name or number, a sum for '+', a
/// product or quotient named after its parts.
FailureOr<SpecValue> Evaluator::evalShapeElement(const spec::Expr *expr,
                                                 Frame &frame) {
  if (auto *paren = dyn_cast<spec::ParenExpr>(expr))
    return evalShapeElement(paren->inner, frame);
  auto *binary = dyn_cast<spec::BinaryExpr>(expr);
  bool isSum = binary && binary->op == spec::BinaryOp::Add;
  bool isProduct = binary && (binary->op == spec::BinaryOp::Mul ||
                              binary->op == spec::BinaryOp::Div);
  if (isSum || isProduct) {
    FailureOr<SpecValue> lhs = evalShapeElement(binary->lhs, frame);
    if (failed(lhs))
      return failure();
    FailureOr<SpecValue> rhs = evalShapeElement(binary->rhs, frame);
    if (failed(rhs))
      return failure();
    if (!lhs->is(SpecValue::Kind::Int) || !rhs->is(SpecValue::Kind::Int))
      return arithmetic(binary->op, *lhs, *rhs, expr->getLoc());
    if (isSum) {
      auto partsOf = [](const Dim &dim) {
        return dim.isSum() ? dim.parts : std::vector<std::vector<Dim>>{{dim}};
      };
      std::vector<std::vector<Dim>> parts = partsOf(lhs->dim);
      llvm::append_range(parts, partsOf(rhs->dim));
      return SpecValue::of(sumOf(std::move(parts)));
    }
    FailureOr<SpecValue> result =
        scalarArithmetic(binary->op, *lhs, *rhs, expr->getLoc());
    if (succeeded(result) && result->is(SpecValue::Kind::Int))
      result->dim.name =
          lhs->dim.name + spec::spelling(binary->op).str() + rhs->dim.name;
    return result;
  }
  FailureOr<SpecValue> value = eval(expr, frame);
  if (failed(value) || !value->dim.name.empty() || value->dim.isSum())
    return value;
  // What is no size has a name too, for messages about it.
  if (auto *name = dyn_cast<spec::NameExpr>(expr))
    value->dim.name = name->name.str();
  else if (value->is(SpecValue::Kind::Int))
    value->dim.name = std::to_string(value->dim.size);
  return value;
}

FailureOr<SpecValue> Evaluator::evalList(const spec::ListExpr *expr,
                                         Frame &frame) {
  std::vector<SpecValue> elements;
  for (const spec::Arg &arg : expr->args) {
    if (arg.where)
      return error(arg.where->getLoc()) << "expected no 'where' in a list";
    FailureOr<SpecValue> value = evalShapeElement(arg.value, frame);
    if (failed(value))
      return failure();
    if (value->is(SpecValue::Kind::Absent))
      return value;
    if (arg.name) {
      if (!value->is(SpecValue::Kind::Int))
        return error(arg.name->loc)
               << "expected a size to name, got " << value->describe();
      value->dim.name = arg.name->name.str();
      frame.vars[value->dim.name] = *value;
    }
    if (value->is(SpecValue::Kind::List))
      llvm::append_range(elements, value->elements);
    else
      elements.push_back(std::move(*value));
  }
  return SpecValue::list(std::move(elements));
}

FailureOr<Shape> Evaluator::shapeOf(const SpecValue &value, Location loc) {
  if (!value.is(SpecValue::Kind::List) && !value.is(SpecValue::Kind::Int))
    return error(loc) << "expected axes such as [q_heads, head], got "
                      << value.describe();
  if (value.is(SpecValue::Kind::List) && value.elements.empty())
    return error(loc) << "expected at least one axis, got an empty list";
  Shape shape;
  for (const SpecValue &element : value.is(SpecValue::Kind::Int)
                                      ? ArrayRef(value)
                                      : ArrayRef(value.elements)) {
    const Dim &dim = element.dim;
    if (dim.name.empty())
      return error(loc)
             << "expected an axis with a name, such as [to = 8], got "
             << element.describe();
    if (!element.is(SpecValue::Kind::Int) || dim.size < 1 ||
        dim.size > maxAxisSize) {
      InFlightDiagnostic diagnostic =
          error(loc) << "expected a whole number from 1 to " << maxAxisSize
                     << " as the size of axis '" << dim.name << "', got "
                     << element.describe();
      if (const spec::FieldDecl *decl = getFamily().findField(dim.name))
        noteKeys(diagnostic, decl);
      return diagnostic;
    }
    shape.push_back(dim);
  }
  if (numElements(shape) > maxElements)
    return error(loc) << "expected at most " << maxElements
                      << " elements in a tensor, got " << toString(shape);
  return shape;
}

FailureOr<SpecValue> Evaluator::evalAs(const spec::AsExpr *expr, Frame &frame) {
  FailureOr<SpecValue> base = eval(expr->base, frame);
  if (failed(base))
    return failure();
  FailureOr<SpecValue> axes = evalList(expr->shape, frame);
  if (failed(axes))
    return failure();
  FailureOr<Shape> shape = shapeOf(*axes, expr->shape->getLoc());
  if (failed(shape))
    return failure();
  if (!base->is(SpecValue::Kind::Tensor))
    return error(expr->getLoc())
           << "expected a tensor before 'as', got " << base->describe();
  return callShape("view",
                   CallArgs{{*base, SpecValue::list(axes->elements)}, {}},
                   expr->getLoc())
      .value_or(failure());
}
