//===- NaiveWeights.cpp - Weight programs by their definition -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/Weights/NaiveWeights.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

using Index = std::vector<int64_t>;

int64_t countOf(const std::vector<int64_t> &shape) {
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  return count;
}

Index indexAt(int64_t flat, const std::vector<int64_t> &shape) {
  Index index(shape.size());
  for (size_t i = shape.size(); i-- > 0;) {
    index[i] = flat % shape[i];
    flat /= shape[i];
  }
  return index;
}

float &at(NaiveTensor &tensor, const Index &index) {
  int64_t flat = 0;
  for (size_t i = 0; i < index.size(); ++i)
    flat = flat * tensor.shape[i] + index[i];
  return tensor.values[static_cast<size_t>(flat)];
}

float roundTo(DType type, float value) {
  if (type == DType::BF16)
    return bf16ToF32(f32ToBF16(value));
  return type == DType::F16 ? f16ToF32(f32ToF16(value)) : value;
}

/// The input element that result element `index` is, for ops that only move.
Index movedFrom(const WeightNode &node, const NaiveTensor &input, Index index) {
  size_t axis = static_cast<size_t>(node.axis);
  if (node.op == WeightOp::Slice) {
    index[axis] += node.begin;
    return index;
  }
  if (node.op == WeightOp::Transpose) {
    Index from(index.size());
    for (size_t i = 0; i < index.size(); ++i)
      from[static_cast<size_t>(node.perm[i])] = index[i];
    return from;
  }
  // Rope: pair j of a head is rows j and j + half, or rows 2j and 2j + 1.
  int64_t size = input.shape[0] / node.heads, half = size / 2;
  int64_t head = index[0] / size, row = index[0] % size;
  if (node.op == WeightOp::RopeUnpermute)
    index[0] = head * size + (row < half ? 2 * row : 2 * (row - half) + 1);
  else
    index[0] = head * size + (row % 2 == 0 ? row / 2 : row / 2 + half);
  return index;
}

void concat(const WeightNode &node, std::vector<NaiveTensor> &inputs,
            NaiveTensor &result) {
  size_t axis = static_cast<size_t>(node.axis);
  int64_t start = 0;
  for (NaiveTensor &input : inputs) {
    for (int64_t i = 0; i < countOf(input.shape); ++i) {
      Index index = indexAt(i, input.shape);
      index[axis] += start;
      at(result, index) = input.values[static_cast<size_t>(i)];
    }
    start += input.shape[axis];
  }
}

void unitRows(NaiveTensor &result) {
  size_t columns = static_cast<size_t>(result.shape[1]);
  for (size_t row = 0; row < result.values.size(); row += columns) {
    double sum = 0;
    for (size_t i = 0; i < columns; ++i)
      sum += std::pow(static_cast<double>(result.values[row + i]), 2);
    float norm = roundTo(result.dtype, static_cast<float>(std::sqrt(sum)));
    for (size_t i = 0; i < columns; ++i) {
      float &value = result.values[row + i];
      value = roundTo(result.dtype, value / std::max(norm, 1e-12f));
    }
  }
}

void pack(const WeightNode &node, NaiveTensor &input, NaiveTensor &result) {
  for (int64_t i = 0; i < countOf(input.shape); ++i) {
    Index index = indexAt(i, input.shape);
    Index place(index.begin(), index.end() - 2);
    int64_t row = index[index.size() - 2], column = index.back();
    place.insert(place.end(), {row / node.rows, column / node.inner,
                               row % node.rows, column % node.inner});
    at(result, place) = input.values[static_cast<size_t>(i)];
  }
}

/// What code `bits` stands for, from the definitions of the formats.
float valueOf(DType dtype, int bits) {
  if (dtype == DType::U8 || dtype == DType::U4 || dtype == DType::U4_HIGH)
    return static_cast<float>(bits);
  if (dtype == DType::F8_E8M0)
    return std::ldexp(1.0f, bits - 127);
  // E2M1 and E4M3: sign, exponent, mantissa.
  bool isF4 = dtype == DType::F4;
  int mantissaBits = isF4 ? 1 : 3, bias = isF4 ? 1 : 7, sign = isF4 ? 8 : 128;
  int exponent = (bits & (sign - 1)) >> mantissaBits;
  int mantissa = bits & ((1 << mantissaBits) - 1);
  int whole = exponent == 0 ? mantissa : mantissa + (1 << mantissaBits);
  float value = std::ldexp(static_cast<float>(whole),
                           std::max(exponent, 1) - bias - mantissaBits);
  return bits & sign ? -value : value;
}

/// Elements of the result in the order of the input's bytes.
void bitcast(const NaiveTensor &input, NaiveTensor &result) {
  bool isPair = blockLength(result.dtype) == 2;
  for (size_t i = 0; i < result.values.size(); ++i) {
    int byte = static_cast<int>(input.stored[isPair ? i / 2 : i]);
    bool isHigh = (i % 2 == 1) != (result.dtype == DType::U4_HIGH);
    int bits = !isPair ? byte : isHigh ? byte >> 4 : byte & 15;
    result.values[i] = valueOf(result.dtype, bits);
  }
}

void blockwise(const WeightNode &node, NaiveTensor &input, NaiveTensor &numbers,
               NaiveTensor &result) {
  for (int64_t i = 0; i < countOf(node.shape); ++i) {
    Index index = indexAt(i, node.shape);
    float value = at(input, index);
    for (size_t axis = 0; axis < index.size(); ++axis)
      index[axis] /= node.block[axis];
    float number = at(numbers, index);
    result.values[static_cast<size_t>(i)] =
        node.op == WeightOp::Scale    ? value * number
        : node.op == WeightOp::Divide ? value / number
                                      : value - number;
  }
}

/// Matrices of the last two axes, one after the other.
void lowRank(const WeightNode &node, const NaiveTensor &left,
             const NaiveTensor &right, NaiveTensor &result) {
  int64_t rows = node.shape[node.shape.size() - 2], columns = node.shape.back(),
          rank = left.shape.back();
  for (int64_t i = 0; i < countOf(node.shape); ++i) {
    int64_t matrix = i / (rows * columns), row = i / columns,
            column = i % columns;
    float sum = 0;
    for (int64_t r = 0; r < rank; ++r)
      sum = std::fma(left.values[static_cast<size_t>(row * rank + r)],
                     right.values[static_cast<size_t>(
                         (matrix * rank + r) * columns + column)],
                     sum);
    result.values[static_cast<size_t>(i)] = sum * node.value;
  }
}

void gather(NaiveTensor &table, const NaiveTensor &index, NaiveTensor &result) {
  // Codes of any axes have one table, an index of several axes has several.
  size_t axis = table.shape.size() > 1 ? index.shape.size() - 1 : 0;
  int64_t tables = 1, rows = table.shape[axis];
  for (size_t i = 0; i < axis; ++i)
    tables *= table.shape[i];
  int64_t row = countOf(table.shape) / rows / tables,
          perTable = countOf(index.shape) / tables;
  for (int64_t i = 0; i < countOf(index.shape); ++i)
    for (int64_t j = 0; j < row; ++j) {
      auto number = static_cast<int64_t>(index.values[static_cast<size_t>(i)]);
      int64_t from = (i / perTable * rows + number) * row + j;
      result.values[static_cast<size_t>(i * row + j)] =
          table.values[static_cast<size_t>(from)];
    }
}

void blockScale(const WeightNode &node, const NaiveTensor &input,
                NaiveTensor &result) {
  for (int64_t i = 0; i < countOf(input.shape); ++i) {
    std::vector<int64_t> at = indexAt(i, input.shape);
    int64_t place = 0;
    for (size_t axis = 0; axis < at.size(); ++axis)
      place = place * node.shape[axis] + at[axis] / node.block[axis];
    float &most = result.values[static_cast<size_t>(place)];
    most = std::max(most, std::fabs(input.values[static_cast<size_t>(i)]));
  }
  for (float &value : result.values)
    value = roundTo(node.dtype, value == 0 ? 1 : value / node.value);
}

/// The bytes of codes.
void codesOf(const WeightNode &node, const NaiveTensor &input,
             NaiveTensor &result) {
  auto append = [&](const auto &code) {
    const auto *bytes = reinterpret_cast<const std::byte *>(&code);
    result.stored.insert(result.stored.end(), bytes, bytes + sizeof(code));
  };
  for (size_t i = 0; i < result.values.size(); ++i) {
    if (node.dtype == DType::I32) {
      uint32_t word = 0;
      for (size_t code = 8; code-- > 0;) {
        double nearest = std::nearbyint(double(input.values[i * 8 + code]));
        nearest = std::min(std::max(nearest, -8.0), 7.0);
        word = word * 16 + static_cast<uint32_t>(nearest + 8);
      }
      append(word);
      continue;
    }
    if (node.dtype == DType::I64) {
      append(static_cast<int64_t>(std::nearbyint(double(input.values[i]))));
      continue;
    }
    // Of all codes of its sign the nearest, of two the even one.
    float value = input.values[i];
    int first = std::signbit(value) ? 128 : 0, best = first;
    auto distance = [&](int code) {
      double stored = f8E4M3ToF32(static_cast<uint8_t>(code));
      return std::fabs(stored - double(value));
    };
    for (int code = first; code < first + 127; ++code)
      if (distance(code) < distance(best) ||
          (distance(code) == distance(best) && best % 2 == 1))
        best = code;
    append(static_cast<uint8_t>(best));
  }
}

} // namespace

NaiveTensor
clade::rt::test::evaluate(const WeightNode &node,
                          const std::map<std::string, NaiveTensor> &sources) {
  if (node.op == WeightOp::Source)
    return sources.at(node.name);
  if (node.op == WeightOp::Stack) {
    NaiveTensor result = {node.dtype, node.shape, {}};
    for (int64_t i = 0; i < node.stacked; ++i) {
      // Under the name of all what expert i has.
      auto expanded = sources;
      expanded["t{expert}"] = sources.at("t" + std::to_string(i));
      NaiveTensor part = evaluate(node.inputs[0], expanded);
      result.values.insert(result.values.end(), part.values.begin(),
                           part.values.end());
    }
    return result;
  }
  std::vector<NaiveTensor> inputs;
  for (const WeightNode &input : node.inputs)
    inputs.push_back(evaluate(input, sources));
  NaiveTensor result = {node.dtype, node.shape, {}, {}};
  result.values.assign(static_cast<size_t>(countOf(node.shape)), 0.0f);

  switch (node.op) {
  case WeightOp::Concat:
    concat(node, inputs, result);
    break;
  case WeightOp::Slice:
  case WeightOp::Transpose:
  case WeightOp::RopeUnpermute:
  case WeightOp::RopePermute:
    for (int64_t i = 0; i < countOf(node.shape); ++i)
      result.values[static_cast<size_t>(i)] =
          at(inputs[0], movedFrom(node, inputs[0], indexAt(i, node.shape)));
    break;
  case WeightOp::Pack:
    pack(node, inputs[0], result);
    break;
  case WeightOp::Constant:
    result.values = node.values;
    break;
  case WeightOp::Bitcast:
    bitcast(inputs[0], result);
    break;
  case WeightOp::Scale:
  case WeightOp::Subtract:
  case WeightOp::Divide:
    blockwise(node, inputs[0], inputs[1], result);
    break;
  case WeightOp::Gather:
    gather(inputs[0], inputs[1], result);
    break;
  case WeightOp::BlockScale:
    blockScale(node, inputs[0], result);
    break;
  case WeightOp::Encode:
    codesOf(node, inputs[0], result);
    break;
  case WeightOp::LowRank:
    lowRank(node, inputs[0], inputs[1], result);
    break;
  case WeightOp::Add:
    for (size_t i = 0; i < result.values.size(); ++i)
      result.values[i] =
          roundTo(node.dtype, inputs[0].values[i] + inputs[1].values[i]);
    break;
  default:
    result.values = inputs[0].values;
    for (float &value : result.values) {
      // Not for all: -0 + 0 would be 0.
      if (node.op == WeightOp::Shift)
        value += node.value;
      value = roundTo(node.dtype, value);
    }
    if (node.op == WeightOp::UnitRows)
      unitRows(result);
  }
  return result;
}

std::vector<std::byte> clade::rt::test::encode(const NaiveTensor &tensor) {
  if (!isComputeFloat(tensor.dtype))
    return tensor.stored;
  std::vector<std::byte> bytes;
  for (float value : tensor.values) {
    uint16_t half =
        tensor.dtype == DType::BF16 ? f32ToBF16(value) : f32ToF16(value);
    bool wide = tensor.dtype == DType::F32;
    const void *from = wide ? static_cast<const void *>(&value) : &half;
    size_t size = wide ? sizeof(value) : sizeof(half);
    const auto *begin = static_cast<const std::byte *>(from);
    bytes.insert(bytes.end(), begin, begin + size);
  }
  return bytes;
}
