//===- TokenWeightsTest.cpp - Weights of tokens to draw from --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/TokenWeights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <random>
#include <vector>

using namespace clade::rt;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> someLogits(size_t count) {
  std::mt19937 random(3);
  std::normal_distribution<float> noise(0, 4);
  std::vector<float> logits(count);
  for (float &logit : logits)
    logit = noise(random);
  return logits;
}

TEST(TokenWeightsTest, SumsStayBelow2To63) {
  EXPECT_EQ(weightBits(1), 51);
  EXPECT_EQ(weightBits(4095), 51);
  EXPECT_EQ(weightBits(4096), 50);
  EXPECT_EQ(weightBits(131072), 45);
  EXPECT_EQ(weightBits(INT32_MAX), 32);
  for (int64_t vocab : {int64_t(1), int64_t(4096), int64_t(262144)})
    EXPECT_LT(std::ldexp(static_cast<double>(vocab), weightBits(vocab)),
              0x1p63);
}

/// Against the library's exponential: 2^-31 of a weight, and half a unit.
TEST(TokenWeightsTest, WeightsAreExponentials) {
  constexpr int64_t vocab = 131072;
  for (double temperature : {0.1, 0.7, 1.0, 3.0}) {
    double scale = std::numbers::log2e / temperature;
    TokenWeights weights(vocab, scale);
    float top = 17.25f;
    EXPECT_EQ(weights.weight(top, top), uint64_t(1) << 45);
    for (float below = 0; below < 40; below += 0.0123f) {
      float logit = top - below;
      double exact = std::exp2((double(logit) - top) * scale + 45);
      EXPECT_NEAR(static_cast<double>(weights.weight(logit, top)), exact,
                  exact * 0x1p-31 + 0.5);
    }
  }
}

TEST(TokenWeightsTest, Extremes) {
  TokenWeights weights(100, 1.5);
  for (float logit : {-inf, nan, -3e38f, -100.0f})
    EXPECT_EQ(weights.weight(logit, 1), 0u) << logit;
  // A difference that f32 does not have.
  EXPECT_EQ(weights.weight(-3e38f, 3e38f), 0u);
  EXPECT_EQ(weights.weight(3e38f, 3e38f), uint64_t(1) << 51);
  // Temperatures next to nothing, and without end.
  TokenWeights sharp(100, std::numbers::log2e / 1e-45),
      flat(100, std::numbers::log2e / 3e38);
  EXPECT_EQ(sharp.weight(0.999f, 1), 0u);
  EXPECT_EQ(sharp.weight(1, 1), uint64_t(1) << 51);
  EXPECT_EQ(flat.weight(-1e9f, 1e9f), uint64_t(1) << 51);
}

/// Half a unit and less is nothing, and not much more is one.
TEST(TokenWeightsTest, TheLeastWeightIsOne) {
  TokenWeights weights(131072, 1);
  EXPECT_EQ(weights.weight(-46, 0), 0u);
  EXPECT_EQ(weights.weight(-45.9f, 0), 1u);
  EXPECT_EQ(weights.weight(-45, 0), 1u);
  EXPECT_EQ(weights.weight(-44, 0), 2u);
}

TEST(TokenWeightsTest, SumsAndBucketsAreOfAllLogits) {
  constexpr size_t vocab = 2500;
  std::vector<float> logits = someLogits(vocab);
  logits[7] = nan;
  logits[9] = -inf;
  float top = 15;
  logits.back() = top;
  TokenWeights weights(vocab, 2);
  uint64_t total = 0;
  for (float logit : logits)
    total += weights.weight(logit, top);
  uint64_t sum = 0;
  for (size_t begin = 0; begin < vocab; begin += TokenWeights::sliceSize)
    sum += weights.sum(
        std::span(logits).subspan(
            begin, std::min(TokenWeights::sliceSize, vocab - begin)),
        top);
  EXPECT_EQ(sum, total);
  TokenWeights::Histogram histogram;
  weights.count(logits, top, /*withWeights=*/true, histogram);
  uint64_t inBuckets = 0;
  for (uint64_t weight : histogram.weights)
    inBuckets += weight;
  EXPECT_EQ(inBuckets, total);
  // The largest is in the first; up to each there are as many as it says.
  EXPECT_GE(histogram.counts[0], 1u);
  uint32_t count = 0;
  for (int32_t bucket = 0; bucket < numBuckets; ++bucket) {
    count += histogram.counts[static_cast<size_t>(bucket)];
    uint32_t above = 0;
    weights.forEachAbove(logits, top, weights.edgeBehind(bucket), -inf,
                         [&](size_t) { ++above; });
    ASSERT_EQ(above, count) << bucket;
  }
  std::vector<size_t> found;
  weights.forEachAbove(logits, top, weights.edgeBehind({}), 9.0f,
                       [&](size_t i) { found.push_back(i); });
  std::vector<size_t> expected;
  for (size_t i = 0; i < vocab; ++i)
    if (logits[i] >= 9)
      expected.push_back(i);
  EXPECT_EQ(found, expected);
}

TEST(TokenWeightsTest, PointsAndSharesAreRoundedDown) {
  constexpr uint64_t end = uint64_t(1) << 53;
  EXPECT_EQ(pointOf(0, 5), 0u);
  EXPECT_EQ(pointOf(end - 1, 5), 4u);
  EXPECT_EQ(pointOf(end / 5 * 2, 5), 1u);
  EXPECT_EQ(pointOf(end / 2, (uint64_t(1) << 63) - 1), (uint64_t(1) << 62) - 1);
  EXPECT_EQ(pointOf(end - 1, (uint64_t(1) << 63) - 1),
            (uint64_t(1) << 63) - 1025);
  EXPECT_EQ(shareOf(0.5, 7), 3u);
  EXPECT_EQ(shareOf(0.75, uint64_t(1) << 62), uint64_t(3) << 60);
  EXPECT_EQ(limitBelow(2, -0.5), 1.5f);
  EXPECT_EQ(limitBelow(2, -std::numeric_limits<double>::infinity()), -inf);
}

} // namespace
