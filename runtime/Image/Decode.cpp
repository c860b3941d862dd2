//===- Decode.cpp - Image files to RGB ------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/Decoders.h"
#include "runtime/Image/Orientation.h"
#include "runtime/Support/Text.h"

#include <string_view>

using namespace clade::rt;

StatusOr<Image> clade::rt::makeImage(int64_t width, int64_t height,
                                     int channels, int64_t maxPixels) {
  if (width < 1 || height < 1)
    return Status::corruption("an image of " + std::to_string(width) + "x" +
                              std::to_string(height) + " pixels");
  if (width > maxPixels / height)
    return Status::resourceExhausted(
        "an image of " + std::to_string(width) + "x" + std::to_string(height) +
        " pixels is more than the limit of " + std::to_string(maxPixels));
  Image image{width, height, channels, {}};
  image.pixels.resize(static_cast<size_t>(width * height * channels));
  return image;
}

static StatusOr<Image> decode(ByteSpan bytes, int64_t maxPixels) {
  std::string_view text(reinterpret_cast<const char *>(bytes.data()),
                        bytes.size());
  if (text.starts_with("\x89PNG\r\n\x1a\n"))
    return decodePNG(bytes, maxPixels);
  if (text.starts_with("\xff\xd8\xff"))
    return decodeJPEG(bytes, maxPixels);
  if (text.starts_with("RIFF") && text.size() >= 12 &&
      text.substr(8, 4) == "WEBP")
    return decodeWebP(bytes, maxPixels);
  return Status::unsupported(
      bytes.empty() ? "the file is empty, expected a PNG, JPEG or WebP image"
                    : "not an image in a known format, expected PNG, JPEG or "
                      "WebP (convert it with another program)");
}

StatusOr<Image> clade::rt::decodeImage(ByteSpan bytes, const std::string &name,
                                       int64_t maxPixels) {
  StatusOr<Image> image = decode(bytes, maxPixels);
  if (!image.ok())
    return image.takeStatus().withContext(quoteName(name));
  return image;
}

StatusOr<Image> clade::rt::loadImage(const std::string &path) {
  CLADE_ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file,
                         MappedFile::open(path));
  CLADE_ASSIGN_OR_RETURN(Image image, decodeImage(file->bytes(), path));
  return turnUpright(toRGB(std::move(image), AlphaRule::Drop),
                     readOrientation(file->bytes()));
}

/// round(x / 255) for 0 <= x <= 255 * 255.
static int divide255(int x) {
  x += 128;
  return ((x >> 8) + x) >> 8;
}

Image clade::rt::toRGB(Image image, AlphaRule rule) {
  if (image.channels == 3)
    return image;
  Image result{image.width, image.height, 3, {}};
  size_t count = static_cast<size_t>(image.width * image.height);
  result.pixels.resize(count * 3);
  const uint8_t *in = image.pixels.data();
  uint8_t *out = result.pixels.data();
  for (size_t i = 0; i < count; ++i, in += 4, out += 3)
    for (int c = 0; c < 3; ++c)
      out[c] = rule == AlphaRule::Drop
                   ? in[c]
                   : static_cast<uint8_t>(
                         divide255(in[c] * in[3] + 255 * (255 - in[3])));
  return result;
}
