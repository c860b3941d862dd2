//===- ProcessorPixtral.cpp - Images for Pixtral and Mistral 3 ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An image that exceeds the largest size is scaled down to it, both sides are
// rounded up to whole patches, and the image is stretched to that. A patch is
// here what one token stands for: patches of the model times those it merges.
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/ProcessorParts.h"

#include <algorithm>
#include <cmath>

using namespace clade::rt;
using nlohmann::json;

namespace {

class PixtralProcessor : public ImageProcessor {
public:
  Status readSettings(ProcessorSource &source);
  StatusOr<ImageInputs> compute(std::span<const Image> images,
                                int64_t maxPixels) const override;
  int64_t tokenCount(const ImageInputs &inputs, size_t image) const override {
    std::span<const int64_t> size = inputs.sizesOf(image);
    return size[0] / patchHeight * (size[1] / patchWidth + 1);
  }
  std::string placeholders(const ImageInputs &inputs,
                           size_t image) const override;

private:
  Status readSize(ConfigKeys &keys);
  Status readPatch(ProcessorSource &source);
  Status findSize(int64_t &height, int64_t &width) const;

  CommonSettings settings;
  bool pad = true;
  int64_t maxHeight = 1024, maxWidth = 1024;
  int64_t patchHeight = 16, patchWidth = 16;
};

} // namespace

Status PixtralProcessor::readSize(ConfigKeys &keys) {
  const json *value = keys.find("size");
  if (!value)
    return Status();
  if (value->is_number()) {
    CLADE_ASSIGN_OR_RETURN(maxHeight, keys.count("size", 1));
    maxWidth = maxHeight;
    return Status();
  }
  CLADE_ASSIGN_OR_RETURN(ConfigKeys size, keys.object("size"));
  bool hasEdge = size.find("longest_edge") != nullptr;
  bool hasSides = size.find("height") && size.find("width");
  if (hasEdge == hasSides)
    return keys.error("size", "expected either 'longest_edge' or both 'height' "
                              "and 'width'");
  CLADE_ASSIGN_OR_RETURN(maxHeight,
                         size.count(hasEdge ? "longest_edge" : "height", 1));
  CLADE_ASSIGN_OR_RETURN(maxWidth,
                         size.count(hasEdge ? "longest_edge" : "width", 1));
  return size.finish();
}

/// Where there is a processor_config.json, its patch counts, as published
/// processors hand it to the image processor.
Status PixtralProcessor::readPatch(ProcessorSource &source) {
  const json *value = source.image.find("patch_size");
  if (value && value->is_number()) {
    CLADE_ASSIGN_OR_RETURN(patchHeight, source.image.count("patch_size", 16));
    patchWidth = patchHeight;
  } else if (value) {
    CLADE_ASSIGN_OR_RETURN(ConfigKeys patch, source.image.object("patch_size"));
    CLADE_ASSIGN_OR_RETURN(patchHeight, patch.count("height", 16));
    CLADE_ASSIGN_OR_RETURN(patchWidth, patch.count("width", 16));
    CLADE_RETURN_IF_ERROR(patch.finish());
  }
  CLADE_ASSIGN_OR_RETURN(int64_t patch,
                         source.processor.count("patch_size", 16));
  CLADE_ASSIGN_OR_RETURN(int64_t merge,
                         source.processor.count("spatial_merge_size", 1));
  if (source.hasProcessor)
    patchHeight = patchWidth = patch * merge;
  return Status();
}

Status PixtralProcessor::readSettings(ProcessorSource &source) {
  CLADE_ASSIGN_OR_RETURN(settings, readCommonSettings(source.image));
  CLADE_RETURN_IF_ERROR(readSize(source.image));
  CLADE_RETURN_IF_ERROR(readPatch(source));
  CLADE_ASSIGN_OR_RETURN(pad, source.image.flag("do_pad", true));
  tokens.resize(3);
  CLADE_ASSIGN_OR_RETURN(tokens[0],
                         source.processor.text("image_token", "[IMG]"));
  CLADE_ASSIGN_OR_RETURN(
      tokens[1], source.processor.text("image_break_token", "[IMG_BREAK]"));
  CLADE_ASSIGN_OR_RETURN(tokens[2],
                         source.processor.text("image_end_token", "[IMG_END]"));
  return Status();
}

/// From the size of an image to the size that it gets.
Status PixtralProcessor::findSize(int64_t &height, int64_t &width) const {
  if (!settings.resize)
    return Status();
  auto from = std::to_string(width) + "x" + std::to_string(height);
  double ratio = std::max(static_cast<double>(height) / maxHeight,
                          static_cast<double>(width) / maxWidth);
  if (ratio > 1) {
    height = static_cast<int64_t>(std::floor(height / ratio));
    width = static_cast<int64_t>(std::floor(width / ratio));
  }
  if (height < 1 || width < 1)
    return Status::invalidArgument(
        "an image of " + from +
        " pixels is too narrow: scaled to the largest size, nothing is left");
  height = ((height - 1) / patchHeight + 1) * patchHeight;
  width = ((width - 1) / patchWidth + 1) * patchWidth;
  // Each side, so that their product has a value.
  return checkPixels(std::max(height, width), 1, maxImagePixels);
}

StatusOr<ImageInputs> PixtralProcessor::compute(std::span<const Image> images,
                                                int64_t maxPixels) const {
  ImageInputs inputs;
  inputs.sizesName = "image_sizes";
  inputs.imageCount = static_cast<int64_t>(images.size());
  int64_t most[2] = {0, 0};
  for (const Image &image : images) {
    int64_t size[2] = {image.height, image.width};
    CLADE_RETURN_IF_ERROR(findSize(size[0], size[1]));
    if (!pad && most[0] && !std::equal(size, size + 2, most))
      return Status::invalidArgument("images of different sizes, which "
                                     "'do_pad' of preprocessor_config.json "
                                     "forbids to pad");
    for (int side = 0; side < 2; ++side)
      most[side] = std::max(most[side], size[side]);
    inputs.sizes.insert(inputs.sizes.end(), size, size + 2);
  }
  inputs.pixelShape = {inputs.imageCount, 3, most[0], most[1]};
  CLADE_RETURN_IF_ERROR(
      checkPixels(most[0] * most[1], inputs.imageCount, maxPixels));
  inputs.pixelValues.reserve(
      static_cast<size_t>(most[0] * most[1] * inputs.imageCount * 3));
  for (size_t i = 0; i < images.size(); ++i) {
    std::span<const int64_t> size = inputs.sizesOf(i);
    CLADE_ASSIGN_OR_RETURN(Image image,
                           resizeImage(toRGB(images[i], AlphaRule::OverWhite),
                                       size[1], size[0], settings.filter));
    for (int c = 0; c < 3; ++c)
      for (int64_t y = 0; y < most[0]; ++y)
        for (int64_t x = 0; x < most[1]; ++x)
          inputs.pixelValues.push_back(
              y < image.height && x < image.width
                  ? settings.table[c][image.pixels[static_cast<size_t>(
                        (y * image.width + x) * 3 + c)]]
                  : 0.0f);
  }
  return inputs;
}

std::string PixtralProcessor::placeholders(const ImageInputs &inputs,
                                           size_t image) const {
  std::span<const int64_t> size = inputs.sizesOf(image);
  std::string text;
  int64_t rows = size[0] / patchHeight;
  for (int64_t y = 0; y < rows; ++y) {
    for (int64_t x = 0; x < size[1] / patchWidth; ++x)
      text += tokens[0];
    text += tokens[y + 1 < rows ? 1 : 2];
  }
  return text;
}

StatusOr<std::unique_ptr<ImageProcessor>>
clade::rt::makePixtral(ProcessorSource &source) {
  auto processor = std::make_unique<PixtralProcessor>();
  CLADE_RETURN_IF_ERROR(processor->readSettings(source));
  return std::unique_ptr<ImageProcessor>(std::move(processor));
}
