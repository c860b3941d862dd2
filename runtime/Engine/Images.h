//===- Images.h - Images cut into patches -----------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From the tensors that a family's processor makes of images to what the entry
// for images takes: a row for each patch, image after image.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_ENGINE_IMAGES_H
#define CLADE_RUNTIME_ENGINE_IMAGES_H

#include "runtime/Formats/Safetensors.h"
#include "runtime/Support/Status.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace clade::rt {

/// What the entry for images takes.
struct ImageLayout {
  /// Name of the tensor [images, channels, height, width], F32 or BF16; each
  /// image lies at its upper left, what is behind it means nothing. If frames
  /// are more than 0, of [patches, values], which are cut already, in blocks of
  /// merge × merge. If `isInRows`, of [patches, channels, patch, patch], cut
  /// already, row by row over the whole image.
  std::string pixels;
  /// Name of the tensor [images, 2], I64 or I32: height and width in pixels. If
  /// frames are more than 0, [images, 3]: one, rows and columns of patches; if
  /// `isInRows`, that or [images, 2], rows and columns. If `takesFilms`, one
  /// may be more: the frames of a film, one behind the other.
  std::string sizes;
  int64_t frames = 0; ///< Of a patch that was cut by the processor.
  int64_t channels = 0;
  int64_t patch = 0; ///< Pixels along a side of a patch.
  int64_t merge = 1; ///< Patches along a side of a block, whose order is kept.
  int64_t fold = 1;  ///< Patches that become one row: 1, or merge².
  bool isInRows = false;   ///< Cut by the processor, row by row.
  bool takesFilms = false; ///< Their frames become one in the rows of output.

  /// Values of a patch: [channels][frames, if any][patch][patch].
  int64_t width() const {
    return channels * std::max<int64_t>(frames, 1) * patch * patch;
  }
};

/// Images as the entry takes them.
struct ImagePatches {
  std::vector<float> pixels;  ///< [patches][width], in blocks of merge × merge.
  std::vector<int32_t> grids; ///< [images][2]: rows and columns of patches.
  /// [images]: frames of each; empty if all have one.
  std::vector<int32_t> frames;

  int64_t numImages() const { return static_cast<int64_t>(grids.size()) / 2; }
  int64_t numFrames(int64_t image) const {
    return frames.empty() ? 1 : frames[static_cast<size_t>(image)];
  }
  int64_t patchesOfFrame(int64_t image) const {
    auto at = static_cast<size_t>(2 * image);
    return static_cast<int64_t>(grids[at]) * grids[at + 1];
  }
  int64_t numPatches(int64_t image) const {
    return numFrames(image) * patchesOfFrame(image);
  }
  int64_t numPatches() const;
  /// Rows of output, each of `fold` patches of one frame.
  int64_t numRows(int64_t fold) const;
  /// For each of these rows of the images [first, end) the patch of the first
  /// frame where it begins, counted from the first of these images.
  std::vector<int64_t> firstPatches(int64_t first, int64_t end,
                                    int64_t fold) const;
};

/// Cuts the images of `tensors`, sorted by name. InvalidArgument names the
/// tensor that is missing or of another type or shape, and the image whose
/// size is not a multiple of a block or goes beyond the pixels.
StatusOr<ImagePatches> cutImages(const ImageLayout &layout,
                                 std::span<const StoredTensor> tensors);

/// For each token of a prompt its row of the images' output, from `firstRow`
/// on, or -1 for a token whose id is not in `ids`. InvalidArgument unless
/// `numRows` tokens are.
StatusOr<std::vector<int32_t>> mediaRows(std::span<const int32_t> prompt,
                                         std::span<const int32_t> ids,
                                         int64_t firstRow, int64_t numRows);

/// Time, row and column of each token of a prompt, [tokens][3], where each run
/// of tokens of one image stands for its blocks of patches, and the position of
/// what follows the prompt (M-RoPE, arXiv:2409.12191). `images` may be null.
struct MediaPositions {
  std::vector<int32_t> positions;
  int32_t next = 0;
};
MediaPositions mediaPositions(std::span<const int32_t> prompt,
                              std::span<const int32_t> ids,
                              const ImagePatches *images, int64_t merge);

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_IMAGES_H
