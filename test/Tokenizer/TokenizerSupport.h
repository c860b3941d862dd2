//===- TokenizerSupport.h - Small tokenizers for tests ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_TOKENIZER_TOKENIZERSUPPORT_H
#define CLADE_TEST_TOKENIZER_TOKENIZERSUPPORT_H

#include "runtime/Tokenizer/Tokenizer.h"

#include <gtest/gtest.h>
#include <map>
#include <string>
#include <vector>

namespace clade::test {

/// A tokenizer.json from the text of its parts; without a part "model" it has a
/// BPE model of a, b, ab and abb.
inline std::string document(std::map<std::string, std::string> parts) {
  if (!parts.contains("model"))
    parts["model"] =
        R"({"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "abb": 3},
            "merges": [["a", "b"], ["ab", "b"]]})";
  std::string text;
  for (const auto &[key, value] : parts)
    text += (text.empty() ? "{\"" : ",\"") + key + "\":" + value;
  return text + "}";
}

/// The tokenizer of a document that is right; null, with a failure, otherwise.
inline std::unique_ptr<rt::Tokenizer> load(const std::string &json) {
  auto tokenizer = rt::Tokenizer::fromJson(json, "test");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  return tokenizer.ok() ? std::move(*tokenizer) : nullptr;
}

/// The whole message of the error of a document, or "" if there is none.
inline std::string loadError(const std::string &json) {
  return rt::Tokenizer::fromJson(json, "f").status().message();
}

inline std::vector<int32_t> encode(const rt::Tokenizer &tokenizer,
                                   std::string_view text) {
  auto ids = tokenizer.encode(text);
  EXPECT_TRUE(ids.ok()) << ids.status().message();
  return ids.ok() ? *ids : std::vector<int32_t>();
}

inline std::string decode(const rt::Tokenizer &tokenizer,
                          const std::vector<int32_t> &ids,
                          bool skipSpecialTokens = true) {
  auto text = tokenizer.decode(ids, skipSpecialTokens);
  EXPECT_TRUE(text.ok()) << text.status().message();
  return text.ok() ? *text : "";
}

using Ids = std::vector<int32_t>;

} // namespace clade::test

#endif // CLADE_TEST_TOKENIZER_TOKENIZERSUPPORT_H
