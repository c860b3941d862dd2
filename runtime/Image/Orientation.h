//===- Orientation.h - How a camera was held --------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Cameras store the rows as the sensor gives them and note in the EXIF data how
// the picture is turned. As Pillow's ImageOps.exif_transpose() has it.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_IMAGE_ORIENTATION_H
#define CLADE_RUNTIME_IMAGE_ORIENTATION_H

#include "runtime/Image/Image.h"

namespace clade::rt {

/// The tag Orientation (0x0112) of the EXIF data of a PNG, JPEG or WebP file,
/// 1 … 8 as in TIFF 6.0: which sides of the picture the first row and the first
/// column are. 1, which turns nothing, for a file without it and for EXIF data
/// that cannot be read. EXIF data lie in
///
///   JPEG   the segments APP1 before the first scan that begin "Exif\0\0",
///          joined
///   PNG    the last chunk eXIf
///   WebP   the first chunk EXIF, if the header says that there is one
int readOrientation(ByteSpan file);

/// The picture upright: an image with rows and columns as `orientation` says.
/// Anything but 2 … 8 turns nothing.
Image turnUpright(Image image, int orientation);

} // namespace clade::rt

#endif // CLADE_RUNTIME_IMAGE_ORIENTATION_H
