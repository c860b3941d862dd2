//===- Blockwise.cpp - Scales and zero points of blocks -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Scale, subtract and divide: one number for each block of a tensor, the blocks
// at the ends of the axes perhaps smaller. Works through a row in pieces that
// stay in cache; a piece needs a run of one row of the numbers. Numbers that
// several rows share are read once, and kept.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Dequantize.h"
#include "runtime/Support/CheckedMath.h"
#include "runtime/Weights/Evaluator.h"

#include <algorithm>
#include <mutex>

using namespace clade::rt;

namespace {

using Input = std::unique_ptr<Evaluator>;

constexpr int64_t pieceElements = 2048;
/// Of numbers that are kept: 4 MB.
constexpr int64_t maxKept = int64_t(1) << 20;

class BlockwiseEvaluator : public Evaluator {
public:
  BlockwiseEvaluator(const WeightNode &node, std::vector<Input> inputs)
      : Evaluator(DType::F32, inputs[0]->count()), input(std::move(inputs[0])),
        numbers(std::move(inputs[1])), op(node.op), shape(node.shape),
        block(node.block), numberShape(node.inputs[1].shape) {
    bool areShared = std::any_of(block.begin(), block.end() - 1,
                                 [](int64_t rows) { return rows > 1; });
    keepsNumbers = areShared && numbers->count() <= maxKept;
  }

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    int64_t row = shape.back();
    auto *values = reinterpret_cast<float *>(out);
    while (begin < end) {
      int64_t column = begin % row;
      int64_t length = std::min({end - begin, row - column, pieceElements});
      readPiece(begin / row, column, length, values, scratch);
      values += length;
      begin += length;
    }
  }

  int64_t granule() const override { return input->granule(); }
  bool prefersLongRanges() const override { return input->prefersLongRanges(); }

private:
  /// Where the numbers of row `index` begin.
  int64_t numbersOf(int64_t index) const {
    int64_t start = 0, stride = numberShape.back();
    for (size_t i = shape.size() - 1; i-- > 0;) {
      start += index % shape[i] / block[i] * stride;
      stride *= numberShape[i];
      index /= shape[i];
    }
    return start;
  }

  /// Numbers [begin, end).
  const float *numbersAt(int64_t begin, int64_t end, Scratch &scratch) const {
    if (keepsNumbers) {
      std::call_once(isKept, [&] {
        Scratch::Frame frame(scratch);
        kept.resize(static_cast<size_t>(numbers->count()));
        decodeNumbers(0, numbers->count(), kept.data(), scratch);
      });
      return kept.data() + begin;
    }
    auto *values = reinterpret_cast<float *>(
        scratch.take((end - begin) * static_cast<int64_t>(sizeof(float))));
    decodeNumbers(begin, end, values, scratch);
    return values;
  }

  void decodeNumbers(int64_t begin, int64_t end, float *out,
                     Scratch &scratch) const {
    decodeToF32(numbers->dtype(), numbers->fetch(begin, end, scratch),
                end - begin, out);
  }

  void readPiece(int64_t row, int64_t column, int64_t length, float *out,
                 Scratch &scratch) const {
    Scratch::Frame frame(scratch);
    int64_t at = row * shape.back() + column, width = block.back();
    decodeToF32(input->dtype(), input->fetch(at, at + length, scratch), length,
                out);
    int64_t first = column / width, last = (column + length - 1) / width;
    int64_t start = numbersOf(row);
    const float *number = numbersAt(start + first, start + last + 1, scratch);
    for (int64_t done = 0; done < length; ++number) {
      int64_t left = width - (column + done) % width;
      int64_t stop = left < length - done ? done + left : length;
      if (op == WeightOp::Scale)
        for (; done < stop; ++done)
          out[done] *= *number;
      else if (op == WeightOp::Divide)
        for (; done < stop; ++done)
          out[done] /= *number;
      else
        for (; done < stop; ++done)
          out[done] -= *number;
    }
  }

  Input input;
  Input numbers;
  WeightOp op;
  std::vector<int64_t> shape, block, numberShape;
  bool keepsNumbers;
  mutable std::once_flag isKept;
  mutable std::vector<float> kept;
};

} // namespace

Input clade::rt::makeBlockwise(const WeightNode &node,
                               std::vector<Input> inputs) {
  return std::make_unique<BlockwiseEvaluator>(node, std::move(inputs));
}
