//===- Encode.cpp - Scales of blocks, and codes of scaled numbers ---------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What published quantised forms are made of: s = max |x| / largest for each
// block (as in DeepSeek-V3's `act_quant`, where the largest code of E4M3 is
// 448, and compressed-tensors' `calculate_qparams`, where that of four bits
// is 7.5), and the nearest code of x / s.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Dequantize.h"
#include "runtime/Weights/Evaluator.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace clade::rt;

namespace {

using Input = std::unique_ptr<Evaluator>;

/// Elements worked on at a time: they stay in the first-level cache.
constexpr int64_t encodedElements = 2048;

/// Elements [begin, end) as f32, in scratch memory.
const float *fetchFloats(const Evaluator &from, int64_t begin, int64_t end,
                         Scratch &scratch) {
  auto *values = reinterpret_cast<float *>(
      scratch.take((end - begin) * static_cast<int64_t>(sizeof(float))));
  decodeToF32(from.dtype(), from.fetch(begin, end, scratch), end - begin,
              values);
  return values;
}

class BlockScaleEvaluator : public Evaluator {
public:
  BlockScaleEvaluator(const WeightNode &node, Input from)
      : Evaluator(node.dtype, *elementCount(node.shape)),
        input(std::move(from)), largest(node.value) {
    size_t rank = node.shape.size();
    const std::vector<int64_t> &whole = node.inputs[0].shape;
    rows = whole[rank - 2], columns = whole[rank - 1];
    blockRows = node.block[rank - 2], blockColumns = node.block[rank - 1];
    down = node.shape[rank - 2], across = node.shape[rank - 1];
  }

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    while (begin < end) {
      int64_t first = begin % across;
      int64_t length = std::min(end - begin, across - first);
      readRun(begin / across, first, length, out, scratch);
      out += bytes(length);
      begin += length;
    }
  }

  bool prefersLongRanges() const override { return true; }

private:
  /// The scales of `count` blocks beside each other.
  void readRun(int64_t blockRow, int64_t first, int64_t count, std::byte *out,
               Scratch &scratch) const {
    Scratch::Frame frame(scratch);
    auto *most = reinterpret_cast<float *>(
        scratch.take(count * static_cast<int64_t>(sizeof(float))));
    std::fill(most, most + count, 0.0f);
    int64_t top = blockRow / down * rows, begin = blockRow % down * blockRows;
    int64_t firstColumn = first * blockColumns,
            lastColumn = std::min((first + count) * blockColumns, columns);
    for (int64_t row = begin; row < std::min(begin + blockRows, rows); ++row)
      for (int64_t column = firstColumn; column < lastColumn;) {
        Scratch::Frame piece(scratch);
        int64_t stop = std::min(column + encodedElements, lastColumn);
        int64_t start = (top + row) * columns;
        const float *values =
            fetchFloats(*input, start + column, start + stop, scratch);
        for (; column < stop; ++column, ++values) {
          float &own = most[(column - firstColumn) / blockColumns];
          own = std::max(own, std::fabs(*values));
        }
      }
    // A block of zeros: any scale is right.
    for (int64_t i = 0; i < count; ++i)
      most[i] = most[i] > 0 ? most[i] / largest : 1.0f;
    encodeFromF32(dtype(), most, count, out);
  }

  Input input;
  float largest;
  int64_t rows, columns;           ///< Of a matrix.
  int64_t blockRows, blockColumns; ///< Of a block.
  int64_t down, across;            ///< Blocks of a matrix.
};

/// The nearest code in 0 to 15 that stands for eight less; ties to even. There
/// is none for NaN.
uint32_t fourBits(float value) {
  if (std::isnan(value))
    value = 0;
  return static_cast<uint32_t>(std::clamp(std::nearbyint(value), -8.0f, 7.0f) +
                               8.0f);
}

/// 0 for what no integer is near.
int64_t nearestInteger(float value) {
  return std::fabs(value) < 0x1p62f
             ? static_cast<int64_t>(std::nearbyint(value))
             : 0;
}

class EncodeEvaluator : public Evaluator {
public:
  EncodeEvaluator(const WeightNode &node, Input from)
      : Evaluator(node.dtype, *elementCount(node.shape)),
        input(std::move(from)), codes(codesPerElement(node.dtype)) {}

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    while (begin < end) {
      Scratch::Frame frame(scratch);
      int64_t stop = std::min(end, begin + encodedElements / codes);
      const float *values =
          fetchFloats(*input, begin * codes, stop * codes, scratch);
      for (; begin < stop; ++begin, values += codes) {
        if (dtype() == DType::F8_E4M3) {
          *out++ = static_cast<std::byte>(f32ToF8E4M3(*values));
          continue;
        }
        if (dtype() == DType::I64) {
          int64_t number = nearestInteger(*values);
          std::memcpy(out, &number, sizeof(number));
          out += sizeof(number);
          continue;
        }
        uint32_t word = 0;
        for (int64_t i = 0; i < codes; ++i)
          word |= fourBits(values[i]) << (4 * i);
        std::memcpy(out, &word, sizeof(word));
        out += sizeof(word);
      }
    }
  }

  bool prefersLongRanges() const override { return input->prefersLongRanges(); }

private:
  Input input;
  int64_t codes;
};

} // namespace

Input clade::rt::makeBlockScale(const WeightNode &node, Input input) {
  return std::make_unique<BlockScaleEvaluator>(node, std::move(input));
}

Input clade::rt::makeEncode(const WeightNode &node, Input input) {
  return std::make_unique<EncodeEvaluator>(node, std::move(input));
}
