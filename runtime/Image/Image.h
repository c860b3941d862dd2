//===- Image.h - Pictures as pixels -----------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Decodes PNG, JPEG and WebP to 8-bit RGB or RGBA. Pixels are those of Pillow's
// Image.open(), converted as its convert("RGBA") and convert("RGB") do:
//
//   grey of 1, 2, 4 bits   scaled to 0 … 255, in all three channels
//   grey of 16 bits        clipped: values above 255 become 255
//   palette                its colours; indices beyond it are black
//   16 bits, other forms   the high byte
//   one transparent colour (PNG) alpha 0 where the 8-bit pixel equals the low
//                          bytes of the file's colour, 255 elsewhere
//   CMYK, YCCK (JPEG)      inverted, as Adobe writes it; then per channel
//                          (255 - k) - round(c * (255 - k) / 255)
//   animations             their first frame
//
// Colour profiles and gamma are not applied.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_IMAGE_IMAGE_H
#define CLADE_RUNTIME_IMAGE_IMAGE_H

#include "runtime/Support/MappedFile.h"

#include <cstdint>
#include <vector>

namespace clade::rt {

/// More pixels are taken for a decompression bomb: where Pillow refuses.
inline constexpr int64_t maxImagePixels = 178'956'970;

/// A picture: `pixels` is [height, width, channels] with values 0 … 255.
struct Image {
  int64_t width = 0;
  int64_t height = 0;
  int channels = 3; ///< 3: red, green, blue. 4: also alpha, not premultiplied.
  std::vector<uint8_t> pixels;
};

/// What becomes of transparency in RGB.
enum class AlphaRule {
  OverWhite, ///< The picture lies on white (Pillow's alpha_composite()).
  Drop,      ///< Colours stay as stored (Pillow's convert("RGB")).
};

/// Decodes the image file `bytes`; `name` stands for the path in messages.
/// Unsupported for another format, Corruption for a truncated or damaged file,
/// ResourceExhausted for more than `maxPixels`, before they are allocated. The
/// orientation that cameras note is not applied.
StatusOr<Image> decodeImage(ByteSpan bytes, const std::string &name,
                            int64_t maxPixels = maxImagePixels);

/// Decodes a file to what the published processors make of a path
/// (load_image() of transformers): upright (see Orientation.h), RGB, colours as
/// stored under transparency. Errors are also those of MappedFile::open().
StatusOr<Image> loadImage(const std::string &path);

/// The same picture with three channels.
Image toRGB(Image image, AlphaRule rule);

} // namespace clade::rt

#endif // CLADE_RUNTIME_IMAGE_IMAGE_H
