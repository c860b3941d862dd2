//===- fuzz_image.cpp - Fuzz image files and how they are processed -------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An input that begins with '{' is a preprocessor_config.json, and again the
// "image_processor" of a processor_config.json; what loads must process small
// images without harm, into tensors of the size that their shape says. Any
// other input is an image file.
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/Orientation.h"
#include "runtime/Image/Processor.h"
#include "runtime/Image/Resample.h"

#include <cstdlib>

using namespace clade::rt;

static void check(bool condition) {
  if (!condition)
    std::abort();
}

static void checkPixels(const Image &image) {
  check(image.width > 0 && image.height > 0 &&
        image.width <= maxImagePixels / image.height &&
        image.pixels.size() ==
            static_cast<size_t>(image.width * image.height * image.channels));
}

/// Larger images are right, and slow.
static constexpr int64_t maxPixels = 1 << 20;

static void useImage(ByteSpan bytes) {
  (void)readOrientation(bytes);
  StatusOr<Image> image = decodeImage(bytes, "input", maxPixels);
  if (!image.ok())
    return check(!image.status().message().empty());
  checkPixels(*image);
  int orientation = readOrientation(bytes);
  check(orientation >= 1 && orientation <= 8);
  checkPixels(turnUpright(*image, orientation));
  for (AlphaRule rule : {AlphaRule::OverWhite, AlphaRule::Drop}) {
    Image rgb = toRGB(*image, rule);
    checkPixels(rgb);
    for (auto filter : {ResampleFilter::Lanczos, ResampleFilter::Bilinear}) {
      StatusOr<Image> resized = resizeImage(rgb, 5, 9, filter);
      if (resized.ok())
        checkPixels(*resized);
    }
  }
}

static void useConfig(std::string_view image,
                      std::optional<std::string_view> outer) {
  auto processor = outer ? ImageProcessor::fromJson(std::nullopt, *outer)
                         : ImageProcessor::fromJson(image);
  if (!processor.ok())
    return check(!processor.status().message().empty());
  std::vector<Image> images = {{28, 28, 3, {}}, {3, 40, 4, {}}, {1, 1, 3, {}}};
  for (Image &picture : images)
    picture.pixels.resize(
        static_cast<size_t>(picture.width * picture.height * picture.channels));
  for (size_t count = 1; count <= images.size(); ++count) {
    StatusOr<ImageInputs> inputs =
        (*processor)->process(std::span(images).first(count), maxPixels);
    if (!inputs.ok()) {
      check(!inputs.status().message().empty());
      continue;
    }
    for (const StoredTensor &tensor : inputs->tensors()) {
      int64_t elements = 1;
      for (int64_t extent : tensor.shape)
        elements *= extent;
      check(tensor.bytes.size() == static_cast<size_t>(elements) *
                                       (tensor.name == "pixel_values" ? 4 : 8));
    }
    for (size_t i = 0; i < count; ++i)
      (void)(*processor)->placeholders(*inputs, i);
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  if (!text.starts_with("{")) {
    useImage(std::as_bytes(std::span(data, size)));
    return 0;
  }
  useConfig(text, std::nullopt);
  useConfig("", "{\"image_processor\":" + std::string(text) + "}");
  return 0;
}
