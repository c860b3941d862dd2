//===- Codes.cpp - Constants, other views of bytes, tables ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Constant, bitcast and gather: what turns stored codes into numbers, or finds
// the numbers that belong to them.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Dequantize.h"
#include "runtime/Support/CheckedMath.h"
#include "runtime/Support/Text.h"
#include "runtime/Weights/Evaluator.h"

#include <algorithm>
#include <cstring>

using namespace clade::rt;

namespace {

using Input = std::unique_ptr<Evaluator>;

class ConstantEvaluator : public Evaluator {
public:
  explicit ConstantEvaluator(const WeightNode &node)
      : Evaluator(node.dtype, static_cast<int64_t>(node.values.size())),
        values(node.values) {}

  const std::byte *direct(int64_t begin, int64_t) const override {
    return reinterpret_cast<const std::byte *>(values.data() + begin);
  }
  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &) const override {
    std::memcpy(out, direct(begin, end),
                static_cast<size_t>(bytes(end - begin)));
  }

private:
  std::vector<float> values;
};

/// The same bytes. An element of the input is one or several of the result's.
class BitcastEvaluator : public Evaluator {
public:
  BitcastEvaluator(const WeightNode &node, Input from)
      : Evaluator(node.dtype, *elementCount(node.shape)),
        input(std::move(from)), parts(count() / input->count()) {}

  const std::byte *direct(int64_t begin, int64_t end) const override {
    const std::byte *data = input->direct(begin / parts, ceilDiv(end, parts));
    return data ? data + bytes(begin % parts) : nullptr;
  }

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    if (begin % parts == 0 && end % parts == 0)
      return input->read(begin / parts, end / parts, out, scratch);
    Scratch::Frame frame(scratch);
    const std::byte *data =
        input->fetch(begin / parts, ceilDiv(end, parts), scratch);
    std::memcpy(out, data + bytes(begin % parts),
                static_cast<size_t>(bytes(end - begin)));
  }

  int64_t granule() const override { return parts * input->granule(); }
  bool prefersLongRanges() const override { return input->prefersLongRanges(); }

private:
  Input input;
  int64_t parts;
};

/// Rows of the table in the order of the index, which counts those of all
/// tables.
class GatherRowsEvaluator : public Evaluator {
public:
  GatherRowsEvaluator(const WeightNode &node, Input table,
                      std::vector<int64_t> index)
      : Evaluator(node.dtype, *elementCount(node.shape)),
        table(std::move(table)), index(std::move(index)),
        row(count() / static_cast<int64_t>(this->index.size())) {}

  const std::byte *direct(int64_t begin, int64_t end) const override {
    if (begin / row != (end - 1) / row)
      return nullptr;
    int64_t from = rowStart(begin / row) + begin % row;
    return table->direct(from, from + end - begin);
  }

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    while (begin < end) {
      int64_t from = rowStart(begin / row) + begin % row;
      int64_t length = std::min(end - begin, row - begin % row);
      table->read(from, from + length, out, scratch);
      out += bytes(length);
      begin += length;
    }
  }

  bool prefersLongRanges() const override { return table->prefersLongRanges(); }

private:
  int64_t rowStart(int64_t i) const {
    return index[static_cast<size_t>(i)] * row;
  }

  Input table;
  std::vector<int64_t> index;
  int64_t row; ///< Elements of a row.
};

/// What a table of 16 or 256 numbers has for each code.
class GatherCodesEvaluator : public Evaluator {
public:
  GatherCodesEvaluator(std::vector<float> table, Input codes)
      : Evaluator(DType::F32, codes->count()), table(std::move(table)),
        codes(std::move(codes)), pair(blockLength(this->codes->dtype())) {}

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    float *values = reinterpret_cast<float *>(out);
    while (begin < end) {
      Scratch::Frame frame(scratch);
      int64_t start = begin / pair * pair;
      int64_t stop = std::min(end, start + chunk);
      int64_t length = ceilDiv(stop - start, pair) * pair;
      const std::byte *stored = codes->fetch(start, start + length, scratch);
      auto *numbers = reinterpret_cast<float *>(
          scratch.take(length * static_cast<int64_t>(sizeof(float))));
      // Exact, and each in the table: the codes have four or eight bits.
      decodeToF32(codes->dtype(), stored, length, numbers);
      for (int64_t i = begin; i < stop; ++i)
        *values++ = table[static_cast<size_t>(numbers[i - start])];
      begin = stop;
    }
  }

  int64_t granule() const override { return codes->granule(); }
  bool prefersLongRanges() const override { return codes->prefersLongRanges(); }

private:
  static constexpr int64_t chunk = 2048;

  std::vector<float> table;
  Input codes;
  int64_t pair; ///< Codes of a byte.
};

/// The whole index of rows, each in [0, rows) of its table; as the number of a
/// row of all tables, of which each has a part of the index.
StatusOr<std::vector<int64_t>> readIndex(const WeightNode &node,
                                         const Evaluator &from, int64_t rows) {
  auto perTable = static_cast<size_t>(node.shape.back());
  Scratch scratch;
  const std::byte *data = from.fetch(0, from.count(), scratch);
  std::vector<int64_t> index(static_cast<size_t>(from.count()));
  bool isWide = from.dtype() == DType::I64;
  for (size_t i = 0; i < index.size(); ++i) {
    int32_t narrow = 0;
    if (isWide)
      std::memcpy(&index[i], data + i * sizeof(int64_t), sizeof(int64_t));
    else
      std::memcpy(&narrow, data + i * sizeof(int32_t), sizeof(int32_t));
    index[i] = isWide ? index[i] : narrow;
    if (index[i] < 0 || index[i] >= rows)
      return Status::invalidArgument(
          "element " + std::to_string(i) + " of the index " +
          (node.op == WeightOp::Source ? quoteName(node.name) + " " : "") +
          "is " + std::to_string(index[i]) + ", expected 0 to " +
          std::to_string(rows - 1));
    index[i] += static_cast<int64_t>(i / perTable) * rows;
  }
  return index;
}

} // namespace

Input clade::rt::makeConstant(const WeightNode &node) {
  return std::make_unique<ConstantEvaluator>(node);
}

Input clade::rt::makeBitcast(const WeightNode &node, Input input) {
  return std::make_unique<BitcastEvaluator>(node, std::move(input));
}

StatusOr<Input> clade::rt::makeGather(const WeightNode &node,
                                      std::vector<Input> inputs) {
  const WeightNode &index = node.inputs[1];
  if (index.dtype == DType::I32 || index.dtype == DType::I64) {
    CLADE_ASSIGN_OR_RETURN(
        std::vector<int64_t> rows,
        readIndex(index, *inputs[1],
                  node.inputs[0].shape[index.shape.size() - 1]));
    return Input(std::make_unique<GatherRowsEvaluator>(
        node, std::move(inputs[0]), std::move(rows)));
  }
  std::vector<float> table(static_cast<size_t>(inputs[0]->count()));
  Scratch scratch;
  inputs[0]->read(0, inputs[0]->count(),
                  reinterpret_cast<std::byte *>(table.data()), scratch);
  return Input(std::make_unique<GatherCodesEvaluator>(std::move(table),
                                                      std::move(inputs[1])));
}
