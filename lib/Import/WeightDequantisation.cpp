//===- WeightDequantisation.cpp - Published quantised forms ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One function a published layout, each made of casts, other views of bytes,
// zero points and scales of blocks. Results round where the published decoder
// rounds: products are f32, then the type of the scales or of the state where
// that decoder computes in it.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/SpecLibrary.h"
#include "lib/Import/WeightFunctions.h"
#include "lib/Import/WeightResolver.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "llvm/ADT/StringExtras.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstring>

using namespace clade;
using namespace clade::import;
using namespace mlir;
using nlohmann::json;

namespace {

RankedTensorType shaped(mlir::Value value) {
  return cast<RankedTensorType>(value.getType());
}

ArrayRef<int64_t> shapeOf(mlir::Value value) {
  return shaped(value).getShape();
}

std::string text(ArrayRef<int64_t> shape) {
  return rt::shapeText(std::vector<int64_t>(shape.begin(), shape.end()));
}

/// What a group of compressed-tensors' `config_groups` says about weights.
struct Scheme {
  std::string name; ///< Of the group.
  int64_t bits = 8;
  bool isFloat = false;
  bool isSymmetric = true;
  std::string strategy; ///< tensor, channel, group or block.
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
} // namespace

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

mlir::Value Dequantiser::castTo(mlir::Value value, Type type) {
  if (shaped(value).getElementType() == type)
    return value;
  return wmap::CastOp::create(
      builder, loc, RankedTensorType::get(shapeOf(value), type), value);
}

mlir::Value Dequantiser::reshape(mlir::Value value, ArrayRef<int64_t> shape) {
  if (shapeOf(value) == shape)
    return value;
  return wmap::ReshapeOp::create(
      builder, loc,
      RankedTensorType::get(shape, shaped(value).getElementType()), value);
}

mlir::Value Dequantiser::transpose(mlir::Value value,
                                   ArrayRef<int64_t> permutation) {
  auto type =
      RankedTensorType::get(applyPermutation(shapeOf(value), permutation),
                            shaped(value).getElementType());
  return wmap::TransposeOp::create(builder, loc, type, value, permutation);
}

/// The first `size` elements of an axis.
mlir::Value Dequantiser::firstOf(mlir::Value value, int64_t axis,
                                 int64_t size) {
  SmallVector<int64_t> shape(shapeOf(value));
  if (shape[axis] == size)
    return value;
  shape[axis] = size;
  return wmap::SliceOp::create(
      builder, loc,
      RankedTensorType::get(shape, shaped(value).getElementType()), value,
      builder.getI64IntegerAttr(axis), builder.getI64IntegerAttr(0));
}

mlir::Value Dequantiser::bitcast(mlir::Value value, Type type, bool highFirst) {
  RankedTensorType from = shaped(value);
  SmallVector<int64_t> shape(from.getShape());
  if (!shape.empty())
    shape.back() *= from.getElementType().getIntOrFloatBitWidth() /
                    type.getIntOrFloatBitWidth();
  return wmap::BitcastOp::create(
      builder, loc, RankedTensorType::get(shape, type), value, highFirst);
}

mlir::Value Dequantiser::gather(mlir::Value table, mlir::Value index) {
  SmallVector<int64_t> shape(shapeOf(index));
  if (shaped(index).getElementType().isSignedInteger())
    llvm::append_range(shape, shapeOf(table).drop_front());
  return wmap::GatherOp::create(
      builder, loc,
      RankedTensorType::get(shape, shaped(table).getElementType()), table,
      index);
}

mlir::Value Dequantiser::shift(mlir::Value value, double amount) {
  return wmap::ShiftOp::create(builder, loc, value.getType(), value,
                               builder.getF64FloatAttr(amount));
}

mlir::Value Dequantiser::codesDown(mlir::Value words, int64_t bits) {
  int64_t rows = shapeOf(words)[0], columns = shapeOf(words)[1];
  mlir::Value codes =
      bitcast(reshape(words, {rows, columns, 1}), unsignedType(bits));
  mlir::Value turned = transpose(castTo(codes, f32()), {0, 2, 1});
  return reshape(turned, {rows * (32 / bits), columns});
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

static std::string firstName(const WeightTree &tree) {
  if (tree.kind == WeightTree::Kind::Source || tree.inputs.empty())
    return tree.name;
  return firstName(tree.inputs.front());
}

std::string Dequantiser::nameOf(size_t i) const {
  return firstName(call.inputs[i]);
}

LogicalResult Dequantiser::expectShape(size_t i, ArrayRef<int64_t> expected,
                                       const llvm::Twine &why) {
  if (shapeOf(tensors[i]) == expected)
    return success();
  return error() << "tensor " << described(i) << " should be " << text(expected)
                 << why;
}

LogicalResult Dequantiser::expectType(size_t i, bool holds,
                                      StringRef expected) {
  if (holds)
    return success();
  return error() << "expected " << expected << " elements of tensor '"
                 << nameOf(i) << "', got " << tensors[i].getType();
}

FailureOr<int64_t> Dequantiser::integer(size_t i, StringRef what,
                                        int64_t least) {
  SpecValue value = call.inputs[i].asValue();
  double number = value.isNumber() ? value.asDouble() : NAN;
  if (number >= least && number <= maxAxisSize && number == std::floor(number))
    return static_cast<int64_t>(number);
  return error() << "expected " << what << ", got " << value.describe();
}

//===----------------------------------------------------------------------===//
// Scales and their blocks
//===----------------------------------------------------------------------===//

FailureOr<mlir::Value> Dequantiser::scalesOf(size_t i) {
  mlir::Value scales = tensors[i];
  Type type = shaped(scales).getElementType();
  if (type.isUnsignedInteger(8))
    return bitcast(scales, Float8E8M0FNUType::get(builder.getContext()));
  if (failed(expectType(i,
                        type.isF32() || type.isBF16() || type.isF16() ||
                            isa<Float8E8M0FNUType>(type),
                        "F32, BF16, F16, F8_E8M0 or U8")))
    return failure();
  return scales;
}

/// A number for everything, or for each row, as a tensor with more axes.
static SmallVector<int64_t> alignedShape(ArrayRef<int64_t> whole,
                                         ArrayRef<int64_t> scales) {
  if (ShapedType::getNumElements(scales) == 1)
    return SmallVector<int64_t>(whole.size(), 1);
  SmallVector<int64_t> shape(scales);
  if (shape.size() < whole.size() &&
      ArrayRef(shape) == whole.take_front(shape.size()))
    shape.resize(whole.size(), 1);
  return shape;
}

FailureOr<SmallVector<int64_t>>
Dequantiser::blocksOf(ArrayRef<int64_t> whole, size_t i, mlir::Value &scales) {
  SmallVector<int64_t> shape = alignedShape(whole, shapeOf(scales)), block;
  bool fits = shape.size() == whole.size() && !whole.empty();
  for (size_t axis = 0; fits && axis < shape.size(); ++axis) {
    fits = whole[axis] % shape[axis] == 0;
    block.push_back(whole[axis] / shape[axis]);
  }
  if (!fits)
    return error() << "tensor " << described(i)
                   << " does not divide a tensor of " << text(whole)
                   << " into blocks, and no size of a block is given";
  scales = reshape(scales, shape);
  return block;
}

FailureOr<SmallVector<int64_t>>
Dequantiser::blocksOfSize(ArrayRef<int64_t> whole, size_t i,
                          mlir::Value &scales, const SpecValue &size) {
  if (!size.is(SpecValue::Kind::List))
    return blocksOf(whole, i, scales);
  // The last axes have blocks.
  size_t given = size.elements.size();
  SmallVector<int64_t> block(whole.size(), 1), expected;
  bool isValid = given <= whole.size() && given > 0;
  for (size_t axis = 0; isValid && axis < given; ++axis) {
    const SpecValue &element = size.elements[axis];
    isValid = element.is(SpecValue::Kind::Int) && element.dim.size > 0;
    block[whole.size() - given + axis] = element.dim.size;
  }
  if (!isValid)
    return error() << "expected positive sizes of a block for the last axes of "
                   << text(whole) << ", got " << size.describe();
  for (auto [extent, step] : llvm::zip_equal(whole, block))
    expected.push_back(llvm::divideCeil(extent, step));
  if (alignedShape(whole, shapeOf(scales)) != expected)
    return error() << "tensor " << described(i) << " should be "
                   << text(expected) << ", a scale for each block of "
                   << text(block) << " of " << text(whole)
                   << ", as the configuration says";
  scales = reshape(scales, expected);
  return block;
}

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

template <typename T> static std::optional<T> as(const json &value) {
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
static std::optional<T> member(const json &object, const char *key) {
  auto it = object.find(key);
  return it == object.end() ? std::nullopt : as<T>(*it);
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
  else if (scheme.strategy == "group")
    scheme.block = {1, isGrouped ? *group_size : 0};
  bool isKnown = llvm::is_contained({"tensor", "channel", "group", "block"},
                                    StringRef(scheme.strategy));
  bool isValid = llvm::all_of(scheme.block, [](int64_t s) { return s > 0; }) &&
                 (!isBlock || scheme.block.size() == 2);
  if (!isKnown || !isValid)
    return error() << "'" << inner << "' has strategy '" << scheme.strategy
                   << "' with blocks of " << text(scheme.block)
                   << ", expected tensor, channel, group with a 'group_size' "
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

/// scaled(w, s [, block]): DeepSeek-V3's `weight_dequant`, with any block.
/// Bytes are pairs of E2M1 codes, as transformers' Fp8Dequantize takes them.
FailureOr<mlir::Value> Dequantiser::scaled() {
  mlir::Value weight = tensors[0];
  Type type = shaped(weight).getElementType();
  bool isPairs = type.isInteger(8);
  bool isFp4 = isPairs || call.inputs[0].dtype == rt::DType::F4;
  if (failed(expectType(0, isFp4 || isa<Float8E4M3FNType, Float8E5M2Type>(type),
                        "F8_E4M3, F8_E5M2, F4 or I8")))
    return failure();
  if (isPairs)
    weight = castTo(
        bitcast(weight, Float4E2M1FNType::get(builder.getContext())), f32());
  FailureOr<mlir::Value> scales = scalesOf(1);
  if (failed(scales))
    return failure();
  // A size of blocks is that of FP8; what has pairs of codes has another.
  SpecValue size = call.inputs.size() > 2 && !isFp4 ? call.inputs[2].asValue()
                                                    : SpecValue::none();
  FailureOr<SmallVector<int64_t>> block =
      blocksOfSize(shapeOf(weight), 1, *scales, size);
  if (failed(block))
    return failure();
  return multiply(weight, *scales, *block);
}

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
  bool isValid = words.size() == 2 && shape.size() == 2 &&
                 shape[0] == words[0] && shape[1] > 0 &&
                 shape[1] <= maxAxisSize;
  if (!isValid)
    return error() << "expected tensor '" << nameOf(2)
                   << "' to hold the shape of a matrix of as many rows as "
                   << described(0) << ", got " << text(shape);
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

/// mxfp4(b, s [, groups]): pairs of E2M1 codes, [.., g, 16] or [.., 16 g], and
/// exponents [.., g]. With groups, `MXFP4PackedCompressor`, which gives bf16.
FailureOr<mlir::Value> Dequantiser::mxfp4() {
  mlir::Value weight = tensors[0];
  bool isPairs = shaped(weight).getElementType().isInteger(8);
  if (failed(expectType(0, isPairs || call.inputs[0].dtype == rt::DType::F4,
                        "U8 or F4")))
    return failure();
  Type scaleType = shaped(tensors[1]).getElementType();
  if (failed(expectType(1,
                        scaleType.isUnsignedInteger(8) ||
                            isa<Float8E8M0FNUType>(scaleType),
                        "U8 or F8_E8M0")))
    return failure();
  mlir::Value scales = *scalesOf(1);
  if (isPairs)
    weight = castTo(
        bitcast(weight, Float4E2M1FNType::get(builder.getContext())), f32());
  ArrayRef<int64_t> groups = shapeOf(scales);
  SmallVector<int64_t> shape(groups);
  if (!shape.empty())
    shape.back() *= 32;
  if (shape.empty() || ShapedType::getNumElements(shape) !=
                           ShapedType::getNumElements(shapeOf(weight)))
    return error() << "expected tensor " << described(1)
                   << " to have an exponent for each 32 values of "
                   << described(0);
  weight = reshape(weight, shape);
  SmallVector<int64_t> block(shape.size(), 1);
  block.back() = 32;
  if (call.inputs.size() < 3)
    return multiply(weight, scales, block);
  auto chosen = chooseScheme(
      call.inputs[2].asValue(), shape, 1, scales,
      [](const Scheme &scheme) { return scheme.isFloat && scheme.bits == 4; });
  if (failed(chosen))
    return failure();
  return castTo(multiply(weight, scales, chosen->second),
                builder.getBF16Type());
}

/// gptq(qweight, qzeros, scales [, g_idx], bits, group_size, offset): [K, N]
/// packed down the rows, zero points along them and less `offset`; AutoGPTQ's
/// `QuantLinear`, whose zero points wrap around.
FailureOr<mlir::Value> Dequantiser::gptq() {
  bool hasIndex = call.inputs.size() > 6;
  size_t first = hasIndex ? 4 : 3;
  FailureOr<int64_t> bits = integer(first, "4 or 8 bits", 4),
                     group =
                         integer(first + 1, "the size of a group, or -1", -1),
                     offset = integer(first + 2, "0 or 1 as the offset", 0);
  if (failed(bits) || failed(group) || failed(offset))
    return failure();
  if ((*bits != 4 && *bits != 8) || *group == 0 || *offset > 1)
    return error() << "expected 4 or 8 bits in groups and an offset of 0 or 1, "
                      "got "
                   << *bits << " in groups of " << *group << " and " << *offset;
  if (failed(expectWords(0)) || failed(expectWords(1)) ||
      failed(expectFloats(2)))
    return failure();
  ArrayRef<int64_t> words = shapeOf(tensors[0]);
  if (words.size() != 2 || words[1] % (32 / *bits) != 0)
    return error() << "expected tensor " << described(0)
                   << " to be a matrix of a multiple of " << 32 / *bits
                   << " columns";
  int64_t rows = words[0] * (32 / *bits), columns = words[1];
  int64_t size = *group < 0 ? rows : *group;
  int64_t groups = llvm::divideCeil(rows, size);
  std::string why = " for " + std::to_string(rows) + " rows of " +
                    std::to_string(*bits) + " bits in groups of " +
                    std::to_string(size);
  if (failed(expectShape(2, {groups, columns}, why)) ||
      failed(expectShape(1, {groups, columns / (32 / *bits)}, why)) ||
      (hasIndex &&
       (failed(expectType(3,
                          shaped(tensors[3]).getElementType().isSignedInteger(),
                          "I32 or I64")) ||
        failed(expectShape(3, {rows}, why)))))
    return failure();
  mlir::Value zeros = bitcast(tensors[1], unsignedType(*bits));
  if (*offset == 0) {
    zeros = castTo(zeros, f32());
  } else {
    int64_t codes = int64_t(1) << *bits;
    std::vector<float> next;
    for (int64_t code = 0; code < codes; ++code)
      next.push_back((code + 1) % codes);
    mlir::Value table = wmap::ConstantOp::create(
        builder, loc, RankedTensorType::get({codes}, f32()), next);
    zeros = gather(table, zeros);
  }
  mlir::Value scales = tensors[2];
  SmallVector<int64_t> block{size, 1};
  if (hasIndex) {
    block[0] = 1;
    zeros = gather(zeros, tensors[3]);
    scales = gather(scales, tensors[3]);
  }
  mlir::Value weight = subtract(codesDown(tensors[0], *bits), zeros, block);
  weight =
      castTo(multiply(weight, scales, block), shaped(scales).getElementType());
  return transpose(weight, {1, 0});
}

/// awq(qweight, qzeros, scales, bits, group_size): [K, N] packed along the rows
/// in the order 0 2 4 6 1 3 5 7; AutoAWQ's `dequantize_gemm`.
FailureOr<mlir::Value> Dequantiser::awq() {
  FailureOr<int64_t> bits = integer(3, "4 bits", 4),
                     group = integer(4, "the size of a group, or -1", -1);
  if (failed(bits) || failed(group))
    return failure();
  if (*bits != 4 || *group == 0)
    return error() << "expected 4 bits in groups, got " << *bits
                   << " in groups of " << *group;
  if (failed(expectWords(0)) || failed(expectWords(1)) ||
      failed(expectFloats(2)))
    return failure();
  ArrayRef<int64_t> words = shapeOf(tensors[0]);
  if (words.size() != 2)
    return error() << "expected tensor " << described(0) << " to be a matrix";
  int64_t rows = words[0], columns = words[1] * 8;
  int64_t size = *group < 0 ? rows : *group;
  int64_t groups = llvm::divideCeil(rows, size);
  std::string why = " for " + std::to_string(rows) + " rows in groups of " +
                    std::to_string(size);
  if (failed(expectShape(2, {groups, columns}, why)) ||
      failed(expectShape(1, {groups, words[1]}, why)))
    return failure();
  auto codes = [&](mlir::Value value) {
    int64_t height = shapeOf(value)[0];
    mlir::Value stored = castTo(bitcast(value, unsignedType(4)), f32());
    mlir::Value eight = reshape(stored, {height, columns / 8, 2, 4});
    return reshape(transpose(eight, {0, 1, 3, 2}), {height, columns});
  };
  mlir::Value weight =
      subtract(codes(tensors[0]), codes(tensors[1]), {size, 1});
  weight = castTo(multiply(weight, tensors[2], {size, 1}),
                  shaped(tensors[2]).getElementType());
  return transpose(weight, {1, 0});
}

/// bnb4(w, state, absmax, map [, absmax2, map2], kind): pairs of codes, the
/// high one first, of a table; bitsandbytes' `dequantize_4bit`. `state` is
/// JSON.
FailureOr<mlir::Value> Dequantiser::bnb4() {
  bool isNested = call.inputs.size() > 5;
  json state = json::parse(*call.inputs[1].contents, nullptr,
                           /*allow_exceptions=*/false);
  if (!state.is_object())
    return error() << "expected tensor '" << nameOf(1) << "' to hold JSON";
  SpecValue kind = call.inputs.back().asValue();
  std::string type = member<std::string>(state, "quant_type").value_or("");
  if (!kind.is(SpecValue::Kind::String) || kind.text != type)
    return error() << "tensor '" << nameOf(1) << "' says quant_type '" << type
                   << "', the configuration " << kind.describe();
  SmallVector<int64_t> shape;
  for (const json &extent : state.value("shape", json::array()))
    shape.push_back(as<int64_t>(extent).value_or(0));
  int64_t size = member<int64_t>(state, "blocksize").value_or(0);
  std::string dtype = member<std::string>(state, "dtype").value_or("");
  Type result = llvm::StringSwitch<Type>(dtype)
                    .Case("float32", f32())
                    .Case("bfloat16", builder.getBF16Type())
                    .Case("float16", builder.getF16Type())
                    .Default(Type());
  bool isValid = !shape.empty() && size > 0 && result &&
                 llvm::all_of(shape, [](int64_t extent) {
                   return extent > 0 && extent <= maxAxisSize;
                 });
  if (!isValid || shape.size() > 2)
    return error() << "expected tensor '" << nameOf(1)
                   << "' to hold a shape, a blocksize and a dtype, got "
                   << state.dump();
  int64_t count = ShapedType::getNumElements(shape);
  Type stored = shaped(tensors[0]).getElementType();
  if (failed(expectType(
          0, stored.isIntOrFloat() && stored.getIntOrFloatBitWidth() % 8 == 0,
          "U8")) ||
      failed(expectType(3, hasElements(3, f32()), "F32")) ||
      failed(expectShape(3, {16}, ", a value for each code")))
    return failure();
  int64_t elements = shaped(tensors[0]).getNumElements();
  mlir::Value codes = bitcast(reshape(tensors[0], {elements}), unsignedType(4),
                              /*highFirst=*/true);
  if (shapeOf(codes)[0] != count + count % 2)
    return error() << "expected tensor " << described(0)
                   << " to hold a code for each element of " << text(shape);
  mlir::Value values = firstOf(gather(tensors[3], codes), 0, count);
  int64_t blocks = llvm::divideCeil(count, size);
  if (failed(expectShape(2, {blocks},
                         ", a scale for each " + llvm::Twine(size) + " of " +
                             llvm::Twine(count) + " elements")))
    return failure();
  mlir::Value scales = tensors[2];
  if (isNested) {
    int64_t nested = member<int64_t>(state, "nested_blocksize").value_or(0);
    auto offset = state.find("nested_offset");
    if (nested < 1 || offset == state.end() || !offset->is_number())
      return error() << "expected tensor '" << nameOf(1)
                     << "' to hold a nested_blocksize and a nested_offset, got "
                     << state.dump();
    if (failed(expectType(2, hasElements(2, unsignedType(8)), "U8")) ||
        failed(expectType(4, hasElements(4, f32()), "F32")) ||
        failed(expectType(5, hasElements(5, f32()), "F32")) ||
        failed(expectShape(
            4, {static_cast<int64_t>(llvm::divideCeil(blocks, nested))},
            ", a scale for each " + llvm::Twine(nested) + " scales")) ||
        failed(expectShape(5, {256}, ", a value for each code")))
      return failure();
    scales = shift(multiply(gather(tensors[5], scales), tensors[4], {nested}),
                   offset->get<double>());
  } else if (failed(expectType(2, hasElements(2, f32()), "F32"))) {
    return failure();
  }
  return castTo(reshape(multiply(values, scales, {size}), shape), result);
}

FailureOr<mlir::Value> Dequantiser::run() {
  using Function = FailureOr<mlir::Value> (Dequantiser::*)();
  Function function = llvm::StringSwitch<Function>(call.name)
                          .Case("scaled", &Dequantiser::scaled)
                          .Case("quantised", &Dequantiser::quantised)
                          .Case("packed", &Dequantiser::packed)
                          .Case("mxfp4", &Dequantiser::mxfp4)
                          .Case("gptq", &Dequantiser::gptq)
                          .Case("awq", &Dequantiser::awq)
                          .Case("bnb4", &Dequantiser::bnb4)
                          .Default(nullptr);
  if (!function)
    return error() << "does not dequantise";
  return (this->*function)();
}

FailureOr<mlir::Value> import::emitDequantised(const WeightTree &call,
                                               ArrayRef<mlir::Value> tensors,
                                               OpBuilder &builder,
                                               Location loc) {
  return Dequantiser(call, tensors, builder, loc).run();
}
