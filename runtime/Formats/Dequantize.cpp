//===- Dequantize.cpp - Stored elements to f32 ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One function a block type, written so that the inner loops vectorise. All
// products of a scale and a quantised value are exact in f32 (at most 22
// significant bits), so contraction into fused multiply-adds changes nothing.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Dequantize.h"

#include <cstring>

using namespace clade::rt;

namespace {

template <typename T> T load(const void *from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

float loadF16(const uint8_t *from) { return f16ToF32(load<uint16_t>(from)); }

// Each block decoder reads one block and writes its elements. `length` and
// `bytes` are those of the type table.

/// f16 d, 32 × i8 q: d * q.
struct BlockQ8_0 {
  static constexpr int length = 32, bytes = 34;
  static void decode(const uint8_t *block, float *out) {
    float d = loadF16(block);
    for (int i = 0; i < 32; ++i)
      out[i] = d * static_cast<float>(static_cast<int8_t>(block[2 + i]));
  }
};

/// f16 d, 16 bytes of two nibbles q (low nibbles first): d * (q - 8).
struct BlockQ4_0 {
  static constexpr int length = 32, bytes = 18;
  static void decode(const uint8_t *block, float *out) {
    float d = loadF16(block);
    for (int i = 0; i < 16; ++i) {
      out[i] = d * static_cast<float>((block[2 + i] & 15) - 8);
      out[16 + i] = d * static_cast<float>((block[2 + i] >> 4) - 8);
    }
  }
};

/// f16 d, f16 m, 16 bytes of two nibbles q: d * q + m.
struct BlockQ4_1 {
  static constexpr int length = 32, bytes = 20;
  static void decode(const uint8_t *block, float *out) {
    float d = loadF16(block), m = loadF16(block + 2);
    for (int i = 0; i < 16; ++i) {
      out[i] = d * static_cast<float>(block[4 + i] & 15) + m;
      out[16 + i] = d * static_cast<float>(block[4 + i] >> 4) + m;
    }
  }
};

/// Element i of 32: the nibble of `low`, with bit i of `high` above it.
int fiveBits(const uint8_t *low, uint32_t high, int i) {
  int nibble = i < 16 ? low[i] & 15 : low[i - 16] >> 4;
  return nibble | static_cast<int>(((high >> i) & 1) << 4);
}

/// f16 d, 32 high bits, 16 bytes of two nibbles: d * (q - 16).
struct BlockQ5_0 {
  static constexpr int length = 32, bytes = 22;
  static void decode(const uint8_t *block, float *out) {
    float d = loadF16(block);
    uint32_t high = load<uint32_t>(block + 2);
    for (int i = 0; i < 32; ++i)
      out[i] = d * static_cast<float>(fiveBits(block + 6, high, i) - 16);
  }
};

/// f16 d, f16 m, 32 high bits, 16 bytes of two nibbles: d * q + m.
struct BlockQ5_1 {
  static constexpr int length = 32, bytes = 24;
  static void decode(const uint8_t *block, float *out) {
    float d = loadF16(block), m = loadF16(block + 2);
    uint32_t high = load<uint32_t>(block + 4);
    for (int i = 0; i < 32; ++i)
      out[i] = d * static_cast<float>(fiveBits(block + 8, high, i)) + m;
  }
};

/// f16 d, 16 bytes of two nibbles that index a table of values: d * table[q].
struct BlockIQ4_NL {
  static constexpr int length = 32, bytes = 18;
  static void decode(const uint8_t *block, float *out) {
    static constexpr float table[16] = {-127, -104, -83, -65, -49, -35,
                                        -22,  -10,  1,   13,  25,  38,
                                        53,   69,   89,  113};
    float d = loadF16(block);
    for (int i = 0; i < 16; ++i) {
      out[i] = d * table[block[2 + i] & 15];
      out[16 + i] = d * table[block[2 + i] >> 4];
    }
  }
};

/// 16 bytes (scale | min << 4), 64 bytes of four 2-bit q, f16 d, f16 dmin: for
/// each 16 elements (d * scale) * q - dmin * min.
struct BlockQ2_K {
  static constexpr int length = 256, bytes = 84;
  static void decode(const uint8_t *block, float *out) {
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
  static void decode(const uint8_t *block, float *out) {
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
  explicit ScalesK(const uint8_t *packed) {
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
  static void decode(const uint8_t *block, float *out) {
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
  static void decode(const uint8_t *block, float *out) {
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
  static void decode(const uint8_t *block, float *out) {
    float d = loadF16(block + 208);
    for (int run = 0; run < 8; ++run) {
      int half = run / 4, part = run % 4;
      const uint8_t *low = block + half * 64 + part % 2 * 32;
      const uint8_t *top = block + 128 + half * 32;
      int lowShift = part / 2 * 4, topShift = part * 2;
      for (int group = 0; group < 2; ++group) {
        int8_t factor = static_cast<int8_t>(block[192 + run * 2 + group]);
        float scale = d * static_cast<float>(factor);
        for (int i = group * 16; i < group * 16 + 16; ++i) {
          int value = ((low[i] >> lowShift) & 15) | ((top[i] >> topShift) & 3)
                                                        << 4;
          out[run * 32 + i] = scale * static_cast<float>(value - 32);
        }
      }
    }
  }
};

template <typename Block>
void decodeBlocks(const uint8_t *data, int64_t count, float *out) {
  for (int64_t i = 0; i < count / Block::length; ++i)
    Block::decode(data + i * Block::bytes, out + i * Block::length);
}

template <typename T, typename Convert>
void decodeEach(const uint8_t *data, int64_t count, float *out,
                Convert convert) {
  for (int64_t i = 0; i < count; ++i)
    out[i] = convert(load<T>(data + i * static_cast<int64_t>(sizeof(T))));
}

template <typename T>
void decodeNumbers(const uint8_t *data, int64_t count, float *out) {
  decodeEach<T>(data, count, out,
                [](T value) { return static_cast<float>(value); });
}

} // namespace

void clade::rt::decodeToF32(DType type, const std::byte *bytes, int64_t count,
                            float *out) {
  if (count == 0)
    return; // The pointers may be null.
  const uint8_t *data = reinterpret_cast<const uint8_t *>(bytes);
  switch (type) {
  case DType::F64:
    return decodeNumbers<double>(data, count, out);
  case DType::F32:
    std::memcpy(out, data, static_cast<size_t>(count) * sizeof(float));
    return;
  case DType::F16:
    return decodeEach<uint16_t>(data, count, out, f16ToF32);
  case DType::BF16:
    return decodeEach<uint16_t>(data, count, out, bf16ToF32);
  case DType::F8_E4M3:
    return decodeEach<uint8_t>(data, count, out, f8E4M3ToF32);
  case DType::F8_E5M2:
    return decodeEach<uint8_t>(data, count, out, f8E5M2ToF32);
  case DType::I64:
    return decodeNumbers<int64_t>(data, count, out);
  case DType::I32:
    return decodeNumbers<int32_t>(data, count, out);
  case DType::I16:
    return decodeNumbers<int16_t>(data, count, out);
  case DType::I8:
    return decodeNumbers<int8_t>(data, count, out);
  case DType::U8:
    return decodeNumbers<uint8_t>(data, count, out);
  case DType::U16:
    return decodeNumbers<uint16_t>(data, count, out);
  case DType::U32:
    return decodeNumbers<uint32_t>(data, count, out);
  case DType::U64:
    return decodeNumbers<uint64_t>(data, count, out);
  case DType::BOOL:
    return decodeEach<uint8_t>(data, count, out,
                               [](uint8_t v) { return v ? 1.0f : 0.0f; });
  case DType::Q8_0:
    return decodeBlocks<BlockQ8_0>(data, count, out);
  case DType::Q4_0:
    return decodeBlocks<BlockQ4_0>(data, count, out);
  case DType::Q4_1:
    return decodeBlocks<BlockQ4_1>(data, count, out);
  case DType::Q5_0:
    return decodeBlocks<BlockQ5_0>(data, count, out);
  case DType::Q5_1:
    return decodeBlocks<BlockQ5_1>(data, count, out);
  case DType::Q2_K:
    return decodeBlocks<BlockQ2_K>(data, count, out);
  case DType::Q3_K:
    return decodeBlocks<BlockQ3_K>(data, count, out);
  case DType::Q4_K:
    return decodeBlocks<BlockQ4_K>(data, count, out);
  case DType::Q5_K:
    return decodeBlocks<BlockQ5_K>(data, count, out);
  case DType::Q6_K:
    return decodeBlocks<BlockQ6_K>(data, count, out);
  case DType::IQ4_NL:
    return decodeBlocks<BlockIQ4_NL>(data, count, out);
  }
}

void clade::rt::encodeFromF32(DType type, const float *values, int64_t count,
                              std::byte *out) {
  if (count == 0)
    return;
  size_t size = static_cast<size_t>(count);
  if (type == DType::F32) {
    std::memcpy(out, values, size * sizeof(float));
    return;
  }
  auto encodeEach = [&](auto convert) {
    for (size_t i = 0; i < size; ++i) {
      uint16_t bits = convert(values[i]);
      std::memcpy(out + i * sizeof(bits), &bits, sizeof(bits));
    }
  };
  if (type == DType::BF16)
    encodeEach(f32ToBF16);
  else
    encodeEach(f32ToF16);
}
