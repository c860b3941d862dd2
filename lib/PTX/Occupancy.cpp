//===- Occupancy.cpp - Blocks that a multiprocessor holds -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Occupancy.h"

#include <algorithm>

using namespace clade::ptx;

static constexpr uint32_t warpThreads = 32, parts = 4, registerUnit = 256,
                          sharedUnit = 128, reservedBytes = 1024;

static uint32_t roundUp(uint64_t value, uint32_t unit) {
  return uint32_t((value + unit - 1) / unit * unit);
}

MultiprocessorLimits clade::ptx::multiprocessorLimits(unsigned major,
                                                      unsigned minor) {
  MultiprocessorLimits limits;
  if (major != 8)
    return limits;
  if (minor == 0) {
    limits.sharedBytes = 164 << 10;
    limits.sharedPerBlock = 163 << 10;
    return limits;
  }
  limits.threads = 1536;
  limits.blocks = minor == 9 ? 24 : 16;
  limits.sharedBytes = 100 << 10;
  limits.sharedPerBlock = 99 << 10;
  return limits;
}

std::string_view clade::ptx::nameOf(OccupancyLimit limit) {
  static constexpr std::string_view names[] = {"threads", "blocks", "registers",
                                               "shared memory"};
  return names[unsigned(limit)];
}

/// Blocks by registers: each part holds whole warps.
static uint32_t blocksByRegisters(const MultiprocessorLimits &limits,
                                  uint32_t warps, uint32_t registers) {
  if (registers > limits.registersPerThread)
    return 0;
  uint32_t ofWarp = roundUp(uint64_t(registers) * warpThreads, registerUnit);
  return limits.registers / parts / ofWarp * parts / warps;
}

Occupancy clade::ptx::occupancyOf(const MultiprocessorLimits &limits,
                                  const BlockDemand &demand) {
  Occupancy result;
  uint32_t warps = (demand.threads + warpThreads - 1) / warpThreads;
  if (warps == 0 || demand.threads > limits.threadsPerBlock)
    return result;
  result.blocks = limits.threads / warpThreads / warps;
  auto restrict = [&](uint32_t blocks, OccupancyLimit limit) {
    if (blocks >= result.blocks)
      return;
    result.blocks = blocks;
    result.limit = limit;
  };
  restrict(limits.blocks, OccupancyLimit::Blocks);
  if (demand.registers)
    restrict(blocksByRegisters(limits, warps, demand.registers),
             OccupancyLimit::Registers);
  restrict(demand.shared > limits.sharedPerBlock
               ? 0
               : limits.sharedBytes /
                     roundUp(demand.shared + reservedBytes, sharedUnit),
           OccupancyLimit::SharedMemory);
  result.warps = result.blocks * warps;
  return result;
}

uint32_t clade::ptx::sharedForBlocks(const MultiprocessorLimits &limits,
                                     uint32_t blocks) {
  uint32_t share =
      limits.sharedBytes / std::max(blocks, 1u) / sharedUnit * sharedUnit;
  return share < reservedBytes
             ? 0
             : std::min(share - reservedBytes, limits.sharedPerBlock);
}

uint32_t clade::ptx::sharedCarveout(const MultiprocessorLimits &limits,
                                    uint64_t bytes) {
  for (uint32_t size : {0, 8, 16, 32, 64, 100, 132, 164, 196})
    if (bytes <= uint64_t(size) << 10 && size << 10 <= limits.sharedBytes)
      return size << 10;
  return limits.sharedBytes;
}
