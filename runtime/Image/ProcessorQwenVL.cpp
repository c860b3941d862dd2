//===- ProcessorQwenVL.cpp - Images for Qwen2-VL to Qwen3-VL --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sides are rounded to multiples of what one token stands for, and scaled so
// that the number of pixels lies within bounds ("smart resize"). Patches that
// are merged into one token follow each other; each is there once for every
// frame that a patch spans.
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/ProcessorParts.h"

#include <algorithm>
#include <cmath>

using namespace clade::rt;
using nlohmann::json;

namespace {

class QwenVLProcessor : public ImageProcessor {
public:
  Status readSettings(ProcessorSource &source);
  StatusOr<ImageInputs> compute(std::span<const Image> images,
                                int64_t maxPixels) const override;
  int64_t tokenCount(const ImageInputs &inputs, size_t image) const override {
    std::span<const int64_t> grid = inputs.sizesOf(image);
    return grid[0] * grid[1] * grid[2] / (merge * merge);
  }
  std::string placeholders(const ImageInputs &inputs,
                           size_t image) const override;

private:
  Status readBounds(ConfigKeys &keys);
  Status findSize(int64_t &height, int64_t &width) const;

  CommonSettings settings;
  int64_t minPixels = 56 * 56, maxPixels = 28 * 28 * 1280;
  int64_t patch = 14, temporal = 2, merge = 2;
};

} // namespace

/// Sets `bound` to what `key`, or one of the keys of "size", says; they must
/// agree.
static Status readBound(ConfigKeys &keys, const char *key, ConfigKeys &size,
                        std::initializer_list<const char *> sizeKeys,
                        int64_t &bound) {
  std::optional<int64_t> found;
  auto take = [&](ConfigKeys &from, const char *name) -> Status {
    if (!from.find(name))
      return Status();
    CLADE_ASSIGN_OR_RETURN(int64_t value, from.count(name, 1));
    if (found && *found != value)
      return from.error(name, std::to_string(value) + " contradicts the " +
                                  std::to_string(*found) + " that 'size' says");
    found = value;
    return Status();
  };
  for (const char *name : sizeKeys)
    CLADE_RETURN_IF_ERROR(take(size, name));
  CLADE_RETURN_IF_ERROR(take(keys, key));
  bound = found.value_or(bound);
  return Status();
}

Status QwenVLProcessor::readBounds(ConfigKeys &keys) {
  CLADE_ASSIGN_OR_RETURN(ConfigKeys size, keys.object("size"));
  CLADE_RETURN_IF_ERROR(readBound(keys, "min_pixels", size,
                                  {"shortest_edge", "min_pixels"}, minPixels));
  CLADE_RETURN_IF_ERROR(readBound(keys, "max_pixels", size,
                                  {"longest_edge", "max_pixels"}, maxPixels));
  CLADE_RETURN_IF_ERROR(size.finish());
  if (minPixels > maxPixels)
    return keys.error("size", "at least " + std::to_string(minPixels) +
                                  " and at most " + std::to_string(maxPixels) +
                                  " pixels contradict each other");
  return Status();
}

Status QwenVLProcessor::readSettings(ProcessorSource &source) {
  CLADE_ASSIGN_OR_RETURN(settings, readCommonSettings(source.image));
  CLADE_RETURN_IF_ERROR(readBounds(source.image));
  CLADE_ASSIGN_OR_RETURN(patch, source.image.count("patch_size", 14));
  CLADE_ASSIGN_OR_RETURN(temporal,
                         source.image.count("temporal_patch_size", 2));
  CLADE_ASSIGN_OR_RETURN(merge, source.image.count("merge_size", 2));
  // Products of sizes stay within 64 bits.
  if (patch > 1 << 14 || merge > 1 << 14 || temporal > 1 << 14)
    return source.image.error("patch_size",
                              "a patch, its frames and what is merged may each "
                              "be at most 16384");
  source.image.ignore({"do_pad"});
  tokens.resize(1);
  CLADE_ASSIGN_OR_RETURN(tokens[0],
                         source.processor.text("image_token", "<|image_pad|>"));
  CLADE_ASSIGN_OR_RETURN(
      before, source.processor.text("vision_start_token", "<|vision_start|>"));
  CLADE_ASSIGN_OR_RETURN(
      after, source.processor.text("vision_end_token", "<|vision_end|>"));
  return Status();
}

/// Rounds half to even, as Python does.
static int64_t roundTo(double value, int64_t factor) {
  return static_cast<int64_t>(std::nearbyint(value / factor)) * factor;
}

/// From the size of an image to the size that it gets.
Status QwenVLProcessor::findSize(int64_t &height, int64_t &width) const {
  auto from = std::to_string(width) + "x" + std::to_string(height);
  int64_t factor = patch * merge;
  if (!settings.resize) {
    if (height % factor || width % factor)
      return Status::invalidArgument(
          "an image of " + from + " pixels is not made of blocks of " +
          std::to_string(factor) +
          " pixels, and 'do_resize' of preprocessor_config.json is false");
    return Status();
  }
  auto high = static_cast<double>(height), wide = static_cast<double>(width);
  if (std::max(high, wide) / std::min(high, wide) > 200)
    return Status::invalidArgument(
        "an image of " + from +
        " pixels is too narrow: one side may be 200 times the other at most");
  height = roundTo(high, factor);
  width = roundTo(wide, factor);
  if (height * width > maxPixels) {
    double beta = std::sqrt(high * wide / maxPixels);
    auto fit = [&](double side) {
      auto count = static_cast<int64_t>(std::floor(side / beta / factor));
      return std::max(factor, count * factor);
    };
    height = fit(high);
    width = fit(wide);
  } else if (height * width < minPixels) {
    double beta = std::sqrt(minPixels / (high * wide));
    auto fit = [&](double side) {
      return static_cast<int64_t>(std::ceil(side * beta / factor)) * factor;
    };
    height = fit(high);
    width = fit(wide);
  }
  return Status();
}

StatusOr<ImageInputs> QwenVLProcessor::compute(std::span<const Image> images,
                                               int64_t maxPixels) const {
  ImageInputs inputs;
  inputs.sizesName = "image_grid_thw";
  int64_t block = patch * merge, patches = 0;
  for (const Image &original : images) {
    int64_t height = original.height, width = original.width;
    CLADE_RETURN_IF_ERROR(findSize(height, width));
    CLADE_RETURN_IF_ERROR(
        growPixels(inputs.pixelValues, height * width, temporal, maxPixels));
    CLADE_ASSIGN_OR_RETURN(Image image,
                           resizeImage(toRGB(original, AlphaRule::OverWhite),
                                       width, height, settings.filter));
    for (int64_t y = 0; y < image.height; y += block)
      for (int64_t x = 0; x < image.width; x += block)
        for (int64_t row = y; row < y + block; row += patch)
          for (int64_t column = x; column < x + block; column += patch)
            appendPatch(image, settings.table, column, row, patch, temporal,
                        inputs.pixelValues);
    inputs.sizes.insert(inputs.sizes.end(),
                        {1, image.height / patch, image.width / patch});
    patches += image.height / patch * (image.width / patch);
  }
  inputs.imageCount = static_cast<int64_t>(images.size());
  inputs.pixelShape = {patches, 3 * temporal * patch * patch};
  return inputs;
}

std::string QwenVLProcessor::placeholders(const ImageInputs &inputs,
                                          size_t image) const {
  std::string text;
  for (int64_t i = tokenCount(inputs, image); i > 0; --i)
    text += tokens[0];
  return text;
}

StatusOr<std::unique_ptr<ImageProcessor>>
clade::rt::makeQwenVL(ProcessorSource &source) {
  auto processor = std::make_unique<QwenVLProcessor>();
  CLADE_RETURN_IF_ERROR(processor->readSettings(source));
  return std::unique_ptr<ImageProcessor>(std::move(processor));
}
