//===- ConvertQuantised.h - Linear maps in published codes ------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What `clade convert --to hf --dtype fp8` and `int4` make of linear maps:
//   fp8   E4M3 with an f32 scale for each block of 128 x 128, `weight` and
//         `weight_scale_inv` (DeepSeek-V3; transformers' 'fp8')
//   int4  symmetric integers of four bits with a scale for each 32 values of a
//         row, `weight_packed`, `weight_scale` and `weight_shape`
//         (compressed-tensors' 'pack-quantized')
// Maps of the text model's layers become codes. Routers, whose choices a small
// error may change, the head, embeddings and what sees images stay as they are,
// and so do matrices that no whole blocks fit in.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_CONVERTQUANTISED_H
#define CLADE_TOOLS_CLADE_CONVERTQUANTISED_H

#include "tools/clade/ConvertTensors.h"

namespace clade::driver {

/// Whether `dtype` is that of codes.
bool isOfCodes(llvm::StringRef dtype);

/// Makes codes of the linear maps among `tensors`, those of `model` in the
/// published form; scales of int4 are of type `dtype`. Adds
/// 'quantization_config' to the configuration, and a note about maps that stay.
/// Says so, and false, if none becomes codes.
bool encodeLinearMaps(llvm::StringRef form, import::ImportedModel &model,
                      rt::DType dtype, std::vector<OutputTensor> &tensors,
                      nlohmann::ordered_json &config, ConvertReport &report);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_CONVERTQUANTISED_H
