//===- CheckLoops.cpp - Loops, scans, lambdas -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/FamilyChecker.h"

using namespace clade;
using namespace clade::check;

//===----------------------------------------------------------------------===//
// Unrolled loops
//===----------------------------------------------------------------------===//

/// What a loop over this gives each turn; nothing if it cannot be looped over.
static std::optional<Type> itemOf(const Type &range) {
  switch (range.kind) {
  case Type::Kind::Unknown:
    return Type::unknown();
  case Type::Kind::Config: // A list or a number.
    return Type::config();
  case Type::Kind::List:
    return range.element();
  case Type::Kind::Number:
  case Type::Kind::Range:
    return Type::ofNumber();
  default:
    return std::nullopt;
  }
}

Type FamilyChecker::evalFor(const spec::ForExpr *expr, Frame &frame) {
  if (expr->names[0].name == "layer" && frame.context == Frame::Context::Block)
    return evalLayers(expr, frame);
  Type range = eval(expr->range, frame);
  std::optional<Type> item = itemOf(range);
  if (!item)
    item = error(expr->getLoc(), "expected a list, a number or a range, got " +
                                     range.describe());
  Type value;
  auto turn = [&](const Frame &before) {
    Frame inner = before;
    if (expr->names.size() == 2)
      inner.vars[expr->names[0].name.str()] = Type::ofNumber();
    inner.vars[expr->names.back().name.str()] = *item;
    if (expr->at)
      address(expr->at, inner);
    ++branches;
    value = evalBody(expr->body, inner).value;
    --branches;
    for (const spec::Identifier &name : expr->names)
      inner.vars.erase(name.name.str());
    return inner;
  };
  // The first turn is checked with the types before the loop; variables that
  // change their type from turn to turn have all of them after it.
  constexpr int mostTurns = 2;
  Frame after = turn(frame);
  for (int i = 0; i < mostTurns; ++i) {
    Frame joined = after;
    bool changed = false;
    for (auto &[name, type] : joined.vars)
      if (auto old = frame.vars.find(name); old != frame.vars.end()) {
        Type both = check::join(type, old->second);
        bool differs = both.key() != old->second.key();
        changed |= differs;
        type = differs && i + 1 == mostTurns ? Type::unknown() : both;
      }
    frame = std::move(joined);
    if (!changed)
      break;
    ++dead;
    after = turn(frame);
    after.returns = frame.returns;
    --dead;
  }
  return Type::listOf(std::move(value));
}

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

Type FamilyChecker::evalLayers(const spec::ForExpr *expr, Frame &frame) {
  Type range = eval(expr->range, frame);
  if (expr->names.size() != 1 || !range.mayBe(Type::Kind::Number))
    error(expr->getLoc(), "expected 'for layer in' the number of layers, got " +
                              range.describe());
  if (layers == Layers::Yes)
    error(expr->getLoc(), "expected no loop over layers inside another");
  Layers saved = std::exchange(layers, Layers::Yes);
  Frame inner = frame;
  if (expr->at)
    address(expr->at, inner);
  evalBody(expr->body, inner);
  layers = saved;
  for (auto &[name, before] : frame.vars) {
    const Type &after = inner.vars[name];
    if (!before.is(Type::Kind::Tensor)) {
      before = check::join(before, after);
      continue;
    }
    bool differs = !after.isUnknown() &&
                   (!after.is(Type::Kind::Tensor) ||
                    (before.axes && after.axes && before.key() != after.key()));
    if (differs && toString(before.axes.value_or(Axes())) !=
                       toString(after.axes.value_or(Axes())))
      error(expr->getLoc(), "expected '" + name +
                                "' to keep its axes from layer to layer, got " +
                                before.describe() + " before and " +
                                after.describe() + " after");
  }
  // What only a layer assigns is not there when there are none.
  for (const auto &[name, type] : inner.vars)
    frame.vars.try_emplace(name, Type::unknown());
  frame.returns = inner.returns;
  return Type::none();
}

//===----------------------------------------------------------------------===//
// Scans and lambdas
//===----------------------------------------------------------------------===//

static Type withoutToken(const Type &type) {
  Type result = type;
  if (type.axes && hasToken(*type.axes))
    result.axes = featuresOf(*type.axes);
  return result;
}

/// In a scan each tensor is that of one token.
Type FamilyChecker::evalScan(const spec::ScanExpr *expr, Frame &frame) {
  Type init = eval(expr->init, frame);
  Frame inner = frame;
  for (auto &[name, type] : inner.vars)
    type = withoutToken(type);
  inner.vars[expr->carry.name.str()] = init;
  inner.returns.clear();
  inner.emitted.reset();
  inner.inScan = true;
  std::optional<Type> saved = std::exchange(position, Type::unknown());
  evalBody(expr->body, inner);
  position = std::move(saved);
  if (!inner.emitted)
    return error(expr->getLoc(), "expected a scan to emit a value");
  if (!inner.emitted->isTensor() || !inner.emitted->axes)
    return inner.emitted->isTensor() ? Type::tensor() : Type::unknown();
  Axes axes{{expr->axis.name.str(), {}}};
  llvm::append_range(axes, *inner.emitted->axes);
  return tensorOf(std::move(axes), expr->getLoc());
}

/// 'mix(chosen, share) { e => y }' has the axes of y.
Type FamilyChecker::evalLambda(const spec::LambdaExpr *expr, Frame &frame) {
  eval(expr->call, frame);
  Frame inner = frame;
  inner.vars[expr->var.name.str()] = Type::ofNumber();
  Type value = eval(expr->body, inner);
  auto *call = dyn_cast<spec::CallExpr>(expr->call);
  auto *name = call ? dyn_cast<spec::NameExpr>(call->callee) : nullptr;
  if (!name || name->name != "mix")
    return error(expr->getLoc(), "expected a body in '{ }' only after 'mix'");
  if (!value.mayBeTensor())
    return error(expr->body->getLoc(),
                 "expected a tensor to mix, got " + value.describe());
  return value.isTensor() ? Type::tensor(value.axes) : value;
}
