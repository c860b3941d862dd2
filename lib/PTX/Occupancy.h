//===- Occupancy.h - Blocks that a multiprocessor holds ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rules of NVIDIA's occupancy calculator (cuda_occupancy.h of the toolkit):
// registers are given to warps in units of 256, in each of the four parts of a
// multiprocessor by itself; shared memory to blocks in units of 128 bytes, 1024
// of which are the system's.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_OCCUPANCY_H
#define CLADE_PTX_OCCUPANCY_H

#include <cstdint>
#include <string_view>

namespace clade::ptx {

/// What a multiprocessor has for blocks (CUDA programming guide, table of
/// compute capabilities).
struct MultiprocessorLimits {
  uint32_t threads = 2048;
  uint32_t blocks = 32;
  uint32_t registers = 65536;
  uint32_t threadsPerBlock = 1024;
  uint32_t registersPerThread = 255;
  uint32_t sharedBytes = 228 << 10;
  uint32_t sharedPerBlock = 227 << 10; ///< That a block may ask for.
};

/// The limits of a compute capability: 8.0, 8.6, 8.9, 9.0 or 10.0; those of 9.0
/// for others.
MultiprocessorLimits multiprocessorLimits(unsigned major, unsigned minor);

/// What a block needs.
struct BlockDemand {
  uint32_t threads = 32;
  uint32_t registers = 0; ///< Of a thread; 0 where that is not known.
  uint64_t shared = 0;    ///< Bytes, static and dynamic.
};

enum class OccupancyLimit : uint8_t {
  Threads,
  Blocks,
  Registers,
  SharedMemory,
};
std::string_view nameOf(OccupancyLimit limit);

struct Occupancy {
  uint32_t blocks = 0; ///< Of a multiprocessor at once; 0: none fits.
  uint32_t warps = 0;  ///< Of these blocks.
  OccupancyLimit limit = OccupancyLimit::Threads; ///< What holds more off.
};

/// How many such blocks a multiprocessor holds at once.
Occupancy occupancyOf(const MultiprocessorLimits &limits,
                      const BlockDemand &demand);

/// The largest shared memory, static and dynamic, with which a multiprocessor
/// still holds `blocks` blocks.
uint32_t sharedForBlocks(const MultiprocessorLimits &limits, uint32_t blocks);

/// Of the memory that L1 and shared memory have in common, what is set apart
/// for shared memory: the least of the sizes that the hardware knows that holds
/// `bytes`.
uint32_t sharedCarveout(const MultiprocessorLimits &limits, uint64_t bytes);

} // namespace clade::ptx

#endif // CLADE_PTX_OCCUPANCY_H
