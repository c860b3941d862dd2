//===- AttentionTest.cpp - Tests of attention and its state ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReferenceTest.h"

#include <cmath>
#include <limits>

using namespace clade::reference;

namespace {

/// Vectors of one kind for each token id: values[id][head][size].
struct Vectors {
  int64_t heads, size;
  std::vector<float> values;
};

class AttentionTest : public ReferenceTest {
protected:
  /// Loads a module whose layers attend with the vectors of each token.
  /// `options` is what follows `scale`; `outputType` that of v and the result;
  /// `sink` has a number for each head of q, or none.
  void loadAttention(const Vectors &q, const Vectors &k, const Vectors &v,
                     const std::string &options,
                     const std::string &type = "f32",
                     const std::string &outputType = "f32", bool cached = false,
                     std::vector<float> sink = {}) {
    std::string aliases, body, sinkText;
    if (!sink.empty()) {
      int64_t heads = sink.size();
      std::string axis = "qh = " + std::to_string(heads);
      addWeight("sink", {heads}, std::move(sink));
      aliases = "!sink = !clade.tensor<[" + axis + "], f32>\n";
      body = "  %sink = clade.param @sink : !sink\n";
      sinkText = " sink %sink : !sink";
    }
    int64_t vocab = q.values.size() / (q.heads * q.size);
    auto define = [&](const std::string &name, const Vectors &vectors,
                      const std::string &element) {
      addWeight(name, {vocab, vectors.heads, vectors.size}, vectors.values,
                *clade::rt::parseDType(element));
      std::string axes = name + "h = " + std::to_string(vectors.heads) + ", " +
                         name + "s = " + std::to_string(vectors.size) + "], " +
                         element + ">\n";
      aliases += "!t" + name +
                 " = !clade.tensor<[vocab = " + std::to_string(vocab) + ", " +
                 axes + "!" + name + " = !clade.tensor<[token, " + axes;
      body += "  %t" + name + " = clade.param @" + name + " : !t" + name +
              "\n  %" + name + " = clade.embed %ids, %t" + name +
              " : !clade.tensor<[token], i32>, !t" + name + " -> !" + name +
              "\n";
    };
    define("q", q, type);
    define("k", k, type);
    define("v", v, outputType);
    aliases += "!y = !clade.tensor<[token, qh = " + std::to_string(q.heads) +
               ", vs = " + std::to_string(v.size) + "], " + outputType + ">\n";
    std::string attend =
        cached ? "  clade.cache_write %k, %v, %batch state 0" +
                     std::string(isShared ? " {shared}" : "") +
                     " : !k, !v\n"
                     "  %a = clade.attend_cached %q, %batch" +
                     sinkText + " state 0 kv_heads " + std::to_string(k.heads) +
                     " scale " + options + " : !q -> !y\n"
               : "  %a = clade.attend %q, %k, %v, %batch" + sinkText +
                     " state 0 scale " + options + " : (!q, !k, !v) -> !y\n";
    std::string kind =
        aliases +
        "func.func @kind(%ids: !clade.tensor<[token], i32>, %batch: "
        "!clade.batch) -> !clade.tensor<[token], i32> {\n" +
        body + attend +
        "  return %ids : !clade.tensor<[token], i32>\n}\n"
        "clade.schedule @layers kinds [@kind] rows [0, 0]\n";
    ASSERT_TRUE(load(
        kind +
        "func.func @main(%tokens: !clade.tensor<[token], i32>, %batch: "
        "!clade.batch) -> !clade.tensor<[selected], i32> attributes "
        "{clade.entry} {\n"
        "  %ids = clade.layers @layers(%tokens, %batch) : "
        "(!clade.tensor<[token], i32>, !clade.batch) -> "
        "!clade.tensor<[token], i32>\n"
        "  %y = clade.select %ids, %batch : !clade.tensor<[token], i32> -> "
        "!clade.tensor<[selected], i32>\n"
        "  return %y : !clade.tensor<[selected], i32>\n}\n"))
        << diagnostics;
  }

  /// Runs tokens 0 … count − 1 of one sequence and gives the attention of the
  /// last layer.
  std::vector<float> attendAll(int count, llvm::StringRef op = "clade.attend") {
    std::vector<int32_t> tokens(count);
    for (int i = 0; i < count; ++i)
      tokens[i] = i;
    int sequence = interpreter->addSequence(count);
    EXPECT_TRUE(step({{sequence, tokens, {}}})) << diagnostics;
    return last(op);
  }

  bool isShared = false; ///< What a cache writes are keys alone.
};

/// Queries of zeros: every key counts the same.
const Vectors zeros{1, 1, {0, 0, 0, 0}};
const Vectors numbers{1, 1, {1, 2, 3, 4}};

TEST_F(AttentionTest, TokensAttendToThePast) {
  loadAttention(zeros, numbers, numbers, "1.0");
  expectNear(attendAll(4), {1, 1.5f, 2, 2.5f}, 2 * epsF32);
}

TEST_F(AttentionTest, ScoresAreScaledProducts) {
  // Token 1: scores 0.5·2·1 and 0.5·2·2, shares 1/(1 + e) and e/(1 + e).
  Vectors ids{1, 1, {1, 2}};
  loadAttention(ids, ids, ids, "0.5");
  expectNear(attendAll(2), {1, 1.7310586f}, 2 * epsF32);
}

TEST_F(AttentionTest, ScoresSumOverTheHeadSize) {
  // Token 1: scores 1·1 + 2·0 and 1·0 + 2·1.
  Vectors q{1, 2, {1, 2, 1, 2}}, k{1, 2, {1, 0, 0, 1}}, v{1, 1, {0, 1}};
  loadAttention(q, k, v, "1.0");
  expectNear(attendAll(2), {0, 0.73105858f}, epsF32);
}

TEST_F(AttentionTest, WindowCutsTheDistantPast) {
  loadAttention(zeros, numbers, numbers, "1.0 {window = 2 : i64}");
  expectNear(attendAll(4), {1, 1.5f, 2.5f, 3.5f}, 4 * epsF32);
}

TEST_F(AttentionTest, WindowOfOneIsTheTokenItself) {
  loadAttention(numbers, numbers, numbers, "1.0 {window = 1 : i64}");
  EXPECT_EQ(attendAll(4), numbers.values);
}

TEST_F(AttentionTest, SoftcapBendsScores) {
  // Token 1: scores 2 and 4, bent to 2·tanh(1) and 2·tanh(2).
  Vectors ids{1, 1, {1, 2}};
  loadAttention(ids, ids, ids, "1.0 {softcap = 2.0 : f64}");
  double a = std::exp(2 * std::tanh(1.0)), b = std::exp(2 * std::tanh(2.0));
  expectNear(attendAll(2), {1, static_cast<float>((a + 2 * b) / (a + b))},
             2 * epsF32);
}

TEST_F(AttentionTest, SharedValuesAreTheFirstElementsOfKeys) {
  // Values that are given beside the keys are not kept.
  Vectors q{1, 2, {0, 0, 0, 0}}, k{1, 2, {1, 70, 2, 80}}, v{1, 1, {7, 8}};
  isShared = true;
  loadAttention(q, k, v, "1.0 {shared}", "f32", "f32", /*cached=*/true);
  expectNear(attendAll(2, "clade.attend_cached"), {1, 1.5f}, 2 * epsF32);
}

TEST_F(AttentionTest, SharedStatesHaveNoOtherValues) {
  Vectors q{1, 2, {0, 0}}, k{1, 2, {1, 70}}, v{1, 1, {7}};
  loadAttention(q, k, v, "1.0 {shared}", "f32", "f32", /*cached=*/true);
  int sequence = interpreter->addSequence(1);
  EXPECT_FALSE(step({{sequence, {0}, {}}}));
  EXPECT_NE(diagnostics.find("expected a state of 1 heads with keys of 2 and "
                             "values of 0, got 1, 2 and 1"),
            std::string::npos)
      << diagnostics;
}

TEST_F(AttentionTest, SinkTakesItsShareAndGivesNothing) {
  // Scores of 0 and a sink of 0: token t gives the sum of its t + 1 values over
  // t + 2.
  loadAttention(zeros, numbers, numbers, "1.0", "f32", "f32", /*cached=*/false,
                {0});
  expectNear(attendAll(4), {0.5f, 1, 1.5f, 2}, 4 * epsF32);
}

TEST_F(AttentionTest, EachQueryHeadHasItsSink) {
  Vectors q{2, 1, {0, 0}}, k{1, 1, {1}}, v{1, 1, {1}};
  float infinity = std::numeric_limits<float>::infinity();
  loadAttention(q, k, v, "1.0", "f32", "f32", /*cached=*/true,
                {-infinity, std::log(3.0f)});
  int sequence = interpreter->addSequence(1);
  ASSERT_TRUE(step({{sequence, {0}, {}}})) << diagnostics;
  expectNear(last("clade.attend_cached"), {1, 0.25f}, epsF32);
}

TEST_F(AttentionTest, LargestSinkDoesNotOverflow) {
  loadAttention(zeros, numbers, numbers, "1.0", "f32", "f32", /*cached=*/false,
                {1000});
  EXPECT_EQ(attendAll(2), (std::vector<float>{0, 0}));
}

TEST_F(AttentionTest, SlopesGrowWithTheDistance) {
  // Scores −s and 0 of token 1, for slopes of 1 and 2.
  Vectors q{2, 1, {0, 0, 0, 0}}, k{1, 1, {1, 1}}, v{1, 1, {1, 2}};
  loadAttention(q, k, v, "1.0 {slopes = array<f32: 1.0, 2.0>}");
  auto share = [](double s) {
    return static_cast<float>((std::exp(-s) + 2) / (std::exp(-s) + 1));
  };
  expectNear(attendAll(2), {1, 1, share(1), share(2)}, 2 * epsF32);
}

TEST_F(AttentionTest, DistancesRoundInTheModelsSoftmax) {
  // 1.0078125 − 4 rounds to −3. The share of e⁻³ rounds to 194·2⁻¹²; without
  // the rounding it would be 196·2⁻¹².
  Vectors q{1, 1, {0, 1}}, k{1, 1, {1.0078125f, 4}}, v{1, 1, {1, 0}};
  loadAttention(q, k, v, "1.0 {model_softmax}", "bf16", "f32");
  EXPECT_EQ(attendAll(2), (std::vector<float>{1, 0.04736328125f}));
  reset();
  loadAttention(q, k, v, "1.0", "bf16", "f32");
  EXPECT_EQ(attendAll(2), (std::vector<float>{1, 0.0478515625f}));
}

TEST_F(AttentionTest, NeighbouringQueryHeadsShareAKeyHead) {
  Vectors q{4, 1, {0, 0, 0, 0, 0, 0, 0, 0}}, k{2, 1, {1, 1, 1, 1}},
      v{2, 2, {1, 2, 10, 20, 3, 4, 30, 40}};
  loadAttention(q, k, v, "1.0");
  expectNear(attendAll(2),
             {1, 2, 1, 2, 10, 20, 10, 20, 2, 3, 2, 3, 20, 30, 20, 30},
             20 * epsF32);
}

TEST_F(AttentionTest, LargeScoresDoNotOverflow) {
  Vectors ids{1, 1, {100, 200}};
  loadAttention(ids, ids, ids, "1.0");
  EXPECT_EQ(attendAll(2), (std::vector<float>{100, 200}));
}

TEST_F(AttentionTest, ScoresRoundToBF16) {
  // Token 1's scores are 1 + 2⁻⁸, half way and so 1, and 1: equal shares.
  // Scaled by 64 without rounding they would differ by 1/4.
  Vectors q{1, 2, {0, 0, 1, 1}}, k{1, 2, {1, 0.00390625f, 1, 0}},
      v{1, 1, {1, 0}};
  loadAttention(q, k, v, "64.0", "bf16", "bf16");
  EXPECT_EQ(attendAll(2), (std::vector<float>{1, 0.5f}));
}

TEST_F(AttentionTest, ScaledScoresRoundToBF16) {
  // (1 + 2⁻⁷)·100.5 = 101.285… rounds to 101.5; 100.5 stays. The share is
  // e/(1 + e) = 0.73106, which rounds to 0.73046875.
  Vectors q{1, 1, {0, 1}}, k{1, 1, {1.0078125f, 1}}, v{1, 1, {1, 0}};
  loadAttention(q, k, v, "100.5", "bf16", "bf16");
  EXPECT_EQ(attendAll(2), (std::vector<float>{1, 0.73046875f}));
}

TEST_F(AttentionTest, SoftcapRoundsEachOperationInBF16) {
  // 210/c rounds to 255/256, its tanh to 195/256, times c to 161; 209/c to
  // 254/256, 194/256, 160. Rounded only at the end, both would be 160.
  Vectors q{1, 1, {0, 1}}, k{1, 1, {210, 209}}, v{1, 1, {1, 0}};
  loadAttention(q, k, v, "1.0 {softcap = 210.72 : f64}", "bf16", "f32");
  EXPECT_EQ(attendAll(2), (std::vector<float>{1, 0.73046875f}));
}

TEST_F(AttentionTest, SharesRoundToBF16) {
  // Shares of 1/3 round to 0.333984375, and their sum shows in an f32 result.
  Vectors zero{1, 1, {0, 0, 0}}, one{1, 1, {1, 1, 1}};
  loadAttention(zero, one, one, "1.0", "bf16", "f32");
  EXPECT_EQ(attendAll(3), (std::vector<float>{1, 1, 1.001953125f}));
}

TEST_F(AttentionTest, PiecesGiveWhatTheWholeGives) {
  loadAttention(numbers, numbers, numbers, "0.5 {window = 3 : i64}");
  std::vector<float> whole = attendAll(4);
  int sequence = interpreter->addSequence(4);
  std::vector<float> pieces;
  for (std::vector<int32_t> piece : {std::vector<int32_t>{0}, {1, 2}, {3}}) {
    ASSERT_TRUE(step({{sequence, piece, {}}})) << diagnostics;
    for (float value : last("clade.attend"))
      pieces.push_back(value);
  }
  EXPECT_EQ(pieces, whole);
}

TEST_F(AttentionTest, SequencesDoNotSeeEachOther) {
  loadAttention(numbers, numbers, numbers, "0.5");
  std::vector<float> whole = attendAll(4);
  int a = interpreter->addSequence(4), b = interpreter->addSequence(4);
  ASSERT_TRUE(step({{a, {0, 1}, {}}})) << diagnostics;
  ASSERT_TRUE(step({{b, {0, 1, 2}, {}}, {a, {2, 3}, {}}})) << diagnostics;
  EXPECT_EQ(
      last("clade.attend"),
      (std::vector<float>{whole[0], whole[1], whole[2], whole[2], whole[3]}));
}

TEST_F(AttentionTest, CachedFormIsTheSame) {
  loadAttention(numbers, numbers, numbers, "0.5 {window = 3 : i64}");
  std::vector<float> whole = attendAll(4);

  reset();
  loadAttention(numbers, numbers, numbers, "0.5 {window = 3 : i64}", "f32",
                "f32", /*cached=*/true);
  int sequence = interpreter->addSequence(4);
  ASSERT_TRUE(step({{sequence, {0, 1, 2, 3}, {}}})) << diagnostics;
  EXPECT_EQ(last("clade.attend_cached"), whole);
}

} // namespace
