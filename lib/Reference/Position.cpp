//===- Position.cpp - Positions and rotary embedding ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rotary position embedding (RoFormer, arXiv:2104.09864) in the rounding order
// of the published implementations: frequencies and angles are f32.
//
//===----------------------------------------------------------------------===//

#include "lib/Reference/Rules.h"

#include <cmath>

using namespace mlir;
using namespace clade;
using namespace clade::reference;

FailureOr<Tensor> reference::evaluate(PositionsOp op, const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  if (result->shape.size() == 1)
    llvm::copy(batch.positions, result->data().begin());
  else if (batch.mediaPositions.size() == static_cast<size_t>(result->size()))
    llvm::copy(batch.mediaPositions, result->data().begin());
  else
    return op.emitError() << "expected " << result->size()
                          << " positions of time, row and column, got "
                          << batch.mediaPositions.size();
  return result;
}

/// b^(−2j/D) with b = theta · (f·M/original − (f − 1))^(D/(D−2)): dynamic NTK
/// scaling. The base is computed in f64, the powers in f32.
static SmallVector<float> dynamicFrequencies(RotaryTableOp op, int64_t length) {
  int64_t count = op.getFrequencies().size();
  double size = 2 * count;
  double factor = op.getDynamicFactor()->convertToDouble();
  double original = *op.getOriginalLength();
  double longest = std::max<double>(length, original);
  double growth = factor * longest / original - (factor - 1);
  double base =
      op.getTheta()->convertToDouble() * std::pow(growth, size / (size - 2));
  SmallVector<float> frequencies;
  for (int64_t j = 0; j < count; ++j) {
    float exponent = static_cast<float>(2 * j) / static_cast<float>(size);
    float power =
        static_cast<float>(std::pow(static_cast<float>(base), exponent));
    frequencies.push_back(1.0f / power);
  }
  return frequencies;
}

/// The frequencies for a sequence that is scaled for `length` tokens.
static SmallVector<float> frequenciesFor(RotaryTableOp op, int64_t length) {
  if (op.getDynamicFactor())
    return dynamicFrequencies(op, length);
  if (op.getLongFrequencies() &&
      length > static_cast<int64_t>(*op.getOriginalLength()))
    return SmallVector<float>(*op.getLongFrequencies());
  return SmallVector<float>(op.getFrequencies());
}

FailureOr<std::pair<Tensor, Tensor>>
reference::evaluate(RotaryTableOp op, const Tensor &positions,
                    const Batch &batch) {
  FailureOr<Tensor> cos = makeTensor(op, op.getCos().getType(), batch);
  FailureOr<Tensor> sin = makeTensor(op, op.getSin().getType(), batch);
  if (failed(cos) || failed(sin))
    return failure();
  SmallVector<SmallVector<float>> frequencies;
  for (int64_t length : batch.scaledLengths)
    frequencies.push_back(frequenciesFor(op, length));
  float scale = static_cast<float>(op.getScale().convertToDouble());
  int64_t count = op.getFrequencies().size(),
          numAxes = op.getAxes() ? positions.shape[1] : 1;
  for (int64_t token = 0; token < batch.numTokens(); ++token) {
    for (int64_t j = 0; j < count; ++j) {
      float frequency = frequencies[batch.sequenceOf[token]][j];
      int64_t axis = op.getAxes() ? (*op.getAxes())[j] : 0;
      float angle = positions.data()[token * numAxes + axis] * frequency;
      auto value = [&](double (*function)(double)) {
        float rounded = static_cast<float>(function(angle));
        return roundTo(cos->element, rounded * scale);
      };
      cos->data()[token * count + j] = value(std::cos);
      sin->data()[token * count + j] = value(std::sin);
    }
  }
  return std::make_pair(std::move(*cos), std::move(*sin));
}

/// The type in which the products of x and cos are rounded: that of both if
/// they agree, else f32, as mixed operands promote.
static Element productElement(const Tensor &input, const Tensor &cos) {
  return input.element == cos.element ? input.element : Element::F32;
}

FailureOr<Tensor> reference::evaluate(RopeOp op, const Tensor &input,
                                      const Tensor &cos, const Tensor &sin,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  Element inner = productElement(input, cos);
  bool halves = op.getPairs() == RotaryPairs::Halves;
  int64_t count = cos.shape[1], last = input.shape.back();
  int64_t vectors = last == 0 ? 0 : input.rowSize() / last;
  ArrayRef<float> x = input.data();
  MutableArrayRef<float> y = result->data();
  llvm::copy(x, y.begin());
  for (int64_t token = 0; token < input.numRows(); ++token) {
    for (int64_t vector = 0; vector < vectors; ++vector) {
      int64_t first = (token * vectors + vector) * last;
      for (int64_t j = 0; j < count; ++j) {
        int64_t u = first + (halves ? j : 2 * j);
        int64_t v = first + (halves ? j + count : 2 * j + 1);
        float c = cos.data()[token * count + j];
        float s = sin.data()[token * count + j];
        auto product = [&](float a, float b) { return roundTo(inner, a * b); };
        float real = roundTo(inner, product(x[u], c) - product(x[v], s));
        float imaginary = roundTo(inner, product(x[v], c) + product(x[u], s));
        y[u] = roundTo(result->element, real);
        y[v] = roundTo(result->element, imaginary);
      }
    }
  }
  return result;
}
