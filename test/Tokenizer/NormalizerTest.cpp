//===- NormalizerTest.cpp - Rewriting of the text -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The expected texts are what tokenizers 0.23.3 gives. compare.py compares
// whole tokenizers on many texts; these cases say which step is wrong.
//
//===----------------------------------------------------------------------===//

#include "TokenizerSupport.h"

#include "runtime/Tokenizer/Normalizer.h"

using namespace clade::rt;
using namespace clade::test;

namespace {

/// What a step makes of some inputs.
struct Group {
  const char *json; ///< The step's description.
  std::vector<std::pair<std::string, std::string>> cases;
};

const std::vector<Group> groups = {
    // The four normal forms.
    {R"({"type": "NFC"})",
     {{"e\xCC\x81"
       "a\xCC\x88",
       "éä"},
      {"ẛ\xCC\xA3", "ẛ\xCC\xA3"},
      {"한", "한"},
      {"ﬁ", "ﬁ"},
      {"\xCD\x84", "\xCC\x88\xCC\x81"},
      {"a\xCC\xA7\xCC\x81", "á\xCC\xA7"}}},
    {R"({"type": "NFD"})",
     {{"éä", "e\xCC\x81"
             "a\xCC\x88"},
      {"ẛ\xCC\xA3", "ſ\xCC\xA3\xCC\x87"},
      {"한", "한"},
      {"ﬁ", "ﬁ"},
      {"Ǆ", "Ǆ"},
      {"Å", "A\xCC\x8A"}}},
    {R"({"type": "NFKC"})",
     {{"ﬁ①ｱ", "fi1ア"},
      {"ẛ\xCC\xA3", "ṩ"},
      {"x²", "x2"},
      {"㍿", "株式会社"},
      {"ｶﾞ", "ガ"},
      {"\xC2\xA0"
       "a",
       " a"}}},
    {R"({"type": "NFKD"})",
     {{"ﬁ①ｱ", "fi1ア"},
      {"½", "1⁄2"},
      {"ẛ\xCC\xA3", "s\xCC\xA3\xCC\x87"},
      {"ﷺ", "صلى الله عليه وسلم"}}},
    // Lower case where one character becomes two, and where it depends on its
    // place.
    {R"({"type": "Lowercase"})",
     {{"ÀÉ Straße", "àé straße"},
      {"İ", "i\xCC\x87"},
      {"ΑΣ ΑΣ.", "ασ ασ."},
      {"Ǆ", "ǆ"},
      {"ᏸᎠ", "ᏸꭰ"}}},
    // Only marks go; what is composed stays.
    {R"({"type": "StripAccents"})",
     {{"e\xCC\x81é", "eé"},
      {"a\xCC\x88\xCC\xA3"
       "b",
       "ab"},
      {"กำ\xE0\xB9\x88", "กำ"},
      {"ञ\xE0\xA5\x8D", "ञ"}}},
    // Blanks at the ends, of every script, on the sides that are asked for.
    {R"({"type": "Strip", "strip_left": true, "strip_right": true})",
     {{"  a b \t", "a b"},
      {"\xE2\x80\x83"
       "a\xE3\x80\x80",
       "a"},
      {"   ", ""},
      {"", ""},
      {"\xE2\x80\x8B"
       "a",
       "\xE2\x80\x8B"
       "a"}}},
    {R"({"type": "Strip", "strip_left": true, "strip_right": false})",
     {{" a ", "a "}, {"\n\ra", "a"}}},
    {R"({"type": "Strip", "strip_left": false, "strip_right": true})",
     {{" a ", " a"}, {"a\xC2\x85", "a"}}},
    // What stands for nothing goes, and what stands for a blank becomes one.
    {R"({"type": "Nmt"})",
     {{"a\x01"
       "b\x7F"
       "c",
       "abc"},
      {"a\tb\nc", "a b c"},
      {"a\xE2\x80\x8B"
       "b\xEF\xBB\xBF"
       "c",
       "a b c"},
      {"a▁b", "a b"},
      {"\xC2\x8F\xC2\x90", "\xC2\x90"},
      {"a�b", "a b"},
      {"a\xC2\xAD"
       "b",
       "a\xC2\xAD"
       "b"}}},
    // BERT's cleaning, all of it and each part alone.
    {R"({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true})",
     {{"Héllo\tWÖRLD", "hello world"},
      {"漢字kanji", " 漢  字 kanji"},
      {"a\x01�b", "ab"},
      {"Ǆ", "ǆ"},
      {"ｈ", "ｈ"},
      {"İstanbul", "istanbul"}}},
    {R"({"type": "BertNormalizer", "clean_text": false, "handle_chinese_chars": false, "strip_accents": false, "lowercase": false})",
     {{"Hé\t漢", "Hé\t漢"}, {"\x01", "\x01"}}},
    {R"({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": false, "strip_accents": true, "lowercase": false})",
     {{"Éa\xCC\x81\xE2\x80\x8D"
       "b",
       "Eab"},
      {"\xC2\xAD", ""}}},
    {R"({"type": "BertNormalizer", "clean_text": false, "handle_chinese_chars": true, "strip_accents": null, "lowercase": false})",
     {{"漢é", " 漢 é"}, {"㐀𠀀豈", " 㐀  𠀀  豈 "}, {"かな", "かな"}}},
    // Texts and patterns are replaced wherever they are, from the left.
    {R"({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})",
     {{"a b  c", "a▁b▁▁c"}, {" ", "▁"}, {"abc", "abc"}}},
    {R"({"type": "Replace", "pattern": {"String": "aa"}, "content": "b"})",
     {{"aaaaa", "bba"}, {"xaay", "xby"}}},
    {R"({"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "})",
     {{"a \t\n b", "a b"}, {"\xE3\x80\x80x", " x"}}},
    {R"({"type": "Replace", "pattern": {"Regex": "[\\p{P}&&[^']]|x$"}, "content": ""})",
     {{"a.b'c!", "ab'c"}, {"xx", "x"}}},
    // Nothing is put in front of nothing.
    {R"({"type": "Prepend", "prepend": "▁"})", {{"a", "▁a"}, {"", ""}}},
    // GPT-2's letters for bytes.
    {R"({"type": "ByteLevel"})",
     {{"a b", "aĠb"}, {"é\n", "Ã©Ċ"}, {"\xC2\xAD", "ÂŃ"}, {"😀", "ðŁĺĢ"}}},
    // Steps in order.
    {R"({"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]})",
     {{"Ünïcödé", "unicode"}, {"Ǖ", "u"}}},
    {R"({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "_"}, {"type": "Replace", "pattern": {"String": "_a"}, "content": "A"}]})",
     {{"a_a", "AA"}, {"b", "_b"}}},
    {R"({"type": "Sequence", "normalizers": []})", {{"aB ", "aB "}}},
};

TEST(Normalizer, GivesWhatTheLibraryGives) {
  for (const Group &group : groups) {
    nlohmann::json json = nlohmann::json::parse(group.json);
    auto step = Normalizer::create(JsonView(&json, "normalizer"));
    ASSERT_TRUE(step.ok()) << group.json << ": " << step.status().message();
    for (const auto &[text, expected] : group.cases) {
      NormalizedText result = {text, 0};
      Status status = (*step)->normalize(result);
      EXPECT_TRUE(status.ok()) << status.message();
      EXPECT_EQ(result.text, expected) << group.json << " of " << text;
    }
  }
}

// What came from the first character of the input stays known: Metaspace asks.
TEST(Normalizer, KeepsTheOrigin) {
  struct {
    const char *json, *text;
    size_t before, after;
  } cases[] = {
      {R"({"type": "Lowercase"})", "ABC", 1, 1},
      {R"({"type": "Lowercase"})", "\xC4\xB0x", 2, 3},
      {R"({"type": "NFD"})", "\xC3\xA9x", 2, 3},
      {R"({"type": "NFKC"})", "\xEF\xAC\x81x", 3, 2},
      {R"({"type": "Prepend", "prepend": "__"})", "ab", 1, 3},
      {R"({"type": "Prepend", "prepend": "__"})", "ab", 0, 0},
      {R"({"type": "Strip", "strip_left": true, "strip_right": true})", "  a",
       1, 0},
      {R"({"type": "Strip", "strip_left": true, "strip_right": true})", "a  ",
       1, 1},
      {R"({"type": "ByteLevel"})", "\xC3\xA9x", 2, 4},
      {R"({"type": "StripAccents"})", "e\xCC\x81x", 1, 1},
      {R"({"type": "Replace", "pattern": {"String": "a"}, "content": "bcd"})",
       "ax", 1, 3},
      {R"({"type": "Replace", "pattern": {"String": "x"}, "content": "bcd"})",
       "ax", 1, 1}};
  for (const auto &c : cases) {
    nlohmann::json json = nlohmann::json::parse(c.json);
    auto step = Normalizer::create(JsonView(&json, "normalizer"));
    ASSERT_TRUE(step.ok()) << step.status().message();
    NormalizedText result = {c.text, c.before};
    EXPECT_TRUE((*step)->normalize(result).ok());
    EXPECT_EQ(result.originBytes, c.after) << c.json << " of " << c.text;
  }
}

} // namespace
