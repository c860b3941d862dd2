//===- CheckTensorBuiltins.cpp - Weights, shapes, attention ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/Builtins.h"

using namespace clade;
using namespace clade::check;

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

Type FamilyChecker::linear(const BuiltinArgs &args) {
  Type x = args.tensor("x");
  std::optional<Axes> shape = args.shape("shape");
  args.boolean("bias");
  if (!x.axes || !shape)
    return Type::tensor();
  Axes axes(x.axes->begin(), x.axes->end() - featuresOf(*x.axes).size());
  if (args.has("over")) {
    std::optional<Axes> over = args.shape("over");
    if (!over)
      return Type::tensor();
    axes = *x.axes;
    for (const Axis &axis : *over) {
      if (!findAxis(*x.axes, axis.name))
        return args.error("'linear' over '" + axis.name +
                          "': no such feature axis in " + toString(*x.axes));
      llvm::erase_if(
          axes, [&](const Axis &other) { return other.name == axis.name; });
    }
  }
  llvm::append_range(axes, withoutOnes(*shape));
  return tensorOf(std::move(axes), args.getLoc());
}

/// Of 'zeros', too, which has the same parameters.
Type FamilyChecker::weight(const BuiltinArgs &args) {
  std::optional<Axes> shape = args.shape("shape");
  if (args.has("dtype"))
    args.word("dtype", {"model", "f32"});
  return shape ? tensorOf(withoutOnes(*shape), args.getLoc()) : Type::tensor();
}

Type FamilyChecker::embed(const BuiltinArgs &args) {
  Type ids = args.tensor("ids");
  std::optional<Axes> shape = args.shape("shape");
  if (shape && shape->size() < 2)
    return args.error("expected token ids and the axes of a table, such as "
                      "[vocab, d], got " +
                      ids.describe() + " and " + toString(*shape));
  if (!ids.axes || !shape)
    return Type::tensor();
  Axes axes = *ids.axes;
  axes.insert(axes.end(), shape->begin() + 1, shape->end());
  return tensorOf(std::move(axes), args.getLoc());
}

Type FamilyChecker::causalConv(const BuiltinArgs &args) {
  args.number("taps");
  args.boolean("bias");
  return Type::tensor(args.tensor("x").axes);
}

//===----------------------------------------------------------------------===//
// Positions and attention
//===----------------------------------------------------------------------===//

Type FamilyChecker::ropeTable(const BuiltinArgs &args) {
  Type record = args.get("record");
  if (!record.mayBe(Type::Kind::Record) && !record.is(Type::Kind::None))
    args.error("expected a record such as rope_parameters, got " +
               record.describe());
  for (StringRef parameter : {"theta", "fraction", "size"})
    args.number(parameter);
  args.word("pairs", {"halves", "adjacent"});
  args.word("table", {"model", "f32"});
  args.word("compute", {"model", "f32"});
  return Type::of(Type::Kind::Rope);
}

Type FamilyChecker::rope(const BuiltinArgs &args) {
  Type x = args.tensor("x"), rot = args.get("rot");
  bool isTable = rot.isUnknown() || rot.is(Type::Kind::Rope) ||
                 rot.mayBe(Type::Kind::None);
  if (!isTable)
    args.error("expected a rotary table or none, got " + rot.describe());
  if (args.has("position"))
    args.tensor("position");
  if (x.axes && featuresOf(*x.axes).empty())
    args.error("expected a tensor with a feature axis to rotate, got " +
               toString(*x.axes));
  return Type::tensor(x.axes);
}

Type FamilyChecker::attend(const BuiltinArgs &args) {
  Type q = args.tensor("q"), k = args.tensor("k"), v = args.tensor("v");
  Type mask = args.get("mask");
  if (!mask.isUnknown() && !mask.is(Type::Kind::Mask))
    args.error("expected a mask such as 'causal and near(window)', got " +
               mask.describe());
  args.number("scale");
  args.number("softcap");
  args.word("softmax", {"f32", "model"});
  if (!args.get("sink").mayBe(Type::Kind::None))
    args.tensor("sink");
  Type bias = args.get("bias");
  if (!bias.mayBe(Type::Kind::None) && !bias.mayBe(Type::Kind::List))
    args.error("expected a slope for each query head, such as "
               "'alibi(q_heads)', as 'bias' of 'attend', got " +
               bias.describe());
  if (layers == Layers::No)
    args.error("expected 'attend' inside 'for layer in …'");
  for (const Type *x : {&q, &k, &v})
    if (x->axes && (x->axes->size() != 3 || !hasToken(*x->axes)))
      return args.error("expected [token, heads, size], got " +
                        toString(*x->axes));
  if (!q.axes || !v.axes)
    return Type::tensor();
  return tensorOf({(*q.axes)[0], (*q.axes)[1], v.axes->back()}, args.getLoc());
}

/// A slope for each head.
Type FamilyChecker::alibi(const BuiltinArgs &args) {
  args.number("heads");
  return Type::listOf(Type::ofNumber());
}

/// Tokens as the sources that attention sees.
Type FamilyChecker::seen(const BuiltinArgs &args) {
  Type x = args.tensor("x");
  if (x.axes)
    for (Axis &axis : *x.axes)
      if (axis.name == "token")
        axis.name = "source";
  return Type::tensor(x.axes);
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

Type FamilyChecker::axesOf(const BuiltinArgs &args) {
  Type x = args.tensor("x");
  if (!x.axes)
    return Type::listOf(Type::unknown());
  std::vector<Type> elements;
  for (const Axis &axis : featuresOf(*x.axes))
    elements.push_back(Type::size(axis));
  return Type::list(std::move(elements));
}

Type FamilyChecker::spread(const BuiltinArgs &args) {
  Type x = args.tensor("x");
  std::optional<Axes> axis = args.shape("axis");
  if (!x.axes || !axis)
    return Type::tensor();
  Axes axes = *x.axes;
  axes.insert(axes.end() - featuresOf(axes).size(), axis->begin(), axis->end());
  return tensorOf(std::move(axes), args.getLoc());
}

/// Patches of images as tokens, and the grids of the images.
Type FamilyChecker::patches(const BuiltinArgs &args) {
  std::optional<Axes> shape = args.shape("shape");
  if (args.has("merge"))
    args.number("merge");
  args.boolean("in_rows");
  Type pixels = Type::tensor();
  if (shape) {
    Axes axes{{"token", {}}};
    llvm::append_range(axes, withoutOnes(*shape));
    pixels = tensorOf(std::move(axes), args.getLoc());
  }
  return Type::tuple({std::move(pixels), Type::unknown()});
}

/// The features of a table of rows and columns for each patch.
Type FamilyChecker::interpolate(const BuiltinArgs &args) {
  Type table = args.tensor("table");
  args.number("merge");
  if (!table.axes)
    return Type::tensor();
  if (hasToken(*table.axes) || table.axes->size() < 3)
    return args.error("expected [rows, columns, features], got " +
                      toString(*table.axes));
  Axes axes{{"token", {}}};
  axes.insert(axes.end(), table.axes->begin() + 2, table.axes->end());
  return tensorOf(std::move(axes), args.getLoc());
}

/// n tokens become one, with an axis 'fold'.
Type FamilyChecker::fold(const BuiltinArgs &args) {
  Type x = args.tensor("x");
  args.number("n");
  if (!x.axes || !hasToken(*x.axes))
    return Type::tensor();
  Axes axes = *x.axes;
  axes.insert(axes.begin() + 1, Axis{"fold", {}});
  return tensorOf(std::move(axes), args.getLoc());
}

/// The frame of each patch, and how many its film has.
Type FamilyChecker::frames(const BuiltinArgs &) {
  Type number = Type::tensor(Axes{{"token", {}}});
  return Type::tuple({number, number});
}

/// Sines and cosines of a number of each token.
Type FamilyChecker::sinusoid(const BuiltinArgs &args) {
  args.tensor("position");
  std::optional<Axes> shape = args.shape("shape");
  if (args.has("theta"))
    args.number("theta");
  if (!shape)
    return Type::tensor();
  Axes axes{{"token", {}}};
  llvm::append_range(axes, *shape);
  return tensorOf(std::move(axes), args.getLoc());
}

Type FamilyChecker::callVariadic(StringRef name, ArrayRef<CallArg> args,
                                 Location loc) {
  if (name == "join")
    return joinTensors(args, loc);
  if (name == "repeat")
    return repeat(args, loc);
  if (name == "todo") {
    if (args.empty() || args[0].name || !args[0].type.mayBe(Type::Kind::String))
      return error(loc, "expected the open question as a string, such as "
                        "'todo(\"which norm?\")'");
    return Type::unknown();
  }
  for (const CallArg &arg : args)
    if (!arg.name)
      return error(loc, name == "record"
                            ? "expected arguments with names, such as "
                              "'record(factor: 2)'"
                            : "expected 'stack(axis: list)'");
  // The new axis comes first or last, as the list says.
  return name == "record" ? Type::of(Type::Kind::Record) : Type::tensor();
}

/// What is joined may be split again: one axis each if they agree in all
/// others, all their features otherwise.
Type FamilyChecker::joinTensors(ArrayRef<CallArg> args, Location loc) {
  bool known = true;
  for (const CallArg &arg : args) {
    if (arg.name)
      return error(loc,
                   "expected tensors to join, got an argument with a name");
    bool hasFeatures = !arg.type.axes || !featuresOf(*arg.type.axes).empty();
    if (!arg.type.mayBeTensor() || !hasFeatures)
      return error(loc, "expected tensors with features to join, got " +
                            arg.type.describe());
    known &= arg.type.axes && !arg.type.axes->empty() &&
             !arg.type.axes->back().isSum();
  }
  if (args.empty())
    return error(loc, "expected tensors to join, got nothing");
  if (!known)
    return Type::tensor();
  const Axes &first = *args[0].type.axes;
  size_t shared = first.size() - 1;
  for (const CallArg &arg : args) {
    const Axes &axes = *arg.type.axes;
    size_t same = 0;
    while (same < shared && same + 1 < axes.size() &&
           axes[same].name == first[same].name)
      ++same;
    shared = same;
  }
  std::vector<Axes> parts;
  for (const CallArg &arg : args)
    parts.emplace_back(arg.type.axes->begin() + shared, arg.type.axes->end());
  std::optional<Axis> sum = sumOf(std::move(parts));
  if (!sum)
    return Type::tensor();
  Axes axes(first.begin(), first.begin() + shared);
  axes.push_back(std::move(*sum));
  return tensorOf(std::move(axes), loc);
}

/// 'repeat(x, groups: heads)': groups become heads.
Type FamilyChecker::repeat(ArrayRef<CallArg> args, Location loc) {
  bool fits = args.size() == 2 && !args[0].name && args[1].name;
  if (!fits)
    return error(loc, "expected 'repeat(x, groups: heads)'");
  const Type &x = args[0].type;
  StringRef old = args[1].name->name;
  if (!x.mayBeTensor())
    return error(loc,
                 "expected a tensor as 'x' of 'repeat', got " + x.describe());
  std::optional<Axes> to = shapeOf(args[1].type, loc);
  if (!x.axes)
    return Type::tensor();
  Axes axes = *x.axes;
  auto it =
      llvm::find_if(axes, [&](const Axis &axis) { return axis.name == old; });
  if (it == axes.end())
    return error(args[1].name->loc, "'repeat' of '" + old +
                                        "': no such axis in " + toString(axes));
  if (!to || to->size() != 1)
    return Type::tensor();
  *it = to->front();
  return tensorOf(std::move(axes), loc);
}
