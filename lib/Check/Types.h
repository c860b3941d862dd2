//===- Types.h - What is known of a value before it is run ------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Abstract values of the checker. They form a lattice with Unknown on top: an
// unknown value never makes an error. Axes are known by name only, sizes never;
// where even the names are not certain, the axes of a tensor are unknown.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CHECK_TYPES_H
#define CLADE_CHECK_TYPES_H

#include "lib/Spec/AST.h"

#include <optional>
#include <string>
#include <vector>

namespace clade::check {

/// An axis by its name, or the sum of several shapes.
struct Axis {
  std::string name;
  std::vector<std::vector<Axis>> parts; ///< Empty unless a sum.

  bool isSum() const { return !parts.empty(); }
};
using Axes = std::vector<Axis>;

/// The sum of shapes as one axis, named after its parts; nothing if the name
/// gets longer than any that is written by hand.
std::optional<Axis> sumOf(std::vector<Axes> parts);
/// '[q_heads, head]', for messages.
std::string toString(llvm::ArrayRef<Axis> axes);
const Axis *findAxis(llvm::ArrayRef<Axis> axes, llvm::StringRef name);
/// Whether each axis of `part` is one of `whole`.
bool contains(llvm::ArrayRef<Axis> whole, llvm::ArrayRef<Axis> part);
/// A shape without the axes written as a literal 1.
Axes withoutOnes(llvm::ArrayRef<Axis> axes);
bool hasToken(llvm::ArrayRef<Axis> axes);
/// The axes without the sequence, which comes first.
Axes featuresOf(llvm::ArrayRef<Axis> axes);

/// How the size that a number is names an axis.
enum class AxisName {
  None,    ///< Not at all: the name of the variable or its digits do.
  Known,   ///< It is `Type::axis`.
  Unknown, ///< Depends on the configuration, or on what is not known.
};

struct Type {
  enum class Kind {
    Unknown, ///< Anything.
    Config,  ///< A value of config.json: none, a number, a string, a list, …
    None,
    Bool,
    Number,
    String,
    List,
    Range,
    Record,
    Tensor,
    Indices, ///< What top_k chooses: positions along the axis `over`.
    Mask,
    Rope,
    Tuple,
    Part, ///< A family inside this one.
  };

  Kind kind = Kind::Unknown;
  // Number, Config, Unknown.
  AxisName axisName = AxisName::Unknown;
  Axis axis;
  // The value, where it is the same in every configuration.
  std::optional<bool> truth;
  std::optional<double> number;
  std::optional<std::string> text;
  /// Tensor and Indices; nothing if unknown.
  std::optional<Axes> axes;
  std::string over; ///< Indices; empty if unknown.
  /// Tuple, and List if `hasLength`; otherwise a List has one, for all.
  std::vector<Type> elements;
  bool hasLength = true;
  /// Types in it, and how deep they are nested: both bounded.
  size_t numTypes = 1, depth = 1;
  const spec::PartDecl *part = nullptr;

  static Type unknown() { return {}; }
  static Type of(Kind kind);
  static Type config() { return of(Kind::Config); }
  static Type none() { return of(Kind::None); }
  static Type boolean(std::optional<bool> value = std::nullopt);
  static Type ofNumber(std::optional<double> value = std::nullopt);
  static Type size(Axis axis);
  static Type string(std::optional<std::string> value = std::nullopt);
  static Type tensor(std::optional<Axes> axes = std::nullopt);
  static Type list(std::vector<Type> elements);
  static Type listOf(Type element);
  static Type tuple(std::vector<Type> elements);

  bool is(Kind k) const { return kind == k; }
  bool isTensor() const { return is(Kind::Tensor) || is(Kind::Indices); }
  bool isUnknown() const { return is(Kind::Unknown); }
  /// Whether some configuration makes it a value of this kind.
  bool mayBe(Kind k) const;
  bool mayBeTensor() const { return isUnknown() || isTensor(); }
  /// Whether it may stand in config.json.
  bool isConfigValue() const;
  /// Known to be the same value in every configuration.
  bool isConstant() const {
    return is(Kind::None) || truth || number || text.has_value();
  }
  /// The type of an element of a list.
  Type element() const;

  /// For messages: 'a tensor [token, d]', 'a mask'.
  std::string describe() const;
  /// Equal texts are equal types.
  std::string key() const;
};

/// The least type that covers both.
Type join(const Type &a, const Type &b);

} // namespace clade::check

#endif // CLADE_CHECK_TYPES_H
