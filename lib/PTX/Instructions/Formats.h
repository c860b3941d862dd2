//===- Formats.h - Floats of 16 bits ----------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_INSTRUCTIONS_FORMATS_H
#define CLADE_PTX_INSTRUCTIONS_FORMATS_H

#include "lib/PTX/Program.h"

#include <bit>
#include <cstdint>
#include <cstring>

namespace clade::ptx {

/// Storage of an f16 and of a bf16.
struct HalfBits {
  uint16_t bits;
};
struct BFloatBits {
  uint16_t bits;
};

/// Directions of rounding, as PTX names them.
enum class Rounding : uint8_t { Nearest, Zero, Down, Up, NearestAway };

/// A subnormal becomes a zero of its sign (.ftz).
inline float flush(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  return (bits & 0x7f800000) ? value : std::bit_cast<float>(bits & 0x80000000);
}
inline uint16_t flushHalf(uint16_t bits) {
  return (bits & 0x7c00) ? bits : bits & 0x8000;
}

inline float bfloatToFloat(uint16_t bits) {
  return std::bit_cast<float>(uint32_t(bits) << 16);
}

/// Exact.
inline float halfToFloat(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000) << 16;
  uint32_t rest = bits & 0x7fff;
  if (rest >= 0x7c00)
    return std::bit_cast<float>(sign | 0x7f800000 | (rest & 0x3ff) << 13);
  // The exponent is moved by a multiplication, which normalises subnormals.
  float moved = std::bit_cast<float>(rest << 13) *
                std::bit_cast<float>(uint32_t(254 - 15) << 23);
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(moved));
}

/// A double to a binary format with `mantissa` stored bits and an exponent of
/// `exponent` bits, once rounded. NaN gives all ones below the sign, as the
/// canonical NaNs of PTX are. Overflow gives infinity, or the greatest finite
/// value in the directions that lead there.
uint64_t encodeFloat(double value, unsigned exponent, unsigned mantissa,
                     Rounding rounding);

/// The same for the number `significand` * 2^`exponent` with a sign.
uint64_t encodeNumber(bool isNegative, uint64_t significand, int exponent,
                      unsigned exponentBits, unsigned mantissaBits,
                      Rounding rounding);

inline uint16_t toHalf(double value, Rounding rounding = Rounding::Nearest) {
  return uint16_t(encodeFloat(value, 5, 10, rounding));
}
inline uint16_t toBFloat(double value, Rounding rounding = Rounding::Nearest) {
  return uint16_t(encodeFloat(value, 8, 7, rounding));
}
/// Rounded to nearest, fast; the same as toHalf and toBFloat of the float.
uint16_t floatToHalf(float value);
inline uint16_t floatToBFloat(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return 0x7fff;
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// The halves of 32 packed pairs: out[0] of the low ones.
template <typename Stored>
void splitPairs(const uint32_t *pairs, Stored (&out)[2][warpSize]) {
  for (unsigned i = 0; i < warpSize; ++i) {
    out[0][i].bits = uint16_t(pairs[i]);
    out[1][i].bits = uint16_t(pairs[i] >> 16);
  }
}

} // namespace clade::ptx

#endif // CLADE_PTX_INSTRUCTIONS_FORMATS_H
