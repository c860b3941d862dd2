//===- fuzz_tokenizer.cpp - Fuzz tokenizer.json files ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The input is the text of a tokenizer.json. What loads must encode and decode
// without harm, and a stream must give valid UTF-8.
//
//===----------------------------------------------------------------------===//

#include "runtime/Tokenizer/Tokenizer.h"
#include "runtime/Tokenizer/Unicode.h"

#include <cstdint>
#include <cstdlib>

using namespace clade::rt;

static void decodeStream(const Tokenizer &tokenizer,
                         const std::vector<int32_t> &ids) {
  StreamDecoder stream(tokenizer, /*skipSpecialTokens=*/false);
  for (int32_t id : ids) {
    StatusOr<std::string> part = stream.push(id);
    if (!part.ok())
      return;
    if (!isValidUTF8(*part))
      std::abort();
  }
  StatusOr<std::string> rest = stream.finish();
  if (rest.ok() && !isValidUTF8(*rest))
    std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view json(reinterpret_cast<const char *>(data), size);
  auto tokenizer = Tokenizer::fromJson(json, "input");
  if (!tokenizer.ok()) {
    if (tokenizer.status().message().empty())
      std::abort();
    return 0;
  }
  for (std::string_view text : {"Hello, world! it's 42\n\n",
                                " \xE6\x97\xA5\xE6\x9C\xAC e\xCC\x81 <s>[CLS] ",
                                "ab\xFF\xE2\x82 \xE2\x96\x81x"}) {
    StatusOr<std::vector<int32_t>> ids = (*tokenizer)->encode(text);
    if (!ids.ok())
      continue;
    StatusOr<std::string> decoded = (*tokenizer)->decode(*ids);
    if (decoded.ok() && !isValidUTF8(*decoded))
      std::abort();
    decodeStream(**tokenizer, *ids);
  }
  std::vector<int32_t> all = {-1, 1 << 30};
  for (int32_t id = 0; id < (*tokenizer)->vocabularySize() && id < 64; ++id)
    all.push_back(id);
  decodeStream(**tokenizer, all);
  return 0;
}
