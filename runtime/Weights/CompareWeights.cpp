//===- CompareWeights.cpp - How far two sets of weights differ ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Threads take whole weights from a common counter and go through each in
// pieces.
//
//===----------------------------------------------------------------------===//

#include "runtime/Weights/CompareWeights.h"

#include "runtime/Formats/Dequantize.h"
#include "runtime/Support/CheckedMath.h"
#include "runtime/Weights/Evaluator.h"

#include <cmath>
#include <limits>
#include <mutex>
#include <thread>

using namespace clade::rt;

namespace {

using BoundWeight = std::unique_ptr<Evaluator>;

/// About the elements that are compared at a time.
constexpr int64_t comparedElements = int64_t(1) << 16;

StatusOr<BoundWeight> bindWeight(const WeightNode &node,
                                 const WeightSources &sources) {
  return bindProgram(node, [&](const WeightNode &source) {
    return resolveSource(sources, source, /*layer=*/0);
  });
}

double elementDifference(float a, float b) {
  if (a == b || (std::isnan(a) && std::isnan(b)))
    return 0;
  double value = std::fabs(static_cast<double>(a) - static_cast<double>(b));
  return std::isnan(value) ? std::numeric_limits<double>::infinity() : value;
}

const float *decodeRange(const Evaluator &weight, int64_t begin, int64_t end,
                         Scratch &scratch) {
  int64_t count = end - begin;
  auto *values = reinterpret_cast<float *>(
      scratch.take(count * static_cast<int64_t>(sizeof(float))));
  decodeToF32(weight.dtype(), weight.fetch(begin, end, scratch), count, values);
  return values;
}

/// Throws std::bad_alloc.
WeightDifference differenceOf(const Evaluator &a, const Evaluator &b,
                              Scratch &scratch) {
  int64_t granule = std::max(a.granule(), b.granule());
  int64_t piece = granule * std::max<int64_t>(1, comparedElements / granule);
  WeightDifference result;
  for (int64_t begin = 0; begin < a.count(); begin += piece) {
    Scratch::Frame frame(scratch);
    int64_t end = std::min(a.count(), begin + piece);
    const float *x = decodeRange(a, begin, end, scratch);
    const float *y = decodeRange(b, begin, end, scratch);
    for (int64_t i = 0; i < end - begin; ++i) {
      result.largest = std::max(result.largest, elementDifference(x[i], y[i]));
      result.magnitude = std::max<double>(result.magnitude, std::fabs(x[i]));
    }
  }
  return result;
}

} // namespace

StatusOr<std::vector<WeightDifference>> clade::rt::compareWeights(
    std::span<const WeightPair> pairs, const WeightSources &first,
    const WeightSources &second, const LoadOptions &options) {
  std::vector<std::pair<BoundWeight, BoundWeight>> bound;
  int64_t total = 0;
  for (const WeightPair &pair : pairs) {
    if (pair.first->shape != pair.second->shape)
      return Status::invalidArgument("a weight has the shapes " +
                                     shapeText(pair.first->shape) + " and " +
                                     shapeText(pair.second->shape));
    CLADE_ASSIGN_OR_RETURN(BoundWeight a, bindWeight(*pair.first, first));
    CLADE_ASSIGN_OR_RETURN(BoundWeight b, bindWeight(*pair.second, second));
    total += a->count();
    bound.emplace_back(std::move(a), std::move(b));
  }
  std::vector<WeightDifference> largest(bound.size());
  std::atomic<size_t> next{0};
  std::atomic<int64_t> done{0};
  std::atomic<bool> outOfMemory{false};
  auto work = [&](bool isCaller) {
    Scratch scratch;
    for (size_t i = next++; i < bound.size() && !outOfMemory; i = next++) {
      try {
        largest[i] = differenceOf(*bound[i].first, *bound[i].second, scratch);
      } catch (const std::bad_alloc &) {
        outOfMemory = true;
      }
      done += bound[i].first->count();
      if (isCaller && options.progress && done < total)
        options.progress(done, total);
    }
  };
  runThreads(options.threads, static_cast<int64_t>(bound.size()), work);
  if (outOfMemory)
    return Status::resourceExhausted("not enough memory to compare weights");
  if (options.progress)
    options.progress(total, total);
  return largest;
}
