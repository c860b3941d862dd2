//===- DecoderTest.cpp - From tokens to text ------------------------------===//
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

#include "runtime/Tokenizer/Decoder.h"

using namespace clade::rt;
using namespace clade::test;

namespace {

/// What a step makes of some inputs.
struct Group {
  const char *json; ///< The step's description.
  std::vector<std::pair<std::vector<std::string>, std::string>> cases;
};

const std::vector<Group> groups = {
    // Bytes that are no text become U+FFFD; a character may be spread over
    // tokens.
    {R"({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true})",
     {{{"a", "Ġb"}, "a b"},
      {{"Ã", "©"}, "é"},
      {{"Ã", "a"}, "�a"},
      {{"é"}, "�"},
      {{"ĠðŁĺ", "Ģ!"}, " 😀!"},
      {{"中"}, "中"}}},
    // Tokens for bytes, runs that are text and runs that are not.
    {R"({"type": "ByteFallback"})",
     {{{"<0xC3>", "<0xA9>"}, "é"},
      {{"a", "<0xE2>", "<0x82>", "b"}, "a��b"},
      {{"<0x61>"}, "a"},
      {{"<0xC3>", "<0xA9>", "<0xFF>"}, "���"},
      {{"<0x6>"}, "<0x6>"},
      {{"<0xe2>", "<0x82>", "<0xac>"}, "€"}}},
    // All one token, which later steps see whole.
    {R"({"type": "Fuse"})", {{{"a", " ", "b"}, "a b"}}},
    // Marks become blanks, but for one in front.
    {R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true})",
     {{{"▁a", "▁b"}, "a b"}, {{"▁▁a"}, "a"}, {{"a▁b"}, "ab"}}},
    {R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true})",
     {{{"▁a", "▁b"}, " a b"}}},
    {R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true})",
     {{{"▁a", "▁b"}, "a b"}}},
    // Parts of words without their mark; blanks that English does not have.
    {R"({"type": "WordPiece", "prefix": "##", "cleanup": true})",
     {{{"play", "##ing", ",", "do", "n't", "!"}, "playing, don't!"},
      {{"##a", "b"}, "##a b"},
      {{"it", "'s", "a", "'", "b"}, "it's a ' b"},
      {{"do", "not"}, "do not"}}},
    {R"({"type": "WordPiece", "prefix": "##", "cleanup": false})",
     {{{"a", "##b", ",", "c", "."}, "ab , c ."}}},
    // A suffix ends a word, but the last has no blank behind it.
    {R"({"type": "BPEDecoder", "suffix": "</w>"})",
     {{{"a", "b</w>", "c</w>"}, "ab c"}, {{"a</w>b"}, "ab"}, {{"</w>"}, ""}}},
    // Replaced in each token.
    {R"({"type": "Replace", "pattern": {"String": "▁"}, "content": " "})",
     {{{"▁a", "b▁"}, " ab "}}},
    {R"({"type": "Replace", "pattern": {"Regex": "a+"}, "content": "x"})",
     {{{"baa", "a"}, "bxx"}}},
    // So many copies at most, from each end of each token.
    {R"({"type": "Strip", "content": " ", "start": 1, "stop": 0})",
     {{{"  a", " b "}, " ab "}}},
    {R"({"type": "Strip", "content": "_", "start": 0, "stop": 2})",
     {{{"a___", "_b_"}, "a__b"}, {{"___"}, "_"}}},
    {R"({"type": "Strip", "content": "x", "start": 2, "stop": 1})",
     {{{"xxxaxx", "xxxx"}, "xaxx"}}},
    // Llama's steps.
    {R"({"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})",
     {{{"▁Hi", "▁", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>", "!"}, "Hi 😀!"},
      {{"a"}, "a"},
      {{"▁▁b"}, " b"}}},
};

StatusOr<std::string> decodeAll(const Decoder &decoder,
                                const std::vector<std::string> &tokens,
                                bool isStream) {
  DecodeChain chain = decoder.start(isStream);
  std::string text;
  for (const std::string &token : tokens) {
    CLADE_RETURN_IF_ERROR(chain.push(token));
    text += chain.take();
  }
  CLADE_RETURN_IF_ERROR(chain.finish());
  return text + chain.take();
}

TEST(Decoder, GivesWhatTheLibraryGives) {
  for (const Group &group : groups) {
    nlohmann::json json = nlohmann::json::parse(group.json);
    auto decoder = Decoder::create(JsonView(&json, "decoder"));
    ASSERT_TRUE(decoder.ok())
        << group.json << ": " << decoder.status().message();
    for (const auto &[tokens, expected] : group.cases) {
      auto text = decodeAll(*decoder, tokens, /*isStream=*/false);
      ASSERT_TRUE(text.ok()) << text.status().message();
      EXPECT_EQ(*text, expected)
          << group.json << " of " << testing::PrintToString(tokens);
    }
  }
}

} // namespace
