//===- CheckBuiltins.cpp - Built-ins on tensors and numbers ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/Builtins.h"

using namespace clade;
using namespace clade::check;

std::optional<Type> FamilyChecker::callBuiltin(StringRef name,
                                               ArrayRef<CallArg> args,
                                               Location loc) {
  const Builtin *builtin = findBuiltin(name);
  if (!builtin)
    return std::nullopt;
  // 'max(x, over: axis)' is a reduction, 'max(a, b)' takes two tensors.
  static const Builtin maxOver{"max", Builtin::Kind::Reduction, {"x", "over"}};
  if (name == "max" && llvm::any_of(args, [](const CallArg &arg) {
        return arg.name.has_value();
      }))
    builtin = &maxOver;
  if (builtin->kind == Builtin::Kind::Variadic)
    return callVariadic(name, args, loc);
  BuiltinArgs read(*this, *builtin, args, loc);
  if (!read.ok())
    return Type::unknown();
  switch (builtin->kind) {
  case Builtin::Kind::Elementwise:
    return elementwise(*builtin, read);
  case Builtin::Kind::Reduction:
    return reduction(name, read);
  case Builtin::Kind::Number:
    for (StringRef parameter : builtin->parameters)
      read.number(parameter);
    return Type::ofNumber();
  case Builtin::Kind::Mask:
    if (name == "near" || name == "around")
      read.number("n");
    return Type::of(Type::Kind::Mask);
  case Builtin::Kind::Unary: {
    Type x = read.tensor("x");
    return x.isTensor() ? Type::tensor(x.axes) : x;
  }
  case Builtin::Kind::Tensor:
    return Type::tensor();
  default:
    return special(name, read);
  }
}

Type FamilyChecker::special(StringRef name, const BuiltinArgs &args) {
  using Rule = Type (FamilyChecker::*)(const BuiltinArgs &);
  static const llvm::StringMap<Rule> rules = {
      {"alibi", &FamilyChecker::alibi},
      {"apply", &FamilyChecker::apply},
      {"attend", &FamilyChecker::attend},
      {"axes", &FamilyChecker::axesOf},
      {"bicubic", &FamilyChecker::interpolate},
      {"bilinear", &FamilyChecker::interpolate},
      {"causal_conv", &FamilyChecker::causalConv},
      {"count", &FamilyChecker::count},
      {"dot", &FamilyChecker::dot},
      {"embed", &FamilyChecker::embed},
      {"fold", &FamilyChecker::fold},
      {"frames", &FamilyChecker::frames},
      {"linear", &FamilyChecker::linear},
      {"member", &FamilyChecker::member},
      {"mix", &FamilyChecker::mix},
      {"outer", &FamilyChecker::outer},
      {"patches", &FamilyChecker::patches},
      {"rope", &FamilyChecker::rope},
      {"rope_table", &FamilyChecker::ropeTable},
      {"seen", &FamilyChecker::seen},
      {"sinusoid", &FamilyChecker::sinusoid},
      {"spread", &FamilyChecker::spread},
      {"top_k", &FamilyChecker::topK},
      {"weight", &FamilyChecker::weight},
      {"where", &FamilyChecker::where},
      {"zeros", &FamilyChecker::weight},
  };
  auto it = rules.find(name);
  return it == rules.end() ? Type::unknown() : (this->*it->second)(args);
}

//===----------------------------------------------------------------------===//
// Elementwise functions and reductions
//===----------------------------------------------------------------------===//

Type FamilyChecker::elementwise(const Builtin &builtin,
                                const BuiltinArgs &args) {
  std::optional<Type> result;
  bool anyTensor = false, anyUnknown = false;
  for (StringRef parameter : builtin.parameters) {
    Type type = args.get(parameter);
    if (!type.mayBeTensor() && !type.mayBe(Type::Kind::Number))
      return args.error("expected a tensor or a number, got " +
                        type.describe());
    anyTensor |= type.isTensor();
    anyUnknown |= type.isUnknown();
    if (result && (result->isTensor() || type.isTensor()))
      result = broadcast(*result, type, /*outer=*/false, args.getLoc());
    else if (!result || type.isTensor())
      result = type;
  }
  if (anyTensor)
    return anyUnknown ? Type::tensor() : Type::tensor(result->axes);
  if (anyUnknown)
    return Type::unknown();
  if (builtin.name == "clamp")
    return args.error("expected a tensor, got " + args.get("x").describe() +
                      " and " + args.get("lo").describe());
  return Type::ofNumber();
}

Type FamilyChecker::reduction(StringRef name, const BuiltinArgs &args) {
  Type x = args.tensor("x");
  std::optional<Axes> over = args.shape("over");
  if (!x.axes || !over)
    return Type::tensor(name == "softmax" ? x.axes : std::nullopt);
  Axes kept = *x.axes;
  for (const Axis &axis : *over) {
    auto it = llvm::find_if(
        kept, [&](const Axis &other) { return other.name == axis.name; });
    if (it == kept.end() || axis.name == "token")
      return args.error("'" + name + "' over '" + axis.name +
                        "': no such feature axis in " + toString(*x.axes));
    kept.erase(it);
  }
  if (name != "softmax")
    return Type::tensor(std::move(kept));
  if (over->size() != 1)
    args.error("expected a softmax over one axis, got " +
               llvm::Twine(over->size()));
  return Type::tensor(x.axes);
}

Type FamilyChecker::apply(const BuiltinArgs &args) {
  Type act = args.get("act"), x = args.tensor("x");
  if (!act.mayBe(Type::Kind::String))
    args.error("expected the name of an activation, such as \"silu\" or "
               "\"gelu_pytorch_tanh\", got " +
               act.describe());
  return Type::tensor(x.axes);
}

Type FamilyChecker::outer(const BuiltinArgs &args) {
  return broadcast(args.get("a"), args.get("b"), /*outer=*/true, args.getLoc());
}

/// A mask is a tensor over queries and sources here.
Type FamilyChecker::where(const BuiltinArgs &args) {
  Type c = args.get("c"), a = args.get("a"), b = args.get("b");
  if (c.is(Type::Kind::Mask))
    c = Type::tensor();
  if (!c.mayBeTensor())
    return args.error("expected a tensor or a mask as 'c' of 'where', got " +
                      c.describe());
  return broadcast(broadcast(c, a, /*outer=*/false, args.getLoc()), b,
                   /*outer=*/false, args.getLoc());
}

Type FamilyChecker::dot(const BuiltinArgs &args) {
  Type a = args.tensor("a"), b = args.tensor("b");
  std::optional<Axes> over = args.shape("over");
  if (!a.axes || !b.axes || !over)
    return Type::tensor();
  Type both = broadcast(a, b, /*outer=*/true, args.getLoc());
  Axes kept = *both.axes;
  for (const Axis &axis : *over) {
    if (!findAxis(*a.axes, axis.name) || !findAxis(*b.axes, axis.name))
      return args.error(
          "'dot' over '" + axis.name + "': no such axis in " +
          toString(findAxis(*a.axes, axis.name) ? *b.axes : *a.axes));
    llvm::erase_if(kept,
                   [&](const Axis &other) { return other.name == axis.name; });
  }
  return Type::tensor(std::move(kept));
}

Type FamilyChecker::count(const BuiltinArgs &args) {
  Type list = args.get("list");
  if (!list.mayBe(Type::Kind::List) && !list.mayBe(Type::Kind::String))
    return args.error("expected a list or a string to count, got " +
                      list.describe());
  return Type::ofNumber();
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

/// The last axis becomes one of as many as are chosen.
Type FamilyChecker::topK(const BuiltinArgs &args) {
  Type x = args.tensor("x");
  args.number("k");
  std::optional<Axes> chosen = args.shape("k");
  Type result = Type::of(Type::Kind::Indices);
  if (!x.axes || x.axes->empty())
    return result;
  result.over = x.axes->back().name;
  if (!chosen || chosen->size() != 1)
    return result;
  result.axes = x.axes;
  result.axes->back() = chosen->front();
  return result;
}

/// True where an axis is among the indices.
Type FamilyChecker::member(const BuiltinArgs &args) {
  Type indices = args.get("indices");
  std::optional<Axes> axis = args.shape("axis");
  if (!indices.mayBeTensor())
    return args.error("expected indices as 'indices' of 'member', got " +
                      indices.describe());
  bool known = indices.is(Type::Kind::Indices) && !indices.over.empty();
  if (!known)
    return Type::tensor();
  if (axis && (axis->size() != 1 || axis->front().name != indices.over))
    return args.error("expected indices along " + toString(*axis) +
                      ", got indices along [" + indices.over + "]");
  if (!indices.axes)
    return Type::tensor();
  Axes axes = *indices.axes;
  axes.back() = {indices.over, {}};
  return Type::tensor(std::move(axes));
}

/// The axes of a mix are those of its body.
Type FamilyChecker::mix(const BuiltinArgs &args) {
  Type chosen = args.tensor("chosen"), share = args.tensor("share");
  if (args.has("sum"))
    args.word("sum", {"model", "f32"});
  if (chosen.axes && share.axes &&
      (!contains(*chosen.axes, *share.axes) ||
       !contains(*share.axes, *chosen.axes)))
    args.error("expected a share of each expert that is chosen, got " +
               chosen.describe() + " and " + share.describe());
  return Type::tensor();
}
