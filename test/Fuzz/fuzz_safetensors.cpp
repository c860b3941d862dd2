//===- fuzz_safetensors.cpp - Arbitrary bytes as a safetensors file -------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Whatever is accepted must have spans that lie in the image.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Safetensors.h"

#include <cstdlib>

using namespace clade::rt;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  ByteSpan image(reinterpret_cast<const std::byte *>(data), size);
  StatusOr<SafetensorsFile> file = SafetensorsFile::parse(image, "f");
  if (!file.ok())
    return 0;
  size_t total = 0;
  for (const StoredTensor &tensor : file->tensors()) {
    if (file->find(tensor.name) != &tensor)
      std::abort();
    if (!tensor.bytes.empty() && (tensor.bytes.data() < image.data() ||
                                  &tensor.bytes.back() > &image.back()))
      std::abort();
    total += tensor.bytes.size();
  }
  // The tensors tile the data, so they are smaller than the file together.
  if (total > size)
    std::abort();
  return 0;
}
