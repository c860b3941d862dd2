//===- PackBlocks.cpp - Blocks of rows into panels, and back --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Quantise makes blocks of numbers; PackBlocks moves the blocks of rows into
// the layout of PackedBlocks.h, and UnpackBlocks takes them out again bit for
// bit.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Dequantize.h"
#include "runtime/Formats/Quantize.h"
#include "runtime/Support/CheckedMath.h"
#include "runtime/Weights/BlockOrder.h"
#include "runtime/Weights/Evaluator.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

using namespace clade::rt;

namespace {

using Input = std::unique_ptr<Evaluator>;

/// Columns that are made at a time: whole blocks of every type.
constexpr int64_t pieceOfBlocks = 2048;
constexpr int64_t wordBytes = 4;
constexpr uint16_t nanScale = 0x7e00;

/// Where a block has the scale that all of its numbers are multiplied by.
int64_t scalePlace(DType type) { return type == DType::Q6_K ? 208 : 0; }

class QuantiseEvaluator : public Evaluator {
public:
  QuantiseEvaluator(const WeightNode &node, Input from)
      : Evaluator(node.dtype, *elementCount(node.shape)),
        input(std::move(from)), columns(node.inputs.front().shape.back()),
        padded(node.shape.back()), isOfRow(hasRowScale(node.dtype)) {}

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    while (begin < end) {
      int64_t column = begin % padded;
      int64_t length = std::min(end - begin, padded - column);
      if (!isOfRow) {
        length = std::min(length, pieceOfBlocks);
        quantise(begin / padded, column, length, out, scratch);
      } else if (length == padded) {
        quantise(begin / padded, 0, padded, out, scratch);
      } else {
        Scratch::Frame frame(scratch);
        std::byte *row = scratch.take(bytes(padded));
        quantise(begin / padded, 0, padded, row, scratch);
        std::memcpy(out, row + bytes(column),
                    static_cast<size_t>(bytes(length)));
      }
      out += bytes(length);
      begin += length;
    }
  }

  int64_t granule() const override {
    return isOfRow ? padded : Evaluator::granule();
  }

  bool prefersLongRanges() const override { return input->prefersLongRanges(); }

private:
  /// The blocks of [column, column + length) of a row. What lies behind the
  /// row's end is zero. What shares a scale with a number that is not finite
  /// gets NaN for it, and all of its values are NaN.
  void quantise(int64_t row, int64_t column, int64_t length, std::byte *out,
                Scratch &scratch) const {
    Scratch::Frame frame(scratch);
    auto *values = reinterpret_cast<float *>(
        scratch.take(length * static_cast<int64_t>(sizeof(float))));
    int64_t there = std::clamp<int64_t>(columns - column, 0, length);
    int64_t at = row * columns + column;
    if (there > 0)
      decodeToF32(input->dtype(), input->fetch(at, at + there, scratch), there,
                  values);
    std::fill(values + there, values + length, 0.0f);
    if (isOfRow)
      return quantiseRow(values, length, out);
    int64_t block = blockLength(dtype());
    for (int64_t i = 0; i < length; i += block) {
      std::byte *to = out + bytes(i);
      if (isFinite(values + i, block)) {
        quantizeFromF32(dtype(), values + i, block, to);
        continue;
      }
      std::memset(to, 0, static_cast<size_t>(bytes(block)));
      std::memcpy(to + scalePlace(dtype()), &nanScale, sizeof(nanScale));
    }
  }

  void quantiseRow(const float *values, int64_t length, std::byte *out) const {
    if (isFinite(values, length))
      return quantizeFromF32(dtype(), values, length, out);
    float scale = std::numeric_limits<float>::quiet_NaN();
    std::memset(out, 0, static_cast<size_t>(bytes(length)));
    for (int64_t at = 0; at < bytes(length); at += bytesPerBlock(dtype()))
      std::memcpy(out + at, &scale, sizeof(scale));
  }

  static bool isFinite(const float *values, int64_t count) {
    return std::all_of(values, values + count,
                       [](float x) { return std::isfinite(x); });
  }

  Input input;
  int64_t columns, padded; ///< Of a row, before and after.
  bool isOfRow;            ///< A row has one scale.
};

/// Where the fields of a block lie in a panel.
class PanelLayout {
public:
  PanelLayout(DType dtype, int64_t rows)
      : layout(*packedLayout(dtype)), blockBytes(layout.blockBytes()),
        panelRows(rows), flip(layout.zero == 128 ? 0x80808080u : 0) {}

  /// Copies block `index` of row `row` of a panel to its place.
  void put(const std::byte *block, int64_t index, int64_t row,
           std::byte *panel) const {
    if (layout.isOfRow)
      return putOfRow(block, index, row, panel);
    panel += index * columnBytes();
    std::byte ordered[maxPackedBlockBytes];
    if (!isInPackedOrder(layout)) {
      orderBlock(layout, block, ordered);
      block = ordered;
    }
    forEachField([&](int64_t at, auto size) {
      move(size, block + at, panel + place(at, size, row));
    });
  }
  /// The way back. `panel` begins with the block's columns, unless rows have
  /// one scale.
  void take(const std::byte *panel, int64_t index, int64_t row,
            std::byte *block) const {
    if (layout.isOfRow)
      return takeOfRow(panel, index, row, block);
    std::byte ordered[maxPackedBlockBytes];
    bool isOrdered = isInPackedOrder(layout);
    std::byte *to = isOrdered ? block : ordered;
    forEachField([&](int64_t at, auto size) {
      move(size, panel + place(at, size, row), to + at);
    });
    if (!isOrdered)
      restoreBlock(layout, ordered, block);
  }
  /// Bytes of a panel of rows of `columns`.
  int64_t panelBytes(int64_t columns) const {
    return layout.rowBytes(columns) * panelRows;
  }
  /// Bytes of the blocks of one block's columns.
  int64_t columnBytes() const { return blockBytes * panelRows; }

private:
  template <int64_t N> using Size = std::integral_constant<int64_t, N>;

  /// Where word `word` of the codes of a block of a row with one scale is.
  int64_t codesOfRow(int64_t index, int64_t word, int64_t row) const {
    int64_t words = (blockBytes - layout.headBytes) / wordBytes;
    return panelRows * layout.headBytes +
           ((index * words + word) * panelRows + row) * wordBytes;
  }
  /// The scale that all blocks of a row have comes with the first one.
  void putOfRow(const std::byte *block, int64_t index, int64_t row,
                std::byte *panel) const {
    if (index == 0)
      std::memcpy(panel + row * layout.headBytes, block,
                  static_cast<size_t>(layout.headBytes));
    for (int64_t at = layout.headBytes, word = 0; at < blockBytes;
         at += wordBytes, ++word)
      move(Size<wordBytes>(), block + at, panel + codesOfRow(index, word, row));
  }
  void takeOfRow(const std::byte *panel, int64_t index, int64_t row,
                 std::byte *block) const {
    std::memcpy(block, panel + row * layout.headBytes,
                static_cast<size_t>(layout.headBytes));
    for (int64_t at = layout.headBytes, word = 0; at < blockBytes;
         at += wordBytes, ++word)
      move(Size<wordBytes>(), panel + codesOfRow(index, word, row), block + at);
  }

  /// Of a field `size` bytes long, `at` bytes into a block.
  int64_t place(int64_t at, int64_t size, int64_t row) const {
    return at * panelRows + size * row;
  }
  /// A word has codes, which are signed or are not: it changes, or changes
  /// back. Of types whose codes do, no other fields are words.
  template <int64_t N>
  void move(Size<N>, const std::byte *from, std::byte *to) const {
    if constexpr (N == wordBytes) {
      uint32_t word;
      std::memcpy(&word, from, wordBytes);
      word ^= flip;
      std::memcpy(to, &word, wordBytes);
    } else {
      std::memcpy(to, from, N);
    }
  }
  template <typename Visit> void forEachField(Visit visit) const {
    int64_t at = 0;
    auto next = [&](auto size) {
      visit(at, size);
      at += size;
    };
    if (layout.headBytes == wordBytes)
      next(Size<wordBytes>());
    else if (layout.headBytes > 0)
      next(Size<2>());
    if (layout.hasMinimum) {
      next(Size<2>());
      next(Size<wordBytes>());
    }
    for (int64_t group = 0; group < layout.groups; ++group) {
      if (layout.headBytes == 0)
        next(Size<2>());
      else
        for (int64_t i = 0; i < layout.scaleBytes; ++i)
          next(Size<1>());
      for (int64_t end = at + packedGroupColumns * layout.bits / 8; at < end;)
        next(Size<wordBytes>());
    }
  }

  const PackedLayout &layout;
  int64_t blockBytes, panelRows;
  uint32_t flip;
};

class PackBlocksEvaluator : public Evaluator {
public:
  PackBlocksEvaluator(const WeightNode &node, Input from)
      : Evaluator(DType::U8, *elementCount(node.shape)), input(std::move(from)),
        layout(input->dtype(), node.rows),
        rows(*std::prev(node.inputs.front().shape.end(), 2)),
        columns(node.inputs.front().shape.back()), panelRows(node.rows),
        panels(ceilDiv(rows, panelRows)), panel(layout.panelBytes(columns)),
        piece(hasRowScale(input->dtype()) ? columns : pieceOfBlocks) {}

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    while (begin < end) {
      int64_t index = begin / panel, start = index * panel;
      int64_t stop = std::min(end, start + panel);
      if (begin == start && stop == start + panel) {
        packPanel(index, out, scratch);
      } else {
        Scratch::Frame frame(scratch);
        std::byte *whole = scratch.take(panel);
        packPanel(index, whole, scratch);
        std::memcpy(out, whole + (begin - start),
                    static_cast<size_t>(stop - begin));
      }
      out += stop - begin;
      begin = stop;
    }
  }

  int64_t granule() const override { return panel; }
  bool prefersLongRanges() const override { return true; }

private:
  void packPanel(int64_t index, std::byte *out, Scratch &scratch) const {
    // Of a stack of matrices, the row counts from the first of all.
    int64_t inMatrix = index % panels * panelRows;
    int64_t firstRow = index / panels * rows + inMatrix;
    int64_t filled = std::min(panelRows, rows - inMatrix);
    if (filled < panelRows)
      std::memset(out, 0, static_cast<size_t>(panel));
    int64_t block = blockLength(input->dtype());
    for (int64_t row = 0; row < filled; ++row)
      for (int64_t column = 0; column < columns; column += piece) {
        Scratch::Frame frame(scratch);
        int64_t length = std::min(piece, columns - column);
        int64_t at = (firstRow + row) * columns + column;
        const std::byte *blocks = input->fetch(at, at + length, scratch);
        for (int64_t i = 0; i < length; i += block)
          layout.put(blocks + input->bytes(i), (column + i) / block, row, out);
      }
  }

  Input input;
  PanelLayout layout;
  int64_t rows, columns; ///< Of a matrix.
  int64_t panelRows;
  int64_t panels; ///< Of a matrix.
  int64_t panel;  ///< Bytes of a panel.
  int64_t piece;  ///< Columns that are asked for together.
};

class UnpackBlocksEvaluator : public Evaluator {
public:
  UnpackBlocksEvaluator(const WeightNode &node, Input from)
      : Evaluator(node.dtype, *elementCount(node.shape)),
        input(std::move(from)), rows(node.rows), columns(node.shape.back()),
        isOfRow(hasRowScale(dtype())),
        panelRows(isOfRow ? *std::prev(node.inputs.front().shape.end(), 2)
                          : node.inputs.front().shape.back() /
                                bytesPerBlock(dtype())),
        layout(dtype(), panelRows) {}

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    int64_t block = blockLength(dtype()), panels = ceilDiv(rows, panelRows),
            panelBytes = layout.panelBytes(columns),
            taken = isOfRow ? panelBytes : layout.columnBytes();
    while (begin < end) {
      Scratch::Frame frame(scratch);
      int64_t row = begin / columns, matrix = row / rows;
      int64_t index = begin % columns / block;
      int64_t at = (matrix * panels + row % rows / panelRows) * panelBytes +
                   (isOfRow ? 0 : index * taken);
      const std::byte *panel = input->fetch(at, at + taken, scratch);
      // What a panel is asked for once gives all that is wanted of the row.
      int64_t stop =
          isOfRow ? std::min(end, (row + 1) * columns) : begin + block;
      for (; begin < stop; begin += block, out += bytes(block), ++index)
        layout.take(panel, index, row % rows % panelRows, out);
    }
  }

private:
  Input input;
  int64_t rows, columns; ///< Of a matrix.
  bool isOfRow;
  int64_t panelRows;
  PanelLayout layout;
};

} // namespace

Input clade::rt::makeQuantise(const WeightNode &node, Input input) {
  return std::make_unique<QuantiseEvaluator>(node, std::move(input));
}

Input clade::rt::makePackBlocks(const WeightNode &node, Input input) {
  return std::make_unique<PackBlocksEvaluator>(node, std::move(input));
}

Input clade::rt::makeUnpackBlocks(const WeightNode &node, Input input) {
  return std::make_unique<UnpackBlocksEvaluator>(node, std::move(input));
}
