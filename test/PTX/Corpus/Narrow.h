//===- Narrow.h - Numbers of 16 and 8 bits on the host -------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Written from the formats' definitions, independently of the machine.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_PTX_CORPUS_NARROW_H
#define CLADE_TEST_PTX_CORPUS_NARROW_H

#include <cfenv>
#include <cmath>
#include <cstdint>
#include <vector>

namespace corpus {

struct Format {
  int exponentBits, fractionBits;
  bool hasInfinity; ///< Otherwise the largest exponent has numbers but one NaN.
  int bias() const { return (1 << (exponentBits - 1)) - 1; }
  int width() const { return 1 + exponentBits + fractionBits; }
  double largest() const {
    int top = (1 << exponentBits) - 1 - (hasInfinity ? 1 : 0) - bias();
    double fraction = 2 - std::ldexp(hasInfinity ? 1 : 2, -fractionBits);
    return std::ldexp(fraction, top);
  }
  double decode(unsigned bits) const {
    unsigned fraction = bits & ((1u << fractionBits) - 1);
    int exponent = int(bits >> fractionBits & ((1u << exponentBits) - 1));
    double sign = bits >> (width() - 1) & 1 ? -1 : 1;
    bool isTop = exponent == (1 << exponentBits) - 1;
    if (hasInfinity && isTop)
      return fraction ? NAN : sign * HUGE_VAL;
    if (!hasInfinity && isTop && fraction == (1u << fractionBits) - 1)
      return NAN;
    if (exponent == 0)
      return sign * std::ldexp(fraction, 1 - bias() - fractionBits);
    return sign * std::ldexp(fraction + (1u << fractionBits),
                             exponent - bias() - fractionBits);
  }
  /// The nearest number in the rounding `mode` of <cfenv>; past the largest,
  /// infinity or, where `saturates`, the largest.
  double round(double x, int mode = FE_TONEAREST,
               bool saturates = false) const {
    if (x == 0 || std::isnan(x))
      return x;
    if (std::isinf(x))
      return saturates ? std::copysign(largest(), x) : x;
    int exponent = std::max(std::ilogb(x), 1 - bias());
    double unit = std::ldexp(1.0, exponent - fractionBits), steps = x / unit,
           whole = std::trunc(steps), rest = std::fabs(steps - whole);
    bool isOdd = std::fmod(whole, 2) != 0, away = false;
    switch (mode) {
    case FE_TONEAREST:
      away = rest > 0.5 || (rest == 0.5 && isOdd);
      break;
    case FE_UPWARD:
      away = rest > 0 && x > 0;
      break;
    case FE_DOWNWARD:
      away = rest > 0 && x < 0;
      break;
    }
    double result = std::copysign((std::fabs(whole) + away) * unit, x);
    if (std::fabs(result) <= largest())
      return result;
    bool staysBelow = mode == FE_TOWARDZERO || (mode == FE_UPWARD && x < 0) ||
                      (mode == FE_DOWNWARD && x > 0);
    return std::copysign(saturates || staysBelow ? largest() : HUGE_VAL, x);
  }
  /// The bits of a number that the format has.
  unsigned encode(double x) const {
    unsigned sign = std::signbit(x) ? 1u << (width() - 1) : 0;
    unsigned top = ((1u << exponentBits) - 1) << fractionBits;
    if (std::isnan(x))
      return hasInfinity ? top | 1u << (fractionBits - 1)
                         : top | ((1u << fractionBits) - 1);
    if (std::isinf(x))
      return sign | top;
    if (x == 0)
      return sign;
    int exponent = std::max(std::ilogb(x), 1 - bias());
    auto units = unsigned(std::ldexp(std::fabs(x), fractionBits - exponent));
    // A subnormal number has no leading one, and the exponent zero.
    return sign + (unsigned(exponent + bias() - 1) << fractionBits) + units;
  }
};

inline constexpr Format half = {5, 10, true}, bfloat = {8, 7, true},
                        e4m3 = {4, 3, false}, e5m2 = {5, 2, true};

/// The bits of values that are rounded to the format first.
inline std::vector<uint16_t> encodeAll(const Format &format,
                                       const std::vector<double> &values) {
  std::vector<uint16_t> bits;
  for (double value : values)
    bits.push_back(uint16_t(format.encode(format.round(value))));
  return bits;
}
inline std::vector<double> decodeAll(const Format &format,
                                     const std::vector<uint16_t> &bits) {
  std::vector<double> values;
  for (uint16_t value : bits)
    values.push_back(format.decode(value));
  return values;
}

} // namespace corpus

#endif // CLADE_TEST_PTX_CORPUS_NARROW_H
