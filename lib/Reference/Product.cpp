//===- Product.cpp - Linear maps and embeddings ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products accumulate in f64, where the product of two f32 is exact, and round
// once.
//
//===----------------------------------------------------------------------===//

#include "lib/Reference/Rules.h"

#include "llvm/Support/Parallel.h"

using namespace mlir;
using namespace clade;
using namespace clade::reference;

FailureOr<Tensor> reference::evaluate(LinearOp op, const Tensor &input,
                                      const Tensor &weight, const Tensor *bias,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  int64_t rows = input.numRows(), outputs = op.getNumOutputs(),
          inputs = op.getNumInputs();
  std::vector<double> x(input.data().begin(), input.data().end());
  MutableArrayRef<float> y = result->data();
  llvm::parallelFor(0, outputs, [&](size_t output) {
    ArrayRef<float> row = weight.data().slice(output * inputs, inputs);
    std::vector<double> w(row.begin(), row.end());
    double offset = bias ? bias->data()[output] : 0;
    for (int64_t token = 0; token < rows; ++token) {
      double sum = dot(x.data() + token * inputs, w.data(), inputs);
      y[token * outputs + output] = roundTo(result->element, sum + offset);
    }
  });
  return result;
}

FailureOr<Tensor> reference::evaluate(HeadLinearOp op, const Tensor &input,
                                      const Tensor &weight,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  int64_t tokens = input.numRows(), heads = op.getNumHeads(),
          outputs = op.getNumOutputs(), inputs = op.getNumInputs();
  std::vector<double> x(input.data().begin(), input.data().end());
  MutableArrayRef<float> y = result->data();
  llvm::parallelFor(0, heads * outputs, [&](size_t task) {
    ArrayRef<float> row = weight.data().slice(task * inputs, inputs);
    std::vector<double> w(row.begin(), row.end());
    int64_t head = task / outputs, output = task % outputs;
    for (int64_t token = 0; token < tokens; ++token) {
      int64_t place = token * heads + head;
      y[place * outputs + output] = roundTo(
          result->element, dot(x.data() + place * inputs, w.data(), inputs));
    }
  });
  return result;
}

FailureOr<Tensor> reference::evaluate(EmbedOp op, const Tensor &ids,
                                      const Tensor &table, const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  int64_t size = result->rowSize(), rows = table.shape[0];
  for (auto [token, id] : llvm::enumerate(ids.data())) {
    if (id < 0 || id >= rows)
      return op.emitError() << "expected token ids from 0 to " << rows - 1
                            << ", got " << static_cast<int64_t>(id);
    ArrayRef<float> row =
        table.data().slice(static_cast<int64_t>(id) * size, size);
    for (auto [i, x] : llvm::enumerate(row))
      result->data()[token * size + i] = roundTo(result->element, x);
  }
  return result;
}
