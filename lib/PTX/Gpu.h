//===- Gpu.h - GPUs whose times are predicted -------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Peak rates as published; docs/ptx-counters.md names the source of each and
// what is assumed because nothing is published.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_GPU_H
#define CLADE_PTX_GPU_H

#include "lib/PTX/Counters.h"
#include "lib/PTX/Occupancy.h"

#include <span>

namespace clade::ptx {

struct Gpu {
  std::string_view id;           ///< "h100".
  std::string_view name;         ///< "H100 SXM5 80 GB".
  std::string_view architecture; ///< "sm_90a", for ptxas.
  unsigned major = 9, minor = 0;
  unsigned multiprocessors = 0;
  double clock = 0; ///< Hz.
  uint64_t l2Bytes = 0;
  uint64_t l1Bytes = 0;       ///< Of a multiprocessor, with shared memory.
  double dramBandwidth = 0;   ///< Bytes a second.
  double l2BytesPerClock = 0; ///< Of all slices.
  /// Threads a clock of a multiprocessor.
  unsigned float16 = 128; ///< Each with two values (f16x2).
  unsigned float32 = 128;
  unsigned float64 = 64;
  unsigned integer = 64;
  unsigned special = 16;
  unsigned conversion = 64;
  unsigned exchange = 32;
  /// Operations a second of the tensor cores, without sparsity; 0 where they do
  /// not have the format.
  std::array<double, numFormats> tensor = {};
  /// What instructions of one warp (mma.sync, wmma) reach of that.
  double warpTensorShare = 1;

  MultiprocessorLimits limits() const {
    return multiprocessorLimits(major, minor);
  }
  /// Whether it runs code for a target (".target sm_90a").
  bool runs(std::string_view target) const;
};

/// All, oldest first.
std::span<const Gpu> gpus();
/// The GPU of an id; null where there is none.
const Gpu *findGpu(std::string_view id);

} // namespace clade::ptx

#endif // CLADE_PTX_GPU_H
