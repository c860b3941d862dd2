//===- Shared.cu - Blocks that work together in shared memory ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// 32x32 tiles with a column of padding; blocks of 32x8 threads.
extern "C" __global__ void transpose(const float *in, float *out, int width,
                                     int height) {
  __shared__ float tile[32][33];
  int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
  for (int k = 0; k < 32; k += 8)
    if (x < width && y + k < height)
      tile[threadIdx.y + k][threadIdx.x] = in[(y + k) * width + x];
  __syncthreads();
  x = blockIdx.y * 32 + threadIdx.x;
  y = blockIdx.x * 32 + threadIdx.y;
  for (int k = 0; k < 32; k += 8)
    if (x < height && y + k < width)
      out[(y + k) * height + x] = tile[threadIdx.x][threadIdx.y + k];
}

// A tile and its halo; blocks of 128.
extern "C" __global__ void stencil(const int *in, int *out, int n) {
  __shared__ int tile[128 + 2 * 3];
  int i = blockIdx.x * 128 + threadIdx.x;
  tile[threadIdx.x + 3] = i < n ? in[i] : 0;
  if (threadIdx.x < 3) {
    tile[threadIdx.x] = i >= 3 ? in[i - 3] : 0;
    tile[threadIdx.x + 131] = i + 128 < n ? in[i + 128] : 0;
  }
  __syncthreads();
  int sum = 0;
  for (int k = 0; k < 7; ++k)
    sum += (k + 1) * tile[threadIdx.x + k];
  if (i < n)
    out[i] = sum;
}

// C = A B by tiles of 16x16, all sizes multiples of 16.
template <typename T>
__device__ void multiplyTiled(const T *a, const T *b, T *c, int n, int k) {
  __shared__ T tileA[16][16], tileB[16][16];
  int row = blockIdx.y * 16 + threadIdx.y,
      column = blockIdx.x * 16 + threadIdx.x;
  T sum = 0;
  for (int start = 0; start < k; start += 16) {
    tileA[threadIdx.y][threadIdx.x] = a[row * k + start + threadIdx.x];
    tileB[threadIdx.y][threadIdx.x] = b[(start + threadIdx.y) * n + column];
    __syncthreads();
    for (int i = 0; i < 16; ++i)
      sum += tileA[threadIdx.y][i] * tileB[i][threadIdx.x];
    __syncthreads();
  }
  c[row * n + column] = sum;
}
extern "C" __global__ void matmulFloat(const float *a, const float *b, float *c,
                                       int n, int k) {
  multiplyTiled(a, b, c, n, k);
}
extern "C" __global__ void matmulDouble(const double *a, const double *b,
                                        double *c, int n, int k) {
  multiplyTiled(a, b, c, n, k);
}
extern "C" __global__ void matmulInt(const int *a, const int *b, int *c, int n,
                                     int k) {
  multiplyTiled(a, b, c, n, k);
}

// Sorts 512 keys a block of 256 threads.
extern "C" __global__ void bitonicBlock(unsigned *keys) {
  __shared__ unsigned shared[512];
  unsigned *block = keys + blockIdx.x * 512;
  shared[threadIdx.x] = block[threadIdx.x];
  shared[threadIdx.x + 256] = block[threadIdx.x + 256];
  for (unsigned size = 2; size <= 512; size *= 2)
    for (unsigned distance = size / 2; distance > 0; distance /= 2) {
      __syncthreads();
      unsigned at = 2 * threadIdx.x - (threadIdx.x & (distance - 1));
      bool ascending = (at & size) == 0;
      unsigned a = shared[at], b = shared[at + distance];
      if ((a > b) == ascending) {
        shared[at] = b;
        shared[at + distance] = a;
      }
    }
  __syncthreads();
  block[threadIdx.x] = shared[threadIdx.x];
  block[threadIdx.x + 256] = shared[threadIdx.x + 256];
}

// Barriers that count, and that tell whether all or any agree.
extern "C" __global__ void countingBarriers(const int *in, int *out) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  out[3 * i] = __syncthreads_count(in[i] > 50);
  out[3 * i + 1] = __syncthreads_and(in[i] > 2);
  out[3 * i + 2] = __syncthreads_or(in[i] > 97);
}

// Producers and consumers meet at barriers of their own; 64 + 64 threads.
extern "C" __global__ void namedBarriers(const int *in, int *out, int rounds) {
  __shared__ int buffer[2][64];
  int lane = threadIdx.x % 64;
  if (threadIdx.x < 64) {
    for (int r = 0; r < rounds; ++r) {
      asm volatile("bar.sync %0, 128;" ::"r"(3 + r % 2)
                   : "memory"); // The buffer is free.
      buffer[r % 2][lane] = in[r * 64 + lane] * 2;
      __threadfence_block();
      asm volatile("bar.arrive %0, 128;" ::"r"(1 + r % 2)
                   : "memory"); // The buffer is full.
    }
    return;
  }
  int sum = 0;
  asm volatile("bar.arrive 3, 128;" ::: "memory");
  asm volatile("bar.arrive 4, 128;" ::: "memory");
  for (int r = 0; r < rounds; ++r) {
    asm volatile("bar.sync %0, 128;" ::"r"(1 + r % 2) : "memory");
    sum = sum * 3 + buffer[r % 2][63 - lane];
    if (r + 2 < rounds)
      asm volatile("bar.arrive %0, 128;" ::"r"(3 + r % 2) : "memory");
  }
  out[lane] = sum;
}

// More shared memory than 48 KiB, which the host must allow.
extern "C" __global__ void reverseLarge(const int *in, int *out, int n) {
  extern __shared__ int large[];
  for (int i = threadIdx.x; i < n; i += blockDim.x)
    large[i] = in[i];
  __syncthreads();
  for (int i = threadIdx.x; i < n; i += blockDim.x)
    out[i] = large[n - 1 - i];
}
