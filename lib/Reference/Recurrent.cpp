//===- Recurrent.cpp - Convolutions over time, repetition -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Reference/Rules.h"

using namespace mlir;
using namespace clade;
using namespace clade::reference;

FailureOr<Tensor> reference::evaluate(RepeatOp op, const Tensor &input,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  int64_t axis = op.getPlace(), times = op.getTimes(), inner = 1;
  for (int64_t size : ArrayRef(input.shape).drop_front(axis + 1))
    inner *= size;
  // Whatever is before the axis only adds more rows of `inner` elements.
  for (int64_t row = 0; row < result->size() / inner; ++row)
    llvm::copy(input.data().slice(row / times * inner, inner),
               result->data().begin() + row * inner);
  return result;
}

FailureOr<Tensor> reference::evaluate(CausalConvOp op, const Tensor &input,
                                      const Tensor &weight, const Tensor *bias,
                                      ArrayRef<RecurrentState *> states,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  int64_t channels = op.getNumChannels(), taps = op.getNumTaps();
  size_t size = (taps - 1) * channels;
  for (int64_t token = 0; token < batch.numTokens(); ++token) {
    // The state holds the rows before the token, the oldest first.
    std::vector<float> &past = states[batch.sequenceOf[token]]->values;
    if (past.empty())
      past.assign(size, 0);
    if (past.size() != size)
      return op.emitError() << "expected a state of " << size << " values, got "
                            << past.size();
    ArrayRef<float> row = input.data().slice(token * channels, channels);
    past.insert(past.end(), row.begin(), row.end());
    for (int64_t c = 0; c < channels; ++c) {
      double sum = bias ? bias->data()[c] : 0;
      for (int64_t j = 0; j < taps; ++j)
        sum += static_cast<double>(past[j * channels + c]) *
               weight.data()[c * taps + j];
      result->data()[token * channels + c] = roundTo(result->element, sum);
    }
    past.erase(past.begin(), past.begin() + channels);
  }
  return result;
}
