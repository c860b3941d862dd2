//===- Convert.cpp - Conversions of integers and floats -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Any pair of integer and float types goes through one function of a lane; the
// pairs that kernels are full of have loops of their own.
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/Formats.h"
#include "lib/PTX/Instructions/Lanes.h"

#include <algorithm>
#include <cmath>

using namespace clade::ptx;

namespace {

/// What a conversion is told, kept in Op::record.
struct Conversion {
  Type to = Type::None;
  Type from = Type::None;
  Rounding rounding = Rounding::Nearest;
  bool toIntegral = false; ///< .rni and the like.
  bool ftz = false;
  bool sat = false;
  bool relu = false;
  uint8_t toBytes = 0; ///< Of the registers.
  uint8_t fromBytes = 0;
};

bool isFloatType(Type type) {
  return type == Type::F16 || type == Type::BF16 || type == Type::F32 ||
         type == Type::F64;
}

double decodeFloat(Type type, uint64_t bits) {
  switch (type) {
  case Type::F16:
    return halfToFloat(uint16_t(bits));
  case Type::BF16:
    return bfloatToFloat(uint16_t(bits));
  case Type::F32:
    return std::bit_cast<float>(uint32_t(bits));
  default:
    return std::bit_cast<double>(bits);
  }
}

struct Format {
  unsigned exponent, mantissa;
};
Format formatOf(Type type) {
  switch (type) {
  case Type::F16:
    return {5, 10};
  case Type::BF16:
    return {8, 7};
  case Type::F32:
    return {8, 23};
  default:
    return {11, 52};
  }
}

double toIntegral(double value, Rounding rounding) {
  switch (rounding) {
  case Rounding::Zero:
    return std::trunc(value);
  case Rounding::Down:
    return std::floor(value);
  case Rounding::Up:
    return std::ceil(value);
  default:
    return std::nearbyint(value);
  }
}

/// The sign of an integer type is extended over the register.
uint64_t extendInteger(Type type, uint64_t bits) {
  unsigned shift = 64 - 8 * sizeOf(type);
  return isSigned(type) ? uint64_t(int64_t(bits << shift) >> shift)
                        : bits << shift >> shift;
}

/// Least and greatest value of an integer type.
int64_t leastOf(Type type) {
  return isSigned(type) ? int64_t(~uint64_t(0) << (8 * sizeOf(type) - 1)) : 0;
}
uint64_t greatestOf(Type type) {
  unsigned bits = 8 * sizeOf(type) - isSigned(type);
  return bits == 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1;
}

uint64_t integerToInteger(const Conversion &c, uint64_t bits) {
  bits = extendInteger(c.from, bits);
  if (!c.sat)
    return extendInteger(c.to, bits);
  bool isNegative = isSigned(c.from) && int64_t(bits) < 0;
  if (isNegative)
    return uint64_t(std::max(int64_t(bits), leastOf(c.to)));
  return std::min(bits, greatestOf(c.to));
}

/// Values outside the range become its ends, NaN becomes 0.
uint64_t floatToInteger(const Conversion &c, double value) {
  if (std::isnan(value))
    return 0;
  value = toIntegral(value, c.rounding);
  // The ends as doubles: the greatest of 64 bits rounds up to a power of two.
  if (value <= double(leastOf(c.to)))
    return uint64_t(leastOf(c.to));
  if (value >= double(greatestOf(c.to)))
    return greatestOf(c.to);
  return value < 0 ? uint64_t(int64_t(value)) : uint64_t(value);
}

uint64_t integerToFloat(const Conversion &c, uint64_t bits) {
  bits = extendInteger(c.from, bits);
  bool isNegative = isSigned(c.from) && int64_t(bits) < 0;
  Format format = formatOf(c.to);
  return encodeNumber(isNegative, isNegative ? -bits : bits, 0, format.exponent,
                      format.mantissa, c.rounding);
}

uint64_t floatToFloat(const Conversion &c, double value) {
  if (c.toIntegral)
    value = toIntegral(value, c.rounding);
  if (c.sat)
    value = value > 0 ? std::min(value, 1.0) : 0.0;
  if (c.relu && value < 0)
    value = 0;
  Format format = formatOf(c.to);
  if (c.to == Type::F64)
    return std::bit_cast<uint64_t>(value);
  uint64_t bits = encodeFloat(value, format.exponent, format.mantissa,
                              c.toIntegral ? Rounding::Nearest : c.rounding);
  if (c.ftz && c.to == Type::F32)
    bits = std::bit_cast<uint32_t>(flush(std::bit_cast<float>(uint32_t(bits))));
  return bits;
}

uint64_t convertOne(const Conversion &c, uint64_t bits) {
  if (!isFloatType(c.from))
    return isFloatType(c.to) ? integerToFloat(c, bits)
                             : integerToInteger(c, bits);
  if (c.ftz && c.from == Type::F32)
    bits = std::bit_cast<uint32_t>(flush(std::bit_cast<float>(uint32_t(bits))));
  double value = decodeFloat(c.from, bits);
  return isFloatType(c.to) ? floatToFloat(c, value) : floatToInteger(c, value);
}

void convert(Warp &warp, const Op &op, LaneMask exec) {
  const auto &c = *static_cast<const Conversion *>(op.record);
  uint64_t values[warpSize];
  warp.readWide(op.list[1], c.fromBytes, values);
  for (unsigned i = 0; i < warpSize; ++i)
    values[i] = convertOne(c, values[i]);
  warp.writeWide(op.list[0], c.toBytes, values, exec);
}

/// cvt.f16x2.f32 d, a, b: a goes into the upper half.
void convertPair(Warp &warp, const Op &op, LaneMask exec) {
  const auto &c = *static_cast<const Conversion *>(op.record);
  const uint32_t *a = warp.row<uint32_t>(op.list[1]);
  const uint32_t *b = warp.row<uint32_t>(op.list[2]);
  uint32_t out[warpSize];
  for (unsigned i = 0; i < warpSize; ++i)
    out[i] =
        uint32_t(convertOne(c, a[i])) << 16 | uint32_t(convertOne(c, b[i]));
  warp.write(op.list[0], out, exec);
}

//===----------------------------------------------------------------------===//
// Fast loops
//===----------------------------------------------------------------------===//

float canonical(float value) {
  return value == value ? value : std::bit_cast<float>(0x7fffffffu);
}

uint32_t pairOfBFloats(float a, float b) {
  return uint32_t(floatToBFloat(a)) << 16 | floatToBFloat(b);
}
uint32_t pairOfHalves(float a, float b) {
  return uint32_t(floatToHalf(a)) << 16 | floatToHalf(b);
}
/// Toward zero, with the ends of the range for what lies outside.
int32_t truncated(float value) {
  if (!(value == value))
    return 0;
  if (value <= -0x1p31f)
    return INT32_MIN;
  return value >= 0x1p31f ? INT32_MAX : int32_t(value);
}

struct FastLoop {
  Type to, from;
  Rounding rounding;
  bool toIntegral;
  Handler handler;
};

template <typename To, typename From> To cast(From value) { return To(value); }

const FastLoop fastLoops[] = {
    {Type::U64, Type::U32, Rounding::Nearest, false,
     lanes<cast<uint64_t, uint32_t>, uint64_t, uint32_t>},
    {Type::S64, Type::S32, Rounding::Nearest, false,
     lanes<cast<int64_t, int32_t>, int64_t, int32_t>},
    {Type::U32, Type::U64, Rounding::Nearest, false,
     lanes<cast<uint32_t, uint64_t>, uint32_t, uint64_t>},
    {Type::U32, Type::U16, Rounding::Nearest, false,
     lanes<cast<uint32_t, uint16_t>, uint32_t, uint16_t>},
    {Type::U16, Type::U32, Rounding::Nearest, false,
     lanes<cast<uint16_t, uint32_t>, uint16_t, uint32_t>},
    {Type::S32, Type::S16, Rounding::Nearest, false,
     lanes<cast<int32_t, int16_t>, int32_t, int16_t>},
    {Type::F32, Type::S32, Rounding::Nearest, false,
     lanes<cast<float, int32_t>, float, int32_t>},
    {Type::F32, Type::U32, Rounding::Nearest, false,
     lanes<cast<float, uint32_t>, float, uint32_t>},
    {Type::F64, Type::S32, Rounding::Nearest, false,
     lanes<cast<double, int32_t>, double, int32_t>},
    {Type::S32, Type::F32, Rounding::Zero, true,
     lanes<truncated, int32_t, float>},
    {Type::F64, Type::F32, Rounding::Nearest, false,
     lanes<cast<double, float>, double, float>},
    {Type::F32, Type::F16, Rounding::Nearest, false,
     lanes<[](uint16_t a) { return canonical(halfToFloat(a)); }, float,
           uint16_t>},
    {Type::F32, Type::BF16, Rounding::Nearest, false,
     lanes<[](uint16_t a) { return canonical(bfloatToFloat(a)); }, float,
           uint16_t>},
    {Type::F16, Type::F32, Rounding::Nearest, false,
     lanes<floatToHalf, uint16_t, float>},
    {Type::BF16, Type::F32, Rounding::Nearest, false,
     lanes<floatToBFloat, uint16_t, float>},
    {Type::F32, Type::F64, Rounding::Nearest, false,
     lanes<[](double a) { return canonical(float(a)); }, float, double>},
};

Handler fastHandler(const Conversion &c) {
  bool isPlain = !c.ftz && !c.sat && !c.relu && c.toBytes == sizeOf(c.to) &&
                 c.fromBytes == sizeOf(c.from);
  for (const FastLoop &loop : fastLoops)
    if (isPlain && loop.to == c.to && loop.from == c.from &&
        loop.rounding == c.rounding && loop.toIntegral == c.toIntegral)
      return loop.handler;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

bool isMine(Type type) {
  return (isInteger(type) && type != Type::None) || isFloatType(type) ||
         type == Type::F16x2 || type == Type::BF16x2;
}

void decodePack(Decoder &d);

void decodeCvt(Decoder &d) {
  const auto &modifiers = d.source.modifiers;
  if (d.peek() == "pack")
    return decodePack(d);
  if (modifiers.size() < 2)
    return d.fail("expected the types of the result and the operand");
  Type from = typeNamed(modifiers.back()).value_or(Type::None);
  Type to = typeNamed(modifiers[modifiers.size() - 2]).value_or(Type::None);
  if (!isMine(from) || !isMine(to) || from == Type::F16x2 ||
      from == Type::BF16x2)
    return d.pass();
  Conversion c;
  c.to = to;
  c.from = from;
  auto rounding =
      d.takeOneOf({"rn", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi", "rna"});
  c.rounding = rounding ? (*rounding == 8 ? Rounding::NearestAway
                                          : Rounding(*rounding & 3))
                        : Rounding::Nearest;
  c.toIntegral = rounding && *rounding >= 4 && *rounding < 8;
  c.relu = d.take("relu");
  if (d.peek() == "satfinite" || d.peek() == "scaled")
    return d.pass();
  c.ftz = d.take("ftz");
  c.sat = d.take("sat");
  c.relu |= d.take("relu");
  d.advance();
  d.advance();
  d.finishModifiers();
  bool isPair = to == Type::F16x2 || to == Type::BF16x2;
  if (!d.expectOperands(isPair ? 3 : 2))
    return;
  bool toFloat = isFloatType(to) || isPair, fromFloat = isFloatType(from);
  if (fromFloat && !toFloat && !c.toIntegral)
    return d.fail(
        "expected .rni, .rzi, .rmi or .rpi for a float to an integer");
  bool narrows = toFloat && fromFloat &&
                 (isPair || sizeOf(to) < sizeOf(from) ||
                  (sizeOf(to) == 2 && sizeOf(from) == 2 && to != from));
  bool isInexact = narrows || (toFloat && !fromFloat);
  if (isInexact && !rounding)
    return d.fail("expected a rounding: .rn, .rz, .rm or .rp");
  if (isPair) {
    if (from != Type::F32)
      return d.fail("expected .f32 operands");
    bool isFast =
        c.rounding == Rounding::Nearest && !c.relu && !c.ftz && !c.sat;
    bool isBFloat = to == Type::BF16x2;
    c.to = isBFloat ? Type::BF16 : Type::F16;
    d.result(0, to);
    d.value(1, from);
    d.value(2, from);
    d.op.record = d.keep(c);
    return d.use(!isFast    ? convertPair
                 : isBFloat ? lanes<pairOfBFloats, uint32_t, float, float>
                            : lanes<pairOfHalves, uint32_t, float, float>,
                 Class::Conversion);
  }
  d.result(0, to, true);
  d.value(1, from, true);
  c.toBytes = d.op.widths[0];
  c.fromBytes = d.op.widths[1];
  d.op.record = d.keep(c);
  Handler fast = fastHandler(c);
  d.use(fast ? fast : convert, Class::Conversion);
}

/// cvt.pack.sat.TO.FROM d, a, b{, c}: a above b, c above both.
void packSaturated(Warp &warp, const Op &op, LaneMask exec) {
  const auto &c = *static_cast<const Conversion *>(op.record);
  const uint32_t *a = warp.row<uint32_t>(op.list[1]);
  const uint32_t *b = warp.row<uint32_t>(op.list[2]);
  const uint32_t *rest =
      op.numSlots > 3 ? warp.row<uint32_t>(op.list[3]) : nullptr;
  unsigned bits = 8 * sizeOf(c.to);
  uint32_t mask = bits == 16 ? 0xffff : 0xff;
  uint32_t out[warpSize];
  for (unsigned i = 0; i < warpSize; ++i) {
    uint32_t high = uint32_t(integerToInteger(c, a[i])) & mask;
    uint32_t low = uint32_t(integerToInteger(c, b[i])) & mask;
    out[i] = high << bits | low | (rest ? rest[i] << 16 : 0);
  }
  warp.write(op.list[0], out, exec);
}

void decodePack(Decoder &d) {
  d.take("pack");
  if (!d.take("sat"))
    return d.fail("expected .sat");
  Conversion c;
  c.sat = true;
  c.to = d.expectType({Type::U16, Type::S16, Type::U8, Type::S8});
  c.from = d.expectType({Type::S32});
  bool hasRest = d.take("b32");
  d.finishModifiers();
  if (!d.expectOperands(hasRest ? 4 : 3))
    return;
  if (hasRest != (sizeOf(c.to) == 1))
    return d.fail(
        "types of 8 bits have a third operand .b32, those of 16 bits none");
  d.result(0, Type::B32);
  for (unsigned i = 1; i < d.numOperands(); ++i)
    d.value(i, Type::B32);
  d.op.record = d.keep(c);
  d.use(packSaturated, Class::Conversion);
}

} // namespace

void clade::ptx::addConvert(Registry &r) { r.add("cvt", decodeCvt); }
