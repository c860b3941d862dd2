//===- CompareTest.cpp - When two results count as the same ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Compare.h"

#include "gtest/gtest.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

using namespace clade::driver;

namespace {
using Values = std::vector<float>;

/// Normal numbers; the same seed gives the same.
Values normal(size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> draw;
  Values values(count);
  for (float &value : values)
    value = draw(engine);
  return values;
}

Values off(const Values &values, float scale, unsigned seed) {
  Values noise = normal(values.size(), seed), result = values;
  for (size_t i = 0; i < values.size(); ++i)
    result[i] += scale * noise[i];
  return result;
}

TEST(Distance, OfEqualValuesIsNothing) {
  Values values = normal(100, 1);
  Distance same = distance(values, values);
  EXPECT_EQ(same.largest, 0);
  EXPECT_EQ(same.rms, 0);
  EXPECT_NEAR(same.cosine, 1, 1e-15);
  EXPECT_TRUE(withinF32(same));
}

TEST(Distance, NamesTheLargestDifference) {
  Values reference = {1, -4, 2, 0}, result = {1, -4, 2.5, 0.25};
  Distance found = distance(result, reference);
  EXPECT_EQ(found.at, 2u);
  EXPECT_DOUBLE_EQ(found.largest, 0.5 / 4);
  EXPECT_DOUBLE_EQ(found.rms, std::sqrt((0.25 + 0.0625) / 4));
  EXPECT_LT(found.cosine, 1);
}

TEST(Distance, OfZerosAndOfWhatIsNoNumber) {
  Values zeros(4), ones(4, 1.0f);
  EXPECT_TRUE(withinF32(distance(zeros, zeros)));
  EXPECT_TRUE(std::isinf(distance(ones, zeros).largest));
  EXPECT_EQ(distance(zeros, ones).cosine, 0);
  for (float bad : {std::numeric_limits<float>::quiet_NaN(),
                    std::numeric_limits<float>::infinity()}) {
    Values broken = ones;
    broken[3] = bad;
    EXPECT_FALSE(withinF32(distance(broken, ones)));
    EXPECT_FALSE(withinF32(distance(ones, broken)));
  }
}

TEST(Distance, TheBoundOfF32) {
  Values reference = normal(1000, 1);
  reference[0] = 10;
  Values result = reference;
  result[500] += 9e-5f;
  EXPECT_TRUE(withinF32(distance(result, reference)));
  result[500] = reference[500] + 2e-4f;
  EXPECT_FALSE(withinF32(distance(result, reference)));
  // Each value within the bound, but their direction is not.
  EXPECT_FALSE(withinF32(distance(off(reference, 2e-3f, 2), reference)));
}

/// A truth, and a reference that is `error` away from it.
struct BF16 : testing::Test {
  bool within(const Values &result) {
    return withinBF16(result, reference, wide, ratio);
  }
  Values wide = normal(2000, 1), reference = off(wide, 1e-3f, 2);
  double ratio = 0;
};

TEST_F(BF16, AsNearToTheTruthAsTheReference) {
  EXPECT_TRUE(within(off(wide, 1e-3f, 3)));
  EXPECT_NEAR(ratio, 1, 0.08);
  EXPECT_TRUE(within(wide));
  EXPECT_EQ(ratio, 0);
}

TEST_F(BF16, AFifthFartherFails) {
  EXPECT_FALSE(within(off(wide, 1.2e-3f, 3)));
  EXPECT_NEAR(ratio, 1.2, 0.08);
}

TEST_F(BF16, OneFarValueFails) {
  Values result = wide;
  result[7] += 0.2f; // 6e-2 of the largest
  reference[9] += 0.03f;
  EXPECT_FALSE(within(result));
}

TEST_F(BF16, FarFromAReferenceThatIsFarItselfFails) {
  reference = off(wide, 1e-2f, 2);
  reference[9] = wide[9] + 0.12f; // 3e-2 of the largest
  Values result = off(wide, 0.9e-2f, 3);
  EXPECT_TRUE(within(result)) << ratio;
  result[9] = wide[9] - 0.08f;
  EXPECT_GT(distance(result, reference).largest, 4e-2);
  EXPECT_FALSE(within(result));
  EXPECT_LT(ratio, 1.1);
}

TEST_F(BF16, AnExactReferenceAllowsNoError) {
  EXPECT_TRUE(withinBF16(wide, wide, wide, ratio));
  EXPECT_EQ(ratio, 1);
  EXPECT_FALSE(withinBF16(off(wide, 1e-6f, 4), wide, wide, ratio));
  EXPECT_TRUE(std::isinf(ratio));
}
} // namespace
