//===- RowMemory.cpp - Where the features of a token are ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/RowMemory.h"

using namespace mlir;
using namespace clade;

RowLayout RowLayout::contiguous(NamedTensorType type) {
  RowLayout layout;
  int64_t first = type.getNumSequenceAxes(), stride = 1;
  for (int64_t axis = type.getRank() - 1; axis >= first; --axis) {
    layout.names.insert(layout.names.begin(), type.getNames()[axis].getValue());
    layout.sizes.insert(layout.sizes.begin(), type.getShape()[axis]);
    layout.strides.insert(layout.strides.begin(), stride);
    stride *= type.getShape()[axis];
  }
  return layout;
}

int64_t RowLayout::find(StringRef name) const {
  auto *it = llvm::find(names, name);
  return it == names.end() ? -1 : it - names.begin();
}

bool RowLayout::isContiguous() const {
  int64_t stride = 1;
  for (int64_t axis = rank() - 1; axis >= 0; --axis) {
    if (sizes[axis] != 1 && strides[axis] != stride)
      return false;
    stride *= sizes[axis];
  }
  return true;
}

int64_t RowLayout::numElements() const {
  int64_t product = 1;
  for (int64_t size : sizes)
    product *= size;
  return product;
}

RowIndex RowIndex::scalarAt(Value at) const {
  RowIndex scalar = *this;
  for (auto &[axis, value] : scalar.axes)
    if (axis == vectorAxis)
      value = at;
  scalar.vectorAxis = {};
  scalar.mask = {};
  return scalar;
}

Value RowIndex::find(StringRef name) const {
  for (const auto &[axis, value] : axes)
    if (axis == name)
      return value;
  return {};
}

RowMemory RowMemory::sliced(SliceOp slice) const {
  RowMemory memory = *this;
  auto type = slice.getResult().getType();
  int64_t axis = layout.find(slice.getAxis()),
          place = axis + type.getNumSequenceAxes();
  memory.offset += slice.getBegin() * layout.strides[axis];
  memory.layout.names[axis] = type.getNames()[place].getValue();
  memory.layout.sizes[axis] = type.getShape()[place];
  return memory;
}

std::optional<RowMemory> RowMemory::viewed(ViewOp view) const {
  RowMemory memory = *this;
  memory.layout = RowLayout::contiguous(view.getResult().getType());
  if (layout.isContiguous())
    return memory;
  // The same sizes under other names keep their strides.
  if (layout.sizes != memory.layout.sizes)
    return std::nullopt;
  memory.layout.strides = layout.strides;
  return memory;
}

bool clade::mustBeInMemory(Operation *op,
                           llvm::function_ref<bool(Value)> isInMemory) {
  if (isa<ConstantOp, SpreadOp>(op))
    return false;
  if (auto cast = dyn_cast<CastOp>(op); cast && isInMemory(cast.getInput()))
    return false;
  if (!op->getResult(0).hasOneUse())
    return true;
  // A user with more axes would compute it for each of their indices.
  Operation *user = *op->getResult(0).getUsers().begin();
  if (!isa<UnaryOp, BinaryOp, CastOp, SpreadOp, RepeatOp, WhereOp>(user))
    return false;
  auto own = cast<NamedTensorType>(op->getResult(0).getType()),
       wide = cast<NamedTensorType>(user->getResult(0).getType());
  return own.getNumFeatures() < wide.getNumFeatures();
}
