//===- Builtins.cpp - Parameters of the built-ins -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/Builtins.h"

#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::check;
using import::SpecLibrary;

ArrayRef<Builtin> check::builtins() {
  using Kind = Builtin::Kind;
  static const std::vector<Builtin> all = [] {
    std::vector<Builtin> list = {
        {"alibi", Kind::Special, {"heads"}},
        {"apply", Kind::Special, {"act", "x"}},
        {"attend",
         Kind::Special,
         {"q", "k", "v", "mask", "scale?", "sink?", "softcap?", "bias?",
          "softmax?"}},
        {"add_at", Kind::Unary, {"x", "where", "y"}},
        {"among", Kind::Mask, {"chosen"}},
        {"around", Kind::Mask, {"n"}},
        {"axes", Kind::Special, {"x"}},
        {"bicubic", Kind::Special, {"table", "grid", "merge"}},
        {"bilinear", Kind::Special, {"table", "grid", "merge"}},
        {"causal_conv", Kind::Special, {"x", "taps", "bias?"}},
        {"clamp", Kind::Elementwise, {"x", "lo", "hi"}},
        {"count", Kind::Special, {"list"}},
        {"dot", Kind::Special, {"a", "b", "over"}},
        {"embed", Kind::Special, {"ids", "shape"}},
        {"fold", Kind::Special, {"x", "n", "grid?"}},
        {"frame_of", Kind::Tensor, {"grid"}},
        {"frames", Kind::Special, {"grid"}},
        {"grid_positions", Kind::Tensor, {"grid", "merge"}},
        {"int", Kind::Number, {"x"}},
        {"join", Kind::Variadic, {}},
        {"linear", Kind::Special, {"x", "shape", "bias?", "over?"}},
        {"max", Kind::Elementwise, {"a", "b"}},
        {"mean", Kind::Reduction, {"x", "over"}},
        {"member", Kind::Special, {"axis", "indices"}},
        {"min", Kind::Elementwise, {"a", "b"}},
        {"mix", Kind::Special, {"chosen", "share", "sum?"}},
        {"near", Kind::Mask, {"n"}},
        {"outer", Kind::Special, {"a", "b"}},
        {"patches",
         Kind::Special,
         {"pixels", "sizes", "shape", "merge?", "in_rows?"}},
        {"put_at", Kind::Unary, {"x", "where", "y"}},
        {"record", Kind::Variadic, {}},
        {"repeat", Kind::Variadic, {}},
        {"rope", Kind::Special, {"x", "rot", "position?"}},
        {"rope_table",
         Kind::Special,
         {"record?", "theta?", "fraction?", "size?", "pairs?", "sections?",
          "weave?", "table?", "compute?"}},
        {"round_up", Kind::Number, {"n", "m"}},
        {"same", Kind::Mask, {"ids"}},
        {"seen", Kind::Special, {"x"}},
        {"sinusoid", Kind::Special, {"position", "shape", "theta?"}},
        {"softmax", Kind::Reduction, {"x", "over"}},
        {"spread", Kind::Special, {"x", "axis"}},
        {"stack", Kind::Variadic, {}},
        {"std", Kind::Reduction, {"x", "over"}},
        {"sum", Kind::Reduction, {"x", "over"}},
        {"text_grid_positions",
         Kind::Tensor,
         {"ids", "grids", "media", "merge"}},
        {"todo", Kind::Variadic, {}},
        {"top_k", Kind::Special, {"x", "k"}},
        {"weight", Kind::Special, {"shape", "dtype?"}},
        {"where", Kind::Special, {"c", "a", "b"}},
        {"window_of", Kind::Tensor, {"grid", "merge", "side"}},
        {"yarn_mscale", Kind::Number, {"factor", "m"}},
        {"zeros", Kind::Special, {"shape", "dtype?"}},
    };
    for (StringRef name :
         {"f32", "round", "exp", "log", "sqrt", "rsqrt", "tanh", "sigmoid",
          "softplus", "relu", "floor", "abs", "silu", "swish", "gelu"})
      list.push_back({name, Kind::Elementwise, {"x"}});
    return list;
  }();
  return all;
}

const Builtin *check::findBuiltin(StringRef name) {
  auto it = llvm::find_if(
      builtins(), [&](const Builtin &builtin) { return builtin.name == name; });
  return it == builtins().end() ? nullptr : &*it;
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

BuiltinArgs::BuiltinArgs(FamilyChecker &checker, const Builtin &builtin,
                         ArrayRef<FamilyChecker::CallArg> args, Location loc)
    : checker(checker), builtin(builtin.name), loc(loc) {
  auto fail = [&](const llvm::Twine &message) {
    error(message);
    valid = false;
  };
  std::vector<std::string> names;
  for (StringRef parameter : builtin.parameters)
    names.push_back(parameter.rtrim('?').str());
  size_t positional = 0;
  for (const FamilyChecker::CallArg &arg : args) {
    if (arg.name)
      continue;
    if (positional < names.size())
      values[names[positional]] = &arg;
    ++positional;
  }
  if (positional > names.size()) {
    fail("'" + builtin.name + "' takes at most " + llvm::Twine(names.size()) +
         " arguments, got " + llvm::Twine(positional));
    return;
  }
  for (const FamilyChecker::CallArg &arg : args) {
    if (!arg.name)
      continue;
    StringRef name = arg.name->name;
    if (!llvm::is_contained(names, name))
      fail("'" + builtin.name + "' has no parameter '" + name + "'" +
           SpecLibrary::hint(name, names));
    else if (!values.emplace(name, &arg).second)
      fail("argument '" + name + "' of '" + builtin.name + "' is given twice");
  }
  for (StringRef parameter : builtin.parameters)
    if (!parameter.ends_with("?") && !has(parameter))
      fail("expected an argument '" + parameter + "' of '" + builtin.name +
           "'");
}

Type BuiltinArgs::error(const llvm::Twine &message) const {
  return checker.error(loc, message);
}

Type BuiltinArgs::get(StringRef parameter) const {
  auto it = values.find(parameter);
  return it == values.end() ? Type::unknown() : it->second->type;
}

Type BuiltinArgs::tensor(StringRef parameter) const {
  Type type = get(parameter);
  if (type.mayBeTensor())
    return type;
  return error("expected a tensor as '" + parameter + "' of '" + builtin +
               "', got " + type.describe());
}

std::optional<Axes> BuiltinArgs::shape(StringRef parameter) const {
  return checker.shapeOf(get(parameter), loc);
}

void BuiltinArgs::number(StringRef parameter) const {
  Type type = get(parameter);
  if (!type.mayBe(Type::Kind::Number) && !type.is(Type::Kind::None))
    error("expected a number as '" + parameter + "' of '" + builtin +
          "', got " + type.describe());
}

void BuiltinArgs::boolean(StringRef parameter) const {
  Type type = get(parameter);
  if (!type.mayBe(Type::Kind::Bool))
    error("expected true or false as '" + parameter + "' of '" + builtin +
          "', got " + type.describe());
}

void BuiltinArgs::word(StringRef parameter, ArrayRef<StringRef> allowed) const {
  Type type = get(parameter);
  bool fits = type.mayBe(Type::Kind::String) &&
              (!type.text || llvm::is_contained(allowed, *type.text));
  if (!fits)
    error("expected " + llvm::join(allowed, " or ") + " as '" + parameter +
          "' of '" + builtin + "', got " + type.describe());
}
