//===- Pack.cpp - Rows into panels, and transposition ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Pack turns [N, K] into [ceil(N/R)][ceil(K/P)][R][P], the layout that compiled
// products read: P adjacent elements of a row form a unit, and the units of R
// rows alternate. A panel of R rows is built in pieces of columns, so that
// what it reads and what it writes stay in cache.
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/CheckedMath.h"
#include "runtime/Weights/Evaluator.h"
#include "runtime/Weights/Interleave.h"

#include <algorithm>
#include <cstring>

using namespace clade::rt;

namespace {

using Input = std::unique_ptr<Evaluator>;

/// Columns that a panel is built from at a time.
constexpr int64_t pieceColumns = 2048;

class PackEvaluator : public Evaluator {
public:
  PackEvaluator(const WeightNode &node, Input from)
      : Evaluator(node.dtype, *elementCount(node.shape)),
        input(std::move(from)), rows(*std::prev(shapeOf(node).end(), 2)),
        columns(shapeOf(node).back()), panelRows(node.rows), inner(node.inner),
        panels(ceilDiv(rows, panelRows)),
        panel(ceilDiv(columns, inner) * node.rows * node.inner),
        piece(pieceFor(*input)) {}

  void read(int64_t begin, int64_t end, std::byte *out,
            Scratch &scratch) const override {
    while (begin < end) {
      int64_t index = begin / panel, start = index * panel;
      int64_t stop = std::min(end, start + panel);
      if (begin == start && stop == start + panel) {
        packPanel(index, out, scratch);
      } else {
        Scratch::Frame frame(scratch);
        std::byte *whole = scratch.take(bytes(panel));
        packPanel(index, whole, scratch);
        std::memcpy(out, whole + bytes(begin - start),
                    static_cast<size_t>(bytes(stop - begin)));
      }
      out += bytes(stop - begin);
      begin = stop;
    }
  }

  int64_t granule() const override { return panel; }
  bool prefersLongRanges() const override { return true; }

private:
  static const std::vector<int64_t> &shapeOf(const WeightNode &node) {
    return node.inputs.front().shape;
  }

  /// A multiple of `inner`, of the input's granule if that divides a row, and
  /// about pieceColumns; or all columns.
  int64_t pieceFor(const Evaluator &from) const {
    int64_t granule = from.granule();
    if (columns % granule != 0)
      granule = 1;
    std::optional<int64_t> step = checkedMul(granule, inner);
    if (!step || *step >= columns)
      return columns;
    return std::min(columns, ceilDiv(pieceColumns, *step) * *step);
  }

  void packPanel(int64_t index, std::byte *out, Scratch &scratch) const {
    // Of a stack of matrices, the row counts from the first of all.
    int64_t inMatrix = index % panels * panelRows;
    int64_t firstRow = index / panels * rows + inMatrix;
    int64_t filled = std::min(panelRows, rows - inMatrix);
    if (filled < panelRows || columns % inner != 0)
      std::memset(out, 0, static_cast<size_t>(bytes(panel)));

    Scratch::Frame frame(scratch);
    const std::byte *block = nullptr; // All rows of the panel, contiguous.
    if (input->prefersLongRanges())
      block = input->fetch(firstRow * columns, (firstRow + filled) * columns,
                           scratch);
    auto *from = reinterpret_cast<const std::byte **>(
        scratch.take(filled * static_cast<int64_t>(sizeof(std::byte *))));
    for (int64_t column = 0; column < columns; column += piece) {
      Scratch::Frame pieceFrame(scratch);
      int64_t width = std::min(piece, columns - column);
      for (int64_t i = 0; i < filled; ++i) {
        int64_t at = (firstRow + i) * columns + column;
        from[i] = block ? block + bytes(i * columns + column)
                        : input->fetch(at, at + width, scratch);
      }
      interleaveRows({from, static_cast<size_t>(filled)}, width, bytes(1),
                     inner, panelRows, out + bytes(column * panelRows));
    }
  }

  Input input;
  int64_t rows, columns; ///< Of a matrix.
  int64_t panelRows, inner;
  int64_t panels; ///< Of a matrix.
  int64_t panel;  ///< Elements of a panel.
  int64_t piece;  ///< Columns, a multiple of `inner` or all of them.
};

} // namespace

Input clade::rt::makePack(const WeightNode &node, Input input) {
  return std::make_unique<PackEvaluator>(node, std::move(input));
}
