//===- WeightDequantisation.cpp - Published quantised forms ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Floats with scales of blocks: FP8 and the microscaling formats.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Dequantiser.h"
#include "lib/Import/WeightFunctions.h"

#include "llvm/ADT/StringSwitch.h"

using namespace clade;
using namespace clade::import;
using namespace clade::import::dequantise;
using namespace mlir;

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

/// nvfp4(b, s, g [, groups]): pairs of E2M1 codes [.., 8 n], an E4M3 scale for
/// each 16 of them, and one number for these. With groups
/// `NVFP4PackedCompressor` of compressed-tensors, which divides by that number
/// and gives bf16; without, NVIDIA ModelOpt's `NVFP4QTensor`, which multiplies
/// by it.
FailureOr<mlir::Value> Dequantiser::nvfp4() {
  constexpr int64_t groupSize = 16;
  bool isPairs = shaped(tensors[0]).getElementType().isInteger(8);
  if (failed(expectType(0, isPairs || call.inputs[0].dtype == rt::DType::F4,
                        "U8 or F4")) ||
      failed(expectType(
          1, isa<Float8E4M3FNType>(shaped(tensors[1]).getElementType()),
          "F8_E4M3")) ||
      failed(expectType(2, hasElements(2, f32()), "F32")))
    return failure();
  mlir::Value weight = tensors[0], scales = tensors[1], whole = tensors[2];
  if (isPairs)
    weight = castTo(
        bitcast(weight, Float4E2M1FNType::get(builder.getContext())), f32());
  SmallVector<int64_t> expected(shapeOf(weight)), block(expected.size(), 1);
  if (expected.empty() || expected.back() % groupSize != 0)
    return error() << "expected tensor " << described(0)
                   << " to hold rows of whole groups of " << groupSize
                   << " values";
  expected.back() /= groupSize;
  block.back() = groupSize;
  if (failed(expectShape(1, expected, ", a scale for each 16 values")))
    return failure();
  FailureOr<SmallVector<int64_t>> wholeBlock =
      blocksOf(shapeOf(scales), 2, whole);
  if (failed(wholeBlock))
    return failure();
  if (call.inputs.size() < 4)
    return multiply(weight, multiply(scales, whole, *wholeBlock), block);
  auto chosen = chooseScheme(call.inputs[3].asValue(), shapeOf(weight), 1,
                             scales, [](const Scheme &scheme) {
                               return scheme.isFloat && scheme.bits == 4 &&
                                      scheme.strategy == "tensor_group";
                             });
  if (failed(chosen))
    return failure();
  return castTo(multiply(weight, divide(scales, whole, *wholeBlock), block),
                builder.getBF16Type());
}

FailureOr<mlir::Value> Dequantiser::run() {
  using Function = FailureOr<mlir::Value> (Dequantiser::*)();
  Function function = llvm::StringSwitch<Function>(call.name)
                          .Case("scaled", &Dequantiser::scaled)
                          .Case("quantised", &Dequantiser::quantised)
                          .Case("packed", &Dequantiser::packed)
                          .Case("mxfp4", &Dequantiser::mxfp4)
                          .Case("nvfp4", &Dequantiser::nvfp4)
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
