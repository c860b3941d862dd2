//===- Compute.cpp - Operations that compute ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Cast, shift and unit_rows: decode a chunk to f32 in cache, compute, round.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Dequantize.h"
#include "runtime/Formats/Quantize.h"
#include "runtime/Support/CheckedMath.h"
#include "runtime/Weights/Evaluator.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace clade::rt;

namespace {

using Input = std::unique_ptr<Evaluator>;

/// Elements decoded at a time: a multiple of every block length, and the f32
/// values stay in the first-level cache.
constexpr int64_t chunkElements = 2048;

float *takeFloats(Scratch &scratch, int64_t count) {
  return reinterpret_cast<float *>(
      scratch.take(count * static_cast<int64_t>(sizeof(float))));
}

/// `value` rounded to `type` and back.
float roundTo(DType type, float value) {
  if (type == DType::BF16)
    return bf16ToF32(f32ToBF16(value));
  if (type == DType::F16)
    return f16ToF32(f32ToF16(value));
  return value;
}

class CastEvaluator : public Evaluator {
public:
  CastEvaluator(const WeightNode &node, Input from)
      : Evaluator(node.dtype, from->count()), input(std::move(from)),
        inputBlock(blockLength(input->dtype())) {}

  const std::byte *direct(int64_t begin, int64_t end) const override {
    return input->dtype() == dtype() ? input->direct(begin, end) : nullptr;
  }

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    if (input->dtype() == dtype())
      return input->read(begin, end, out, scratch);
    // Chunks lie on a grid, so that they hold whole blocks of the input.
    while (begin < end) {
      int64_t chunk = begin / inputBlock * inputBlock;
      int64_t stop = std::min(end, chunk + chunkElements);
      readChunk(chunk, begin, stop, out, scratch);
      out += bytes(stop - begin);
      begin = stop;
    }
  }

  int64_t granule() const override {
    int64_t own = std::max(inputBlock, blockLength(dtype()));
    int64_t below = input->granule();
    return below % own == 0 ? below : own;
  }
  bool prefersLongRanges() const override { return input->prefersLongRanges(); }

private:
  /// Writes [begin, end); decoding starts at `chunk` <= begin, a block's start.
  void readChunk(int64_t chunk, int64_t begin, int64_t end, std::byte *out,
                 Scratch &scratch) const {
    Scratch::Frame frame(scratch);
    int64_t decoded = ceilDiv(end - chunk, inputBlock) * inputBlock;
    const std::byte *stored = input->fetch(chunk, chunk + decoded, scratch);
    bool whole = begin == chunk && decoded == end - begin;
    if (whole && dtype() == DType::F32)
      return decodeToF32(input->dtype(), stored, decoded,
                         reinterpret_cast<float *>(out));
    float *values = takeFloats(scratch, decoded);
    decodeToF32(input->dtype(), stored, decoded, values);
    const float *from = values + (begin - chunk);
    if (canQuantize(dtype()))
      quantizeFromF32(dtype(), from, end - begin, out);
    else
      encodeFromF32(dtype(), from, end - begin, out);
  }

  Input input;
  int64_t inputBlock;
};

class ShiftEvaluator : public Evaluator {
public:
  ShiftEvaluator(const WeightNode &node, Input from)
      : Evaluator(node.dtype, from->count()), input(std::move(from)),
        value(node.value) {}

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    for (; begin < end; begin += chunkElements) {
      Scratch::Frame frame(scratch);
      int64_t length = std::min(end - begin, chunkElements);
      float *values = takeFloats(scratch, length);
      decodeToF32(dtype(), input->fetch(begin, begin + length, scratch), length,
                  values);
      for (int64_t i = 0; i < length; ++i)
        values[i] += value;
      encodeFromF32(dtype(), values, length, out);
      out += bytes(length);
    }
  }

  int64_t granule() const override { return input->granule(); }
  bool prefersLongRanges() const override { return input->prefersLongRanges(); }

private:
  Input input;
  float value;
};

/// x / max(norm(x), 1e-12) of each row, as torch.nn.functional.normalize: the
/// norm is summed wide and rounded to the row's dtype before it divides.
class UnitRowsEvaluator : public Evaluator {
public:
  UnitRowsEvaluator(const WeightNode &node, Input from)
      : Evaluator(node.dtype, from->count()), input(std::move(from)),
        row(node.shape.back()) {}

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    while (begin < end) {
      Scratch::Frame frame(scratch);
      int64_t start = begin / row * row;
      int64_t stop = std::min(end, start + row);
      float *values = takeFloats(scratch, row);
      decodeToF32(dtype(), input->fetch(start, start + row, scratch), row,
                  values);
      normalize(values);
      encodeFromF32(dtype(), values + (begin - start), stop - begin, out);
      out += bytes(stop - begin);
      begin = stop;
    }
  }

  int64_t granule() const override { return row; }
  bool prefersLongRanges() const override { return true; }

private:
  void normalize(float *values) const {
    double sum = 0;
    for (int64_t i = 0; i < row; ++i)
      sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
    float norm = roundTo(dtype(), static_cast<float>(std::sqrt(sum)));
    float divisor = std::isnan(norm) ? norm : std::max(norm, 1e-12f);
    for (int64_t i = 0; i < row; ++i)
      values[i] /= divisor;
  }

  Input input;
  int64_t row;
};

} // namespace

Input clade::rt::makeCast(const WeightNode &node, Input input) {
  return std::make_unique<CastEvaluator>(node, std::move(input));
}

Input clade::rt::makeShift(const WeightNode &node, Input input) {
  return std::make_unique<ShiftEvaluator>(node, std::move(input));
}

Input clade::rt::makeUnitRows(const WeightNode &node, Input input) {
  return std::make_unique<UnitRowsEvaluator>(node, std::move(input));
}
