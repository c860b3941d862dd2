//===- DecodeJPEG.cpp - JPEG by libjpeg-turbo -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The library's own defaults (accurate integer transform, smooth upsampling),
// as in Pillow. A file that ends before its last row is an error; damage that
// the library can decode around is not.
//
// libjpeg reports errors by longjmp, which runs no destructors: a function that
// calls setjmp owns nothing that needs one, everything lies in the JPEGReader.
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/Decoders.h"

#include <csetjmp>
// jpeglib.h uses FILE and size_t without including them.
#include <cstddef>
#include <cstdio>
#include <jpeglib.h>

using namespace clade::rt;

namespace {

class JPEGReader {
public:
  explicit JPEGReader(ByteSpan bytes);
  JPEGReader(const JPEGReader &) = delete;
  JPEGReader &operator=(const JPEGReader &) = delete;
  ~JPEGReader() { jpeg_destroy_decompress(&info); }

  StatusOr<Image> read(int64_t maxPixels);

private:
  /// A progressive file can ask for any number of passes over all pixels.
  static constexpr int maxScans = 500;

  static JPEGReader &of(j_common_ptr info) {
    return *static_cast<JPEGReader *>(info->client_data);
  }
  [[noreturn]] void fail(const char *text);
  bool start();
  bool readHeader();
  bool readRows();

  jpeg_decompress_struct info = {};
  jpeg_error_mgr errors = {};
  jpeg_source_mgr source = {};
  jpeg_progress_mgr progress = {};
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = "";

  Image image;
  std::vector<uint8_t> row;
};

} // namespace

JPEGReader::JPEGReader(ByteSpan bytes) {
  info.err = jpeg_std_error(&errors);
  info.client_data = this;
  errors.error_exit = [](j_common_ptr info) {
    info->err->format_message(info, of(info).message);
    std::longjmp(of(info).jump, 1);
  };
  errors.output_message = [](j_common_ptr) {};
  source.next_input_byte = reinterpret_cast<const JOCTET *>(bytes.data());
  source.bytes_in_buffer = bytes.size();
  source.init_source = [](j_decompress_ptr) {};
  source.term_source = [](j_decompress_ptr) {};
  source.resync_to_restart = jpeg_resync_to_restart;
  source.fill_input_buffer = [](j_decompress_ptr info) -> boolean {
    of(reinterpret_cast<j_common_ptr>(info)).fail("the file is truncated");
  };
  source.skip_input_data = [](j_decompress_ptr info, long count) {
    if (count <= 0)
      return;
    if (static_cast<size_t>(count) > info->src->bytes_in_buffer)
      of(reinterpret_cast<j_common_ptr>(info)).fail("the file is truncated");
    info->src->next_input_byte += count;
    info->src->bytes_in_buffer -= static_cast<size_t>(count);
  };
  progress.progress_monitor = [](j_common_ptr info) {
    auto *decompress = reinterpret_cast<j_decompress_ptr>(info);
    if (decompress->input_scan_number > maxScans)
      of(info).fail("more than 500 scans");
  };
}

void JPEGReader::fail(const char *text) {
  std::snprintf(message, sizeof(message), "%s", text);
  std::longjmp(jump, 1);
}

bool JPEGReader::start() {
  if (setjmp(jump))
    return false;
  jpeg_create_decompress(&info);
  info.client_data = this;
  info.src = &source;
  info.progress = &progress;
  return true;
}

bool JPEGReader::readHeader() {
  if (setjmp(jump))
    return false;
  jpeg_read_header(&info, TRUE);
  info.out_color_space = info.num_components == 1   ? JCS_GRAYSCALE
                         : info.num_components == 4 ? JCS_CMYK
                                                    : JCS_RGB;
  return true;
}

/// round(x * y / 255).
static int multiply255(int x, int y) {
  int product = x * y + 128;
  return ((product >> 8) + product) >> 8;
}

bool JPEGReader::readRows() {
  if (setjmp(jump))
    return false;
  jpeg_start_decompress(&info);
  if (info.output_width != static_cast<JDIMENSION>(image.width) ||
      info.output_height != static_cast<JDIMENSION>(image.height) ||
      static_cast<size_t>(info.output_components) * info.output_width >
          row.size())
    fail("the size of the picture changes");
  JSAMPROW rows[] = {row.data()};
  uint8_t *out = image.pixels.data();
  while (info.output_scanline < info.output_height) {
    jpeg_read_scanlines(&info, rows, 1);
    const uint8_t *in = row.data();
    for (int64_t x = 0; x < image.width; ++x, in += info.output_components)
      for (int c = 0; c < 3; ++c)
        switch (info.output_components) {
        case 1:
          *out++ = in[0];
          break;
        case 3:
          *out++ = in[c];
          break;
        default:
          // The file has 255 - ink; what is black takes away is in[3].
          *out++ =
              static_cast<uint8_t>(in[3] - multiply255(255 - in[c], in[3]));
        }
  }
  return true;
}

StatusOr<Image> JPEGReader::read(int64_t maxPixels) {
  auto failure = [&] {
    return Status::corruption("JPEG: " + std::string(message));
  };
  if (!start() || !readHeader())
    return failure();
  if (info.num_components != 1 && info.num_components != 3 &&
      info.num_components != 4)
    return Status::unsupported("JPEG: " + std::to_string(info.num_components) +
                               " components, expected 1 (grey), 3 (colour) or "
                               "4 (CMYK)");
  CLADE_ASSIGN_OR_RETURN(
      image, makeImage(info.image_width, info.image_height, 3, maxPixels));
  row.resize(static_cast<size_t>(image.width * info.num_components));
  if (!readRows())
    return failure();
  return std::move(image);
}

StatusOr<Image> clade::rt::decodeJPEG(ByteSpan bytes, int64_t maxPixels) {
  return JPEGReader(bytes).read(maxPixels);
}
