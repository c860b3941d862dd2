//===- Dequantize.h - Stored elements to f32 --------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Decodes whole blocks of any element type to f32. The block formulas are those
// of ggml's dequantize_row_* and equal `gguf.quants.dequantize` bit for bit.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_FORMATS_DEQUANTIZE_H
#define CLADE_RUNTIME_FORMATS_DEQUANTIZE_H

#include "runtime/Formats/DType.h"

#include <cstddef>

namespace clade::rt {

/// Writes `count` elements, a multiple of blockLength(type), to `out`. `data`
/// holds count / blockLength(type) blocks, at any alignment. Plain types are
/// converted (f64 and wide integers round to nearest even). Never fails.
void decodeToF32(DType type, const std::byte *data, int64_t count, float *out);

/// Rounds `count` f32 values to `type` (F32, F16 or BF16) at `out`.
void encodeFromF32(DType type, const float *values, int64_t count,
                   std::byte *out);

} // namespace clade::rt

#endif // CLADE_RUNTIME_FORMATS_DEQUANTIZE_H
