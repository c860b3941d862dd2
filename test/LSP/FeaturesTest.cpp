//===- FeaturesTest.cpp - What an editor is told --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/LSP/Features.h"

#include <gtest/gtest.h>

using namespace clade;
using namespace clade::lsp;

namespace {

constexpr llvm::StringLiteral file = "/nowhere/f.spec";

constexpr llvm::StringLiteral text =
    "family tower {\n"
    "  config { d = width    layers = depth }\n"
    "  block run(x) = linear(x, [d]) at up\n"
    "}\n"
    "family f {\n"
    "  serves \"F\"\n"
    "  config { vocab = vocab_size    d = hidden ?? 8\n"
    "    kind[layer] = kinds ?? \"a\"    layers = n ?? 2 }\n"
    "  part = tower with config.inner at model.part\n"
    "  block mlp(x, size = d) {\n"
    "    h, g = linear(x, [size]) at up, silu(x)\n"
    "    return h\n"
    "  }\n"
    "  entry forward(tokens) {\n"
    "    x = embed(tokens, [vocab, d]) at table\n"
    "    for layer in layers at layers.{layer} { x = mlp(x) at mlp }\n"
    "    y = part.run(x)\n"
    "    return linear(y, [vocab]) at head\n"
    "  }\n"
    "}\n"
    "family g from f {\n"
    "  use run from tower\n"
    "  block mlp(x) = f.mlp(x)\n"
    "}\n";

class FeaturesTest : public ::testing::Test {
protected:
  void SetUp() override {
    workspace.open(file, text);
    analysis = workspace.analyse(file);
    ASSERT_TRUE(analysis);
    for (const Message &message : analysis->getMessages())
      ADD_FAILURE() << message.text;
  }

  /// The place of '|' in a piece of the text.
  static size_t placeOf(llvm::StringRef marked) {
    size_t at = marked.find('|');
    std::string piece =
        (marked.take_front(at) + marked.drop_front(at + 1)).str();
    size_t found = text.find(piece);
    EXPECT_NE(found, llvm::StringRef::npos) << piece;
    return found + at;
  }

  Meaning meaning(llvm::StringRef marked) {
    return meaningOf(*analysis, Cursor(text, placeOf(marked)));
  }

  /// The line, from 1, that a word is declared in; 0 if it has none.
  int line(llvm::StringRef marked) {
    auto found = definitionAt(*analysis, file, text, placeOf(marked));
    return found ? found->range.start.line + 1 : 0;
  }

  std::string hover(llvm::StringRef marked) {
    auto found = hoverAt(*analysis, file, text, placeOf(marked));
    return found ? found->contents.value : "";
  }

  Workspace workspace;
  std::unique_ptr<Analysis> analysis;
};

using Kind = Meaning::Kind;

TEST_F(FeaturesTest, Kinds) {
  EXPECT_EQ(meaning("{ x = ml|p(x)").kind, Kind::Block);
  EXPECT_EQ(meaning("[siz|e]").kind, Kind::Variable);
  EXPECT_EQ(meaning("[voc|ab, d]) at table").kind, Kind::Field);
  EXPECT_EQ(meaning("family g from |f").kind, Kind::Family);
  EXPECT_EQ(meaning("= pa|rt.run").kind, Kind::Part);
  EXPECT_EQ(meaning("= emb|ed(").kind, Kind::Builtin);
  EXPECT_EQ(meaning("= hidd|en ??").kind, Kind::Key);
  EXPECT_EQ(meaning("at he|ad").kind, Kind::Nothing);
  EXPECT_EQ(meaning("\"|F\"").kind, Kind::Nothing);
}

TEST_F(FeaturesTest, DefinitionsOfBlocks) {
  EXPECT_EQ(line("{ x = ml|p(x)"), 10);
  EXPECT_EQ(line("part.ru|n(x)"), 3);
  EXPECT_EQ(line("use ru|n from"), 3);
  EXPECT_EQ(line("= f.ml|p(x)"), 10);
}

TEST_F(FeaturesTest, DefinitionsOfOtherNames) {
  EXPECT_EQ(line("= |f.mlp(x)"), 5);
  EXPECT_EQ(line("from towe|r"), 1);
  EXPECT_EQ(line("part = tow|er with"), 1);
  EXPECT_EQ(line("= pa|rt.run"), 1);
  EXPECT_EQ(line("[voc|ab, d]) at table"), 7);
  EXPECT_EQ(line("for layer in lay|ers at"), 8);
  EXPECT_EQ(line("return |h\n"), 11);
  EXPECT_EQ(line("[siz|e]"), 10);
  EXPECT_EQ(line("linear(|y, [vocab"), 17);
  EXPECT_EQ(line("= emb|ed("), 0);
  EXPECT_EQ(line("= hidd|en ??"), 0);
}

TEST_F(FeaturesTest, HoversSayTypes) {
  EXPECT_NE(hover("    |x = embed").find("a tensor [token, d]"),
            std::string::npos);
  EXPECT_NE(hover("    |h, g").find("a tensor [token, d]"), std::string::npos);
}

TEST_F(FeaturesTest, HoversSayWhatAWordIs) {
  EXPECT_NE(hover("{ x = ml|p(x)").find("block mlp(x, size = d)"),
            std::string::npos);
  EXPECT_NE(hover("[voc|ab, d]) at table").find("vocab = vocab_size"),
            std::string::npos);
  EXPECT_NE(hover("kin|d[layer]").find("kind[layer] = kinds ?? \"a\""),
            std::string::npos);
  EXPECT_NE(hover("= pa|rt.run").find("family `tower`"), std::string::npos);
  EXPECT_NE(hover("= hidd|en ??").find("key of config.json"),
            std::string::npos);
  EXPECT_NE(hover("family g from |f").find("serves `F`"), std::string::npos);
  EXPECT_NE(hover("= emb|ed(").find("embed(ids, shape)"), std::string::npos);
}

TEST_F(FeaturesTest, CompletionsOfMembers) {
  auto labels = [&](llvm::StringRef added) {
    std::string longer = text.str() + added.str();
    std::vector<std::string> list;
    for (const auto &item : completionsAt(*analysis, longer, longer.size()))
      list.push_back(item.label);
    return list;
  };
  using List = std::vector<std::string>;
  EXPECT_EQ(labels("family h from f { block a(x) = part."), List{});
  EXPECT_EQ(labels("family f { block a(x) = part."),
            (List{"run", "d", "layers"}));
  EXPECT_EQ(labels("family f { block a(x) = tower."), List{"run"});
  EXPECT_EQ(labels("family f { use "), List{});
  EXPECT_EQ(labels("family f { config { z = voc"), List{"vocab"});
  EXPECT_EQ(labels("family f { block a(xs) { ys = xs\n  ret"), List{"return"});
}

TEST_F(FeaturesTest, DiagnosticsHaveRangesAndPlaces) {
  std::string wrong = text.str();
  size_t place = wrong.find("silu(x)");
  wrong.replace(place, 4, "sillu");
  workspace.open(file, wrong);
  auto again = workspace.analyse(file);
  auto diagnostics = diagnosticsOf(*again, file, wrong);
  ASSERT_EQ(diagnostics.size(), 1u);
  EXPECT_NE(diagnostics[0].message.find("'sillu'"), std::string::npos);
  EXPECT_EQ(diagnostics[0].range.start.line, 10);
  EXPECT_EQ(diagnostics[0].severity, llvm::lsp::DiagnosticSeverity::Error);
  EXPECT_LT(diagnostics[0].range.start.character,
            diagnostics[0].range.end.character);
}

} // namespace
