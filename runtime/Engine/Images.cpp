//===- Images.cpp - Images cut into patches -------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Images.h"

#include "runtime/Support/CheckedMath.h"
#include "runtime/Support/Text.h"

#include <algorithm>
#include <cstring>

using namespace clade::rt;

namespace {

/// Patches of one image, and rows of all images of one call.
constexpr int64_t maxPatches = int64_t(1) << 24;

std::string shapeOf(const StoredTensor &tensor) {
  std::string text = "[";
  for (int64_t size : tensor.shape)
    text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

StatusOr<const StoredTensor *> find(std::span<const StoredTensor> tensors,
                                    const std::string &name,
                                    std::initializer_list<DType> types,
                                    const std::string &expected) {
  const StoredTensor *tensor = findTensor(tensors, name);
  if (!tensor)
    return Status::invalidArgument("expected a tensor " + quoteName(name) +
                                   " " + expected + " among the inputs");
  if (std::ranges::find(types, tensor->dtype) == types.end())
    return Status::invalidArgument("expected " + quoteName(name) + " " +
                                   expected + ", got the type " +
                                   std::string(dtypeName(tensor->dtype)));
  return tensor;
}

/// Element `i` of a tensor of integers.
int64_t integerAt(const StoredTensor &tensor, int64_t i) {
  if (tensor.dtype == DType::I64) {
    int64_t value = 0;
    std::memcpy(&value, tensor.bytes.data() + 8 * i, sizeof(value));
    return value;
  }
  int32_t value = 0;
  std::memcpy(&value, tensor.bytes.data() + 4 * i, sizeof(value));
  return value;
}

/// Copies `count` elements from element `first` on, widened.
void copyFloats(const StoredTensor &tensor, int64_t first, int64_t count,
                float *to) {
  const std::byte *bytes = tensor.bytes.data();
  if (tensor.dtype == DType::F32) {
    std::memcpy(to, bytes + 4 * first, static_cast<size_t>(4 * count));
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    uint16_t narrow = 0;
    std::memcpy(&narrow, bytes + 2 * (first + i), sizeof(narrow));
    uint32_t wide = uint32_t(narrow) << 16;
    std::memcpy(to + i, &wide, sizeof(wide));
  }
}

/// Cuts one image, at the upper left of [channels][height][width] pixels.
class ImageCutter {
public:
  ImageCutter(const ImageLayout &layout, const StoredTensor &pixels,
              int64_t image)
      : layout(layout), pixels(pixels), height(pixels.shape[2]),
        width(pixels.shape[3]),
        first(image * layout.channels * height * width) {}

  void cut(int64_t rows, int64_t columns, float *to) const {
    int64_t merge = layout.merge;
    for (int64_t row = 0; row < rows; row += merge)
      for (int64_t column = 0; column < columns; column += merge)
        for (int64_t r = row; r < row + merge; ++r)
          for (int64_t c = column; c < column + merge; ++c) {
            cutPatch(r * layout.patch, c * layout.patch, to);
            to += layout.width();
          }
  }

private:
  void cutPatch(int64_t y, int64_t x, float *to) const {
    for (int64_t channel = 0; channel < layout.channels; ++channel)
      for (int64_t line = y; line < y + layout.patch; ++line) {
        copyFloats(pixels, first + (channel * height + line) * width + x,
                   layout.patch, to);
        to += layout.patch;
      }
  }

  const ImageLayout &layout;
  const StoredTensor &pixels;
  int64_t height, width, first;
};

/// The grid of one image, appended.
Status addGrid(const ImageLayout &layout, const StoredTensor &pixels,
               const StoredTensor &sizes, int64_t image, ImagePatches &result) {
  int64_t block = layout.patch * layout.merge;
  for (int64_t side = 0; side < 2; ++side) {
    int64_t size = integerAt(sizes, 2 * image + side);
    int64_t most = pixels.shape[static_cast<size_t>(2 + side)];
    if (size < block || size % block != 0 || size > most)
      return Status::invalidArgument(
          "expected " + std::string(side == 0 ? "a height" : "a width") +
          " of image " + std::to_string(image) + " that is a multiple of " +
          std::to_string(block) + " pixels and at most " +
          std::to_string(most) + ", got " + std::to_string(size));
    result.grids.push_back(static_cast<int32_t>(size / layout.patch));
  }
  if (result.numPatches(image) > maxPatches)
    return Status::invalidArgument(
        "expected at most " + std::to_string(maxPatches) +
        " patches of image " + std::to_string(image) + ", got " +
        std::to_string(result.numPatches(image)));
  return {};
}

/// The grid of each image whose patches are cut already.
Status readGrids(const ImageLayout &layout, const StoredTensor &sizes,
                 ImagePatches &result) {
  int64_t count = sizes.shape[1];
  for (int64_t image = 0; image < sizes.shape[0]; ++image) {
    int64_t end = count * (image + 1),
            time = count == 3 ? integerAt(sizes, end - 3) : 1,
            rows = integerAt(sizes, end - 2),
            columns = integerAt(sizes, end - 1);
    bool fits = time >= 1 && (time == 1 || layout.takesFilms) && rows >= 1 &&
                columns >= 1 && rows % layout.merge == 0 &&
                columns % layout.merge == 0 && time <= maxPatches &&
                rows <= maxPatches / time &&
                columns <= maxPatches / time / rows;
    if (!fits)
      return Status::invalidArgument(
          (layout.takesFilms ? "expected frames of image "
                             : "expected one frame of image ") +
          std::to_string(image) +
          ", and rows and columns of patches that are multiples of " +
          std::to_string(layout.merge) + ", got " + std::to_string(time) +
          ", " + std::to_string(rows) + " and " + std::to_string(columns));
    result.grids.push_back(static_cast<int32_t>(rows));
    result.grids.push_back(static_cast<int32_t>(columns));
    result.frames.push_back(static_cast<int32_t>(time));
  }
  return {};
}

/// Copies the patches of an image, from patch `first` on, which lie row by row,
/// block by block.
void copyInBlocks(const ImageLayout &layout, const StoredTensor &pixels,
                  int64_t first, int64_t rows, int64_t columns, float *to) {
  int64_t merge = layout.merge, width = layout.width();
  for (int64_t row = 0; row < rows; row += merge)
    for (int64_t column = 0; column < columns; column += merge)
      for (int64_t r = row; r < row + merge; ++r) {
        copyFloats(pixels, (first + r * columns + column) * width,
                   merge * width, to);
        to += merge * width;
      }
}

/// What the processor has cut already.
StatusOr<ImagePatches> readPatches(const ImageLayout &layout,
                                   std::span<const StoredTensor> tensors) {
  std::vector<int64_t> shape{layout.width()};
  if (layout.isInRows)
    shape = {layout.channels, layout.patch, layout.patch};
  std::string pixelsExpected = "[patches",
              sizesExpected = layout.isInRows ? "[images, 2 or 3] of I64 or I32"
                                              : "[images, 3] of I64 or I32";
  for (int64_t size : shape)
    pixelsExpected += ", " + std::to_string(size);
  pixelsExpected += "] of F32 or BF16";
  CLADE_ASSIGN_OR_RETURN(
      const StoredTensor *pixels,
      find(tensors, layout.pixels, {DType::F32, DType::BF16}, pixelsExpected));
  CLADE_ASSIGN_OR_RETURN(
      const StoredTensor *sizes,
      find(tensors, layout.sizes, {DType::I64, DType::I32}, sizesExpected));
  if (pixels->shape.empty() ||
      !std::ranges::equal(std::span(pixels->shape).subspan(1), shape))
    return Status::invalidArgument("expected " + quoteName(layout.pixels) +
                                   " " + pixelsExpected + ", got " +
                                   shapeOf(*pixels));
  bool fits =
      sizes->shape.size() == 2 &&
      (sizes->shape[1] == 3 || (layout.isInRows && sizes->shape[1] == 2));
  if (!fits)
    return Status::invalidArgument("expected " + quoteName(layout.sizes) + " " +
                                   sizesExpected + ", got " + shapeOf(*sizes));
  ImagePatches result;
  CLADE_RETURN_IF_ERROR(readGrids(layout, *sizes, result));
  if (result.numPatches() != pixels->shape[0])
    return Status::invalidArgument(
        "expected " + std::to_string(result.numPatches()) + " patches in " +
        quoteName(layout.pixels) + ", as " + quoteName(layout.sizes) +
        " says, got " + std::to_string(pixels->shape[0]));
  int64_t count = result.numPatches() * layout.width();
  result.pixels.resize(static_cast<size_t>(count));
  if (!layout.isInRows) {
    copyFloats(*pixels, 0, count, result.pixels.data());
    return result;
  }
  int64_t first = 0;
  for (int64_t image = 0; image < result.numImages(); ++image) {
    auto at = static_cast<size_t>(2 * image);
    for (int64_t frame = 0; frame < result.numFrames(image); ++frame) {
      copyInBlocks(layout, *pixels, first, result.grids[at],
                   result.grids[at + 1],
                   result.pixels.data() + first * layout.width());
      first += result.patchesOfFrame(image);
    }
  }
  return result;
}

} // namespace

int64_t ImagePatches::numPatches() const {
  int64_t count = 0;
  for (int64_t image = 0; image < numImages(); ++image)
    count += numPatches(image);
  return count;
}

int64_t ImagePatches::numRows(int64_t fold) const {
  int64_t count = 0;
  for (int64_t image = 0; image < numImages(); ++image)
    count += patchesOfFrame(image) / fold;
  return count;
}

std::vector<int64_t> ImagePatches::firstPatches(int64_t first, int64_t end,
                                                int64_t fold) const {
  std::vector<int64_t> patches;
  int64_t begin = 0;
  for (int64_t image = first; image < end; ++image) {
    for (int64_t patch = 0; patch < patchesOfFrame(image); patch += fold)
      patches.push_back(begin + patch);
    begin += numPatches(image);
  }
  return patches;
}

StatusOr<ImagePatches>
clade::rt::cutImages(const ImageLayout &layout,
                     std::span<const StoredTensor> tensors) {
  if (layout.frames > 0 || layout.isInRows)
    return readPatches(layout, tensors);
  std::string pixelsExpected = "[images, " + std::to_string(layout.channels) +
                               ", height, width] of F32 or BF16",
              sizesExpected = "[images, 2] of I64 or I32";
  CLADE_ASSIGN_OR_RETURN(
      const StoredTensor *pixels,
      find(tensors, layout.pixels, {DType::F32, DType::BF16}, pixelsExpected));
  CLADE_ASSIGN_OR_RETURN(
      const StoredTensor *sizes,
      find(tensors, layout.sizes, {DType::I64, DType::I32}, sizesExpected));
  if (pixels->shape.size() != 4 || pixels->shape[1] != layout.channels)
    return Status::invalidArgument("expected " + quoteName(layout.pixels) +
                                   " " + pixelsExpected + ", got " +
                                   shapeOf(*pixels));
  int64_t images = pixels->shape[0];
  if (sizes->shape != std::vector<int64_t>{images, 2})
    return Status::invalidArgument(
        "expected " + quoteName(layout.sizes) + " " + sizesExpected + " for " +
        std::to_string(images) + " images, got " + shapeOf(*sizes));
  ImagePatches result;
  for (int64_t image = 0; image < images; ++image)
    CLADE_RETURN_IF_ERROR(addGrid(layout, *pixels, *sizes, image, result));
  result.pixels.resize(
      static_cast<size_t>(result.numPatches() * layout.width()));
  float *to = result.pixels.data();
  for (int64_t image = 0; image < images; ++image) {
    auto at = static_cast<size_t>(2 * image);
    ImageCutter(layout, *pixels, image)
        .cut(result.grids[at], result.grids[at + 1], to);
    to += result.numPatches(image) * layout.width();
  }
  return result;
}

StatusOr<std::vector<int32_t>>
clade::rt::mediaRows(std::span<const int32_t> prompt,
                     std::span<const int32_t> ids, int64_t firstRow,
                     int64_t numRows) {
  std::vector<int32_t> rows;
  int64_t next = firstRow;
  for (int32_t token : prompt) {
    bool isMedia = std::ranges::find(ids, token) != ids.end();
    rows.push_back(isMedia ? static_cast<int32_t>(next++) : -1);
  }
  if (next - firstRow == numRows)
    return rows;
  return Status::invalidArgument("the images give " + std::to_string(numRows) +
                                 " rows, but the prompt has " +
                                 std::to_string(next - firstRow) +
                                 " tokens that stand for them");
}

MediaPositions clade::rt::mediaPositions(std::span<const int32_t> prompt,
                                         std::span<const int32_t> ids,
                                         const ImagePatches *images,
                                         int64_t merge) {
  MediaPositions result;
  auto isMedia = [&](int32_t token) {
    return std::ranges::find(ids, token) != ids.end();
  };
  auto add = [&](int64_t time, int64_t row, int64_t column) {
    for (int64_t number : {time, row, column})
      result.positions.push_back(static_cast<int32_t>(result.next + number));
  };
  size_t token = 0, image = 0;
  while (token < prompt.size()) {
    bool begins =
        images && isMedia(prompt[token]) && image < images->grids.size() / 2;
    if (!begins) {
      add(0, 0, 0);
      ++result.next;
      ++token;
      continue;
    }
    auto rows = images->grids[2 * image] / static_cast<int32_t>(merge),
         columns = images->grids[2 * image + 1] / static_cast<int32_t>(merge);
    for (int64_t block = 0;
         block < int64_t(rows) * columns && token < prompt.size();
         ++block, ++token)
      add(0, block / columns, block % columns);
    result.next += std::max(rows, columns);
    ++image;
  }
  return result;
}
