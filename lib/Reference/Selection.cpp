//===- Selection.cpp - Choosing the largest values ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// No arithmetic: every value of a result is one of an operand. Indices are held
// as f32, which is exact for axes of up to 2^24 places.
//
//===----------------------------------------------------------------------===//

#include "lib/Reference/Rules.h"

#include <cmath>
#include <numeric>

using namespace mlir;
using namespace clade;
using namespace clade::reference;

FailureOr<std::pair<Tensor, Tensor>>
reference::evaluate(TopKOp op, const Tensor &input, const Batch &batch) {
  FailureOr<Tensor> values = makeTensor(op, op.getValues().getType(), batch),
                    indices = makeTensor(op, op.getIndices().getType(), batch);
  if (failed(values) || failed(indices))
    return failure();
  int64_t size = input.shape.back(), count = values->shape.back();
  constexpr int64_t mostPlaces = int64_t(1) << 24;
  if (size > mostPlaces)
    return op.emitError() << "expected at most " << mostPlaces
                          << " values to choose from, got " << size;
  // What is not a number comes first, as the published implementations do.
  auto rank = [](float x) {
    return std::isnan(x) ? std::numeric_limits<float>::infinity() : x;
  };
  for (int64_t row = 0; row < input.size() / size; ++row) {
    ArrayRef<float> x = input.data().slice(row * size, size);
    std::vector<int64_t> order(size);
    std::iota(order.begin(), order.end(), 0);
    llvm::stable_sort(
        order, [&](int64_t a, int64_t b) { return rank(x[a]) > rank(x[b]); });
    for (int64_t i = 0; i < count; ++i) {
      values->data()[row * count + i] = x[order[i]];
      indices->data()[row * count + i] = static_cast<float>(order[i]);
    }
  }
  return std::pair(std::move(*values), std::move(*indices));
}

FailureOr<Tensor> reference::evaluate(GatherOp op, const Tensor &input,
                                      const Tensor &indices,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  int64_t axis = input.type.find(op.getAxis()), size = input.shape[axis],
          stride = 1;
  for (int64_t inner : ArrayRef(input.shape).drop_front(axis + 1))
    stride *= inner;
  SmallVector<int64_t> strides = stridesAlong(input, *result);
  // An axis of the indices may have the name of the one that they choose from.
  if (int64_t own = result->type.find(op.getAxis()); own >= 0)
    strides[own] = 0;
  std::optional<int64_t> outside;
  forEachElement(
      result->shape, {strides}, [&](int64_t place, ArrayRef<int64_t> offsets) {
        auto index = static_cast<int64_t>(indices.data()[place]);
        if (index < 0 || index >= size)
          outside = index;
        else
          result->data()[place] = input.data()[offsets[0] + index * stride];
      });
  if (outside)
    return op.emitError() << "expected indices from 0 to " << size - 1
                          << ", got " << *outside;
  return result;
}

FailureOr<Tensor> reference::evaluate(MemberOp op, const Tensor &indices,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  int64_t size = result->shape.back(), count = indices.shape.back();
  for (int64_t place = 0; place < indices.size(); ++place) {
    auto index = static_cast<int64_t>(indices.data()[place]);
    if (index >= 0 && index < size)
      result->data()[place / count * size + index] = 1;
  }
  return result;
}

FailureOr<Tensor> reference::evaluate(WhereOp op, const Tensor &condition,
                                      const Tensor &onTrue,
                                      const Tensor &onFalse,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  forEachElement(result->shape,
                 {stridesAlong(condition, *result),
                  stridesAlong(onTrue, *result),
                  stridesAlong(onFalse, *result)},
                 [&](int64_t place, ArrayRef<int64_t> offsets) {
                   float value = condition.data()[offsets[0]] != 0
                                     ? onTrue.data()[offsets[1]]
                                     : onFalse.data()[offsets[2]];
                   result->data()[place] = roundTo(result->element, value);
                 });
  return result;
}
