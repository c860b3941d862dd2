//===- Dequantize.cpp - Stored elements to f32 ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Chooses the loop of a type. On x86-64 all loops are compiled twice, for the
// baseline and for AVX2; both give the same bits.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Dequantize.h"

#include "runtime/Formats/Blocks.h"

#include <algorithm>
#include <array>

using namespace clade::rt;
using namespace clade::rt::blocks;

namespace {

using ByteTable = std::array<float, 256>;

ByteTable makeTable(float (*convert)(uint8_t)) {
  ByteTable table;
  for (int i = 0; i < 256; ++i)
    table[static_cast<size_t>(i)] = convert(static_cast<uint8_t>(i));
  return table;
}

const ByteTable &f8E4M3Table() {
  static const ByteTable table = makeTable(f8E4M3ToF32);
  return table;
}

const ByteTable &f8E5M2Table() {
  static const ByteTable table = makeTable(f8E5M2ToF32);
  return table;
}

const ByteTable &f8E8M0Table() {
  static const ByteTable table = makeTable(f8E8M0ToF32);
  return table;
}

/// What the two codes of a byte stand for, in their order.
using PairTable = std::array<std::array<float, 2>, 256>;

template <typename Convert>
PairTable makePairs(Convert convert, bool highFirst = false) {
  PairTable table;
  for (size_t i = 0; i < 256; ++i) {
    float low = convert(i & 15), high = convert(i >> 4);
    table[i] = {highFirst ? high : low, highFirst ? low : high};
  }
  return table;
}

const PairTable &pairsOf(DType type) {
  static const PairTable f4 = makePairs([](size_t code) {
    constexpr float values[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    return code & 8 ? -values[code & 7] : values[code];
  });
  auto number = [](size_t code) { return static_cast<float>(code); };
  static const PairTable u4 = makePairs(number);
  static const PairTable u4High = makePairs(number, /*highFirst=*/true);
  return type == DType::F4 ? f4 : type == DType::U4 ? u4 : u4High;
}

template <typename Block>
ALWAYS_INLINE inline void decodeBlocks(const uint8_t *data, int64_t count,
                                       float *out) {
  for (int64_t i = 0; i < count / Block::length; ++i)
    Block::decode(data + i * Block::bytes, out + i * Block::length);
}

/// For the types that decode in two steps.
template <typename Block>
ALWAYS_INLINE inline void decodeUnpacked(const uint8_t *data, int64_t count,
                                         float *out) {
  constexpr int64_t together = 16;
  uint8_t q[together * Block::length];
  for (int64_t left = count / Block::length; left > 0; left -= together) {
    int64_t blocks = std::min(left, together);
    for (int64_t i = 0; i < blocks; ++i)
      Block::unpack(data + i * Block::bytes, q + i * Block::length);
    for (int64_t i = 0; i < blocks; ++i)
      Block::scale(data + i * Block::bytes, q + i * Block::length,
                   out + i * Block::length);
    data += blocks * Block::bytes;
    out += blocks * Block::length;
  }
}

template <typename T, typename Convert>
ALWAYS_INLINE inline void decodeEach(const uint8_t *data, int64_t count,
                                     float *out, Convert convert) {
  for (int64_t i = 0; i < count; ++i)
    out[i] = convert(load<T>(data + i * static_cast<int64_t>(sizeof(T))));
}

ALWAYS_INLINE inline void decodeTable(const ByteTable &table,
                                      const uint8_t *data, int64_t count,
                                      float *out) {
  for (int64_t i = 0; i < count; ++i)
    out[i] = table[data[i]];
}

ALWAYS_INLINE inline void decodePairs(const PairTable &table,
                                      const uint8_t *data, int64_t count,
                                      float *out) {
  for (int64_t i = 0; i < count / 2; ++i)
    std::memcpy(out + 2 * i, table[data[i]].data(), 2 * sizeof(float));
}

/// FP8_128: a scale, and the codes that it multiplies.
ALWAYS_INLINE inline void decodeScaled(const uint8_t *data, int64_t count,
                                       float *out) {
  int64_t length = blockLength(DType::FP8_128);
  for (int64_t i = 0; i < count; i += length) {
    auto scale = load<float>(data);
    data += sizeof(scale);
    decodeTable(f8E4M3Table(), data, length, out + i);
    for (int64_t j = 0; j < length; ++j)
      out[i + j] *= scale;
    data += length;
  }
}

template <typename T>
ALWAYS_INLINE inline void decodeNumbers(const uint8_t *data, int64_t count,
                                        float *out) {
  decodeEach<T>(data, count, out,
                [](T value) { return static_cast<float>(value); });
}

ALWAYS_INLINE inline void decode(DType type, const std::byte *bytes,
                                 int64_t count, float *out) {
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
    return decodeTable(f8E4M3Table(), data, count, out);
  case DType::F8_E5M2:
    return decodeTable(f8E5M2Table(), data, count, out);
  case DType::F8_E8M0:
    return decodeTable(f8E8M0Table(), data, count, out);
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
    return decodeUnpacked<BlockQ4_0>(data, count, out);
  case DType::Q4_1:
    return decodeUnpacked<BlockQ4_1>(data, count, out);
  case DType::Q5_0:
    return decodeUnpacked<BlockQ5_0>(data, count, out);
  case DType::Q5_1:
    return decodeUnpacked<BlockQ5_1>(data, count, out);
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
    return decodeUnpacked<BlockIQ4_NL>(data, count, out);
  case DType::IQ4_XS:
    return decodeBlocks<BlockIQ4_XS>(data, count, out);
  case DType::MXFP4:
    return decodeUnpacked<BlockMXFP4>(data, count, out);
  case DType::Q8_ROW:
    return decodeBlocks<BlockQ8_ROW>(data, count, out);
  case DType::FP8_128:
    return decodeScaled(data, count, out);
  case DType::F4:
  case DType::U4:
  case DType::U4_HIGH:
    return decodePairs(pairsOf(type), data, count, out);
  }
}

ALWAYS_INLINE inline void encode(DType type, const float *values, int64_t count,
                                 std::byte *out) {
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

#if defined(__x86_64__)
__attribute__((target("avx2"))) void
decodeAVX2(DType type, const std::byte *bytes, int64_t count, float *out) {
  decode(type, bytes, count, out);
}

__attribute__((target("avx2"))) void encodeAVX2(DType type, const float *values,
                                                int64_t count, std::byte *out) {
  encode(type, values, count, out);
}

bool hasAVX2() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}
#endif

} // namespace

void clade::rt::decodeToF32(DType type, const std::byte *data, int64_t count,
                            float *out) {
  if (count == 0)
    return; // The pointers may be null.
#if defined(__x86_64__)
  if (hasAVX2())
    return decodeAVX2(type, data, count, out);
#endif
  decode(type, data, count, out);
}

void clade::rt::encodeFromF32(DType type, const float *values, int64_t count,
                              std::byte *out) {
  if (count == 0)
    return;
#if defined(__x86_64__)
  if (hasAVX2())
    return encodeAVX2(type, values, count, out);
#endif
  encode(type, values, count, out);
}
