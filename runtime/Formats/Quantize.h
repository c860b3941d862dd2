//===- Quantize.h - f32 to block types --------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The inverse of Dequantize.h for the block types that are written. Which codes
// and scales stand for a block is part of no format; these are the choices of
// ggml's quantize_row_*_ref, so that a file has the error that is expected of
// its type.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_FORMATS_QUANTIZE_H
#define CLADE_RUNTIME_FORMATS_QUANTIZE_H

#include "runtime/Formats/DType.h"

#include <cstddef>

namespace clade::rt {

/// Q8_0, Q4_0, Q4_K, Q6_K and Q8_ROW.
bool canQuantize(DType type);

/// Writes `count` finite elements, a multiple of blockLength(type), as blocks.
/// Of Q8_ROW they are a row.
void quantizeFromF32(DType type, const float *values, int64_t count,
                     std::byte *out);

} // namespace clade::rt

#endif // CLADE_RUNTIME_FORMATS_QUANTIZE_H
