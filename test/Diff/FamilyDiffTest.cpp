//===- FamilyDiffTest.cpp - The difference in meaning of two families -----===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Diff/FamilyDiff.h"

#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

using namespace clade;
using namespace clade::diff;

namespace {

constexpr llvm::StringLiteral baseText =
    "family base {\n  serves \"BaseForCausalLM\"\n"
    "  config {\n    vocab = vocab_size    d = hidden_size\n"
    "    layers = num_layers    wide[layer] = layer in wide_layers ?? []\n"
    "    ffn = intermediate ?? 4 * d    tied = tie ?? true\n"
    "    require layers > 0\n    ignore dropout\n  }\n"
    "  block mlp(x) = linear(silu(linear(x, [ffn]) at up), [d]) at down\n"
    "  entry forward(t) {\n    x = embed(t, [vocab, d]) at table\n"
    "    for layer in layers at layers.{layer} {\n"
    "      if wide { x += mlp(x) at mlp }\n    }\n"
    "    return linear(x, [vocab]) at head\n  }\n"
    "  weights { head = table if tied }\n}\n";

class FamilyDiffTest : public ::testing::Test {
protected:
  void SetUp() override { add(baseText, "base.spec"); }

  void add(llvm::StringRef text, llvm::StringRef name) {
    ASSERT_TRUE(mlir::succeeded(library.addText(text, name)));
  }

  FamilyDiff compare(llvm::StringRef from, llvm::StringRef to,
                     const char *config = nullptr) {
    EXPECT_TRUE(mlir::succeeded(library.finish()));
    auto source =
        [&](const spec::FamilyDecl *) -> std::unique_ptr<import::Config> {
      auto parsed = import::Config::parse(
          config ? config
                 : "{\"vocab_size\": 8, \"hidden_size\": 4, \"num_layers\": 2}",
          "config.json", library.getSourceMgr(), &context);
      return failed(parsed) ? nullptr : std::move(*parsed);
    };
    return compareFamilies(library, library.findFamily(from),
                           library.findFamily(to), source,
                           /*areGiven=*/config != nullptr);
  }

  /// '+name', '-name' or '~name: from -> to' of a section.
  static std::vector<std::string> section(const FamilyDiff &diff,
                                          llvm::StringRef name) {
    std::vector<std::string> lines;
    for (const Section &one : diff.sections) {
      if (one.name != name)
        continue;
      for (const Change &change : one.changes) {
        if (change.kind == Change::Kind::Changed)
          lines.push_back("~" + change.name + ": " + change.from + " -> " +
                          change.to);
        else
          lines.push_back((change.kind == Change::Kind::Added ? "+" : "-") +
                          change.name);
      }
    }
    return lines;
  }

  using Lines = std::vector<std::string>;
  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  import::SpecLibrary library{&context};
};

TEST_F(FamilyDiffTest, AFamilyWithItself) {
  FamilyDiff diff = compare("base", "base");
  EXPECT_TRUE(diff.isEmpty());
  EXPECT_EQ(diff.summary, "base and base mean the same");
  EXPECT_TRUE(diff.notes.empty());
}

/// Other names of variables and blocks, and another order of blocks.
TEST_F(FamilyDiffTest, OtherWords) {
  add("family same from base {\n  serves \"BaseForCausalLM\"\n"
      "  block shrink(h) = linear(h, [d]) at down\n"
      "  block mlp(input) {\n    h = linear(input, [ffn]) at up\n"
      "    return shrink(silu(h))\n  }\n}\n",
      "same.spec");
  EXPECT_TRUE(compare("base", "same").isEmpty());
  EXPECT_TRUE(compare("same", "base").isEmpty());
}

TEST_F(FamilyDiffTest, Architectures) {
  add("family other from base {\n"
      "  serves \"OtherForCausalLM\" if flavour == \"b\"\n}\n",
      "other.spec");
  FamilyDiff diff = compare("base", "other");
  EXPECT_EQ(section(diff, "serves"),
            (Lines{"-BaseForCausalLM", "+OtherForCausalLM"}));
  // What tells a family from others is read, too.
  EXPECT_EQ(section(diff, "keys"), Lines{"+flavour"});
}

TEST_F(FamilyDiffTest, KeysFieldsAndRequirements) {
  add("family other from base {\n  serves \"BaseForCausalLM\"\n"
      "  config {\n    ffn = mlp_size ?? 8    require d > 1\n"
      "    ignore seed\n  }\n}\n",
      "other.spec");
  FamilyDiff diff = compare("base", "other");
  EXPECT_EQ(section(diff, "keys"),
            (Lines{"-intermediate", "+mlp_size", "+seed"}));
  EXPECT_EQ(section(diff, "fields"),
            Lines{"~ffn: intermediate ?? 4 * d -> mlp_size ?? 8"});
  EXPECT_EQ(section(diff, "requirements"), Lines{"+d > 1"});
  EXPECT_TRUE(section(diff, "computation").empty());
  EXPECT_EQ(diff.summary, "other = base ~ field ffn");
}

TEST_F(FamilyDiffTest, StepsOfABranch) {
  add("family other from base {\n  serves \"BaseForCausalLM\"\n"
      "  block mlp(x) = linear(gelu(linear(x, [ffn], true) at up), [d]) at "
      "down\n}\n",
      "other.spec");
  EXPECT_EQ(
      section(compare("base", "other"), "computation"),
      (Lines{"~linear at mlp.up:  -> with bias: true", "-silu", "+gelu"}));
}

/// With a configuration: only layers that have the step, and its values.
TEST_F(FamilyDiffTest, LayersOfAConfiguration) {
  add("family other from base {\n  serves \"BaseForCausalLM\"\n"
      "  block mlp(x) = linear(gelu(linear(x, [ffn]) at up), [d]) at down\n"
      "}\n",
      "other.spec");
  const char *config = "{\"vocab_size\": 8, \"hidden_size\": 4, "
                       "\"num_layers\": 4, \"wide_layers\": [1, 2]}";
  FamilyDiff diff = compare("base", "other", config);
  EXPECT_EQ(section(diff, "computation"), (Lines{"-silu", "+gelu"}));
  for (const Section &one : diff.sections)
    for (const Change &change : one.changes)
      EXPECT_EQ(change.where, "forward, layers 1, 2");
}

TEST_F(FamilyDiffTest, TensorsAndEquations) {
  add("family other from base {\n  serves \"BaseForCausalLM\"\n"
      "  block mlp(x) = linear(silu(linear(x, [ffn]) at up), [d]) at out\n"
      "  weights { drop extra }\n}\n",
      "other.spec");
  const char *config = "{\"vocab_size\": 8, \"hidden_size\": 4, "
                       "\"num_layers\": 3, \"wide_layers\": [0, 2]}";
  FamilyDiff diff = compare("base", "other", config);
  EXPECT_EQ(section(diff, "weights"),
            (Lines{"-layers.*.mlp.down.weight", "+layers.*.mlp.out.weight"}));
  EXPECT_EQ(section(diff, "equations"), Lines{"+drop extra"});
}

/// A configuration that one of them does not take is a note.
TEST_F(FamilyDiffTest, ARefusedConfiguration) {
  add("family other from base {\n  config { ffn = mlp_size }\n}\n",
      "other.spec");
  const char *config = "{\"vocab_size\": 8, \"hidden_size\": 4, "
                       "\"num_layers\": 2, \"wide_layers\": [0]}";
  FamilyDiff diff = compare("base", "other", config);
  ASSERT_EQ(diff.notes.size(), 1u);
  EXPECT_NE(diff.notes[0].find("'mlp_size'"), std::string::npos);
  EXPECT_FALSE(diff.isEmpty());
}

TEST_F(FamilyDiffTest, LongSummariesEnd) {
  std::string text = "family other from base {\n  block mlp(x) {\n";
  for (const char *function : {"exp", "log", "sqrt", "rsqrt", "tanh", "sigmoid",
                               "softplus", "relu", "floor"})
    text += "    x = " + std::string(function) + "(x)\n";
  add(text + "    return x\n  }\n}\n", "other.spec");
  std::string summary = compare("base", "other").summary;
  EXPECT_NE(summary.find(" more"), std::string::npos) << summary;
}

} // namespace
