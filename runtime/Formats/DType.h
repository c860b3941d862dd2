//===- DType.h - Element types of stored tensors ----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The element types that safetensors and GGUF files store, their sizes, and the
// conversions between f32 and the 16-bit floats. A block type packs a run of
// elements of one row into one block of bytes (Dequantize.h decodes them).
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_FORMATS_DTYPE_H
#define CLADE_RUNTIME_FORMATS_DTYPE_H

#include "runtime/Support/Status.h"

#include <bit>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace clade::rt {

/// An element type. All are little-endian in files.
enum class DType : uint8_t {
  F64,
  F32,
  F16,
  BF16,
  F8_E4M3, ///< The "fn" form: no infinities, one NaN per sign.
  F8_E5M2,
  F8_E8M0, ///< A power of two, 2^(code - 127); 255 is NaN.
  I64,
  I32,
  I16,
  I8,
  U8,
  U16,
  U32,
  U64,
  BOOL, ///< One byte, 0 or 1.
  // GGUF block types.
  Q8_0,
  Q4_0,
  Q4_1,
  Q5_0,
  Q5_1,
  Q2_K,
  Q3_K,
  Q4_K,
  Q5_K,
  Q6_K,
  IQ4_NL,
  IQ4_XS,
  MXFP4,
  Q8_ROW, ///< In no file: 64 codes and the scale that their row has, in f32.
  // Two codes of four bits a byte, the low one first: "blocks" of two.
  F4,      ///< E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6, then these negative.
  U4,      ///< 0 … 15.
  U4_HIGH, ///< 0 … 15, the high code of a byte first.
  FP8_128, ///< A scale in f32, and 128 codes of F8_E4M3; no file stores it.
};
inline constexpr int numDTypes = static_cast<int>(DType::FP8_128) + 1;

/// The name that files use: "BF16", "F8_E4M3", "Q4_K".
std::string_view dtypeName(DType type);

/// The type of that name, in upper or lower case ("bf16"), or nothing.
std::optional<DType> parseDType(std::string_view name);

/// Elements in one block: 1 for plain types; 32 or 256 for block types of GGUF
/// files, 128 for FP8 with scales, 2 for codes of four bits.
int64_t blockLength(DType type);

/// Bytes of one block; for a plain type, of one element.
int64_t bytesPerBlock(DType type);

bool isBlockType(DType type);

/// I8 … U64 and BOOL.
bool isInteger(DType type);

/// F32, F16 or BF16: the types that weights are computed in.
bool isComputeFloat(DType type);

/// Bytes of a contiguous tensor, or nothing if a dimension is negative, the
/// size does not fit in 63 bits, or the last dimension of a block type is not a
/// multiple of its block length.
std::optional<int64_t> tensorBytes(DType type, std::span<const int64_t> shape);

/// "[2, 3]"; "[]" for a scalar.
std::string shapeText(std::span<const int64_t> shape);

// Conversions. To 16 bits they round to nearest, ties to even; a NaN stays a
// (quiet) NaN of the same sign.

inline float bf16ToF32(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

inline uint16_t f32ToBF16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  uint32_t quiet = (bits >> 16) | 0x40u;
  bool isNaN = (bits & 0x7fffffffu) > 0x7f800000u;
  return static_cast<uint16_t>(isNaN ? quiet : rounded);
}

/// Exact, also for subnormals; without branches so that loops vectorise.
inline float f16ToF32(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  uint32_t magnitude = bits & 0x7fffu;
  // As f32 bits the exponent is 112 too small, of subnormals as of others.
  float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  // Infinity and NaN keep their exponent of all ones.
  uint32_t special = magnitude >= 0x7c00u ? 0x7f800000u : 0u;
  return std::bit_cast<float>(sign | special | std::bit_cast<uint32_t>(scaled));
}

uint16_t f32ToF16(float value);
float f8E4M3ToF32(uint8_t bits);
/// The nearest, ties to even; 448 of all that is larger.
uint8_t f32ToF8E4M3(float value);
float f8E5M2ToF32(uint8_t bits);
float f8E8M0ToF32(uint8_t bits);

} // namespace clade::rt

#endif // CLADE_RUNTIME_FORMATS_DTYPE_H
