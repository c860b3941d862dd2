//===- Hash.cpp - The hash that artifacts use -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The library's header is compiled in here: nothing to link with.
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/Hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

std::string clade::rt::hashOf(std::string_view content) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical,
                           XXH3_128bits(content.data(), content.size()));
  static const char digits[] = "0123456789abcdef";
  std::string text;
  for (unsigned char byte : canonical.digest) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}
