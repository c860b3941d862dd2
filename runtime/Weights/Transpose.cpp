//===- Transpose.cpp - Permutations of axes -------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Axes that stay neighbours are merged first, which leaves two cases: the last
// axis stays last, and whole runs are copied; or it moves, and then several
// rows of the result are made together from short runs of the input.
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/CheckedMath.h"
#include "runtime/Weights/Evaluator.h"

#include <algorithm>
#include <cstring>

using namespace clade::rt;

namespace {

using Input = std::unique_ptr<Evaluator>;

/// One axis of the result: its size, and the input elements between two steps.
struct Axis {
  int64_t size;
  int64_t stride;
};

/// The result's axes without those of size one, neighbours merged where one
/// stride continues the other. At least one.
std::vector<Axis> mergedAxes(const WeightNode &node) {
  const std::vector<int64_t> &from = node.inputs.front().shape;
  std::vector<int64_t> strides(from.size(), 1);
  for (size_t i = from.size(); i-- > 1;)
    strides[i - 1] = strides[i] * from[i];
  std::vector<Axis> axes;
  for (int64_t axis : node.perm) {
    Axis next = {from[static_cast<size_t>(axis)],
                 strides[static_cast<size_t>(axis)]};
    if (next.size == 1)
      continue;
    if (!axes.empty() && axes.back().stride == next.size * next.stride)
      axes.back() = {axes.back().size * next.size, next.stride};
    else
      axes.push_back(next);
  }
  if (axes.empty())
    axes.push_back({1, 1});
  return axes;
}

/// Copies `count` elements of `size` bytes to places `step` bytes apart.
void scatter(const std::byte *from, int64_t count, int64_t size, int64_t step,
             std::byte *to) {
  auto copy = [&](auto constant) {
    constexpr size_t bytes = decltype(constant)::value;
    for (int64_t i = 0; i < count; ++i)
      std::memcpy(to + i * step, from + i * static_cast<int64_t>(bytes), bytes);
  };
  if (size == 2)
    return copy(std::integral_constant<size_t, 2>());
  if (size == 4)
    return copy(std::integral_constant<size_t, 4>());
  if (size == 8)
    return copy(std::integral_constant<size_t, 8>());
  copy(std::integral_constant<size_t, 1>());
}

class TransposeEvaluator : public Evaluator {
public:
  TransposeEvaluator(const WeightNode &node, Input from)
      : Evaluator(node.dtype, from->count()), input(std::move(from)),
        axes(mergedAxes(node)), row(axes.back().size) {}

  const std::byte *direct(int64_t begin, int64_t end) const override {
    if (axes.back().stride != 1 || begin / row != (end - 1) / row)
      return nullptr;
    int64_t from = rowStart(begin / row) + begin % row;
    return input->direct(from, from + end - begin);
  }

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    while (begin < end) {
      int64_t index = begin / row, column = begin % row;
      int64_t width = std::min(row - column, end - begin);
      // Whole rows go together, as many as are neighbours in the input.
      int64_t together = 1;
      if (width == row)
        together = std::min((end - begin) / row, neighbours(index));
      readRows(index, together, column, width, out, scratch);
      out += bytes(together * width);
      begin += together * width;
    }
  }

  bool prefersLongRanges() const override { return axes.back().stride != 1; }

private:
  /// Rows of the result made together: a cache line or more of each input row.
  static constexpr int64_t maxTogether = 64;

  /// The input element where result row `index` begins.
  int64_t rowStart(int64_t index) const {
    int64_t start = 0;
    for (size_t i = axes.size() - 1; i-- > 0;) {
      start += index % axes[i].size * axes[i].stride;
      index /= axes[i].size;
    }
    return start;
  }

  /// How many rows from `index` on begin one input element apart.
  int64_t neighbours(int64_t index) const {
    if (axes.size() < 2 || axes[axes.size() - 2].stride != 1)
      return 1;
    int64_t size = axes[axes.size() - 2].size;
    return std::min(size - index % size, maxTogether);
  }

  void readRows(int64_t index, int64_t together, int64_t column, int64_t width,
                std::byte *out, Scratch &scratch) const {
    int64_t start = rowStart(index), stride = axes.back().stride;
    if (stride == 1)
      return input->read(start + column, start + column + width, out, scratch);
    int64_t size = bytes(1);
    for (int64_t i = 0; i < width; ++i) {
      Scratch::Frame frame(scratch);
      int64_t from = start + (column + i) * stride;
      scatter(input->fetch(from, from + together, scratch), together, size,
              width * size, out + i * size);
    }
  }

  Input input;
  std::vector<Axis> axes; ///< Of the result.
  int64_t row;            ///< Elements of its last axis.
};

} // namespace

Input clade::rt::makeTranspose(const WeightNode &node, Input input) {
  return std::make_unique<TransposeEvaluator>(node, std::move(input));
}
