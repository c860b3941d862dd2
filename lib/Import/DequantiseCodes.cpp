//===- DequantiseCodes.cpp - GPTQ, AWQ and bitsandbytes -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Words or bytes that hold codes of four or eight bits in an order of their
// own.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Dequantiser.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"

using namespace clade;
using namespace clade::import;
using namespace clade::import::dequantise;
using namespace mlir;

/// gptq(qweight, qzeros, scales [, g_idx], bits, group_size, offset): [K, N]
/// packed down the rows, zero points along them and less `offset`; AutoGPTQ's
/// `QuantLinear`, whose zero points wrap around. Of experts the outputs follow
/// each other, and g_idx [E, K] is that of each.
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
  int64_t experts = hasIndex && shapeOf(tensors[3]).size() == 2
                        ? shapeOf(tensors[3]).front()
                        : 0;
  SmallVector<int64_t> expectedIndex{rows};
  if (experts > 0)
    expectedIndex.insert(expectedIndex.begin(), experts);
  if (failed(expectShape(2, {groups, columns}, why)) ||
      failed(expectShape(1, {groups, columns / (32 / *bits)}, why)) ||
      (hasIndex &&
       (failed(expectType(3,
                          shaped(tensors[3]).getElementType().isSignedInteger(),
                          "I32 or I64")) ||
        failed(expectShape(3, expectedIndex, why)))))
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
    // [G, N] to a row for each of K, by the expert's own index.
    auto spread = [&](mlir::Value table) {
      if (experts == 0)
        return gather(table, tensors[3]);
      table = reshape(table, {groups, experts, columns / experts});
      table = gather(transpose(table, {1, 0, 2}), tensors[3]);
      return reshape(transpose(table, {1, 0, 2}), {rows, columns});
    };
    zeros = spread(zeros);
    scales = spread(scales);
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
