//===- Reduction.cu - Sums, scans and rows -------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <cfloat>
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>

namespace cg = cooperative_groups;

// A tree in shared memory: one sum a block of 256 threads.
extern "C" __global__ void blockSumTree(const int *in, int *out, int n) {
  __shared__ int partial[256];
  int sum = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n;
       i += gridDim.x * blockDim.x)
    sum += in[i];
  partial[threadIdx.x] = sum;
  __syncthreads();
  for (int step = blockDim.x / 2; step > 0; step /= 2) {
    if (threadIdx.x < step)
      partial[threadIdx.x] += partial[threadIdx.x + step];
    __syncthreads();
  }
  if (threadIdx.x == 0)
    out[blockIdx.x] = partial[0];
}

// Shuffles within a warp, then one warp over the warps' sums. Dynamic shared
// memory.
extern "C" __global__ void blockSumShuffle(const float *in, float *out, int n) {
  extern __shared__ float warps[];
  float sum = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n;
       i += gridDim.x * blockDim.x)
    sum += in[i];
  for (int offset = 16; offset > 0; offset /= 2)
    sum += __shfl_down_sync(0xffffffff, sum, offset);
  if (threadIdx.x % 32 == 0)
    warps[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 32) {
    sum = threadIdx.x < blockDim.x / 32 ? warps[threadIdx.x] : 0;
    for (int offset = 16; offset > 0; offset /= 2)
      sum += __shfl_xor_sync(0xffffffff, sum, offset);
    if (threadIdx.x == 0)
      out[blockIdx.x] = sum;
  }
}

// One block a row of `width` floats.
extern "C" __global__ void softmaxRows(const float *in, float *out, int width) {
  __shared__ float shared[32];
  const float *row = in + (size_t)blockIdx.x * width;
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  float largest = -FLT_MAX;
  for (int i = threadIdx.x; i < width; i += blockDim.x)
    largest = fmaxf(largest, row[i]);
  for (int offset = 16; offset > 0; offset /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, offset));
  if (lane == 0)
    shared[warp] = largest;
  __syncthreads();
  for (int i = 0; i < warps; ++i)
    largest = fmaxf(largest, shared[i]);
  __syncthreads();
  float sum = 0;
  for (int i = threadIdx.x; i < width; i += blockDim.x)
    sum += expf(row[i] - largest);
  for (int offset = 16; offset > 0; offset /= 2)
    sum += __shfl_xor_sync(~0u, sum, offset);
  if (lane == 0)
    shared[warp] = sum;
  __syncthreads();
  sum = 0;
  for (int i = 0; i < warps; ++i)
    sum += shared[i];
  for (int i = threadIdx.x; i < width; i += blockDim.x)
    out[(size_t)blockIdx.x * width + i] = expf(row[i] - largest) / sum;
}

// One warp a row: mean and variance in two passes.
extern "C" __global__ void layerNormRows(const float *in, const float *weight,
                                         const float *bias, float *out,
                                         int rows, int width, float epsilon) {
  int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32,
      lane = threadIdx.x % 32;
  if (row >= rows)
    return;
  in += (size_t)row * width;
  float sum = 0;
  for (int i = lane; i < width; i += 32)
    sum += in[i];
  for (int offset = 16; offset > 0; offset /= 2)
    sum += __shfl_xor_sync(~0u, sum, offset);
  float mean = sum / width, squares = 0;
  for (int i = lane; i < width; i += 32)
    squares += (in[i] - mean) * (in[i] - mean);
  for (int offset = 16; offset > 0; offset /= 2)
    squares += __shfl_xor_sync(~0u, squares, offset);
  float inverse = rsqrtf(squares / width + epsilon);
  for (int i = lane; i < width; i += 32)
    out[(size_t)row * width + i] =
        (in[i] - mean) * inverse * weight[i] + bias[i];
}

// The place of the largest value, the first of equals, packed into 64 bits for
// one atomic maximum.
extern "C" __global__ void argMax(const int *in, unsigned long long *best,
                                  int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  unsigned long long packed = 0;
  if (i < n)
    packed = (unsigned long long)((unsigned)in[i] ^ 0x80000000u) << 32 |
             (0xffffffffu - (unsigned)i);
  for (int offset = 16; offset > 0; offset /= 2) {
    unsigned long long other = __shfl_xor_sync(~0u, packed, offset);
    packed = other > packed ? other : packed;
  }
  if (threadIdx.x % 32 == 0)
    atomicMax(best, packed);
}

// The last block to finish adds the sums of all.
__device__ unsigned finished;
extern "C" __global__ void sumLastBlock(const int *in, volatile int *partial,
                                        int *out, int n) {
  __shared__ int sum;
  __shared__ bool last;
  if (threadIdx.x == 0)
    sum = 0;
  __syncthreads();
  int own = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n;
       i += gridDim.x * blockDim.x)
    own += in[i];
  atomicAdd(&sum, own);
  __syncthreads();
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
    __threadfence();
    last = atomicInc(&finished, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    __threadfence();
    int total = 0;
    for (int i = 0; i < gridDim.x; ++i)
      total += partial[i];
    *out = total;
  }
}

// Groups of a block: reduction and scan of tiles.
extern "C" __global__ void groupReduce(const int *in, int *sums, int *largest,
                                       int *scanned) {
  auto block = cg::this_thread_block();
  auto tile = cg::tiled_partition<16>(block);
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  int value = in[i];
  int sum = cg::reduce(tile, value, cg::plus<int>());
  int most = cg::reduce(tile, value, cg::greater<int>());
  scanned[i] = cg::exclusive_scan(tile, value, cg::plus<int>());
  if (tile.thread_rank() == 0) {
    sums[i / 16] = sum;
    largest[i / 16] = most;
  }
}

// The threads that take a branch together: one atomic addition for all of them.
extern "C" __global__ void coalescedCount(const int *in, int *count, int *order,
                                          int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n && in[i] % 3 == 0) {
    auto group = cg::coalesced_threads();
    int first = 0;
    if (group.thread_rank() == 0)
      first = atomicAdd(count, group.size());
    order[group.shfl(first, 0) + group.thread_rank()] = i;
  }
}

// All blocks meet between steps: needs a cooperative launch.
extern "C" __global__ void gridSteps(int *data, int n, int steps) {
  auto grid = cg::this_grid();
  for (int step = 0; step < steps; ++step) {
    for (int i = grid.thread_rank(); i < n; i += grid.size()) {
      int left = data[step % 2 * n + (i + n - 1) % n],
          right = data[step % 2 * n + (i + 1) % n];
      data[(step + 1) % 2 * n + i] = left * 3 + right + step;
    }
    grid.sync();
  }
}

// Inclusive scan of a block by doubling the distance.
extern "C" __global__ void scanDoubling(const int *in, int *out, int n) {
  extern __shared__ int both[];
  int i = threadIdx.x, from = 0;
  both[i] = i < n ? in[i] : 0;
  __syncthreads();
  for (int distance = 1; distance < blockDim.x; distance *= 2) {
    int to = blockDim.x - from;
    both[to + i] =
        both[from + i] + (i >= distance ? both[from + i - distance] : 0);
    from = to;
    __syncthreads();
  }
  if (i < n)
    out[i] = both[from + i];
}

// Reductions of a warp in one instruction.
extern "C" __global__ void reduceWarp(const int *in, int *out) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  int v = in[i];
  int results[6] = {__reduce_add_sync(~0u, v),
                    __reduce_min_sync(~0u, v),
                    __reduce_max_sync(~0u, v),
                    (int)__reduce_and_sync(~0u, (unsigned)v),
                    (int)__reduce_or_sync(~0u, (unsigned)v),
                    (int)__reduce_xor_sync(~0u, (unsigned)v)};
  if (threadIdx.x % 32 == 0)
    for (int k = 0; k < 6; ++k)
      out[i / 32 * 6 + k] = results[k];
}
