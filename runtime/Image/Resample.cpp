//===- Resample.cpp - Resizing as Pillow does -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The arithmetic, its types and its order are those of Pillow's Resample.c: a
// weight that is computed in another order can round to another value.
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/Resample.h"

#include "runtime/Image/Decoders.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

using namespace clade::rt;

namespace {

/// Eight bits of the 32 are the value's, two are for sums below 0 and above 1.
constexpr int weightBits = 32 - 8 - 2;

/// The weights of one axis: result i is the sum of `count[i]` values from
/// `first[i]` on, times the weights from `i * width` on.
struct Weights {
  int width = 0;
  std::vector<int> first;
  std::vector<int> count;
  std::vector<int32_t> values;
};

} // namespace

static double bilinear(double x) {
  x = std::fabs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

static double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0)
    return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0)
    return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

static double sinc(double x) {
  if (x == 0.0)
    return 1.0;
  x = x * std::numbers::pi;
  return std::sin(x) / x;
}

static double lanczos(double x) {
  return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

static StatusOr<Weights> computeWeights(int64_t from, int64_t to,
                                        ResampleFilter filter) {
  auto function = filter == ResampleFilter::Bilinear  ? bilinear
                  : filter == ResampleFilter::Bicubic ? bicubic
                                                      : lanczos;
  double support = filter == ResampleFilter::Bilinear  ? 1.0
                   : filter == ResampleFilter::Bicubic ? 2.0
                                                       : 3.0;
  // The length of an axis goes through a float in Pillow.
  double scale = static_cast<double>(static_cast<float>(from)) / to;
  double filterScale = std::max(scale, 1.0);
  support *= filterScale;
  auto width = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  if (to > std::numeric_limits<int>::max() / (width * 8))
    return Status::resourceExhausted("resizing " + std::to_string(from) +
                                     " pixels to " + std::to_string(to) +
                                     " takes too many weights");

  Weights weights;
  weights.width = static_cast<int>(width);
  weights.values.resize(static_cast<size_t>(to * width));
  std::vector<double> line(static_cast<size_t>(width));
  double inverse = 1.0 / filterScale;
  for (int64_t i = 0; i < to; ++i) {
    double center = (i + 0.5) * scale;
    int first = std::max(static_cast<int>(center - support + 0.5), 0);
    int end = std::min(static_cast<int>(center + support + 0.5),
                       static_cast<int>(from));
    int count = std::clamp(end - first, 0, weights.width);
    double sum = 0.0;
    for (int j = 0; j < count; ++j) {
      line[j] = function((j + first - center + 0.5) * inverse);
      sum += line[j];
    }
    for (int j = 0; j < count; ++j) {
      double weight = sum != 0.0 ? line[j] / sum : line[j];
      double half = weight < 0 ? -0.5 : 0.5;
      weights.values[static_cast<size_t>(i * width + j)] =
          static_cast<int32_t>(half + weight * (1 << weightBits));
    }
    weights.first.push_back(first);
    weights.count.push_back(count);
  }
  return weights;
}

/// One axis of an image: `outer` times an axis of `from` values, each `inner`
/// bytes that are filtered alike. It gets the length of the weights.
static void filterAxis(const uint8_t *in, uint8_t *out, int64_t outer,
                       int64_t from, int64_t inner, const Weights &weights) {
  auto to = static_cast<int64_t>(weights.first.size());
  std::vector<int32_t> sums(static_cast<size_t>(inner));
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < to; ++i) {
      std::fill(sums.begin(), sums.end(), 1 << (weightBits - 1));
      const int32_t *weight = weights.values.data() + i * weights.width;
      const uint8_t *line = in + (o * from + weights.first[i]) * inner;
      for (int j = 0; j < weights.count[i]; ++j, line += inner)
        for (int64_t b = 0; b < inner; ++b)
          sums[b] += line[b] * weight[j];
      uint8_t *result = out + (o * to + i) * inner;
      for (int64_t b = 0; b < inner; ++b)
        result[b] =
            static_cast<uint8_t>(std::clamp(sums[b] >> weightBits, 0, 255));
    }
}

static StatusOr<Image> resizeWidth(const Image &image, int64_t width,
                                   ResampleFilter filter) {
  CLADE_ASSIGN_OR_RETURN(Image result,
                         makeImage(width, image.height, image.channels));
  CLADE_ASSIGN_OR_RETURN(Weights weights,
                         computeWeights(image.width, width, filter));
  filterAxis(image.pixels.data(), result.pixels.data(), image.height,
             image.width, image.channels, weights);
  return result;
}

static StatusOr<Image> resizeHeight(const Image &image, int64_t height,
                                    ResampleFilter filter) {
  CLADE_ASSIGN_OR_RETURN(Image result,
                         makeImage(image.width, height, image.channels));
  CLADE_ASSIGN_OR_RETURN(Weights weights,
                         computeWeights(image.height, height, filter));
  filterAxis(image.pixels.data(), result.pixels.data(), 1, image.height,
             image.width * image.channels, weights);
  return result;
}

StatusOr<Image> clade::rt::resizeImage(const Image &image, int64_t width,
                                       int64_t height, ResampleFilter filter) {
  bool columnsFirst = image.height - height > 0 &&
                      image.height - height > (image.width - width) * 2;
  Image result = image;
  for (bool isWidth : {!columnsFirst, columnsFirst}) {
    if (isWidth && width != result.width) {
      CLADE_ASSIGN_OR_RETURN(result, resizeWidth(result, width, filter));
    } else if (!isWidth && height != result.height) {
      CLADE_ASSIGN_OR_RETURN(result, resizeHeight(result, height, filter));
    }
  }
  return result;
}
