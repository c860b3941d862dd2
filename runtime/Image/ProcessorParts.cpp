//===- ProcessorParts.cpp - What processors of images share ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/ProcessorParts.h"

#include "runtime/Image/Decoders.h"

#include <algorithm>

using namespace clade::rt;
using nlohmann::json;

StatusOr<std::array<double, 3>> clade::rt::readDeviation(ConfigKeys &keys) {
  CLADE_ASSIGN_OR_RETURN(auto deviation,
                         keys.colours("image_std", clipDeviation));
  for (double value : deviation)
    if (static_cast<float>(value) == 0)
      return keys.error("image_std", "a standard deviation of 0");
  return deviation;
}

/// The filter's number, by default `fallback`.
static StatusOr<ResampleFilter> readFilter(ConfigKeys &keys) {
  const json *value = keys.find("resample");
  if (!value)
    return ResampleFilter::Bicubic;
  if (value->is_number_unsigned() && *value >= 1 && *value <= 3)
    return static_cast<ResampleFilter>(value->get<int>());
  return keys.error("resample", "expected 1 (Lanczos), 2 (bilinear) or 3 "
                                "(bicubic)");
}

StatusOr<CommonSettings> clade::rt::readCommonSettings(ConfigKeys &keys) {
  CommonSettings settings;
  CLADE_ASSIGN_OR_RETURN(bool convert, keys.flag("do_convert_rgb", true));
  if (!convert)
    return Status(
        StatusCode::Unsupported,
        keys.error("do_convert_rgb", "only true is supported: models take RGB")
            .message());
  CLADE_ASSIGN_OR_RETURN(bool crop, keys.flag("do_center_crop", false));
  if (crop)
    return Status(
        StatusCode::Unsupported,
        keys.error("do_center_crop", "only false is supported").message());
  CLADE_ASSIGN_OR_RETURN(settings.resize, keys.flag("do_resize", true));
  CLADE_ASSIGN_OR_RETURN(settings.filter, readFilter(keys));

  CLADE_ASSIGN_OR_RETURN(bool rescale, keys.flag("do_rescale", true));
  CLADE_ASSIGN_OR_RETURN(double factor,
                         keys.number("rescale_factor", 1.0 / 255));
  CLADE_ASSIGN_OR_RETURN(bool normalise, keys.flag("do_normalize", true));
  CLADE_ASSIGN_OR_RETURN(auto mean, keys.colours("image_mean", clipMean));
  CLADE_ASSIGN_OR_RETURN(auto deviation, readDeviation(keys));
  // Rescaled in f64 and rounded, then normalised in f32.
  for (int c = 0; c < 3; ++c)
    for (int value = 0; value < 256; ++value) {
      auto result = static_cast<float>(rescale ? value * factor : value);
      if (normalise)
        result = (result - static_cast<float>(mean[c])) /
                 static_cast<float>(deviation[c]);
      settings.table[c][value] = result;
    }

  // Names, and settings of what is done elsewhere or not at all.
  keys.ignore({"processor_class", "auto_map", "feature_extractor_type",
               "image_processor_type", "crop_size", "default_to_square",
               "data_format", "input_data_format", "device", "return_tensors",
               "disable_grouping", "pad_size", "_valid_processor_keys",
               "image_seq_length"});
  return settings;
}

Status clade::rt::checkPixels(int64_t pixels, int64_t copies,
                              int64_t maxPixels) {
  if (pixels <= maxPixels / copies)
    return Status();
  return Status::resourceExhausted(
      "the images make more than the limit of " + std::to_string(maxPixels) +
      " pixels; give fewer or smaller images, or a smaller limit in "
      "preprocessor_config.json");
}

Status clade::rt::growPixels(std::vector<float> &values, int64_t pixels,
                             int64_t copies, int64_t maxPixels) {
  CLADE_RETURN_IF_ERROR(checkPixels(pixels, copies, maxPixels));
  int64_t added = pixels * copies;
  CLADE_RETURN_IF_ERROR(checkPixels(
      static_cast<int64_t>(values.size() / 3) + added, 1, maxPixels));
  values.reserve(values.size() + static_cast<size_t>(added * 3));
  return Status();
}

void clade::rt::appendPatch(const Image &image, const PixelTable &table,
                            int64_t x, int64_t y, int64_t patch, int64_t copies,
                            std::vector<float> &values) {
  for (int c = 0; c < 3; ++c)
    for (int64_t copy = 0; copy < copies; ++copy)
      for (int64_t row = y; row < y + patch; ++row) {
        const uint8_t *line =
            image.pixels.data() + (row * image.width + x) * 3 + c;
        for (int64_t i = 0; i < patch; ++i)
          values.push_back(table[c][line[i * 3]]);
      }
}

Status clade::rt::appendRows(const Image &image, const PixelTable &table,
                             int64_t patch, ImageInputs &inputs,
                             int64_t maxPixels) {
  CLADE_RETURN_IF_ERROR(
      growPixels(inputs.pixelValues, image.height * image.width, 1, maxPixels));
  for (int64_t y = 0; y < image.height; y += patch)
    for (int64_t x = 0; x < image.width; x += patch)
      appendPatch(image, table, x, y, patch, 1, inputs.pixelValues);
  return Status();
}

StatusOr<Image> clade::rt::cutImage(const Image &image, int64_t left,
                                    int64_t top, int64_t width,
                                    int64_t height) {
  CLADE_ASSIGN_OR_RETURN(Image result, makeImage(width, height, 3));
  for (int64_t y = 0; y < std::min(height, image.height - top); ++y)
    std::copy_n(image.pixels.data() + ((y + top) * image.width + left) * 3,
                std::min(width, image.width - left) * 3,
                result.pixels.data() + y * width * 3);
  return result;
}

std::string clade::rt::repeated(const std::string &text, int64_t times) {
  std::string result;
  for (; times > 0; --times)
    result += text;
  return result;
}
