//===- Shape.cpp - Views, slices, joins, copies ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// No arithmetic: every element of a result is an element of an operand.
//
//===----------------------------------------------------------------------===//

#include "lib/Reference/Rules.h"

using namespace mlir;
using namespace clade;
using namespace clade::reference;

FailureOr<Tensor> reference::evaluate(ViewOp op, const Tensor &input,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  result->elements = input.elements;
  return result;
}

/// Copies `input` into `result` where they share the axes but `axis`: place 0
/// of the input is place `to` of the result, or place `from` of the input is
/// place 0, for `count` places.
static void copyAlong(const Tensor &input, int64_t from, Tensor &result,
                      int64_t to, int64_t axis, int64_t count) {
  int64_t inner = 1, outer = 1;
  for (int64_t size : ArrayRef(input.shape).drop_front(axis + 1))
    inner *= size;
  for (int64_t size : ArrayRef(input.shape).take_front(axis))
    outer *= size;
  for (int64_t block = 0; block < outer; ++block) {
    int64_t source = (block * input.shape[axis] + from) * inner;
    int64_t target = (block * result.shape[axis] + to) * inner;
    llvm::copy(input.data().slice(source, count * inner),
               result.data().begin() + target);
  }
}

FailureOr<Tensor> reference::evaluate(SliceOp op, const Tensor &input,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  int64_t axis = input.type.find(op.getAxis());
  copyAlong(input, op.getBegin(), *result, 0, axis, result->shape[axis]);
  return result;
}

FailureOr<Tensor> reference::evaluate(JoinOp op, ArrayRef<Tensor> inputs,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  int64_t axis = result->shape.size() - 1, place = 0;
  for (const Tensor &input : inputs) {
    copyAlong(input, 0, *result, place, axis, input.shape[axis]);
    place += input.shape[axis];
  }
  return result;
}

FailureOr<Tensor> reference::evaluate(SpreadOp op, const Tensor &input,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  MutableArrayRef<float> y = result->data();
  forEachElement(result->shape, {stridesAlong(input, *result)},
                 [&](int64_t place, ArrayRef<int64_t> offsets) {
                   y[place] = input.data()[offsets[0]];
                 });
  return result;
}

FailureOr<Tensor> reference::evaluate(SelectOp op, const Tensor &input,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  int64_t size = input.rowSize();
  for (auto [row, token] : llvm::enumerate(batch.selected))
    llvm::copy(input.data().slice(token * size, size),
               result->data().begin() + row * size);
  return result;
}
