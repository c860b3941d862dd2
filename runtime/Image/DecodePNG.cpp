//===- DecodePNG.cpp - PNG by libpng --------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// libpng unpacks rows of 1, 2 and 4 bits to bytes; what samples become is
// decided here, since it must be what Pillow makes of them.
//
// libpng reports errors by longjmp, which runs no destructors: a function that
// calls setjmp owns nothing that needs one, everything lies in the PNGReader.
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/Decoders.h"

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <png.h>

using namespace clade::rt;

namespace {

class PNGReader {
public:
  PNGReader(ByteSpan bytes, int64_t maxPixels)
      : rest(bytes), maxPixels(maxPixels) {}
  PNGReader(const PNGReader &) = delete;
  PNGReader &operator=(const PNGReader &) = delete;
  ~PNGReader() { png_destroy_read_struct(&png, &info, nullptr); }

  StatusOr<Image> read();

private:
  static void onRead(png_structp png, png_bytep out, size_t size);
  [[noreturn]] static void onError(png_structp png, png_const_charp text);
  static void onWarning(png_structp, png_const_charp) {}

  bool start();
  bool readHeader();
  bool readPixels();
  void readTransparency();
  void convertRow(const uint8_t *row, uint8_t *out) const;
  void convertGrey(const uint8_t *row, uint8_t *out) const;
  Status failure() const { return Status::corruption("PNG: " + message); }

  ByteSpan rest;
  int64_t maxPixels;
  std::string message;
  png_structp png = nullptr;
  png_infop info = nullptr;

  int depth = 0; ///< Bits of a sample in the file.
  int type = 0;  ///< PNG_COLOR_TYPE_….
  bool interlaced = false;
  /// The colours of a palette, as RGBA. Beyond its end they are black.
  uint8_t palette[256][4] = {};
  /// The colour that is transparent, where there is one.
  bool hasKey = false;
  uint8_t key[3] = {};

  Image image;
  std::vector<uint8_t> raw; ///< A row, or all rows of an interlaced file.
  std::vector<png_bytep> rows;
};

} // namespace

void PNGReader::onRead(png_structp png, png_bytep out, size_t size) {
  auto *self = static_cast<PNGReader *>(png_get_io_ptr(png));
  if (size > self->rest.size())
    png_error(png, "the file is truncated");
  std::memcpy(out, self->rest.data(), size);
  self->rest = self->rest.subspan(size);
}

void PNGReader::onError(png_structp png, png_const_charp text) {
  static_cast<PNGReader *>(png_get_error_ptr(png))->message = text;
  png_longjmp(png, 1);
}

bool PNGReader::start() {
  png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, onError, onWarning);
  if (!png)
    return false;
  if (setjmp(png_jmpbuf(png)))
    return false;
  info = png_create_info_struct(png);
  if (!info)
    png_error(png, "out of memory");
  png_set_read_fn(png, this, onRead);
  // The number of pixels is limited instead.
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  // Texts and profiles, compressed or not, say nothing about pixels.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  return true;
}

bool PNGReader::readHeader() {
  if (setjmp(png_jmpbuf(png)))
    return false;
  png_read_info(png, info);
  depth = png_get_bit_depth(png, info);
  type = png_get_color_type(png, info);
  interlaced = png_get_interlace_type(png, info) != PNG_INTERLACE_NONE;
  if (type == PNG_COLOR_TYPE_PALETTE) {
    png_colorp colours = nullptr;
    int count = 0;
    png_get_PLTE(png, info, &colours, &count);
    for (int i = 0; i < 256; ++i)
      palette[i][3] = 255;
    for (int i = 0; i < std::min(count, 256); ++i) {
      palette[i][0] = colours[i].red;
      palette[i][1] = colours[i].green;
      palette[i][2] = colours[i].blue;
    }
  }
  readTransparency();
  png_set_packing(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  return true;
}

void PNGReader::readTransparency() {
  png_bytep alphas = nullptr;
  int count = 0;
  png_color_16p colour = nullptr;
  if (!png_get_tRNS(png, info, &alphas, &count, &colour))
    return;
  if (type == PNG_COLOR_TYPE_PALETTE) {
    hasKey = true;
    for (int i = 0; alphas && i < std::min(count, 256); ++i)
      palette[i][3] = alphas[i];
    return;
  }
  if (!colour)
    return;
  hasKey = true;
  if (type == PNG_COLOR_TYPE_GRAY) {
    int value = depth == 1 ? (colour->gray ? 255 : 0) : colour->gray & 255;
    std::fill_n(key, 3, static_cast<uint8_t>(value));
    return;
  }
  key[0] = static_cast<uint8_t>(colour->red);
  key[1] = static_cast<uint8_t>(colour->green);
  key[2] = static_cast<uint8_t>(colour->blue);
}

/// One value for each pixel, as grey of 8 bits.
void PNGReader::convertGrey(const uint8_t *row, uint8_t *out) const {
  int scale = depth < 8 ? 255 / ((1 << depth) - 1) : 1;
  for (int64_t x = 0; x < image.width; ++x, out += image.channels) {
    int value =
        depth == 16 ? (row[2 * x] ? 255 : row[2 * x + 1]) : row[x] * scale;
    std::fill_n(out, 3, static_cast<uint8_t>(value));
  }
}

void PNGReader::convertRow(const uint8_t *row, uint8_t *out) const {
  int step = depth == 16 ? 2 : 1;
  switch (type) {
  case PNG_COLOR_TYPE_PALETTE:
    for (int64_t x = 0; x < image.width; ++x)
      std::copy_n(palette[row[x]], image.channels, out + x * image.channels);
    return;
  case PNG_COLOR_TYPE_GRAY:
    convertGrey(row, out);
    break;
  case PNG_COLOR_TYPE_GRAY_ALPHA:
    for (int64_t x = 0; x < image.width; ++x, row += 2 * step) {
      std::fill_n(out + x * 4, 3, row[0]);
      out[x * 4 + 3] = row[step];
    }
    return;
  case PNG_COLOR_TYPE_RGB_ALPHA:
    for (int64_t i = 0; i < image.width * 4; ++i)
      out[i] = row[i * step];
    return;
  default:
    for (int64_t x = 0; x < image.width; ++x)
      for (int c = 0; c < 3; ++c)
        out[x * image.channels + c] = row[(x * 3 + c) * step];
  }
  if (hasKey)
    for (int64_t x = 0; x < image.width; ++x)
      out[x * 4 + 3] = std::equal(key, key + 3, out + x * 4) ? 0 : 255;
}

bool PNGReader::readPixels() {
  if (setjmp(png_jmpbuf(png)))
    return false;
  auto line = static_cast<size_t>(image.width * image.channels);
  if (interlaced) {
    png_read_image(png, rows.data());
    for (size_t y = 0; y < rows.size(); ++y)
      convertRow(rows[y], image.pixels.data() + y * line);
    return true;
  }
  for (size_t y = 0; y < static_cast<size_t>(image.height); ++y) {
    png_read_row(png, raw.data(), nullptr);
    convertRow(raw.data(), image.pixels.data() + y * line);
  }
  return true;
}

StatusOr<Image> PNGReader::read() {
  if (!start())
    return png ? failure()
               : Status::resourceExhausted("PNG: libpng cannot start");
  if (!readHeader())
    return failure();
  bool hasAlpha = hasKey || (type & PNG_COLOR_MASK_ALPHA) != 0;
  CLADE_ASSIGN_OR_RETURN(image, makeImage(png_get_image_width(png, info),
                                          png_get_image_height(png, info),
                                          hasAlpha ? 4 : 3, maxPixels));
  size_t rowBytes = png_get_rowbytes(png, info);
  size_t rowCount = interlaced ? static_cast<size_t>(image.height) : 1;
  raw.resize(rowBytes * rowCount);
  for (size_t y = 0; y < rowCount; ++y)
    rows.push_back(raw.data() + y * rowBytes);
  if (!readPixels())
    return failure();
  return std::move(image);
}

StatusOr<Image> clade::rt::decodePNG(ByteSpan bytes, int64_t maxPixels) {
  return PNGReader(bytes, maxPixels).read();
}
