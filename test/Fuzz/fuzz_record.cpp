//===- fuzz_record.cpp - Arbitrary bytes as a record ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Whatever is accepted as published values has a row for each token.
//
//===----------------------------------------------------------------------===//

#include "tools/clade/PublishedRecord.h"

#include <cstdlib>

using namespace clade;
using namespace clade::driver;

static void require(bool condition) {
  if (!condition)
    std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  auto record = PublishedRecord::parse(
      {reinterpret_cast<const std::byte *>(data), size}, "f");
  if (!record.ok())
    return 0;
  size_t prompt = record->text.prompt.size(),
         rows = prompt + record->text.forced.size();
  require(prompt > 0 && !record->wide.logits.empty() &&
          record->wide.logits.size() % rows == 0);
  require(record->dtype == "f32" ||
          record->narrow.logits.size() == record->wide.logits.size());
  for (const auto &[name, values] : record->wide.modules)
    require(values.size() % prompt == 0);
  require(checkSame(record->checkpoint, record->checkpoint).ok());
  (void)checkText(record->text, 4, false, 2).ok();
  return 0;
}
