//===- GGUFTokenizerTest.cpp - Tokenizers from GGUF metadata --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GGUFVocabularies.h"

#include <limits>

using namespace clade::rt;
using namespace clade::test;

namespace {

std::unique_ptr<Tokenizer> build(const GGUFVocabulary &vocabulary) {
  auto tokenizer = Tokenizer::fromGGUF(vocabulary);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  return tokenizer.ok() ? std::move(*tokenizer) : nullptr;
}

TEST(GGUFTokenizer, MergesByScore) {
  auto tokenizer = build(sentencePiece());
  ASSERT_TRUE(tokenizer);
  // "ab" has the better score, so "▁a" never comes to be.
  EXPECT_EQ(encode(*tokenizer, "ab"), Ids({1, 259, 262}));
  EXPECT_EQ(encode(*tokenizer, "aa"), Ids({1, 263, 260}));
  EXPECT_EQ(decode(*tokenizer, {1, 259, 262}), "ab");
}

TEST(GGUFTokenizer, BytesForUnknownCharacters) {
  auto tokenizer = build(sentencePiece());
  ASSERT_TRUE(tokenizer);
  Ids ids = encode(*tokenizer, "é");
  EXPECT_EQ(ids, Ids({1, 259, 3 + 0xC3, 3 + 0xA9}));
  EXPECT_EQ(decode(*tokenizer, ids), "é");
}

TEST(GGUFTokenizer, TokensInTheText) {
  auto tokenizer = build(sentencePiece());
  ASSERT_TRUE(tokenizer);
  // Text after a control token starts with a mark again.
  EXPECT_EQ(encode(*tokenizer, "a</s>b"), Ids({1, 263, 2, 259, 261}));
  // User defined tokens are part of the text, in either way of writing.
  EXPECT_EQ(encode(*tokenizer, "a  b"), Ids({1, 263, 264, 261}));
  EXPECT_EQ(encode(*tokenizer, "a▁▁b"), Ids({1, 263, 264, 261}));
  EXPECT_EQ(decode(*tokenizer, {1, 263, 264, 261}), "a  b");
  EXPECT_TRUE(tokenizer->isSpecial(1));
  EXPECT_FALSE(tokenizer->isSpecial(264));
}

TEST(GGUFTokenizer, TokensAroundTheText) {
  GGUFVocabulary v = sentencePiece();
  v.addBos = false;
  v.addEos = true;
  v.addSpacePrefix = false;
  auto tokenizer = build(v);
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(encode(*tokenizer, "ab"), Ids({262, 2}));
  EXPECT_EQ(*tokenizer->encode("ab", false), Ids({262}));
  // Without a mark in front, none is taken away.
  EXPECT_EQ(decode(*tokenizer, {259, 262}), " ab");
}

TEST(GGUFTokenizer, ByteLevel) {
  auto tokenizer = build(byteLevel());
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(encode(*tokenizer, "ab a 12<|end|>"), Ids({4, 3, 2, 8, 5}));
  EXPECT_EQ(decode(*tokenizer, {4, 3, 2, 8, 5}), "ab a 12");
  EXPECT_EQ(decode(*tokenizer, {4, 5}, false), "ab<|end|>");
}

TEST(GGUFTokenizer, SplitsIntoWords) {
  const std::pair<const char *, Ids> cases[] = {
      {"gpt-2", {8}},        {"qwen2", {6, 7}},    {"llama-bpe", {5, 8}},
      {"tekken", {5, 6, 7}}, {"gpt-4o", {8}},      {"starcoder", {6, 7}},
      {"falcon", {8}},       {"deepseek-v3", {8}}, {"deepseek-coder", {6, 7}},
      {"qwen35", {6, 7}},    {"default", {8}},     {"", {8}},
      {"dbrx", {8}},         {"olmo", {8}}};
  for (const auto &[pre, ids] : cases) {
    GGUFVocabulary v = byteLevel();
    v.pre = pre;
    auto tokenizer = build(v);
    ASSERT_TRUE(tokenizer) << pre;
    EXPECT_EQ(encode(*tokenizer, "12"), ids) << pre;
  }
}

struct Case {
  void (*damage)(GGUFVocabulary &);
  const char *message;
  StatusCode code = StatusCode::Corruption;
};

void expectErrors(const GGUFVocabulary &right, std::span<const Case> cases) {
  for (const Case &c : cases) {
    GGUFVocabulary damaged = right;
    c.damage(damaged);
    auto tokenizer = Tokenizer::fromGGUF(damaged);
    ASSERT_FALSE(tokenizer.ok()) << c.message;
    EXPECT_EQ(tokenizer.status().message(),
              std::string("'tokenizer.ggml': ") + c.message);
    EXPECT_EQ(tokenizer.status().code(), c.code);
  }
}

TEST(GGUFTokenizer, ErrorsOfSentencePiece) {
  const Case cases[] = {
      {[](GGUFVocabulary &v) { v.model = "rwkv"; },
       "'model': tokenizer model 'rwkv' is not supported, expected 'llama' or "
       "'gpt2'",
       StatusCode::Unsupported},
      {[](GGUFVocabulary &v) { v.tokens.clear(); }, "'tokens' is empty"},
      {[](GGUFVocabulary &v) { v.scores.pop_back(); },
       "'scores' has 264 entries, expected 265"},
      {[](GGUFVocabulary &v) { v.scores.clear(); },
       "'scores' is missing, which model 'llama' needs"},
      {[](GGUFVocabulary &v) { v.tokenTypes.push_back(1); },
       "'token_type' has 266 entries, expected 265"},
      {[](GGUFVocabulary &v) { v.tokens[260] = std::string("\xFF"); },
       "token 260 is not valid UTF-8"},
      {[](GGUFVocabulary &v) {
         v.scores[9] = std::numeric_limits<float>::quiet_NaN();
       },
       "the score of token 9 is not a number"},
      {[](GGUFVocabulary &v) { v.bosId = 265; },
       "'bos_token_id' is 265, but there are 265 tokens"},
      {[](GGUFVocabulary &v) { v.eosId = -1; },
       "'eos_token_id' is -1, but there are 265 tokens"},
      {[](GGUFVocabulary &v) { v.unknownId = 999; },
       "'unknown_token_id' is 999, but there are 265 tokens"},
      {[](GGUFVocabulary &v) { v.paddingId = 999; },
       "'padding_token_id' is 999, but there are 265 tokens"},
      {[](GGUFVocabulary &v) { v.bosId.reset(); },
       "texts begin with a token, but 'bos_token_id' is missing"},
      {[](GGUFVocabulary &v) {
         v.addEos = true;
         v.eosId.reset();
       },
       "'add_eos_token' is true, but 'eos_token_id' is missing"},
      {[](GGUFVocabulary &v) { v.tokens[261] = std::string("a"); },
       "token 'a' has two ids, 260 and 261"},
  };
  expectErrors(sentencePiece(), cases);
}

TEST(GGUFTokenizer, ErrorsOfByteLevel) {
  const Case cases[] = {
      {[](GGUFVocabulary &v) { v.pre = "rot13"; },
       "'pre': the split into words 'rot13' is not supported",
       StatusCode::Unsupported},
      {[](GGUFVocabulary &v) { v.pre = "gpt-2 phi-2"; },
       "'pre': the split into words 'gpt-2 phi-2' is not supported",
       StatusCode::Unsupported},
      {[](GGUFVocabulary &v) { v.merges.clear(); },
       "'merges' is missing, which model 'gpt2' needs"},
      {[](GGUFVocabulary &v) { v.merges[1] = "ab"; },
       "merge 1: expected two tokens, got 'ab'"},
      {[](GGUFVocabulary &v) { v.merges[2] = ""; },
       "merge 2: expected two tokens, got ''"},
      {[](GGUFVocabulary &v) { v.merges[1] = "b a"; },
       "merge 1 ('b' and 'a'): token 'ba' is not in the vocabulary"},
  };
  expectErrors(byteLevel(), cases);
}

TEST(GGUFTokenizer, UnknownCharacter) {
  GGUFVocabulary v = sentencePiece();
  v.unknownId.reset();
  v.tokens[3 + 0xC3] = "no byte";
  auto tokenizer = build(v);
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->encode("é").status().message(),
            "the text has the unknown character 'é', and the vocabulary has no "
            "token for that");
  v.unknownId = 0;
  EXPECT_EQ(encode(*build(v), "é"), Ids({1, 259, 0}));
}

} // namespace
