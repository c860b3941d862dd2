//===- NarrowFloat.h - Floating-point formats below 32 bits -----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Encoding and decoding of the formats that `cvt` and the tensor cores know
// beside .f32 and .f64 (PTX ISA 5.2.3 and 9.7.9.21; the OCP 8-bit and MX
// specifications).
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_NARROWFLOAT_H
#define CLADE_PTX_NARROWFLOAT_H

#include <cstdint>

namespace clade::ptx {

/// A format of one sign bit, an exponent and a mantissa, subnormals included.
struct NarrowFormat {
  unsigned exponentBits;
  unsigned mantissaBits;
  int bias;
  uint32_t largest;  ///< Code of the largest finite value.
  uint32_t infinity; ///< Code of infinity; 0 where there is none.
  uint32_t nan; ///< Code that a NaN becomes; `largest` where there is none.

  unsigned bits() const { return 1 + exponentBits + mantissaBits; }
};

inline constexpr NarrowFormat formatF16 = {5, 10, 15, 0x7BFF, 0x7C00, 0x7FFF};
inline constexpr NarrowFormat formatBF16 = {8, 7, 127, 0x7F7F, 0x7F80, 0x7FFF};
/// In the upper 19 bits of 32: a code is shifted left by 13 in a register.
inline constexpr NarrowFormat formatTF32 = {8,       10,      127,
                                            0x3FBFF, 0x3FC00, 0x3FFFF};
inline constexpr NarrowFormat formatE4M3 = {4, 3, 7, 0x7E, 0, 0x7F};
inline constexpr NarrowFormat formatE5M2 = {5, 2, 15, 0x7B, 0x7C, 0x7F};
inline constexpr NarrowFormat formatE2M1 = {2, 1, 1, 0x7, 0, 0x7};
inline constexpr NarrowFormat formatE2M3 = {2, 3, 1, 0x1F, 0, 0x1F};
inline constexpr NarrowFormat formatE3M2 = {3, 2, 3, 0x1F, 0, 0x1F};

enum class NarrowRounding : uint8_t {
  NearestEven, ///< .rn
  NearestAway, ///< .rna
  TowardZero,  ///< .rz
  Stochastic,  ///< .rs: up if the random bits carry out of what is dropped.
};

struct NarrowOptions {
  NarrowRounding rounding = NarrowRounding::NearestEven;
  bool saturates = false;  ///< .satfinite: what is too large becomes `largest`.
  bool relu = false;       ///< Below zero becomes +0; NaN stays NaN.
  uint32_t random = 0;     ///< Of .rs: `randomBits` bits, aligned below the
  unsigned randomBits = 0; ///< last bit that is kept.
};

/// The code of `value`, in the low bits.
uint32_t encodeNarrow(const NarrowFormat &format, float value,
                      const NarrowOptions &options);
/// The value of a code; exact. NaNs are the f32 pattern 0x7fffffff, but for
/// f16 and bf16 their payload is kept, as cvt does.
float decodeNarrow(const NarrowFormat &format, uint32_t code);

/// .ue8m0, a power of two without sign: 2^(code - 127), 0xff is NaN. Rounds
/// toward zero or up (.rz, .rp); the sign of `value` is ignored. With
/// `saturates` what is above 2^127 becomes 0xfe, otherwise 0xff.
uint8_t encodeUE8M0(float value, bool roundUp, bool saturates);
float decodeUE8M0(uint8_t code);

/// Faster forms of decodeNarrow for whole tiles.
float halfToFloat(uint16_t bits);
inline float bfloatToFloat(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  return __builtin_bit_cast(float, wide);
}
/// 256 values each.
const float *e4m3Values();
const float *e5m2Values();

} // namespace clade::ptx

#endif // CLADE_PTX_NARROWFLOAT_H
