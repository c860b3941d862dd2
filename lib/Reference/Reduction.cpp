//===- Reduction.cpp - Sums, means, maxima, softmax -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Accumulates in f64 and rounds once.
//
//===----------------------------------------------------------------------===//

#include "lib/Reference/Rules.h"

#include <cmath>

using namespace mlir;
using namespace clade;
using namespace clade::reference;

static double combine(ReduceKind kind, double total, double x) {
  if (kind == ReduceKind::Max)
    return std::isnan(x) || x > total ? x : total;
  return total + x;
}

FailureOr<Tensor> reference::evaluate(ReduceOp op, const Tensor &input,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  ReduceKind kind = op.getKind();
  double start =
      kind == ReduceKind::Max ? -std::numeric_limits<double>::infinity() : 0;
  std::vector<double> totals(result->size(), start);
  // Along the reduced axes the place in the result stands still.
  forEachElement(input.shape, {stridesAlong(*result, input)},
                 [&](int64_t place, ArrayRef<int64_t> offsets) {
                   double &total = totals[offsets[0]];
                   total = combine(kind, total, input.data()[place]);
                 });
  double count = result->size() == 0 ? 1 : input.size() / result->size();
  for (auto [y, total] : llvm::zip_equal(result->data(), totals))
    y = roundTo(result->element,
                kind == ReduceKind::Mean ? total / count : total);
  return result;
}

FailureOr<Tensor> reference::evaluate(SoftmaxOp op, const Tensor &input,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  int64_t axis = input.type.find(op.getOver()), stride = 1;
  int64_t length = input.shape[axis];
  for (int64_t size : ArrayRef(input.shape).drop_front(axis + 1))
    stride *= size;
  ArrayRef<float> x = input.data();
  MutableArrayRef<float> y = result->data();
  for (int64_t block = 0; block < input.size(); block += length * stride) {
    for (int64_t first = block; first < block + stride; ++first) {
      float largest = -std::numeric_limits<float>::infinity();
      for (int64_t i = 0; i < length; ++i)
        largest = std::max(largest, x[first + i * stride]);
      double sum = 0;
      for (int64_t i = 0; i < length; ++i)
        sum += std::exp(static_cast<double>(x[first + i * stride] - largest));
      for (int64_t i = 0; i < length; ++i) {
        double e =
            std::exp(static_cast<double>(x[first + i * stride] - largest));
        y[first + i * stride] = roundTo(result->element, e / sum);
      }
    }
  }
  return result;
}
