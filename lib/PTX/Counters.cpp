//===- Counters.cpp - What a launch executed ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Counters.h"

#include <algorithm>
#include <numeric>

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

std::string_view clade::ptx::nameOf(Format format) {
  static constexpr std::string_view names[] = {"f64", "f32", "tf32", "f16",
                                               "f8",  "i8",  "i4",   "b1"};
  return names[unsigned(format)];
}

OpCounter &OpCounter::operator+=(const OpCounter &other) {
  warps += other.warps;
  lanes += other.lanes;
  bytes += other.bytes;
  requests += other.requests;
  sectors += other.sectors;
  idealSectors += other.idealSectors;
  sharedRequests += other.sharedRequests;
  sharedWaves += other.sharedWaves;
  idealWaves += other.idealWaves;
  divergences += other.divergences;
  flops += other.flops;
  return *this;
}

uint64_t OpCounter::dataPasses() const {
  return sharedWaves + std::max(requests, (sectors + 3) / 4);
}

double Counters::tensorShare() const {
  auto sum = [](const std::array<uint64_t, numFormats> &counts) {
    return double(std::accumulate(counts.begin(), counts.end(), uint64_t(0)));
  };
  double tensor = sum(tensorOperations), all = tensor + sum(vectorOperations);
  return all ? tensor / all : 0;
}
