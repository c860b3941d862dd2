//===- Compare.cpp - How near two results are -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Compare.h"

#include <algorithm>
#include <cmath>

using namespace clade::driver;

Distance clade::driver::distance(std::span<const float> result,
                                 std::span<const float> reference) {
  Distance found;
  double largest = 0, difference = 0, dot = 0, ours = 0, theirs = 0,
         squares = 0;
  size_t count = std::min(result.size(), reference.size());
  for (size_t i = 0; i < count; ++i) {
    double a = result[i], b = reference[i];
    found.finite &= std::isfinite(a) && std::isfinite(b);
    if (std::abs(a - b) > difference) {
      difference = std::abs(a - b);
      found.at = i;
    }
    largest = std::max(largest, std::abs(b));
    dot += a * b;
    ours += a * a;
    theirs += b * b;
    squares += (a - b) * (a - b);
  }
  if (difference > 0)
    found.largest = largest > 0 ? difference / largest : INFINITY;
  if (ours > 0 || theirs > 0)
    found.cosine = ours > 0 && theirs > 0 ? dot / std::sqrt(ours * theirs) : 0;
  found.rms = count ? std::sqrt(squares / static_cast<double>(count)) : 0;
  return found;
}

bool clade::driver::withinF32(const Distance &distance) {
  return distance.finite && distance.largest < 1e-5 &&
         distance.cosine > 1 - 1e-8;
}

bool clade::driver::withinBF16(std::span<const float> result,
                               std::span<const float> reference,
                               std::span<const float> wide, double &ratio) {
  double ours = distance(result, wide).rms,
         theirs = distance(reference, wide).rms;
  ratio = theirs > 0 ? ours / theirs : ours > 0 ? INFINITY : 1;
  Distance direct = distance(result, reference);
  return direct.finite && ratio <= 1.10 && direct.largest <= 4e-2 &&
         direct.cosine > 0.9995;
}
