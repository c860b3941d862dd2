//===- Roofline.cpp - The least time that a GPU needs ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Roofline.h"

#include <algorithm>

using namespace clade::ptx;

/// Warps that an SM's four schedulers issue in a clock, bytes that it gets from
/// L2 in a clock.
static constexpr double issueWidth = 4, portBytes = 64;

namespace {

class Roofline {
public:
  Roofline(const Gpu &gpu, const Counters &counters, Prediction &result)
      : gpu(gpu), counters(counters), result(result) {}
  void addAll();

private:
  double warps(Class kind) const {
    return double(counters.byClass[unsigned(kind)].warps);
  }
  void add(std::string_view name, double seconds);
  /// Clocks of all multiprocessors together, which share them as they share
  /// the blocks.
  void addClocks(std::string_view name, double clocks) {
    add(name, clocks * result.imbalance / gpu.multiprocessors / gpu.clock);
  }
  /// Instructions of warps at so many threads a clock.
  void addPipe(std::string_view name, double instructions, unsigned threads) {
    addClocks(name, instructions * 32 / threads);
  }
  void addTensor();

  const Gpu &gpu;
  const Counters &counters;
  Prediction &result;
};

} // namespace

void Roofline::add(std::string_view name, double seconds) {
  if (seconds <= 0)
    return;
  result.terms.push_back({name, seconds});
  if (seconds > result.bound.seconds)
    result.bound = result.terms.back();
}

void Roofline::addTensor() {
  double seconds = 0;
  for (unsigned i = 0; i < numFormats; ++i) {
    double all = double(counters.tensorOperations[i]),
           ofWarps = double(counters.warpTensorOperations[i]);
    if (all == 0)
      continue;
    if (gpu.tensor[i] == 0) {
      result.notes.push_back("its tensor cores have no " +
                             std::string(nameOf(Format(i))) +
                             "; these operations are left out");
      continue;
    }
    seconds +=
        ((all - ofWarps) + ofWarps / gpu.warpTensorShare) / gpu.tensor[i];
  }
  add("tensor cores", seconds * result.imbalance);
}

void Roofline::addAll() {
  addTensor();
  addPipe("float16", warps(Class::Float16), gpu.float16);
  addPipe("float32", warps(Class::Float32), gpu.float32);
  addPipe("float64", warps(Class::Float64), gpu.float64);
  addPipe("integer", warps(Class::Integer) + warps(Class::Compare),
          gpu.integer);
  addPipe("special functions", warps(Class::SpecialFunction), gpu.special);
  addPipe("conversions", warps(Class::Conversion), gpu.conversion);
  addPipe("warp exchange", warps(Class::WarpExchange), gpu.exchange);
  // Moves, and loads of parameters and constants, mostly are operands of other
  // instructions in machine code.
  addClocks("issue", (double(counters.total.warps) - warps(Class::Move) -
                      warps(Class::ConstantMemory)) /
                         issueWidth);
  addClocks("L1 and shared memory", double(counters.dataPasses));
  addClocks("L2 to multiprocessors", result.traffic.l2Bytes() / portBytes);
  add("L2", result.traffic.l2Bytes() / (gpu.l2BytesPerClock * gpu.clock));
  add("DRAM", result.traffic.dramBytes() / gpu.dramBandwidth);
}

/// What keeps a block off; empty where one fits.
static std::string obstacleOf(const Gpu &gpu, const LaunchedKernel &kernel,
                              const Occupancy &occupancy) {
  if (!gpu.runs(kernel.target))
    return "the module's target " + std::string(kernel.target) +
           " does not run on " + std::string(gpu.architecture);
  if (occupancy.blocks == 0)
    return "a block of " + std::to_string(kernel.block.threads) +
           " threads with " + std::to_string(kernel.block.registers) +
           " registers each and " + std::to_string(kernel.block.shared) +
           " bytes of shared memory does not fit";
  return {};
}

Prediction clade::ptx::predict(const Gpu &gpu, const LaunchedKernel &kernel,
                               const Counters &counters, const Trace &trace) {
  Prediction result;
  result.gpu = &gpu;
  MultiprocessorLimits limits = gpu.limits();
  Occupancy occupancy = occupancyOf(limits, kernel.block);
  result.obstacle = obstacleOf(gpu, kernel, occupancy);
  if (!result.obstacle.empty())
    return result;
  result.occupancy = occupancy;
  double blocks = double(kernel.blocks);
  uint64_t busiest =
      (kernel.blocks + gpu.multiprocessors - 1) / gpu.multiprocessors;
  result.imbalance = double(busiest) * gpu.multiprocessors / blocks;
  result.waves = blocks / (double(gpu.multiprocessors) * occupancy.blocks);

  CacheSetup setup;
  setup.l2Bytes = gpu.l2Bytes;
  setup.multiprocessors = gpu.multiprocessors;
  setup.blocksPerMultiprocessor = occupancy.blocks;
  uint64_t resident = std::min<uint64_t>(occupancy.blocks, busiest);
  setup.l1Bytes =
      gpu.l1Bytes -
      sharedCarveout(limits, resident * (kernel.block.shared + 1024));
  result.traffic = modelTraffic(trace, setup);
  if (result.traffic.tracedBlocks < result.traffic.blocks)
    result.notes.push_back("the caches saw the first " +
                           std::to_string(result.traffic.tracedBlocks) +
                           " of " + std::to_string(result.traffic.blocks) +
                           " blocks; their traffic is scaled to all");
  if (!kernel.block.registers)
    result.notes.push_back("registers are not known: the occupancy is that of "
                           "threads and shared memory alone");
  Roofline(gpu, counters, result).addAll();
  return result;
}
