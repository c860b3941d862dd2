//===- RandomReads.cpp - Small pieces of large mappings -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/RandomReads.h"

#include <sys/mman.h>

using namespace clade::rt;

static void advise(const MappedFile &file, int advice) {
  ByteSpan bytes = file.bytes();
  if (!bytes.empty())
    (void)::madvise(const_cast<std::byte *>(bytes.data()), bytes.size(),
                    advice);
}

RandomReads::RandomReads(std::vector<std::shared_ptr<const MappedFile>> files)
    : files(std::move(files)) {
  for (const auto &file : this->files)
    advise(*file, MADV_RANDOM);
}

RandomReads::~RandomReads() {
  for (const auto &file : files)
    advise(*file, MADV_NORMAL);
}
