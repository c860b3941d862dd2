//===- DType.cpp - Element types of stored tensors ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The table of types, and the conversions that are not worth inlining.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/DType.h"

#include "runtime/Support/CheckedMath.h"

#include <cmath>
#include <limits>

using namespace clade::rt;

namespace {

struct TypeRow {
  std::string_view name;
  int64_t blockLength;
  int64_t bytesPerBlock;
};

/// In the order of DType.
constexpr TypeRow typeTable[] = {
    {"F64", 1, 8},         {"F32", 1, 4},      {"F16", 1, 2},
    {"BF16", 1, 2},        {"F8_E4M3", 1, 1},  {"F8_E5M2", 1, 1},
    {"F8_E8M0", 1, 1},     {"I64", 1, 8},      {"I32", 1, 4},
    {"I16", 1, 2},         {"I8", 1, 1},       {"U8", 1, 1},
    {"U16", 1, 2},         {"U32", 1, 4},      {"U64", 1, 8},
    {"BOOL", 1, 1},        {"Q8_0", 32, 34},   {"Q4_0", 32, 18},
    {"Q4_1", 32, 20},      {"Q5_0", 32, 22},   {"Q5_1", 32, 24},
    {"Q2_K", 256, 84},     {"Q3_K", 256, 110}, {"Q4_K", 256, 144},
    {"Q5_K", 256, 176},    {"Q6_K", 256, 210}, {"IQ4_NL", 32, 18},
    {"IQ4_XS", 256, 136},  {"MXFP4", 32, 17},  {"Q8_ROW", 64, 68},
    {"F4", 2, 1},          {"U4", 2, 1},       {"U4_HIGH", 2, 1},
    {"FP8_128", 128, 132},
};
static_assert(std::size(typeTable) == numDTypes);

const TypeRow &row(DType type) { return typeTable[static_cast<size_t>(type)]; }

bool equalIgnoringCase(std::string_view a, std::string_view upper) {
  if (a.size() != upper.size())
    return false;
  for (size_t i = 0; i < a.size(); ++i) {
    char c = a[i];
    if (c >= 'a' && c <= 'z')
      c = static_cast<char>(c - 'a' + 'A');
    if (c != upper[i])
      return false;
  }
  return true;
}

} // namespace

std::string_view clade::rt::dtypeName(DType type) { return row(type).name; }

std::optional<DType> clade::rt::parseDType(std::string_view name) {
  for (int i = 0; i < numDTypes; ++i)
    if (equalIgnoringCase(name, typeTable[i].name))
      return static_cast<DType>(i);
  return std::nullopt;
}

int64_t clade::rt::blockLength(DType type) { return row(type).blockLength; }

int64_t clade::rt::bytesPerBlock(DType type) { return row(type).bytesPerBlock; }

bool clade::rt::isBlockType(DType type) { return blockLength(type) > 1; }

bool clade::rt::isInteger(DType type) {
  return type >= DType::I64 && type <= DType::BOOL;
}

bool clade::rt::isComputeFloat(DType type) {
  return type == DType::F32 || type == DType::F16 || type == DType::BF16;
}

std::optional<int64_t> clade::rt::tensorBytes(DType type,
                                              std::span<const int64_t> shape) {
  std::optional<int64_t> count = elementCount(shape);
  if (!count)
    return std::nullopt;
  int64_t length = blockLength(type);
  if (length > 1 && (shape.empty() || shape.back() % length != 0))
    return std::nullopt;
  return checkedMul(*count / length, bytesPerBlock(type));
}

std::string clade::rt::shapeText(std::span<const int64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

uint16_t clade::rt::f32ToF16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t sign = (bits >> 16) & 0x8000u;
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) // NaN: keep the top of the payload, quiet.
    return static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x1ffu));
  if (magnitude >= 0x477ff000u) // 65520 and above round to infinity.
    return static_cast<uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {
    // Below 2^-14: adding 0.5 makes the FPU round at 2^-24, half's last place.
    float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) -
                                         std::bit_cast<uint32_t>(0.5f)));
  }
  uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((rounded - (112u << 23)) >> 13));
}

float clade::rt::f8E4M3ToF32(uint8_t bits) {
  float sign = bits & 0x80 ? -1.0f : 1.0f;
  int exponent = (bits >> 3) & 15;
  int mantissa = bits & 7;
  if (exponent == 15 && mantissa == 7)
    return std::copysign(std::numeric_limits<float>::quiet_NaN(), sign);
  if (exponent == 0)
    return sign * std::ldexp(static_cast<float>(mantissa), -9);
  return sign * std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
}

uint8_t clade::rt::f32ToF8E4M3(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t sign = (bits >> 24) & 0x80u;
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return static_cast<uint8_t>(sign | 0x7fu); // NaN
  if (magnitude >= 0x43e00000u)
    return static_cast<uint8_t>(sign | 0x7eu); // 448
  if (magnitude < 0x3c800000u) {
    // Below 2^-6: adding 2^14 makes the FPU round at 2^-9, the last place.
    float shifted = std::bit_cast<float>(magnitude) + 0x1p14f;
    return static_cast<uint8_t>(sign | (std::bit_cast<uint32_t>(shifted) -
                                        std::bit_cast<uint32_t>(0x1p14f)));
  }
  uint32_t rounded = magnitude + 0x7ffffu + ((magnitude >> 20) & 1u);
  return static_cast<uint8_t>(sign | ((rounded - (120u << 23)) >> 20));
}

float clade::rt::f8E5M2ToF32(uint8_t bits) {
  // The upper half of an f16.
  return f16ToF32(static_cast<uint16_t>(bits << 8));
}

float clade::rt::f8E8M0ToF32(uint8_t bits) {
  if (bits == 0xff)
    return std::numeric_limits<float>::quiet_NaN();
  return std::ldexp(1.0f, bits - 127);
}
