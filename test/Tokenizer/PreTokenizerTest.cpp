//===- PreTokenizerTest.cpp - Splitting of the text into words ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The expected pieces are what tokenizers 0.23.3 gives. compare.py compares
// whole tokenizers on many texts; these cases say which step is wrong.
//
//===----------------------------------------------------------------------===//

#include "TokenizerSupport.h"

#include "runtime/Tokenizer/PreTokenizer.h"
#include "runtime/Tokenizer/Unicode.h"

using namespace clade::rt;
using namespace clade::test;

namespace {

/// What a step makes of some inputs.
struct Group {
  const char *json; ///< The step's description.
  std::vector<std::pair<std::string, std::vector<std::string>>> cases;
};

const std::vector<Group> groups = {
    // Each behavior at matches that touch, at the ends, and without any.
    {R"({"type": "Split", "pattern": {"Regex": "\\d+"}, "behavior": "Removed", "invert": false})",
     {{"a12b3", {"a", "b"}}, {"12", {}}, {"ab", {"ab"}}, {"1a2", {"a"}}}},
    {R"({"type": "Split", "pattern": {"Regex": "\\d+"}, "behavior": "Isolated", "invert": false})",
     {{"a12b3", {"a", "12", "b", "3"}}, {"12", {"12"}}, {"ab", {"ab"}}}},
    {R"({"type": "Split", "pattern": {"Regex": "\\d+"}, "behavior": "MergedWithPrevious", "invert": false})",
     {{"a12b3c", {"a12", "b3", "c"}},
      {"12ab", {"12", "ab"}},
      {"1a2", {"1", "a2"}}}},
    {R"({"type": "Split", "pattern": {"Regex": "\\d+"}, "behavior": "MergedWithNext", "invert": false})",
     {{"a12b3c", {"a", "12b", "3c"}},
      {"ab12", {"ab", "12"}},
      {"1a2", {"1a", "2"}}}},
    {R"({"type": "Split", "pattern": {"Regex": "\\d"}, "behavior": "Contiguous", "invert": false})",
     {{"a12b3", {"a", "12", "b", "3"}}, {"12", {"12"}}, {"ab", {"ab"}}}},
    {R"({"type": "Split", "pattern": {"Regex": "\\d"}, "behavior": "MergedWithPrevious", "invert": false})",
     {{"a12b3", {"a1", "2", "b3"}}, {"12", {"1", "2"}}}},
    // What does not match counts as the match.
    {R"({"type": "Split", "pattern": {"Regex": "\\d+"}, "behavior": "Removed", "invert": true})",
     {{"a12b3", {"12", "3"}}, {"ab", {}}}},
    {R"({"type": "Split", "pattern": {"Regex": "\\d+"}, "behavior": "Isolated", "invert": true})",
     {{"a12b3", {"a", "12", "b", "3"}}}},
    {R"({"type": "Split", "pattern": {"Regex": "\\d+"}, "behavior": "MergedWithPrevious", "invert": true})",
     {{"a12b3", {"a", "12b", "3"}}}},
    // A text is no pattern.
    {R"({"type": "Split", "pattern": {"String": "."}, "behavior": "Isolated", "invert": false})",
     {{"a.b..c", {"a", ".", "b", ".", ".", "c"}}}},
    // GPT-2's words, as letters for bytes.
    {R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})",
     {{"Hello  world's 12!", {"Hello", "Ġ", "Ġworld", "'s", "Ġ12", "!"}},
      {"a\n\n b", {"a", "ĊĊ", "Ġb"}},
      {" é", {"ĠÃ©"}},
      {"I'LL we're", {"I", "'", "LL", "Ġwe", "'re"}}}},
    // A blank in front, but only one.
    {R"({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true})",
     {{"a b", {"Ġa", "Ġb"}}, {" a", {"Ġa"}}, {"", {}}}},
    {R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false})",
     {{"a b c", {"aĠbĠc"}}}},
    // SentencePiece's mark: always, never, only at the start; with and without
    // a split.
    {R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true})",
     {{"a b  c", {"▁a", "▁b", "▁", "▁c"}},
      {" a", {"▁a"}},
      {"▁a", {"▁a"}},
      {"", {}}}},
    {R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true})",
     {{"a b", {"a", "▁b"}}, {" a ", {"▁a", "▁"}}}},
    {R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true})",
     {{"a b", {"▁a", "▁b"}}, {" ", {"▁"}}}},
    {R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "split": false})",
     {{"a b  c", {"_a_b__c"}}}},
    // Words and what is between them.
    {R"({"type": "Whitespace"})",
     {{"Hello, world!!  x_1", {"Hello", ",", "world", "!!", "x_1"}},
      {"a\xC2\xA0"
       "b\xE3\x80\x80"
       "c",
       {"a", "b", "c"}},
      {"éa-b", {"éa", "-", "b"}},
      {"नमस\xE0\xA5\x8Dत\xE0\xA5\x87", {"नमस\xE0\xA5\x8Dत\xE0\xA5\x87"}},
      {"12.5€", {"12", ".", "5", "€"}}}},
    {R"({"type": "WhitespaceSplit"})",
     {{"Hello, world!  x", {"Hello,", "world!", "x"}},
      {"\ta\n", {"a"}},
      {"\xE2\x80\x83", {}}}},
    {R"({"type": "BertPreTokenizer"})",
     {{"Hello, world!!", {"Hello", ",", "world", "!", "!"}},
      {"don't  stop", {"don", "'", "t", "stop"}},
      {"a\xE3\x80\x80"
       "b",
       {"a", "b"}},
      {"$5+5=10", {"$", "5", "+", "5", "=", "10"}},
      {"¿qué?", {"¿", "qué", "?"}},
      {"漢字。", {"漢字", "。"}}}},
    // Punctuation, alone or with its neighbours.
    {R"({"type": "Punctuation", "behavior": "Isolated"})",
     {{"a.b!?", {"a", ".", "b", "!", "?"}},
      {"«x»", {"«", "x", "»"}},
      {"$+", {"$", "+"}}}},
    {R"({"type": "Punctuation", "behavior": "Contiguous"})",
     {{"a.b!?", {"a", ".", "b", "!?"}}}},
    {R"({"type": "Punctuation", "behavior": "Removed"})",
     {{"a.b!?", {"a", "b"}}}},
    {R"({"type": "Punctuation", "behavior": "MergedWithNext"})",
     {{"a.b!?c", {"a", ".b", "!", "?c"}}}},
    // Digits of every script.
    {R"({"type": "Digits", "individual_digits": true})",
     {{"a123b", {"a", "1", "2", "3", "b"}}, {"٣½Ⅳ二", {"٣", "½", "Ⅳ", "二"}}}},
    {R"({"type": "Digits", "individual_digits": false})",
     {{"a123b45", {"a", "123", "b", "45"}}, {"x", {"x"}}}},
    // A character as delimiter.
    {R"({"type": "CharDelimiterSplit", "delimiter": "-"})",
     {{"a-b--c-", {"a", "b", "c"}}, {"-", {}}}},
    {R"({"type": "CharDelimiterSplit", "delimiter": "é"})",
     {{"aébe", {"a", "be"}}}},
    // Characters are counted, not bytes.
    {R"({"type": "FixedLength", "length": 3})",
     {{"abcdefg", {"abc", "def", "g"}},
      {"éüößñ", {"éüö", "ßñ"}},
      {"ab", {"ab"}}}},
    // Steps in order, each on the pieces of the one before.
    {R"({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "Isolated"}, {"type": "Digits", "individual_digits": true}]})",
     {{"a1, b22.", {"a", "1", ",", "b", "2", "2", "."}}}},
    {R"({"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}"}, "behavior": "Isolated", "invert": false}, {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]})",
     {{"x12345 é", {"x", "123", "45", "ĠÃ©"}}}},
    {R"({"type": "Sequence", "pretokenizers": []})", {{"a b", {"a b"}}}},
};

TEST(PreTokenizer, GivesWhatTheLibraryGives) {
  for (const Group &group : groups) {
    nlohmann::json json = nlohmann::json::parse(group.json);
    auto step = PreTokenizer::create(JsonView(&json, "pre_tokenizer"));
    ASSERT_TRUE(step.ok()) << group.json << ": " << step.status().message();
    for (const auto &[text, expected] : group.cases) {
      Pieces pieces;
      if (!text.empty())
        pieces.list.push_back({text, -1, characterLength(text[0]), true});
      Status status = (*step)->split(pieces);
      EXPECT_TRUE(status.ok()) << status.message();
      std::vector<std::string> result;
      for (const Piece &piece : pieces.list)
        if (!piece.text.empty())
          result.emplace_back(piece.text);
      EXPECT_EQ(result, expected) << group.json << " of " << text;
    }
  }
}

// Added tokens are no text: no step looks into them.
TEST(PreTokenizer, LeavesAddedTokensAlone) {
  for (const Group &group : groups) {
    nlohmann::json json = nlohmann::json::parse(group.json);
    auto step = PreTokenizer::create(JsonView(&json, "pre_tokenizer"));
    ASSERT_TRUE(step.ok()) << step.status().message();
    Pieces pieces;
    pieces.list.push_back({"a1 -.", 7, 0, false});
    EXPECT_TRUE((*step)->split(pieces).ok());
    ASSERT_EQ(pieces.list.size(), 1u) << group.json;
    EXPECT_EQ(pieces.list[0].id, 7) << group.json;
    EXPECT_EQ(pieces.list[0].text, "a1 -.") << group.json;
  }
}

} // namespace
