//===- Half.cpp - Arithmetic of f16, bf16 and pairs of them ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every result is rounded once. Sums and products of two f16 are exact enough
// in f32 that rounding twice cannot differ (24 >= 2 * 11 + 2 bits); the others
// are computed in f64, a fused multiply-add with its last bit made odd where
// the f64 is not exact.
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/Formats.h"
#include "lib/PTX/Instructions/Lanes.h"

#include <algorithm>
#include <cmath>

using namespace clade::ptx;

namespace {

constexpr uint8_t flagFtz = 1;
constexpr uint8_t flagSat = 2;
constexpr uint8_t flagNaN = 4;
constexpr uint8_t flagXorSign = 8;
constexpr uint8_t flagRelu = 16;

/// a * b + c, which rounds to 16 bits as the exact value does.
double fusedOdd(double a, double b, double c) {
  double product = a * b;
  double total = product + c;
  if (!std::isfinite(total))
    return total;
  // The error of the sum (Knuth's two-sum).
  double part = total - product;
  double error = (product - (total - part)) + (c - part);
  uint64_t bits = std::bit_cast<uint64_t>(total);
  if (error != 0 && !(bits & 1))
    bits += (error > 0) == (total > 0) ? 1 : -1;
  return std::bit_cast<double>(bits);
}

template <bool isBFloat> float widen(uint16_t bits, bool ftz) {
  if constexpr (isBFloat)
    return bfloatToFloat(bits);
  else
    return halfToFloat(ftz ? flushHalf(bits) : bits);
}

struct Sum {
  static double of(double a, double b, double) { return a + b; }
};
struct Difference {
  static double of(double a, double b, double) { return a - b; }
};
struct Product {
  static double of(double a, double b, double) { return a * b; }
};
struct Fused {
  static double of(double a, double b, double c) { return fusedOdd(a, b, c); }
};
struct Exp2 {
  static double of(double a, double, double) { return std::exp2(a); }
};
struct Tanh {
  static double of(double a, double, double) { return std::tanh(a); }
};

template <bool isBFloat> uint16_t narrow(double value, uint8_t flags) {
  if ((flags & flagRelu) && value < 0)
    value = 0;
  if (flags & flagSat)
    value = value > 0 ? std::min(value, 1.0) : 0.0;
  uint16_t bits = isBFloat ? toBFloat(value) : toHalf(value);
  return !isBFloat && (flags & flagFtz) ? flushHalf(bits) : bits;
}

template <typename What, bool isBFloat>
uint16_t compute(uint16_t a, uint16_t b, uint16_t c, uint8_t flags) {
  bool ftz = flags & flagFtz;
  double value = What::of(widen<isBFloat>(a, ftz), widen<isBFloat>(b, ftz),
                          widen<isBFloat>(c, ftz));
  return narrow<isBFloat>(value, flags);
}

/// Elements of 16 bits, one or two in a register; missing operands are zero.
template <typename What, unsigned n, bool isBFloat, unsigned pack>
void halfOp(Warp &warp, const Op &op, LaneMask exec) {
  using Row = std::conditional_t<pack == 2, uint32_t, uint16_t>;
  uint16_t in[3][warpSize * pack] = {};
  for (unsigned k = 0; k < n; ++k)
    std::memcpy(in[k], warp.row<Row>(op.list[1 + k]), sizeof in[k]);
  uint16_t out[warpSize * pack];
  for (unsigned i = 0; i < warpSize * pack; ++i)
    out[i] = compute<What, isBFloat>(in[0][i], in[1][i], in[2][i], op.flags);
  Row packed[warpSize];
  std::memcpy(packed, out, sizeof packed);
  warp.write(op.list[0], packed, exec);
}

/// The same in f32 throughout, for f16 without modifiers.
template <typename What, unsigned pack>
void halfOpFast(Warp &warp, const Op &op, LaneMask exec) {
  using Row = std::conditional_t<pack == 2, uint32_t, uint16_t>;
  uint16_t in[2][warpSize * pack];
  for (unsigned k = 0; k < 2; ++k)
    std::memcpy(in[k], warp.row<Row>(op.list[1 + k]), sizeof in[k]);
  uint16_t out[warpSize * pack];
  for (unsigned i = 0; i < warpSize * pack; ++i)
    out[i] = floatToHalf(
        float(What::of(halfToFloat(in[0][i]), halfToFloat(in[1][i]), 0)));
  Row packed[warpSize];
  std::memcpy(packed, out, sizeof packed);
  warp.write(op.list[0], packed, exec);
}

bool isHalf(Type type) {
  return type == Type::F16 || type == Type::F16x2 || type == Type::BF16 ||
         type == Type::BF16x2;
}
bool isPair(Type type) { return type == Type::F16x2 || type == Type::BF16x2; }
bool isBFloatType(Type type) {
  return type == Type::BF16 || type == Type::BF16x2;
}

template <typename What, unsigned n> Handler halfHandler(Type type) {
  if (isBFloatType(type))
    return isPair(type) ? halfOp<What, n, true, 2> : halfOp<What, n, true, 1>;
  return isPair(type) ? halfOp<What, n, false, 2> : halfOp<What, n, false, 1>;
}

/// fma.rn.f32.f16 d, a, b, c: a and b are of 16 bits, all else is f32.
template <bool isBFloat> void mixedOp(Warp &warp, const Op &op, LaneMask exec) {
  const uint16_t *a = warp.row<uint16_t>(op.list[1]),
                 *b = warp.row<uint16_t>(op.list[2]);
  const float *c = warp.row<float>(op.list[3]);
  float out[warpSize];
  for (unsigned i = 0; i < warpSize; ++i) {
    float value = std::fma(widen<isBFloat>(a[i], /*ftz=*/false),
                           widen<isBFloat>(b[i], /*ftz=*/false), c[i]);
    if (op.flags & flagSat)
      value = value > 0 ? std::min(value, 1.0f) : 0.0f;
    out[i] = std::isnan(value) ? std::bit_cast<float>(0x7fffffffu) : value;
  }
  warp.write(op.list[0], out, exec);
}

void decodeMixed(Decoder &d) {
  Type type = lastType(d);
  const auto &modifiers = d.source.modifiers;
  if ((type != Type::F16 && type != Type::BF16) || modifiers.size() < 2 ||
      modifiers[modifiers.size() - 2] != "f32")
    return d.pass();
  if (!d.take("rn"))
    return d.fail("only .rn is for .f32 with ." + std::string(nameOf(type)));
  d.op.flags |= d.take("sat") ? flagSat : 0;
  d.advance();
  d.advance();
  d.finishModifiers();
  if (!d.expectOperands(4))
    return;
  d.result(0, Type::F32);
  d.value(1, type);
  d.value(2, type);
  d.value(3, Type::F32);
  d.use(isBFloatType(type) ? mixedOp<true> : mixedOp<false>, Class::Float32);
}

template <typename What, unsigned n> void decodeHalf(Decoder &d) {
  Type type = lastType(d);
  if (!isHalf(type))
    return d.pass();
  if (d.take("rz") || d.take("rm") || d.take("rp"))
    return d.fail("only .rn is for ." + std::string(nameOf(type)));
  d.take("rn");
  d.op.flags |= d.take("ftz") ? flagFtz : 0;
  d.op.flags |= d.take("sat") ? flagSat : 0;
  d.op.flags |= d.take("relu") ? flagRelu : 0;
  d.advance();
  Handler handler = halfHandler<What, n>(type);
  if constexpr (n == 2)
    if (!d.op.flags && !isBFloatType(type))
      handler = isPair(type) ? halfOpFast<What, 2> : halfOpFast<What, 1>;
  sameTypes(d, type, n, handler, Class::Float16);
}

template <typename What> void decodeHalfFunction(Decoder &d) {
  Type type = lastType(d);
  if (!isHalf(type))
    return d.pass();
  if (!d.take("approx"))
    return d.fail("expected .approx");
  // ex2.approx.ftz is of bf16, whose exponents are those of f32.
  d.take("ftz");
  d.advance();
  sameTypes(d, type, 1, halfHandler<What, 1>(type), Class::SpecialFunction);
}

//===----------------------------------------------------------------------===//
// neg, abs, min, max
//===----------------------------------------------------------------------===//

template <typename Row, bool isNeg> Row changeSigns(const Op &op, Row a) {
  if (op.flags & flagFtz) {
    Row flushed = flushHalf(uint16_t(a));
    if constexpr (sizeof(Row) == 4)
      flushed |= Row(flushHalf(uint16_t(a >> 16))) << 16;
    a = flushed;
  }
  constexpr Row signs = Row(0x80008000u);
  return Row(isNeg ? a ^ signs : a & ~signs);
}

template <bool isNeg> void decodeSign(Decoder &d) {
  Type type = lastType(d);
  if (!isHalf(type))
    return d.pass();
  d.op.flags |= d.take("ftz") ? flagFtz : 0;
  d.advance();
  sameTypes(d, type, 1,
            isPair(type)
                ? lanesOf<changeSigns<uint32_t, isNeg>, uint32_t, uint32_t>
                : lanesOf<changeSigns<uint16_t, isNeg>, uint16_t, uint16_t>,
            Class::Float16);
}

template <bool isMax, bool isBFloat>
uint16_t extremeOf(uint16_t a, uint16_t b, uint8_t flags) {
  if (!isBFloat && (flags & flagFtz)) {
    a = flushHalf(a);
    b = flushHalf(b);
  }
  uint16_t sign = (a ^ b) & 0x8000;
  if (flags & flagXorSign) {
    a &= 0x7fff;
    b &= 0x7fff;
  }
  float x = widen<isBFloat>(a, false), y = widen<isBFloat>(b, false);
  if (std::isnan(x) || std::isnan(y)) {
    if ((std::isnan(x) && std::isnan(y)) || (flags & flagNaN))
      return 0x7fff;
    a = b = std::isnan(x) ? b : a;
    x = y = widen<isBFloat>(a, false);
  }
  bool first = isMax ? x > y || (x == y && !std::signbit(x))
                     : x < y || (x == y && std::signbit(x));
  uint16_t value = first ? a : b;
  return flags & flagXorSign ? uint16_t((value & 0x7fff) | sign) : value;
}

template <bool isMax, bool isBFloat>
uint16_t extremeOne(const Op &op, uint16_t a, uint16_t b) {
  return extremeOf<isMax, isBFloat>(a, b, op.flags);
}
template <bool isMax, bool isBFloat>
uint32_t extremePair(const Op &op, uint32_t a, uint32_t b) {
  return extremeOf<isMax, isBFloat>(uint16_t(a), uint16_t(b), op.flags) |
         uint32_t(extremeOf<isMax, isBFloat>(uint16_t(a >> 16),
                                             uint16_t(b >> 16), op.flags))
             << 16;
}

template <bool isMax, bool isBFloat> Handler extremeHandler(Type type) {
  if (isPair(type))
    return lanesOf<extremePair<isMax, isBFloat>, uint32_t, uint32_t, uint32_t>;
  return lanesOf<extremeOne<isMax, isBFloat>, uint16_t, uint16_t, uint16_t>;
}

template <bool isMax> void decodeExtreme(Decoder &d) {
  Type type = lastType(d);
  if (!isHalf(type))
    return d.pass();
  d.op.flags |= d.take("ftz") ? flagFtz : 0;
  d.op.flags |= d.take("NaN") ? flagNaN : 0;
  if (d.take("xorsign")) {
    if (!d.take("abs"))
      return d.fail("expected .abs after .xorsign");
    d.op.flags |= flagXorSign;
  }
  d.advance();
  sameTypes(d, type, 2,
            isBFloatType(type) ? extremeHandler<isMax, true>(type)
                               : extremeHandler<isMax, false>(type),
            Class::Float16);
}

} // namespace

void clade::ptx::addHalf(Registry &r) {
  r.add("add", decodeHalf<Sum, 2>);
  r.add("sub", decodeHalf<Difference, 2>);
  r.add("mul", decodeHalf<Product, 2>);
  r.add("fma", decodeMixed);
  r.add("fma", decodeHalf<Fused, 3>);
  r.add("ex2", decodeHalfFunction<Exp2>);
  r.add("tanh", decodeHalfFunction<Tanh>);
  r.add("neg", decodeSign<true>);
  r.add("abs", decodeSign<false>);
  r.add("min", decodeExtreme<false>);
  r.add("max", decodeExtreme<true>);
}
