//===- GGUFImage.h - GGUF images made piece by piece ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every field can be wrong on purpose. Shapes are in ggml's order here.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_FORMATS_GGUFIMAGE_H
#define CLADE_TEST_FORMATS_GGUFIMAGE_H

#include "test/Formats/TestFiles.h"

namespace clade::rt::test {

inline std::string ggufString(std::string_view text) {
  return number<uint64_t>(text.size()) + std::string(text);
}

struct GGUFImage {
  std::string magic = "GGUF";
  uint32_t version = 3;
  std::string pairs, infos, data;
  uint64_t pairCount = 0, infoCount = 0;
  size_t alignment = 32;

  /// A pair whose value is the raw `bytes` of value type `type`.
  GGUFImage &pair(std::string_view key, uint32_t type,
                  const std::string &bytes) {
    pairs += ggufString(key) + number(type) + bytes;
    ++pairCount;
    return *this;
  }
  GGUFImage &text(std::string_view key, std::string_view value) {
    return pair(key, 8, ggufString(value));
  }
  GGUFImage &u32(std::string_view key, uint32_t value) {
    return pair(key, 4, number(value));
  }
  GGUFImage &info(std::string_view name, const std::vector<uint64_t> &dims,
                  uint32_t type, uint64_t offset) {
    infos += ggufString(name) + number(static_cast<uint32_t>(dims.size()));
    for (uint64_t dim : dims)
      infos += number(dim);
    infos += number(type) + number(offset);
    ++infoCount;
    return *this;
  }

  std::string build() const {
    std::string image = magic + number(version) + number(infoCount) +
                        number(pairCount) + pairs + infos;
    if (!data.empty())
      image.resize((image.size() + alignment - 1) / alignment * alignment);
    return image + data;
  }
};

} // namespace clade::rt::test

#endif // CLADE_TEST_FORMATS_GGUFIMAGE_H
