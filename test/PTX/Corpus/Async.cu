//===- Async.cu - Asynchronous copies and their barriers -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cuda/barrier>
#include <cuda/pipeline>

namespace cg = cooperative_groups;

// The library initialises its shared objects itself.
#pragma nv_diag_suppress 20054

// cp.async of 4, 8 and 16 bytes, one of them with a part of zeros.
extern "C" __global__ void copyAsync(const char *in, char *out) {
  __shared__ alignas(16) char tile[128 * (4 + 8 + 16 + 16)];
  int t = threadIdx.x;
  auto at = [&](int offset) {
    return (unsigned)__cvta_generic_to_shared(tile + offset);
  };
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(at(4 * t)),
               "l"(in + 4 * t)
               : "memory");
  asm volatile(
      "cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(at(512 + 8 * t)),
      "l"(in + 512 + 8 * t)
      : "memory");
  asm volatile("cp.async.commit_group;" ::: "memory");
  asm volatile(
      "cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at(1536 + 16 * t)),
      "l"(in + 1536 + 16 * t)
      : "memory");
  asm volatile(
      "cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at(3584 + 16 * t)),
      "l"(in + 3584 + 16 * t), "r"(t % 17)
      : "memory");
  asm volatile("cp.async.commit_group;" ::: "memory");
  asm volatile("cp.async.wait_group 1;" ::: "memory");
  __syncthreads();
  for (int i = t; i < 1536; i += 128)
    out[i] = tile[i];
  asm volatile("cp.async.wait_all;" ::: "memory");
  __syncthreads();
  for (int i = 1536 + t; i < 5632; i += 128)
    out[i] = tile[i];
}

// Four stages in flight: a sum over tiles of 256 integers.
extern "C" __global__ void pipelinedSum(const int4 *in, int *out, int tiles) {
  __shared__ int4 ring[4][64];
  auto fetch = [&](int tile) {
    if (tile < tiles)
      asm volatile(
          "cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
              (unsigned)__cvta_generic_to_shared(&ring[tile % 4][threadIdx.x])),
          "l"(in + tile * 64 + threadIdx.x)
          : "memory");
    asm volatile("cp.async.commit_group;" ::: "memory");
  };
  for (int tile = 0; tile < 3; ++tile)
    fetch(tile);
  int sum = 0;
  for (int tile = 0; tile < tiles; ++tile) {
    asm volatile("cp.async.wait_group 2;" ::: "memory");
    __syncthreads();
    fetch(tile + 3);
    int4 v = ring[tile % 4][63 - threadIdx.x];
    sum = sum * 31 + (v.x ^ v.y) + (v.z ^ v.w);
  }
  out[threadIdx.x] = sum;
}

// A group's copy, waited for by the whole block.
extern "C" __global__ void groupCopy(const int *in, int *out, int n) {
  extern __shared__ int tile[];
  auto block = cg::this_thread_block();
  for (int start = 0; start < n; start += 256) {
    cg::memcpy_async(block, tile, in + start, sizeof(int) * 256);
    cg::wait(block);
    out[start + threadIdx.x] = tile[255 - threadIdx.x] + 1;
    block.sync();
  }
}

// The library's pipeline with two stages.
extern "C" __global__ void libraryPipeline(const int *in, int *out, int tiles) {
  __shared__ int buffer[2][128];
  __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, 2> state;
  auto block = cg::this_thread_block();
  auto pipe = cuda::make_pipeline(block, &state);
  int sum = 0;
  for (int fetched = 0, tile = 0; tile < tiles; ++tile) {
    for (; fetched < tiles && fetched < tile + 2; ++fetched) {
      pipe.producer_acquire();
      cuda::memcpy_async(block, buffer[fetched % 2], in + fetched * 128,
                         cuda::aligned_size_t<16>(sizeof(int) * 128), pipe);
      pipe.producer_commit();
    }
    pipe.consumer_wait();
    sum = sum * 7 + buffer[tile % 2][127 - threadIdx.x];
    pipe.consumer_release();
  }
  out[threadIdx.x] = sum;
}

// Arrivals and waits apart: each half of the block does work between them.
extern "C" __global__ void splitBarrier(const int *in, int *out, int rounds) {
  __shared__ cuda::barrier<cuda::thread_scope_block> barrier;
  __shared__ int shared[128];
  if (threadIdx.x == 0)
    init(&barrier, blockDim.x);
  __syncthreads();
  int value = in[threadIdx.x];
  for (int r = 0; r < rounds; ++r) {
    shared[threadIdx.x] = value;
    auto token = barrier.arrive();
    int own = value * 3 + r;
    barrier.wait(std::move(token));
    value = own + shared[(threadIdx.x + 37) % 128];
    barrier.arrive_and_wait();
  }
  out[threadIdx.x] = value;
}
