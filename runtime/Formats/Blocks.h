//===- Blocks.h - Decoders of block types -----------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One struct a block type, its formula in the comment, written so that the
// inner loops vectorise. All products of a scale and a quantised value are
// exact in f32 (at most 22 significant bits) but those of scales in f32, so
// contraction into fused multiply-adds changes nothing. Private to
// Dequantize.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_FORMATS_BLOCKS_H
#define CLADE_RUNTIME_FORMATS_BLOCKS_H

#include "runtime/Formats/DType.h"

#include <cstring>

// Inlined into each version of the callers, so that its target applies.
#define ALWAYS_INLINE __attribute__((always_inline))

// NOLINTBEGIN(readability-identifier-naming): ggml's names.
namespace clade::rt::blocks {

template <typename T> ALWAYS_INLINE inline T load(const void *from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

ALWAYS_INLINE inline float loadF16(const uint8_t *from) {
  return f16ToF32(load<uint16_t>(from));
}

// Each block decoder reads one block and writes its elements. `length` and
// `bytes` are those of the type table.

/// f16 d, 32 × i8 q: d * q.
struct BlockQ8_0 {
  static constexpr int length = 32, bytes = 34;
  ALWAYS_INLINE static void decode(const uint8_t *block,
                                   float *__restrict out) {
    float d = loadF16(block);
    for (int i = 0; i < 32; ++i)
      out[i] = d * static_cast<float>(static_cast<int8_t>(block[2 + i]));
  }
};

/// f32 d, 64 × i8 q: d * q, rounded.
struct BlockQ8_ROW {
  static constexpr int length = 64, bytes = 68;
  ALWAYS_INLINE static void decode(const uint8_t *block,
                                   float *__restrict out) {
    float d = load<float>(block);
    for (int i = 0; i < 64; ++i)
      out[i] = d * static_cast<float>(static_cast<int8_t>(block[4 + i]));
  }
};

// The types of 32 small values decode in two steps, bytes first. Several blocks
// go through a step together: their bytes, written eight at a time, are then in
// the cache before they are read in longer vectors.

/// Writes 16 bytes of two nibbles as bytes: all low ones, then all high ones.
ALWAYS_INLINE inline void unpackNibbles(const uint8_t *nibbles, uint8_t *q) {
  for (int half = 0; half < 2; ++half) {
    uint64_t pairs = load<uint64_t>(nibbles + 8 * half);
    uint64_t low = pairs & 0x0f0f0f0f0f0f0f0fu;
    uint64_t high = pairs >> 4 & 0x0f0f0f0f0f0f0f0fu;
    std::memcpy(q + 8 * half, &low, sizeof(low));
    std::memcpy(q + 16 + 8 * half, &high, sizeof(high));
  }
}

/// The same, with bit i of `top` as the fifth bit of element i.
ALWAYS_INLINE inline void unpackFiveBits(const uint8_t *nibbles, uint32_t top,
                                         uint8_t *q) {
  unpackNibbles(nibbles, q);
  for (int at = 0; at < 32; at += 8) {
    // Eight copies of a byte, each with another bit of it left.
    uint64_t copies = (top >> at & 0xff) * 0x0101010101010101u;
    uint64_t bits = copies & 0x8040201008040201u;
    // In each byte, any bit becomes bit 7, and that bit 4.
    uint64_t fifth = ((bits + 0x7f7f7f7f7f7f7f7fu) | bits) >> 3;
    uint64_t eight = load<uint64_t>(q + at) | (fifth & 0x1010101010101010u);
    std::memcpy(q + at, &eight, sizeof(eight));
  }
}

/// f16 d, 16 bytes of two nibbles q (low nibbles first): d * (q - 8).
struct BlockQ4_0 {
  static constexpr int length = 32, bytes = 18;
  ALWAYS_INLINE static void unpack(const uint8_t *block, uint8_t *q) {
    unpackNibbles(block + 2, q);
  }
  ALWAYS_INLINE static void scale(const uint8_t *block, const uint8_t *q,
                                  float *__restrict out) {
    float d = loadF16(block);
    for (int i = 0; i < 32; ++i)
      out[i] = d * static_cast<float>(q[i] - 8);
  }
};

/// f16 d, f16 m, 16 bytes of two nibbles q: d * q + m.
struct BlockQ4_1 {
  static constexpr int length = 32, bytes = 20;
  ALWAYS_INLINE static void unpack(const uint8_t *block, uint8_t *q) {
    unpackNibbles(block + 4, q);
  }
  ALWAYS_INLINE static void scale(const uint8_t *block, const uint8_t *q,
                                  float *__restrict out) {
    float d = loadF16(block), m = loadF16(block + 2);
    for (int i = 0; i < 32; ++i)
      out[i] = d * static_cast<float>(q[i]) + m;
  }
};

/// f16 d, 32 high bits, 16 bytes of two nibbles: d * (q - 16).
struct BlockQ5_0 {
  static constexpr int length = 32, bytes = 22;
  ALWAYS_INLINE static void unpack(const uint8_t *block, uint8_t *q) {
    unpackFiveBits(block + 6, load<uint32_t>(block + 2), q);
  }
  ALWAYS_INLINE static void scale(const uint8_t *block, const uint8_t *q,
                                  float *__restrict out) {
    float d = loadF16(block);
    for (int i = 0; i < 32; ++i)
      out[i] = d * static_cast<float>(q[i] - 16);
  }
};

/// f16 d, f16 m, 32 high bits, 16 bytes of two nibbles: d * q + m.
struct BlockQ5_1 {
  static constexpr int length = 32, bytes = 24;
  ALWAYS_INLINE static void unpack(const uint8_t *block, uint8_t *q) {
    unpackFiveBits(block + 8, load<uint32_t>(block + 4), q);
  }
  ALWAYS_INLINE static void scale(const uint8_t *block, const uint8_t *q,
                                  float *__restrict out) {
    BlockQ4_1::scale(block, q, out);
  }
};

/// The values that the nibbles of IQ4_NL and IQ4_XS stand for.
inline constexpr float tableIQ4[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/// f16 d, 16 bytes of two nibbles that index a table of values: d * table[q].
struct BlockIQ4_NL {
  static constexpr int length = 32, bytes = 18;
  ALWAYS_INLINE static void unpack(const uint8_t *block, uint8_t *q) {
    unpackNibbles(block + 2, q);
  }
  ALWAYS_INLINE static void scale(const uint8_t *block, const uint8_t *q,
                                  float *__restrict out) {
    float d = loadF16(block);
    for (int i = 0; i < 32; ++i)
      out[i] = d * tableIQ4[q[i]];
  }
};

/// Twice the values of E2M1. Blocks that use it have half the scale; as ggml
/// has it, code 8 is 0, not -0.
inline constexpr float tableE2M1[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                        0, -1, -2, -3, -4, -6, -8, -12};

/// e8m0 e, 16 bytes of two nibbles that index E2M1: 2^(e - 128) * 2 E2M1[q].
struct BlockMXFP4 {
  static constexpr int length = 32, bytes = 17;
  ALWAYS_INLINE static void unpack(const uint8_t *block, uint8_t *q) {
    unpackNibbles(block + 1, q);
  }
  ALWAYS_INLINE static void scale(const uint8_t *block, const uint8_t *q,
                                  float *__restrict out) {
    // Half of 2^(e - 127), also where that is subnormal.
    uint32_t e = block[0];
    float d = std::bit_cast<float>(e < 2 ? 0x00200000u << e : (e - 1) << 23);
    for (int i = 0; i < 32; ++i)
      out[i] = d * tableE2M1[q[i]];
  }
};

/// f16 d, 16 bits of eight 2-bit tops, 4 bytes of eight low nibbles of scales,
/// 128 bytes of two nibbles: for each 32 elements d * (scale - 32) * table[q].
struct BlockIQ4_XS {
  static constexpr int length = 256, bytes = 136;
  ALWAYS_INLINE static void decode(const uint8_t *block,
                                   float *__restrict out) {
    float d = loadF16(block);
    int tops = load<uint16_t>(block + 2);
    for (int group = 0; group < 8; ++group) {
      int low = (block[4 + group / 2] >> (group % 2 * 4)) & 15;
      int high = (tops >> (group * 2)) & 3;
      float scale = d * static_cast<float>((low | high << 4) - 32);
      const uint8_t *q = block + 8 + group * 16;
      float *to = out + group * 32;
      for (int i = 0; i < 16; ++i) {
        to[i] = scale * tableIQ4[q[i] & 15];
        to[16 + i] = scale * tableIQ4[q[i] >> 4];
      }
    }
  }
};

/// 16 bytes (scale | min << 4), 64 bytes of four 2-bit q, f16 d, f16 dmin: for
/// each 16 elements (d * scale) * q - dmin * min.
struct BlockQ2_K {
  static constexpr int length = 256, bytes = 84;
  ALWAYS_INLINE static void decode(const uint8_t *block,
                                   float *__restrict out) {
    const uint8_t *q = block + 16;
    float d = loadF16(block + 80), dmin = loadF16(block + 82);
    for (int group = 0; group < 16; ++group) {
      float scale = d * static_cast<float>(block[group] & 15);
      float min = dmin * static_cast<float>(block[group] >> 4);
      // Groups 2k and 2k + 1 are the halves of 32 bytes; k walks the shifts.
      const uint8_t *from = q + group / 8 * 32 + group % 2 * 16;
      int shift = group / 2 % 4 * 2;
      for (int i = 0; i < 16; ++i)
        out[group * 16 + i] =
            scale * static_cast<float>((from[i] >> shift) & 3) - min;
    }
  }
};

/// 32 bytes of high bits (0 subtracts 4), 64 bytes of four 2-bit q, 12 bytes of
/// sixteen 6-bit scales, f16 d: for each 16 elements d * (scale - 32) * q.
struct BlockQ3_K {
  static constexpr int length = 256, bytes = 110;
  ALWAYS_INLINE static void decode(const uint8_t *block,
                                   float *__restrict out) {
    const uint8_t *q = block + 32, *packed = block + 96;
    float d = loadF16(block + 108);
    for (int group = 0; group < 16; ++group) {
      // Scale g: nibble g / 8 of byte g % 8, below the 2-bit field g / 4 of
      // byte 8 + g % 4.
      int low = (packed[group % 8] >> (group / 8 * 4)) & 15;
      int high = (packed[8 + group % 4] >> (group / 4 * 2)) & 3;
      float scale = d * static_cast<float>((low | high << 4) - 32);
      const uint8_t *from = q + group / 8 * 32 + group % 2 * 16;
      const uint8_t *mask = block + group % 2 * 16;
      int shift = group / 2 % 4 * 2, bit = group / 2;
      for (int i = 0; i < 16; ++i) {
        int value = ((from[i] >> shift) & 3) - ((~mask[i] >> bit) & 1) * 4;
        out[group * 16 + i] = scale * static_cast<float>(value);
      }
    }
  }
};

/// The eight 6-bit scales and mins that Q4_K and Q5_K pack into 12 bytes: the
/// first four of each are whole, the last four split into nibble and top bits.
struct ScalesK {
  ALWAYS_INLINE explicit ScalesK(const uint8_t *packed) {
    for (int i = 0; i < 4; ++i) {
      scale[i] = packed[i] & 63;
      min[i] = packed[4 + i] & 63;
      scale[4 + i] = (packed[8 + i] & 15) | ((packed[i] >> 2) & 48);
      min[4 + i] = (packed[8 + i] >> 4) | ((packed[4 + i] >> 2) & 48);
    }
  }
  int scale[8], min[8];
};

/// f16 d, f16 dmin, 12 bytes of scales and mins, 128 bytes of two nibbles: for
/// each 32 elements (d * scale) * q - dmin * min.
struct BlockQ4_K {
  static constexpr int length = 256, bytes = 144;
  ALWAYS_INLINE static void decode(const uint8_t *block,
                                   float *__restrict out) {
    float d = loadF16(block), dmin = loadF16(block + 2);
    ScalesK scales(block + 4);
    for (int pair = 0; pair < 4; ++pair) {
      const uint8_t *q = block + 16 + pair * 32;
      float *to = out + pair * 64;
      float scale0 = d * static_cast<float>(scales.scale[2 * pair]);
      float scale1 = d * static_cast<float>(scales.scale[2 * pair + 1]);
      float min0 = dmin * static_cast<float>(scales.min[2 * pair]);
      float min1 = dmin * static_cast<float>(scales.min[2 * pair + 1]);
      for (int i = 0; i < 32; ++i)
        to[i] = scale0 * static_cast<float>(q[i] & 15) - min0;
      for (int i = 0; i < 32; ++i)
        to[32 + i] = scale1 * static_cast<float>(q[i] >> 4) - min1;
    }
  }
};

/// As Q4_K, with 32 bytes of high bits before the nibbles; bit g of byte i
/// belongs to element i of group g.
struct BlockQ5_K {
  static constexpr int length = 256, bytes = 176;
  ALWAYS_INLINE static void decode(const uint8_t *block,
                                   float *__restrict out) {
    float d = loadF16(block), dmin = loadF16(block + 2);
    ScalesK scales(block + 4);
    const uint8_t *high = block + 16;
    for (int group = 0; group < 8; ++group) {
      const uint8_t *q = block + 48 + group / 2 * 32;
      int shift = group % 2 * 4;
      float scale = d * static_cast<float>(scales.scale[group]);
      float min = dmin * static_cast<float>(scales.min[group]);
      for (int i = 0; i < 32; ++i) {
        int value = ((q[i] >> shift) & 15) | ((high[i] >> group) & 1) << 4;
        out[group * 32 + i] = scale * static_cast<float>(value) - min;
      }
    }
  }
};

/// 128 bytes of low nibbles, 64 bytes of 2-bit tops, 16 × i8 scales, f16 d: for
/// each 16 elements (d * scale) * (q - 32). In each half of 128 elements, run r
/// of 32 takes nibble r / 2 of bytes r % 2 * 32 … and 2-bit field r of the
/// tops.
struct BlockQ6_K {
  static constexpr int length = 256, bytes = 210;
  ALWAYS_INLINE static void decode(const uint8_t *block,
                                   float *__restrict out) {
    float d = loadF16(block + 208);
    for (int run = 0; run < 8; ++run) {
      int half = run / 4, part = run % 4;
      const uint8_t *low = block + half * 64 + part % 2 * 32;
      const uint8_t *top = block + 128 + half * 32;
      int lowShift = part / 2 * 4, topShift = part * 2;
      float *to = out + run * 32;
      for (int i = 0; i < 32; ++i) {
        int value = ((low[i] >> lowShift) & 15) | ((top[i] >> topShift) & 3)
                                                      << 4;
        to[i] = static_cast<float>(value - 32);
      }
      for (int group = 0; group < 2; ++group) {
        int8_t factor = static_cast<int8_t>(block[192 + run * 2 + group]);
        float scale = d * static_cast<float>(factor);
        for (int i = group * 16; i < group * 16 + 16; ++i)
          to[i] *= scale;
      }
    }
  }
};

} // namespace clade::rt::blocks
// NOLINTEND(readability-identifier-naming)

#endif // CLADE_RUNTIME_FORMATS_BLOCKS_H
