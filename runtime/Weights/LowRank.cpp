//===- LowRank.cpp - Products of two factors, added to a weight -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What an adapter changes of a weight is computed where it is asked for: rows
// of the one factor times columns of the other, without the whole product. Each
// element is a chain of fused multiply-adds in the order of the rank, then
// scaled: the same for any range that is asked for.
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
constexpr int64_t maxColumns = 2048;

float *takeF32(Scratch &scratch, int64_t count) {
  return reinterpret_cast<float *>(
      scratch.take(count * static_cast<int64_t>(sizeof(float))));
}

/// Elements [begin, end) as f32.
void fetchFloats(const Evaluator &from, int64_t begin, int64_t end, float *out,
                 Scratch &scratch) {
  Scratch::Frame frame(scratch);
  decodeToF32(from.dtype(), from.fetch(begin, end, scratch), end - begin, out);
}

/// out[j] = scale * (left[0] * right[0][j] + left[1] * right[1][j] + …); rows
/// of `right` are `stride` elements apart.
inline __attribute__((always_inline)) void
multiply(const float *left, const float *right, int64_t rank, int64_t stride,
         int64_t count, float scale, float *out) {
  for (int64_t j = 0; j < count; ++j)
    out[j] = left[0] * right[j];
  for (int64_t r = 1; r < rank; ++r)
    for (int64_t j = 0; j < count; ++j)
      out[j] = std::fma(left[r], right[r * stride + j], out[j]);
  for (int64_t j = 0; j < count; ++j)
    out[j] *= scale;
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void
multiplyFMA(const float *left, const float *right, int64_t rank, int64_t stride,
            int64_t count, float scale, float *out) {
  multiply(left, right, rank, stride, count, scale, out);
}

bool hasFMA() {
  static const bool has =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return has;
}
#endif

void multiplyRow(const float *left, const float *right, int64_t rank,
                 int64_t stride, int64_t count, float scale, float *out) {
#if defined(__x86_64__)
  if (hasFMA())
    return multiplyFMA(left, right, rank, stride, count, scale, out);
#endif
  // The same bits, slower: a fused multiply-add is what the standard says.
  multiply(left, right, rank, stride, count, scale, out);
}

class LowRankEvaluator : public Evaluator {
public:
  LowRankEvaluator(const WeightNode &node, std::vector<Input> inputs)
      : Evaluator(DType::F32, inputs[0]->count() / node.inputs[0].shape.back() *
                                  node.shape.back()),
        left(std::move(inputs[0])), right(std::move(inputs[1])),
        scale(node.value), rows(node.shape[node.shape.size() - 2]),
        columns(node.shape.back()), rank(node.inputs[0].shape.back()) {}

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    auto *values = reinterpret_cast<float *>(out);
    while (begin < end) {
      // Whole rows of one matrix share what they need of the right factor.
      int64_t row = begin / columns, column = begin % columns;
      int64_t last = std::min((row / rows + 1) * rows, end / columns);
      bool isWhole = column == 0 && last > row;
      int64_t count =
          isWhole ? columns : std::min(end - begin, columns - column);
      int64_t numRows = isWhole ? last - row : 1;
      readRows(row, numRows, column, count, values, scratch);
      values += numRows * count;
      begin += numRows * count;
    }
  }

  int64_t granule() const override { return columns; }
  bool prefersLongRanges() const override { return true; }

private:
  /// Columns [column, column + count) of rows that follow each other.
  void readRows(int64_t row, int64_t numRows, int64_t column, int64_t count,
                float *out, Scratch &scratch) const {
    for (int64_t begin = 0; begin < count; begin += maxColumns) {
      Scratch::Frame frame(scratch);
      int64_t length = std::min(maxColumns, count - begin);
      float *factor = takeF32(scratch, rank * length);
      float *own = takeF32(scratch, rank);
      for (int64_t r = 0; r < rank; ++r) {
        int64_t at = (row / rows * rank + r) * columns + column + begin;
        fetchFloats(*right, at, at + length, factor + r * length, scratch);
      }
      for (int64_t i = 0; i < numRows; ++i) {
        fetchFloats(*left, (row + i) * rank, (row + i + 1) * rank, own,
                    scratch);
        multiplyRow(own, factor, rank, length, length, scale,
                    out + i * count + begin);
      }
    }
  }

  Input left, right;
  float scale;
  int64_t rows, columns, rank;
};

/// x + y in f32, rounded once to x's type.
class AddEvaluator : public Evaluator {
public:
  AddEvaluator(const WeightNode &node, std::vector<Input> inputs)
      : Evaluator(node.dtype, inputs[0]->count()), base(std::move(inputs[0])),
        change(std::move(inputs[1])) {}

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    Scratch::Frame frame(scratch);
    int64_t count = end - begin;
    float *sum = takeF32(scratch, count), *added = takeF32(scratch, count);
    fetchFloats(*base, begin, end, sum, scratch);
    fetchFloats(*change, begin, end, added, scratch);
    for (int64_t i = 0; i < count; ++i)
      sum[i] += added[i];
    encodeFromF32(dtype(), sum, count, out);
  }

  int64_t granule() const override {
    int64_t own = change->granule(), below = base->granule();
    return below % own == 0 ? below : own;
  }
  bool prefersLongRanges() const override { return true; }

private:
  Input base, change;
};

} // namespace

Input clade::rt::makeLowRank(const WeightNode &node,
                             std::vector<Input> inputs) {
  return std::make_unique<LowRankEvaluator>(node, std::move(inputs));
}

Input clade::rt::makeAdd(const WeightNode &node, std::vector<Input> inputs) {
  return std::make_unique<AddEvaluator>(node, std::move(inputs));
}
