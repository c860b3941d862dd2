//===- Logic.cpp - Bits: logic, shifts, fields, permutations --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/Lanes.h"

#include <bit>

using namespace clade::ptx;

namespace {

//===----------------------------------------------------------------------===//
// and, or, xor, not, cnot, lop3
//===----------------------------------------------------------------------===//

enum LogicOp { And, Or, Xor };

template <LogicOp logic, typename T> T combine(T a, T b) {
  return logic == And ? a & b : logic == Or ? a | b : a ^ b;
}

/// A value that was never initialised makes no difference where the other
/// operand decides: false and anything, true or anything.
template <LogicOp logic>
void combinePoison(Warp &warp, const Op &op, LaneMask exec, LaneMask a,
                   LaneMask b) {
  uint32_t idA = op.reads[0], idB = op.reads[1];
  LaneMask badA = warp.poisonOf(idA), badB = warp.poisonOf(idB);
  LaneMask decided = logic == And  ? (~badA & ~a) | (~badB & ~b)
                     : logic == Or ? (~badA & a) | (~badB & b)
                                   : 0;
  LaneMask bad = (badA | badB) & ~decided;
  uint32_t line = warp.frame->poisonLine[badA & exec ? idA : idB];
  warp.setPoison(op.writes[0], bad, exec, op);
  if (bad & exec)
    warp.frame->poisonLine[op.writes[0]] = line;
}

template <LogicOp logic>
void combinePredicates(Warp &warp, const Op &op, LaneMask exec) {
  LaneMask a = warp.predicate(op.s[1]), b = warp.predicate(op.s[2]);
  if (warp.frame->mayPoison && op.numReads == 2 && op.numWrites == 1)
    combinePoison<logic>(warp, op, exec, a, b);
  warp.setPredicate(op.s[0], combine<logic>(a, b), exec);
}

template <LogicOp logic> void decodeLogic(Decoder &d) {
  Type type =
      d.expectType({Type::B32, Type::Pred, Type::B16, Type::B64, Type::B8});
  Handler handler = type == Type::Pred
                        ? combinePredicates<logic>
                        : forBits(type, []<typename T>(T) -> Handler {
                            return lanes<combine<logic, T>, T, T, T>;
                          });
  if (type == Type::Pred && d.operand(1).isRegister() &&
      d.operand(2).isRegister())
    d.setPoison(PoisonByHandler);
  // "xor r, a, a" is zero whatever a is.
  if (logic == Xor && d.operand(1).isRegister() && d.operand(2).isRegister() &&
      d.operand(1).id == d.operand(2).id)
    d.setPoison(PoisonNever);
  sameTypes(d, type, 2, handler, Class::Integer);
}

void decodeNot(Decoder &d) {
  Type type = d.expectType({Type::B32, Type::Pred, Type::B16, Type::B64});
  Handler handler = type == Type::Pred ? [](Warp &warp, const Op &op, LaneMask exec) { warp.setPredicate(op.s[0], ~warp.predicate(op.s[1]), exec); } : forBits(type, []<typename T>(T) -> Handler { return lanes<[](T a) { return T(~a); }, T, T>; });
  sameTypes(d, type, 1, handler, Class::Integer);
}

void decodeCnot(Decoder &d) {
  Type type = d.expectType({Type::B16, Type::B32, Type::B64});
  sameTypes(d, type, 1,
            forBits(type,
                    []<typename T>(T) -> Handler {
                      return lanes<[](T a) { return T(a == 0); }, T, T>;
                    }),
            Class::Integer);
}

uint32_t lookup(const Op &op, uint32_t a, uint32_t b, uint32_t c) {
  uint32_t out = 0;
  for (unsigned i = 0; i < 8; ++i)
    if (op.extra >> i & 1)
      out |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
  return out;
}

void decodeLop3(Decoder &d) {
  auto combined = d.takeOneOf({"or", "and"});
  if (combined)
    return d.fail("the forms with a predicate are not known");
  d.expectType({Type::B32});
  d.finishModifiers();
  if (!d.expectOperands(5))
    return;
  d.result(0, Type::B32);
  for (unsigned i = 1; i < 4; ++i)
    d.value(i, Type::B32);
  d.op.extra = d.immediate(4);
  if (d.op.extra > 255)
    d.fail("expected a table from 0 to 255, found " +
           std::to_string(d.op.extra));
  d.use(lanesOf<lookup, uint32_t, uint32_t, uint32_t, uint32_t>,
        Class::Integer);
}

//===----------------------------------------------------------------------===//
// shl, shr, shf
//===----------------------------------------------------------------------===//

/// Shifts by the width or more give 0, or the sign.
template <typename T> T shiftLeft(T a, uint32_t b) {
  return b >= 8 * sizeof(T) ? T(0) : T(a << b);
}
template <typename T> T shiftRight(T a, uint32_t b) {
  constexpr uint32_t bits = 8 * sizeof(T);
  if constexpr (std::is_signed_v<T>)
    return T(a >> (b >= bits ? bits - 1 : b));
  return b >= bits ? T(0) : T(a >> b);
}

template <bool isRight> void decodeShift(Decoder &d) {
  Type type =
      isRight
          ? d.expectType({Type::B32, Type::B16, Type::B64, Type::U16, Type::U32,
                          Type::U64, Type::S16, Type::S32, Type::S64})
          : d.expectType({Type::B32, Type::B16, Type::B64});
  d.finishModifiers();
  if (!d.expectOperands(3))
    return;
  d.result(0, type);
  d.value(1, type);
  d.value(2, Type::U32);
  d.use(forInteger(type,
                   []<typename T>(T) -> Handler {
                     if constexpr (isRight)
                       return lanes<shiftRight<T>, T, T, uint32_t>;
                     else
                       return lanes<shiftLeft<T>, T, T, uint32_t>;
                   }),
        Class::Integer);
}

template <bool isRight, bool wraps>
uint32_t funnel(uint32_t low, uint32_t high, uint32_t by) {
  uint32_t n = wraps ? by & 31 : by > 32 ? 32 : by;
  uint64_t both = uint64_t(high) << 32 | low;
  return isRight ? uint32_t(both >> n) : uint32_t((both << n) >> 32);
}

void decodeFunnel(Decoder &d) {
  auto side = d.takeOneOf({"l", "r"});
  auto mode = d.takeOneOf({"clamp", "wrap"});
  d.expectType({Type::B32});
  if (!side || !mode)
    return d.fail("expected .l or .r, then .clamp or .wrap");
  Handler handlers[2][2] = {
      {lanes<funnel<false, false>, uint32_t, uint32_t, uint32_t, uint32_t>,
       lanes<funnel<false, true>, uint32_t, uint32_t, uint32_t, uint32_t>},
      {lanes<funnel<true, false>, uint32_t, uint32_t, uint32_t, uint32_t>,
       lanes<funnel<true, true>, uint32_t, uint32_t, uint32_t, uint32_t>}};
  sameTypes(d, Type::B32, 3, handlers[*side][*mode], Class::Integer);
}

//===----------------------------------------------------------------------===//
// popc, clz, brev, bfind, bfe, bfi, bmsk, szext, fns
//===----------------------------------------------------------------------===//

template <typename T> T reverse(T a) {
  T out = 0;
  for (unsigned i = 0; i < 8 * sizeof(T); ++i)
    out |= T(a >> i & 1) << (8 * sizeof(T) - 1 - i);
  return out;
}

template <typename T> uint32_t findLast(T value, bool asShift) {
  using U = std::make_unsigned_t<T>;
  U bits = U(value);
  if (std::is_signed_v<T> && value < 0)
    bits = U(~bits);
  if (!bits)
    return ~uint32_t(0);
  uint32_t zeros = uint32_t(std::countl_zero(bits));
  return asShift ? zeros : 8 * sizeof(T) - 1 - zeros;
}

void decodeCount(Decoder &d, Handler narrow, Handler wide) {
  Type type = d.expectType({Type::B32, Type::B64});
  d.finishModifiers();
  if (!d.expectOperands(2))
    return;
  d.result(0, Type::U32);
  d.value(1, type);
  d.use(type == Type::B32 ? narrow : wide, Class::Integer);
}

template <typename T> uint32_t ones(T a) { return uint32_t(std::popcount(a)); }
template <typename T> uint32_t zeros(T a) {
  return uint32_t(std::countl_zero(a));
}

void decodePopc(Decoder &d) {
  decodeCount(d, lanes<ones<uint32_t>, uint32_t, uint32_t>,
              lanes<ones<uint64_t>, uint32_t, uint64_t>);
}
void decodeClz(Decoder &d) {
  decodeCount(d, lanes<zeros<uint32_t>, uint32_t, uint32_t>,
              lanes<zeros<uint64_t>, uint32_t, uint64_t>);
}

void decodeBrev(Decoder &d) {
  Type type = d.expectType({Type::B32, Type::B64});
  sameTypes(d, type, 1,
            type == Type::B32 ? lanes<reverse<uint32_t>, uint32_t, uint32_t>
                              : lanes<reverse<uint64_t>, uint64_t, uint64_t>,
            Class::Integer);
}

void decodeBfind(Decoder &d) {
  d.op.flags = d.take("shiftamt");
  Type type = d.expectType({Type::U32, Type::S32, Type::U64, Type::S64});
  d.finishModifiers();
  if (!d.expectOperands(2))
    return;
  d.result(0, Type::U32);
  d.value(1, type);
  d.use(forInteger(type,
                   []<typename T>(T) -> Handler {
                     return lanesOf<[](const Op &op, T a) {
                       return findLast(a, op.flags);
                     },
                                    uint32_t, T>;
                   }),
        Class::Integer);
}

/// Pseudo-code of bfe in the ISA; fields past the end are filled by the sign.
template <typename T> T extract(T a, uint32_t b, uint32_t c) {
  using U = std::make_unsigned_t<T>;
  constexpr int last = 8 * sizeof(T) - 1;
  int position = int(b & 255), length = int(c & 255);
  int signBit = std::min(position + length - 1, last);
  bool fill = std::is_signed_v<T> && length != 0 && (U(a) >> signBit & 1);
  U field = position > last ? 0 : U(a) >> position;
  int have = position > last ? 0 : std::min(length, last + 1 - position);
  U mask = have > last ? ~U(0) : (U(1) << have) - 1;
  return T(fill ? field | ~mask : field & mask);
}

void decodeBfe(Decoder &d) {
  Type type = d.expectType({Type::U32, Type::S32, Type::U64, Type::S64});
  d.finishModifiers();
  if (!d.expectOperands(4))
    return;
  d.result(0, type);
  d.value(1, type);
  d.value(2, Type::U32);
  d.value(3, Type::U32);
  d.use(forInteger(type,
                   []<typename T>(T) -> Handler {
                     return lanes<extract<T>, T, T, uint32_t, uint32_t>;
                   }),
        Class::Integer);
}

template <typename T> T insert(T a, T b, uint32_t c, uint32_t length) {
  uint32_t position = c & 255;
  length &= 255;
  constexpr uint32_t bits = 8 * sizeof(T);
  if (position >= bits || length == 0)
    return b;
  T mask = length >= bits ? ~T(0) : (T(1) << length) - 1;
  mask <<= position;
  return T((b & ~mask) | ((a << position) & mask));
}

void decodeBfi(Decoder &d) {
  Type type = d.expectType({Type::B32, Type::B64});
  d.finishModifiers();
  if (!d.expectOperands(5))
    return;
  d.result(0, type);
  d.value(1, type);
  d.value(2, type);
  d.value(3, Type::U32);
  d.value(4, Type::U32);
  d.use(type == Type::B32 ? lanes<insert<uint32_t>, uint32_t, uint32_t,
                                  uint32_t, uint32_t, uint32_t>
                          : lanes<insert<uint64_t>, uint64_t, uint64_t,
                                  uint64_t, uint32_t, uint32_t>,
        Class::Integer);
}

template <bool wraps> uint32_t makeMask(uint32_t a, uint32_t b) {
  if (wraps) {
    a &= 31;
    b &= 31;
  } else if (a > 31) {
    return 0;
  }
  uint32_t mask = b > 31 ? ~0u : (1u << b) - 1;
  return mask << a;
}

void decodeBmsk(Decoder &d) {
  auto mode = d.takeOneOf({"clamp", "wrap"});
  d.expectType({Type::B32});
  sameTypes(d, Type::B32, 2,
            mode == 1u ? lanes<makeMask<true>, uint32_t, uint32_t, uint32_t>
                       : lanes<makeMask<false>, uint32_t, uint32_t, uint32_t>,
            Class::Integer);
}

uint32_t extend(const Op &op, uint32_t a, uint32_t b) {
  bool wraps = op.flags & 1, isSigned = op.flags & 2;
  if (wraps)
    b &= 31;
  if (b > 31)
    return a;
  if (b == 0)
    return 0;
  uint32_t shifted = a << (32 - b);
  return isSigned ? uint32_t(int32_t(shifted) >> (32 - b))
                  : shifted >> (32 - b);
}

void decodeSzext(Decoder &d) {
  auto mode = d.takeOneOf({"clamp", "wrap"});
  Type type = d.expectType({Type::U32, Type::S32});
  d.op.flags = uint8_t((mode == 1u) | (type == Type::S32) << 1);
  sameTypes(d, Type::B32, 2, lanesOf<extend, uint32_t, uint32_t, uint32_t>,
            Class::Integer);
}

/// The position of the n-th set bit from a base, upwards or downwards.
uint32_t findNth(uint32_t mask, uint32_t base, uint32_t offset) {
  base &= 31;
  int n = int32_t(offset);
  if (n == 0)
    return mask >> base & 1 ? base : ~0u;
  int step = n > 0 ? 1 : -1, count = n > 0 ? n : -n;
  for (int bit = int(base); bit >= 0 && bit < 32; bit += step)
    if ((mask >> bit & 1) && --count == 0)
      return uint32_t(bit);
  return ~0u;
}

void decodeFns(Decoder &d) {
  d.expectType({Type::B32});
  sameTypes(d, Type::B32, 3,
            lanes<findNth, uint32_t, uint32_t, uint32_t, uint32_t>,
            Class::Integer);
}

//===----------------------------------------------------------------------===//
// prmt
//===----------------------------------------------------------------------===//

uint32_t permute(uint32_t a, uint32_t b, uint32_t selector) {
  uint64_t bytes = uint64_t(b) << 32 | a;
  uint32_t out = 0;
  for (unsigned i = 0; i < 4; ++i) {
    uint32_t select = selector >> (4 * i) & 15;
    uint32_t byte = uint32_t(bytes >> (8 * (select & 7))) & 255;
    if (select & 8)
      byte = byte & 128 ? 255 : 0;
    out |= byte << (8 * i);
  }
  return out;
}

/// The selectors of the modes f4e, b4e, rc8, ecl, ecr, rc16 by c & 3.
constexpr uint32_t permuteModes[6][4] = {
    {0x3210, 0x4321, 0x5432, 0x6543}, {0x5670, 0x6701, 0x7012, 0x0123},
    {0x0000, 0x1111, 0x2222, 0x3333}, {0x3210, 0x3211, 0x3222, 0x3333},
    {0x0000, 0x1110, 0x2210, 0x3210}, {0x1010, 0x3232, 0x1010, 0x3232}};

uint32_t permuteByMode(const Op &op, uint32_t a, uint32_t b, uint32_t c) {
  return permute(a, b, permuteModes[op.extra][c & 3]);
}

void decodePrmt(Decoder &d) {
  d.expectType({Type::B32});
  auto mode = d.takeOneOf({"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"});
  d.op.extra = mode.value_or(0);
  sameTypes(d, Type::B32, 3,
            mode
                ? lanesOf<permuteByMode, uint32_t, uint32_t, uint32_t, uint32_t>
                : lanes<permute, uint32_t, uint32_t, uint32_t, uint32_t>,
            Class::Integer);
}

} // namespace

void clade::ptx::addLogic(Registry &r) {
  r.add("and", decodeLogic<And>);
  r.add("or", decodeLogic<Or>);
  r.add("xor", decodeLogic<Xor>);
  r.add("not", decodeNot);
  r.add("cnot", decodeCnot);
  r.add("lop3", decodeLop3);
  r.add("shl", decodeShift<false>);
  r.add("shr", decodeShift<true>);
  r.add("shf", decodeFunnel);
  r.add("popc", decodePopc);
  r.add("clz", decodeClz);
  r.add("brev", decodeBrev);
  r.add("bfind", decodeBfind);
  r.add("bfe", decodeBfe);
  r.add("bfi", decodeBfi);
  r.add("bmsk", decodeBmsk);
  r.add("szext", decodeSzext);
  r.add("fns", decodeFns);
  r.add("prmt", decodePrmt);
}
