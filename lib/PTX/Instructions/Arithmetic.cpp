//===- Arithmetic.cpp - Arithmetic of integers ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/Lanes.h"

#include <bit>
#include <limits>

using namespace clade::ptx;

namespace {

template <typename T> using Unsigned = std::make_unsigned_t<T>;
template <typename T>
using Wide = std::conditional_t<
    sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>,
    std::conditional_t<
        sizeof(T) == 4,
        std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>,
        std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>>>;

template <typename T> T wrapAdd(T a, T b) {
  return T(Unsigned<T>(a) + Unsigned<T>(b));
}
template <typename T> T wrapSub(T a, T b) {
  return T(Unsigned<T>(a) - Unsigned<T>(b));
}
template <typename T> T mulLo(T a, T b) {
  // 16-bit factors would be promoted to int, whose product may overflow.
  return T(uint64_t(a) * uint64_t(b));
}
template <typename T> T mulHi(T a, T b) {
  return T((Wide<T>(a) * Wide<T>(b)) >> (8 * sizeof(T)));
}
template <typename T> Wide<T> mulWide(T a, T b) {
  return Wide<T>(a) * Wide<T>(b);
}

int32_t saturate(int64_t value) {
  return int32_t(value < INT32_MIN   ? INT32_MIN
                 : value > INT32_MAX ? INT32_MAX
                                     : value);
}

//===----------------------------------------------------------------------===//
// add, sub
//===----------------------------------------------------------------------===//

template <bool isSub> Handler addHandler(Type type) {
  return forInteger(type, []<typename T>(T) -> Handler {
    if constexpr (isSub)
      return lanes<wrapSub<T>, T, T, T>;
    else
      return lanes<wrapAdd<T>, T, T, T>;
  });
}

/// Carry chains: the condition code is a hidden mask of the frame, kept in a
/// slot of its own as the last operand.
template <typename T, bool isSub, bool usesCarry, bool setsCarry>
void addCarry(Warp &warp, const Op &op, LaneMask exec) {
  const T *a = warp.row<T>(op.list[1]);
  const T *b = warp.row<T>(op.list[2]);
  LaneMask carries = warp.predicate(op.list[3]);
  T out[warpSize];
  LaneMask carryOut = 0;
  for (unsigned i = 0; i < warpSize; ++i) {
    T carry = usesCarry ? carries >> i & 1 : 0;
    T sum;
    bool overflow;
    if constexpr (isSub) {
      overflow = __builtin_sub_overflow(a[i], b[i], &sum);
      overflow |= __builtin_sub_overflow(sum, carry, &sum);
    } else {
      overflow = __builtin_add_overflow(a[i], b[i], &sum);
      overflow |= __builtin_add_overflow(sum, carry, &sum);
    }
    out[i] = sum;
    carryOut |= LaneMask(overflow) << i;
  }
  warp.write(op.list[0], out, exec);
  if (setsCarry)
    warp.setPredicate(op.list[3], carryOut, exec);
}

template <bool isSub, bool usesCarry, bool setsCarry>
Handler carryHandler(Type type) {
  if (sizeOf(type) == 4)
    return addCarry<uint32_t, isSub, usesCarry, setsCarry>;
  return addCarry<uint64_t, isSub, usesCarry, setsCarry>;
}

template <bool isSub, bool usesCarry> void decodeCarry(Decoder &d) {
  bool sets = d.take("cc");
  Type type = d.expectType(
      {Type::U32, Type::S32, Type::U64, Type::S64, Type::B32, Type::B64});
  d.finishModifiers();
  if (!d.expectOperands(3))
    return;
  d.result(0, type);
  d.value(1, type);
  d.value(2, type);
  d.carry();
  d.use(sets ? carryHandler<isSub, usesCarry, true>(type)
             : carryHandler<isSub, usesCarry, false>(type),
        Class::Integer);
}

template <bool isSub> void decodeAdd(Decoder &d) {
  if (d.peek() == "cc")
    return decodeCarry<isSub, false>(d);
  Type last = lastType(d);
  if (!isInteger(last) && last != Type::U16x2 && last != Type::S16x2)
    return d.pass();
  bool saturates = d.take("sat");
  if (last == Type::U16x2 || last == Type::S16x2) {
    d.advance();
    auto handler = [](uint32_t a, uint32_t b) {
      uint32_t low = isSub ? a - b : a + b;
      uint32_t high = isSub ? (a >> 16) - (b >> 16) : (a >> 16) + (b >> 16);
      return (low & 0xffff) | high << 16;
    };
    return sameTypes(d, Type::B32, 2,
                     lanes<handler, uint32_t, uint32_t, uint32_t>,
                     Class::Integer);
  }
  Type type = d.expectType(
      {Type::U16, Type::U32, Type::U64, Type::S16, Type::S32, Type::S64});
  Handler handler = addHandler<isSub>(type);
  if (saturates) {
    if (type != Type::S32)
      d.fail("'.sat' is for .s32 only");
    handler = lanes<[](int32_t a, int32_t b) {
      return saturate(isSub ? int64_t(a) - b : int64_t(a) + b);
    },
                    int32_t, int32_t, int32_t>;
  }
  sameTypes(d, type, 2, handler, Class::Integer);
}

//===----------------------------------------------------------------------===//
// mul, mad
//===----------------------------------------------------------------------===//

enum Half : unsigned { Lo, Hi, WideProduct };

template <typename T> Handler mulHandler(unsigned half) {
  if (half == Lo)
    return lanes<mulLo<T>, T, T, T>;
  if (half == Hi)
    return lanes<mulHi<T>, T, T, T>;
  if constexpr (sizeof(T) < 8)
    return lanes<mulWide<T>, Wide<T>, T, T>;
  return nullptr;
}

template <typename T> Handler madHandler(unsigned half) {
  if (half == Lo)
    return lanes<[](T a, T b, T c) { return wrapAdd(mulLo(a, b), c); }, T, T, T,
                 T>;
  if (half == Hi)
    return lanes<[](T a, T b, T c) { return wrapAdd(mulHi(a, b), c); }, T, T, T,
                 T>;
  if constexpr (sizeof(T) < 8)
    return lanes<[](T a, T b, Wide<T> c) { return wrapAdd(mulWide(a, b), c); },
                 Wide<T>, T, T, Wide<T>>;
  return nullptr;
}

Type widened(Type type) {
  switch (type) {
  case Type::U16:
    return Type::U32;
  case Type::S16:
    return Type::S32;
  case Type::U32:
    return Type::U64;
  default:
    return Type::S64;
  }
}

template <typename T, bool isHigh, bool usesCarry, bool setsCarry>
void madCarry(Warp &warp, const Op &op, LaneMask exec) {
  const T *a = warp.row<T>(op.list[1]);
  const T *b = warp.row<T>(op.list[2]);
  const T *c = warp.row<T>(op.list[3]);
  LaneMask carries = warp.predicate(op.list[4]);
  T out[warpSize];
  LaneMask carryOut = 0;
  for (unsigned i = 0; i < warpSize; ++i) {
    T product = isHigh ? mulHi(a[i], b[i]) : mulLo(a[i], b[i]);
    Unsigned<T> sum;
    Unsigned<T> carry = usesCarry ? carries >> i & 1 : 0;
    bool overflow =
        __builtin_add_overflow(Unsigned<T>(product), Unsigned<T>(c[i]), &sum);
    overflow |= __builtin_add_overflow(sum, carry, &sum);
    out[i] = T(sum);
    carryOut |= LaneMask(overflow) << i;
  }
  warp.write(op.list[0], out, exec);
  if (setsCarry)
    warp.setPredicate(op.list[4], carryOut, exec);
}

template <typename T, bool usesCarry>
Handler madCarryHandler(bool isHigh, bool sets) {
  if (isHigh)
    return sets ? madCarry<T, true, usesCarry, true>
                : madCarry<T, true, usesCarry, false>;
  return sets ? madCarry<T, false, usesCarry, true>
              : madCarry<T, false, usesCarry, false>;
}

template <bool usesCarry> void decodeMadCarry(Decoder &d, unsigned half) {
  bool sets = d.take("cc");
  Type type = d.expectType({Type::U32, Type::S32, Type::U64, Type::S64});
  d.finishModifiers();
  if (!d.expectOperands(4))
    return;
  if (half == WideProduct)
    d.fail("carries are for .lo and .hi only");
  d.result(0, type);
  for (unsigned i = 1; i < 4; ++i)
    d.value(i, type);
  d.carry();
  bool isHigh = half == Hi;
  d.use(type == Type::U32   ? madCarryHandler<uint32_t, usesCarry>(isHigh, sets)
        : type == Type::S32 ? madCarryHandler<int32_t, usesCarry>(isHigh, sets)
        : type == Type::U64 ? madCarryHandler<uint64_t, usesCarry>(isHigh, sets)
                            : madCarryHandler<int64_t, usesCarry>(isHigh, sets),
        Class::Integer);
}

void decodeMadc(Decoder &d) {
  auto half = d.takeOneOf({"lo", "hi"});
  if (!half)
    d.fail("expected .lo or .hi");
  decodeMadCarry<true>(d, half.value_or(0));
}

template <bool isMad> void decodeMul(Decoder &d) {
  if (!isInteger(lastType(d)))
    return d.pass();
  auto half = d.takeOneOf({"lo", "hi", "wide"});
  if (!half)
    return d.fail("expected .lo, .hi or .wide");
  if (isMad && d.peek() == "cc")
    return decodeMadCarry<false>(d, *half);
  bool saturates = isMad && d.take("sat");
  Type type = d.expectType(
      {Type::U16, Type::U32, Type::U64, Type::S16, Type::S32, Type::S64});
  d.finishModifiers();
  if (d.hasFailed() || !d.expectOperands(isMad ? 4 : 3))
    return;
  if (*half == WideProduct && sizeOf(type) == 8)
    return d.fail(".wide is for 16 and 32 bits only");
  Type resultType = *half == WideProduct ? widened(type) : type;
  d.result(0, resultType);
  d.value(1, type);
  d.value(2, type);
  if (isMad)
    d.value(3, resultType);
  Handler handler = forInteger(type, [&]<typename T>(T) -> Handler {
    if constexpr (sizeof(T) == 1)
      return nullptr;
    else
      return isMad ? madHandler<T>(*half) : mulHandler<T>(*half);
  });
  if (saturates) {
    if (type != Type::S32 || *half != Hi)
      return d.fail("'.sat' is for .hi.s32 only");
    handler = lanes<[](int32_t a, int32_t b, int32_t c) {
      return saturate(int64_t(mulHi(a, b)) + c);
    },
                    int32_t, int32_t, int32_t, int32_t>;
  }
  d.use(handler, Class::Integer);
}

uint32_t product24(const Op &op, uint32_t a, uint32_t b) {
  bool isSigned = op.flags & 1;
  int64_t wide = isSigned
                     ? int64_t(int32_t(a << 8) >> 8) * (int32_t(b << 8) >> 8)
                     : int64_t(uint64_t(a & 0xffffff) * (b & 0xffffff));
  return uint32_t(op.flags & 2 ? wide >> 16 : wide);
}
uint32_t productAdd24(const Op &op, uint32_t a, uint32_t b, uint32_t c) {
  return product24(op, a, b) + c;
}

template <bool isMad> void decodeMul24(Decoder &d) {
  auto half = d.takeOneOf({"lo", "hi"});
  Type type = d.expectType({Type::U32, Type::S32});
  if (!half)
    return d.fail("expected .lo or .hi");
  d.op.flags = uint8_t((type == Type::S32) | *half << 1);
  Handler handler =
      isMad ? lanesOf<productAdd24, uint32_t, uint32_t, uint32_t, uint32_t>
            : lanesOf<product24, uint32_t, uint32_t, uint32_t>;
  sameTypes(d, type, isMad ? 3 : 2, handler, Class::Integer);
}

//===----------------------------------------------------------------------===//
// div, rem, abs, neg, min, max, sad
//===----------------------------------------------------------------------===//

/// Division by zero gives all ones, the remainder the dividend, as GPUs do; the
/// ISA says that it is unspecified. The least value by -1 wraps.
template <typename T> T divide(T a, T b) {
  if (b == 0)
    return T(~T(0));
  if (std::is_signed_v<T> && b == T(-1))
    return wrapSub(T(0), a);
  return a / b;
}
template <typename T> T remainder(T a, T b) {
  if (b == 0)
    return a;
  if (std::is_signed_v<T> && b == T(-1))
    return 0;
  return a % b;
}

template <typename T> T absolute(T a) { return a < 0 ? wrapSub(T(0), a) : a; }
template <typename T> T negate(T a) { return wrapSub(T(0), a); }
template <typename T> T least(T a, T b) { return a < b ? a : b; }
template <typename T> T greatest(T a, T b) { return a > b ? a : b; }

template <bool isRem> void decodeDiv(Decoder &d) {
  if (!isInteger(lastType(d)))
    return d.pass();
  Type type = d.expectType(
      {Type::U16, Type::U32, Type::U64, Type::S16, Type::S32, Type::S64});
  sameTypes(d, type, 2,
            forInteger(type,
                       []<typename T>(T) -> Handler {
                         if constexpr (isRem)
                           return lanes<remainder<T>, T, T, T>;
                         else
                           return lanes<divide<T>, T, T, T>;
                       }),
            Class::Integer);
}

template <bool isNeg> void decodeAbs(Decoder &d) {
  if (!isInteger(lastType(d)))
    return d.pass();
  Type type = d.expectType({Type::S16, Type::S32, Type::S64});
  sameTypes(d, type, 1,
            forInteger(type,
                       []<typename T>(T) -> Handler {
                         if constexpr (isNeg)
                           return lanes<negate<T>, T, T>;
                         else
                           return lanes<absolute<T>, T, T>;
                       }),
            Class::Integer);
}

template <typename T, bool isMax>
uint32_t packedExtreme(uint32_t a, uint32_t b) {
  auto pick = [](T x, T y) { return isMax ? greatest(x, y) : least(x, y); };
  uint16_t low = uint16_t(pick(T(a), T(b)));
  uint16_t high = uint16_t(pick(T(a >> 16), T(b >> 16)));
  return low | uint32_t(high) << 16;
}

template <bool isMax> void decodeMin(Decoder &d) {
  Type last = lastType(d);
  if (last == Type::U16x2 || last == Type::S16x2) {
    bool relu = d.take("relu");
    d.advance();
    if (relu)
      return d.fail("'.relu' is not known here");
    Handler handler = last == Type::U16x2
                          ? lanes<packedExtreme<uint16_t, isMax>, uint32_t,
                                  uint32_t, uint32_t>
                          : lanes<packedExtreme<int16_t, isMax>, uint32_t,
                                  uint32_t, uint32_t>;
    return sameTypes(d, Type::B32, 2, handler, Class::Integer);
  }
  if (!isInteger(last))
    return d.pass();
  bool relu = d.take("relu");
  Type type = d.expectType(
      {Type::U16, Type::U32, Type::U64, Type::S16, Type::S32, Type::S64});
  Handler handler = forInteger(type, []<typename T>(T) -> Handler {
    if constexpr (isMax)
      return lanes<greatest<T>, T, T, T>;
    else
      return lanes<least<T>, T, T, T>;
  });
  if (relu) {
    if (type != Type::S32)
      d.fail("'.relu' is for .s32 only");
    handler = lanes<[](int32_t a, int32_t b) {
      return greatest(isMax ? greatest(a, b) : least(a, b), int32_t(0));
    },
                    int32_t, int32_t, int32_t>;
  }
  sameTypes(d, type, 2, handler, Class::Integer);
}

void decodeSad(Decoder &d) {
  Type type = d.expectType(
      {Type::U16, Type::U32, Type::U64, Type::S16, Type::S32, Type::S64});
  sameTypes(d, type, 3,
            forInteger(type,
                       []<typename T>(T) -> Handler {
                         return lanes<[](T a, T b, T c) {
                           return wrapAdd(c, a > b ? wrapSub(a, b)
                                                   : wrapSub(b, a));
                         },
                                      T, T, T, T>;
                       }),
            Class::Integer);
}

//===----------------------------------------------------------------------===//
// dp4a, dp2a
//===----------------------------------------------------------------------===//

int32_t element(uint32_t word, unsigned bit, unsigned bits, bool isSigned) {
  uint32_t shifted = word >> bit;
  if (bits == 8)
    return isSigned ? int8_t(shifted) : uint8_t(shifted);
  return isSigned ? int16_t(shifted) : uint16_t(shifted);
}

uint32_t dot4(const Op &op, uint32_t a, uint32_t b, uint32_t c) {
  for (unsigned i = 0; i < 4; ++i)
    c += uint32_t(element(a, 8 * i, 8, op.flags & 1) *
                  element(b, 8 * i, 8, op.flags & 2));
  return c;
}

uint32_t dot2(const Op &op, uint32_t a, uint32_t b, uint32_t c) {
  uint32_t base = op.flags & 4 ? 16 : 0;
  for (unsigned i = 0; i < 2; ++i)
    c += uint32_t(element(a, 16 * i, 16, op.flags & 1)) *
         uint32_t(element(b, base + 8 * i, 8, op.flags & 2));
  return c;
}

template <bool isTwo> void decodeDot(Decoder &d) {
  std::optional<unsigned> half = 0;
  if (isTwo && !(half = d.takeOneOf({"lo", "hi"})))
    return d.fail("expected .lo or .hi");
  Type a = d.expectType({Type::U32, Type::S32});
  Type b = d.expectType({Type::U32, Type::S32});
  d.op.flags = uint8_t((a == Type::S32) | (b == Type::S32) << 1 | *half << 2);
  sameTypes(d, Type::B32, 3,
            isTwo ? lanesOf<dot2, uint32_t, uint32_t, uint32_t, uint32_t>
                  : lanesOf<dot4, uint32_t, uint32_t, uint32_t, uint32_t>,
            Class::Integer);
}

} // namespace

void clade::ptx::addArithmetic(Registry &r) {
  r.add("add", decodeAdd<false>);
  r.add("sub", decodeAdd<true>);
  r.add("addc", decodeCarry<false, true>);
  r.add("subc", decodeCarry<true, true>);
  r.add("mul", decodeMul<false>);
  r.add("mad", decodeMul<true>);
  r.add("madc", decodeMadc);
  r.add("mul24", decodeMul24<false>);
  r.add("mad24", decodeMul24<true>);
  r.add("div", decodeDiv<false>);
  r.add("rem", decodeDiv<true>);
  r.add("abs", decodeAbs<false>);
  r.add("neg", decodeAbs<true>);
  r.add("min", decodeMin<false>);
  r.add("max", decodeMin<true>);
  r.add("sad", decodeSad);
  r.add("dp4a", decodeDot<false>);
  r.add("dp2a", decodeDot<true>);
}
