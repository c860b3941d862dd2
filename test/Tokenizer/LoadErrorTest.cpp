//===- LoadErrorTest.cpp - What a broken tokenizer.json says --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TokenizerSupport.h"

using namespace clade::rt;
using namespace clade::test;

namespace {

struct Case {
  const char *part;    ///< Which part of the document is `json`.
  const char *json;    ///< Its text.
  const char *message; ///< The whole message, behind "'f': ".
  StatusCode code = StatusCode::Corruption;
};

void PrintTo(const Case &c, std::ostream *out) {
  *out << c.part << " " << c.json;
}

class LoadError : public testing::TestWithParam<Case> {};

TEST_P(LoadError, Message) {
  const Case &c = GetParam();
  auto tokenizer = Tokenizer::fromJson(document({{c.part, c.json}}), "f");
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_EQ(tokenizer.status().message(), std::string("'f': ") + c.message);
  EXPECT_EQ(tokenizer.status().code(), c.code);
}

constexpr StatusCode unsupported = StatusCode::Unsupported;

const Case general[] = {
    {"version", R"("2.0")", "version '2.0' is not supported, expected '1.0'",
     unsupported},
    {"version", "1", "'version': expected a string, got an integer"},
    {"added_tokens", "{}", "'added_tokens': expected a list, got an object"},
    {"added_tokens", R"([{"content": "x"}])",
     "'added_tokens[0]': 'id' is missing"},
    {"added_tokens", R"([{"id": 9}])",
     "'added_tokens[0]': 'content' is missing"},
    {"added_tokens", R"([{"id": 3000000000, "content": "x"}])",
     "'added_tokens[0].id': expected a token id below 2147483648, got "
     "3000000000"},
    {"added_tokens", R"([{"id": -1, "content": "x"}])",
     "'added_tokens[0].id': expected a non-negative integer, got a negative "
     "integer"},
    {"added_tokens", R"([{"id": 2000000000, "content": "x"}])",
     "added token 'x' has id 2000000000, expected at most 16777215"},
    {"added_tokens", R"([{"id": 9, "content": "ab"}])",
     "added token 'ab' has id 9, but the vocabulary gives it id 2"},
    {"added_tokens", R"([{"id": 2, "content": "x"}])",
     "added token 'x' has id 2, which is the vocabulary's token 'ab'"},
    {"added_tokens",
     R"([{"id": 9, "content": "x"}, {"id": 9, "content": "y"}])",
     "added token 'y' has id 9, which is added token 'x'"},
    {"added_tokens",
     R"([{"id": 9, "content": "x"}, {"id": 8, "content": "x"}])",
     "added token 'x' has two ids, 9 and 8"},
    {"added_tokens", R"([{"id": 9, "content": "x", "lstrip": 1}])",
     "'added_tokens[0].lstrip': expected a boolean, got an integer"},
};
INSTANTIATE_TEST_SUITE_P(General, LoadError, testing::ValuesIn(general));

const Case models[] = {
    {"model", "7", "'model': expected an object, got an integer"},
    {"model", "{}", "'model': 'type' is missing"},
    {"model", R"({"type": "WordLevel", "vocab": {}})",
     "'model': model type 'WordLevel' is not supported", unsupported},
    {"model", R"({"type": "BPE", "merges": []})",
     "'model': 'vocab' is missing or not an object"},
    {"model", R"({"type": "BPE", "vocab": [["a", 1]], "merges": []})",
     "'model': 'vocab' is missing or not an object"},
    {"model", R"({"type": "BPE", "vocab": {"a": 0}})",
     "'model': 'merges' is missing or not a list"},
    {"model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": {}})",
     "'model': 'merges' is missing or not a list"},
    {"model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": [],
                  "dropout": 0.5})",
     "'model.dropout': a dropout other than 0 is not supported", unsupported},
    {"model", R"({"type": "BPE", "vocab": {"a": -1}, "merges": []})",
     "'model.vocab': expected an id below 2147483648 for token 'a', got a "
     "negative integer"},
    {"model", R"({"type": "BPE", "vocab": {"a": "0"}, "merges": []})",
     "'model.vocab': expected an id below 2147483648 for token 'a', got a "
     "string"},
    {"model", R"({"type": "BPE", "vocab": {"a": [[0]]}, "merges": []})",
     "'model.vocab': entry 0 is nested too deeply"},
    {"model", R"({"type": "BPE", "vocab": {"a": 16777216}, "merges": []})",
     "'model': token 'a' has id 16777216, expected at most 16777215"},
    {"model", R"({"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []})",
     "'model': tokens 'a' and 'b' have the same id 0"},
    {"model", R"({"type": "BPE", "vocab": {"a": 0, "a": 1}, "merges": []})",
     "'model': token 'a' has two ids, 0 and 1"},
    {"model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "x"]]})",
     "'model': merge 0 ('a' and 'x'): token 'x' is not in the vocabulary"},
    {"model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["x a"]})",
     "'model': merge 0 ('x' and 'a'): token 'x' is not in the vocabulary"},
    {"model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a a"]})",
     "'model': merge 0 ('a' and 'a'): token 'aa' is not in the vocabulary"},
    {"model", R"({"type": "BPE", "vocab": {}, "merges": [["a"]]})",
     "'model.merges[0]': expected two tokens, got a list"},
    {"model", R"({"type": "BPE", "vocab": {}, "merges": [7]})",
     "'model.merges[0]': expected two tokens, got an integer"},
    {"model", R"({"type": "BPE", "vocab": {}, "merges": [{"a": "b"}]})",
     "'model.merges[0]': expected two tokens, got an object"},
    {"model", R"({"type": "BPE", "vocab": {}, "merges": ["a b c"]})",
     "'model.merges[0]': expected two tokens with one space between them, got "
     "'a b c'"},
    {"model", R"({"type": "Unigram", "vocab": {"a": 0}})",
     "'model': 'vocab' is missing or not a list"},
    {"model", R"({"type": "Unigram", "vocab": [["a", 1], ["b"]]})",
     "'model.vocab[1]': expected a token and its score, got a list"},
    {"model", R"({"type": "Unigram", "vocab": [["a", 1]], "unk_id": 1})",
     "'model': the unknown token's id 1 is not below the vocabulary's size 1"},
    {"model", R"({"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "?",
                  "continuing_subword_prefix": "#",
                  "max_input_chars_per_word": 9})",
     "'model': the unknown token '?' is not in the vocabulary"},
    {"model", R"({"type": "WordPiece", "vocab": {"a": 0}})",
     "'model': 'unk_token' is missing"},
};
INSTANTIATE_TEST_SUITE_P(Models, LoadError, testing::ValuesIn(models));

const Case normalizers[] = {
    {"normalizer", "{}", "'normalizer': 'type' is missing"},
    {"normalizer", R"({"type": "Rot13"})",
     "'normalizer': normalizer type 'Rot13' is not supported", unsupported},
    {"normalizer", R"({"type": "Sequence", "normalizers": [{"type": "X"}]})",
     "'normalizer.normalizers[0]': normalizer type 'X' is not supported",
     unsupported},
    {"normalizer", R"({"type": "Replace", "pattern": {}, "content": ""})",
     "'normalizer.pattern': expected a member 'String' or 'Regex'"},
    {"normalizer",
     R"({"type": "Replace", "pattern": {"Regex": "("}, "content": ""})",
     "'normalizer.pattern': regular expression '(': a group is not closed"},
    {"normalizer",
     R"x({"type": "Replace", "pattern": {"Regex": "(*FAIL)"}, "content": ""})x",
     "'normalizer.pattern': regular expression '(*FAIL)': '(*' is not "
     "supported",
     unsupported},
    {"normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "?"})",
     "'normalizer': 'precompiled_charsmap' is not base64"},
    {"normalizer",
     R"({"type": "Precompiled", "precompiled_charsmap": "/////w=="})",
     "'normalizer': 'precompiled_charsmap' is shorter than it says"},
    {"normalizer",
     R"({"type": "Precompiled", "precompiled_charsmap": "AAAAAP8="})",
     "'normalizer': 'precompiled_charsmap' holds invalid UTF-8"},
};
INSTANTIATE_TEST_SUITE_P(Normalizers, LoadError,
                         testing::ValuesIn(normalizers));

const Case preTokenizers[] = {
    {"pre_tokenizer", R"({"type": "UnicodeScripts"})",
     "'pre_tokenizer': pre-tokenizer type 'UnicodeScripts' is not supported",
     unsupported},
    {"pre_tokenizer", R"({"type": "Split", "pattern": {"String": "a"},
                          "behavior": "Gone", "invert": false})",
     "'pre_tokenizer.behavior': expected 'Removed', 'Isolated', "
     "'MergedWithPrevious', 'MergedWithNext' or 'Contiguous', got 'Gone'"},
    {"pre_tokenizer", R"({"type": "Metaspace", "replacement": "ab"})",
     "'pre_tokenizer': 'replacement' is not one character"},
    {"pre_tokenizer", R"({"type": "Metaspace", "replacement": "_",
                          "prepend_scheme": "last"})",
     "'pre_tokenizer': 'prepend_scheme': expected 'first', 'never' or "
     "'always', got 'last'"},
    {"pre_tokenizer", R"({"type": "Metaspace", "replacement": "_",
                          "prepend_scheme": "first",
                          "add_prefix_space": false})",
     "'pre_tokenizer': 'add_prefix_space' is false, but 'prepend_scheme' is "
     "'first'"},
    {"pre_tokenizer", R"({"type": "FixedLength", "length": 0})",
     "'pre_tokenizer': 'length' is 0, expected at least 1"},
    {"pre_tokenizer", R"({"type": "CharDelimiterSplit", "delimiter": ""})",
     "'pre_tokenizer': 'delimiter' is not one character"},
};
INSTANTIATE_TEST_SUITE_P(PreTokenizers, LoadError,
                         testing::ValuesIn(preTokenizers));

const Case processors[] = {
    {"post_processor", R"({"type": "Reverse"})",
     "'post_processor': post-processor type 'Reverse' is not supported",
     unsupported},
    {"post_processor", R"({"type": "BertProcessing", "cls": ["x"],
                           "sep": ["y", 1]})",
     "'post_processor.cls': expected a token and its id"},
    {"post_processor", R"({"type": "BertProcessing", "cls": ["x", 99999999],
                           "sep": ["y", 1]})",
     "'post_processor.cls[1]': expected an id of at most 16777215, got "
     "99999999"},
    {"post_processor", R"({"type": "TemplateProcessing", "single": [
         {"SpecialToken": {"id": "<s>"}}], "special_tokens": {}})",
     "'post_processor': the template names '<s>', which 'special_tokens' "
     "lacks"},
    {"post_processor",
     R"({"type": "TemplateProcessing", "single": [{}], "special_tokens": {}})",
     "'post_processor.single[0]': expected 'Sequence' or 'SpecialToken'"},
    {"post_processor", R"({"type": "TemplateProcessing", "single": [
         {"Sequence": {"id": "B"}}], "special_tokens": {}})",
     "'post_processor.single[0]': expected sequence 'A' in the template for "
     "one text, got 'B'"},
    {"post_processor", R"({"type": "TemplateProcessing", "single": [
         {"Sequence": {"id": "A"}}, {"Sequence": {"id": "A"}}],
         "special_tokens": {}})",
     "'post_processor.single': a template that repeats the text is not "
     "supported",
     unsupported},
};
INSTANTIATE_TEST_SUITE_P(PostProcessors, LoadError,
                         testing::ValuesIn(processors));

const Case decoders[] = {
    {"decoder", R"({"type": "CTC"})",
     "'decoder': decoder type 'CTC' is not supported", unsupported},
    {"decoder", R"({"type": "BPEDecoder", "suffix": ""})",
     "'decoder': an empty 'suffix' is not supported", unsupported},
    {"decoder", R"({"type": "Strip", "content": "", "start": 0, "stop": 0})",
     "'decoder': 'content' is not one character"},
    {"decoder", R"({"type": "Sequence", "decoders": 1})",
     "'decoder.decoders': expected a list, got an integer"},
};
INSTANTIATE_TEST_SUITE_P(Decoders, LoadError, testing::ValuesIn(decoders));

TEST(LoadErrorText, Truncated) {
  std::string json = document({{"normalizer", R"({"type": "NFC"})"}});
  for (size_t size = 0; size < json.size(); ++size)
    EXPECT_EQ(loadError(json.substr(0, size)),
              "'f': the JSON text ends too early, after " +
                  std::to_string(size) + " bytes");
}

TEST(LoadErrorText, NotJson) {
  EXPECT_EQ(loadError(R"({"model": nothing})"),
            "'f': not JSON: unexpected text at byte 12");
  EXPECT_EQ(loadError("[]"), "'f': expected an object");
  EXPECT_EQ(loadError("{}"), "'f': 'model' is missing");
}

TEST(LoadErrorText, RepeatedKey) {
  EXPECT_EQ(loadError(R"({"model": {}, "model": {}})"),
            "'f': key 'model' appears twice");
  EXPECT_EQ(loadError(R"({"decoder": {"a": {"b": 1, "b": 2}}})"),
            "'f': key 'b' appears twice");
}

TEST(LoadErrorText, DeepNesting) {
  std::string deep(100000, '[');
  EXPECT_EQ(loadError(document({{"normalizer", deep}})),
            "'f': nested deeper than 64 levels");
  // As deep as is allowed, and a component within itself that often.
  std::string normalizer = R"({"type": "NFC"})";
  for (int i = 0; i < 31; ++i)
    normalizer = R"({"type": "Sequence", "normalizers": [)" + normalizer + "]}";
  EXPECT_EQ(loadError(document({{"normalizer", normalizer}})), "");
}

// Damage anywhere in a file is an error or a tokenizer that works.
TEST(LoadErrorText, EveryByteDamaged) {
  std::string json = document(
      {{"normalizer", R"({"type": "Replace", "pattern": {"Regex": "b+?[c-x]"},
                          "content": "b"})"},
       {"decoder", R"({"type": "Strip", "content": " ", "start": 1,
                       "stop": 1})"},
       {"added_tokens", R"([{"id": 7, "content": "<s>", "special": true}])"}});
  for (size_t i = 0; i < json.size(); ++i) {
    for (char byte : {'\0', '"', '9', '[', '\xFF', '\\'}) {
      std::string damaged = json;
      damaged[i] = byte;
      auto tokenizer = Tokenizer::fromJson(damaged, "f");
      if (!tokenizer.ok()) {
        EXPECT_FALSE(tokenizer.status().message().empty());
        continue;
      }
      auto ids = (*tokenizer)->encode("abb <s> bcx");
      if (!ids.ok())
        continue;
      EXPECT_TRUE((*tokenizer)->decode(*ids).ok());
    }
  }
}

} // namespace
