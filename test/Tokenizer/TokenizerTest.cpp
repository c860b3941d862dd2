//===- TokenizerTest.cpp - Encoding and decoding --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// compare.py shows that results are those of the tokenizers library; here is
// what that cannot show: errors while encoding, the rule for invalid UTF-8, the
// vocabulary's queries, and that long texts take no quadratic time.
//
//===----------------------------------------------------------------------===//

#include "TokenizerSupport.h"

#include <atomic>
#include <chrono>
#include <thread>

using namespace clade::rt;
using namespace clade::test;

namespace {

const char *addedTokens =
    R"([{"id": 7, "content": "<s>", "special": true},
        {"id": 9, "content": "<x>", "special": false, "normalized": false}])";

TEST(Tokenizer, Vocabulary) {
  auto tokenizer = load(document({{"added_tokens", addedTokens}}));
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->vocabularySize(), 10);
  EXPECT_EQ(tokenizer->tokenId("ab"), 2);
  EXPECT_EQ(tokenizer->tokenId("<s>"), 7);
  EXPECT_EQ(tokenizer->tokenId("ba"), std::nullopt);
  EXPECT_EQ(tokenizer->token(2), "ab");
  EXPECT_EQ(tokenizer->token(9), "<x>");
  for (int32_t id : {-1, 5, 8, 10, INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(tokenizer->token(id), std::nullopt) << id;
    EXPECT_FALSE(tokenizer->isSpecial(id)) << id;
  }
  EXPECT_TRUE(tokenizer->isSpecial(7));
  EXPECT_FALSE(tokenizer->isSpecial(9));
}

TEST(Tokenizer, IdsOutsideTheVocabularyAreLeftOut) {
  auto tokenizer = load(document({{"added_tokens", addedTokens}}));
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(decode(*tokenizer, {-5, 0, 1000, 7, 9, 6}), "a <x>");
  EXPECT_EQ(decode(*tokenizer, {7, 0}, false), "<s> a");
  EXPECT_EQ(decode(*tokenizer, {}), "");
}

TEST(Tokenizer, SpecialTokensAroundTheText) {
  auto tokenizer =
      load(document({{"post_processor", R"({"type": "TemplateProcessing",
          "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
          "special_tokens": {"<s>": {"id": "<s>", "ids": [7, 8]}}})"}}));
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(encode(*tokenizer, "ab"), Ids({7, 8, 2}));
  EXPECT_EQ(*tokenizer->encode("ab", false), Ids({2}));
  EXPECT_EQ(encode(*tokenizer, ""), Ids({7, 8}));
}

TEST(Tokenizer, UnknownCharacters) {
  auto bpe = load(
      document({{"model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": [],
                     "unk_token": "?"})"}}));
  ASSERT_TRUE(bpe);
  auto ids = bpe->encode("ab");
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.status().code(), StatusCode::InvalidArgument);
  EXPECT_EQ(ids.status().message(),
            "the text has the unknown character 'b', and the vocabulary lacks "
            "the unknown token '?'");

  auto unigram = load(
      document({{"model", R"({"type": "Unigram", "vocab": [["a", -1]]})"}}));
  ASSERT_TRUE(unigram);
  EXPECT_EQ(unigram->encode("ab").status().message(),
            "the text has the unknown character 'b', and the model has no "
            "token for that");
  EXPECT_EQ(encode(*unigram, "aa"), Ids({0, 0}));
}

// A file can ask for text that grows without end.
TEST(Tokenizer, TextThatGrows) {
  std::string step = R"({"type": "Replace", "pattern": {"String": "a"},
                         "content": "aaaaaaaaaaaaaaaa"})";
  std::string steps = step;
  for (int i = 0; i < 30; ++i)
    steps += "," + step;
  auto tokenizer = load(document(
      {{"normalizer",
        R"({"type": "Sequence", "normalizers": [)" + steps + "]}"},
       {"decoder", R"({"type": "Sequence", "decoders": [)" + steps + "]}"}}));
  ASSERT_TRUE(tokenizer);
  auto ids = tokenizer->encode("a");
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.status().code(), StatusCode::ResourceExhausted);
  EXPECT_EQ(ids.status().message(), "the text grew beyond 67108864 bytes");
  EXPECT_EQ(tokenizer->decode(Ids({0})).status().message(),
            "the text grew beyond 67108864 bytes");
}

// A pattern with exponentially many ways to fail.
TEST(Tokenizer, PatternBeyondItsLimits) {
  auto tokenizer = load(
      document({{"pre_tokenizer",
                 R"({"type": "Split", "pattern": {"Regex": "(?:a|aa|a+)+c"},
            "behavior": "Isolated", "invert": false})"}}));
  ASSERT_TRUE(tokenizer);
  auto ids = tokenizer->encode(std::string(200, 'a') + "bc");
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.status().code(), StatusCode::ResourceExhausted);
  EXPECT_TRUE(ids.status().message().starts_with(
      "matching the regular expression '(?:a|aa|a+)+c': "))
      << ids.status().message();
}

// Each maximal subpart of an ill-formed sequence is one U+FFFD.
TEST(Tokenizer, InvalidUTF8) {
  auto tokenizer = load(document(
      {{"model", R"({"type": "BPE", "vocab": {"a": 0, "\ufffd": 1, "é": 2},
                     "merges": []})"}}));
  ASSERT_TRUE(tokenizer);
  const std::pair<std::string, Ids> cases[] = {
      {"a\xFF"
       "a",
       {0, 1, 0}},
      {"\xC3\xA9", {2}},
      {"\xC3", {1}},
      {"\xC3"
       "a",
       {1, 0}},
      {"\xE2\x82"
       "a",
       {1, 0}},                           // One truncated character.
      {"\xF0\x9F\x98\xE2\x82", {1, 1}},   // Two of them.
      {"\xED\xA0\x80", {1, 1, 1}},        // A surrogate.
      {"\xC0\xAF", {1, 1}},               // An overlong form.
      {"\xE0\x80\xAF", {1, 1, 1}},        // Another one.
      {"\xF4\x90\x80\x80", {1, 1, 1, 1}}, // Above U+10FFFF.
      {"\x80\x80", {1, 1}},
  };
  for (const auto &[text, ids] : cases)
    EXPECT_EQ(encode(*tokenizer, text), ids) << testing::PrintToString(text);
}

/// Seconds that encoding takes.
double encodingTime(const Tokenizer &tokenizer, const std::string &text) {
  auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(encode(tokenizer, text).empty());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

// One word of 1 MB and one of 4 MB: 16 times the time would be quadratic.
TEST(Tokenizer, LongWords) {
  auto bpe = load(document({}));
  ASSERT_TRUE(bpe);
  std::string text;
  while (text.size() < (4 << 20))
    text += "abbaabab";
  encodingTime(*bpe, text); // Warms up.
  double small = encodingTime(*bpe, text.substr(0, 1 << 20));
  double large = encodingTime(*bpe, text);
  EXPECT_LT(large, 10 * small + 0.1);
}

TEST(Tokenizer, UsedBySeveralThreads) {
  auto tokenizer = load(document(
      {{"pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "\\s+"},
          "behavior": "Removed", "invert": false})"}}));
  ASSERT_TRUE(tokenizer);
  std::string text;
  for (int i = 0; i < 2000; ++i)
    text += i % 3 ? "abb " : "ba ";
  Ids expected = encode(*tokenizer, text);
  std::vector<std::thread> threads;
  std::atomic<int> matches = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      auto ids = tokenizer->encode(text);
      matches +=
          ids.ok() && *ids == expected && tokenizer->decode(expected).ok();
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(matches, 4);
}

TEST(Tokenizer, LeftmostMergeOfTheBestRankComesFirst) {
  auto tokenizer = load(document({}));
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(encode(*tokenizer, "abb"), Ids({3}));
  EXPECT_EQ(encode(*tokenizer, "aabbb"), Ids({0, 3, 1}));
  EXPECT_EQ(encode(*tokenizer, "ba"), Ids({1, 0}));
}

// The form of older files: merges as strings, no type.
TEST(Tokenizer, OlderFiles) {
  auto tokenizer =
      load(document({{"model", R"({"vocab": {"a": 0, "b": 1, "ab": 2},
                     "merges": ["#version: 0.2", "a b"]})"}}));
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(encode(*tokenizer, "aab"), Ids({0, 2}));
}

} // namespace
