//===- PositionTest.cpp - Tests of positions and rotary embedding ---------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReferenceTest.h"

#include <cmath>

using namespace clade::reference;

namespace {

class PositionTest : public ReferenceTest {
protected:
  /// Cosines and sines of positions 0 … count − 1 of a sequence scaled for
  /// `scaledLength`; `attributes` begins with `frequencies`.
  void table(const std::string &attributes, int64_t size, int count,
             int64_t scaledLength, const std::string &type = "f32") {
    std::string result = "!clade.tensor<[token, j = " + std::to_string(size) +
                         "], " + type + ">";
    ASSERT_TRUE(load(
        "func.func @main(%tokens: !clade.tensor<[token], i32>, %batch: "
        "!clade.batch) -> !clade.tensor<[selected], i32> attributes "
        "{clade.entry} {\n"
        "  %p = clade.positions %batch : !clade.tensor<[token], i32>\n"
        "  %cos, %sin = clade.rotary_table %p, %batch " +
        attributes + " : !clade.tensor<[token], i32> -> " + result +
        "\n  %y = clade.select %p, %batch : !clade.tensor<[token], i32> -> "
        "!clade.tensor<[selected], i32>\n"
        "  return %y : !clade.tensor<[selected], i32>\n}\n"))
        << diagnostics;
    int sequence = interpreter->addSequence(scaledLength);
    ASSERT_TRUE(step({{sequence, std::vector<int32_t>(count, 0), {}}}))
        << diagnostics;
    for (const Observed &result : observed)
      if (result.op == "clade.rotary_table")
        (cos.empty() ? cos : sin) = result.values;
  }

  /// Rotates x, whose last axis has 4 features, by the table (c, s).
  std::vector<float> rope(const std::string &pairs, std::vector<float> x,
                          std::vector<float> c, std::vector<float> s,
                          const std::string &type,
                          const std::string &tableType) {
    clade::rt::DType dtype = *clade::rt::parseDType(type),
                     tableDType = *clade::rt::parseDType(tableType);
    int64_t size = c.size();
    addWeight("x", {1, 1, 4}, x, dtype);
    addWeight("c", {1, size}, c, tableDType);
    addWeight("s", {1, size}, s, tableDType);
    std::string j = std::to_string(size);
    EXPECT_TRUE(runOps(
        "!i = !clade.tensor<[token], i32>\n"
        "!tx = !clade.tensor<[vocab = 1, heads = 1, head = 4], " +
            type + ">\n!x = !clade.tensor<[token, heads = 1, head = 4], " +
            type + ">\n!tc = !clade.tensor<[vocab = 1, j = " + j + "], " +
            tableType + ">\n!c = !clade.tensor<[token, j = " + j + "], " +
            tableType + ">",
        "  %tx = clade.param @x : !tx\n  %tc = clade.param @c : !tc\n"
        "  %ts = clade.param @s : !tc\n"
        "  %x = clade.embed %tokens, %tx : !i, !tx -> !x\n"
        "  %c = clade.embed %tokens, %tc : !i, !tc -> !c\n"
        "  %s = clade.embed %tokens, %ts : !i, !tc -> !c\n"
        "  %y = clade.rope " +
            pairs + " %x, %c, %s : !x, !c",
        {0}))
        << diagnostics;
    return last("clade.rope");
  }

  std::vector<float> cos, sin;
};

TEST_F(PositionTest, PositionsGoOnWhereTheSequenceStopped) {
  ASSERT_TRUE(
      load("func.func @main(%tokens: !clade.tensor<[token], i32>, %batch: "
           "!clade.batch) -> !clade.tensor<[selected], i32> attributes "
           "{clade.entry} {\n"
           "  %p = clade.positions %batch : !clade.tensor<[token], i32>\n"
           "  %y = clade.select %p, %batch : !clade.tensor<[token], i32> -> "
           "!clade.tensor<[selected], i32>\n"
           "  return %y : !clade.tensor<[selected], i32>\n}\n"))
      << diagnostics;
  int a = interpreter->addSequence(8), b = interpreter->addSequence(8);
  ASSERT_TRUE(step({{a, {7, 7, 7}, {}}}));
  ASSERT_TRUE(step({{b, {7, 7}, {}}, {a, {7, 7}, {}}}));
  EXPECT_EQ(last("clade.positions"), (std::vector<float>{0, 1, 3, 4}));
}

TEST_F(PositionTest, TableIsScaledCosinesAndSines) {
  table("frequencies [1.0, 0.5] scale 2.0", 2, 3, 3);
  expectNear(cos, {2, 2, 1.0806046f, 1.7551651f, -0.83229367f, 1.0806046f},
             2 * epsF32);
  expectNear(sin, {0, 0, 1.682942f, 0.95885108f, 1.8185949f, 1.682942f},
             2 * epsF32);
}

TEST_F(PositionTest, AngleIsRoundedToF32) {
  // 3 × 0.1f is 0.3000000045 as f32 product, rounded 0.30000001192…
  table("frequencies [0.1] scale 1.0", 1, 4, 4);
  float angle = 3 * 0.1f;
  EXPECT_NE(static_cast<double>(angle), 3 * static_cast<double>(0.1f));
  EXPECT_EQ(cos[3], static_cast<float>(std::cos(static_cast<double>(angle))));
}

TEST_F(PositionTest, TableRoundsOnceToBF16) {
  table("frequencies [1.0] scale 1.0", 1, 2, 2, "bf16");
  EXPECT_EQ(cos, (std::vector<float>{1, 0.5390625f}));
  EXPECT_EQ(sin, (std::vector<float>{0, 0.83984375f}));
}

TEST_F(PositionTest, LongFrequenciesBeyondTheOriginalLength) {
  const char attributes[] = "frequencies [1.0] scale 1.0 {long_frequencies = "
                            "array<f32: 0.5>, original_length = 8 : i64}";
  table(attributes, 1, 2, 8);
  expectNear(cos, {1, 0.54030231f}, epsF32);
  cos.clear(), sin.clear();
  table(attributes, 1, 2, 9);
  expectNear(cos, {1, 0.87758256f}, epsF32);
}

TEST_F(PositionTest, DynamicScalingBeyondTheOriginalLength) {
  // D = 4, theta = 16, f = 2, original = 8: at length 16 the base is
  // 16·(2·16/8 − 1)^(4/2) = 144, so frequencies 1 and 1/12.
  const char attributes[] =
      "frequencies [1.0, 0.25] scale 1.0 {dynamic_factor = 2.0, theta = 16.0, "
      "original_length = 8 : i64}";
  table(attributes, 2, 2, 16);
  expectNear(cos, {1, 1, 0.54030231f, 0.99652978f}, epsF32);
  cos.clear(), sin.clear();
  // Up to the original length the base is theta: frequencies 1 and 1/4.
  table(attributes, 2, 2, 4);
  expectNear(cos, {1, 1, 0.54030231f, 0.96891242f}, epsF32);
}

TEST_F(PositionTest, SequencesOfOneStepScaleByThemselves) {
  ASSERT_TRUE(load(
      "func.func @main(%tokens: !clade.tensor<[token], i32>, %batch: "
      "!clade.batch) -> !clade.tensor<[selected, j = 1], f32> attributes "
      "{clade.entry} {\n"
      "  %p = clade.positions %batch : !clade.tensor<[token], i32>\n"
      "  %cos, %sin = clade.rotary_table %p, %batch frequencies [1.0] scale "
      "1.0 {long_frequencies = array<f32: 0.5>, original_length = 8 : i64} : "
      "!clade.tensor<[token], i32> -> !clade.tensor<[token, j = 1], f32>\n"
      "  %y = clade.select %cos, %batch : !clade.tensor<[token, j = 1], f32> "
      "-> !clade.tensor<[selected, j = 1], f32>\n"
      "  return %y : !clade.tensor<[selected, j = 1], f32>\n}\n"))
      << diagnostics;
  int a = interpreter->addSequence(8), b = interpreter->addSequence(100);
  ASSERT_TRUE(step({{a, {0, 0}, {}}, {b, {0, 0}, {}}})) << diagnostics;
  expectNear({rows[0][0], rows[1][0]}, {0.54030231f, 0.87758256f}, epsF32);
}

TEST_F(PositionTest, RopeOfHalves) {
  // Pairs (1, 3) turned by 90°, (2, 4) by 180°.
  EXPECT_EQ(rope("halves", {1, 2, 3, 4}, {0, -1}, {1, 0}, "f32", "f32"),
            (std::vector<float>{-3, -2, 1, -4}));
}

TEST_F(PositionTest, RopeOfAdjacentFeatures) {
  // Pairs (1, 2) turned by 90°, (3, 4) by 180°.
  EXPECT_EQ(rope("adjacent", {1, 2, 3, 4}, {0, -1}, {1, 0}, "f32", "f32"),
            (std::vector<float>{-2, 1, -3, -4}));
}

TEST_F(PositionTest, RopeOfTheFirstFeaturesOnly) {
  EXPECT_EQ(rope("halves", {1, 2, 3, 4}, {0}, {1}, "f32", "f32"),
            (std::vector<float>{-2, 1, 3, 4}));
}

// u = 1 + 2⁻⁷, u² = 1 + 2⁻⁶ + 2⁻¹⁴, v = 2⁻⁸ + 2⁻¹⁴. The first feature is u² −
// v: exactly half way between 1 + 2⁻⁷ and 1 + 2⁻⁶, the even one. Rounding u² to
// bf16 takes 2⁻¹⁴ away, so that the difference rounds to 1 + 2⁻⁷.
TEST_F(PositionTest, RopeRoundsProductsAndSumInBF16) {
  float u = 1.0078125f, v = 0.00396728515625f;
  EXPECT_EQ(rope("halves", {u, 0, v, 0}, {u, 1}, {1, 0}, "bf16", "bf16")[0],
            1.0078125f);
}

TEST_F(PositionTest, RopeWithF32TableRoundsOnce) {
  float u = 1.0078125f, v = 0.00396728515625f;
  EXPECT_EQ(rope("halves", {u, 0, v, 0}, {u, 1}, {1, 0}, "bf16", "f32")[0],
            1.015625f);
}

} // namespace
