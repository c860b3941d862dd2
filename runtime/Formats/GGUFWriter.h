//===- GGUFWriter.h - Writing a GGUF file -----------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Metadata and the places of tensors, GGUF version 3. Whoever writes a file
// puts the tensors at their places.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_FORMATS_GGUFWRITER_H
#define CLADE_RUNTIME_FORMATS_GGUFWRITER_H

#include "runtime/Formats/Safetensors.h"

#include <variant>

namespace clade::rt {

/// A value of metadata, written with the type of the alternative.
using GGUFEntryValue =
    std::variant<uint32_t, float, bool, std::string, std::vector<std::string>,
                 std::vector<float>, std::vector<int32_t>>;

struct GGUFEntry {
  std::string key;
  GGUFEntryValue value;
};

/// What a file is before its data.
struct GGUFLayout {
  std::string header;
  std::vector<int64_t> offsets; ///< Of each tensor, in the file.
  int64_t bytes = 0;            ///< Of the whole file.
};

/// The layout of a file; of `tensors` the bytes are not looked at. Shapes are
/// in PyTorch's order. InvalidArgument for two entries or tensors of one name,
/// more than four dimensions, and a type that GGUF lacks.
StatusOr<GGUFLayout> layOutGGUF(std::span<const GGUFEntry> metadata,
                                std::span<const StoredTensor> tensors);

} // namespace clade::rt

#endif // CLADE_RUNTIME_FORMATS_GGUFWRITER_H
