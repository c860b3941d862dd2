//===- ProcessorKimiK25.cpp - Images for Kimi K2.5 ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From the processor that is published with the checkpoints
// (kimi_k25_vision_processing.py and media_utils.py of
// moonshotai/Kimi-K2.5): images shrink to a limit of patches, in all and along
// a side; black at the right and bottom makes whole tokens. Patches are in rows
// over the whole image.
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/ProcessorParts.h"

#include "runtime/Image/Decoders.h"

#include <algorithm>
#include <cmath>

using namespace clade::rt;

namespace {

/// What patches and sides are counted in may be at most this.
constexpr int64_t most = 1 << 14;

class KimiK25Processor : public ImageProcessor {
public:
  Status readSettings(ProcessorSource &source);
  StatusOr<ImageInputs> compute(std::span<const Image> images,
                                int64_t maxPixels) const override;
  int64_t tokenCount(const ImageInputs &inputs, size_t image) const override {
    std::span<const int64_t> grid = inputs.sizesOf(image);
    return grid[1] * grid[2] / (merge * merge);
  }
  std::string placeholders(const ImageInputs &inputs,
                           size_t image) const override;

private:
  StatusOr<Image> fit(const Image &image, int64_t maxPixels) const;

  PixelTable table;
  int64_t patch = 14, merge = 2, limit = 16384, sideLimit = 512;
};

} // namespace

Status KimiK25Processor::readSettings(ProcessorSource &source) {
  source.image.ignore({"auto_map", "processor_class", "image_processor_type",
                       "feature_extractor_type"});
  CLADE_ASSIGN_OR_RETURN(ConfigKeys keys,
                         source.image.object("media_proc_cfg"));
  CLADE_ASSIGN_OR_RETURN(patch, keys.count("patch_size", 14));
  CLADE_ASSIGN_OR_RETURN(merge, keys.count("merge_kernel_size", 2));
  CLADE_ASSIGN_OR_RETURN(limit, keys.count("in_patch_limit", 16384));
  CLADE_ASSIGN_OR_RETURN(sideLimit, keys.count("patch_limit_on_one_side", 512));
  for (const auto &[key, value] :
       {std::pair("patch_size", patch), std::pair("merge_kernel_size", merge),
        std::pair("patch_limit_on_one_side", sideLimit)})
    if (value > most)
      return keys.error(key, "expected at most " + std::to_string(most));
  if (keys.find("fixed_output_tokens"))
    return Status(
        StatusCode::Unsupported,
        keys.error("fixed_output_tokens", "only null is supported").message());
  constexpr std::array<double, 3> half = {0.5, 0.5, 0.5};
  CLADE_ASSIGN_OR_RETURN(auto mean, keys.colours("image_mean", half));
  CLADE_ASSIGN_OR_RETURN(auto deviation, keys.colours("image_std", half));
  // Of films.
  keys.ignore({"in_patch_limit_each_frame", "in_patch_limit_video",
               "sample_fps", "max_num_frames_each_video",
               "temporal_merge_kernel_size", "timestamp_mode", "config_type"});
  CLADE_RETURN_IF_ERROR(keys.finish());
  // Each step in f64, its result in f32, as numpy does it in place.
  for (int c = 0; c < 3; ++c) {
    if (deviation[c] == 0)
      return keys.error("image_std", "a standard deviation of 0");
    for (int value = 0; value < 256; ++value) {
      auto scaled = static_cast<float>(value / 255.0);
      auto centred = static_cast<float>(scaled - mean[c]);
      table[c][value] = static_cast<float>(centred * (1.0 / deviation[c]));
    }
  }
  tokens.resize(1);
  CLADE_ASSIGN_OR_RETURN(tokens[0],
                         source.processor.text("image_token", "<|media_pad|>"));
  before = "<|media_begin|>image<|media_content|>";
  after = "<|media_end|>";
  return Status();
}

/// Shrinks an RGB image to the limits and makes whole tokens.
StatusOr<Image> KimiK25Processor::fit(const Image &image,
                                      int64_t maxPixels) const {
  auto width = static_cast<double>(image.width),
       height = static_cast<double>(image.height);
  double patches = std::max(1.0, std::floor(width / patch)) *
                   std::max(1.0, std::floor(height / patch));
  auto longest = static_cast<double>(sideLimit * patch);
  double scale = std::min(
      {1.0, std::sqrt(limit / patches), longest / width, longest / height});
  auto scaled = [&](double side) {
    return std::min<int64_t>(
        std::max<int64_t>(1, static_cast<int64_t>(side * scale)),
        sideLimit * patch);
  };
  int64_t newWidth = scaled(width), newHeight = scaled(height);
  int64_t block = merge * patch;
  int64_t fullWidth = (newWidth + block - 1) / block * block,
          fullHeight = (newHeight + block - 1) / block * block;
  CLADE_RETURN_IF_ERROR(checkPixels(fullWidth * fullHeight, 1, maxPixels));
  CLADE_ASSIGN_OR_RETURN(Image resized, resizeImage(image, newWidth, newHeight,
                                                    ResampleFilter::Bicubic));
  return cutImage(resized, 0, 0, fullWidth, fullHeight);
}

StatusOr<ImageInputs> KimiK25Processor::compute(std::span<const Image> images,
                                                int64_t maxPixels) const {
  ImageInputs inputs;
  inputs.sizesName = "image_grid_thw";
  int64_t patches = 0;
  for (const Image &original : images) {
    CLADE_ASSIGN_OR_RETURN(Image image,
                           fit(toRGB(original, AlphaRule::Drop), maxPixels));
    CLADE_RETURN_IF_ERROR(appendRows(image, table, patch, inputs, maxPixels));
    int64_t rows = image.height / patch, columns = image.width / patch;
    inputs.sizes.insert(inputs.sizes.end(), {1, rows, columns});
    patches += rows * columns;
  }
  inputs.imageCount = static_cast<int64_t>(images.size());
  inputs.pixelShape = {patches, 3, patch, patch};
  return inputs;
}

std::string KimiK25Processor::placeholders(const ImageInputs &inputs,
                                           size_t image) const {
  return repeated(tokens[0], tokenCount(inputs, image));
}

StatusOr<std::unique_ptr<ImageProcessor>>
clade::rt::makeKimiK25(ProcessorSource &source) {
  auto processor = std::make_unique<KimiK25Processor>();
  CLADE_RETURN_IF_ERROR(processor->readSettings(source));
  return std::unique_ptr<ImageProcessor>(std::move(processor));
}
