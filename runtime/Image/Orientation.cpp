//===- Orientation.cpp - How a camera was held ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Files are walked from part to part; a part that goes beyond the end of the
// file ends the walk. EXIF data are a TIFF file without a picture: a header,
// and a directory of entries of 12 bytes (tag, type, count, value).
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/Orientation.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

using namespace clade::rt;

namespace {

constexpr std::string_view exifPrefix("Exif\0\0", 6);

/// The unsigned number in all bytes of `bytes`.
uint32_t number(std::string_view bytes, bool isLittle) {
  uint32_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i)
    value = value << 8 |
            static_cast<uint8_t>(bytes[isLittle ? bytes.size() - 1 - i : i]);
  return value;
}

std::string exifOfJPEG(std::string_view file) {
  std::string exif;
  for (size_t at = 2; at + 2 <= file.size();) {
    if (file[at] != '\xff' || file[at + 1] == '\xff') {
      ++at; // Padding.
      continue;
    }
    auto marker = static_cast<uint8_t>(file[at + 1]);
    at += 2;
    bool isAlone = marker == 0 || marker == 1 || (marker & 0xf8) == 0xd0;
    if (isAlone)
      continue;
    constexpr uint8_t scan = 0xda, end = 0xd9, app1 = 0xe1;
    if (marker == scan || marker == end || file.size() - at < 2)
      break;
    size_t size = number(file.substr(at, 2), /*isLittle=*/false);
    if (size < 2 || size > file.size() - at)
      break;
    std::string_view body = file.substr(at + 2, size - 2);
    if (marker == app1 && body.starts_with(exifPrefix))
      exif += body.substr(exifPrefix.size());
    at += size;
  }
  return exif;
}

std::string exifOfPNG(std::string_view file) {
  std::string exif;
  // Length, name, body, checksum.
  for (size_t at = 8; file.size() - at >= 12;) {
    size_t size = number(file.substr(at, 4), /*isLittle=*/false);
    if (size > file.size() - at - 12)
      break;
    if (file.substr(at + 4, 4) == "eXIf")
      exif = file.substr(at + 8, size);
    at += size + 12;
  }
  return exif;
}

std::string exifOfWebP(std::string_view file) {
  // The first chunk tells which others count.
  constexpr char exifFlag = 8;
  if (file.size() < 21 || file.substr(12, 4) != "VP8X" ||
      !(file[20] & exifFlag))
    return std::string();
  // Name, length, body, and a byte behind an odd length.
  for (size_t at = 12; at <= file.size() && file.size() - at >= 8;) {
    size_t size = number(file.substr(at + 4, 4), /*isLittle=*/true);
    if (size > file.size() - at - 8)
      break;
    if (file.substr(at, 4) == "EXIF")
      return std::string(file.substr(at + 8, size));
    at += 8 + size + size % 2;
  }
  return std::string();
}

/// The first value of an entry of a directory, if it is an integer that lies in
/// the entry itself.
std::optional<uint32_t> valueOf(std::string_view entry, bool isLittle) {
  uint32_t type = number(entry.substr(2, 2), isLittle);
  uint32_t count = number(entry.substr(4, 4), isLittle);
  constexpr uint32_t shorts[] = {3, 8}, longs[] = {4, 9, 13};
  if (std::ranges::find(shorts, type) != std::end(shorts) && count >= 1 &&
      count <= 2)
    return number(entry.substr(8, 2), isLittle);
  if (std::ranges::find(longs, type) != std::end(longs) && count == 1)
    return number(entry.substr(8, 4), isLittle);
  return std::nullopt;
}

int orientationOf(std::string_view exif) {
  while (exif.starts_with(exifPrefix))
    exif.remove_prefix(exifPrefix.size());
  bool isLittle = exif.starts_with(std::string_view("II*\0", 4));
  if (exif.size() < 8 ||
      (!isLittle && !exif.starts_with(std::string_view("MM\0*", 4))))
    return 1;
  size_t at = number(exif.substr(4, 4), isLittle);
  if (at > exif.size() || exif.size() - at < 2)
    return 1;
  constexpr uint32_t orientation = 0x0112;
  uint32_t count = number(exif.substr(at, 2), isLittle);
  at += 2;
  for (; count > 0 && exif.size() - at >= 12; --count, at += 12) {
    std::string_view entry = exif.substr(at, 12);
    if (number(entry.substr(0, 2), isLittle) != orientation)
      continue;
    if (std::optional<uint32_t> value = valueOf(entry, isLittle))
      return *value >= 1 && *value <= 8 ? static_cast<int>(*value) : 1;
  }
  return 1;
}

} // namespace

int clade::rt::readOrientation(ByteSpan file) {
  std::string_view text(reinterpret_cast<const char *>(file.data()),
                        file.size());
  if (text.starts_with("\xff\xd8"))
    return orientationOf(exifOfJPEG(text));
  if (text.starts_with("\x89PNG\r\n\x1a\n"))
    return orientationOf(exifOfPNG(text));
  if (text.starts_with("RIFF") && text.size() >= 12)
    return orientationOf(exifOfWebP(text));
  return 1;
}

Image clade::rt::turnUpright(Image image, int orientation) {
  if (orientation < 2 || orientation > 8)
    return image;
  // From 5 on rows become columns, before sides change places.
  bool swaps = orientation >= 5;
  bool mirrorsX = orientation == 2 || orientation == 3 || orientation == 6 ||
                  orientation == 7;
  bool mirrorsY = orientation == 3 || orientation == 4 || orientation == 7 ||
                  orientation == 8;
  Image result{swaps ? image.height : image.width,
               swaps ? image.width : image.height,
               image.channels,
               {}};
  result.pixels.resize(image.pixels.size());
  auto channels = static_cast<size_t>(image.channels);
  uint8_t *out = result.pixels.data();
  for (int64_t y = 0; y < result.height; ++y)
    for (int64_t x = 0; x < result.width; ++x, out += channels) {
      int64_t column = mirrorsX ? result.width - 1 - x : x;
      int64_t row = mirrorsY ? result.height - 1 - y : y;
      if (swaps)
        std::swap(column, row);
      std::copy_n(image.pixels.data() +
                      static_cast<size_t>(row * image.width + column) *
                          channels,
                  channels, out);
    }
  return result;
}
