//===- Compare.cpp - Comparisons ------------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/Formats.h"
#include "lib/PTX/Instructions/Lanes.h"

#include <cmath>

using namespace clade::ptx;

namespace {

enum class Test : uint8_t {
  Eq,
  Ne,
  Lt,
  Le,
  Gt,
  Ge,
  Equ,
  Neu,
  Ltu,
  Leu,
  Gtu,
  Geu,
  Num,
  Nan
};

template <Test test, typename T> bool holds(T a, T b) {
  bool isUnordered = false;
  if constexpr (std::is_floating_point_v<T>)
    isUnordered = std::isunordered(a, b);
  switch (test) {
  case Test::Eq:
    return a == b;
  case Test::Ne: // Ordered: false with a NaN.
    return a != b && !isUnordered;
  case Test::Lt:
    return a < b;
  case Test::Le:
    return a <= b;
  case Test::Gt:
    return a > b;
  case Test::Ge:
    return a >= b;
  case Test::Equ:
    return a == b || isUnordered;
  case Test::Neu:
    return a != b;
  case Test::Ltu:
    return a < b || isUnordered;
  case Test::Leu:
    return a <= b || isUnordered;
  case Test::Gtu:
    return a > b || isUnordered;
  case Test::Geu:
    return a >= b || isUnordered;
  case Test::Num:
    return !isUnordered;
  case Test::Nan:
    return isUnordered;
  }
  return false;
}

// Op::flags: how the result is combined with a predicate, and .ftz.
constexpr uint8_t flagCombine = 3; ///< 1 and, 2 or, 3 xor.
constexpr uint8_t flagFtz = 4;

LaneMask combine(const Op &op, LaneMask truth, LaneMask with) {
  switch (op.flags & flagCombine) {
  case 1:
    return truth & with;
  case 2:
    return truth | with;
  case 3:
    return truth ^ with;
  }
  return truth;
}

/// How a row is read to be compared.
template <typename Stored> struct Reader {
  static void read(const Stored *row, bool, Stored *out) {
    std::memcpy(out, row, sizeof(Stored) * warpSize);
  }
  using Value = Stored;
};
template <> struct Reader<float> {
  using Value = float;
  static void read(const float *row, bool ftz, float *out) {
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = ftz ? flush(row[i]) : row[i];
  }
};
template <> struct Reader<HalfBits> {
  using Value = float;
  static void read(const HalfBits *row, bool ftz, float *out) {
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = halfToFloat(ftz ? flushHalf(row[i].bits) : row[i].bits);
  }
};
template <> struct Reader<BFloatBits> {
  using Value = float;
  static void read(const BFloatBits *row, bool, float *out) {
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = bfloatToFloat(row[i].bits);
  }
};

template <typename Stored, Test test>
LaneMask compareRows(const Stored *a, const Stored *b, bool ftz) {
  using Value = typename Reader<Stored>::Value;
  Value left[warpSize], right[warpSize];
  Reader<Stored>::read(a, ftz, left);
  Reader<Stored>::read(b, ftz, right);
  uint8_t truth[warpSize];
  for (unsigned i = 0; i < warpSize; ++i)
    truth[i] = holds<test, Value>(left[i], right[i]);
  return packMask(truth);
}

/// Slots: p, q, a, b, c (c is there if a result is combined).
template <typename Stored, Test test>
void setPredicates(Warp &warp, const Op &op, LaneMask exec) {
  LaneMask truth = compareRows<Stored, test>(warp.row<Stored>(op.list[2]),
                                             warp.row<Stored>(op.list[3]),
                                             op.flags & flagFtz);
  LaneMask with = op.flags & flagCombine ? warp.predicate(op.list[4]) : 0;
  LaneMask p = combine(op, truth, with);
  warp.setPredicate(op.list[1], combine(op, ~truth, with), exec);
  warp.setPredicate(op.list[0], p, exec);
}

/// Packed pairs: p is of the low halves, q of the high ones.
template <typename Stored, Test test>
void setPairPredicates(Warp &warp, const Op &op, LaneMask exec) {
  LaneMask with = op.flags & flagCombine ? warp.predicate(op.list[4]) : 0;
  Stored a[2][warpSize], b[2][warpSize];
  splitPairs(warp.row<uint32_t>(op.list[2]), a);
  splitPairs(warp.row<uint32_t>(op.list[3]), b);
  for (unsigned half = 0; half < 2; ++half) {
    LaneMask truth =
        compareRows<Stored, test>(a[half], b[half], op.flags & flagFtz);
    warp.setPredicate(op.list[half], combine(op, truth, with), exec);
  }
}

/// `set`: all ones or 1.0 in a register. Slots: d, a, b, c.
template <typename Stored, Test test>
void setValues(Warp &warp, const Op &op, LaneMask exec) {
  LaneMask truth = compareRows<Stored, test>(warp.row<Stored>(op.list[1]),
                                             warp.row<Stored>(op.list[2]),
                                             op.flags & flagFtz);
  truth = combine(op, truth,
                  op.flags & flagCombine ? warp.predicate(op.list[3]) : 0);
  uint64_t out[warpSize];
  for (unsigned i = 0; i < warpSize; ++i)
    out[i] = truth >> i & 1 ? op.extra : 0;
  warp.writeWide(op.list[0], op.widths[0], out, exec);
}

template <typename Stored, Test test>
void setPairValues(Warp &warp, const Op &op, LaneMask exec) {
  LaneMask with = op.flags & flagCombine ? warp.predicate(op.list[3]) : 0;
  Stored a[2][warpSize], b[2][warpSize];
  splitPairs(warp.row<uint32_t>(op.list[1]), a);
  splitPairs(warp.row<uint32_t>(op.list[2]), b);
  uint32_t out[warpSize] = {};
  for (unsigned half = 0; half < 2; ++half) {
    LaneMask truth = combine(
        op, compareRows<Stored, test>(a[half], b[half], op.flags & flagFtz),
        with);
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] |= truth >> i & 1 ? uint32_t(op.extra) << (16 * half) : 0;
  }
  warp.write(op.list[0], out, exec);
}

enum class Shape { Predicates, Values };

template <typename Stored, Test test> Handler pick(Shape shape, bool isPair) {
  if constexpr (sizeof(Stored) == 2 && (std::is_same_v<Stored, HalfBits> ||
                                        std::is_same_v<Stored, BFloatBits>)) {
    if (isPair)
      return shape == Shape::Predicates ? setPairPredicates<Stored, test>
                                        : setPairValues<Stored, test>;
  }
  return shape == Shape::Predicates ? setPredicates<Stored, test>
                                    : setValues<Stored, test>;
}

template <typename Stored>
Handler byTest(Test test, Shape shape, bool isPair,
               std::integral_constant<bool, true>) {
  switch (test) {
  case Test::Equ:
    return pick<Stored, Test::Equ>(shape, isPair);
  case Test::Neu:
    return pick<Stored, Test::Neu>(shape, isPair);
  case Test::Ltu:
    return pick<Stored, Test::Ltu>(shape, isPair);
  case Test::Leu:
    return pick<Stored, Test::Leu>(shape, isPair);
  case Test::Gtu:
    return pick<Stored, Test::Gtu>(shape, isPair);
  case Test::Geu:
    return pick<Stored, Test::Geu>(shape, isPair);
  case Test::Num:
    return pick<Stored, Test::Num>(shape, isPair);
  default:
    return pick<Stored, Test::Nan>(shape, isPair);
  }
}

template <typename Stored>
Handler byTest(Test test, Shape shape, bool isPair,
               std::integral_constant<bool, false>) {
  switch (test) {
  case Test::Eq:
    return pick<Stored, Test::Eq>(shape, isPair);
  case Test::Ne:
    return pick<Stored, Test::Ne>(shape, isPair);
  case Test::Lt:
    return pick<Stored, Test::Lt>(shape, isPair);
  case Test::Le:
    return pick<Stored, Test::Le>(shape, isPair);
  case Test::Gt:
    return pick<Stored, Test::Gt>(shape, isPair);
  default:
    return pick<Stored, Test::Ge>(shape, isPair);
  }
}

Handler compareHandler(Type type, Test test, Shape shape) {
  bool isPair = type == Type::F16x2 || type == Type::BF16x2;
  auto floats = [&]<typename T>(T) {
    return test >= Test::Equ
               ? byTest<T>(test, shape, isPair, std::true_type())
               : byTest<T>(test, shape, isPair, std::false_type());
  };
  switch (type) {
  case Type::F32:
    return floats(float());
  case Type::F64:
    return floats(double());
  case Type::F16:
  case Type::F16x2:
    return floats(HalfBits());
  case Type::BF16:
  case Type::BF16x2:
    return floats(BFloatBits());
  default:
    return forInteger(type, [&]<typename T>(T) -> Handler {
      return byTest<T>(test, shape, false, std::false_type());
    });
  }
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

/// The test of "setp.TEST"; lo, ls, hi and hs are of unsigned integers.
std::optional<Test> takeTest(Decoder &d) {
  auto index =
      d.takeOneOf({"eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu",
                   "leu", "gtu", "geu", "num", "nan", "lo", "ls", "hi", "hs"});
  if (!index) {
    d.fail("expected a comparison such as .eq or .lt");
    return std::nullopt;
  }
  if (*index < 14)
    return Test(*index);
  return std::array{Test::Lt, Test::Le, Test::Gt, Test::Ge}[*index - 14];
}

constexpr std::initializer_list<Type> comparable = {
    Type::B16, Type::B32, Type::B64,   Type::U16,  Type::U32,
    Type::U64, Type::S16, Type::S32,   Type::S64,  Type::F32,
    Type::F64, Type::F16, Type::F16x2, Type::BF16, Type::BF16x2};

void takeCombination(Decoder &d) {
  if (auto index = d.takeOneOf({"and", "or", "xor"}))
    d.op.flags |= uint8_t(*index + 1);
  if (d.take("ftz"))
    d.op.flags |= flagFtz;
}

void decodeSetp(Decoder &d) {
  auto test = takeTest(d);
  takeCombination(d);
  Type type = d.expectType(comparable);
  d.finishModifiers();
  bool combines = d.op.flags & flagCombine;
  if (!test || !d.expectOperands(combines ? 4 : 3))
    return;
  if (*test >= Test::Equ && !isFloat(type))
    return d.fail("this comparison is for floats only");
  const Operand &first = d.operand(0);
  d.result(first, Type::Pred);
  if (first.elements.empty())
    d.sink();
  else
    d.result(first.elements[0], Type::Pred);
  d.value(1, type);
  d.value(2, type);
  if (combines)
    d.value(3, Type::Pred);
  d.use(compareHandler(type, *test, Shape::Predicates), Class::Compare);
}

void decodeSet(Decoder &d) {
  auto test = takeTest(d);
  takeCombination(d);
  Type to = d.expectType({Type::U32, Type::S32, Type::F32, Type::U16, Type::S16,
                          Type::F16, Type::F16x2, Type::BF16, Type::BF16x2});
  Type type = d.expectType(comparable);
  d.finishModifiers();
  bool combines = d.op.flags & flagCombine;
  if (!test || !d.expectOperands(combines ? 4 : 3))
    return;
  if (*test >= Test::Equ && !isFloat(type))
    return d.fail("this comparison is for floats only");
  bool isPair = type == Type::F16x2 || type == Type::BF16x2;
  d.op.extra = to == Type::F32                          ? 0x3f800000
               : to == Type::F16 || to == Type::F16x2   ? 0x3c00
               : to == Type::BF16 || to == Type::BF16x2 ? 0x3f80
               : isPair                                 ? 0xffff
                                                        : ~uint64_t(0);
  d.result(0, to);
  d.value(1, type);
  d.value(2, type);
  if (combines)
    d.value(3, Type::Pred);
  d.use(compareHandler(type, *test, Shape::Values), Class::Compare);
}

} // namespace

void clade::ptx::addCompare(Registry &r) {
  r.add("setp", decodeSetp);
  r.add("set", decodeSet);
}
