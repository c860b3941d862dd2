//===- Matrix.cu - Products of matrices on tensor cores ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <cstdint>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>

using namespace nvcuda;

// One warp a tile of C = A B; A row-major m x k, B column-major k x n.
template <int M, int N, int K, typename In, typename Out,
          typename Fragment = In>
__device__ void wmmaTile(const In *a, const In *b, Out *c, int n, int k) {
  wmma::fragment<wmma::matrix_a, M, N, K, Fragment, wmma::row_major> left;
  wmma::fragment<wmma::matrix_b, M, N, K, Fragment, wmma::col_major> right;
  wmma::fragment<wmma::accumulator, M, N, K, Out> sum;
  wmma::fill_fragment(sum, Out(0));
  int row = blockIdx.y * M, column = blockIdx.x * N;
  for (int start = 0; start < k; start += K) {
    wmma::load_matrix_sync(left, a + row * k + start, k);
    wmma::load_matrix_sync(right, b + column * k + start, k);
    wmma::mma_sync(sum, left, right, sum);
  }
  wmma::store_matrix_sync(c + row * n + column, sum, n, wmma::mem_row_major);
}

extern "C" __global__ void wmmaHalf(const __half *a, const __half *b, float *c,
                                    int n, int k) {
  wmmaTile<16, 16, 16>(a, b, c, n, k);
}
extern "C" __global__ void wmmaHalfWide(const __half *a, const __half *b,
                                        __half *c, int n, int k) {
  wmmaTile<8, 32, 16>(a, b, c, n, k);
}
extern "C" __global__ void wmmaBfloat(const __nv_bfloat16 *a,
                                      const __nv_bfloat16 *b, float *c, int n,
                                      int k) {
  wmmaTile<32, 8, 16>(a, b, c, n, k);
}
extern "C" __global__ void wmmaInt8(const signed char *a, const signed char *b,
                                    int *c, int n, int k) {
  wmmaTile<16, 16, 16>(a, b, c, n, k);
}
extern "C" __global__ void wmmaTf32(const float *a, const float *b, float *c,
                                    int n, int k) {
  wmmaTile<16, 16, 8, float, float, wmma::precision::tf32>(a, b, c, n, k);
}
extern "C" __global__ void wmmaDouble(const double *a, const double *b,
                                      double *c, int n, int k) {
  wmmaTile<8, 8, 4>(a, b, c, n, k);
}

__device__ __forceinline__ unsigned sharedAddress(const void *p) {
  return (unsigned)__cvta_generic_to_shared(p);
}

__device__ __forceinline__ void copy16(unsigned to, const void *from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from)
               : "memory");
}

__device__ __forceinline__ void loadMatrices(unsigned (&r)[4], unsigned at) {
  asm volatile(
      "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
      : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
      : "r"(at)
      : "memory");
}

__device__ __forceinline__ void loadTransposed(unsigned (&r)[4], unsigned at) {
  asm volatile(
      "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
      : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
      : "r"(at)
      : "memory");
}

__device__ __forceinline__ void multiplyBfloat(float (&d)[4],
                                               const unsigned (&a)[4],
                                               unsigned b0, unsigned b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, "
               "%2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// C = A B, all row-major, m and n multiples of 64, k of 32: four warps of
// 32x32, three stages of cp.async, 16-byte chunks exclusive-ored with the row
// against bank conflicts.
extern "C" __global__ void __launch_bounds__(128)
    gemmBfloat(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *c, int n,
               int k) {
  constexpr int stages = 3;
  __shared__ alignas(128) __nv_bfloat16 tileA[stages][64 * 32],
      tileB[stages][32 * 64];
  int t = threadIdx.x, lane = t % 32, warp = t / 32;
  int row0 = blockIdx.y * 64, column0 = blockIdx.x * 64;
  auto chunkA = [](int row, int chunk) {
    return row * 32 + ((chunk ^ (row >> 1 & 3)) * 8);
  };
  auto chunkB = [](int row, int chunk) {
    return row * 64 + ((chunk ^ (row & 7)) * 8);
  };
  auto fetch = [&](int tile) {
    if (tile * 32 < k)
      for (int i = t; i < 256; i += 128) {
        copy16(sharedAddress(&tileA[tile % stages][chunkA(i / 4, i % 4)]),
               a + (size_t)(row0 + i / 4) * k + tile * 32 + i % 4 * 8);
        copy16(sharedAddress(&tileB[tile % stages][chunkB(i / 8, i % 8)]),
               b + (size_t)(tile * 32 + i / 8) * n + column0 + i % 8 * 8);
      }
    asm volatile("cp.async.commit_group;" ::: "memory");
  };
  float sums[2][4][4] = {};
  int warpRow = warp / 2 * 32, warpColumn = warp % 2 * 32;
  fetch(0);
  fetch(1);
  for (int tile = 0; tile * 32 < k; ++tile) {
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    __syncthreads();
    fetch(tile + 2);
    const __nv_bfloat16 *left = tileA[tile % stages],
                        *right = tileB[tile % stages];
    for (int step = 0; step < 2; ++step) {
      unsigned fa[2][4], fb[2][4];
      for (int i = 0; i < 2; ++i) {
        loadMatrices(fa[i],
                     sharedAddress(left + chunkA(warpRow + i * 16 + lane % 16,
                                                 step * 2 + lane / 16)));
        loadTransposed(
            fb[i],
            sharedAddress(right + chunkB(step * 16 + lane % 16,
                                         warpColumn / 8 + i * 2 + lane / 16)));
      }
      for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 4; ++j)
          multiplyBfloat(sums[i][j], fa[i], fb[j / 2][j % 2 * 2],
                         fb[j / 2][j % 2 * 2 + 1]);
    }
  }
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 4; ++j)
      for (int h = 0; h < 2; ++h) {
        int row = row0 + warpRow + i * 16 + lane / 4 + h * 8,
            column = column0 + warpColumn + j * 8 + lane % 4 * 2;
        *(float2 *)(c + (size_t)row * n + column) =
            make_float2(sums[i][j][2 * h], sums[i][j][2 * h + 1]);
      }
}

// One warp, one instruction each, on fragments as they lie in memory: register
// r of lane l at [r * 32 + l].
extern "C" __global__ void mmaInt8(const int *a, const int *b, int *c) {
  int l = threadIdx.x, d[4] = {c[l], c[32 + l], c[64 + l], c[96 + l]};
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, "
               "%3}, {%4, %5, %6, %7}, {%8, %9}, {%0, "
               "%1, %2, %3};"
               : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
               : "r"(a[l]), "r"(a[32 + l]), "r"(a[64 + l]), "r"(a[96 + l]),
                 "r"(b[l]), "r"(b[32 + l]));
  for (int r = 0; r < 4; ++r)
    c[r * 32 + l] = d[r];
}

extern "C" __global__ void mmaTf32(const unsigned *a, const unsigned *b,
                                   float *c) {
  int l = threadIdx.x;
  float d[4] = {c[l], c[32 + l], c[64 + l], c[96 + l]};
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, "
               "%2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, "
               "%1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[l]), "r"(a[32 + l]), "r"(a[64 + l]), "r"(a[96 + l]),
                 "r"(b[l]), "r"(b[32 + l]));
  for (int r = 0; r < 4; ++r)
    c[r * 32 + l] = d[r];
}

// Attention of one head, 64 queries a block and tiles of 64 keys, head of 64:
// scores, running maximum, values; the probabilities pass from the sums of one
// product to the fragments of the next.
extern "C" __global__ void __launch_bounds__(128)
    attention(const __nv_bfloat16 *q, const __nv_bfloat16 *k,
              const __nv_bfloat16 *v, float *out, int keys, float scale) {
  __shared__ alignas(128) __nv_bfloat16 tileQ[64 * 72], tileK[64 * 72],
      tileV[64 * 72];
  int t = threadIdx.x, lane = t % 32, warp = t / 32;
  for (int i = t; i < 512; i += 128)
    *(uint4 *)&tileQ[i / 8 * 72 + i % 8 * 8] =
        *(const uint4 *)&q[(blockIdx.x * 64 + i / 8) * 64 + i % 8 * 8];
  __syncthreads();
  unsigned queries[4][4];
  for (int i = 0; i < 4; ++i)
    loadMatrices(
        queries[i],
        sharedAddress(
            &tileQ[(warp * 16 + lane % 16) * 72 + i * 16 + lane / 16 * 8]));
  float sums[8][4] = {}, most[2] = {-1e30f, -1e30f}, total[2] = {};
  for (int start = 0; start < keys; start += 64) {
    __syncthreads();
    for (int i = t; i < 512; i += 128) {
      *(uint4 *)&tileK[i / 8 * 72 + i % 8 * 8] =
          *(const uint4 *)&k[(start + i / 8) * 64 + i % 8 * 8];
      *(uint4 *)&tileV[i / 8 * 72 + i % 8 * 8] =
          *(const uint4 *)&v[(start + i / 8) * 64 + i % 8 * 8];
    }
    __syncthreads();
    float scores[8][4] = {};
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 4; ++j) {
        unsigned f[4];
        loadMatrices(
            f, sharedAddress(
                   &tileK[(j * 16 + lane % 16) * 72 + i * 16 + lane / 16 * 8]));
        multiplyBfloat(scores[2 * j], queries[i], f[0], f[2]);
        multiplyBfloat(scores[2 * j + 1], queries[i], f[1], f[3]);
      }
    for (int h = 0; h < 2; ++h) {
      float largest = most[h];
      for (int j = 0; j < 8; ++j)
        largest = fmaxf(largest, fmaxf(scores[j][2 * h], scores[j][2 * h + 1]));
      largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, 1));
      largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, 2));
      float shrink = exp2f((most[h] - largest) * scale), sum = 0;
      most[h] = largest;
      for (int j = 0; j < 8; ++j)
        for (int e = 2 * h; e < 2 * h + 2; ++e) {
          scores[j][e] = exp2f((scores[j][e] - largest) * scale);
          sum += scores[j][e];
          sums[j][e] *= shrink;
        }
      total[h] = total[h] * shrink + sum;
    }
    for (int i = 0; i < 4; ++i) {
      unsigned p[4];
      for (int r = 0; r < 4; ++r) {
        __nv_bfloat162 pair =
            __floats2bfloat162_rn(scores[2 * i + r / 2][r % 2 * 2],
                                  scores[2 * i + r / 2][r % 2 * 2 + 1]);
        p[r] = *(unsigned *)&pair;
      }
      for (int j = 0; j < 4; ++j) {
        unsigned f[4];
        loadTransposed(
            f, sharedAddress(
                   &tileV[(i * 16 + lane % 16) * 72 + j * 16 + lane / 16 * 8]));
        multiplyBfloat(sums[2 * j], p, f[0], f[1]);
        multiplyBfloat(sums[2 * j + 1], p, f[2], f[3]);
      }
    }
  }
  for (int h = 0; h < 2; ++h) {
    total[h] += __shfl_xor_sync(~0u, total[h], 1);
    total[h] += __shfl_xor_sync(~0u, total[h], 2);
    int row = blockIdx.x * 64 + warp * 16 + lane / 4 + h * 8;
    for (int j = 0; j < 8; ++j)
      *(float2 *)&out[row * 64 + j * 8 + lane % 4 * 2] =
          make_float2(sums[j][2 * h] / total[h], sums[j][2 * h + 1] / total[h]);
  }
}
