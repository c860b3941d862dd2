//===- Resample.h - Resizing as Pillow does ---------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_IMAGE_RESAMPLE_H
#define CLADE_RUNTIME_IMAGE_RESAMPLE_H

#include "runtime/Image/Image.h"

namespace clade::rt {

/// Filters; the numbers are those of Pillow and of `resample` in
/// preprocessor_config.json.
enum class ResampleFilter { Lanczos = 1, Bilinear = 2, Bicubic = 3 };

/// `image` in another size, to the bit what Pillow 13's Image.resize() makes of
/// an RGB image: two passes over 8-bit values with weights of 22 bits, the
/// filter widened when the image shrinks. Rows come before columns unless the
/// height shrinks by more than twice what the width does; earlier Pillow always
/// starts with rows, which moves some values by one. ResourceExhausted when
/// the result exceeds maxImagePixels, or the weights what Pillow allows.
StatusOr<Image> resizeImage(const Image &image, int64_t width, int64_t height,
                            ResampleFilter filter);

} // namespace clade::rt

#endif // CLADE_RUNTIME_IMAGE_RESAMPLE_H
