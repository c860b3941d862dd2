//===- ErrorTest.cpp - Tests of the interpreter's diagnostics -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReferenceTest.h"

using namespace clade::reference;

namespace {

const char tokenEntry[] =
    "func.func @main(%tokens: !clade.tensor<[token], i32>, %batch: "
    "!clade.batch) -> !clade.tensor<[selected], i32> attributes {clade.entry} "
    "{\n  %y = clade.select %tokens, %batch : !clade.tensor<[token], i32> -> "
    "!clade.tensor<[selected], i32>\n  return %y : !clade.tensor<[selected], "
    "i32>\n}\n";

class ErrorTest : public ReferenceTest {
protected:
  void expectOpError(const std::string &body, const std::string &message) {
    EXPECT_FALSE(runOps("", body, {0, 1}));
    EXPECT_EQ(diagnostics, message + "\n");
  }

  void expectLoadError(const std::string &text, const std::string &message) {
    EXPECT_FALSE(load(text));
    EXPECT_EQ(diagnostics, message + "\n");
  }

  void expectStepError(std::vector<SequenceChunk> chunks,
                       const std::string &message) {
    diagnostics.clear();
    EXPECT_FALSE(step(std::move(chunks)));
    EXPECT_EQ(diagnostics, message + "\n");
  }
};

TEST_F(ErrorTest, UnknownElementType) {
  expectOpError("  %0 = clade.constant 1.0 : !clade.tensor<[], f64>",
                "expected element type f32, bf16, f16, i32 or i1, got 'f64'");
}

TEST_F(ErrorTest, UnknownSize) {
  expectOpError("  %0 = clade.constant 1.0 : !clade.tensor<[], f32>\n"
                "  %1 = clade.spread %0 : !clade.tensor<[], f32> -> "
                "!clade.tensor<[images], f32>",
                "expected a size for axis 'images', got "
                "'!clade.tensor<[images], f32>'");
}

TEST_F(ErrorTest, TooManyElements) {
  expectOpError("  %0 = clade.constant 1.0 : !clade.tensor<[], f32>\n"
                "  %1 = clade.spread %0 : !clade.tensor<[], f32> -> "
                "!clade.tensor<[a = 65536, b = 65537], f32>",
                "expected at most 4294967296 elements, got "
                "'!clade.tensor<[a = 65536, b = 65537], f32>'");
}

TEST_F(ErrorTest, StepOfAnotherSizeThanTheModule) {
  expectOpError("  %0 = clade.positions %batch : "
                "!clade.tensor<[token = 3], i32>",
                "expected axis 'token' of size 3, got a step of 2");
}

TEST_F(ErrorTest, UnknownOp) {
  expectOpError("  %0 = func.call @helper() : () -> !clade.tensor<[], f32>\n"
                "  %out = clade.select %tokens, %batch : "
                "!clade.tensor<[token], i32> -> "
                "!clade.tensor<[selected], i32>\n"
                "  return %out : !clade.tensor<[selected], i32>\n}\n"
                "func.func private @helper() -> !clade.tensor<[], f32>\n"
                "func.func @other(%tokens: !clade.tensor<[token], i32>, "
                "%batch: !clade.batch) -> !clade.tensor<[selected], i32> {",
                "expected an op with an interpreter rule, got 'func.call'");
}

TEST_F(ErrorTest, PackedWeight) {
  addTensor("w", {4, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_FALSE(
      runOps("wmap.func @w -> tensor<1x1x4x2xf32> {\n"
             "  %0 = wmap.source \"w\" : tensor<4x2xf32>\n"
             "  %1 = wmap.pack %0 rows 4 inner 2 : tensor<4x2xf32> -> "
             "tensor<1x1x4x2xf32>\n  wmap.return %1 : tensor<1x1x4x2xf32>\n}",
             "  %w = clade.param @w : !clade.tensor<[o = 4, i = 2], f32, "
             "#clade.panels<rows = 4, inner = 2>>",
             {0}));
  EXPECT_EQ(diagnostics,
            "expected a weight that is not packed, got '!clade.tensor<[o = 4, "
            "i = 2], f32, #clade.panels<rows = 4, inner = 2>>'\n");
}

TEST_F(ErrorTest, LayersInsideLayers) {
  EXPECT_FALSE(runLayerOps(
      "",
      "  %y = clade.layers @layers(%x, %batch) : (!hidden, !clade.batch) "
      "-> !hidden",
      {0}));
  EXPECT_EQ(diagnostics, "expected layers to run outside of layers\n");
}

TEST_F(ErrorTest, LayerFunctionWithoutBody) {
  EXPECT_FALSE(runOps(
      "!hidden = !clade.tensor<[token], i32>\n"
      "func.func private @kind(!hidden) -> !hidden\n"
      "clade.schedule @layers kinds [@kind] rows [0]",
      "  %y = clade.layers @layers(%tokens) : (!hidden) -> !hidden", {0}));
  EXPECT_EQ(diagnostics, "expected a layer function with a body\n");
}

const char heads[] = "!h = !clade.tensor<[token, heads = 1, size = 1], f32>\n"
                     "!wide = !clade.tensor<[token, heads = 1, size = 2], f32>";
const char headsBody[] =
    "  %one = clade.constant 1.0 : !clade.tensor<[], f32>\n"
    "  %h = clade.view %x : !hidden -> !h\n"
    "  %wide = clade.spread %x : !hidden -> !wide\n"
    "  %y = clade.binary mul %x, %one : !hidden, !clade.tensor<[], f32> -> "
    "!hidden\n";

TEST_F(ErrorTest, StateWrittenTwice) {
  EXPECT_FALSE(
      runLayerOps(heads,
                  std::string(headsBody) +
                      "  clade.cache_write %h, %h, %batch state 0 : !h, !h\n"
                      "  clade.cache_write %h, %h, %batch state 0 : !h, !h",
                  {0}));
  EXPECT_EQ(diagnostics, "expected position 1 next in its state, got 0\n");
}

TEST_F(ErrorTest, StateOfTwoShapes) {
  EXPECT_FALSE(runLayerOps(
      heads,
      std::string(headsBody) +
          "  clade.cache_write %h, %h, %batch state 0 : !h, !h\n"
          "  clade.cache_write %wide, %wide, %batch state 0 : !wide, !wide",
      {0}));
  EXPECT_EQ(
      diagnostics,
      "expected keys and values of one shape in a state, got "
      "'!clade.tensor<[token, heads = 1, size = 2], f32>' and "
      "'!clade.tensor<[token, heads = 1, size = 2], f32>' after others\n");
}

TEST_F(ErrorTest, StateReadBeforeItIsWritten) {
  EXPECT_FALSE(runLayerOps(heads,
                           std::string(headsBody) +
                               "  %a = clade.attend_cached %h, %batch state 0 "
                               "kv_heads 1 scale 1.0 : !h -> !h",
                           {0}));
  EXPECT_EQ(diagnostics,
            "expected keys and values of position 0, got 0 positions\n");
}

TEST_F(ErrorTest, StateReadInAnotherShape) {
  EXPECT_FALSE(runLayerOps(
      heads,
      std::string(headsBody) +
          "  clade.cache_write %wide, %wide, %batch state 0 : !wide, !wide\n"
          "  %a = clade.attend_cached %h, %batch state 0 kv_heads 1 scale 1.0 "
          ": !h -> !h",
      {0}));
  EXPECT_EQ(diagnostics,
            "expected a state of 1 heads with keys of 1 and values of 1, got "
            "1, 2 and 2\n");
}

TEST_F(ErrorTest, NoEntry) {
  expectLoadError("func.func private @f()\n",
                  "expected one function with 'clade.entry', got 0");
}

TEST_F(ErrorTest, UnknownEntry) {
  EXPECT_FALSE(load(tokenEntry, "decode"));
  EXPECT_EQ(diagnostics, "expected an entry '@decode'\n");
}

TEST_F(ErrorTest, EntryOfAnotherType) {
  expectLoadError(
      "func.func @main(%batch: !clade.batch) attributes {clade.entry} {\n"
      "  return\n}\n",
      "expected an entry from i32 tokens and a batch to one tensor over "
      "'selected', got '(!clade.batch) -> ()'");
}

TEST_F(ErrorTest, CheckpointLacksAWeight) {
  EXPECT_FALSE(runOps("wmap.func @w -> tensor<2xf32> {\n"
                      "  %0 = wmap.source \"absent\" : tensor<2xf32>\n"
                      "  wmap.return %0 : tensor<2xf32>\n}",
                      "  %w = clade.param @w : !clade.tensor<[d = 2], f32>",
                      {0}));
  EXPECT_NE(diagnostics.find("'absent'"), std::string::npos) << diagnostics;
}

TEST_F(ErrorTest, Chunks) {
  ASSERT_TRUE(load(tokenEntry)) << diagnostics;
  int a = interpreter->addSequence(4);
  expectStepError({}, "expected at least one chunk in a step");
  expectStepError({{7, {1}, {}}}, "expected a known sequence, got 7");
  expectStepError({{-1, {1}, {}}}, "expected a known sequence, got -1");
  expectStepError({{a, {1}, {}}, {a, {2}, {}}},
                  "expected one chunk of each sequence, got several of 0");
  expectStepError({{a, {}, {}}}, "expected at least one token of sequence 0");
  expectStepError({{a, {1}, {true, false}}},
                  "expected 1 marks of wanted tokens, got 2");
  expectStepError({{a, {-1}, {}}},
                  "expected token ids from 0 to 16777215, got -1");
  expectStepError({{a, {16777216}, {}}},
                  "expected token ids from 0 to 16777215, got 16777216");
  interpreter->removeSequence(a);
  expectStepError({{a, {1}, {}}}, "expected a known sequence, got 0");
}

TEST_F(ErrorTest, SequenceTooLong) {
  ASSERT_TRUE(load(tokenEntry)) << diagnostics;
  int a = interpreter->addSequence(4);
  std::vector<int32_t> tokens(16777217, 1);
  expectStepError({{a, std::move(tokens), {}}},
                  "expected at most 16777216 tokens in a sequence, got "
                  "16777217");
}

} // namespace
