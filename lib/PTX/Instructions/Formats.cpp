//===- Formats.cpp - Floats of 16 bits ------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/Formats.h"

#ifdef __F16C__
#include <immintrin.h>
#endif

using namespace clade::ptx;

uint64_t clade::ptx::encodeNumber(bool isNegative, uint64_t significand,
                                  int exponent, unsigned exponentBits,
                                  unsigned mantissaBits, Rounding rounding) {
  uint64_t signBit = uint64_t(isNegative) << (exponentBits + mantissaBits);
  uint64_t infinity = ((uint64_t(1) << exponentBits) - 1) << mantissaBits;
  if (significand == 0)
    return signBit;
  int bias = (1 << (exponentBits - 1)) - 1;
  int top = 63 - std::countl_zero(significand);
  int stored = top + exponent + bias;
  // Bits below the last kept one; more of them for subnormal results.
  int drop = top - int(mantissaBits);
  if (stored < 1) {
    drop += 1 - stored;
    stored = 0;
  }
  bool isUp = false;
  uint64_t kept = 0;
  if (drop <= 0) {
    kept = significand << -drop;
  } else if (drop > 63) {
    // Less than half of the least value, or half of it at most.
    bool isAboveHalf = drop == 64 && significand > uint64_t(1) << 63;
    bool isHalf = drop == 64 && significand == uint64_t(1) << 63;
    isUp = rounding == (isNegative ? Rounding::Down : Rounding::Up) ||
           (rounding == Rounding::Nearest && isAboveHalf) ||
           (rounding == Rounding::NearestAway && (isAboveHalf || isHalf));
  } else {
    kept = significand >> drop;
    uint64_t rest = significand & ((uint64_t(1) << drop) - 1);
    uint64_t half = uint64_t(1) << (drop - 1);
    switch (rounding) {
    case Rounding::Nearest:
      isUp = rest > half || (rest == half && (kept & 1));
      break;
    case Rounding::NearestAway:
      isUp = rest >= half;
      break;
    case Rounding::Zero:
      break;
    case Rounding::Down:
      isUp = isNegative && rest;
      break;
    case Rounding::Up:
      isUp = !isNegative && rest;
      break;
    }
  }
  kept += isUp;
  // The hidden bit of a normal result adds one to the exponent field, and a
  // carry out of the fraction does so too.
  uint64_t result =
      stored == 0 ? kept : (uint64_t(stored - 1) << mantissaBits) + kept;
  if (stored > (1 << exponentBits) || result >= infinity) {
    bool toGreatest = rounding == Rounding::Zero ||
                      rounding == (isNegative ? Rounding::Up : Rounding::Down);
    result = toGreatest ? infinity - 1 : infinity;
  }
  return signBit | result;
}

uint64_t clade::ptx::encodeFloat(double value, unsigned exponentBits,
                                 unsigned mantissaBits, Rounding rounding) {
  uint64_t bits = std::bit_cast<uint64_t>(value);
  uint64_t magnitude = bits & ~(uint64_t(1) << 63);
  if (magnitude > uint64_t(0x7ff) << 52)
    return (uint64_t(1) << (exponentBits + mantissaBits)) - 1;
  if (magnitude == uint64_t(0x7ff) << 52)
    return (bits >> 63) << (exponentBits + mantissaBits) |
           ((uint64_t(1) << exponentBits) - 1) << mantissaBits;
  int exponent = int(magnitude >> 52);
  uint64_t significand = magnitude & ((uint64_t(1) << 52) - 1);
  significand |= exponent ? uint64_t(1) << 52 : 0;
  return encodeNumber(bits >> 63, significand, (exponent ? exponent : 1) - 1075,
                      exponentBits, mantissaBits, rounding);
}

uint16_t clade::ptx::floatToHalf(float value) {
#ifdef __F16C__
  if (value != value)
    return 0x7fff;
  return uint16_t(_cvtss_sh(value, 0));
#else
  return toHalf(value);
#endif
}
