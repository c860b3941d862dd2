//===- Media.cpp - Rules of what concerns images --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Reference/Rules.h"

using namespace mlir;
using namespace clade;
using namespace clade::reference;

FailureOr<Tensor> reference::evaluate(GridPositionsOp op, const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  int64_t merge = op.getMerge();
  for (int64_t token = 0; token < batch.numTokens(); ++token) {
    size_t sequence = batch.sequenceOf[token];
    if (sequence >= batch.grids.size())
      return op.emitError()
             << "expected a grid of each image, got " << batch.grids.size();
    int64_t blocks = batch.grids[sequence].second / merge;
    if (blocks < 1)
      return op.emitError() << "expected at least " << merge << " columns, got "
                            << batch.grids[sequence].second;
    int64_t patch = batch.positions[token], block = patch / (merge * merge),
            inBlock = patch % (merge * merge);
    result->data()[2 * token] = block / blocks * merge + inBlock / merge;
    result->data()[2 * token + 1] = block % blocks * merge + inBlock % merge;
  }
  return result;
}

FailureOr<Tensor> reference::evaluate(FoldOp op, const Tensor &input,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
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
