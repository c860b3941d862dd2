//===- SpecValue.h - What an expression of a spec evaluates to --*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The import runs a spec once: configuration values are computed, tensors are
// ops of the module that is being built. A SpecValue is either.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_SPECVALUE_H
#define CLADE_IMPORT_SPECVALUE_H

#include "dialect/Clade/CladeDialect.h"

#include <nlohmann/json_fwd.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace clade::import {

/// An axis: a size with a name, or the sum of several shapes ('head + head'),
/// whose parts an assignment to several names takes apart.
struct Dim {
  int64_t size = 0;
  std::string name;
  std::vector<std::vector<Dim>> parts; ///< Empty unless a sum.

  bool isSum() const { return !parts.empty(); }
  /// Whether the size is not known, as without a configuration.
  bool isUnknown() const { return mlir::ShapedType::isDynamic(size); }
};
using Shape = std::vector<Dim>;

/// A tensor has at most this many elements, and an axis this size: then no
/// computation with sizes overflows.
inline constexpr int64_t maxElements = int64_t(1) << 48;
inline constexpr int64_t maxAxisSize = (int64_t(1) << 31) - 1;

/// Product of the sizes; kDynamic if one is unknown, the largest integer if it
/// overflows.
int64_t numElements(llvm::ArrayRef<Dim> shape);
/// The sum of shapes as one axis, named after its parts.
Dim sumOf(std::vector<std::vector<Dim>> parts);
/// The shortest text that reads back as the same number, such as '1e-06': equal
/// texts are equal numbers.
std::string toString(double number);
/// '[q_heads = 4, head = 64]', for messages.
std::string toString(llvm::ArrayRef<Dim> shape);

/// What top_k chose from: the axis whose places the indices are, and the values
/// at these places.
struct Choice {
  Dim from;
  mlir::Value values;
};

/// A tensor of the module. The axes are those of its type, with the parts of
/// sums, which types do not keep.
struct TensorValue {
  mlir::Value value;
  Shape axes;
  /// Only of indices.
  std::shared_ptr<const Choice> choice = nullptr;

  NamedTensorType getType() const {
    return mlir::cast<NamedTensorType>(value.getType());
  }
  bool hasSequence() const { return getType().hasSequence(); }
  /// Axes without the sequence.
  Shape features() const {
    return Shape(axes.begin() + getType().getNumSequenceAxes(), axes.end());
  }
};

/// A predicate on the order of query and source, as a conjunction. What is not
/// causal sees the whole sequence.
struct Mask {
  bool causal = false;
  std::optional<int64_t> window; ///< near(n): source > query - n.
  mlir::Value groups;            ///< same(ids): of each token, or null.
};

/// What rope_table(…) says: how a position becomes angles.
struct RopeTable {
  std::string kind = "default";
  double theta = 10000;
  double fraction = 1;
  std::optional<int64_t> size;
  bool adjacentPairs = false;
  bool tableInF32 = false;
  bool computeInF32 = false;
  /// How several position axes share the frequencies: axial, alternate, or
  /// 'sizes' of which many each; empty for one axis.
  std::string sections;
  std::vector<int64_t> sectionSizes;
  bool isWoven = false;     ///< Sections of sizes take turns.
  int64_t maxPositions = 0; ///< max_position_embeddings, 0 if absent.
  std::shared_ptr<const nlohmann::json>
      record;             ///< The JSON record of the scaling; never null.
  std::string recordPath; ///< Its dotted key, for messages.
  /// Dotted keys of what the record has from beside it.
  std::map<std::string, std::string, std::less<>> otherPaths;
  /// The dotted key of a key of the record.
  std::string pathOf(llvm::StringRef key) const;
  /// Everything above as text: equal tables have equal keys.
  std::string key() const;
};

/// What the entry for images gave: a part of each row of it.
struct MediaRows {
  int64_t from = 0;  ///< First value of the part.
  int64_t width = 0; ///< Values of a row.
  Shape axes;        ///< Of the part.
};

/// An object of the configuration, with the dotted path of its keys.
struct Record {
  const nlohmann::json *object = nullptr;
  std::string path; ///< '' or 'text_config.'.
};

struct SpecValue {
  enum class Kind {
    Absent, ///< A configuration key that is not there; only defaults take it.
    None,   ///< null, none
    Bool,
    Int, ///< With a name: an axis.
    Float,
    String,
    List, ///< A list, or a shape if its elements are axes.
    Tuple,
    Record,
    Range,
    Tensor,
    Mask,
    Rope,
    Input,  ///< What an entry takes, by its name.
    Grid,   ///< The rows and columns of images.
    Frames, ///< Which image a patch belongs to.
    Places, ///< Tokens that stand for images: their ids are the elements.
    Media,
  };

  Kind kind = Kind::None;
  bool boolean = false;
  Dim dim; ///< Int, and the size of a sum.
  double number = 0;
  std::string text;                ///< String, Input; the key of Absent.
  std::vector<SpecValue> elements; ///< List, Tuple; begin and end of Range.
  Record record;
  TensorValue tensor;
  Mask mask;
  std::shared_ptr<RopeTable> rope;
  std::shared_ptr<const MediaRows> media;

  bool is(Kind k) const { return kind == k; }
  bool isNumber() const { return kind == Kind::Int || kind == Kind::Float; }
  double asDouble() const {
    return kind == Kind::Int ? static_cast<double>(dim.size) : number;
  }

  static SpecValue none() { return {}; }
  static SpecValue absent(std::string key);
  static SpecValue of(bool value);
  static SpecValue of(int64_t value, std::string name = "");
  static SpecValue of(Dim dim);
  static SpecValue of(double value);
  static SpecValue of(std::string text);
  static SpecValue of(const char *text) { return of(std::string(text)); }
  static SpecValue of(TensorValue tensor);
  static SpecValue of(Mask mask);
  static SpecValue of(Record record);
  static SpecValue of(MediaRows rows);
  static SpecValue input(std::string name);
  static SpecValue places(std::vector<SpecValue> ids);
  static SpecValue list(std::vector<SpecValue> elements);
  static SpecValue tuple(std::vector<SpecValue> elements);
  static SpecValue range(SpecValue begin, SpecValue end);

  /// What the value is, for messages: 'the integer 4', 'a tensor [token, d =
  /// 8]'.
  std::string describe() const;
  /// A text that differs if the values do; tensors have none.
  std::string key() const;
  /// Whether two configuration values are equal; 4 == 4.0.
  bool equals(const SpecValue &other) const;

  static SpecValue ofKind(Kind kind) {
    SpecValue value;
    value.kind = kind;
    return value;
  }
};

} // namespace clade::import

#endif // CLADE_IMPORT_SPECVALUE_H
