//===- ModelTest.cpp - From words to ids, and added tokens ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The expected ids are what tokenizers 0.23.3 gives. compare.py compares whole
// tokenizers on many texts; these cases say which part is wrong.
//
//===----------------------------------------------------------------------===//

#include "TokenizerSupport.h"

using namespace clade::rt;
using namespace clade::test;

namespace {

/// The ids of some texts, by a model alone.
struct Group {
  const char *model; ///< Its description.
  std::vector<std::pair<std::string, Ids>> cases;
};

const std::vector<Group> groups = {
    // Merges in the order of the list, the leftmost first.
    {R"({"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "abb": 3, "<u>": 4, "<0xC3>": 5, "<0xA9>": 6, "ba": 7}, "merges": [["a", "b"], ["ab", "b"], ["b", "a"]]})",
     {{"abab", {2, 2}},
      {"abbab", {3, 2}},
      {"bab", {1, 2}},
      {"baab", {7, 2}},
      {"bbb", {1, 1, 1}}}},
    // Unknown characters: left out, one token each, one for a run.
    {R"({"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "abb": 3, "<u>": 4, "<0xC3>": 5, "<0xA9>": 6, "ba": 7}, "merges": [["a", "b"], ["ab", "b"], ["b", "a"]]})",
     {{"acb", {2}}, {"c", {}}}},
    {R"({"type": "BPE", "unk_token": "<u>", "vocab": {"a": 0, "b": 1, "ab": 2, "abb": 3, "<u>": 4, "<0xC3>": 5, "<0xA9>": 6, "ba": 7}, "merges": [["a", "b"], ["ab", "b"], ["b", "a"]]})",
     {{"accb", {0, 4, 4, 1}}, {"éa", {4, 0}}}},
    {R"({"type": "BPE", "unk_token": "<u>", "fuse_unk": true, "vocab": {"a": 0, "b": 1, "ab": 2, "abb": 3, "<u>": 4, "<0xC3>": 5, "<0xA9>": 6, "ba": 7}, "merges": [["a", "b"], ["ab", "b"], ["b", "a"]]})",
     {{"accb", {0, 4, 1}}, {"cac", {4, 0, 4}}}},
    // Bytes for what is unknown, if all of them are tokens.
    {R"({"type": "BPE", "unk_token": "<u>", "byte_fallback": true, "vocab": {"a": 0, "b": 1, "ab": 2, "abb": 3, "<u>": 4, "<0xC3>": 5, "<0xA9>": 6, "ba": 7}, "merges": [["a", "b"], ["ab", "b"], ["b", "a"]]})",
     {{"aéb", {0, 5, 6, 1}}, {"aüb", {0, 4, 1}}, {"éé", {5, 6, 5, 6}}}},
    // A word that is a token needs no merges.
    {R"({"type": "BPE", "ignore_merges": true, "vocab": {"a": 0, "b": 1, "ab": 2, "aba": 3}, "merges": [["a", "b"]]})",
     {{"aba", {3}}, {"abab", {2, 2}}}},
    {R"({"type": "BPE", "ignore_merges": false, "vocab": {"a": 0, "b": 1, "ab": 2, "aba": 3}, "merges": [["a", "b"]]})",
     {{"aba", {2, 0}}}},
    // Marks of continued words and of their ends.
    {R"({"type": "BPE", "continuing_subword_prefix": "##", "vocab": {"a": 0, "##b": 1, "##a": 2, "ab": 3, "b": 4}, "merges": [["a", "##b"]]})",
     {{"ab", {3}}, {"aba", {3, 2}}, {"bab", {4, 2, 1}}}},
    {R"({"type": "BPE", "end_of_word_suffix": "</w>", "vocab": {"a": 0, "b": 1, "b</w>": 2, "ab</w>": 3, "a</w>": 4}, "merges": [["a", "b</w>"]]})",
     {{"ab", {3}}, {"abab", {0, 1, 3}}, {"a", {4}}}},
    // The likeliest path, not the longest token.
    {R"({"type": "Unigram", "unk_id": 0, "byte_fallback": false, "vocab": [["<unk>", 0.0], ["a", -1.0], ["b", -1.5], ["ab", -2.0], ["abc", -3.0], ["c", -9.0], ["<0xC3>", -4.0], ["<0xA9>", -4.0]]})",
     {{"ab", {3}},
      {"abc", {4}},
      {"abcab", {4, 3}},
      {"ba", {2, 1}},
      {"cb", {5, 2}}}},
    // Unknown characters next to each other are one token.
    {R"({"type": "Unigram", "unk_id": 0, "byte_fallback": false, "vocab": [["<unk>", 0.0], ["a", -1.0], ["b", -1.5], ["ab", -2.0], ["abc", -3.0], ["c", -9.0], ["<0xC3>", -4.0], ["<0xA9>", -4.0]]})",
     {{"axb", {1, 0, 2}}, {"axyzb", {1, 0, 2}}, {"é", {0}}}},
    {R"({"type": "Unigram", "unk_id": 0, "byte_fallback": true, "vocab": [["<unk>", 0.0], ["a", -1.0], ["b", -1.5], ["ab", -2.0], ["abc", -3.0], ["c", -9.0], ["<0xC3>", -4.0], ["<0xA9>", -4.0]]})",
     {{"aéb", {1, 6, 7, 2}}, {"aüb", {1, 0, 2}}}},
    // The longest token first; a word with an unknown part is unknown as a
    // whole.
    {R"({"type": "WordPiece", "unk_token": "[UNK]", "max_input_chars_per_word": 12, "vocab": {"[UNK]": 0, "play": 1, "##ing": 2, "##s": 3, "p": 4, "##l": 5, "##ay": 6, "é": 7, "##é": 8}, "continuing_subword_prefix": "##"})",
     {{"playing", {1, 2}},
      {"plays", {1, 3}},
      {"pls", {4, 5, 3}},
      {"play", {1}},
      {"plx", {0}},
      {"éé", {7, 8}},
      {"playingplaying", {0}},
      {"ing", {0}}}},
};

TEST(Model, GivesWhatTheLibraryGives) {
  for (const Group &group : groups) {
    auto tokenizer = load(document({{"model", group.model}}));
    ASSERT_TRUE(tokenizer) << group.model;
    for (const auto &[text, expected] : group.cases)
      EXPECT_EQ(encode(*tokenizer, text), expected)
          << group.model << " of " << text;
  }
}

/// The ids of some texts with added tokens, the vocabulary being single
/// characters.
struct AddedGroup {
  const char *tokens, *normalizer;
  std::vector<std::pair<std::string, Ids>> cases;
};

const std::vector<AddedGroup> addedGroups = {
    // Found anywhere; of two at one place the longer, of two that overlap the
    // first.
    {R"([{"id": 7, "content": "<x>", "special": true}, {"id": 8, "content": "<x>a", "special": true}, {"id": 9, "content": "a<", "special": true}])",
     R"(null)",
     {{"a<x>b", {9, 5, 4, 1}},
      {"<x>ab", {8, 1}},
      {"ba<x>", {1, 9, 5, 4}},
      {"<x", {3, 5}},
      {"<x><x>", {7, 7}}}},
    // Blanks on the sides that are asked for belong to the token.
    {R"([{"id": 7, "content": "<l>", "lstrip": true, "special": true}, {"id": 8, "content": "<r>", "rstrip": true, "special": true}, {"id": 9, "content": "<x>", "lstrip": true, "rstrip": true, "special": true}])",
     R"(null)",
     {{"a  <l> b", {0, 7, 2, 1}},
      {"a <r>  b", {0, 2, 8, 1}},
      {"a  <x>  b", {0, 9, 1}},
      {" <x>", {9}}}},
    // A whole word: no letter, digit or mark touches it.
    {R"([{"id": 7, "content": "ab", "single_word": true, "special": true}])",
     R"(null)",
     {{"ab", {7}},
      {"a ab b", {0, 2, 7, 2, 1}},
      {"abb", {0, 1, 1}},
      {"bab", {1, 0, 1}},
      {"ab_", {0, 1}},
      {"ab<", {7, 3}}}},
    // Found in the text as it is, or as it is after normalization.
    {R"([{"id": 6, "content": "E", "normalized": true, "special": true}, {"id": 5, "content": "x", "special": true}])",
     R"({"type": "Lowercase"})",
     {{"Ex", {6, 5}}, {"eX", {6, 5}}, {"xe", {5, 6}}}},
};

TEST(AddedTokens, AreFoundWhereTheLibraryFindsThem) {
  for (const AddedGroup &group : addedGroups) {
    auto tokenizer = load(document(
        {{"added_tokens", group.tokens},
         {"normalizer", group.normalizer},
         {"model", R"({"type": "BPE", "vocab": {"a": 0, "b": 1, " ": 2, "<": 3,
              ">": 4, "x": 5, "E": 6}, "merges": []})"}}));
    ASSERT_TRUE(tokenizer) << group.tokens;
    for (const auto &[text, expected] : group.cases)
      EXPECT_EQ(encode(*tokenizer, text), expected)
          << group.tokens << " in " << text;
  }
}

} // namespace
