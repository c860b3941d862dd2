//===- GGUFVocabularyTest.cpp - tokenizer.json to GGUF and back -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GGUFVocabularies.h"

using namespace clade::rt;
using namespace clade::test;

namespace {

GGUFVocabulary vocabularyOf(const std::string &json, size_t size) {
  auto made = ggufVocabulary(json, "t", size);
  EXPECT_TRUE(made.ok()) << made.status().message();
  return made.ok() ? *made : GGUFVocabulary();
}

std::string jsonOf(const GGUFVocabulary &vocabulary) {
  auto text = tokenizerJson(vocabulary);
  EXPECT_TRUE(text.ok()) << text.status().message();
  return text.ok() ? *text : "";
}

/// Both make the same of these texts, and of what they made.
void expectSame(const GGUFVocabulary &vocabulary,
                std::initializer_list<const char *> texts) {
  auto direct = Tokenizer::fromGGUF(vocabulary);
  ASSERT_TRUE(direct.ok());
  auto read = load(jsonOf(vocabulary));
  ASSERT_TRUE(read);
  for (const char *text : texts) {
    Ids ids = encode(**direct, text);
    EXPECT_EQ(encode(*read, text), ids) << text;
    EXPECT_EQ(*read->encode(text, false), *(*direct)->encode(text, false));
    EXPECT_EQ(decode(*read, ids), decode(**direct, ids)) << text;
  }
}

TEST(GGUFVocabulary, ByteLevelComesBack) {
  for (const char *pre : {"gpt-2", "llama3", "qwen2", "tekken", "starcoder"}) {
    SCOPED_TRACE(pre);
    GGUFVocabulary from = byteLevel();
    from.pre = pre;
    expectSame(from, {"", "a", "ab a 12<|end|>", "12 12", "a<|end|>b"});
    GGUFVocabulary back = vocabularyOf(jsonOf(from), from.tokens.size());
    EXPECT_EQ(back.model, "gpt2");
    EXPECT_EQ(back.pre, pre);
    EXPECT_EQ(back.tokens, from.tokens);
    EXPECT_EQ(back.tokenTypes, from.tokenTypes);
    EXPECT_EQ(back.merges, from.merges);
  }
}

TEST(GGUFVocabulary, SentencePieceComesBack) {
  for (bool addsSpace : {true, false}) {
    GGUFVocabulary from = sentencePiece();
    from.addSpacePrefix = addsSpace;
    if (addsSpace)
      from.tokenTypes[264] = 1;
    expectSame(from, {"a", "ab", "aa", "ab ab", "a</s>b", "a  b", "\xC3\xA9"});
    GGUFVocabulary back = vocabularyOf(jsonOf(from), from.tokens.size());
    EXPECT_EQ(back.model, "llama");
    EXPECT_EQ(back.tokens, from.tokens);
    // What is unknown is special, as any control token is.
    EXPECT_EQ(back.tokenTypes, from.tokenTypes);
    EXPECT_EQ(back.addSpacePrefix, addsSpace);
    EXPECT_EQ(back.addBos, true);
    EXPECT_EQ(back.bosId, from.bosId);
    // Scores are others, in the same order.
    EXPECT_GT(back.scores[262], back.scores[263]);
    auto again = Tokenizer::fromGGUF(back);
    ASSERT_TRUE(again.ok()) << again.status().message();
    EXPECT_EQ(encode(**again, "ab aa"),
              encode(**Tokenizer::fromGGUF(from), "ab aa"));
  }
}

TEST(GGUFVocabulary, TokensAroundTheText) {
  GGUFVocabulary v = sentencePiece();
  v.addSpacePrefix = false;
  v.addBos = false;
  v.addEos = true;
  expectSame(v, {"ab"});
  v.addBos = true;
  expectSame(v, {"ab"});
  v.addBos = v.addEos = false;
  expectSame(v, {"ab"});
  v = byteLevel();
  v.pre = "llama3"; // Begins with a token unless told otherwise.
  expectSame(v, {"ab"});
  v.addBos = false;
  expectSame(v, {"ab"});
}

TEST(GGUFVocabulary, NumbersWithoutTokensAreUnused) {
  GGUFVocabulary from = byteLevel();
  GGUFVocabulary back = vocabularyOf(jsonOf(from), from.tokens.size() + 2);
  EXPECT_EQ(back.tokens.back(), "[PAD10]");
  EXPECT_EQ(back.tokenTypes.back(), 5);
  EXPECT_EQ(back.tokenTypes.front(), 1);
}

TEST(GGUFVocabulary, Errors) {
  GGUFVocabulary v = byteLevel();
  v.pre = "rot13";
  EXPECT_EQ(tokenizerJson(v).status().message(),
            "'tokenizer.ggml': 'pre': the split into words 'rot13' is not "
            "supported");
  EXPECT_EQ(tokenizerJson(sentencePiece()).status().message(),
            "'tokenizer.ggml': a tokenizer.json cannot say that texts begin "
            "with a space and that '  ' is found in them");
  auto error = [](const std::string &json, size_t size) {
    return ggufVocabulary(json, "t", size).status().message();
  };
  EXPECT_EQ(error(document({{"model", R"({"type": "Unigram"})"}}), 4),
            "'t': GGUF files hold tokenizers of model 'BPE' only, got "
            "'Unigram'");
  EXPECT_EQ(error(jsonOf(byteLevel()), 3),
            "'t': token '1' has the number 6, but the model has 3 tokens");
  EXPECT_EQ(
      error(document({}), 4),
      "'t': GGUF files hold byte-level and SentencePiece tokenizers only");
  EXPECT_EQ(error(document({{"pre_tokenizer",
                             R"({"type": "Sequence", "pretokenizers": [
                                 {"type": "Split", "pattern": {"Regex": "x"}},
                                 {"type": "ByteLevel"}]})"}}),
                  4),
            "'t': GGUF files have no name for this split into words: 'x'");
  EXPECT_EQ(error(document({{"pre_tokenizer", R"({"type": "Digits"})"}}), 4),
            "'t': GGUF files have no name for the split 'Digits' into words");
  EXPECT_EQ(error(document({{"model", R"({"type": "BPE", "vocab": [],
                                          "merges": []})"}}),
                  4),
            "'t': 'model.vocab' is not an object");
}

} // namespace
