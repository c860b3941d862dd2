//===- DequantiseGroups.cpp - The forms of compressed-tensors -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Groups of the configuration say how weights are quantised; the first that
// fits a weight's tensors is meant.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Dequantiser.h"

#include <cmath>
#include <cstring>

using namespace clade;
using namespace clade::import;
using namespace clade::import::dequantise;
using namespace mlir;

//===----------------------------------------------------------------------===//
// The groups of compressed-tensors
//===----------------------------------------------------------------------===//

/// Reports keys that nothing reads.
static LogicalResult expectKeys(const json &object, const std::string &path,
                                ArrayRef<std::string> known, Location loc) {
  for (const auto &[key, value] : object.items())
    if (!llvm::is_contained(known, key))
      return emitError(loc)
             << "key '" << path << "." << key << "' has no meaning here"
             << SpecLibrary::hint(key, known);
  return success();
}

LogicalResult Dequantiser::addScheme(const std::string &name,
                                     const std::string &path, const json &group,
                                     std::vector<Scheme> &schemes) {
  auto weights = group.find("weights");
  if (weights == group.end() || weights->is_null())
    return success(); // Of activations only.
  if (failed(expectKeys(group, path,
                        {"targets", "weights", "input_activations",
                         "output_activations", "format"},
                        loc)))
    return failure();
  std::string inner = path + ".weights";
  if (!weights->is_object())
    return error() << "expected '" << inner << "' to be an object, got "
                   << weights->dump();
  if (failed(
          expectKeys(*weights, inner,
                     {"num_bits", "type", "symmetric", "strategy", "group_size",
                      "block_structure", "dynamic", "actorder", "scale_dtype",
                      "zp_dtype", "observer", "observer_kwargs"},
                     loc)))
    return failure();
  Scheme scheme;
  scheme.name = name;
  scheme.bits = member<int64_t>(*weights, "num_bits").value_or(8);
  scheme.isFloat =
      member<std::string>(*weights, "type").value_or("int") == "float";
  scheme.isSymmetric = member<bool>(*weights, "symmetric").value_or(true);
  std::optional<int64_t> group_size = member<int64_t>(*weights, "group_size");
  bool isGrouped = group_size && *group_size > 0;
  scheme.strategy = member<std::string>(*weights, "strategy")
                        .value_or(isGrouped    ? "group"
                                  : group_size ? "channel"
                                               : "tensor");
  bool isBlock = scheme.strategy == "block";
  if (isBlock)
    for (const json &size : weights->value("block_structure", json::array()))
      scheme.block.push_back(as<int64_t>(size).value_or(0));
  else if (scheme.strategy == "group" || scheme.strategy == "tensor_group")
    scheme.block = {1, isGrouped ? *group_size : 0};
  bool isKnown = llvm::is_contained(
      {"tensor", "channel", "group", "tensor_group", "block"},
      StringRef(scheme.strategy));
  bool isValid = llvm::all_of(scheme.block, [](int64_t s) { return s > 0; }) &&
                 (!isBlock || scheme.block.size() == 2);
  if (!isKnown || !isValid)
    return error()
           << "'" << inner << "' has strategy '" << scheme.strategy
           << "' with blocks of " << text(scheme.block)
           << ", expected tensor, channel, group or tensor_group with a "
              "'group_size' "
              "or block with a 'block_structure'";
  schemes.push_back(std::move(scheme));
  return success();
}

FailureOr<std::vector<Scheme>> Dequantiser::schemes(const SpecValue &groups) {
  if (!groups.is(SpecValue::Kind::Record))
    return error() << "expected the groups of quantization_config, got "
                   << groups.describe();
  std::vector<Scheme> result;
  std::string path = groups.record.path;
  for (const auto &[name, group] : groups.record.object->items()) {
    if (!group.is_object())
      return error() << "expected '" << path << name
                     << "' to be an object, got " << group.dump();
    if (failed(addScheme(name, path + name, group, result)))
      return failure();
  }
  return result;
}

FailureOr<std::pair<Scheme, SmallVector<int64_t>>>
Dequantiser::chooseScheme(const SpecValue &groups, ArrayRef<int64_t> whole,
                          size_t i, mlir::Value &scales,
                          llvm::function_ref<bool(const Scheme &)> isWanted) {
  FailureOr<std::vector<Scheme>> known = schemes(groups);
  if (failed(known))
    return failure();
  SmallVector<int64_t> shape = alignedShape(whole, shapeOf(scales));
  for (const Scheme &scheme : *known) {
    // Blocks lie along the last two axes; stacks have scales of their own.
    SmallVector<int64_t> block(whole.size(), 1), expected;
    size_t rank = whole.size();
    if (rank < 2)
      continue;
    if (scheme.strategy == "tensor")
      block[rank - 2] = whole[rank - 2];
    if (scheme.block.empty())
      block[rank - 1] = whole[rank - 1];
    else
      llvm::copy(scheme.block, block.end() - 2);
    for (auto [extent, step] : llvm::zip_equal(whole, block))
      expected.push_back(llvm::divideCeil(extent, step));
    if (shape != expected || !isWanted(scheme))
      continue;
    scales = reshape(scales, shape);
    return std::make_pair(scheme, block);
  }
  InFlightDiagnostic diagnostic =
      error() << "no group of quantization_config fits tensors " << described(0)
              << " with scales " << described(i) << ": ";
  llvm::interleave(
      *known, diagnostic,
      [&](const Scheme &scheme) { diagnostic << scheme.describe(); }, "; ");
  return diagnostic;
}

//===----------------------------------------------------------------------===//
// The functions
//===----------------------------------------------------------------------===//

/// quantised(w, s [, z], groups): `NaiveQuantizationCompressor` of
/// compressed-tensors, (w - z) · s in the type of the scales.
FailureOr<mlir::Value> Dequantiser::quantised() {
  mlir::Value weight = tensors[0];
  Type type = shaped(weight).getElementType();
  bool isFloat = isa<Float8E4M3FNType, Float8E5M2Type>(type);
  if (failed(expectType(0, isFloat || type.isSignedInteger(8),
                        "F8_E4M3, F8_E5M2 or I8")))
    return failure();
  bool hasZeros = call.inputs.size() > 3;
  FailureOr<mlir::Value> scales = scalesOf(1);
  if (failed(scales))
    return failure();
  auto chosen =
      chooseScheme(call.inputs.back().asValue(), shapeOf(weight), 1, *scales,
                   [&](const Scheme &scheme) {
                     return scheme.bits == 8 && scheme.isFloat == isFloat &&
                            (scheme.isSymmetric || hasZeros || isFloat);
                   });
  if (failed(chosen))
    return failure();
  if (hasZeros) {
    if (failed(expectShape(2, shapeOf(tensors[1]), ", as the scales")))
      return failure();
    weight =
        subtract(weight, reshape(tensors[2], shapeOf(*scales)), chosen->second);
  }
  // Exponents are bf16 there.
  Type scaleType = shaped(*scales).getElementType();
  if (isa<Float8E8M0FNUType>(scaleType))
    scaleType = builder.getBF16Type();
  return castTo(multiply(weight, *scales, chosen->second), scaleType);
}

/// packed(w, s, shape [, z], groups): `PackedQuantizationCompressor`. Codes are
/// integers plus half of their range, so zero points are packed alike.
FailureOr<mlir::Value> Dequantiser::packed() {
  if (failed(expectWords(0)) || failed(expectFloats(1)))
    return failure();
  const WeightTree &sizes = call.inputs[2];
  SmallVector<int64_t> shape;
  size_t width =
      sizes.dtype == rt::DType::I64 ? sizeof(int64_t) : sizeof(int32_t);
  bool isInteger =
      sizes.dtype == rt::DType::I64 || sizes.dtype == rt::DType::I32;
  const std::string &bytes = *sizes.contents;
  for (size_t at = 0; isInteger && at + width <= bytes.size(); at += width) {
    int64_t wide = 0;
    int32_t narrow = 0;
    std::memcpy(width == sizeof(wide) ? static_cast<void *>(&wide) : &narrow,
                bytes.data() + at, width);
    shape.push_back(width == sizeof(wide) ? wide : narrow);
  }
  ArrayRef<int64_t> words = shapeOf(tensors[0]);
  // Each expert of a stack has its own shape, and its rows follow the others'.
  int64_t experts = std::max<int64_t>(sizes.stack, 1);
  bool isValid = words.size() == 2 && shape.size() == 2 &&
                 words[0] % experts == 0 && shape[0] == words[0] / experts &&
                 shape[1] > 0 && shape[1] <= maxAxisSize;
  if (!isValid)
    return error() << "expected tensor '" << nameOf(2)
                   << "' to hold the shape of a matrix of "
                   << (words.empty() ? 0 : words[0] / experts)
                   << " rows, as tensor '" << nameOf(0) << "' has, got "
                   << text(shape);
  shape[0] = words[0];
  bool hasZeros = call.inputs.size() > 4;
  mlir::Value scales = tensors[1];
  auto chosen =
      chooseScheme(call.inputs.back().asValue(), shape, 1, scales,
                   [&](const Scheme &scheme) {
                     return !scheme.isFloat && scheme.isSymmetric != hasZeros &&
                            (scheme.bits == 4 || scheme.bits == 8) &&
                            llvm::divideCeil(shape[1] * scheme.bits, 32) ==
                                static_cast<uint64_t>(words[1]);
                   });
  if (failed(chosen))
    return failure();
  int64_t bits = chosen->first.bits;
  mlir::Value codes = castTo(bitcast(tensors[0], unsignedType(bits)), f32());
  codes = firstOf(codes, 1, shape[1]);
  if (hasZeros) {
    int64_t rows = llvm::divideCeil(shapeOf(scales)[0] * bits, 32);
    if (failed(expectWords(3)) ||
        failed(expectShape(3, {rows, shapeOf(scales)[1]},
                           ", a zero point for each scale")))
      return failure();
    mlir::Value zeros = codesDown(tensors[3], bits);
    codes =
        subtract(codes, firstOf(zeros, 0, shapeOf(scales)[0]), chosen->second);
  } else {
    codes = shift(codes, -std::ldexp(1.0, bits - 1));
  }
  return castTo(multiply(codes, scales, chosen->second),
                shaped(scales).getElementType());
}
