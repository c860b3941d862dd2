//===- Media.cpp - Rules of what concerns images --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Reference/Rules.h"

#include <cmath>

using namespace mlir;
using namespace clade;
using namespace clade::reference;

/// Row and column of a token in its image; fails at `op` if there is no such
/// image.
static FailureOr<std::pair<int64_t, int64_t>>
placeOf(Operation *op, int64_t token, int64_t merge, const Batch &batch) {
  size_t sequence = batch.sequenceOf[token];
  if (sequence >= batch.grids.size())
    return op->emitError() << "expected a grid of each image, got "
                           << batch.grids.size();
  auto [rows, columns] = batch.grids[sequence];
  int64_t blocks = columns / merge;
  if (blocks < 1)
    return op->emitError() << "expected at least " << merge << " columns, got "
                           << columns;
  // The frames of a film follow each other.
  int64_t patch = batch.positions[token] % (rows * columns),
          block = patch / (merge * merge), inBlock = patch % (merge * merge);
  return std::pair(block / blocks * merge + inBlock / merge,
                   block % blocks * merge + inBlock % merge);
}

FailureOr<Tensor> reference::evaluate(GridPositionsOp op, const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  for (int64_t token = 0; token < batch.numTokens(); ++token) {
    auto place = placeOf(op, token, op.getMerge(), batch);
    if (failed(place))
      return failure();
    result->data()[2 * token] = place->first;
    result->data()[2 * token + 1] = place->second;
  }
  return result;
}

/// Patches of a frame of the film that a sequence is; fails at `op` if there is
/// no such film.
static FailureOr<int64_t> frameSize(Operation *op, int64_t sequence,
                                    const Batch &batch) {
  if (sequence >= static_cast<int64_t>(batch.grids.size()))
    return op->emitError() << "expected a grid of each image, got "
                           << batch.grids.size();
  auto [rows, columns] = batch.grids[sequence];
  return rows * columns;
}

FailureOr<std::pair<Tensor, Tensor>> reference::evaluate(GridFramesOp op,
                                                         const Batch &batch) {
  FailureOr<Tensor> frame = makeTensor(op, op.getFrame().getType(), batch),
                    frames = makeTensor(op, op.getFrames().getType(), batch);
  if (failed(frame) || failed(frames))
    return failure();
  std::vector<int64_t> patches(batch.grids.size());
  for (int64_t sequence : batch.sequenceOf)
    if (sequence < static_cast<int64_t>(patches.size()))
      ++patches[sequence];
  for (int64_t token = 0; token < batch.numTokens(); ++token) {
    int64_t sequence = batch.sequenceOf[token];
    FailureOr<int64_t> size = frameSize(op, sequence, batch);
    if (failed(size))
      return failure();
    frame->data()[token] = batch.positions[token] / *size;
    frames->data()[token] = patches[sequence] / *size;
  }
  return std::pair(*frame, *frames);
}

FailureOr<Tensor> reference::evaluate(GridWindowsOp op, const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  int64_t side = op.getSide();
  for (int64_t token = 0; token < batch.numTokens(); ++token) {
    auto place = placeOf(op, token, op.getMerge(), batch);
    if (failed(place))
      return failure();
    int64_t columns = batch.grids[batch.sequenceOf[token]].second;
    result->data()[token] =
        place->first / side * llvm::divideCeil(columns, side) +
        place->second / side;
  }
  return result;
}

namespace {
/// A place of a table and how much it counts.
struct Tap {
  int64_t place;
  float weight;
};
} // namespace

/// What patch `index` of `count` along an axis is made of, of `size` places.
static SmallVector<Tap> tapsOf(InterpolateOp op, int64_t index, int64_t count,
                               int64_t size) {
  float i = index, n = count, s = size;
  float at = op.getCorners() ? i * (s - 1) / std::max(n - 1, 1.0f)
                             : (i + 0.5f) * s / n - 0.5f;
  float first = std::floor(at);
  bool isCubic = op.getKind() == InterpolationKind::Bicubic;
  constexpr float a = -0.75f;
  SmallVector<Tap> taps;
  for (int64_t offset = isCubic ? -1 : 0; offset < (isCubic ? 3 : 2);
       ++offset) {
    float d = std::abs(at - first - offset);
    float weight = 1 - d;
    if (isCubic)
      weight = d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1
                      : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
    taps.push_back(
        {std::clamp<int64_t>(static_cast<int64_t>(first) + offset, 0, size - 1),
         weight});
  }
  return taps;
}

FailureOr<Tensor> reference::evaluate(InterpolateOp op, const Tensor &table,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  int64_t features = result->rowSize();
  std::vector<double> sums(features);
  for (int64_t token = 0; token < batch.numTokens(); ++token) {
    auto place = placeOf(op, token, op.getMerge(), batch);
    if (failed(place))
      return failure();
    auto [rows, columns] = batch.grids[batch.sequenceOf[token]];
    llvm::fill(sums, 0);
    SmallVector<Tap> across =
        tapsOf(op, place->second, columns, table.shape[1]);
    for (const Tap &row : tapsOf(op, place->first, rows, table.shape[0]))
      for (const Tap &column : across) {
        double weight = row.weight * column.weight;
        int64_t begin = (row.place * table.shape[1] + column.place) * features;
        for (int64_t i = 0; i < features; ++i)
          sums[i] += weight * table.data()[begin + i];
      }
    for (int64_t i = 0; i < features; ++i)
      result->data()[token * features + i] = static_cast<float>(sums[i]);
  }
  return result;
}

/// The mean of the frames of each film.
static FailureOr<Tensor> meanOfFrames(FoldOp op, const Tensor &input,
                                      Tensor result, const Batch &batch) {
  int64_t size = input.rowSize(), times = op.getTimes(),
          tokens = batch.numTokens();
  for (auto [row, first] : llvm::enumerate(batch.selected)) {
    if (first < 0 || first + times > tokens)
      return op.emitError()
             << "expected the first patch of each row, got " << first;
    int64_t sequence = batch.sequenceOf[first];
    FailureOr<int64_t> patches = frameSize(op, sequence, batch);
    if (failed(patches))
      return failure();
    for (int64_t i = 0; i < times * size; ++i) {
      float sum = 0;
      int64_t frames = 0;
      for (int64_t token = first;
           token + times <= tokens && batch.sequenceOf[token] == sequence;
           token += *patches, ++frames)
        sum += input.data()[token * size + i];
      result.data()[row * times * size + i] =
          roundTo(result.element, sum / static_cast<float>(frames));
    }
  }
  return result;
}

FailureOr<Tensor> reference::evaluate(FoldOp op, const Tensor &input,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  if (op.getBatch())
    return meanOfFrames(op, input, *result, batch);
  if (result->size() != input.size())
    return op.emitError() << "expected " << op.getTimes()
                          << " tokens for each selected row, got "
                          << batch.numTokens() << " for "
                          << batch.selected.size();
  llvm::copy(input.data(), result->data().begin());
  return result;
}

FailureOr<Tensor> reference::evaluate(PutAtOp op, const Tensor &input,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  llvm::copy(input.data(), result->data().begin());
  int64_t size = input.rowSize(), width = op.getWidth(), from = op.getFrom();
  int64_t rows = batch.media.size() / width;
  for (auto [token, row] : llvm::enumerate(batch.mediaRows)) {
    if (row < 0)
      continue;
    if (row >= rows)
      return op.emitError()
             << "expected a row of images below " << rows << ", got " << row;
    for (int64_t i = 0; i < size; ++i) {
      float &y = result->data()[token * size + i];
      float value =
          roundTo(result->element, batch.media[row * width + from + i]);
      y = op.getAdd() ? roundTo(result->element, y + value) : value;
    }
  }
  return result;
}
