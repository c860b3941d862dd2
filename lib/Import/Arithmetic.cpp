//===- Arithmetic.cpp - Operators on numbers, shapes, tensors -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Evaluator.h"

#include <algorithm>
#include <cmath>

using namespace clade;
using namespace clade::import;
using namespace mlir;

FailureOr<SpecValue> Evaluator::arithmetic(spec::BinaryOp op,
                                           const SpecValue &lhs,
                                           const SpecValue &rhs, Location loc) {
  using Op = spec::BinaryOp;
  using Kind = SpecValue::Kind;
  if (lhs.is(Kind::Mask) && rhs.is(Kind::Mask) && op == Op::And) {
    if (lhs.mask.groups && rhs.mask.groups)
      return error(loc)
             << "'same' of two numbers of each token has no compiled "
                "form yet";
    Mask both{lhs.mask.causal || rhs.mask.causal, lhs.mask.window,
              lhs.mask.groups ? lhs.mask.groups : rhs.mask.groups};
    if (rhs.mask.window)
      both.window =
          std::min(both.window.value_or(*rhs.mask.window), *rhs.mask.window);
    return SpecValue::of(both);
  }
  if (lhs.is(Kind::List) && rhs.is(Kind::List) && op == Op::Add) {
    std::vector<std::vector<Dim>> parts;
    for (const SpecValue *side : {&lhs, &rhs}) {
      FailureOr<Shape> shape = shapeOf(*side, loc);
      if (failed(shape))
        return failure();
      if (shape->size() == 1 && shape->front().isSum())
        llvm::append_range(parts, shape->front().parts);
      else
        parts.push_back(*shape);
    }
    return SpecValue::list({SpecValue::of(sumOf(std::move(parts)))});
  }
  if (std::optional<SpecValue> found = places(op, lhs, rhs))
    return *found;
  if (op == Op::In) {
    if (!rhs.is(Kind::List))
      return error(loc) << "expected a list after 'in', got " << rhs.describe();
    return SpecValue::of(
        llvm::any_of(rhs.elements, [&](const SpecValue &element) {
          return element.equals(lhs);
        }));
  }
  if (lhs.is(Kind::Tensor) || rhs.is(Kind::Tensor)) {
    switch (op) {
    case Op::Add:
      return tensorArithmetic(BinaryKind::Add, lhs, rhs, /*outer=*/false, loc);
    case Op::Sub:
      return tensorArithmetic(BinaryKind::Sub, lhs, rhs, /*outer=*/false, loc);
    case Op::Mul:
      return tensorArithmetic(BinaryKind::Mul, lhs, rhs, /*outer=*/false, loc);
    case Op::Div:
      return tensorArithmetic(BinaryKind::Div, lhs, rhs, /*outer=*/false, loc);
    case Op::Pow:
      return tensorArithmetic(BinaryKind::Pow, lhs, rhs, /*outer=*/false, loc);
    default:
      return error(loc) << "'" << spec::spelling(op)
                        << "' takes no tensors, got " << lhs.describe()
                        << " and " << rhs.describe();
    }
  }
  return scalarArithmetic(op, lhs, rhs, loc);
}

static int64_t power(int64_t base, int64_t exponent, bool &overflow) {
  int64_t result = 1;
  for (; exponent > 0 && !overflow; --exponent)
    overflow = __builtin_mul_overflow(result, base, &result);
  return result;
}

/// Integer arithmetic; a quotient that is not whole, and a negative power, are
/// left to floats. Nothing on overflow.
static std::optional<SpecValue> integerArithmetic(spec::BinaryOp op, int64_t a,
                                                  int64_t b, bool &overflow) {
  using Op = spec::BinaryOp;
  int64_t result = 0;
  switch (op) {
  case Op::Add:
    overflow = __builtin_add_overflow(a, b, &result);
    return SpecValue::of(result);
  case Op::Sub:
    overflow = __builtin_sub_overflow(a, b, &result);
    return SpecValue::of(result);
  case Op::Mul:
    overflow = __builtin_mul_overflow(a, b, &result);
    return SpecValue::of(result);
  case Op::Div:
    if (b == -1) {
      overflow = __builtin_sub_overflow(int64_t(0), a, &result);
      return SpecValue::of(result);
    }
    if (b == 0 || a % b != 0)
      return std::nullopt;
    return SpecValue::of(a / b);
  case Op::Pow:
    if (b < 0 || b > 64)
      return std::nullopt;
    return SpecValue::of(power(a, b, overflow));
  default:
    return std::nullopt;
  }
}

FailureOr<SpecValue> Evaluator::scalarArithmetic(spec::BinaryOp op,
                                                 const SpecValue &lhs,
                                                 const SpecValue &rhs,
                                                 Location loc) {
  using Op = spec::BinaryOp;
  if (op == Op::Equal || op == Op::NotEqual)
    return SpecValue::of(lhs.equals(rhs) == (op == Op::Equal));
  if (op == Op::And || op == Op::Or) {
    if (!lhs.is(SpecValue::Kind::Bool) || !rhs.is(SpecValue::Kind::Bool))
      return error(loc) << "expected true or false on both sides of '"
                        << spec::spelling(op) << "', got " << lhs.describe()
                        << " and " << rhs.describe();
    return SpecValue::of(op == Op::And ? lhs.boolean && rhs.boolean
                                       : lhs.boolean || rhs.boolean);
  }
  if (!lhs.isNumber() || !rhs.isNumber())
    return error(loc) << "expected numbers on both sides of '"
                      << spec::spelling(op) << "', got " << lhs.describe()
                      << " and " << rhs.describe();
  bool integers = lhs.is(SpecValue::Kind::Int) && rhs.is(SpecValue::Kind::Int);
  if (op == Op::Mod || op == Op::Divides) {
    int64_t divisor = op == Op::Mod ? rhs.dim.size : lhs.dim.size;
    int64_t dividend = op == Op::Mod ? lhs.dim.size : rhs.dim.size;
    if (!integers || divisor <= 0)
      return error(loc) << "expected integers and a positive divisor for '"
                        << spec::spelling(op) << "', got " << lhs.describe()
                        << " and " << rhs.describe();
    int64_t remainder = dividend % divisor;
    if (remainder < 0)
      remainder += divisor;
    return op == Op::Mod ? SpecValue::of(remainder)
                         : SpecValue::of(remainder == 0);
  }
  if (integers) {
    bool overflow = false;
    std::optional<SpecValue> result =
        integerArithmetic(op, lhs.dim.size, rhs.dim.size, overflow);
    if (overflow)
      return error(loc) << "integer overflow in " << lhs.dim.size << " "
                        << spec::spelling(op) << " " << rhs.dim.size;
    if (result)
      return *result;
  }
  double a = lhs.asDouble(), b = rhs.asDouble();
  switch (op) {
  case Op::Add:
    return SpecValue::of(a + b);
  case Op::Sub:
    return SpecValue::of(a - b);
  case Op::Mul:
    return SpecValue::of(a * b);
  case Op::Div:
    if (b == 0)
      return error(loc) << "division of " << lhs.describe() << " by zero";
    return SpecValue::of(a / b);
  case Op::Pow:
    return SpecValue::of(std::pow(a, b));
  case Op::Less:
    return SpecValue::of(a < b);
  case Op::Greater:
    return SpecValue::of(a > b);
  case Op::LessEqual:
    return SpecValue::of(a <= b);
  default: // Op::GreaterEqual: all others are handled above.
    return SpecValue::of(a >= b);
  }
}

LogicalResult Evaluator::checkAxes(const Shape &axes, Location loc) {
  for (const Dim &dim : llvm::drop_begin(axes, axes.empty() ? 0 : 1))
    if (dim.name == tokenAxis || dim.name == selectedAxis)
      return error(loc) << "expected another name than '" << dim.name
                        << "', the axis of the sequence, for an axis of "
                        << toString(axes);
  for (auto [place, dim] : llvm::enumerate(axes))
    for (const Dim &other : llvm::drop_begin(axes, place + 1))
      if (dim.name == other.name)
        return error(loc) << "axis '" << dim.name << "' occurs twice in "
                          << toString(axes)
                          << ": name one, as in [to = " << dim.name << "]";
  int64_t count = numElements(axes);
  bool isSequence = ShapedType::isDynamic(count);
  if (isSequence)
    count = numElements(ArrayRef(axes).drop_front());
  if (count > maxElements)
    return error(loc) << "expected at most " << maxElements
                      << " elements in a tensor, got " << toString(axes);
  return success();
}

/// Whether each axis of `part` is one of `whole`.
static bool contains(const Shape &whole, const Shape &part) {
  return llvm::all_of(part, [&](const Dim &dim) {
    return llvm::any_of(
        whole, [&](const Dim &other) { return other.name == dim.name; });
  });
}

FailureOr<Shape> Evaluator::containing(const Shape &a, const Shape &b,
                                       Location loc, bool outer) {
  for (const Dim &x : a)
    for (const Dim &y : b)
      if (x.name == y.name && x.size != y.size)
        return error(loc) << "axis '" << x.name << "' has size " << x.size
                          << " on the left and " << y.size << " on the right";
  if (contains(b, a) && !contains(a, b))
    return b;
  if (contains(a, b))
    return a;
  if (!outer)
    return error(loc) << "expected the axes of one side to contain those of "
                         "the other, got "
                      << toString(a) << " and " << toString(b)
                      << " (say outer(a, b), or spread one of them)";
  Shape axes = a;
  llvm::copy_if(b, std::back_inserter(axes),
                [&](const Dim &dim) { return !contains(a, {dim}); });
  std::stable_partition(axes.begin(), axes.end(),
                        [](const Dim &dim) { return dim.name == tokenAxis; });
  return axes;
}

FailureOr<SpecValue> Evaluator::tensorArithmetic(BinaryKind kind,
                                                 const SpecValue &lhs,
                                                 const SpecValue &rhs,
                                                 bool outer, Location loc) {
  for (const SpecValue *side : {&lhs, &rhs})
    if (!side->is(SpecValue::Kind::Tensor) && !side->isNumber())
      return error(loc) << "expected a tensor or a number, got "
                        << side->describe();
  if (!lhs.is(SpecValue::Kind::Tensor) && !rhs.is(SpecValue::Kind::Tensor))
    return error(loc) << "expected a tensor, got " << lhs.describe() << " and "
                      << rhs.describe();
  // A bound may be infinite; anything else would make every element so.
  bool isBound = kind == BinaryKind::Max || kind == BinaryKind::Min;
  for (const SpecValue *side : {&lhs, &rhs})
    if (side->isNumber() && !isBound && !std::isfinite(side->asDouble()))
      return error(loc) << "expected a finite number, got " << side->describe();
  if (kind == BinaryKind::Div && rhs.isNumber() && rhs.asDouble() == 0)
    return error(loc) << "division of " << lhs.describe() << " by zero";
  auto axesOf = [](const SpecValue &side) {
    return side.is(SpecValue::Kind::Tensor) ? side.tensor.axes : Shape();
  };
  Shape a = axesOf(lhs), b = axesOf(rhs);
  FailureOr<Shape> both = containing(a, b, loc, outer);
  if (failed(both) || failed(checkAxes(*both, loc)))
    return failure();
  const Shape &axes = *both;
  auto elementType = [&](const SpecValue &side) -> Type {
    return side.is(SpecValue::Kind::Tensor)
               ? side.tensor.getType().getElementType()
               : Type();
  };
  Type type = elementType(lhs), other = elementType(rhs);
  if (!type || (other && other.isF32()))
    type = other;
  if (type.isInteger())
    type = f32();
  auto operand = [&](const SpecValue &side) {
    return side.is(SpecValue::Kind::Tensor) ? side.tensor.value
                                            : constant(side.asDouble(), loc);
  };
  mlir::Value left = operand(lhs), right = operand(rhs);
  mlir::Value result = builder.createOrFold<BinaryOp>(
      named(loc), typeFor(axes, type), kind, left, right);
  return SpecValue::of(tensor(result, axes));
}
