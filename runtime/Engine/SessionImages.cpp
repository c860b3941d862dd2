//===- SessionImages.cpp - Steps of the entry for images ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A step of the entry `image` has patches as its tokens and whole images as its
// sequences. Keys and values live for the step: all layers share one buffer.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Session.h"

#include "runtime/Device/DevicePages.h"
#include "runtime/Support/CheckedMath.h"

#include <algorithm>
#include <numeric>

using namespace clade::rt;

namespace {

/// Patches that one step takes; an image of more has a step of its own.
constexpr int64_t patchesOfStep = 1 << 13;

/// Keys and values of one step: the pages of each image follow each other.
class StepStates {
public:
  /// Lays out the pages, in memory as `makePages` makes it.
  Status prepare(const std::vector<ManifestState> &kinds,
                 const std::vector<int32_t> &firstToken,
                 const MakePages &makePages) {
    size_t images = firstToken.size() - 1;
    int32_t longest = 0, numPages = 0;
    auto pagesOf = [&](size_t image) {
      return static_cast<int32_t>(ceilDiv(
          firstToken[image + 1] - firstToken[image], CLADE_PAGE_TOKENS));
    };
    for (size_t image = 0; image < images; ++image)
      longest = std::max(longest, pagesOf(image));
    pages.assign(images * static_cast<size_t>(longest), -1);
    for (size_t image = 0; image < images; ++image) {
      auto begin = pages.begin() + static_cast<ptrdiff_t>(image) * longest;
      std::iota(begin, begin + pagesOf(image), numPages);
      numPages += pagesOf(image);
    }
    for (const ManifestState &kind : kinds) {
      std::optional<int64_t> keyBytes = checkedMul<int64_t>(kind.keyPageBytes(),
                                                            numPages),
                             valueBytes = checkedMul<int64_t>(
                                 kind.valuePageBytes(), numPages);
      CLADE_ASSIGN_OR_RETURN(
          char *keys, reserve(keyBytes, "the keys of images", makePages));
      CLADE_ASSIGN_OR_RETURN(
          char *values, reserve(valueBytes, "the values of images", makePages));
      rows.push_back({keys, values, pages.data(), longest, 0});
    }
    return {};
  }
  const CladeKVState *data() const { return rows.data(); }

private:
  StatusOr<char *> reserve(std::optional<int64_t> bytes, const char *what,
                           const MakePages &makePages) {
    uint64_t size = bytes ? static_cast<uint64_t>(*bytes) : UINT64_MAX;
    if (makePages) {
      CLADE_ASSIGN_OR_RETURN(std::unique_ptr<PageMemory> memory,
                             makePages(size));
      CLADE_RETURN_IF_ERROR(memory->commit(size).withContext(what));
      return devicePages.emplace_back(std::move(memory))->base();
    }
    auto &buffer = buffers.emplace_back(std::make_unique<AlignedBuffer>());
    CLADE_RETURN_IF_ERROR(buffer->reserve(size, what));
    return buffer->data();
  }

  std::vector<int32_t> pages;
  std::vector<std::unique_ptr<AlignedBuffer>> buffers;
  std::vector<std::unique_ptr<PageMemory>> devicePages;
  std::vector<CladeKVState> rows;
};

} // namespace

int64_t Session::numMediaRows() const {
  const Manifest &manifest = model().manifest();
  if (!manifest.images)
    return 0;
  return static_cast<int64_t>(media.size()) /
         manifest.entries.at("image").outputWidth;
}

int64_t Session::mediaRowsOf(const ImagePatches &images) const {
  const auto &known = model().manifest().images;
  return known ? images.numRows(known->layout.fold) : 0;
}

StatusOr<int64_t> Session::addImages(const ImagePatches &images) {
  const Manifest &manifest = model().manifest();
  if (!manifest.images)
    return Status::invalidArgument("the model '" + manifest.model.family +
                                   "' takes no images");
  const ImageLayout &layout = manifest.images->layout;
  for (int64_t image = 0; image < images.numImages(); ++image) {
    auto at = static_cast<size_t>(2 * image);
    int32_t rows = images.grids[at], columns = images.grids[at + 1];
    if (rows < 1 || columns < 1 || rows % layout.merge != 0 ||
        columns % layout.merge != 0)
      return Status::invalidArgument(
          "expected rows and columns of patches that are multiples of " +
          std::to_string(layout.merge) + ", got " + std::to_string(rows) +
          " and " + std::to_string(columns));
  }
  if (!images.frames.empty() &&
      (images.frames.size() != static_cast<size_t>(images.numImages()) ||
       std::ranges::any_of(images.frames, [&](int32_t count) {
         return count < 1 || (count > 1 && !layout.takesFilms);
       })))
    return Status::invalidArgument(layout.takesFilms
                                       ? "expected frames of each image"
                                       : "expected images of one frame");
  auto patches = static_cast<size_t>(images.numPatches());
  auto patchWidth = static_cast<size_t>(layout.width());
  if (images.pixels.size() != patches * patchWidth)
    return Status::invalidArgument(
        "expected " + std::to_string(patchWidth) + " values of each of " +
        std::to_string(patches) + " patches, got " +
        std::to_string(images.pixels.size()) + " in all");
  int64_t width = manifest.entries.at("image").outputWidth,
          firstRow = numMediaRows();
  size_t oldSize = media.size();
  media.resize(oldSize + static_cast<size_t>(mediaRowsOf(images) * width));
  float *output = media.data() + oldSize;
  int64_t first = 0, firstPatch = 0, rows = 0;
  while (first < images.numImages()) {
    int64_t end = first, count = 0;
    while (end < images.numImages() &&
           (end == first || count + images.numPatches(end) <= patchesOfStep))
      count += images.numPatches(end++);
    Status status = runImages(images, first, end, firstPatch, output);
    if (!status.ok()) {
      media.resize(oldSize);
      return status;
    }
    for (int64_t image = first; image < end; ++image)
      rows += images.patchesOfFrame(image) / layout.fold;
    output = media.data() + oldSize + rows * width;
    firstPatch += count;
    first = end;
  }
  return firstRow;
}

/// Runs images [first, end), whose patches begin at `firstPatch`.
Status Session::runImages(const ImagePatches &images, int64_t first,
                          int64_t end, int64_t firstPatch, float *output) {
  const ManifestImages &known = *model().manifest().images;
  std::vector<int32_t> place, imageOf, begin{0}, all;
  int64_t mostPatches = 0;
  for (int64_t image = first; image < end; ++image) {
    auto count = static_cast<int32_t>(images.numPatches(image));
    for (int32_t patch = 0; patch < count; ++patch) {
      place.push_back(patch);
      imageOf.push_back(static_cast<int32_t>(image - first));
    }
    begin.push_back(static_cast<int32_t>(place.size()));
    mostPatches = std::max<int64_t>(mostPatches, count);
  }
  auto patches = static_cast<int64_t>(place.size());
  for (int64_t patch : images.firstPatches(first, end, known.layout.fold))
    all.push_back(static_cast<int32_t>(patch));
  if (!imageStep)
    CLADE_RETURN_IF_ERROR(reserveFor(known.workspace, known.scratch, patches,
                                     static_cast<int64_t>(all.size()),
                                     end - first, mostPatches));
  StepStates states;
  CLADE_RETURN_IF_ERROR(states.prepare(
      known.states, begin,
      imageStep ? devicePages(imageStep->stream()) : MakePages()));
  CladeStep step = emptyStep();
  step.num_tokens = static_cast<int32_t>(patches);
  step.num_sequences = static_cast<int32_t>(end - first);
  step.num_selected = static_cast<int32_t>(all.size());
  step.num_layers = static_cast<int32_t>(known.layers.size());
  step.positions = place.data();
  step.sequence_of = imageOf.data();
  step.first_token = begin.data();
  step.selected = all.data();
  step.layers = known.layers.data();
  step.states = states.data();
  step.output = output;
  step.pixels = images.pixels.data() + firstPatch * known.layout.width();
  step.grids = images.grids.data() + 2 * first;
  if (imageStep)
    return imageStep->run(step);
  CladeStepFunction image = model().artifact().image();
  pool->run([&step, image](int thread) { image(&step, thread); });
  return {};
}
