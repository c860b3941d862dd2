//===- Compare.h - How near two results are ---------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_COMPARE_H
#define CLADE_TOOLS_CLADE_COMPARE_H

#include <cstddef>
#include <span>
#include <string>

namespace clade::driver {

/// Distances of a result to a reference of as many values.
struct Distance {
  double largest = 0; ///< Largest difference / largest reference value.
  double cosine = 1;  ///< In f64.
  double rms = 0;     ///< Root of the mean squared difference.
  size_t at = 0;      ///< Where the largest difference is.
  bool finite = true; ///< Both hold finite numbers only.
};

Distance distance(std::span<const float> result,
                  std::span<const float> reference);

/// The bounds for f32: 1e-5 of the largest value, and cosine above 1 - 1e-8.
bool withinF32(const Distance &distance);

/// The rule for bf16, where two correct implementations differ: `result` is as
/// near to the f32 run of the same weights as the reference's own bf16 run
/// (at most 1.10 times its rms error), and near to that run itself.
/// `ratio` gets result's error over reference's.
bool withinBF16(std::span<const float> result, std::span<const float> reference,
                std::span<const float> wide, double &ratio);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_COMPARE_H
