//===- Power.cpp - Powers of floating-point numbers -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/Power.h"

#include "lib/CodeGen/CPU/RowEmitter.h"
#include "lib/CodeGen/CUDA/BlockHelpers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>
#include <numbers>

using namespace mlir;

namespace clade::cuda {

namespace {
/// Arithmetic of f64 and i64.
class PowerEmitter {
public:
  PowerEmitter(OpBuilder &b, Location loc) : b(b), loc(loc) {}

  /// x = 2^e·m with m in [√½, √2): log2(x) = e + log2(m), and with
  /// s = (m − 1)/(m + 1), |s| < 0.172, log(m) = 2·(s + s³/3 + s⁵/5 + …).
  Value log2(Value x) {
    Value bits = make<arith::BitcastOp>(b.getI64Type(), x);
    Value exponent =
        sub(make<arith::ShRUIOp>(bits, integer(52)), integer(1023));
    Value fraction = make<arith::AndIOp>(bits, integer((int64_t(1) << 52) - 1));
    Value m = make<arith::BitcastOp>(
        b.getF64Type(),
        make<arith::OrIOp>(fraction, integer(int64_t(1023) << 52)));
    Value isLarge = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, m,
                                          number(std::numbers::sqrt2));
    m = select(isLarge, mul(m, number(0.5)), m);
    Value e = make<arith::SIToFPOp>(b.getF64Type(), exponent);
    e = select(isLarge, add(e, number(1)), e);
    Value s = make<arith::DivFOp>(add(m, number(-1)), add(m, number(1)));
    Value square = mul(s, s);
    // What is left out is below s²⁴/25 of one, 2^-65.
    Value sum = number(1.0 / 23);
    for (int i = 21; i > 0; i -= 2)
      sum = fma(sum, square, number(1.0 / i));
    return fma(mul(s, sum), number(2 * std::numbers::log2e), e);
  }

  /// 2^x for |x| < 1022: x = n + f with |f| ≤ ½, and Taylor's series of
  /// e^(f·log 2).
  Value exp2(Value x) {
    Value whole = math::RoundEvenOp::create(b, loc, x);
    Value z = mul(make<arith::SubFOp>(x, whole), number(std::numbers::ln2));
    // What is left out is below 0.35¹⁴/14!, 2^-57.
    double factor = 1;
    SmallVector<double> coefficients{1};
    for (int i = 1; i <= 13; ++i)
      coefficients.push_back(factor /= i);
    Value sum = number(coefficients.back());
    for (double coefficient : llvm::reverse(ArrayRef(coefficients).drop_back()))
      sum = fma(sum, z, number(coefficient));
    Value exponent = make<arith::FPToSIOp>(b.getI64Type(), whole);
    Value bits = make<arith::ShLIOp>(
        make<arith::AddIOp>(exponent, integer(1023)), integer(52));
    return mul(sum, make<arith::BitcastOp>(b.getF64Type(), bits));
  }

  Value power(Value x, Value y) {
    // Far outside of f32 it is no matter how far.
    Value exponent = mul(y, log2(x));
    for (auto [how, limit] : {std::pair(arith::CmpFPredicate::OLT, 1000.0),
                              {arith::CmpFPredicate::OGT, -1000.0}}) {
      Value isInside =
          arith::CmpFOp::create(b, loc, how, exponent, number(limit));
      exponent = select(isInside, exponent, number(limit));
    }
    return exp2(exponent);
  }

private:
  template <typename Op, typename... Args> Value make(Args... args) {
    return Op::create(b, loc, args...);
  }
  Value number(double value) {
    return arith::ConstantOp::create(b, loc, b.getF64FloatAttr(value));
  }
  Value integer(int64_t value) {
    return arith::ConstantIntOp::create(b, loc, b.getI64Type(), value);
  }
  Value add(Value x, Value y) { return make<arith::AddFOp>(x, y); }
  Value mul(Value x, Value y) { return make<arith::MulFOp>(x, y); }
  Value sub(Value x, Value y) { return make<arith::SubIOp>(x, y); }
  Value fma(Value x, Value y, Value z) { return make<math::FmaOp>(x, y, z); }
  Value select(Value condition, Value x, Value y) {
    return make<arith::SelectOp>(condition, x, y);
  }

  OpBuilder &b;
  Location loc;
};
} // namespace

Value emitPower(OpBuilder &builder, Location loc, Value x, Value y) {
  return PowerEmitter(builder, loc).power(x, y);
}

/// C's pow of two f32.
static Value emitFullPower(OpBuilder &b, Location loc, Value x, Value y) {
  Type f64 = b.getF64Type();
  auto number = [&](double value) { return emitFloat(b, loc, value); };
  auto select = [&](Value condition, Value one, Value other) -> Value {
    return arith::SelectOp::create(b, loc, condition, one, other);
  };
  auto is = [&](arith::CmpFPredicate how, Value one, Value other) -> Value {
    return arith::CmpFOp::create(b, loc, how, one, other);
  };
  constexpr auto equal = arith::CmpFPredicate::OEQ;
  constexpr double infinity = INFINITY;
  Value zero = number(0), one = number(1),
        size = math::AbsFOp::create(b, loc, x);
  Value isUp = is(arith::CmpFPredicate::OGT, y, zero);
  Value result = arith::TruncFOp::create(
      b, loc, b.getF32Type(),
      emitPower(b, loc, arith::ExtFOp::create(b, loc, f64, size),
                arith::ExtFOp::create(b, loc, f64, y)));
  result = select(is(equal, size, zero), select(isUp, zero, number(infinity)),
                  result);
  result = select(is(equal, size, number(infinity)),
                  select(isUp, number(infinity), zero), result);
  // Of a finite number below zero there are only powers with whole exponents.
  Value half = arith::MulFOp::create(b, loc, y, number(0.5));
  Value isWhole = is(equal, math::FloorOp::create(b, loc, y), y),
        isUneven = is(arith::CmpFPredicate::UNE,
                      math::FloorOp::create(b, loc, half), half),
        isNegative = is(arith::CmpFPredicate::OLT, x, zero);
  auto both = [&](Value one, Value other) -> Value {
    return arith::AndIOp::create(b, loc, one, other);
  };
  Value isNone = is(arith::CmpFPredicate::OLT, size, number(infinity));
  isNone =
      both(both(isNegative, isNone),
           is(arith::CmpFPredicate::UNE, math::FloorOp::create(b, loc, y), y));
  result = select(both(isNegative, both(isWhole, isUneven)),
                  arith::NegFOp::create(b, loc, result), result);
  result = select(isNone, number(NAN), result);
  Value isNumber = is(arith::CmpFPredicate::ORD, x, y);
  result = select(isNumber, result, number(NAN));
  Value isOne =
      arith::OrIOp::create(b, loc, is(equal, y, zero), is(equal, x, one));
  return select(isOne, one, result);
}

Value emitBinary(OpBuilder &builder, Location loc, BinaryKind kind, Value a,
                 Value b) {
  if (kind == BinaryKind::Pow)
    return emitFullPower(builder, loc, a, b);
  return cpu::RowEmitter::applyBinary(builder, loc, kind, a, b);
}

} // namespace clade::cuda
