//===- RecurrentTest.cpp - Tests of convolutions and scans ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReferenceTest.h"

using namespace clade::reference;

namespace {

/// Layers whose `body` sees %x, a row [c] of f32 for each token, from a table.
class RecurrentTest : public ReferenceTest {
protected:
  void loadLayers(std::vector<float> table, int64_t channels,
                  const std::string &body, const std::string &aliases = "") {
    int64_t vocab = static_cast<int64_t>(table.size()) / channels;
    std::string c = "c = " + std::to_string(channels) + "], f32>\n";
    addWeight("table", {vocab, channels}, std::move(table));
    std::string ids = "!clade.tensor<[token], i32>";
    ASSERT_TRUE(load(
        aliases + "!x = !clade.tensor<[token, " + c + "!row = !clade.tensor<[" +
        c + "!table = !clade.tensor<[vocab = " + std::to_string(vocab) + ", " +
        c + "func.func @kind(%ids: " + ids + ", %batch: !clade.batch) -> " +
        ids +
        " {\n"
        "  %t = clade.param @table : !table\n"
        "  %x = clade.embed %ids, %t : " +
        ids + ", !table -> !x\n" + body + "  return %ids : " + ids +
        "\n}\n"
        "clade.schedule @layers kinds [@kind] rows [0, 0]\n"
        "func.func @main(%tokens: " +
        ids +
        ", %batch: !clade.batch) -> !clade.tensor<[selected], i32> attributes "
        "{clade.entry} {\n"
        "  %ids = clade.layers @layers(%tokens, %batch) : (" +
        ids + ", !clade.batch) -> " + ids +
        "\n"
        "  %y = clade.select %ids, %batch : " +
        ids +
        " -> !clade.tensor<[selected], i32>\n"
        "  return %y : !clade.tensor<[selected], i32>\n}\n"))
        << diagnostics;
  }

  /// What the last op of a name gives for the tokens of a new sequence, in
  /// pieces of the given sizes.
  std::vector<float> run(const std::string &op, std::vector<int> pieces) {
    int sequence = interpreter->addSequence(100), token = 0;
    std::vector<float> all;
    for (int size : pieces) {
      std::vector<int32_t> tokens;
      for (int i = 0; i < size; ++i)
        tokens.push_back(token++);
      EXPECT_TRUE(step({{sequence, tokens, {}}})) << diagnostics;
      for (float value : last(op))
        all.push_back(value);
    }
    return all;
  }
};

TEST_F(RecurrentTest, ConvolutionWeighsThePast) {
  addWeight("w", {2, 3}, {1, 10, 100, 2, 20, 200});
  addWeight("b", {2}, {0.5f, -0.5f});
  loadLayers({1, 5, 2, 6, 3, 7, 4, 8}, 2,
             "  %w = clade.param @w : !clade.tensor<[c = 2, taps = 3], f32>\n"
             "  %b = clade.param @b : !row\n"
             "  %y = clade.causal_conv %x, %w bias %b, %batch state 0 : !x, "
             "!clade.tensor<[c = 2, taps = 3], f32>, !row\n");
  std::vector<float> expected = {100.5f, 999.5f,  210.5f, 1299.5f,
                                 321.5f, 1529.5f, 432.5f, 1751.5f};
  EXPECT_EQ(run("clade.causal_conv", {4}), expected);
  EXPECT_EQ(run("clade.causal_conv", {1, 1, 1, 1}), expected);
  EXPECT_EQ(run("clade.causal_conv", {3, 1}), expected);
}

TEST_F(RecurrentTest, ConvolutionOfOneTapHasNoPast) {
  addWeight("w", {1, 1}, {3});
  loadLayers({1, 2, 3}, 1,
             "  %w = clade.param @w : !clade.tensor<[c = 1, taps = 1], f32>\n"
             "  %y = clade.causal_conv %x, %w, %batch state 0 : !x, "
             "!clade.tensor<[c = 1, taps = 1], f32>\n");
  EXPECT_EQ(run("clade.causal_conv", {2, 1}), (std::vector<float>{3, 6, 9}));
}

TEST_F(RecurrentTest, ConvolutionRoundsOnce) {
  // 1 + 2⁻⁸ is half way between two numbers of bf16; the bias decides.
  addWeight("w", {1, 1}, {1.00390625f});
  addWeight("b", {1}, {0.0001f});
  std::string bf16 = "!clade.tensor<[token, c = 1], bf16>";
  loadLayers({1}, 1,
             "  %w = clade.param @w : !clade.tensor<[c = 1, taps = 1], f32>\n"
             "  %b = clade.param @b : !row\n"
             "  %n = clade.cast %x : !x -> " +
                 bf16 +
                 "\n"
                 "  %y = clade.causal_conv %n, %w bias %b, %batch state 0 : " +
                 bf16 + ", !clade.tensor<[c = 1, taps = 1], f32>, !row\n");
  EXPECT_EQ(run("clade.causal_conv", {1}), (std::vector<float>{1.0078125f}));
}

/// S = 2·S + x, emitted before and after: from `initial`.
std::string doubling() {
  return "  %two = clade.constant 2.0 : !clade.tensor<[], f32>\n"
         "  %s0 = clade.param @s0 : !row\n"
         "  %y:2 = clade.scan %batch state 0 carry(%s0 : !row) "
         "over(%x, %two : !x, !clade.tensor<[], f32>) -> !x, !x {\n"
         "  ^bb0(%s: !row, %a: !row, %k: !clade.tensor<[], f32>):\n"
         "    %1 = clade.binary mul %s, %k : !row, !clade.tensor<[], f32> -> "
         "!row\n"
         "    %2 = clade.binary add %1, %a : !row, !row -> !row\n"
         "    clade.yield %2, %s, %2 : !row, !row, !row\n"
         "  }\n"
         "  %z = clade.binary sub %y#1, %y#0 : !x, !x -> !x\n";
}

TEST_F(RecurrentTest, ScanCarriesFromTokenToToken) {
  addWeight("s0", {2}, {1, -1});
  loadLayers({1, 10, 2, 20, 3, 30}, 2, doubling());
  // 1, 3, 8, 19 and −1, 8, 36, 102: the differences.
  std::vector<float> expected = {2, 9, 5, 28, 11, 66};
  EXPECT_EQ(run("clade.binary", {3}), expected);
  EXPECT_EQ(run("clade.binary", {1, 1, 1}), expected);
  EXPECT_EQ(run("clade.binary", {2, 1}), expected);
}

TEST_F(RecurrentTest, SequencesHaveStatesOfTheirOwn) {
  addWeight("s0", {1}, {0});
  loadLayers({1, 2, 3, 4}, 1, doubling());
  int a = interpreter->addSequence(4), b = interpreter->addSequence(4);
  ASSERT_TRUE(step({{a, {0, 1}, {}}})) << diagnostics;
  ASSERT_TRUE(step({{b, {3}, {}}, {a, {2, 3}, {}}})) << diagnostics;
  // b: 0 → 4; a: 4 → 11 → 26.
  EXPECT_EQ(last("clade.binary"), (std::vector<float>{4, 7, 15}));
}

TEST_F(RecurrentTest, OpsOfAScanAreNotObserved) {
  addWeight("s0", {1}, {0});
  loadLayers({1, 2}, 1, doubling());
  EXPECT_EQ(run("clade.binary", {2}).size(), 2u);
  // One subtraction a layer, and nothing else.
  EXPECT_EQ(std::ranges::count(observed, "clade.binary", &Observed::op), 2);
}

TEST_F(RecurrentTest, RepeatGivesEachIndexSeveralTimes) {
  loadLayers(
      {1, 2, 3, 4, 5, 6}, 6,
      "  %g = clade.view %x : !x -> !clade.tensor<[token, g = 3, s = 2], f32>\n"
      "  %y = clade.repeat %g \"g\" : !clade.tensor<[token, g = 3, s = 2], "
      "f32> -> !clade.tensor<[token, h = 6, s = 2], f32>\n"
      "  %z = clade.repeat %g \"s\" : !clade.tensor<[token, g = 3, s = 2], "
      "f32> -> !clade.tensor<[token, g = 3, t = 4], f32>\n");
  EXPECT_EQ(run("clade.repeat", {1}),
            (std::vector<float>{1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6}));
  std::vector<float> heads;
  for (const Observed &seen : observed)
    if (seen.op == "clade.repeat" && heads.empty())
      heads = seen.values;
  EXPECT_EQ(heads, (std::vector<float>{1, 2, 1, 2, 3, 4, 3, 4, 5, 6, 5, 6}));
}

TEST_F(RecurrentTest, TwoOpsCannotShareAState) {
  addWeight("w", {1, 3}, {1, 1, 1});
  addWeight("s0", {1}, {0});
  std::string conv =
      "  %w = clade.param @w : !clade.tensor<[c = 1, taps = 3], f32>\n"
      "  %v = clade.causal_conv %x, %w, %batch state 0 : !x, "
      "!clade.tensor<[c = 1, taps = 3], f32>\n";
  loadLayers({1, 2}, 1, conv + doubling());
  int sequence = interpreter->addSequence(4);
  EXPECT_FALSE(step({{sequence, {0}, {}}}));
  EXPECT_NE(diagnostics.find("expected a state of 1 values, got 2"),
            std::string::npos)
      << diagnostics;
  // Nothing of the step is left.
  EXPECT_EQ(interpreter->length(sequence), 0);
  EXPECT_FALSE(step({{sequence, {0}, {}}}));

  reset();
  addWeight("w", {1, 3}, {1, 1, 1});
  addWeight("s0", {1}, {0});
  loadLayers({1, 2}, 1, doubling() + conv);
  sequence = interpreter->addSequence(4);
  EXPECT_FALSE(step({{sequence, {0}, {}}}));
  EXPECT_NE(diagnostics.find("expected a state of 2 values, got 1"),
            std::string::npos)
      << diagnostics;
}

} // namespace
