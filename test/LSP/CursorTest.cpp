//===- CursorTest.cpp - Words and items of texts --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/LSP/Cursor.h"

#include "llvm/ADT/STLExtras.h"

#include <gtest/gtest.h>

using namespace clade::lsp;
using Section = Cursor::Section;

namespace {

/// A text and the place that '|' marks in it.
struct Marked {
  explicit Marked(llvm::StringRef marked) {
    size_t at = marked.find('|');
    text = (marked.take_front(at) + marked.drop_front(at + 1)).str();
    offset = at;
  }
  Cursor cursor() const { return Cursor(text, offset); }

  std::string text;
  size_t offset;
};

std::vector<std::string> names(const Cursor &cursor) {
  std::vector<std::string> list;
  for (const Variable &variable : cursor.variables())
    list.push_back(variable.name.str());
  return list;
}

TEST(CursorTest, TheWordAtAndBehindThePlace) {
  Marked inside("block f(x) = rms_|norm(x)");
  EXPECT_EQ(inside.cursor().word(), "rms_norm");
  EXPECT_EQ(inside.cursor().prefix(), "rms_");
  EXPECT_EQ(inside.cursor().after(), "(");
  Marked before("block f(x) = |rms_norm(x)");
  EXPECT_EQ(before.cursor().word(), "rms_norm");
  EXPECT_EQ(before.cursor().prefix(), "");
  Marked behind("block f(x) = rms_norm|(x)");
  EXPECT_EQ(behind.cursor().word(), "rms_norm");
  Marked nothing("block f(x) = | (x)");
  EXPECT_EQ(nothing.cursor().word(), "");
}

TEST(CursorTest, OwnersAndWhatStandsBefore) {
  Marked qualified("block f(x) = llama.he|ads(x)");
  EXPECT_EQ(qualified.cursor().owner(), "llama");
  EXPECT_EQ(qualified.cursor().before(), "=");
  Marked dotted("config { f = rope_parameters.yarn.fac| }");
  EXPECT_EQ(dotted.cursor().owner(), "rope_parameters.yarn");
  EXPECT_EQ(dotted.cursor().prefix(), "fac");
  Marked dangling("block f(x) = llama.|");
  EXPECT_EQ(dangling.cursor().owner(), "llama");
  EXPECT_EQ(dangling.cursor().word(), "");
}

TEST(CursorTest, Paths) {
  Marked path("block f(x) = linear(x, [d]) at self_attn.q_|");
  EXPECT_TRUE(path.cursor().isInPath());
  EXPECT_EQ(path.cursor().path(), "self_attn.q_");
  EXPECT_EQ(path.cursor().owner(), "self_attn");
  Marked braces("for layer in layers at model.layers.{layer}.x| { }");
  EXPECT_TRUE(braces.cursor().isInPath());
  EXPECT_EQ(braces.cursor().owner(), "model.layers.{layer}");
  Marked empty("block f(x) = linear(x, [d]) at |");
  EXPECT_TRUE(empty.cursor().isInPath());
  Marked none("block f(x) = linear(x, [|d]) at p");
  EXPECT_FALSE(none.cursor().isInPath());
}

TEST(CursorTest, Sections) {
  EXPECT_EQ(Marked("|").cursor().section(), Section::File);
  EXPECT_EQ(Marked("family a { ser| }").cursor().section(), Section::Family);
  EXPECT_EQ(Marked("family a { config { d| } }").cursor().section(),
            Section::Config);
  EXPECT_EQ(Marked("family a { weights { d| } }").cursor().section(),
            Section::Weights);
  Marked block("family a { block f(x) { y = g| } }");
  EXPECT_EQ(block.cursor().section(), Section::Block);
  EXPECT_EQ(block.cursor().family(), "a");
  EXPECT_EQ(block.cursor().block(), "f");
  // A short block goes on until the next item; braces in it are its own.
  Marked inner("family a {\n  block f(x) = if c { x } else { y| }\n}");
  EXPECT_EQ(inner.cursor().section(), Section::Block);
  Marked behind("family a {\n  block f(x) { x }\n  con| }");
  EXPECT_EQ(behind.cursor().section(), Section::Family);
  Marked second("family a { }\nfamily b {\n  config { d = 1 e| } }");
  EXPECT_EQ(second.cursor().family(), "b");
  Marked open("family a {\n  block f(x) {\n    for i in 3 {\n y = i|");
  EXPECT_EQ(open.cursor().section(), Section::Block);
}

TEST(CursorTest, Variables) {
  Marked text("family a {\n  block f(x, over = last) {\n    q, k = g(x)\n"
              "    for i, size in n { z = i }\n    y = mix(c, s) { e => |");
  EXPECT_EQ(
      names(text.cursor()),
      (std::vector<std::string>{"x", "over", "q", "k", "i", "z", "y", "e"}));
  Marked carried("block f(u) {\n  scan token carry S = z {\n    S = |");
  EXPECT_EQ(names(carried.cursor()), (std::vector<std::string>{"u", "S"}));
  // Arguments are no variables.
  Marked call("block f(x) {\n  y = attend(x, mask: causal, scale = 1)\n |");
  EXPECT_EQ(names(call.cursor()), (std::vector<std::string>{"x", "y"}));
}

TEST(CursorTest, UsedFamily) {
  Marked first("family a { use he|ads, mlp from qwen3 }");
  EXPECT_EQ(first.cursor().usedFamily(), "qwen3");
  Marked second("family a { use heads, ml|p from qwen3 }");
  EXPECT_EQ(second.cursor().usedFamily(), "qwen3");
  Marked family("family a { use heads from qw|en3 }");
  EXPECT_EQ(family.cursor().before(), "from");
  EXPECT_EQ(Marked("block f(x) = us|e(x)").cursor().usedFamily(), "");
}

TEST(CursorTest, CommentsAndStrings) {
  EXPECT_TRUE(Marked("// a com|ment").cursor().isInText());
  EXPECT_TRUE(Marked("serves \"A|B\"").cursor().isInText());
  EXPECT_FALSE(Marked("x = |\"AB\"").cursor().isInText());
}

/// No place of a broken text is a problem.
TEST(CursorTest, EveryPlaceOfBrokenTexts) {
  llvm::StringRef texts[] = {
      "family a from { config { = ?? } block (x { \"unclosed\n at . } }}}",
      "((((",
      "}}}}",
      "at.at.at",
      "use",
      "use ,",
      "use a from",
      "block",
      "block f",
      "block f(",
      "family",
      "\xFF\xFE",
      "for for for",
      "{ e =>"};
  for (llvm::StringRef text : texts)
    for (size_t offset = 0; offset <= text.size() + 1; ++offset) {
      Cursor cursor(text, offset);
      EXPECT_LE(cursor.wordEnd(), text.size());
      EXPECT_LE(cursor.wordBegin(), cursor.wordEnd());
    }
}

TEST(OutlineTest, FamiliesWithTheirItems) {
  llvm::StringRef text = "family a from b {\n  serves \"A\"\n"
                         "  config { d = x ?? 1    kind[layer] = y\n"
                         "    mlp_bias ?? false    require d > 0 }\n"
                         "  text = c with config.t at m\n"
                         "  block f(x) = if c { x } else { y }\n"
                         "  entry forward(t) {\n    return t\n  }\n"
                         "  weights { a = b }\n}\nblock g(x) = x\n";
  std::vector<Item> items = outline(text);
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0].name, "a");
  EXPECT_EQ(items[1].name, "g");
  std::vector<std::string> inner;
  for (const Item &item : items[0].items)
    inner.push_back(item.name.str());
  EXPECT_EQ(inner, (std::vector<std::string>{"config", "text", "f", "forward",
                                             "weights"}));
  std::vector<std::string> fields;
  for (const Item &item : items[0].items[0].items)
    fields.push_back(item.name.str());
  EXPECT_EQ(fields, (std::vector<std::string>{"d", "kind", "mlp_bias"}));
  for (const Item &item : items) {
    EXPECT_LE(item.begin, item.nameBegin);
    EXPECT_LE(item.nameBegin + item.name.size(), item.end);
    EXPECT_LE(item.end, text.size());
  }
}

TEST(OutlineTest, BrokenTexts) {
  EXPECT_EQ(outline("family a {\n  block f(x) {\n").size(), 1u);
  EXPECT_EQ(outline("family a {\n  block f(x) {\n")[0].items.size(), 1u);
  EXPECT_TRUE(outline("}}} ((( = family").empty());
  EXPECT_EQ(outline("family a\nfamily b { }").size(), 2u);
  // Any beginning of a text has an outline whose ends are in it.
  std::string text = "family a {\n  config { d = 1 }\n  block f(x) { x }\n}";
  for (size_t length = 0; length <= text.size(); ++length) {
    llvm::StringRef part = llvm::StringRef(text).take_front(length);
    for (const Item &item : outline(part))
      EXPECT_LE(item.end, length);
  }
}

} // namespace
