//===- Quantize.cpp - f32 to block types ----------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Q8_0 and Q4_0 round with the largest value on the grid's edge, and equal
// `gguf.quants.quantize` bit for bit. Q4_K and Q6_K try several scales for each
// group and keep the one with the least weighted squared error; all sums are in
// f32 and in the order of the elements.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace clade::rt;

namespace {

/// Groups whose largest magnitude is below this are zero.
constexpr float negligible = 1e-15f;

int nearest(float value) { return static_cast<int>(std::nearbyint(value)); }

int nearest(float value, int low, int high) {
  return std::clamp(nearest(value), low, high);
}

/// Writes `value` as f16 and gives what the f16 stands for.
float storeF16(float value, uint8_t *out) {
  uint16_t bits = f32ToF16(value);
  std::memcpy(out, &bits, sizeof(bits));
  return f16ToF32(bits);
}

/// The element of the largest magnitude, the first of equal ones.
float largest(const float *x, int count) {
  float value = 0;
  for (int i = 0; i < count; ++i)
    if (std::fabs(value) < std::fabs(x[i]))
      value = x[i];
  return value;
}

void quantizeQ8_0(const float *x, uint8_t *block) {
  float d = std::fabs(largest(x, 32)) / 127;
  float inverse = d != 0 ? 1 / d : 0;
  storeF16(d, block);
  for (int i = 0; i < 32; ++i)
    block[2 + i] =
        static_cast<uint8_t>(static_cast<int8_t>(std::round(x[i] * inverse)));
}

void quantizeQ4_0(const float *x, uint8_t *block) {
  float d = largest(x, 32) / -8;
  float inverse = d != 0 ? 1 / d : 0;
  storeF16(d, block);
  auto code = [&](float value) {
    return std::min(15, static_cast<int>(value * inverse + 8.5f));
  };
  for (int i = 0; i < 16; ++i)
    block[2 + i] = static_cast<uint8_t>(code(x[i]) | code(x[16 + i]) << 4);
}

/// A row: all of its blocks have the scale of the largest magnitude of all. One
/// whose reciprocal may be no number is zero.
void quantizeQ8_ROW(const float *x, int64_t count, uint8_t *blocks) {
  constexpr int length = 64;
  float most = 0;
  for (int64_t i = 0; i < count; ++i)
    most = std::max(most, std::fabs(x[i]));
  float d = most < 0x1p-119f ? 0 : most / 127;
  float inverse = d != 0 ? 1 / d : 0;
  for (int64_t at = 0; at < count; at += length) {
    std::memcpy(blocks, &d, sizeof(d));
    blocks += sizeof(d);
    for (int i = 0; i < length; ++i)
      *blocks++ = static_cast<uint8_t>(
          static_cast<int8_t>(std::round(x[at + i] * inverse)));
  }
}

/// A grid of a group: code · scale - min.
struct Grid {
  float scale = 0;
  float min = 0; ///< At least 0.
};

/// Sums over a group that the least-squares scale and minimum follow from.
struct Sums {
  float l = 0, l2 = 0, xl = 0;
};

/// The grid of codes 0 … 15 for 32 elements with the least error, weighted by
/// `weights`, of 22 tried; its codes go to `codes`.
Grid fitGrid(const float *x, const float *weights, uint8_t *codes) {
  constexpr int count = 32, most = 15, steps = 20;
  float low = *std::min_element(x, x + count);
  float high = *std::max_element(x, x + count);
  float sumW = 0, sumX = 0;
  for (int i = 0; i < count; ++i) {
    sumW += weights[i];
    sumX += weights[i] * x[i];
  }
  low = std::min(low, 0.0f);
  std::fill(codes, codes + count, uint8_t(0));
  if (high == low)
    return {0, -low};

  auto errorOf = [&](const uint8_t *tried, float scale, float min) {
    float error = 0;
    for (int i = 0; i < count; ++i) {
      float difference = scale * tried[i] + min - x[i];
      error += weights[i] * (difference * difference);
    }
    return error;
  };
  auto encode = [&](float inverse, uint8_t *to) {
    for (int i = 0; i < count; ++i)
      to[i] = static_cast<uint8_t>(nearest(inverse * (x[i] - low), 0, most));
  };

  float inverse = most / (high - low);
  float scale = 1 / inverse, min = low;
  encode(inverse, codes);
  float best = errorOf(codes, scale, min);
  for (int step = 0; step <= steps; ++step) {
    uint8_t tried[count];
    encode((-1.0f + 0.1f * static_cast<float>(step) + most) / (high - low),
           tried);
    Sums sums;
    for (int i = 0; i < count; ++i) {
      float l = tried[i], w = weights[i];
      sums.l += w * l;
      sums.l2 += w * l * l;
      sums.xl += w * l * x[i];
    }
    float determinant = sumW * sums.l2 - sums.l * sums.l;
    if (!(determinant > 0))
      continue;
    float nextScale = (sumW * sums.xl - sumX * sums.l) / determinant;
    float nextMin = (sums.l2 * sumX - sums.l * sums.xl) / determinant;
    if (nextMin > 0) {
      nextMin = 0;
      nextScale = sums.xl / sums.l2;
    }
    float error = errorOf(tried, nextScale, nextMin);
    if (error < best) {
      std::copy(tried, tried + count, codes);
      best = error;
      scale = nextScale;
      min = nextMin;
    }
  }
  return {scale, -min};
}

/// The layout is that of Blocks.h: scales and minima of six bits.
void quantizeQ4_K(const float *x, uint8_t *block) {
  constexpr int groups = 8, size = 32;
  uint8_t codes[groups * size];
  Grid grids[groups];
  float maxScale = 0, maxMin = 0;
  for (int g = 0; g < groups; ++g) {
    const float *from = x + g * size;
    float squares = 0;
    for (int i = 0; i < size; ++i)
      squares += from[i] * from[i];
    float typical = std::sqrt(squares / size), weights[size];
    for (int i = 0; i < size; ++i)
      weights[i] = typical + std::fabs(from[i]);
    grids[g] = fitGrid(from, weights, codes + g * size);
    maxScale = std::max(maxScale, grids[g].scale);
    maxMin = std::max(maxMin, grids[g].min);
  }
  float toScale = maxScale > 0 ? 63 / maxScale : 0;
  float toMin = maxMin > 0 ? 63 / maxMin : 0;
  float d = storeF16(maxScale / 63, block);
  float dmin = storeF16(maxMin / 63, block + 2);
  uint8_t *packed = block + 4;
  std::fill(packed, packed + 12, uint8_t(0));
  for (int g = 0; g < groups; ++g) {
    int scale = std::min(63, nearest(toScale * grids[g].scale));
    int min = std::min(63, nearest(toMin * grids[g].min));
    if (g < 4) {
      packed[g] |= static_cast<uint8_t>(scale);
      packed[g + 4] |= static_cast<uint8_t>(min);
    } else {
      packed[g + 4] = static_cast<uint8_t>((scale & 15) | (min & 15) << 4);
      packed[g - 4] |= static_cast<uint8_t>(scale >> 4 << 6);
      packed[g] |= static_cast<uint8_t>(min >> 4 << 6);
    }
    float step = d * static_cast<float>(scale);
    if (step == 0)
      continue; // The codes of the fit remain; they stand for nothing.
    float offset = dmin * static_cast<float>(min);
    for (int i = g * size; i < (g + 1) * size; ++i)
      codes[i] = static_cast<uint8_t>(nearest((x[i] + offset) / step, 0, 15));
  }
  for (int pair = 0; pair < groups / 2; ++pair)
    for (int i = 0; i < size; ++i)
      block[16 + pair * size + i] = static_cast<uint8_t>(
          codes[2 * pair * size + i] | codes[(2 * pair + 1) * size + i] << 4);
}

/// The scale of codes -32 … 31 for 16 elements with the least error, weighted
/// by the squares of the elements, of 19 tried.
float fitScale(const float *x) {
  constexpr int count = 16, most = 32;
  float edge = largest(x, count);
  if (std::fabs(edge) < negligible)
    return 0;
  auto sumsOf = [&](float inverse) {
    Sums sums;
    for (int i = 0; i < count; ++i) {
      auto l = static_cast<float>(nearest(inverse * x[i], -most, most - 1));
      float w = x[i] * x[i];
      sums.xl += w * x[i] * l;
      sums.l2 += w * l * l;
    }
    return sums;
  };
  Sums sums = sumsOf(-most / edge);
  float scale = sums.l2 != 0 ? sums.xl / sums.l2 : 0;
  float best = scale * sums.xl;
  for (int step = -9; step <= 9; ++step) {
    if (step == 0)
      continue;
    sums = sumsOf(-(most + 0.1f * static_cast<float>(step)) / edge);
    if (sums.l2 > 0 && sums.xl * sums.xl > best * sums.l2) {
      scale = sums.xl / sums.l2;
      best = scale * sums.xl;
    }
  }
  return scale;
}

void quantizeQ6_K(const float *x, uint8_t *block) {
  constexpr int groups = 16, size = 16;
  std::fill(block, block + 210, uint8_t(0));
  float scales[groups];
  for (int g = 0; g < groups; ++g)
    scales[g] = fitScale(x + g * size);
  float edge = largest(scales, groups);
  if (std::fabs(edge) < negligible)
    return;
  float inverse = -128 / edge;
  float d = storeF16(1 / inverse, block + 208);
  for (int g = 0; g < groups; ++g) {
    int factor = std::min(127, nearest(inverse * scales[g]));
    block[192 + g] = static_cast<uint8_t>(static_cast<int8_t>(factor));
    float step = d * static_cast<float>(factor);
    for (int i = 0; i < size; ++i) {
      int at = g * size + i, run = at / 32, half = run / 4, part = run % 4;
      // Without a step any code stands for zero.
      int code = step == 0 ? 32 : nearest(x[at] / step, -32, 31) + 32;
      uint8_t &low = block[half * 64 + part % 2 * 32 + at % 32];
      uint8_t &top = block[128 + half * 32 + at % 32];
      low = static_cast<uint8_t>(low | (code & 15) << (part / 2 * 4));
      top = static_cast<uint8_t>(top | code >> 4 << (part * 2));
    }
  }
}

} // namespace

bool clade::rt::canQuantize(DType type) {
  return type == DType::Q8_0 || type == DType::Q4_0 || type == DType::Q4_K ||
         type == DType::Q6_K || type == DType::Q8_ROW;
}

void clade::rt::quantizeFromF32(DType type, const float *values, int64_t count,
                                std::byte *out) {
  int64_t length = blockLength(type), size = bytesPerBlock(type);
  auto *block = reinterpret_cast<uint8_t *>(out);
  if (type == DType::Q8_ROW)
    return quantizeQ8_ROW(values, count, block);
  for (int64_t i = 0; i < count; i += length, block += size)
    switch (type) {
    case DType::Q8_0:
      quantizeQ8_0(values + i, block);
      break;
    case DType::Q4_0:
      quantizeQ4_0(values + i, block);
      break;
    case DType::Q4_K:
      quantizeQ4_K(values + i, block);
      break;
    case DType::Q6_K:
      quantizeQ6_K(values + i, block);
      break;
    default:
      return; // canQuantize() says no.
    }
}
