//===- ScaledBlocks.cpp - Codes of FP8 and their scales in blocks ---------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Codes stay what the file has; what changes is where they lie: behind the
// scale of their 128 columns, which rows that share a scale have each.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Dequantize.h"
#include "runtime/Support/CheckedMath.h"
#include "runtime/Weights/Evaluator.h"

#include <algorithm>
#include <cstring>
#include <limits>

using namespace clade::rt;

namespace {

using Input = std::unique_ptr<Evaluator>;

class ScaledBlocksEvaluator : public Evaluator {
public:
  ScaledBlocksEvaluator(const WeightNode &node, std::vector<Input> inputs)
      : Evaluator(node.dtype, *elementCount(node.shape)),
        codes(std::move(inputs[0])), scales(std::move(inputs[1])),
        shape(node.inputs[0].shape), scaleShape(node.inputs[1].shape),
        block(node.block), padded(node.shape.back()) {}

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    while (begin < end) {
      int64_t column = begin % padded;
      int64_t length = std::min(end - begin, padded - column);
      readRow(begin / padded, column, length, out, scratch);
      out += bytes(length);
      begin += length;
    }
  }

  bool prefersLongRanges() const override { return codes->prefersLongRanges(); }

private:
  /// Where the scales of row `index` begin.
  int64_t scalesOf(int64_t index) const {
    int64_t start = 0, stride = scaleShape.back();
    for (size_t i = shape.size() - 1; i-- > 0;) {
      start += index % shape[i] / block[i] * stride;
      stride *= scaleShape[i];
      index /= shape[i];
    }
    return start;
  }

  /// The blocks of [column, column + length) of a row.
  void readRow(int64_t row, int64_t column, int64_t length, std::byte *out,
               Scratch &scratch) const {
    Scratch::Frame frame(scratch);
    int64_t columns = shape.back(), blockColumns = blockLength(dtype());
    int64_t stop = std::min(column + length, columns);
    const std::byte *from =
        codes->fetch(row * columns + column, row * columns + stop, scratch);
    int64_t first = column / block.back(), last = (stop - 1) / block.back();
    auto *numbers = reinterpret_cast<float *>(
        scratch.take((last - first + 1) * static_cast<int64_t>(sizeof(float))));
    int64_t at = scalesOf(row) + first;
    decodeToF32(scales->dtype(),
                scales->fetch(at, at + last - first + 1, scratch),
                last - first + 1, numbers);
    for (; length > 0; length -= blockColumns, column += blockColumns) {
      int64_t there = std::min(blockColumns, stop - column);
      put(from, there, numbers[column / block.back() - first], out);
      from += there;
      out += bytes(blockColumns);
    }
  }

  /// One block. A code that is NaN makes all of it NaN: kernels have no code
  /// for it.
  void put(const std::byte *from, int64_t count, float scale,
           std::byte *out) const {
    constexpr auto magnitude = std::byte{0x7f};
    if (std::any_of(from, from + count, [&](std::byte code) {
          return (code & magnitude) == magnitude;
        }))
      scale = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(out, &scale, sizeof(scale));
    out += sizeof(scale);
    std::memcpy(out, from, static_cast<size_t>(count));
    std::memset(out + count, 0,
                static_cast<size_t>(blockLength(dtype()) - count));
  }

  Input codes, scales;
  std::vector<int64_t> shape, scaleShape, block; ///< Of codes, scales, a block.
  int64_t padded;                                ///< Columns of the result.
};

} // namespace

Input clade::rt::makeScaledBlocks(const WeightNode &node,
                                  std::vector<Input> inputs) {
  return std::make_unique<ScaledBlocksEvaluator>(node, std::move(inputs));
}
