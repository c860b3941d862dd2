//===- CausesTest.cpp - Mistakes made of the text of a family -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Causes.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

using namespace clade;
using namespace clade::onboard;

namespace {

/// A family with names of its own for all that causes are made of.
constexpr llvm::StringLiteral odd = R"(
family odd {
  serves "OddForCausalLM"
  config {
    vocab = words    d = width    layers = depth    heads = eyes    size = width / eyes
    turn = rope_table(theta: 500)    reach = span ?? none    tip = rounding ?? 1e-6
    pull = size ^ -0.5    bend = shape ?? "gelu"
  }
  block even(x) = rms_norm(x, eps: tip)
  block parts(x) {
    a, b, c = linear(x, [heads, size + size + size]) at all
    return even(a) at left, even(b) at right, c
  }
  block look(x) {
    a, b, c = parts(x)
    y = attend(rope(a, turn), rope(b, turn), c, mask: causal and near(reach), scale: pull)
    return linear(y, [d]) at back
  }
  block think(x) = linear(apply(bend, linear(x, [4 * d]) at one), [d]) at two
  block step(x) {
    x += look(even(x) at first) at eye
    return x + think(even(x) at second) at mind
  }
  block read(tokens) = embed(tokens, [vocab, d]) at book * round(d ^ 0.5)
  entry forward(tokens) {
    x = read(tokens)
    for layer in layers at rung.{layer} { x = step(x) }
    return linear(even(x) at last, [vocab]) at speak
  }
}
)";

class CausesTest : public testing::Test {
protected:
  CausesTest()
      : context(mlir::MLIRContext::Threading::DISABLED), library(&context),
        handler(&context, [this](mlir::Diagnostic &diagnostic) {
          said += diagnostic.str() + "\n";
          return mlir::success();
        }) {
    EXPECT_TRUE(succeeded(library.addFolder(CLADE_SPECS)));
    EXPECT_TRUE(succeeded(library.addText(odd, "odd.spec")));
    EXPECT_TRUE(succeeded(library.finish())) << said;
  }

  std::vector<Cause> causes(llvm::StringRef family) {
    return causesFor(library, library.findFamily(family), {});
  }
  /// The text that is tried, in one line; empty if there is no such cause.
  std::string textOf(llvm::StringRef family, llvm::StringRef says) {
    for (const Cause &cause : causes(family))
      if (cause.says == says) {
        std::string text;
        for (char c : cause.text)
          if (c != '\n')
            text += c;
          else if (!text.empty() && text.back() != ' ')
            text += ' ';
        return text;
      }
    return "";
  }

  mlir::MLIRContext context;
  import::SpecLibrary library;
  std::string said;
  mlir::ScopedDiagnosticHandler handler;
};

/// Whether a text has another, whatever the blanks.
bool has(llvm::StringRef text, llvm::StringRef part) {
  std::string packed;
  for (char c : text)
    if (c != ' ' || packed.empty() || packed.back() != ' ')
      packed += c;
  return llvm::StringRef(packed).contains(part);
}

TEST_F(CausesTest, RotationIsThatOfTheFieldWithTheTable) {
  EXPECT_TRUE(
      has(textOf("odd", "rotary pairs are side by side (pairs: adjacent)"),
          "config { turn = rope_table(theta: 500, pairs: adjacent) ignore "));
  EXPECT_TRUE(has(textOf("odd", "nothing is rotated (turn = none)"),
                  "config { turn = none ignore "));
  EXPECT_EQ(
      textOf("odd", "rotary pairs are the halves of a head (pairs: halves)"),
      "");
  EXPECT_TRUE(has(
      textOf("helium", "rotary pairs are the halves of a head (pairs: halves)"),
      "pairs: halves"));
}

TEST_F(CausesTest, NormsAreThoseThatTheBlocksCall) {
  EXPECT_TRUE(has(textOf("odd", "norms subtract the mean (layer_norm)"),
                  "block even(x) = layer_norm(x)"));
  EXPECT_TRUE(has(textOf("odd", "norms take 1e-5 as epsilon"),
                  "block even(x) = rms_norm(x, eps: 1e-5)"));
  EXPECT_TRUE(has(
      textOf("odd", "gains of norms are stored less one (gain: 1 + weight)"),
      "block even(x) = rms_norm_wide(x, gain: 1 + f32(weight([last]) at "
      "weight))"));
  EXPECT_TRUE(has(textOf("bloom", "norms do not subtract the mean (rms_norm)"),
                  "rms_norm(x) at input_layernorm"));
}

TEST_F(CausesTest, QueriesAndKeysAreNormedBehindTheRotation) {
  std::string text =
      textOf("odd", "queries and keys are normed behind the rotation");
  EXPECT_TRUE(has(text, "return a, b, c"));
  EXPECT_TRUE(has(text, "attend(even(rope(a, turn)) at left, even(rope(b, "
                        "turn)) at right, c,"));
  // The other way round, where one block has both.
  std::string before = textOf(
      "hunyuan_v1_dense", "queries and keys are normed before the rotation");
  EXPECT_TRUE(has(before, "rope(norm(q) at query_layernorm, rot)")) << before;
}

TEST_F(CausesTest, NamesOfFieldsAreThoseOfTheCalls) {
  EXPECT_TRUE(has(textOf("odd", "scores are scaled by 1"),
                  "config { pull = 1 ignore "));
  EXPECT_TRUE(has(textOf("odd", "the activation is relu2"),
                  "config { bend = \"relu2\" ignore "));
  EXPECT_TRUE(has(textOf("odd", "there are no windows"),
                  "config { reach = none ignore "));
  EXPECT_TRUE(has(textOf("bloom", "nothing is added to scores (slopes = none)"),
                  "config { slopes = none ignore "));
  EXPECT_TRUE(has(textOf("mamba2", "nothing is kept between dt_min and dt_max"),
                  "dt = (softplus(dt + weight([ssm_heads]) at dt_bias))"));
  // A call without the argument gets it.
  EXPECT_TRUE(has(textOf("gpt2", "scores are scaled by 1"),
                  "attend(q, k, v, mask: causal, scale: 1)"));
}

TEST_F(CausesTest, EmbeddingsAndOrders) {
  EXPECT_TRUE(has(textOf("odd", "embeddings are not scaled"),
                  "block read(tokens) = embed(tokens, [vocab, d]) at book "));
  EXPECT_TRUE(has(textOf("llama", "embeddings are scaled by d ^ 0.5"),
                  "((embed(tokens, [vocab, d]) at model.embed_tokens) * "
                  "round(d ^ 0.5))"));
  EXPECT_TRUE(
      has(textOf("odd", "query, key and value follow each other as wholes"),
          "[heads, size] + [heads, size] + [heads, size]"));
  EXPECT_TRUE(has(
      textOf("gpt2", "query, key and value follow each other within each head"),
      "[heads, head + head + head]"));
  EXPECT_TRUE(has(textOf("odd", "block 'think' adds 'x' to its result"),
                  "block think(x) = x + linear("));
}

TEST_F(CausesTest, EveryCauseOfEveryFamilyIsASpec) {
  std::vector<std::string> names;
  for (const spec::FamilyDecl *family : library.getFamilies())
    if (family->serves)
      names.push_back(family->name.name.str());
  for (const std::string &name : names)
    for (const Cause &cause : causes(name)) {
      said.clear();
      EXPECT_TRUE(succeeded(library.addText(cause.text, "<cause>")) &&
                  succeeded(library.finish()))
          << name << ": " << cause.says << "\n"
          << cause.text << said;
    }
}

} // namespace
