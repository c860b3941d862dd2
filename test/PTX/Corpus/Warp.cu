//===- Warp.cu - Shuffles, votes and barriers of a warp ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// All four kinds of shuffle, whole warps and segments of eight.
extern "C" __global__ void shuffles(const int *in, int *out) {
  int i = blockIdx.x * blockDim.x + threadIdx.x, v = in[i];
  int *to = out + 8 * i;
  to[0] = __shfl_sync(~0u, v, (i * 7) % 32);
  to[1] = __shfl_up_sync(~0u, v, 3);
  to[2] = __shfl_down_sync(~0u, v, 5);
  to[3] = __shfl_xor_sync(~0u, v, 21);
  to[4] = __shfl_sync(~0u, v, i + 2, 8);
  to[5] = __shfl_up_sync(~0u, v, 2, 8);
  to[6] = __shfl_down_sync(~0u, v, 6, 8);
  to[7] = __shfl_xor_sync(~0u, v, 12, 8);
}

extern "C" __global__ void shuffleDouble(const double *in, double *out) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = __shfl_xor_sync(~0u, in[i], 17) + __shfl_up_sync(~0u, in[i], 1);
}

extern "C" __global__ void votes(const int *in, unsigned *out) {
  int i = blockIdx.x * blockDim.x + threadIdx.x, v = in[i];
  unsigned *to = out + 4 * i;
  to[0] = __all_sync(~0u, v > 10);
  to[1] = __any_sync(~0u, v > 90);
  to[2] = __ballot_sync(~0u, v & 1);
  // The lanes of an odd value only.
  to[3] = 0;
  if (v & 1)
    to[3] = __activemask();
}

extern "C" __global__ void matches(const int *in, unsigned *out) {
  int i = blockIdx.x * blockDim.x + threadIdx.x, all;
  out[3 * i] = __match_any_sync(~0u, in[i] % 5);
  out[3 * i + 1] = __match_all_sync(~0u, blockIdx.x < 2 ? 7 : in[i], &all);
  out[3 * i + 2] = all;
}

// Sorts the 32 values of a warp.
extern "C" __global__ void bitonicWarp(int *data) {
  int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32,
      v = data[i];
  for (int size = 2; size <= 32; size *= 2)
    for (int distance = size / 2; distance > 0; distance /= 2) {
      int other = __shfl_xor_sync(~0u, v, distance);
      bool ascending = (lane & size) == 0, lower = (lane & distance) == 0;
      v = ascending == lower ? min(v, other) : max(v, other);
    }
  data[i] = v;
}

// Nested and unbalanced branches, with votes of the lanes that are left.
extern "C" __global__ void nestedBranches(const int *in, int *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  int v = in[i], result = 0;
  for (int round = 0; round < v % 7; ++round) {
    if (v & 1) {
      if (round == 3)
        break;
      result += v * round;
    } else {
      if ((v >> 1) & 1) {
        result ^= v + round;
        continue;
      }
      result -= round;
    }
    result = result * 3 + 1;
  }
  out[i] = result;
}

// Only a part of the lanes: a mask of the even ones.
extern "C" __global__ void partialMask(const int *in, int *out) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = -1;
  if (i % 2 == 0) {
    int v = in[i];
    for (int offset = 16; offset > 1; offset /= 2)
      v += __shfl_xor_sync(0x55555555, v, offset);
    out[i] = v;
  }
}

// Values pass through shared memory from lane to lane of one warp.
extern "C" __global__ void warpShared(const int *in, int *out) {
  __shared__ int slots[8][32];
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32,
      i = blockIdx.x * blockDim.x + threadIdx.x;
  slots[warp][lane] = in[i];
  __syncwarp();
  int next = slots[warp][(lane + 1) % 32];
  __syncwarp();
  slots[warp][lane] = next * 2;
  __syncwarp();
  out[i] = slots[warp][31 - lane];
}
