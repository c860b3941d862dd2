//===- GGUFVocabularies.h - Small vocabularies of GGUF files ----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_TOKENIZER_GGUFVOCABULARIES_H
#define CLADE_TEST_TOKENIZER_GGUFVOCABULARIES_H

#include "TokenizerSupport.h"

namespace clade::test {

/// SentencePiece: special tokens, the bytes, some pieces.
inline rt::GGUFVocabulary sentencePiece() {
  rt::GGUFVocabulary v;
  v.model = "llama";
  auto add = [&](std::string token, float score, int32_t type) {
    v.tokens.push_back(std::move(token));
    v.scores.push_back(score);
    v.tokenTypes.push_back(type);
  };
  add("<unk>", 0, 2);
  add("<s>", 0, 3);
  add("</s>", 0, 3);
  static const char digits[] = "0123456789ABCDEF";
  for (int byte = 0; byte < 256; ++byte)
    add(std::string("<0x") + digits[byte / 16] + digits[byte % 16] + ">", 0, 6);
  add("▁", -1, 1);   // 259
  add("a", -2, 1);   // 260
  add("b", -3, 1);   // 261
  add("ab", -10, 1); // 262
  add("▁a", -20, 1); // 263
  add("  ", 0, 4);   // 264
  v.bosId = 1;
  v.eosId = 2;
  v.unknownId = 0;
  return v;
}

/// Byte-level BPE of a, b, the space and what merges give.
inline rt::GGUFVocabulary byteLevel() {
  rt::GGUFVocabulary v;
  v.model = "gpt2";
  v.pre = "gpt-2";
  v.tokens = {"a", "b", "Ġ", "Ġa", "ab", "<|end|>", "1", "2", "12"};
  v.tokenTypes = {1, 1, 1, 1, 1, 3, 1, 1, 1};
  v.merges = {"Ġ a", "a b", "1 2"};
  v.bosId = 5;
  return v;
}

} // namespace clade::test

#endif // CLADE_TEST_TOKENIZER_GGUFVOCABULARIES_H
