//===- WorkspaceTest.cpp - Texts over files, and what they mean -----------===//
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

constexpr llvm::StringLiteral goodText =
    "family f {\n  config { d = size ?? 4 }\n"
    "  block mlp(x) = linear(x, [d]) at up\n"
    "  entry forward(t) = mlp(embed(t, [vocab = 8, d]) at table)\n}\n";

TEST(WorkspaceTest, ATextThatIsRight) {
  Workspace workspace;
  workspace.open("/nowhere/f.spec", goodText);
  auto analysis = workspace.analyse("/nowhere/f.spec");
  ASSERT_TRUE(analysis);
  EXPECT_TRUE(analysis->isCurrent());
  EXPECT_TRUE(analysis->getMessages().empty());
  ASSERT_EQ(analysis->getFamilies().size(), 1u);
  EXPECT_FALSE(analysis->getConfig());
  EXPECT_FALSE(workspace.analyse("/nowhere/other.spec"));
}

/// Names mean what they meant when the text last parsed.
TEST(WorkspaceTest, ATextThatDoesNotParse) {
  Workspace workspace;
  workspace.open("/nowhere/f.spec", goodText);
  (void)workspace.analyse("/nowhere/f.spec");
  std::string broken = goodText.str() + "family g from f { block h(x) = mlp(";
  workspace.open("/nowhere/f.spec", broken);
  auto analysis = workspace.analyse("/nowhere/f.spec");
  EXPECT_FALSE(analysis->isCurrent());
  EXPECT_FALSE(analysis->getMessages().empty());
  ASSERT_EQ(analysis->getFamilies().size(), 1u);
  size_t place = broken.find("mlp(embed");
  auto location = definitionAt(*analysis, "/nowhere/f.spec", broken, place);
  ASSERT_TRUE(location);
  EXPECT_EQ(location->range.start.line, 2);
}

/// A family of another open text, and one of it that breaks.
TEST(WorkspaceTest, TextsThatNeedEachOther) {
  Workspace workspace;
  workspace.open("/nowhere/f.spec", goodText);
  workspace.open("/nowhere/g.spec",
                 "family g from f { block extra(x) = mlp(x) }\n");
  (void)workspace.analyse("/nowhere/f.spec");
  EXPECT_TRUE(workspace.analyse("/nowhere/g.spec")->getMessages().empty());
  workspace.open("/nowhere/f.spec", "family other { }\n");
  (void)workspace.analyse("/nowhere/f.spec");
  auto analysis = workspace.analyse("/nowhere/g.spec");
  ASSERT_EQ(analysis->getMessages().size(), 1u);
  EXPECT_EQ(analysis->getMessages()[0].text,
            "unknown family 'f' (did you mean 'g'?)");
  workspace.close("/nowhere/g.spec");
  EXPECT_FALSE(workspace.find("/nowhere/g.spec"));
  EXPECT_EQ(workspace.openFiles(), std::vector<std::string>{"/nowhere/f.spec"});
}

TEST(WorkspaceTest, BlocksOutsideOfFamilies) {
  Workspace workspace;
  workspace.open("/nowhere/f.spec", "block f(x) = x\n");
  auto analysis = workspace.analyse("/nowhere/f.spec");
  ASSERT_EQ(analysis->getMessages().size(), 1u);
  EXPECT_EQ(analysis->getMessages()[0].place.file, "/nowhere/f.spec");
}

TEST(AttachmentTest, PathsInComments) {
  Attachment found = attachmentIn(
      "// a family\n// config: sub/config.json\nfamily f { }\n", "/a/f.spec");
  EXPECT_EQ(found.config, "/a/sub/config.json");
  EXPECT_EQ(found.checkpoint, "");
  found = attachmentIn(
      "//checkpoint: /models/x \n// checkpoint: y\n// config:\n", "/a/f.spec");
  EXPECT_EQ(found.checkpoint, "/models/x");
  EXPECT_EQ(found.config, "");
  EXPECT_EQ(attachmentIn("x = \"config: y\"", "/a/f.spec").config, "");
}

TEST(FormattingTest, OneEditOrNone) {
  EXPECT_TRUE(formattingOf("family f {\n").empty());
  std::vector<llvm::lsp::TextEdit> edits = formattingOf("family  f{ }");
  ASSERT_EQ(edits.size(), 1u);
  EXPECT_TRUE(formattingOf(edits[0].newText).empty());
  EXPECT_EQ(edits[0].range.end, llvm::lsp::Position(0, 12));
}

TEST(SymbolsTest, RangesHoldTheirNames) {
  for (const llvm::lsp::DocumentSymbol &symbol : symbolsOf(goodText)) {
    EXPECT_EQ(symbol.name, "f");
    EXPECT_TRUE(symbol.range.contains(symbol.selectionRange));
    EXPECT_EQ(symbol.children.size(), 3u);
    for (const llvm::lsp::DocumentSymbol &child : symbol.children) {
      EXPECT_TRUE(symbol.range.contains(child.range));
      EXPECT_TRUE(child.range.contains(child.selectionRange));
    }
  }
}

TEST(CompletionTest, WhatThePlaceAllows) {
  Workspace workspace;
  workspace.open("/nowhere/f.spec", goodText);
  auto analysis = workspace.analyse("/nowhere/f.spec");
  auto labels = [&](llvm::StringRef marked) {
    size_t at = marked.find('|');
    std::string text =
        (marked.take_front(at) + marked.drop_front(at + 1)).str();
    std::vector<std::string> list;
    for (const llvm::lsp::CompletionItem &item :
         completionsAt(*analysis, text, at))
      list.push_back(item.label);
    return list;
  };
  using List = std::vector<std::string>;
  EXPECT_EQ(labels("fam|"), List{"family"});
  EXPECT_EQ(labels("family f { blo| }"), List{"block"});
  EXPECT_EQ(labels("family f { block g(xyz) = xy| }"), List{"xyz"});
  EXPECT_EQ(labels("family f { block g(x) = ml| }"), List{"mlp"});
  EXPECT_EQ(labels("family f { config { e = req| } }"), List{"require"});
  EXPECT_EQ(labels("family f { weights { dro| } }"), List{"drop"});
  EXPECT_EQ(labels("family g from | { }"), List{"f"});
  EXPECT_TRUE(labels("family f { block g(x) = h(x) at ml| }").empty());
  EXPECT_TRUE(labels("// fam|").empty());
}

} // namespace
