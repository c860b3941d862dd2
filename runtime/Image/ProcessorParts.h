//===- ProcessorParts.h - What processors of images share -------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_IMAGE_PROCESSORPARTS_H
#define CLADE_RUNTIME_IMAGE_PROCESSORPARTS_H

#include "runtime/Image/ConfigKeys.h"
#include "runtime/Image/Processor.h"
#include "runtime/Image/Resample.h"

namespace clade::rt {

/// The objects that a processor is made from. `processor` is empty when there
/// is no processor_config.json.
struct ProcessorSource {
  ConfigKeys image;
  ConfigKeys processor;
  bool hasProcessor = false;
};

StatusOr<std::unique_ptr<ImageProcessor>> makePixtral(ProcessorSource &source);
StatusOr<std::unique_ptr<ImageProcessor>> makeQwenVL(ProcessorSource &source);
StatusOr<std::unique_ptr<ImageProcessor>> makeKimiVL(ProcessorSource &source);
StatusOr<std::unique_ptr<ImageProcessor>> makeKimiK25(ProcessorSource &source);

/// The f32 that each value of each channel becomes.
using PixelTable = std::array<std::array<float, 256>, 3>;

inline constexpr std::array<double, 3> clipMean = {0.48145466, 0.4578275,
                                                   0.40821073};
inline constexpr std::array<double, 3> clipDeviation = {0.26862954, 0.26130258,
                                                        0.27577711};

/// image_std, whose numbers must not be 0; the fallback is CLIP's.
StatusOr<std::array<double, 3>> readDeviation(ConfigKeys &keys);

/// The settings that all processors of transformers have.
struct CommonSettings {
  bool resize = true;
  ResampleFilter filter = ResampleFilter::Bicubic;
  PixelTable table;
};

/// Reads them; ignores by name what has no influence here.
StatusOr<CommonSettings> readCommonSettings(ConfigKeys &keys);

/// ResourceExhausted when `pixels` (at most 2^62) times `copies` (at least 1)
/// exceeds `maxPixels`.
Status checkPixels(int64_t pixels, int64_t copies, int64_t maxPixels);

/// Room in `values` for `pixels` times `copies` RGB pixels as f32; the same
/// error when there are more of all images together.
Status growPixels(std::vector<float> &values, int64_t pixels, int64_t copies,
                  int64_t maxPixels);

/// The pixels of the patch whose upper left corner is (x, y), as
/// [3, patch, patch], each channel `copies` times.
void appendPatch(const Image &image, const PixelTable &table, int64_t x,
                 int64_t y, int64_t patch, int64_t copies,
                 std::vector<float> &values);

/// The patches of an image of whole patches, row by row, behind the pixels of
/// `inputs`; ResourceExhausted as growPixels().
Status appendRows(const Image &image, const PixelTable &table, int64_t patch,
                  ImageInputs &inputs, int64_t maxPixels);

/// The part of an RGB image that begins at (left, top), at least 0; black where
/// it goes beyond.
StatusOr<Image> cutImage(const Image &image, int64_t left, int64_t top,
                         int64_t width, int64_t height);

/// `text`, so many times.
std::string repeated(const std::string &text, int64_t times);

} // namespace clade::rt

#endif // CLADE_RUNTIME_IMAGE_PROCESSORPARTS_H
