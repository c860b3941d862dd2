//===- Hopper.cu - Tensor copies and warp-group products (sm_90a) --------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <cstdint>
#include <cuda.h>
#include <cuda_bf16.h>

__device__ __forceinline__ unsigned sharedAddress(const void *p) {
  return (unsigned)__cvta_generic_to_shared(p);
}

__device__ __forceinline__ void barrierInit(uint64_t *barrier, unsigned count) {
  asm volatile(
      "mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(sharedAddress(barrier)),
      "r"(count)
      : "memory");
}

__device__ __forceinline__ void barrierExpect(uint64_t *barrier,
                                              unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
                   sharedAddress(barrier)),
               "r"(bytes)
               : "memory");
}

__device__ __forceinline__ void barrierArrive(uint64_t *barrier) {
  asm volatile(
      "mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(sharedAddress(barrier))
      : "memory");
}

__device__ __forceinline__ void barrierWait(uint64_t *barrier,
                                            unsigned parity) {
  asm volatile("{\n\t.reg .pred done;\n\tagain:\n\t"
               "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n\t"
               "@done bra finished;\n\tbra again;\n\tfinished:\n\t}" ::"r"(
                   sharedAddress(barrier)),
               "r"(parity)
               : "memory");
}

__device__ __forceinline__ void loadTile(void *to, const CUtensorMap *map,
                                         int x, int y, uint64_t *barrier) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::"
               "complete_tx::bytes [%0], [%1, {%2, "
               "%3}], [%4];" ::"r"(sharedAddress(to)),
               "l"(map), "r"(x), "r"(y), "r"(sharedAddress(barrier))
               : "memory");
}

__device__ __forceinline__ void storeTile(const CUtensorMap *map, int x, int y,
                                          const void *from) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, "
               "{%1, %2}], [%3];" ::"l"(map),
               "r"(x), "r"(y), "r"(sharedAddress(from))
               : "memory");
}

// Loads a tile by tensor map, adds one, stores it by another: parts outside of
// the tensor read as zeros and are not written. Tiles of 16 x 32 floats,
// without a swizzle.
extern "C" __global__ void tensorCopy(const __grid_constant__ CUtensorMap in,
                                      const __grid_constant__ CUtensorMap out) {
  __shared__ alignas(128) float tile[16 * 32];
  __shared__ alignas(8) uint64_t barrier;
  int x = blockIdx.x * 32, y = blockIdx.y * 16;
  if (threadIdx.x == 0) {
    barrierInit(&barrier, 1);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    barrierExpect(&barrier, sizeof(tile));
    loadTile(tile, &in, x, y, &barrier);
  }
  barrierWait(&barrier, 0);
  for (int i = threadIdx.x; i < 16 * 32; i += blockDim.x)
    tile[i] += 1;
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();
  if (threadIdx.x == 0) {
    storeTile(&out, x, y, tile);
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
    asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
  }
}

// Bulk copies of contiguous bytes, in and out, in rounds of 1024 with two
// phases of one barrier.
extern "C" __global__ void bulkCopy(const int *in, int *out, int rounds) {
  __shared__ alignas(16) int buffer[256];
  __shared__ alignas(8) uint64_t barrier;
  if (threadIdx.x == 0) {
    barrierInit(&barrier, 1);
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  }
  __syncthreads();
  for (int r = 0; r < rounds; ++r) {
    if (threadIdx.x == 0) {
      barrierExpect(&barrier, 1024);
      asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx:"
                   ":bytes [%0], [%1], %2, [%3];" ::"r"(sharedAddress(buffer)),
                   "l"(in + r * 256), "r"(1024), "r"(sharedAddress(&barrier))
                   : "memory");
    }
    barrierWait(&barrier, r & 1);
    for (int i = threadIdx.x; i < 256; i += blockDim.x)
      buffer[i] = buffer[i] * 3 + r;
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    if (threadIdx.x == 0) {
      asm volatile(
          "cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(
              out + r * 256),
          "r"(sharedAddress(buffer)), "r"(1024)
          : "memory");
      asm volatile("cp.async.bulk.commit_group;" ::: "memory");
      asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
    }
    __syncthreads();
  }
}

// The matrix descriptor of a tile of rows of 128 bytes with the 128-byte
// swizzle: 8 rows are 1024 bytes.
__device__ __forceinline__ uint64_t describe(const void *tile) {
  uint64_t at = sharedAddress(tile);
  return (at & 0x3ffff) >> 4 | 1ull << 16 | (uint64_t)(1024 >> 4) << 32 |
         1ull << 62;
}

// C = A B with A row-major m x k and B column-major (n x k), m and n multiples
// of 64, k of 64: one producer warp fills a ring of three stages by tensor
// copies, a warp group multiplies m64n64k16.
extern "C" __global__ void __launch_bounds__(256)
    gemmWarpGroup(const __grid_constant__ CUtensorMap mapA,
                  const __grid_constant__ CUtensorMap mapB, float *c, int n,
                  int k) {
  constexpr int stages = 3, bytes = 64 * 64 * 2;
  extern __shared__ unsigned char raw[];
  unsigned char *tiles = raw + (1024 - (sharedAddress(raw) & 1023)) % 1024;
  __shared__ alignas(8) uint64_t full[stages], empty[stages];
  if (threadIdx.x == 0) {
    for (int s = 0; s < stages; ++s) {
      barrierInit(&full[s], 1);
      barrierInit(&empty[s], 128);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  }
  __syncthreads();
  int row0 = blockIdx.y * 64, column0 = blockIdx.x * 64, steps = k / 64;
  if (threadIdx.x >= 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x == 128)
      for (int step = 0; step < steps; ++step) {
        int s = step % stages;
        if (step >= stages)
          barrierWait(&empty[s], (step / stages - 1) & 1);
        barrierExpect(&full[s], 2 * bytes);
        loadTile(tiles + s * 2 * bytes, &mapA, step * 64, row0, &full[s]);
        loadTile(tiles + s * 2 * bytes + bytes, &mapB, step * 64, column0,
                 &full[s]);
      }
    return;
  }
  asm volatile("setmaxnreg.inc.sync.aligned.u32 216;");
  float d[32];
  for (int i = 0; i < 32; ++i)
    d[i] = 0;
  for (int step = 0; step < steps; ++step) {
    int s = step % stages;
    barrierWait(&full[s], step / stages & 1);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
    for (int slice = 0; slice < 4; ++slice) {
      uint64_t a = describe(tiles + s * 2 * bytes + slice * 32),
               b = describe(tiles + s * 2 * bytes + bytes + slice * 32);
      asm volatile(
          "{\n\t.reg .pred accumulate;\n\tsetp.ne.b32 accumulate, %34, 0;\n\t"
          "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
          "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, "
          "%15, %16, %17, %18, %19, %20, "
          "%21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, %32, %33, "
          "accumulate, 1, 1, 0, 0;\n\t}"
          : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]),
            "+f"(d[5]), "+f"(d[6]), "+f"(d[7]), "+f"(d[8]), "+f"(d[9]),
            "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]),
            "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]),
            "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]),
            "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]),
            "+f"(d[30]), "+f"(d[31])
          : "l"(a), "l"(b), "r"(step + slice)
          : "memory");
    }
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
    barrierArrive(&empty[s]);
  }
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int j = 0; j < 8; ++j)
    for (int h = 0; h < 2; ++h) {
      int row = row0 + warp * 16 + lane / 4 + h * 8,
          column = column0 + j * 8 + lane % 4 * 2;
      *(float2 *)(c + (size_t)row * n + column) =
          make_float2(d[j * 4 + 2 * h], d[j * 4 + 2 * h + 1]);
    }
}

// Clusters: the barrier of the cluster, its registers; one warp elects a lane.
extern "C" __global__ void clusterRegisters(unsigned *out) {
  unsigned rank, blocks, elected;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(blocks));
  asm volatile("barrier.cluster.arrive.aligned;" ::: "memory");
  asm volatile("barrier.cluster.wait.aligned;" ::: "memory");
  asm volatile("{\n\t.reg .pred p;\n\telect.sync _|p, 0xffffffff;\n\tselp.u32 "
               "%0, 1, 0, p;\n\t}"
               : "=r"(elected));
  out[3 * (blockIdx.x * 32 + threadIdx.x)] = rank;
  out[3 * (blockIdx.x * 32 + threadIdx.x) + 1] = blocks;
  out[3 * (blockIdx.x * 32 + threadIdx.x) + 2] = elected;
}

// Four 8x8 matrices of 16 bits from registers to shared memory, plain and
// transposed.
extern "C" __global__ void storeMatrices(const unsigned *in, unsigned *out) {
  __shared__ alignas(16) unsigned plain[128], transposed[128];
  int l = threadIdx.x;
  unsigned r[4] = {in[l], in[32 + l], in[64 + l], in[96 + l]};
  asm volatile(
      "stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(
          sharedAddress(&plain[4 * l])),
      "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
      : "memory");
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, "
               "%3, %4};" ::"r"(sharedAddress(&transposed[4 * l])),
               "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
               : "memory");
  __syncwarp();
  for (int i = l; i < 128; i += 32) {
    out[i] = plain[i];
    out[128 + i] = transposed[i];
  }
}
