//===- Elementwise.cpp - Functions of one element -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Functions are computed in f64 and rounded to f32, then to the element type;
// sums, products and quotients are those of f32.
//
//===----------------------------------------------------------------------===//

#include "lib/Reference/Rules.h"

#include <cmath>
#include <numbers>

using namespace mlir;
using namespace clade;
using namespace clade::reference;

static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// x·Φ(x), Φ(x) = (1 + erf(x/√2)) / 2.
static double gelu(double x) {
  return x * 0.5 * (1 + std::erf(x / std::numbers::sqrt2));
}

static double geluTanh(double x) {
  double inner = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  return x / 2 * (1 + std::tanh(inner));
}

static double apply(UnaryKind kind, double x) {
  switch (kind) {
  case UnaryKind::Neg:
    return -x;
  case UnaryKind::Abs:
    return std::abs(x);
  case UnaryKind::Exp:
    return std::exp(x);
  case UnaryKind::Log:
    return std::log(x);
  case UnaryKind::Sqrt:
    return std::sqrt(x);
  case UnaryKind::Rsqrt:
    return 1 / std::sqrt(x);
  case UnaryKind::Tanh:
    return std::tanh(x);
  case UnaryKind::Sigmoid:
    return sigmoid(x);
  case UnaryKind::Softplus:
    // log(1 + eˣ) without overflow: max(x, 0) + log(1 + e^−|x|).
    return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
  case UnaryKind::Relu:
    return x < 0 ? 0 : x;
  case UnaryKind::Relu2:
    return x < 0 ? 0 : x * x;
  case UnaryKind::Floor:
    return std::floor(x);
  case UnaryKind::Silu:
    return x * sigmoid(x);
  case UnaryKind::Gelu:
    return gelu(x);
  case UnaryKind::GeluTanh:
    return geluTanh(x);
  case UnaryKind::QuickGelu:
    return x * sigmoid(1.702 * x);
  }
  llvm_unreachable("all unary kinds are listed");
}

static float apply(BinaryKind kind, float a, float b) {
  switch (kind) {
  case BinaryKind::Add:
    return a + b;
  case BinaryKind::Sub:
    return a - b;
  case BinaryKind::Mul:
    return a * b;
  case BinaryKind::Div:
    return a / b;
  case BinaryKind::Pow:
    return static_cast<float>(
        std::pow(static_cast<double>(a), static_cast<double>(b)));
  case BinaryKind::Min:
    return std::isnan(a) || a < b ? a : b;
  case BinaryKind::Max:
    return std::isnan(a) || a > b ? a : b;
  }
  llvm_unreachable("all binary kinds are listed");
}

FailureOr<Tensor> reference::evaluate(UnaryOp op, const Tensor &input,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  for (auto [y, x] : llvm::zip_equal(result->data(), input.data()))
    y = roundTo(result->element, static_cast<float>(apply(op.getKind(), x)));
  return result;
}

FailureOr<Tensor> reference::evaluate(BinaryOp op, const Tensor &lhs,
                                      const Tensor &rhs, const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  ArrayRef<float> a = lhs.data(), b = rhs.data();
  MutableArrayRef<float> y = result->data();
  forEachElement(
      result->shape, {stridesAlong(lhs, *result), stridesAlong(rhs, *result)},
      [&](int64_t place, ArrayRef<int64_t> offsets) {
        float value = apply(op.getKind(), a[offsets[0]], b[offsets[1]]);
        y[place] = roundTo(result->element, value);
      });
  return result;
}

FailureOr<Tensor> reference::evaluate(CastOp op, const Tensor &input,
                                      const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  for (auto [y, x] : llvm::zip_equal(result->data(), input.data()))
    y = roundTo(result->element, x);
  return result;
}

FailureOr<Tensor> reference::evaluate(ConstantOp op, const Batch &batch) {
  FailureOr<Tensor> result = makeTensor(op, op.getResult().getType(), batch);
  if (failed(result))
    return failure();
  result->data()[0] = roundTo(result->element, op.getValue().convertToDouble());
  return result;
}
