//===- BuiltinsSelection.cpp - Choosing the largest values ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/ArgReader.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

std::optional<FailureOr<SpecValue>>
Evaluator::callSelection(StringRef name, const CallArgs &args, Location loc) {
  if (name == "top_k")
    return buildTopK(args, loc);
  if (name == "member")
    return buildMember(args, loc);
  if (name == "where")
    return buildWhere(args, loc);
  return std::nullopt;
}

FailureOr<SpecValue> Evaluator::buildTopK(const CallArgs &args, Location loc) {
  ArgReader reader("top_k", args, {"x", "k"}, loc);
  if (!reader.ok())
    return failure();
  FailureOr<TensorValue> x = reader.tensor("x");
  if (failed(x))
    return failure();
  if (x->features().empty())
    return error(loc) << "expected a tensor with a feature axis to choose "
                         "from, got "
                      << toString(x->axes);
  const Dim &from = x->axes.back();
  const SpecValue *k = reader.get("k");
  if (!k->is(SpecValue::Kind::Int) || k->dim.size < 1 ||
      (!from.isUnknown() && k->dim.size > from.size))
    return error(loc) << "expected a whole number from 1 to the size of the "
                         "last axis of "
                      << toString(x->axes) << " as 'k' of 'top_k', got "
                      << k->describe();
  Shape axes = x->axes;
  axes.back() = k->dim;
  if (axes.back().name.empty())
    axes.back().name = std::to_string(k->dim.size);
  if (failed(checkAxes(axes, loc)))
    return failure();
  auto values = typeFor(axes, x->getType().getElementType());
  auto op =
      TopKOp::create(builder, named(loc), values,
                     values.withElementType(builder.getI32Type()), x->value);
  TensorValue indices = tensor(op.getIndices(), axes);
  indices.choice = std::make_shared<const Choice>(Choice{from, op.getValues()});
  return SpecValue::of(indices);
}

FailureOr<SpecValue> Evaluator::gather(const TensorValue &x,
                                       const TensorValue &chosen,
                                       Location loc) {
  const Dim &from = chosen.choice->from;
  auto axis = llvm::find_if(
      x.axes, [&](const Dim &dim) { return dim.name == from.name; });
  if (axis == x.axes.end() || axis->size != from.size)
    return error(loc) << "expected axis " << toString({from})
                      << ", from which the indices were chosen, in "
                      << toString(x.axes);
  for (const Dim &dim : x.axes)
    if (dim.name != from.name &&
        llvm::none_of(chosen.axes, [&](const Dim &other) {
          return other.name == dim.name && other.size == dim.size;
        }))
      return error(loc) << "expected indices for each place of "
                        << toString({dim}) << " of " << toString(x.axes)
                        << ", got indices " << toString(chosen.axes);
  auto type = typeFor(chosen.axes, x.getType().getElementType());
  mlir::Value result = GatherOp::create(builder, named(loc), type, x.value,
                                        from.name, chosen.value);
  return SpecValue::of(tensor(result, chosen.axes));
}

FailureOr<SpecValue> Evaluator::buildMember(const CallArgs &args,
                                            Location loc) {
  ArgReader reader("member", args, {"axis", "indices"}, loc);
  if (!reader.ok())
    return failure();
  FailureOr<TensorValue> indices = reader.tensor("indices");
  if (failed(indices))
    return failure();
  if (!indices->choice)
    return error(loc) << "expected indices that 'top_k' chose as 'indices' of "
                         "'member', got "
                      << reader.get("indices")->describe();
  const SpecValue *axis = reader.get("axis");
  const Dim &from = indices->choice->from;
  if (!axis->is(SpecValue::Kind::Int) || axis->dim.name != from.name ||
      axis->dim.size != from.size)
    return error(loc) << "expected axis " << toString({from})
                      << ", from which the indices were chosen, as 'axis' of "
                         "'member', got "
                      << axis->describe();
  Shape axes = indices->axes;
  axes.back() = from;
  mlir::Value result = MemberOp::create(
      builder, named(loc), typeFor(axes, builder.getI1Type()), indices->value);
  return SpecValue::of(tensor(result, axes));
}

FailureOr<SpecValue> Evaluator::buildWhere(const CallArgs &args, Location loc) {
  ArgReader reader("where", args, {"c", "a", "b"}, loc);
  if (!reader.ok())
    return failure();
  const SpecValue *c = reader.get("c");
  if (!c->is(SpecValue::Kind::Tensor) ||
      !c->tensor.getType().getElementType().isInteger(1))
    return error(loc) << "expected true or false for each element, such as "
                         "'member(axis, indices)', as 'c' of 'where', got "
                      << c->describe();
  // Numbers take the type of what they stand beside; an infinity is a bound.
  Type type;
  Shape axes = c->tensor.axes;
  for (StringRef name : {"a", "b"}) {
    const SpecValue *value = reader.get(name);
    if (value->isNumber())
      continue;
    FailureOr<TensorValue> x = reader.tensor(name);
    if (failed(x))
      return failure();
    Type own = x->getType().getElementType();
    if (own.isInteger())
      own = f32();
    if (!type || own.isF32())
      type = own;
    FailureOr<Shape> both = containing(axes, x->axes, loc);
    if (failed(both))
      return failure();
    axes = *both;
  }
  auto operand = [&](StringRef name) {
    const SpecValue *value = reader.get(name);
    return value->isNumber() ? constant(value->asDouble(), loc)
                             : value->tensor.value;
  };
  mlir::Value onTrue = operand("a"), onFalse = operand("b");
  mlir::Value result = WhereOp::create(
      builder, named(loc), typeFor(axes, type ? type : options.modelType),
      c->tensor.value, onTrue, onFalse);
  return SpecValue::of(tensor(result, axes));
}
