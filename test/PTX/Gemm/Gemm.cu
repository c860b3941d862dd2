//===- Gemm.cu - A tensor-core product in the style of sm_80 --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// C (m x n) = A (m x k) * B (n x k)^T in bf16 with f32 sums: 128x128x32 tiles,
// four warps, three stages of cp.async, ldmatrix from rows whose 16-byte pieces
// are exchanged by xor, mma.sync.m16n8k16. Made into Gemm.ptx by
//   nvcc -arch=sm_80 -ptx -O3 Gemm.cu
//
//===----------------------------------------------------------------------===//

#include <cuda_bf16.h>

namespace {

constexpr int tile = 128, depth = 32, stages = 3, threads = 128;
/// Bytes of a stage of one operand.
constexpr int stageBytes = tile * depth * 2;

/// The offset of 16-byte piece `piece` of a row: rows have 64 bytes, four
/// pieces, which are exchanged by bits of the row's number.
__device__ int offsetOf(int row, int piece) {
  return row * 64 + ((piece ^ (row >> 1 & 3)) << 4);
}

__device__ void copy16(unsigned to, const void *from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from));
}

__device__ void load(unsigned (&r)[4], unsigned from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(from));
}

__device__ void multiply(float (&d)[4], const unsigned (&a)[4], unsigned b0,
                         unsigned b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
               "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// Brings one stage: each thread copies four pieces of A and four of B.
__device__ void fetch(unsigned shared, int stage, const __nv_bfloat16 *a,
                      const __nv_bfloat16 *b, int k, int step) {
  unsigned toA = shared + stage * 2 * stageBytes, toB = toA + stageBytes;
  for (int i = 0; i < 4; ++i) {
    int piece = threadIdx.x + i * threads, row = piece / 4, column = piece % 4;
    copy16(toA + offsetOf(row, column), a + row * k + step * depth + column * 8);
    copy16(toB + offsetOf(row, column), b + row * k + step * depth + column * 8);
  }
}

} // namespace

extern "C" __global__ void __launch_bounds__(threads)
    gemm(const __nv_bfloat16 *a, const __nv_bfloat16 *b, __nv_bfloat16 *c,
         int n, int k) {
  __shared__ __align__(128) unsigned char memory[stages * 2 * stageBytes];
  unsigned shared = unsigned(__cvta_generic_to_shared(memory));
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int rowOfWarp = warp / 2 * 64, columnOfWarp = warp % 2 * 64;
  a += size_t(blockIdx.y) * tile * k;
  b += size_t(blockIdx.x) * tile * k;
  int steps = k / depth;
  for (int s = 0; s < stages - 1; ++s) {
    if (s < steps)
      fetch(shared, s, a, b, k, s);
    asm volatile("cp.async.commit_group;");
  }
  float sums[4][8][4] = {};
  for (int step = 0; step < steps; ++step) {
    asm volatile("cp.async.wait_group 1;");
    __syncthreads();
    int next = step + stages - 1;
    if (next < steps)
      fetch(shared, next % stages, a, b, k, next);
    asm volatile("cp.async.commit_group;");
    unsigned fromA = shared + step % stages * 2 * stageBytes;
    unsigned fromB = fromA + stageBytes;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      unsigned left[4][4], right[4][4];
      for (int i = 0; i < 4; ++i) {
        int row = rowOfWarp + i * 16 + lane % 16;
        load(left[i], fromA + offsetOf(row, half * 2 + lane / 16));
      }
      for (int j = 0; j < 4; ++j) {
        int row = columnOfWarp + j * 16 + lane % 8 + lane / 16 * 8;
        load(right[j], fromB + offsetOf(row, half * 2 + lane / 8 % 2));
      }
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 8; ++j)
          multiply(sums[i][j], left[i], right[j / 2][j % 2 * 2],
                   right[j / 2][j % 2 * 2 + 1]);
    }
  }
  int row = blockIdx.y * tile + rowOfWarp + lane / 4;
  int column = blockIdx.x * tile + columnOfWarp + lane % 4 * 2;
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 8; ++j)
      for (int half = 0; half < 2; ++half) {
        auto pair = __floats2bfloat162_rn(sums[i][j][half * 2],
                                          sums[i][j][half * 2 + 1]);
        size_t at = size_t(row + i * 16 + half * 8) * n + column + j * 8;
        *reinterpret_cast<__nv_bfloat162 *>(c + at) = pair;
      }
}
