//===- NarrowFloat.cpp - Floating-point formats below 32 bits -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/NarrowFloat.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace clade::ptx {

/// `mantissa` without its last `drop` bits, rounded.
static uint32_t roundMantissa(uint32_t mantissa, unsigned drop,
                              const NarrowOptions &options) {
  if (drop == 0)
    return mantissa;
  // Beyond 25 bits nothing of a 24-bit mantissa is left but that it is there.
  if (drop > 31) {
    drop = 31;
  }
  uint32_t kept = mantissa >> drop;
  uint32_t rest = mantissa & ((1u << drop) - 1);
  uint32_t half = 1u << (drop - 1);
  switch (options.rounding) {
  case NarrowRounding::TowardZero:
    return kept;
  case NarrowRounding::NearestAway:
    return kept + (rest >= half);
  case NarrowRounding::NearestEven:
    return kept + (rest > half || (rest == half && (kept & 1)));
  case NarrowRounding::Stochastic: {
    uint64_t random = options.random;
    random = drop >= options.randomBits ? random << (drop - options.randomBits)
                                        : random >> (options.randomBits - drop);
    return kept + uint32_t((rest + random) >> drop);
  }
  }
  return kept;
}

uint32_t encodeNarrow(const NarrowFormat &format, float value,
                      const NarrowOptions &options) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t magnitude = bits & 0x7FFFFFFF;
  bool isNegative = bits >> 31;
  if (magnitude > 0x7F800000)
    return format.nan;
  if (options.relu && isNegative && magnitude)
    return 0;
  uint32_t sign = uint32_t(isNegative) << (format.bits() - 1);
  uint32_t tooLarge =
      options.saturates || !format.infinity ? format.largest : format.infinity;
  if (magnitude == 0x7F800000)
    return sign | tooLarge;

  // value = mantissa * 2^(exponent - 23).
  int exponent = int(magnitude >> 23) - 127;
  uint32_t mantissa = magnitude & 0x7FFFFF;
  if (exponent == -127)
    exponent = -126;
  else
    mantissa |= 0x800000;
  int lowest = 1 - format.bias; // Exponent of the subnormals.
  int target = std::max(exponent, lowest);
  unsigned drop = 23 - format.mantissaBits + (target - exponent);
  // With the implicit bit in `kept`, carries run into the exponent field.
  uint32_t kept = roundMantissa(mantissa, drop, options);
  uint32_t code = (uint32_t(target - lowest) << format.mantissaBits) + kept;
  if (code > format.largest) {
    // Rounding toward zero stops at the largest finite value.
    bool stops = options.rounding == NarrowRounding::TowardZero;
    code = stops ? format.largest : tooLarge;
  }
  return sign | code;
}

float decodeNarrow(const NarrowFormat &format, uint32_t code) {
  uint32_t mantissaMask = (1u << format.mantissaBits) - 1;
  uint32_t exponent =
      (code >> format.mantissaBits) & ((1u << format.exponentBits) - 1);
  uint32_t mantissa = code & mantissaMask;
  uint32_t sign = (code >> (format.bits() - 1) & 1) << 31;
  uint32_t magnitude = code & ((1u << (format.bits() - 1)) - 1);
  if (magnitude > format.largest) {
    if (magnitude == format.infinity)
      return std::bit_cast<float>(sign | 0x7F800000);
    // A payload survives only where the format is an IEEE one.
    if (format.bits() < 16)
      return std::bit_cast<float>(0x7FFFFFFFu);
    return std::bit_cast<float>(sign | 0x7F800000 |
                                mantissa << (23 - format.mantissaBits));
  }
  float value =
      exponent == 0
          ? std::ldexp(float(mantissa),
                       1 - format.bias - int(format.mantissaBits))
          : std::ldexp(float(mantissa | (mantissaMask + 1)),
                       int(exponent) - format.bias - int(format.mantissaBits));
  return sign ? -value : value;
}

uint8_t encodeUE8M0(float value, bool roundUp, bool saturates) {
  uint32_t magnitude = std::bit_cast<uint32_t>(value) & 0x7FFFFFFF;
  if (magnitude > 0x7F800000)
    return 0xFF;
  uint32_t code = magnitude >> 23, mantissa = magnitude & 0x7FFFFF;
  // Below 2^-126 the only code is 2^-127, whose mantissa is 0x400000.
  if (roundUp && mantissa > (code == 0 ? 0x400000u : 0u))
    ++code;
  return code >= 0xFF ? (saturates ? 0xFE : 0xFF) : code;
}

float decodeUE8M0(uint8_t code) {
  if (code == 0xFF)
    return std::bit_cast<float>(0x7FFFFFFFu);
  return std::ldexp(1.0f, int(code) - 127);
}

float halfToFloat(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000) << 16;
  uint32_t magnitude = bits & 0x7FFF;
  if (magnitude >= 0x7C00)
    return std::bit_cast<float>(sign | 0x7F800000 | (magnitude & 0x3FF) << 13);
  // A scale by 2^112 moves the exponent's bias; it is exact for subnormals.
  float value = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
}

static std::array<float, 256> valuesOf(const NarrowFormat &format) {
  std::array<float, 256> values;
  for (unsigned code = 0; code < 256; ++code)
    values[code] = decodeNarrow(format, code);
  return values;
}

const float *e4m3Values() {
  static const std::array<float, 256> values = valuesOf(formatE4M3);
  return values.data();
}

const float *e5m2Values() {
  static const std::array<float, 256> values = valuesOf(formatE5M2);
  return values.data();
}

} // namespace clade::ptx
