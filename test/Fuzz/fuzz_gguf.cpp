//===- fuzz_gguf.cpp - Arbitrary bytes as a GGUF file ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads every value in every way, and decodes a block of every tensor.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Dequantize.h"
#include "runtime/Formats/GGUF.h"

#include <cstdlib>

using namespace clade::rt;

namespace {

void readValue(const GGUFValue &value) {
  (void)value.asInt();
  (void)value.asUInt();
  (void)value.asFloat();
  (void)value.asBool();
  (void)value.asString();
  (void)value.asInts();
  (void)value.asFloats();
  (void)value.asBools();
  (void)value.asStrings();
  if (const auto *arrays = value.asArrays())
    for (const GGUFValue &element : *arrays)
      readValue(element);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  ByteSpan image(reinterpret_cast<const std::byte *>(data), size);
  StatusOr<GGUFFile> file = GGUFFile::parse(image, "f");
  if (!file.ok())
    return 0;
  for (const auto &[key, value] : file->metadata()) {
    readValue(value);
    (void)file->getInt(key);
    (void)file->getString(key);
    (void)file->getStrings(key);
  }
  float block[256];
  for (const StoredTensor &tensor : file->tensors())
    if (!tensor.bytes.empty())
      decodeToF32(tensor.dtype, tensor.bytes.data(), blockLength(tensor.dtype),
                  block);
  return 0;
}
