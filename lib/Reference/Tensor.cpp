//===- Tensor.cpp - Values of the reference interpreter -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Reference/Tensor.h"

#include "runtime/Formats/DType.h"

#include <bit>
#include <cmath>

using namespace mlir;
using namespace clade;
using namespace clade::reference;

/// More than any weight that is worth interpreting; 16 GiB as f32.
static constexpr int64_t maxElements = int64_t(1) << 32;

FailureOr<Element> reference::elementOf(Operation *op, Type type) {
  if (type.isF32())
    return Element::F32;
  if (type.isBF16())
    return Element::BF16;
  if (type.isF16())
    return Element::F16;
  if (type.isInteger(32))
    return Element::I32;
  if (type.isInteger(1))
    return Element::I1;
  return op->emitError()
         << "expected element type f32, bf16, f16, i32 or i1, got " << type;
}

/// One of the two f32 around `value`: itself if it is one, else that whose last
/// bit is set. Rounding it to a narrower type gives what rounding `value`
/// gives.
static float roundToOdd(double value) {
  float nearest = static_cast<float>(value);
  if (!std::isfinite(nearest) || static_cast<double>(nearest) == value)
    return nearest;
  if (std::bit_cast<uint32_t>(nearest) & 1)
    return nearest;
  float infinity = std::numeric_limits<float>::infinity();
  return std::nextafter(nearest, nearest < value ? infinity : -infinity);
}

float reference::roundTo(Element element, double value) {
  switch (element) {
  case Element::F32:
    return static_cast<float>(value);
  case Element::BF16:
    return rt::bf16ToF32(rt::f32ToBF16(roundToOdd(value)));
  case Element::F16:
    return rt::f16ToF32(rt::f32ToF16(roundToOdd(value)));
  case Element::I32:
    return static_cast<float>(std::trunc(value));
  case Element::I1:
    return value != 0;
  }
  llvm_unreachable("all element types are listed");
}

/// The size of axis `axis` of `type` in this step, or a diagnostic.
static FailureOr<int64_t> sizeOf(Operation *op, NamedTensorType type,
                                 int64_t axis, const Batch &batch) {
  int64_t size = type.getShape()[axis];
  StringRef name = type.getNames()[axis].getValue();
  int64_t inBatch = size;
  if (name == tokenAxis)
    inBatch = batch.numTokens();
  if (name == selectedAxis)
    inBatch = batch.selected.size();
  if (ShapedType::isDynamic(inBatch))
    return op->emitError() << "expected a size for axis '" << name << "', got "
                           << type;
  if (!ShapedType::isDynamic(size) && size != inBatch)
    return op->emitError() << "expected axis '" << name << "' of size " << size
                           << ", got a step of " << inBatch;
  return inBatch;
}

FailureOr<Tensor> reference::makeTensor(Operation *op, NamedTensorType type,
                                        const Batch &batch) {
  FailureOr<Element> element = elementOf(op, type.getElementType());
  if (failed(element))
    return failure();
  Tensor result{type, *element, {}, nullptr};
  int64_t count = 1;
  for (int64_t axis = 0; axis < type.getRank(); ++axis) {
    FailureOr<int64_t> size = sizeOf(op, type, axis, batch);
    if (failed(size))
      return failure();
    result.shape.push_back(*size);
    if (*size > maxElements || llvm::MulOverflow(count, *size, count) ||
        count > maxElements)
      return op->emitError()
             << "expected at most " << maxElements << " elements, got " << type;
  }
  result.elements = std::make_shared<std::vector<float>>(count);
  return result;
}

SmallVector<int64_t> reference::stridesAlong(const Tensor &operand,
                                             const Tensor &result) {
  SmallVector<int64_t> strides(result.shape.size(), 0);
  int64_t stride = 1;
  for (int64_t axis = operand.shape.size() - 1; axis >= 0; --axis) {
    int64_t place = result.type.find(operand.type.getNames()[axis].getValue());
    if (place >= 0)
      strides[place] = stride;
    stride *= operand.shape[axis];
  }
  return strides;
}

void reference::forEachElement(
    ArrayRef<int64_t> shape, ArrayRef<SmallVector<int64_t>> strides,
    function_ref<void(int64_t, ArrayRef<int64_t>)> visit) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  SmallVector<int64_t> index(shape.size(), 0), offsets(strides.size(), 0);
  for (int64_t place = 0; place < count; ++place) {
    visit(place, offsets);
    // The next index, as an odometer counts.
    for (int64_t axis = shape.size() - 1; axis >= 0; --axis) {
      bool carries = ++index[axis] == shape[axis];
      for (auto [offset, stride] : llvm::zip_equal(offsets, strides))
        offset += carries ? -stride[axis] * (shape[axis] - 1) : stride[axis];
      if (!carries)
        break;
      index[axis] = 0;
    }
  }
}

double reference::dot(const double *a, const double *b, int64_t size) {
  // Eight sums that do not wait for each other.
  constexpr int64_t width = 8;
  double sums[width] = {};
  int64_t i = 0;
  for (; i + width <= size; i += width)
    for (int64_t lane = 0; lane < width; ++lane)
      sums[lane] += a[i + lane] * b[i + lane];
  double total = 0;
  for (; i < size; ++i)
    total += a[i] * b[i];
  for (double sum : sums)
    total += sum;
  return total;
}
