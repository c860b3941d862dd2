//===- Experts.cpp - Rules of mixtures of experts -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Reference/Rules.h"

#include "llvm/Support/Parallel.h"

using namespace mlir;
using namespace clade;
using namespace clade::reference;

FailureOr<Tensor> reference::evaluate(ExpertLinearOp op, const Tensor &input,
                                      const Tensor &chosen,
                                      const Tensor &weight, const Tensor *bias,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  int64_t experts = op.getNumExperts(), active = op.getNumActive(),
          outputs = op.getNumOutputs(), inputs = op.getNumInputs();
  bool perChoice = op.hasActiveInput();
  // The choices of each expert, as places in `chosen`.
  std::vector<std::vector<int64_t>> choices(experts);
  for (auto [place, expert] : llvm::enumerate(chosen.data())) {
    if (!(expert >= 0 && expert < experts))
      return op.emitError() << "expected experts from 0 to " << experts - 1
                            << ", got " << static_cast<int64_t>(expert);
    choices[static_cast<int64_t>(expert)].push_back(place);
  }
  std::vector<double> x(input.data().begin(), input.data().end());
  MutableArrayRef<float> y = result->data();
  llvm::parallelFor(0, experts * outputs, [&](size_t task) {
    const std::vector<int64_t> &places = choices[task / outputs];
    if (places.empty())
      return;
    int64_t output = task % outputs;
    ArrayRef<float> row = weight.data().slice(task * inputs, inputs);
    std::vector<double> w(row.begin(), row.end());
    double offset = bias ? bias->data()[task] : 0;
    for (int64_t place : places) {
      int64_t from = perChoice ? place : place / active;
      double sum = dot(x.data() + from * inputs, w.data(), inputs);
      y[place * outputs + output] = roundTo(result->element, sum + offset);
    }
  });
  return result;
}

FailureOr<Tensor> reference::evaluate(AdapterChoiceOp op, const Tensor *chosen,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  int64_t experts = op.getExperts(), active = result->rowSize();
  for (auto [place, value] : llvm::enumerate(result->data())) {
    auto adapter = static_cast<float>(batch.adapters[place / active]);
    value = chosen
                ? adapter * static_cast<float>(experts) + chosen->data()[place]
                : adapter;
  }
  return result;
}

FailureOr<Tensor> reference::evaluate(MixOp op, const Tensor &input,
                                      const Tensor &share, const Tensor &chosen,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  FailureOr<Element> sumType = elementOf(op, op.getSum());
  if (failed(result) || failed(sumType))
    return failure();
  int64_t active = chosen.shape[1], features = result->rowSize();
  for (int64_t token = 0; token < result->numRows(); ++token) {
    SmallVector<int64_t> order(active);
    for (auto [place, slot] : llvm::enumerate(order))
      slot = token * active + place;
    llvm::stable_sort(order, [&](int64_t a, int64_t b) {
      return chosen.data()[a] < chosen.data()[b];
    });
    for (int64_t i = 0; i < features; ++i) {
      float sum = 0;
      for (int64_t slot : order) {
        double product = static_cast<double>(share.data()[slot]) *
                         input.data()[slot * features + i];
        sum = roundTo(*sumType,
                      static_cast<double>(sum) + roundTo(*sumType, product));
      }
      result->data()[token * features + i] = roundTo(result->element, sum);
    }
  }
  return result;
}
