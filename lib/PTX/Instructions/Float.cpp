//===- Float.cpp - Arithmetic of f32, f64 and f32x2 -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Results are rounded once, in the direction of the instruction. NaN results of
// f32 are 0x7fffffff as the ISA says; those of f64 are the host's. What the ISA
// lets be approximate is computed in double precision and rounded to nearest.
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/Formats.h"
#include "lib/PTX/Instructions/Lanes.h"

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <limits>

using namespace clade::ptx;

namespace {

constexpr uint8_t flagFtz = 1;
constexpr uint8_t flagSat = 2;
constexpr uint8_t flagNaN = 4;
constexpr uint8_t flagXorSign = 8;
constexpr uint8_t flagRelu = 16;

/// The rounding of a scope; nothing where it is to nearest.
class RoundingScope {
public:
  explicit RoundingScope(uint64_t rounding) : isChanged(rounding != 0) {
    if (!isChanged)
      return;
    constexpr int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD,
                             FE_UPWARD};
    std::fesetround(modes[rounding & 3]);
  }
  ~RoundingScope() {
    if (isChanged)
      std::fesetround(FE_TONEAREST);
  }
  RoundingScope(const RoundingScope &) = delete;
  RoundingScope &operator=(const RoundingScope &) = delete;

private:
  bool isChanged;
};

/// Keeps the compiler from moving work on `values` over this place.
template <typename T> void pin(T *values) {
  asm volatile("" : : "r"(values) : "memory");
}

/// What a result is after .ftz and .sat.
template <typename T> void finish(T *out, uint8_t flags) {
  if constexpr (sizeof(T) == 4) {
    if (flags & flagFtz)
      for (unsigned i = 0; i < warpSize; ++i)
        out[i] = flush(out[i]);
    const float canonical = std::bit_cast<float>(0x7fffffffu);
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = out[i] == out[i] ? out[i] : canonical;
  }
  if (flags & flagSat)
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = out[i] > T(0) ? (out[i] < T(1) ? out[i] : T(1)) : T(0);
  if (flags & flagRelu)
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = out[i] < T(0) ? T(0) : out[i];
}

/// An instruction of `n` operands: Op::extra is its rounding.
template <typename T, unsigned n, auto function>
void floatOp(Warp &warp, const Op &op, LaneMask exec) {
  alignas(64) T out[warpSize];
  alignas(64) T flushed[3][warpSize];
  const T *in[3];
  for (unsigned k = 0; k < n; ++k) {
    in[k] = warp.row<T>(op.list[1 + k]);
    if constexpr (sizeof(T) == 4)
      if (op.flags & flagFtz) {
        for (unsigned i = 0; i < warpSize; ++i)
          flushed[k][i] = flush(in[k][i]);
        in[k] = flushed[k];
      }
  }
  {
    RoundingScope scope(op.extra);
    pin(out);
    for (unsigned k = 0; k < n; ++k)
      pin(in[k]);
    for (unsigned i = 0; i < warpSize; ++i) {
      if constexpr (n == 1)
        out[i] = function(in[0][i]);
      else if constexpr (n == 2)
        out[i] = function(in[0][i], in[1][i]);
      else
        out[i] = function(in[0][i], in[1][i], in[2][i]);
    }
    pin(out);
  }
  finish(out, op.flags);
  warp.write(op.list[0], out, exec);
}

template <typename T> T sum(T a, T b) { return a + b; }
template <typename T> T difference(T a, T b) { return a - b; }
template <typename T> T product(T a, T b) { return a * b; }
template <typename T> T fused(T a, T b, T c) { return std::fma(a, b, c); }
template <typename T> T quotient(T a, T b) { return a / b; }
template <typename T> T reciprocal(T a) { return T(1) / a; }
template <typename T> T root(T a) { return std::sqrt(a); }

//===----------------------------------------------------------------------===//
// Packed pairs of f32
//===----------------------------------------------------------------------===//

template <unsigned n, auto function>
void pairOp(Warp &warp, const Op &op, LaneMask exec) {
  alignas(64) float out[2 * warpSize];
  alignas(64) float in[3][2 * warpSize];
  for (unsigned k = 0; k < n; ++k) {
    std::memcpy(in[k], warp.row<uint64_t>(op.list[1 + k]), sizeof in[k]);
    if (op.flags & flagFtz)
      for (float &value : in[k])
        value = flush(value);
  }
  {
    RoundingScope scope(op.extra);
    pin(out);
    pin(in);
    for (unsigned i = 0; i < 2 * warpSize; ++i) {
      if constexpr (n == 2)
        out[i] = function(in[0][i], in[1][i]);
      else
        out[i] = function(in[0][i], in[1][i], in[2][i]);
    }
    pin(out);
  }
  finish(out, op.flags);
  finish(out + warpSize, op.flags);
  uint64_t packed[warpSize];
  std::memcpy(packed, out, sizeof packed);
  warp.write(op.list[0], packed, exec);
}

//===----------------------------------------------------------------------===//
// add, sub, mul, fma, mad
//===----------------------------------------------------------------------===//

std::optional<unsigned> takeRounding(Decoder &d) {
  return d.takeOneOf({"rn", "rz", "rm", "rp"});
}

void takeFtzSat(Decoder &d, Type type) {
  d.op.flags |= d.take("ftz") ? flagFtz : 0;
  d.op.flags |= d.take("sat") ? flagSat : 0;
  if (d.op.flags && type == Type::F64)
    d.fail("'.ftz' and '.sat' are not for .f64");
}

bool isWideFloat(Type type) {
  return type == Type::F32 || type == Type::F64 || type == Type::F32x2;
}

template <unsigned n, auto single, auto wide> void decodeBasic(Decoder &d) {
  Type type = lastType(d);
  if (!isWideFloat(type))
    return d.pass();
  d.op.extra = takeRounding(d).value_or(0);
  takeFtzSat(d, type);
  d.advance();
  Handler handler = type == Type::F32   ? floatOp<float, n, single>
                    : type == Type::F64 ? floatOp<double, n, wide>
                                        : pairOp<n, single>;
  sameTypes(d, type, n, handler,
            type == Type::F64 ? Class::Float64 : Class::Float32);
}

//===----------------------------------------------------------------------===//
// div, rcp, sqrt, rsqrt
//===----------------------------------------------------------------------===//

/// div.approx: for divisors above 2^126 the quotient is 0, or NaN for an
/// infinite dividend, as the ISA says.
float approximateQuotient(float a, float b) {
  float magnitude = std::fabs(b);
  if (magnitude > 0x1p126f && !std::isinf(b) && !std::isnan(a))
    return std::isinf(a)
               ? std::numeric_limits<float>::quiet_NaN()
               : std::copysign(0.0f, std::signbit(a) != std::signbit(b) ? -1.0f
                                                                        : 1.0f);
  return a / b;
}

void decodeDiv(Decoder &d) {
  Type type = lastType(d);
  if (type != Type::F32 && type != Type::F64)
    return d.pass();
  bool isApprox = d.take("approx");
  bool isFull = !isApprox && d.take("full");
  std::optional<unsigned> rounding = takeRounding(d);
  if (!isApprox && !isFull && !rounding)
    return d.fail("expected a rounding (.rn, .rz, .rm, .rp), .approx or .full");
  d.op.extra = rounding.value_or(0);
  takeFtzSat(d, type);
  d.advance();
  if (type == Type::F64 && (isApprox || isFull))
    return d.fail("'.approx' and '.full' are for .f32 only");
  Handler handler = type == Type::F64 ? floatOp<double, 2, quotient<double>>
                    : isApprox        ? floatOp<float, 2, approximateQuotient>
                                      : floatOp<float, 2, quotient<float>>;
  sameTypes(d, type, 2, handler,
            type == Type::F64 ? Class::Float64 : Class::Float32);
}

/// The upper half of the result; the lower half is zero (rcp and rsqrt of f64).
double upperHalf(double value) {
  if (std::isnan(value))
    return value;
  return std::bit_cast<double>(std::bit_cast<uint64_t>(value) &
                               ~uint64_t(0xffffffff));
}
double flushWide(double value) {
  uint64_t bits = std::bit_cast<uint64_t>(value);
  return (bits << 1 >> 53) ? value
                           : std::bit_cast<double>(bits & uint64_t(1) << 63);
}
double approximateReciprocal(double a) {
  return flushWide(upperHalf(1.0 / flushWide(a)));
}
double approximateRsqrt(double a) {
  return upperHalf(1.0 / std::sqrt(flushWide(a)));
}

template <auto single, auto wide, auto approximateWide>
void decodeRoot(Decoder &d) {
  Type type = lastType(d);
  if (type != Type::F32 && type != Type::F64)
    return d.pass();
  bool isApprox = d.take("approx");
  std::optional<unsigned> rounding = takeRounding(d);
  if (isApprox == rounding.has_value())
    return d.fail("expected a rounding (.rn, .rz, .rm, .rp) or .approx");
  d.op.extra = rounding.value_or(0);
  bool ftz = d.take("ftz");
  d.op.flags = ftz && type == Type::F32 ? flagFtz : 0;
  d.advance();
  if (type == Type::F64 && isApprox && !ftz)
    return d.fail("expected '.approx.ftz.f64'");
  Handler handler = type == Type::F32 ? floatOp<float, 1, single>
                    : isApprox        ? floatOp<double, 1, approximateWide>
                                      : floatOp<double, 1, wide>;
  sameTypes(d, type, 1, handler,
            isApprox            ? Class::SpecialFunction
            : type == Type::F64 ? Class::Float64
                                : Class::Float32);
}

float rsqrtSingle(float a) { return float(1.0 / std::sqrt(double(a))); }
double rsqrtDouble(double a) { return 1.0 / std::sqrt(a); }

void decodeRsqrt(Decoder &d) {
  Type type = lastType(d);
  if (type != Type::F32 && type != Type::F64)
    return d.pass();
  if (!d.take("approx"))
    return d.fail("expected .approx");
  bool ftz = d.take("ftz");
  d.op.flags = ftz && type == Type::F32 ? flagFtz : 0;
  d.advance();
  Handler handler = type == Type::F32 ? floatOp<float, 1, rsqrtSingle>
                    : ftz             ? floatOp<double, 1, approximateRsqrt>
                                      : floatOp<double, 1, rsqrtDouble>;
  sameTypes(d, type, 1, handler, Class::SpecialFunction);
}

//===----------------------------------------------------------------------===//
// sin, cos, lg2, ex2, tanh
//===----------------------------------------------------------------------===//

float sine(float a) { return float(std::sin(double(a))); }
float cosine(float a) { return float(std::cos(double(a))); }
float log2Of(float a) { return float(std::log2(double(a))); }
float exp2Of(float a) { return float(std::exp2(double(a))); }
float tanhOf(float a) { return float(std::tanh(double(a))); }

template <auto function> void decodeFunction(Decoder &d) {
  if (lastType(d) != Type::F32)
    return d.pass();
  if (!d.take("approx"))
    return d.fail("expected .approx");
  d.op.flags = d.take("ftz") ? flagFtz : 0;
  d.advance();
  sameTypes(d, Type::F32, 1, floatOp<float, 1, function>,
            Class::SpecialFunction);
}

//===----------------------------------------------------------------------===//
// min, max, neg, abs, copysign, testp
//===----------------------------------------------------------------------===//

/// -0 is less than +0. A NaN gives way to a number unless .NaN is there.
template <typename T, bool isMax>
void extreme(Warp &warp, const Op &op, LaneMask exec) {
  const T *a = warp.row<T>(op.list[1]);
  const T *b = warp.row<T>(op.list[2]);
  const T *c = op.numSlots > 3 ? warp.row<T>(op.list[3]) : nullptr;
  T out[warpSize];
  const T canonical = sizeof(T) == 4
                          ? T(std::bit_cast<float>(0x7fffffffu))
                          : T(std::bit_cast<double>(uint64_t(0x7ff8) << 48));
  auto pick = [&](T x, T y) {
    bool sign = std::signbit(x) != std::signbit(y);
    if constexpr (sizeof(T) == 4)
      if (op.flags & flagFtz) {
        x = flush(x);
        y = flush(y);
      }
    if (op.flags & flagXorSign) {
      x = std::fabs(x);
      y = std::fabs(y);
    }
    if (std::isnan(x) || std::isnan(y)) {
      bool both = std::isnan(x) && std::isnan(y);
      if (both || (op.flags & flagNaN))
        return canonical;
      x = y = std::isnan(x) ? y : x;
    }
    bool first = isMax ? x > y || (x == y && !std::signbit(x))
                       : x < y || (x == y && std::signbit(x));
    T value = first ? x : y;
    return op.flags & flagXorSign ? std::copysign(value, sign ? T(-1) : T(1))
                                  : value;
  };
  for (unsigned i = 0; i < warpSize; ++i) {
    out[i] = pick(a[i], b[i]);
    if (c)
      out[i] = pick(out[i], c[i]);
  }
  warp.write(op.list[0], out, exec);
}

template <bool isMax> void decodeExtreme(Decoder &d) {
  Type type = lastType(d);
  if (type != Type::F32 && type != Type::F64)
    return d.pass();
  d.op.flags |= d.take("ftz") ? flagFtz : 0;
  d.op.flags |= d.take("NaN") ? flagNaN : 0;
  if (d.take("xorsign")) {
    if (!d.take("abs"))
      return d.fail("expected .abs after .xorsign");
    d.op.flags |= flagXorSign;
  } else if (d.take("abs")) {
    return d.fail("'.abs' without '.xorsign' is not known");
  }
  d.advance();
  if (type == Type::F64 && d.op.flags)
    return d.fail("these modifiers are for .f32 only");
  sameTypes(d, type, d.numOperands() == 4 ? 3 : 2,
            type == Type::F32 ? extreme<float, isMax> : extreme<double, isMax>,
            type == Type::F32 ? Class::Float32 : Class::Float64);
}

/// Only the sign bit changes, of a NaN too.
template <typename Bits, bool isNeg> Bits changeSign(Bits a) {
  constexpr Bits sign = Bits(1) << (8 * sizeof(Bits) - 1);
  return isNeg ? a ^ sign : a & ~sign;
}
template <bool isNeg> uint32_t changeSignFlushed(uint32_t a) {
  return changeSign<uint32_t, isNeg>(
      std::bit_cast<uint32_t>(flush(std::bit_cast<float>(a))));
}

template <bool isNeg> void decodeSign(Decoder &d) {
  Type type = lastType(d);
  if (type != Type::F32 && type != Type::F64)
    return d.pass();
  bool ftz = d.take("ftz");
  d.advance();
  Handler handler =
      type == Type::F64 ? lanes<changeSign<uint64_t, isNeg>, uint64_t, uint64_t>
      : ftz ? lanes<changeSignFlushed<isNeg>, uint32_t, uint32_t>
            : lanes<changeSign<uint32_t, isNeg>, uint32_t, uint32_t>;
  sameTypes(d, type, 1, handler,
            type == Type::F32 ? Class::Float32 : Class::Float64);
}

/// The sign of a, the magnitude of b.
template <typename Bits> Bits copySign(Bits a, Bits b) {
  constexpr Bits sign = Bits(1) << (8 * sizeof(Bits) - 1);
  return (a & sign) | (b & ~sign);
}

void decodeCopysign(Decoder &d) {
  Type type = d.expectType({Type::F32, Type::F64});
  sameTypes(d, type, 2,
            type == Type::F32
                ? lanes<copySign<uint32_t>, uint32_t, uint32_t, uint32_t>
                : lanes<copySign<uint64_t>, uint64_t, uint64_t, uint64_t>,
            type == Type::F32 ? Class::Float32 : Class::Float64);
}

template <typename T>
void testProperty(Warp &warp, const Op &op, LaneMask exec) {
  const T *a = warp.row<T>(op.list[1]);
  LaneMask bits = 0;
  for (unsigned i = 0; i < warpSize; ++i) {
    int kind = std::fpclassify(a[i]);
    bool isFinite = kind != FP_NAN && kind != FP_INFINITE;
    bool holds = op.extra == 0   ? isFinite
                 : op.extra == 1 ? kind == FP_INFINITE
                 : op.extra == 2 ? kind != FP_NAN
                 : op.extra == 3 ? kind == FP_NAN
                 : op.extra == 4 ? kind == FP_NORMAL
                                 : kind == FP_SUBNORMAL;
    bits |= LaneMask(holds) << i;
  }
  warp.setPredicate(op.list[0], bits, exec);
}

void decodeTestp(Decoder &d) {
  auto property = d.takeOneOf(
      {"finite", "infinite", "number", "notanumber", "normal", "subnormal"});
  if (!property)
    return d.fail("expected a property such as .finite");
  Type type = d.expectType({Type::F32, Type::F64});
  d.finishModifiers();
  if (!d.expectOperands(2))
    return;
  d.op.extra = *property;
  d.result(0, Type::Pred);
  d.value(1, type);
  d.use(type == Type::F32 ? testProperty<float> : testProperty<double>,
        Class::Compare);
}

} // namespace

void clade::ptx::addFloat(Registry &r) {
  r.add("add", decodeBasic<2, sum<float>, sum<double>>);
  r.add("sub", decodeBasic<2, difference<float>, difference<double>>);
  r.add("mul", decodeBasic<2, product<float>, product<double>>);
  r.add("fma", decodeBasic<3, fused<float>, fused<double>>);
  r.add("mad", decodeBasic<3, fused<float>, fused<double>>);
  r.add("div", decodeDiv);
  r.add(
      "rcp",
      decodeRoot<reciprocal<float>, reciprocal<double>, approximateReciprocal>);
  r.add("sqrt", decodeRoot<root<float>, root<double>, root<double>>);
  r.add("rsqrt", decodeRsqrt);
  r.add("sin", decodeFunction<sine>);
  r.add("cos", decodeFunction<cosine>);
  r.add("lg2", decodeFunction<log2Of>);
  r.add("ex2", decodeFunction<exp2Of>);
  r.add("tanh", decodeFunction<tanhOf>);
  r.add("min", decodeExtreme<false>);
  r.add("max", decodeExtreme<true>);
  r.add("neg", decodeSign<true>);
  r.add("abs", decodeSign<false>);
  r.add("copysign", decodeCopysign);
  r.add("testp", decodeTestp);
}
