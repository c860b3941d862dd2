//===- OccupancyTest.cpp - Blocks that a multiprocessor holds -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Occupancy.h"

#ifdef CLADE_HAVE_CUDA_OCCUPANCY
#include <cuda_occupancy.h>
#endif

#include <gtest/gtest.h>

using namespace clade::ptx;

namespace {

BlockDemand demand(uint32_t threads, uint32_t registers, uint64_t shared) {
  BlockDemand result;
  result.threads = threads;
  result.registers = registers;
  result.shared = shared;
  return result;
}

TEST(Occupancy, IsHeldByOneThing) {
  MultiprocessorLimits h100 = multiprocessorLimits(9, 0);
  // 2048 threads.
  Occupancy found = occupancyOf(h100, demand(256, 32, 0));
  EXPECT_EQ(found.blocks, 8u);
  EXPECT_EQ(found.warps, 64u);
  EXPECT_EQ(found.limit, OccupancyLimit::Threads);
  // 32 blocks of one warp.
  found = occupancyOf(h100, demand(32, 32, 0));
  EXPECT_EQ(found.blocks, 32u);
  EXPECT_EQ(found.limit, OccupancyLimit::Blocks);
  // 224 registers: a warp has 7168, a quarter of the file holds two.
  found = occupancyOf(h100, demand(128, 224, 49152));
  EXPECT_EQ(found.blocks, 2u);
  EXPECT_EQ(found.limit, OccupancyLimit::Registers);
  // 228 KiB hold four blocks of 48 KiB and 1 KiB of the system.
  found = occupancyOf(h100, demand(128, 32, 49152));
  EXPECT_EQ(found.blocks, 4u);
  EXPECT_EQ(found.limit, OccupancyLimit::SharedMemory);
  // Three warps of 64 registers: 8 in a quarter, 32 in all, ten blocks.
  EXPECT_EQ(occupancyOf(h100, demand(96, 64, 0)).blocks, 10u);
  // Registers that are not known hold nothing off.
  EXPECT_EQ(occupancyOf(h100, demand(1024, 0, 0)).blocks, 2u);
}

TEST(Occupancy, BlocksThatDoNotFit) {
  MultiprocessorLimits a100 = multiprocessorLimits(8, 0);
  EXPECT_EQ(occupancyOf(a100, demand(1025, 32, 0)).blocks, 0u);
  EXPECT_EQ(occupancyOf(a100, demand(1024, 65, 0)).blocks, 0u);
  EXPECT_EQ(occupancyOf(a100, demand(32, 256, 0)).blocks, 0u);
  EXPECT_EQ(occupancyOf(a100, demand(32, 32, (163 << 10) + 1)).blocks, 0u);
  EXPECT_EQ(occupancyOf(a100, demand(32, 32, 163 << 10)).blocks, 1u);
  EXPECT_EQ(occupancyOf(a100, demand(0, 32, 0)).blocks, 0u);
}

TEST(Occupancy, SharedMemory) {
  MultiprocessorLimits h100 = multiprocessorLimits(9, 0);
  EXPECT_EQ(sharedForBlocks(h100, 1), 227u << 10);
  EXPECT_EQ(sharedForBlocks(h100, 2), 113u << 10);
  // As much as is said is enough, and not a byte more.
  for (uint32_t blocks = 2; blocks <= 32; ++blocks) {
    uint32_t most = sharedForBlocks(h100, blocks);
    EXPECT_GE(occupancyOf(h100, demand(32, 0, most)).blocks, blocks);
    EXPECT_LT(occupancyOf(h100, demand(32, 0, most + 1)).blocks, blocks);
  }
  EXPECT_EQ(sharedCarveout(h100, 0), 0u);
  EXPECT_EQ(sharedCarveout(h100, 1), 8u << 10);
  EXPECT_EQ(sharedCarveout(h100, 165 << 10), 196u << 10);
  EXPECT_EQ(sharedCarveout(h100, 197 << 10), 228u << 10);
  EXPECT_EQ(sharedCarveout(multiprocessorLimits(8, 9), 65 << 10), 100u << 10);
}

#ifdef CLADE_HAVE_CUDA_OCCUPANCY

/// What NVIDIA's calculator says.
int reference(unsigned major, unsigned minor, const BlockDemand &block) {
  MultiprocessorLimits limits = multiprocessorLimits(major, minor);
  cudaOccDeviceProp device = {};
  device.computeMajor = int(major);
  device.computeMinor = int(minor);
  device.maxThreadsPerBlock = 1024;
  device.maxThreadsPerMultiprocessor = int(limits.threads);
  device.regsPerBlock = device.regsPerMultiprocessor = 65536;
  device.warpSize = 32;
  device.sharedMemPerBlock = 48 << 10;
  device.sharedMemPerBlockOptin = limits.sharedPerBlock;
  device.sharedMemPerMultiprocessor = limits.sharedBytes;
  device.reservedSharedMemPerBlock = 1024;
  device.numSms = 100;
  cudaOccFuncAttributes kernel = {};
  kernel.maxThreadsPerBlock = 1024;
  kernel.numRegs = int(block.registers);
  kernel.partitionedGCConfig = PARTITIONED_GC_OFF;
  kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
  kernel.maxDynamicSharedSizeBytes = limits.sharedPerBlock;
  cudaOccDeviceState state = {};
  state.carveoutConfig = SHAREDMEM_CARVEOUT_DEFAULT;
  cudaOccResult result = {};
  EXPECT_EQ(cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel,
                                                    &state, int(block.threads),
                                                    size_t(block.shared)),
            CUDA_OCC_SUCCESS);
  return result.activeBlocksPerMultiprocessor;
}

TEST(Occupancy, EqualsNvidiasCalculator) {
  constexpr std::pair<unsigned, unsigned> capabilities[] = {
      {8, 0}, {8, 6}, {8, 9}, {9, 0}, {10, 0}};
  for (auto [major, minor] : capabilities) {
    MultiprocessorLimits limits = multiprocessorLimits(major, minor);
    for (uint32_t threads = 1; threads <= 1024; threads += 31)
      for (uint32_t registers : {16u, 24u, 32u, 33u, 40u, 41u, 48u, 56u, 64u,
                                 72u, 80u, 96u, 128u, 168u, 200u, 232u, 255u})
        for (uint64_t shared :
             {uint64_t(0), uint64_t(1), uint64_t(1024), uint64_t(7000),
              uint64_t(7296), uint64_t(10624), uint64_t(16384), uint64_t(49152),
              uint64_t(70000), uint64_t(98 << 10),
              uint64_t(limits.sharedPerBlock)}) {
          BlockDemand block = demand(threads, registers, shared);
          ASSERT_EQ(int(occupancyOf(limits, block).blocks),
                    reference(major, minor, block))
              << major << "." << minor << ": " << threads << " threads, "
              << registers << " registers, " << shared << " bytes";
        }
  }
}

#endif

} // namespace
