//===- Gpu.cpp - GPUs whose times are predicted ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Gpu.h"

#include <charconv>

using namespace clade::ptx;

static std::array<double, numFormats> tensorRates(double f64, double tf32,
                                                  double f16, double f8,
                                                  double i8, double i4,
                                                  double b1) {
  std::array<double, numFormats> rates = {};
  rates[unsigned(Format::F64)] = f64 * 1e12;
  rates[unsigned(Format::TF32)] = tf32 * 1e12;
  rates[unsigned(Format::F16)] = f16 * 1e12;
  rates[unsigned(Format::F8)] = f8 * 1e12;
  rates[unsigned(Format::I8)] = i8 * 1e12;
  rates[unsigned(Format::I4)] = i4 * 1e12;
  rates[unsigned(Format::B1)] = b1 * 1e12;
  return rates;
}

static std::array<Gpu, 3> makeGpus() {
  Gpu a100;
  a100.id = "a100";
  a100.name = "A100 SXM4 80 GB";
  a100.architecture = "sm_80";
  a100.major = 8;
  a100.multiprocessors = 108;
  a100.clock = 1.41e9;
  a100.l2Bytes = 40 << 20;
  a100.l1Bytes = 192 << 10;
  a100.dramBandwidth = 2.039e12;
  a100.l2BytesPerClock = 5120;
  a100.float32 = 64;
  a100.float64 = 32;
  a100.conversion = 16;
  a100.tensor = tensorRates(19.5, 156, 312, 0, 624, 1248, 4992);

  Gpu h100;
  h100.id = "h100";
  h100.name = "H100 SXM5 80 GB";
  h100.architecture = "sm_90a";
  h100.multiprocessors = 132;
  h100.clock = 1.98e9;
  h100.l2Bytes = 50 << 20;
  h100.l1Bytes = 256 << 10;
  h100.dramBandwidth = 3.352e12;
  h100.l2BytesPerClock = 5120;
  h100.tensor = tensorRates(66.9, 494.7, 989.4, 1978.9, 1978.9, 0, 0);
  h100.warpTensorShare = 0.63;

  Gpu b200;
  b200.id = "b200";
  b200.name = "B200 180 GB";
  b200.architecture = "sm_100a";
  b200.major = 10;
  b200.multiprocessors = 148;
  b200.clock = 1.965e9;
  b200.l2Bytes = 126 << 20;
  b200.l1Bytes = 256 << 10;
  b200.dramBandwidth = 8e12;
  b200.l2BytesPerClock = 10240;
  b200.float16 = 64;
  b200.tensor = tensorRates(37, 1125, 2250, 4500, 4500, 0, 0);
  b200.warpTensorShare = 0.5;
  return {a100, h100, b200};
}

std::span<const Gpu> clade::ptx::gpus() {
  static const std::array<Gpu, 3> all = makeGpus();
  return all;
}

const Gpu *clade::ptx::findGpu(std::string_view id) {
  for (const Gpu &gpu : gpus())
    if (gpu.id == id)
      return &gpu;
  return nullptr;
}

/// A plain target runs on all later ones, "sm_90a" on that one alone, "sm_100f"
/// on those of its generation.
bool Gpu::runs(std::string_view target) const {
  if (!target.starts_with("sm_"))
    return false;
  unsigned number = 0;
  auto [end, error] =
      std::from_chars(target.data() + 3, target.data() + target.size(), number);
  if (error != std::errc())
    return false;
  std::string_view suffix(end, size_t(target.data() + target.size() - end));
  unsigned own = major * 10 + minor;
  if (suffix == "a")
    return number == own && major >= 9;
  if (suffix == "f")
    return number / 10 == major && number <= own;
  return number <= own;
}
