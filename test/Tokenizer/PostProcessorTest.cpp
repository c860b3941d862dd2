//===- PostProcessorTest.cpp - Special tokens around the text -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The expected ids are what tokenizers 0.23.3 gives.
//
//===----------------------------------------------------------------------===//

#include "TokenizerSupport.h"

using namespace clade::rt;
using namespace clade::test;

namespace {

struct Group {
  const char *processor; ///< Its description.
  std::vector<std::pair<std::string, Ids>> cases;
};

const std::vector<Group> groups = {
    // A template: tokens before, behind, in the middle of nothing.
    {R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"<s>": {"id": "<s>", "ids": [2], "tokens": ["<s>"]}, "</s>": {"id": "</s>", "ids": [3, 3], "tokens": ["</s>", "</s>"]}}})",
     {{"ab", {2, 0, 1, 3, 3}}, {"", {2, 3, 3}}, {"<s>a", {2, 2, 0, 3, 3}}}},
    {R"({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {}})",
     {{"ab", {0, 1}}, {"", {}}}},
    // BERT's and RoBERTa's.
    {R"({"type": "BertProcessing", "sep": ["[SEP]", 5], "cls": ["[CLS]", 4]})",
     {{"a", {4, 0, 5}}, {"", {4, 5}}}},
    {R"({"type": "RobertaProcessing", "sep": ["</s>", 3], "cls": ["<s>", 2], "trim_offsets": true, "add_prefix_space": false})",
     {{"ab", {2, 0, 1, 3}}, {"", {2, 3}}}},
    // Offsets are not Clade's.
    {R"({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true})",
     {{"ab", {0, 1}}, {"", {}}}},
    // One after the other, each around what the one before made.
    {R"({"type": "Sequence", "processors": [{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true}, {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"<s>": {"id": "<s>", "ids": [2], "tokens": ["<s>"]}}}]})",
     {{"ba", {2, 1, 0}}, {"", {2}}}},
};

std::unique_ptr<Tokenizer> tokenizerWith(const char *processor) {
  return load(document(
      {{"post_processor", processor},
       {"model", R"({"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []})"},
       {"added_tokens",
        R"([{"id": 2, "content": "<s>", "special": true},
            {"id": 3, "content": "</s>", "special": true},
            {"id": 4, "content": "[CLS]", "special": true},
            {"id": 5, "content": "[SEP]", "special": true}])"}}));
}

TEST(PostProcessor, GivesWhatTheLibraryGives) {
  for (const Group &group : groups) {
    auto tokenizer = tokenizerWith(group.processor);
    ASSERT_TRUE(tokenizer) << group.processor;
    for (const auto &[text, expected] : group.cases)
      EXPECT_EQ(encode(*tokenizer, text), expected)
          << group.processor << " of " << text;
  }
}

// Without special tokens the text's own ids are left.
TEST(PostProcessor, CanBeLeftOut) {
  for (const Group &group : groups) {
    auto tokenizer = tokenizerWith(group.processor);
    ASSERT_TRUE(tokenizer) << group.processor;
    auto ids = tokenizer->encode("ab", /*addSpecialTokens=*/false);
    ASSERT_TRUE(ids.ok()) << ids.status().message();
    EXPECT_EQ(*ids, Ids({0, 1})) << group.processor;
  }
}

} // namespace
