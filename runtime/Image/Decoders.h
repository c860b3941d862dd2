//===- Decoders.h - One decoder for each format -----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What Decode.cpp chooses from. Messages do not name the file; it does.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_IMAGE_DECODERS_H
#define CLADE_RUNTIME_IMAGE_DECODERS_H

#include "runtime/Image/Image.h"

namespace clade::rt {

StatusOr<Image> decodePNG(ByteSpan bytes, int64_t maxPixels);
StatusOr<Image> decodeJPEG(ByteSpan bytes, int64_t maxPixels);
StatusOr<Image> decodeWebP(ByteSpan bytes, int64_t maxPixels);

/// An image of that size whose pixels are zero; ResourceExhausted for more than
/// `maxPixels`. Called before anything of the image's size is allocated.
StatusOr<Image> makeImage(int64_t width, int64_t height, int channels,
                          int64_t maxPixels = maxImagePixels);

} // namespace clade::rt

#endif // CLADE_RUNTIME_IMAGE_DECODERS_H
