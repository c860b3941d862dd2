//===- Dequantiser.h - Emits published quantised forms ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One method a published layout, each made of casts, other views of bytes, zero
// points and scales of blocks. Results round where the published decoder
// rounds: products are f32, then the type of the scales or of the state where
// that decoder computes in it. Private to the files Dequantise*.cpp and
// WeightDequantisation.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_DEQUANTISER_H
#define CLADE_IMPORT_DEQUANTISER_H

#include "lib/Import/SpecLibrary.h"
#include "lib/Import/WeightResolver.h"

#include <nlohmann/json.hpp>

namespace clade::import {

namespace dequantise {

using namespace mlir;
using nlohmann::json;

inline RankedTensorType shaped(mlir::Value value) {
  return llvm::cast<RankedTensorType>(value.getType());
}

inline ArrayRef<int64_t> shapeOf(mlir::Value value) {
  return shaped(value).getShape();
}

inline std::string text(ArrayRef<int64_t> shape) {
  return rt::shapeText(std::vector<int64_t>(shape.begin(), shape.end()));
}

/// A number for everything, or for each place along the first axes (each row,
/// each expert), as a tensor with more axes.
SmallVector<int64_t> alignedShape(ArrayRef<int64_t> whole,
                                  ArrayRef<int64_t> scales);

template <typename T> std::optional<T> as(const json &value) {
  if constexpr (std::is_same_v<T, bool>) {
    if (value.is_boolean())
      return value.get<bool>();
  } else if constexpr (std::is_same_v<T, int64_t>) {
    if (value.is_number_integer())
      return value.get<int64_t>();
  } else if (value.is_string()) {
    return value.get<std::string>();
  }
  return std::nullopt;
}

/// The member, or nothing if it is absent, null or of another type.
template <typename T>
std::optional<T> member(const json &object, const char *key) {
  auto it = object.find(key);
  return it == object.end() ? std::nullopt : as<T>(*it);
}

/// What a group of compressed-tensors' `config_groups` says about weights.
struct Scheme {
  std::string name; ///< Of the group.
  int64_t bits = 8;
  bool isFloat = false;
  bool isSymmetric = true;
  std::string strategy; ///< tensor, channel, group, tensor_group or block.
  SmallVector<int64_t> block;

  std::string describe() const {
    std::string size = strategy;
    if (!block.empty())
      size += " of " + text(block);
    return "'" + name + "' has " + std::to_string(bits) + "-bit " +
           (isFloat ? "floats" : "integers") +
           (isSymmetric ? "" : " with zero points") + ", one scale a " + size;
  }
};

/// Emits one call.
class Dequantiser {
public:
  Dequantiser(const WeightTree &call, ArrayRef<mlir::Value> tensors,
              OpBuilder &builder, Location loc)
      : call(call), tensors(tensors), builder(builder), loc(loc) {}

  FailureOr<mlir::Value> run();

private:
  // The functions.
  FailureOr<mlir::Value> scaled();
  FailureOr<mlir::Value> quantised();
  FailureOr<mlir::Value> packed();
  FailureOr<mlir::Value> mxfp4();
  FailureOr<mlir::Value> nvfp4();
  FailureOr<mlir::Value> gptq();
  FailureOr<mlir::Value> awq();
  FailureOr<mlir::Value> bnb4();

  // Ops, with their types derived.
  Type f32() { return builder.getF32Type(); }
  Type unsignedType(unsigned bits) {
    return builder.getIntegerType(bits, /*isSigned=*/false);
  }
  mlir::Value castTo(mlir::Value value, Type type);
  mlir::Value reshape(mlir::Value value, ArrayRef<int64_t> shape);
  mlir::Value transpose(mlir::Value value, ArrayRef<int64_t> permutation);
  mlir::Value firstOf(mlir::Value value, int64_t axis, int64_t size);
  mlir::Value bitcast(mlir::Value value, Type type, bool highFirst = false);
  mlir::Value gather(mlir::Value table, mlir::Value index);
  mlir::Value shift(mlir::Value value, double amount);
  mlir::Value multiply(mlir::Value value, mlir::Value scales,
                       ArrayRef<int64_t> block) {
    return wmap::ScaleOp::create(builder, loc, f32Like(value), value, scales,
                                 block);
  }
  mlir::Value subtract(mlir::Value value, mlir::Value zeros,
                       ArrayRef<int64_t> block) {
    return wmap::SubtractOp::create(builder, loc, f32Like(value), value, zeros,
                                    block);
  }
  mlir::Value divide(mlir::Value value, mlir::Value numbers,
                     ArrayRef<int64_t> block) {
    return wmap::DivideOp::create(builder, loc, f32Like(value), value, numbers,
                                  block);
  }
  RankedTensorType f32Like(mlir::Value value) {
    return RankedTensorType::get(shapeOf(value), f32());
  }
  /// The codes that the words of an [n, columns] tensor hold, row after row.
  mlir::Value codesDown(mlir::Value words, int64_t bits);

  // Checks.
  InFlightDiagnostic error() {
    return emitError(loc) << "weight function '" << call.name << "': ";
  }
  /// The name of argument `i`'s first tensor.
  std::string nameOf(size_t i) const;
  /// "'w.scale' [2, 3]", for messages.
  std::string described(size_t i) const {
    return "'" + nameOf(i) + "' " + text(shapeOf(tensors[i]));
  }
  LogicalResult expectShape(size_t i, ArrayRef<int64_t> expected,
                            const llvm::Twine &why);
  LogicalResult expectType(size_t i, bool holds, StringRef expected);
  bool hasElements(size_t i, Type type) {
    return shaped(tensors[i]).getElementType() == type;
  }
  LogicalResult expectWords(size_t i) {
    return expectType(i, hasElements(i, builder.getIntegerType(32, true)),
                      "I32");
  }
  LogicalResult expectFloats(size_t i) {
    Type type = shaped(tensors[i]).getElementType();
    return expectType(i, type.isF32() || type.isBF16() || type.isF16(),
                      "F32, BF16 or F16");
  }
  FailureOr<int64_t> integer(size_t i, StringRef what, int64_t least);

  /// Scales of argument `i` as numbers: bytes are exponents.
  FailureOr<mlir::Value> scalesOf(size_t i);
  /// The block of each scale of argument `i` for a tensor of shape `whole`, as
  /// the sizes tell; `scales` takes the tensor's number of axes.
  FailureOr<SmallVector<int64_t>> blocksOf(ArrayRef<int64_t> whole, size_t i,
                                           mlir::Value &scales);
  FailureOr<SmallVector<int64_t>> blocksOfSize(ArrayRef<int64_t> whole,
                                               size_t i, mlir::Value &scales,
                                               const SpecValue &size);
  FailureOr<std::vector<Scheme>> schemes(const SpecValue &groups);
  LogicalResult addScheme(const std::string &name, const std::string &path,
                          const json &group, std::vector<Scheme> &schemes);
  /// The block of the first scheme that fits, with what is wanted of it.
  FailureOr<std::pair<Scheme, SmallVector<int64_t>>>
  chooseScheme(const SpecValue &groups, ArrayRef<int64_t> whole, size_t i,
               mlir::Value &scales,
               llvm::function_ref<bool(const Scheme &)> isWanted);

  const WeightTree &call;
  ArrayRef<mlir::Value> tensors;
  OpBuilder &builder;
  Location loc;
};
} // namespace dequantise

} // namespace clade::import

#endif // CLADE_IMPORT_DEQUANTISER_H
