//===- ModelTest.cpp - Tests of whole models in the interpreter -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A small decoder with random weights: how its steps may be cut, where its
// weights come from, what an observer sees.
//
//===----------------------------------------------------------------------===//

#include "ReferenceTest.h"

#include <fstream>
#include <random>
#include <sstream>

using namespace clade::reference;

namespace {

using Rows = std::vector<std::vector<float>>;

class ModelTest : public ReferenceTest,
                  public ::testing::WithParamInterface<const char *> {
protected:
  void SetUp() override {
    addRandom("embed.weight", {16, 8});
    addRandom("norm.weight", {8});
    for (int layer = 0; layer < 3; ++layer) {
      std::string prefix = "layers." + std::to_string(layer) + ".";
      addRandom(prefix + "norm.weight", {8});
      addRandom(prefix + "q.weight", {8, 8});
      addRandom(prefix + "kv.weight", {8, 8});
      addRandom(prefix + "o.weight", {8, 8});
      if (layer != 1)
        continue;
      addRandom(prefix + "gate.weight", {12, 8});
      addRandom(prefix + "up.weight", {12, 8});
      addRandom(prefix + "down.weight", {8, 12});
    }
    ASSERT_TRUE(load(modelText())) << diagnostics;
  }

  void addRandom(const std::string &name, std::vector<int64_t> shape) {
    int64_t count = 1;
    for (int64_t size : shape)
      count *= size;
    std::normal_distribution<float> normal(0, 0.5);
    std::vector<float> values(count);
    for (float &value : values)
      value = normal(random);
    addTensor(name, shape, values, *clade::rt::parseDType(GetParam()));
  }

  /// The model in the element type of this run.
  static std::string modelText() {
    std::ifstream file(CLADE_REFERENCE_INPUTS "/tiny-llama.mlir");
    std::stringstream stream;
    stream << file.rdbuf();
    std::string text = stream.str();
    for (size_t at = text.find("bf16"); at != std::string::npos;
         at = text.find("bf16", at + 1))
      text.replace(at, 4, GetParam());
    return text;
  }

  /// All rows of `tokens`, given in pieces of `piece` tokens.
  Rows runInPieces(std::vector<int32_t> tokens, size_t piece) {
    int sequence = interpreter->addSequence(tokens.size());
    Rows all;
    for (size_t begin = 0; begin < tokens.size(); begin += piece) {
      size_t end = std::min(begin + piece, tokens.size());
      std::vector<int32_t> part(tokens.begin() + begin, tokens.begin() + end);
      EXPECT_TRUE(
          step({{sequence, part, std::vector<bool>(end - begin, true)}}))
          << diagnostics;
      all.insert(all.end(), rows.begin(), rows.end());
    }
    return all;
  }

  std::mt19937 random{7};
  const std::vector<int32_t> text{3, 1, 4, 1, 5, 9, 2, 6, 5, 3};
};

INSTANTIATE_TEST_SUITE_P(Types, ModelTest, ::testing::Values("f32", "bf16"),
                         [](const auto &info) {
                           return std::string(info.param);
                         });

TEST_P(ModelTest, PiecesGiveWhatTheWholeGives) {
  Rows whole = runInPieces(text, text.size());
  ASSERT_EQ(whole.size(), text.size());
  ASSERT_EQ(whole[0].size(), 16u);
  EXPECT_NE(whole[0], whole[1]);
  EXPECT_EQ(runInPieces(text, 1), whole);
  EXPECT_EQ(runInPieces(text, 3), whole);
  EXPECT_EQ(runInPieces(text, 7), whole);
}

TEST_P(ModelTest, SequencesOfOneStepAreIndependent) {
  std::vector<int32_t> other{9, 9, 8, 2};
  Rows first = runInPieces(text, text.size());
  Rows second = runInPieces(other, other.size());

  int a = interpreter->addSequence(10), b = interpreter->addSequence(4);
  ASSERT_TRUE(step({{a, {3, 1, 4, 1, 5, 9, 2, 6, 5}, {}}})) << diagnostics;
  // A mix of decode and prefill.
  ASSERT_TRUE(step({{b, other, {true, false, false, true}}, {a, {3}, {}}}))
      << diagnostics;
  EXPECT_EQ(rows, (Rows{second[0], second[3], first[9]}));
  EXPECT_EQ(interpreter->length(a), 10);
  EXPECT_EQ(interpreter->length(b), 4);
}

TEST_P(ModelTest, FailedStepLeavesSequencesAsTheyWere) {
  Rows whole = runInPieces(text, text.size());
  int sequence = interpreter->addSequence(10);
  ASSERT_TRUE(step({{sequence, {3, 1, 4}, {}}})) << diagnostics;
  EXPECT_FALSE(step({{sequence, {1, 99}, {}}}));
  EXPECT_EQ(diagnostics, "expected token ids from 0 to 15, got 99\n");
  EXPECT_EQ(interpreter->length(sequence), 3);
  ASSERT_TRUE(step({{sequence, {1}, {}}})) << diagnostics;
  EXPECT_EQ(rows[0], whole[3]);
}

TEST_P(ModelTest, LayersRunWithTheirOwnWeights) {
  runInPieces({3}, 1);
  // The first element of q of each layer, from the weights of that layer.
  std::vector<int64_t> layers;
  std::vector<std::vector<float>> queries;
  for (const Observed &result : observed)
    if (result.op == "clade.param" && result.values.size() == 64 &&
        result.layer >= 0) {
      layers.push_back(result.layer);
      queries.push_back(result.values);
    }
  // q and o of each of three layers.
  EXPECT_EQ(layers, (std::vector<int64_t>{0, 0, 1, 1, 2, 2}));
  EXPECT_NE(queries[0], queries[2]);
  EXPECT_NE(queries[0], queries[4]);
  EXPECT_NE(queries[2], queries[4]);
}

TEST_P(ModelTest, ObserverSeesEveryOpInOrder) {
  runInPieces({3}, 1);
  ASSERT_GT(observed.size(), 40u);
  EXPECT_EQ(observed.front().op, "clade.param");
  EXPECT_EQ(observed.front().layer, -1);
  EXPECT_EQ(observed.back().op, "clade.linear");
  EXPECT_EQ(observed.back().values, rows[0]);
  int attends = 0;
  for (const Observed &result : observed) {
    if (result.op == "clade.attend") {
      EXPECT_EQ(result.layer, attends++);
    }
  }
  EXPECT_EQ(attends, 3);
}

TEST_P(ModelTest, ValuesAreOfTheElementType) {
  runInPieces({3}, 1);
  Element element =
      GetParam() == std::string("bf16") ? Element::BF16 : Element::F32;
  for (float value : last("clade.attend"))
    EXPECT_EQ(value, roundTo(element, value));
}

TEST_P(ModelTest, OnlyTheLastTokenIsWantedByDefault) {
  Rows whole = runInPieces(text, text.size());
  int sequence = interpreter->addSequence(10);
  ASSERT_TRUE(step({{sequence, text, {}}})) << diagnostics;
  EXPECT_EQ(rows, Rows{whole.back()});
}

} // namespace
