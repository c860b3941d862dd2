//===- Roofline.h - The least time that a GPU needs -------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each part of a GPU needs a time at its peak rate for what was counted; the
// longest of them is predicted, as if all parts worked at once and no latency
// were to be seen: a lower bound. docs/ptx-counters.md states the method.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_ROOFLINE_H
#define CLADE_PTX_ROOFLINE_H

#include "lib/PTX/Gpu.h"
#include "lib/PTX/Traffic.h"

#include <string>

namespace clade::ptx {

/// What was launched, and what is known of its machine code.
struct LaunchedKernel {
  std::string_view target; ///< ".target" of the module.
  uint64_t blocks = 1;
  BlockDemand block;
};

/// The time of one part.
struct RooflineTerm {
  std::string_view name;
  double seconds = 0;
};

struct Prediction {
  const Gpu *gpu = nullptr;
  /// Why the kernel does not run there; all else is empty then.
  std::string obstacle;
  Occupancy occupancy;
  double waves = 0; ///< Blocks by those that the GPU holds at once.
  /// Blocks of the busiest multiprocessor by the average.
  double imbalance = 1;
  Traffic traffic;
  std::vector<RooflineTerm> terms; ///< Those that are not zero.
  RooflineTerm bound;              ///< The longest.
  std::vector<std::string> notes;  ///< What the figures leave out.
};

/// Predicts the time of a launch from its counters and its trace.
Prediction predict(const Gpu &gpu, const LaunchedKernel &kernel,
                   const Counters &counters, const Trace &trace);

} // namespace clade::ptx

#endif // CLADE_PTX_ROOFLINE_H
