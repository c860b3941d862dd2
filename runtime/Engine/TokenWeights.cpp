//===- TokenWeights.cpp - Weights of tokens to draw from ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiled without contraction into fused multiply-adds, whose results would
// differ from machine to machine. Loops are in a form that compilers turn into
// vector instructions.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/TokenWeights.h"

using namespace clade::rt;

void TokenWeights::exponentsOf(std::span<const float> logits, float top,
                               double *exponents) const {
  for (size_t i = 0; i < logits.size(); ++i) {
    double exponent = (static_cast<double>(logits[i]) - top) * scale;
    // NaN is not above anything.
    exponents[i] = exponent > least ? exponent : least;
  }
}

void TokenWeights::weightsOf(const double *exponents, size_t count,
                             uint64_t *weights) const {
  constexpr double toWhole = 0x1p52;
  constexpr uint64_t fraction = (uint64_t(1) << 52) - 1;
  const uint64_t shift = static_cast<uint64_t>(bits) + 1023 -
                         std::bit_cast<uint64_t>(roundingShift);
  for (size_t i = 0; i < count; ++i) {
    double shifted = exponents[i] + roundingShift;
    double rest = exponents[i] - (shifted - roundingShift);
    double power = powerCoefficients.back();
    for (size_t k = powerCoefficients.size() - 1; k-- > 0;)
      power = power * rest + powerCoefficients[k];
    // 2^(n + bits), by its bits.
    double unit =
        std::bit_cast<double>((std::bit_cast<uint64_t>(shifted) + shift) << 52);
    weights[i] = std::bit_cast<uint64_t>(power * unit + toWhole) & fraction;
  }
}

uint64_t TokenWeights::weight(float logit, float top) const {
  uint64_t result;
  weights({&logit, 1}, top, &result);
  return result;
}

void TokenWeights::weights(std::span<const float> logits, float top,
                           uint64_t *weights) const {
  std::array<double, sliceSize> exponents;
  exponentsOf(logits, top, exponents.data());
  weightsOf(exponents.data(), logits.size(), weights);
}

uint64_t TokenWeights::sum(std::span<const float> logits, float top) const {
  std::array<uint64_t, sliceSize> all;
  weights(logits, top, all.data());
  uint64_t total = 0;
  for (size_t i = 0; i < logits.size(); ++i)
    total += all[i];
  return total;
}

void TokenWeights::count(std::span<const float> row, float top,
                         bool withWeights, Histogram &histogram) const {
  std::array<double, sliceSize> exponents;
  std::array<uint64_t, sliceSize> weights;
  std::array<int32_t, sliceSize> buckets;
  for (size_t begin = 0; begin < row.size(); begin += sliceSize) {
    std::span<const float> slice =
        row.subspan(begin, std::min(sliceSize, row.size() - begin));
    exponentsOf(slice, top, exponents.data());
    if (withWeights)
      weightsOf(exponents.data(), slice.size(), weights.data());
    for (size_t i = 0; i < slice.size(); ++i)
      buckets[i] = static_cast<int32_t>(exponents[i] * -bucketsPerOctave);
    for (size_t i = 0; i < slice.size(); ++i) {
      if (!(exponents[i] > least))
        continue;
      auto bucket = static_cast<size_t>(buckets[i]);
      ++histogram.counts[bucket];
      if (withWeights)
        histogram.weights[bucket] += weights[i];
    }
  }
}

double TokenWeights::edgeBehind(std::optional<int32_t> bucket) const {
  return bucket ? std::max(least, (*bucket + 1) / -double(bucketsPerOctave))
                : least;
}

uint64_t clade::rt::pointOf(uint64_t random, uint64_t total) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>(Wide(random) * total >> 53);
}

uint64_t clade::rt::shareOf(double share, uint64_t total) {
  return static_cast<uint64_t>(share * static_cast<double>(total));
}

float clade::rt::limitBelow(float top, double shift) {
  return static_cast<float>(top + shift);
}
