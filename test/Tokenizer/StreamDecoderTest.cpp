//===- StreamDecoderTest.cpp - Decoding id by id --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TokenizerSupport.h"

#include "runtime/Tokenizer/Unicode.h"

#include <random>

using namespace clade::rt;
using namespace clade::test;

namespace {

/// The texts that a stream gives for each id, and at the end.
std::vector<std::string> stream(const Tokenizer &tokenizer, const Ids &ids,
                                bool skipSpecialTokens = true) {
  StreamDecoder decoder(tokenizer, skipSpecialTokens);
  std::vector<std::string> parts;
  for (int32_t id : ids) {
    auto part = decoder.push(id);
    EXPECT_TRUE(part.ok()) << part.status().message();
    parts.push_back(part.ok() ? *part : "");
  }
  auto rest = decoder.finish();
  EXPECT_TRUE(rest.ok()) << rest.status().message();
  parts.push_back(rest.ok() ? *rest : "");
  return parts;
}

std::string joined(const std::vector<std::string> &parts) {
  std::string text;
  for (const std::string &part : parts)
    text += part;
  return text;
}

using Parts = std::vector<std::string>;

/// A tokenizer with these tokens, in order, and this decoder.
std::unique_ptr<Tokenizer> withTokens(const std::vector<std::string> &tokens,
                                      const std::string &decoder) {
  std::string vocabulary;
  for (size_t id = 0; id < tokens.size(); ++id)
    vocabulary += (id ? ",\"" : "\"") + tokens[id] + "\":" + std::to_string(id);
  return load(
      document({{"model", R"({"type": "BPE", "merges": [], "vocab": {)" +
                              vocabulary + "}}"},
                {"decoder", decoder}}));
}

const char *gemmaDecoder =
    R"({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"}, {"type": "Fuse"}]})";
const char *llamaDecoder =
    R"({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})";

TEST(StreamDecoder, BytesWaitForTheirCharacter) {
  auto tokenizer =
      withTokens({"▁a", "<0xE2>", "<0x82>", "<0xAC>", "b"}, gemmaDecoder);
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(stream(*tokenizer, {0, 1, 2, 3, 4, 1, 2, 3}),
            Parts({" a", "", "", "€", "b", "", "", "€", ""}));
}

TEST(StreamDecoder, IncompleteBytesAtTheEnd) {
  auto tokenizer = withTokens({"a", "<0xE2>", "<0x82>"}, gemmaDecoder);
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(stream(*tokenizer, {0, 1, 2}),
            Parts({"a", "", "", "\uFFFD\uFFFD"}));
  EXPECT_EQ(decode(*tokenizer, {0, 1, 2}), "a\uFFFD\uFFFD");
}

// The stated exception: what was complete stays.
TEST(StreamDecoder, ByteThatSpoilsItsRun) {
  auto tokenizer =
      withTokens({"<0xC3>", "<0xA9>", "<0xFF>", "a"}, gemmaDecoder);
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(stream(*tokenizer, {0, 1, 2, 3}),
            Parts({"", "é", "\uFFFD", "a", ""}));
  EXPECT_EQ(decode(*tokenizer, {0, 1, 2, 3}), "\uFFFD\uFFFD\uFFFDa");
  EXPECT_EQ(stream(*tokenizer, {0, 3}), Parts({"", "\uFFFDa", ""}));
}

TEST(StreamDecoder, ByteLevelCharacterInParts) {
  // "€" is E2 82 AC: the letters â, Ĥ and ¬.
  auto tokenizer =
      withTokens({"â", "Ĥ", "¬", "Ġa", "Ĥ¬Ġâ"}, R"({"type": "ByteLevel"})");
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(stream(*tokenizer, {0, 1, 2, 3}), Parts({"", "", "€", " a", ""}));
  EXPECT_EQ(stream(*tokenizer, {0, 4, 1, 2}), Parts({"", "€ ", "", "€", ""}));
  EXPECT_EQ(stream(*tokenizer, {0, 1, 3}), Parts({"", "", "\uFFFD a", ""}));
  EXPECT_EQ(stream(*tokenizer, {3, 0, 1}), Parts({" a", "", "", "\uFFFD"}));
}

TEST(StreamDecoder, OnlyTheFirstSpaceOfTheTextGoes) {
  auto tokenizer = withTokens({"▁a", "▁", "b"}, llamaDecoder);
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(stream(*tokenizer, {0, 0, 1, 2}), Parts({"a", " a", " ", "b", ""}));
  EXPECT_EQ(stream(*tokenizer, {1, 1, 0}), Parts({"", " ", " a", ""}));
}

TEST(StreamDecoder, SpecialTokens) {
  auto tokenizer = load(document(
      {{"added_tokens", R"([{"id": 7, "content": "<s>", "special": true}])"},
       {"decoder", R"({"type": "Fuse"})"}}));
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(stream(*tokenizer, {7, 0, 7, 1}), Parts({"", "a", "", "b", ""}));
  EXPECT_EQ(stream(*tokenizer, {7, 0}, false), Parts({"<s>", "a", ""}));
}

TEST(StreamDecoder, WithoutDecoderTokensAreWords) {
  auto tokenizer = load(document({}));
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(stream(*tokenizer, {0, 2, 1}), Parts({"a", " ab", " b", ""}));
}

TEST(StreamDecoder, LastWordEndsWithoutSpace) {
  auto tokenizer =
      withTokens({"a", "b</w>"}, R"({"type": "BPEDecoder", "suffix": "</w>"})");
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(stream(*tokenizer, {0, 1, 1}), Parts({"", "a", "b ", "b"}));
  EXPECT_EQ(stream(*tokenizer, {}), Parts({""}));
}

TEST(StreamDecoder, MovesWhileAtWork) {
  auto tokenizer = withTokens({"<0xC3>", "<0xA9>"}, gemmaDecoder);
  ASSERT_TRUE(tokenizer);
  StreamDecoder first(*tokenizer);
  ASSERT_TRUE(first.push(0).ok());
  StreamDecoder second = std::move(first);
  EXPECT_EQ(*second.push(1), "é");
}

// Every decoder: each text is valid UTF-8 by itself, and all together are what
// decode() gives for ids without broken runs of bytes.
TEST(StreamDecoder, AgreesWithDecode) {
  const std::vector<std::string> tokens = {
      "▁the", "▁",    "a", "b</w>", "##c", "Ġx", "Ċ",  " .",
      "'s",   " n't", "é", "日本",  "▁▁",  "  ", "do", "not"};
  const char *decoders[] = {
      gemmaDecoder,
      llamaDecoder,
      R"({"type": "ByteLevel"})",
      R"({"type": "Metaspace", "replacement": "▁"})",
      R"({"type": "WordPiece", "prefix": "##", "cleanup": true})",
      R"({"type": "BPEDecoder", "suffix": "</w>"})",
      R"({"type": "Sequence", "decoders": []})",
      R"({"type": "Sequence", "decoders": [{"type": "ByteLevel"},
          {"type": "Strip", "content": " ", "start": 2, "stop": 3}]})",
      R"({"type": "Sequence", "decoders": [{"type": "Fuse"},
          {"type": "Replace", "pattern": {"Regex": "a+|▁"}, "content": "-"}]})",
      R"({"type": "Strip", "content": " ", "start": 1, "stop": 1})",
  };
  std::mt19937 random(1);
  for (const char *decoder : decoders) {
    auto tokenizer = withTokens(tokens, decoder);
    ASSERT_TRUE(tokenizer) << decoder;
    for (int round = 0; round < 200; ++round) {
      Ids ids(random() % 12);
      for (int32_t &id : ids)
        id = static_cast<int32_t>(random() % tokens.size());
      Parts parts = stream(*tokenizer, ids);
      EXPECT_EQ(joined(parts), decode(*tokenizer, ids)) << decoder;
      for (const std::string &part : parts)
        EXPECT_TRUE(isValidUTF8(part)) << testing::PrintToString(part);
    }
  }
}

} // namespace
