//===- Counters.cpp - What a launch executed ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Counters.h"

using namespace clade::ptx;

std::string_view clade::ptx::nameOf(Class kind) {
  static constexpr std::string_view names[] = {"integer",
                                               "float16",
                                               "float32",
                                               "float64",
                                               "special function",
                                               "conversion",
                                               "move",
                                               "compare",
                                               "global memory",
                                               "shared memory",
                                               "local memory",
                                               "constant memory",
                                               "atomic",
                                               "control",
                                               "warp exchange",
                                               "barrier",
                                               "async",
                                               "matrix",
                                               "other"};
  return names[unsigned(kind)];
}

OpCounter &OpCounter::operator+=(const OpCounter &other) {
  warps += other.warps;
  lanes += other.lanes;
  bytes += other.bytes;
  sectors += other.sectors;
  idealSectors += other.idealSectors;
  sharedWaves += other.sharedWaves;
  idealWaves += other.idealWaves;
  divergences += other.divergences;
  flops += other.flops;
  return *this;
}
