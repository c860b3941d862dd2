//===- Processor.h - Images as the inputs of a model ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a checkpoint's preprocessor_config.json says about images: resizing,
// rescaling, normalising, the order of patches, and the placeholder tokens that
// stand for an image in a prompt. The tensors are to the bit those of the
// processors of `transformers` that work with Pillow, given opened images:
//
//   PixtralImageProcessor  pixel_values [images, 3, height, width] (padded with
//                          zeros at the bottom and right to the largest),
//                          image_sizes [images, 2] (height, width)
//   Qwen2VLImageProcessor  pixel_values [patches, 3 * temporal * patch *
//   patch],
//                          image_grid_thw [images, 3] in patches
//   KimiVLImageProcessor   pixel_values [patches, 3, patch, patch],
//                          image_grid_hws [images, 2] in patches
//   KimiK25VisionProcessor pixel_values [patches, 3, patch, patch],
//                          image_grid_thw [images, 3] in patches
//
// pixel_values is f32, the others are i64. Transparency lies on white, except
// for Kimi's, which drop it. Those are published with their checkpoints.
// Kimi-VL's resizes before it converts to RGB, here conversion is first, which
// differs for palettes and transparency. Kimi K2.5's calls the grids grid_thws.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_IMAGE_PROCESSOR_H
#define CLADE_RUNTIME_IMAGE_PROCESSOR_H

#include "runtime/Formats/Safetensors.h"
#include "runtime/Image/Image.h"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace clade::rt {

class Tokenizer;

/// The tensors of some images.
struct ImageInputs {
  std::vector<float> pixelValues;
  std::vector<int64_t> pixelShape;
  /// "image_sizes", "image_grid_thw" or "image_grid_hws", and its values
  /// [images, …].
  std::string sizesName;
  std::vector<int64_t> sizes;
  int64_t imageCount = 0;

  /// The sizes of one image.
  std::span<const int64_t> sizesOf(size_t image) const {
    size_t width = sizes.size() / static_cast<size_t>(imageCount);
    return std::span(sizes).subspan(image * width, width);
  }
  /// Both as named tensors, sorted by name, which view this object.
  std::vector<StoredTensor> tensors() const;
};

/// The files of a checkpoint that say how it takes images; it has at least one.
inline constexpr const char *preprocessorFile = "preprocessor_config.json";
inline constexpr const char *processorFile = "processor_config.json";

/// A processor of images, as configured by a checkpoint. Immutable; all methods
/// may be called concurrently.
class ImageProcessor {
public:
  /// Reads processor_config.json and preprocessor_config.json of a checkpoint's
  /// folder; at least one must exist, else NotFound. `hasFile`, if it is given,
  /// says which of them count.
  static StatusOr<std::unique_ptr<ImageProcessor>>
  fromFolder(const std::string &folder,
             const std::function<bool(const std::string &)> &hasFile = {});

  /// The same from the texts of the files. The settings of the image processor
  /// are those of "image_processor" in `processor`, if it is there, else
  /// `preprocessor`. Corruption for malformed or unknown keys and values that
  /// contradict each other, Unsupported for what Clade does not have.
  static StatusOr<std::unique_ptr<ImageProcessor>>
  fromJson(std::optional<std::string_view> preprocessor,
           std::optional<std::string_view> processor = std::nullopt);

  virtual ~ImageProcessor();

  /// The tensors of `images`. InvalidArgument for no images, or one that the
  /// processor's rules leave nothing of; ResourceExhausted for results of more
  /// than `maxPixels` pixels, before they are computed.
  StatusOr<ImageInputs> process(std::span<const Image> images,
                                int64_t maxPixels = maxImagePixels) const;

  /// How many tokens of the prompt stand for an image: its features and, for
  /// Pixtral, the ends of rows.
  virtual int64_t tokenCount(const ImageInputs &inputs, size_t image) const = 0;

  /// The placeholder tokens of an image, as text.
  virtual std::string placeholders(const ImageInputs &inputs,
                                   size_t image) const = 0;

  /// The token that stands for one image before, and for one feature after
  /// expandPrompt(), such as "[IMG]".
  const std::string &imageToken() const { return tokens.front(); }

  /// `prompt` with the n-th image token replaced by the placeholders of image
  /// n. A prompt without image tokens gets all images in front, each within the
  /// tokens that chat templates put around it. InvalidArgument when there are
  /// more or fewer image tokens than images.
  StatusOr<std::string> expandPrompt(std::string_view prompt,
                                     const ImageInputs &inputs) const;

  /// NotFound when the tokenizer lacks one of the tokens of placeholders();
  /// Corruption when its id of the image token is not that of config.json
  /// (`image_token_id`, `image_token_index`, `media_placeholder_token_id`).
  Status checkTokens(const Tokenizer &tokenizer,
                     std::optional<int64_t> configuredId) const;

protected:
  /// process() of at least one image.
  virtual StatusOr<ImageInputs> compute(std::span<const Image> images,
                                        int64_t maxPixels) const = 0;

  /// The tokens of placeholders(), the image token first; what surrounds them.
  std::vector<std::string> tokens;
  std::string before;
  std::string after;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_IMAGE_PROCESSOR_H
