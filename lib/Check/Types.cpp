//===- Types.cpp - What is known of a value before it is run --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/Types.h"

#include "lib/Import/SpecValue.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace clade;
using namespace clade::check;
using llvm::ArrayRef;
using llvm::StringRef;

/// Longer names come from sums of sums in a recursion, not from a family.
static constexpr size_t longestName = 512;

//===----------------------------------------------------------------------===//
// Axes
//===----------------------------------------------------------------------===//

std::optional<Axis> check::sumOf(std::vector<Axes> parts) {
  Axis sum;
  llvm::raw_string_ostream name(sum.name);
  llvm::interleave(
      parts, name,
      [&](const Axes &part) {
        llvm::interleave(
            part, name, [&](const Axis &axis) { name << axis.name; }, ".");
      },
      "+");
  if (sum.name.size() > longestName)
    return std::nullopt;
  sum.parts = std::move(parts);
  return sum;
}

std::string check::toString(ArrayRef<Axis> axes) {
  return "[" +
         llvm::join(
             llvm::map_range(axes, [](const Axis &axis) { return axis.name; }),
             ", ") +
         "]";
}

const Axis *check::findAxis(ArrayRef<Axis> axes, StringRef name) {
  auto it =
      llvm::find_if(axes, [&](const Axis &axis) { return axis.name == name; });
  return it == axes.end() ? nullptr : &*it;
}

bool check::contains(ArrayRef<Axis> whole, ArrayRef<Axis> part) {
  return llvm::all_of(
      part, [&](const Axis &axis) { return findAxis(whole, axis.name); });
}

Axes check::withoutOnes(ArrayRef<Axis> axes) {
  Axes result;
  llvm::copy_if(axes, std::back_inserter(result),
                [](const Axis &axis) { return axis.name != "1"; });
  return result;
}

static bool isSequence(const Axis &axis) {
  return axis.name == "token" || axis.name == "source";
}

bool check::hasToken(ArrayRef<Axis> axes) {
  return !axes.empty() && isSequence(axes.front());
}

Axes check::featuresOf(ArrayRef<Axis> axes) {
  return Axes(llvm::find_if_not(axes, isSequence), axes.end());
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

Type Type::of(Kind kind) {
  Type type;
  type.kind = kind;
  if (kind == Kind::Number || kind == Kind::Config)
    type.axisName = AxisName::None;
  return type;
}
Type Type::boolean(std::optional<bool> value) {
  Type type = of(Kind::Bool);
  type.truth = value;
  return type;
}
Type Type::ofNumber(std::optional<double> value) {
  Type type = of(Kind::Number);
  type.number = value;
  return type;
}
Type Type::size(Axis axis) {
  Type type = of(Kind::Number);
  type.axisName = AxisName::Known;
  type.axis = std::move(axis);
  return type;
}
Type Type::string(std::optional<std::string> value) {
  Type type = of(Kind::String);
  type.text = std::move(value);
  return type;
}
Type Type::tensor(std::optional<Axes> axes) {
  Type type = of(Kind::Tensor);
  type.axes = std::move(axes);
  return type;
}
/// Gives a list or a tuple its elements; false if it gets larger than any that
/// is written by hand.
static bool setElements(Type &type, std::vector<Type> elements) {
  constexpr size_t mostTypes = 4096, deepest = 16;
  for (const Type &element : elements) {
    type.numTypes += element.numTypes;
    type.depth = std::max(type.depth, element.depth + 1);
  }
  type.elements = std::move(elements);
  return type.numTypes <= mostTypes && type.depth <= deepest;
}

Type Type::list(std::vector<Type> elements) {
  Type type = of(Kind::List);
  return setElements(type, std::move(elements)) ? type : listOf(unknown());
}
Type Type::listOf(Type element) {
  Type type = of(Kind::List);
  if (!setElements(type, {std::move(element)}))
    return listOf(unknown());
  type.hasLength = false;
  return type;
}
Type Type::tuple(std::vector<Type> elements) {
  Type type = of(Kind::Tuple);
  return setElements(type, std::move(elements)) ? type : unknown();
}

bool Type::isConfigValue() const {
  switch (kind) {
  case Kind::Config:
  case Kind::None:
  case Kind::Bool:
  case Kind::Number:
  case Kind::String:
  case Kind::Record:
    return true;
  case Kind::List:
    return llvm::all_of(elements,
                        [](const Type &t) { return t.isConfigValue(); });
  default:
    return false;
  }
}

bool Type::mayBe(Kind k) const {
  return isUnknown() || kind == k ||
         (is(Kind::Config) && of(k).isConfigValue());
}

Type Type::element() const {
  if (elements.empty())
    return unknown();
  Type result = elements.front();
  for (const Type &type : llvm::drop_begin(elements))
    result = join(result, type);
  return result;
}

std::string Type::describe() const {
  switch (kind) {
  case Kind::Unknown:
    return "an unknown value";
  case Kind::Config:
    return axisName == AxisName::Known ? "the value of '" + axis.name + "'"
                                       : "a value of the configuration";
  case Kind::None:
    return "none";
  case Kind::Bool:
    return !truth ? "a boolean" : *truth ? "true" : "false";
  case Kind::Number:
    if (axisName == AxisName::Known)
      return "the number '" + axis.name + "'";
    if (!number)
      return "a number";
    return *number == std::trunc(*number) && std::abs(*number) < 1e15
               ? llvm::formatv("the integer {0}", static_cast<int64_t>(*number))
                     .str()
               : "the number " + import::toString(*number);
  case Kind::String:
    return text ? "the string \"" + *text + "\"" : "a string";
  case Kind::List:
    return hasLength ? llvm::formatv("a list of {0}", elements.size()).str()
                     : "a list";
  case Kind::Range:
    return "a range";
  case Kind::Record:
    return "an object of the configuration";
  case Kind::Tensor:
    return axes ? "a tensor " + toString(*axes) : "a tensor";
  case Kind::Indices:
    return axes ? "indices " + toString(*axes) : "indices";
  case Kind::Mask:
    return "a mask";
  case Kind::Rope:
    return "a rotary table";
  case Kind::Tuple:
    return llvm::formatv("{0} values", elements.size());
  case Kind::Part:
    return "the part '" + part->name.name.str() + "'";
  }
  return "";
}

/// Names are not enough: 'a+b' may be a sum of two or the name of one.
static void appendKey(ArrayRef<Axis> axes, std::string &key) {
  for (const Axis &axis : axes) {
    key += axis.name + "(";
    for (const Axes &part : axis.parts) {
      appendKey(part, key);
      key += '+';
    }
    key += "),";
  }
}

std::string Type::key() const {
  std::string key = std::to_string(static_cast<int>(kind));
  if (axisName != AxisName::Unknown) {
    key += axisName == AxisName::None ? 'n' : 'k';
    appendKey(axis, key);
  }
  if (truth)
    key += *truth ? 't' : 'f';
  if (number)
    key += "#" + import::toString(*number);
  if (text)
    key += "\"" + std::to_string(text->size()) + *text;
  if (axes) {
    key += '[';
    appendKey(*axes, key);
    key += ']';
  }
  key += over;
  if (!elements.empty() || !hasLength) {
    key += hasLength ? '{' : '<';
    for (const Type &element : elements)
      key += element.key() + ";";
    key += '}';
  }
  if (part)
    key += part->name.name;
  return key;
}

Type check::join(const Type &a, const Type &b) {
  using Kind = Type::Kind;
  if (a.key() == b.key())
    return a;
  Type result;
  if (a.kind == b.kind)
    result.kind = a.kind;
  else if (a.isTensor() && b.isTensor())
    result.kind = Kind::Tensor;
  else if (a.isConfigValue() && b.isConfigValue())
    result.kind = Kind::Config;
  else
    return result;
  std::string aAxis, bAxis;
  appendKey(a.axis, aAxis);
  appendKey(b.axis, bAxis);
  if (a.axisName == b.axisName && aAxis == bAxis) {
    result.axisName = a.axisName;
    result.axis = a.axis;
  }
  if (a.truth == b.truth)
    result.truth = a.truth;
  if (a.number == b.number)
    result.number = a.number;
  if (a.text == b.text)
    result.text = a.text;
  if (a.axes && b.axes) {
    std::string left, right;
    appendKey(*a.axes, left);
    appendKey(*b.axes, right);
    if (left == right)
      result.axes = a.axes;
  }
  if (a.over == b.over)
    result.over = a.over;
  if (result.is(Kind::Tuple)) {
    if (a.elements.size() != b.elements.size())
      return Type::unknown();
    std::vector<Type> elements;
    for (auto [x, y] : llvm::zip_equal(a.elements, b.elements))
      elements.push_back(join(x, y));
    result = Type::tuple(std::move(elements));
  } else if (result.is(Kind::List)) {
    bool empty = a.elements.empty() || b.elements.empty();
    result = Type::listOf(empty ? (a.elements.empty() ? b : a).element()
                                : join(a.element(), b.element()));
  } else if (result.is(Kind::Part)) {
    return Type::unknown();
  }
  return result;
}
