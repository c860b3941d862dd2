//===- ProcessorKimiVL.cpp - Images for Kimi-VL ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From the processor that is published with the checkpoints
// (image_processing_kimi_vl.py): images keep their size unless they have more
// patches than a limit; black at the right and bottom, or cutting off what is
// over, makes whole patches. Patches are in rows over the whole image.
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/ProcessorParts.h"

#include "runtime/Image/Decoders.h"

#include <algorithm>
#include <cmath>

using namespace clade::rt;
using nlohmann::json;

namespace {

/// The rows and columns that the model has learned positions for.
constexpr int64_t maxSide = 512;

class KimiVLProcessor : public ImageProcessor {
public:
  Status readSettings(ProcessorSource &source);
  StatusOr<ImageInputs> compute(std::span<const Image> images,
                                int64_t maxPixels) const override;
  int64_t tokenCount(const ImageInputs &inputs, size_t image) const override {
    std::span<const int64_t> grid = inputs.sizesOf(image);
    return grid[0] * grid[1] / (mergeHeight * mergeWidth);
  }
  std::string placeholders(const ImageInputs &inputs,
                           size_t image) const override;

private:
  Status readMerge(ConfigKeys &keys);
  StatusOr<Image> resize(const Image &image) const;
  StatusOr<Image> fit(const Image &image, int64_t maxPixels) const;

  PixelTable table;
  bool pad = false;
  int64_t patch = 14, limit = 4096;
  int64_t mergeHeight = 2, mergeWidth = 2;
};

} // namespace

Status KimiVLProcessor::readMerge(ConfigKeys &keys) {
  const json *value = keys.find("merge_kernel_size");
  if (!value)
    return Status();
  for (size_t i = 0; i < 2; ++i)
    if (!value->is_array() || value->size() != 2 ||
        !(*value)[i].is_number_unsigned() || (*value)[i] < 1 ||
        (*value)[i] > maxSide)
      return keys.error("merge_kernel_size",
                        "expected two integers from 1 to " +
                            std::to_string(maxSide));
  mergeHeight = (*value)[0].get<int64_t>();
  mergeWidth = (*value)[1].get<int64_t>();
  return Status();
}

Status KimiVLProcessor::readSettings(ProcessorSource &source) {
  ConfigKeys &keys = source.image;
  CLADE_ASSIGN_OR_RETURN(patch, keys.count("patch_size", 14));
  if (patch > 1 << 14)
    return keys.error("patch_size", "a patch may be at most 16384");
  CLADE_ASSIGN_OR_RETURN(pad, keys.flag("pad_input", false));
  CLADE_ASSIGN_OR_RETURN(limit, keys.count("in_token_limit", 4096));
  CLADE_RETURN_IF_ERROR(readMerge(keys));
  CLADE_ASSIGN_OR_RETURN(auto mean, keys.colours("image_mean", clipMean));
  CLADE_ASSIGN_OR_RETURN(auto deviation, readDeviation(keys));
  keys.ignore({"auto_map", "processor_class", "image_processor_type",
               "feature_extractor_type", "num_pooled_tokens"});
  for (int c = 0; c < 3; ++c)
    for (int value = 0; value < 256; ++value)
      table[c][value] =
          (static_cast<float>(value) / 255.0f - static_cast<float>(mean[c])) /
          static_cast<float>(deviation[c]);
  tokens.resize(1);
  CLADE_ASSIGN_OR_RETURN(tokens[0],
                         source.processor.text("image_token", "<|media_pad|>"));
  before = "<|media_start|>image<|media_content|>";
  after = "<|media_end|>";
  return Status();
}

StatusOr<Image> KimiVLProcessor::resize(const Image &image) const {
  int64_t patches = image.width / patch * (image.height / patch);
  if (patches <= limit)
    return image;
  double scale = std::sqrt(static_cast<double>(limit) / patches);
  auto width = static_cast<int64_t>(image.width * scale);
  auto height = static_cast<int64_t>(image.height * scale);
  if (width < 1 || height < 1)
    return Status::invalidArgument(
        "an image of " + std::to_string(image.width) + "x" +
        std::to_string(image.height) +
        " pixels is too narrow: scaled to 'in_token_limit' of "
        "preprocessor_config.json, nothing is left");
  return resizeImage(image, width, height, ResampleFilter::Bicubic);
}

/// Makes whole patches, and when padding whole tokens.
StatusOr<Image> KimiVLProcessor::fit(const Image &image,
                                     int64_t maxPixels) const {
  int64_t rows = pad ? mergeHeight * patch : patch;
  int64_t columns = pad ? mergeWidth * patch : patch;
  int64_t height = image.height + (pad ? rows - 1 : 0);
  int64_t width = image.width + (pad ? columns - 1 : 0);
  height -= height % rows;
  width -= width % columns;
  if (height / patch % mergeHeight || width / patch % mergeWidth || !height ||
      !width)
    return Status::invalidArgument(
        "an image of " + std::to_string(image.width) + "x" +
        std::to_string(image.height) +
        " pixels cannot be cut to whole tokens; 'pad_input' of "
        "preprocessor_config.json would fill it up");
  if (height / patch >= maxSide || width / patch >= maxSide)
    return Status::invalidArgument(
        "an image of " + std::to_string(width / patch) + "x" +
        std::to_string(height / patch) +
        " patches: the model has positions for fewer than 512");
  CLADE_RETURN_IF_ERROR(checkPixels(width * height, 1, maxPixels));
  // Halves are rounded to even, as torchvision's center_crop() does.
  auto start = [](int64_t from, int64_t to) {
    return from <= to ? 0
                      : static_cast<int64_t>(std::nearbyint((from - to) / 2.0));
  };
  return cutImage(image, start(image.width, width), start(image.height, height),
                  width, height);
}

StatusOr<ImageInputs> KimiVLProcessor::compute(std::span<const Image> images,
                                               int64_t maxPixels) const {
  ImageInputs inputs;
  inputs.sizesName = "image_grid_hws";
  int64_t patches = 0;
  for (const Image &original : images) {
    CLADE_ASSIGN_OR_RETURN(Image image,
                           resize(toRGB(original, AlphaRule::Drop)));
    CLADE_ASSIGN_OR_RETURN(image, fit(image, maxPixels));
    CLADE_RETURN_IF_ERROR(appendRows(image, table, patch, inputs, maxPixels));
    inputs.sizes.insert(inputs.sizes.end(),
                        {image.height / patch, image.width / patch});
    patches += image.height / patch * (image.width / patch);
  }
  inputs.imageCount = static_cast<int64_t>(images.size());
  inputs.pixelShape = {patches, 3, patch, patch};
  return inputs;
}

std::string KimiVLProcessor::placeholders(const ImageInputs &inputs,
                                          size_t image) const {
  return repeated(tokens[0], tokenCount(inputs, image));
}

StatusOr<std::unique_ptr<ImageProcessor>>
clade::rt::makeKimiVL(ProcessorSource &source) {
  auto processor = std::make_unique<KimiVLProcessor>();
  CLADE_RETURN_IF_ERROR(processor->readSettings(source));
  return std::unique_ptr<ImageProcessor>(std::move(processor));
}
