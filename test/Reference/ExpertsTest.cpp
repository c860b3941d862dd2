//===- ExpertsTest.cpp - Tests of mixtures of experts ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReferenceTest.h"

#include <limits>

using namespace clade;
using namespace clade::reference;

namespace {

using Choices = std::vector<std::vector<int64_t>>;
using Values = std::vector<float>;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

class ExpertsTest : public ReferenceTest {
protected:
  static std::string typeText(const std::string &axes, rt::DType dtype) {
    return "!clade.tensor<[" + axes + "], " +
           (dtype == rt::DType::F32 ? "f32" : "bf16") + ">";
  }

  /// %chosen: the experts of each token, in this order.
  void choose(const Choices &choices, int64_t experts) {
    active = choices[0].size();
    tokens.resize(choices.size());
    Values scores;
    for (auto [token, chosen] : llvm::enumerate(choices)) {
      tokens[token] = token;
      Values row(experts, -1.0f);
      for (auto [place, expert] : llvm::enumerate(chosen))
        row[expert] = active - place;
      scores.insert(scores.end(), row.begin(), row.end());
    }
    addValue("scores", "experts = " + std::to_string(experts), scores);
    std::string axes = "[token, active = " + std::to_string(active) + "]";
    chosenType = "!clade.tensor<" + axes + ", i32>";
    body += "  %best, %chosen = clade.top_k %scores : " + types["scores"] +
            " -> !clade.tensor<" + axes + ", f32>, " + chosenType + "\n";
  }

  /// %name of [token, `axes`]: each token has its part of `values`.
  void addValue(const std::string &name, const std::string &axes, Values values,
                rt::DType dtype = rt::DType::F32) {
    int64_t rows = tokens.size(), each = values.size() / rows;
    std::string size = "all = " + std::to_string(each);
    std::string flat = typeText("token, " + size, dtype),
                table = typeText("rows = " + std::to_string(rows) + ", " + size,
                                 dtype);
    addWeight("table_" + name, {rows, each}, std::move(values), dtype);
    types[name] = typeText("token, " + axes, dtype);
    body += "  %table_" + name + " = clade.param @table_" + name + " : " +
            table + "\n  %flat_" + name + " = clade.embed %tokens, %table_" +
            name + " : !clade.tensor<[token], i32>, " + table + " -> " + flat +
            "\n  %" + name + " = clade.view %flat_" + name + " : " + flat +
            " -> " + types[name] + "\n";
  }

  /// %name, a weight.
  void addParam(const std::string &name, std::vector<int64_t> shape,
                Values values, rt::DType dtype = rt::DType::F32) {
    std::string axes;
    for (auto [number, size] : llvm::enumerate(shape))
      axes += (number ? ", a" : "a") + std::to_string(number) + " = " +
              std::to_string(size);
    types[name] = typeText(axes, dtype);
    body +=
        "  %" + name + " = clade.param @" + name + " : " + types[name] + "\n";
    addWeight(name, std::move(shape), std::move(values), dtype);
  }

  bool runBody() { return runOps("", body, tokens); }

  /// What the experts %w give for %x; their results are [`outputs`] each.
  Values linear(const std::string &outputs, bool hasBias = false,
                rt::DType dtype = rt::DType::F32) {
    types["y"] = typeText(
        "token, active = " + std::to_string(active) + ", " + outputs, dtype);
    body += std::string("  %y = clade.expert_linear %x, %chosen, %w") +
            (hasBias ? " bias %b" : "") + " : " + types["x"] + ", " +
            chosenType + ", " + types["w"] +
            (hasBias ? ", " + types["b"] : "") + " -> " + types["y"] + "\n";
    EXPECT_TRUE(runBody()) << diagnostics;
    return last("clade.expert_linear");
  }

  /// %y by the shares %s.
  Values mix(const std::string &sum, const std::string &features,
             rt::DType dtype = rt::DType::F32) {
    body += "  %mixed = clade.mix %y, %s, %chosen sum " + sum + " : " +
            types["y"] + ", " + types["s"] + ", " + chosenType + " -> " +
            typeText("token, " + features, dtype) + "\n";
    EXPECT_TRUE(runBody()) << diagnostics;
    return last("clade.mix");
  }

  /// The mixture of one number for each choice, all with the share 1.
  Values mixOnes(const Choices &choices, const Values &values,
                 const std::string &sum, rt::DType dtype = rt::DType::F32) {
    choose(choices, 4);
    std::string axis = "active = " + std::to_string(active);
    addValue("y", axis + ", d = 1", values, dtype);
    addValue("s", axis, Values(values.size(), 1.0f), dtype);
    return mix(sum, "d = 1", dtype);
  }

  std::vector<int32_t> tokens;
  std::string body, chosenType;
  std::map<std::string, std::string> types;
  int64_t active = 0;
};

/// The identity, a scale of each feature, and sum and difference.
const Values threeExperts = {1, 0, 0, 1, /**/ 2, 0, 0, 3, /**/ 1, 1, 1, -1};

TEST_F(ExpertsTest, EachTokenByTheExpertsItChose) {
  choose({{2, 0}, {1, 2}}, 3);
  addValue("x", "d = 2", {1, 2, 5, -4});
  addParam("w", {3, 2, 2}, threeExperts);
  EXPECT_EQ(linear("o = 2"), (Values{3, -1, 1, 2, 10, -12, 1, 9}));
}

TEST_F(ExpertsTest, EachChoiceHasItsInput) {
  choose({{2, 0}, {1, 2}}, 3);
  addValue("x", "active = 2, d = 2", {1, 2, 3, 4, 5, 6, 7, 8});
  addParam("w", {3, 2, 2}, threeExperts);
  EXPECT_EQ(linear("o = 2"), (Values{3, -1, 3, 4, 10, 18, 15, -1}));
}

TEST_F(ExpertsTest, OneExpertForAToken) {
  choose({{1}, {1}, {0}}, 3);
  addValue("x", "d = 2", {1, 2, 3, 4, 5, 6});
  addParam("w", {3, 2, 2}, threeExperts);
  EXPECT_EQ(linear("o = 2"), (Values{2, 6, 6, 12, 5, 6}));
}

TEST_F(ExpertsTest, BiasOfTheExpert) {
  choose({{2, 0}, {1, 2}}, 3);
  addValue("x", "d = 2", {1, 2, 5, -4});
  addParam("w", {3, 2, 2}, threeExperts);
  addParam("b", {3, 2}, {100, 200, 10, 20, 1000, 2000});
  EXPECT_EQ(linear("o = 2", /*hasBias=*/true),
            (Values{1003, 1999, 101, 202, 20, 8, 1001, 2009}));
}

TEST_F(ExpertsTest, ExpertsThatNobodyChoseAreNotRead) {
  choose({{2, 0}, {0, 2}}, 3);
  addValue("x", "d = 2", {1, 2, 5, -4});
  addParam("w", {3, 2, 2}, {1, 0, 0, 1, nan, nan, nan, nan, 1, 1, 1, -1});
  addParam("b", {3, 2}, {1, 1, nan, nan, 2, 2});
  EXPECT_EQ(linear("o = 2", /*hasBias=*/true),
            (Values{5, 1, 2, 3, 6, -3, 3, 11}));
}

TEST_F(ExpertsTest, ChoicesAreThoseOfTheSequencesAdapter) {
  const std::string type = "!clade.tensor<[token, adapter = 1], i32>",
                    of = "!clade.tensor<[token, active = 2], i32>";
  choose({{2, 0}, {1, 2}}, 3);
  body += "  %which = clade.adapter_choice %batch : " + type +
          "\n  %of = clade.adapter_choice %batch of %chosen : " + of +
          " experts 3 : " + of + "\n";
  ASSERT_TRUE(runBody()) << diagnostics;
  // Without an adapter place 0, and the experts that were chosen.
  EXPECT_EQ(last("clade.adapter_choice"), (Values{2, 0, 1, 2}));
  SequenceChunk chunk{interpreter->addSequence(2), tokens, {}};
  chunk.adapter = 2;
  ASSERT_TRUE(step({chunk})) << diagnostics;
  EXPECT_EQ(last("clade.adapter_choice"), (Values{8, 6, 7, 8}));
  std::vector<Values> choices;
  for (const Observed &result : observed)
    if (result.op == "clade.adapter_choice")
      choices.push_back(result.values);
  EXPECT_EQ(choices.front(), (Values{2, 2}));
}

TEST_F(ExpertsTest, FeaturesOfSeveralAxes) {
  // Expert 0 keeps the four features, expert 1 turns them round.
  choose({{1, 0}}, 2);
  addValue("x", "parts = 2, d = 2", {1, 2, 3, 4});
  addParam("w", {2, 4, 4}, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1,
                            0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0});
  EXPECT_EQ(linear("heads = 2, head = 2"), (Values{4, 3, 2, 1, 1, 2, 3, 4}));
}

TEST_F(ExpertsTest, MoreResultsThanInputs) {
  choose({{1}}, 2);
  addValue("x", "d = 1", {3});
  addParam("w", {2, 3, 1}, {7, 8, 9, 1, 10, 100});
  EXPECT_EQ(linear("o = 3"), (Values{3, 30, 300}));
}

TEST_F(ExpertsTest, SumsAreWiderThanTheirElements) {
  // In f32, 2²⁵ + 1 would be 2²⁵.
  choose({{1}}, 2);
  addValue("x", "d = 3", {1, 1, 1});
  addParam("w", {2, 1, 3}, {0, 0, 0, 0x1p25f, 1, -0x1p25f});
  EXPECT_EQ(linear("o = 1"), Values{1});
}

TEST_F(ExpertsTest, ProductInBF16RoundsToEven) {
  // Between 256 and 512 bf16 has the even numbers.
  choose({{0}, {1}}, 2);
  addValue("x", "d = 2", {1, 1, 1, 1}, rt::DType::BF16);
  addParam("w", {2, 1, 2}, {256, 1, 256, 3}, rt::DType::BF16);
  EXPECT_EQ(linear("o = 1", /*hasBias=*/false, rt::DType::BF16),
            (Values{256, 260}));
}

TEST_F(ExpertsTest, BiasIsAddedBeforeTheOnlyRounding) {
  // 257 would round to 256, and 256 + 1 to 256 again.
  choose({{0}}, 1);
  addValue("x", "d = 2", {1, 1}, rt::DType::BF16);
  addParam("w", {1, 1, 2}, {256, 1}, rt::DType::BF16);
  addParam("b", {1, 1}, {1}, rt::DType::BF16);
  EXPECT_EQ(linear("o = 1", /*hasBias=*/true, rt::DType::BF16), Values{258});
}

TEST_F(ExpertsTest, ExpertBeyondTheWeightIsAnError) {
  choose({{0, 2}, {1, 4}}, 5);
  addValue("x", "d = 2", {1, 2, 3, 4});
  addParam("w", {3, 2, 2}, threeExperts);
  body += "  %y = clade.expert_linear %x, %chosen, %w : " + types["x"] + ", " +
          chosenType + ", " + types["w"] +
          " -> !clade.tensor<[token, active = 2, o = 2], f32>\n";
  EXPECT_FALSE(runBody());
  EXPECT_NE(diagnostics.find("expected experts from 0 to 2, got 4"),
            std::string::npos)
      << diagnostics;
}

TEST_F(ExpertsTest, MixWeighsEachChoiceOfEachToken) {
  choose({{0, 1}, {3, 2}}, 4);
  addValue("y", "active = 2, d = 2", {2, 4, 8, 16, 1, 2, 3, 4});
  addValue("s", "active = 2", {0.5, 0.25, 10, 100});
  EXPECT_EQ(mix("f32", "d = 2"), (Values{3, 6, 310, 420}));
}

TEST_F(ExpertsTest, MixOfOneChoiceIsItsProduct) {
  choose({{3}, {0}}, 4);
  addValue("y", "active = 1, d = 2", {2, -4, 8, 16});
  addValue("s", "active = 1", {0.5, 0.25});
  EXPECT_EQ(mix("f32", "d = 2"), (Values{1, -2, 2, 4}));
}

TEST_F(ExpertsTest, MixKeepsTheAxesOfFeatures) {
  choose({{1, 0}}, 4);
  addValue("y", "active = 2, heads = 2, head = 2", {1, 2, 3, 4, 5, 6, 7, 8});
  addValue("s", "active = 2", {1, 10});
  EXPECT_EQ(mix("f32", "heads = 2, head = 2"), (Values{51, 62, 73, 84}));
}

TEST_F(ExpertsTest, MixAddsTheLargeOneFirstIfItsExpertIs) {
  // Expert 0 gives 2²⁴, to which f32 cannot add one; the others give 1.
  constexpr float large = 0x1p24f;
  EXPECT_EQ(mixOnes({{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {2, 0, 1}},
                    {large, 1, 1, 1, 1, large, 1, large, 1, 1, large, 1},
                    "f32"),
            Values(4, large));
}

TEST_F(ExpertsTest, MixAddsTheLargeOneLastIfItsExpertIs) {
  // Expert 2 gives 2²⁴: the ones have become two by then.
  constexpr float large = 0x1p24f;
  EXPECT_EQ(mixOnes({{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {2, 0, 1}},
                    {1, 1, large, large, 1, 1, 1, 1, large, large, 1, 1},
                    "f32"),
            Values(4, large + 2));
}

TEST_F(ExpertsTest, PartialSumsRoundToBF16) {
  // 257 becomes 256 before the two are added.
  EXPECT_EQ(mixOnes({{0, 1, 2}, {2, 0, 1}}, {256, 1, 2, 2, 256, 1}, "bf16",
                    rt::DType::BF16),
            (Values{258, 258}));
}

TEST_F(ExpertsTest, SumsInF32RoundAtTheEnd) {
  // 259 as a whole becomes 260.
  EXPECT_EQ(mixOnes({{0, 1, 2}, {2, 0, 1}}, {256, 1, 2, 2, 256, 1}, "f32",
                    rt::DType::BF16),
            (Values{260, 260}));
}

TEST_F(ExpertsTest, ProductsRoundToBF16) {
  // (1 + 2⁻⁷)² = 1 + 2⁻⁶ + 2⁻¹⁴, of which bf16 keeps the first two.
  choose({{1, 0}}, 4);
  addValue("y", "active = 2, d = 1", {-1.015625, 1.0078125}, rt::DType::BF16);
  addValue("s", "active = 2", {1, 1.0078125}, rt::DType::BF16);
  EXPECT_EQ(mix("bf16", "d = 1", rt::DType::BF16), Values{0});
}

TEST_F(ExpertsTest, ProductsInF32AreWhole) {
  choose({{1, 0}}, 4);
  addValue("y", "active = 2, d = 1", {-1.015625, 1.0078125}, rt::DType::BF16);
  addValue("s", "active = 2", {1, 1.0078125}, rt::DType::BF16);
  EXPECT_EQ(mix("f32", "d = 1", rt::DType::BF16), Values{0x1p-14f});
}

TEST_F(ExpertsTest, WhatExpertsGiveIsMixed) {
  choose({{2, 0}, {1, 2}}, 3);
  addValue("x", "d = 2", {1, 2, 5, -4});
  addValue("s", "active = 2", {0.5, 2, 1, -1});
  addParam("w", {3, 2, 2}, threeExperts);
  linear("o = 2");
  EXPECT_EQ(mix("f32", "o = 2"), (Values{3.5, 3.5, 9, -21}));
}

} // namespace
