//===- Half.cu - Numbers of 16 and 8 bits --------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <cstdint>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#define INDEX_OR_RETURN                                                        \
  int i = blockIdx.x * blockDim.x + threadIdx.x;                               \
  if (i >= n)                                                                  \
  return

// Each result is rounded once to the type.
extern "C" __global__ void halfArithmetic(const __half *a, const __half *b,
                                          const __half *c, __half *out, int n) {
  INDEX_OR_RETURN;
  __half *to = out + 6 * i;
  to[0] = __hadd_rn(a[i], b[i]), to[1] = __hsub_rn(a[i], b[i]),
  to[2] = __hmul_rn(a[i], b[i]);
  to[3] = __hfma(a[i], b[i], c[i]), to[4] = __hneg(a[i]), to[5] = __habs(b[i]);
}

extern "C" __global__ void halfPairs(const __half2 *a, const __half2 *b,
                                     const __half2 *c, __half2 *out, int n) {
  INDEX_OR_RETURN;
  __half2 *to = out + 6 * i;
  to[0] = __hadd2_rn(a[i], b[i]), to[1] = __hmul2_rn(a[i], b[i]),
  to[2] = __hfma2(a[i], b[i], c[i]);
  to[3] = __hfma2_relu(a[i], b[i], c[i]), to[4] = __hmin2(a[i], b[i]),
  to[5] = __hmax2(a[i], b[i]);
}

extern "C" __global__ void halfCompare(const __half *a, const __half *b,
                                       unsigned *out, int n) {
  INDEX_OR_RETURN;
  out[i] = __hlt(a[i], b[i]) | __hle(a[i], b[i]) << 1 | __heq(a[i], b[i]) << 2 |
           __hne(a[i], b[i]) << 3 | __hgtu(a[i], b[i]) << 4 |
           __hisnan(a[i]) << 5;
}

// float and integers to half in all roundings, and back.
extern "C" __global__ void halfConvert(const float *a, __half *out, int *whole,
                                       float *back, int n) {
  INDEX_OR_RETURN;
  out[5 * i] = __float2half_rn(a[i]), out[5 * i + 1] = __float2half_rz(a[i]);
  out[5 * i + 2] = __float2half_ru(a[i]),
              out[5 * i + 3] = __float2half_rd(a[i]);
  out[5 * i + 4] = __int2half_rn((int)a[i]);
  whole[2 * i] = __half2int_rz(out[5 * i]),
            whole[2 * i + 1] = __half2short_rn(out[5 * i]);
  back[i] = __half2float(out[5 * i]);
}

extern "C" __global__ void halfFunctions(const __half *a, __half *out, int n) {
  INDEX_OR_RETURN;
  __half *to = out + 6 * i;
  to[0] = hexp(a[i]), to[1] = hlog(a[i]), to[2] = hsqrt(a[i]),
  to[3] = hrcp(a[i]), to[4] = hfloor(a[i]), to[5] = hsin(a[i]);
}

extern "C" __global__ void bfloatArithmetic(const __nv_bfloat16 *a,
                                            const __nv_bfloat16 *b,
                                            const __nv_bfloat16 *c,
                                            __nv_bfloat16 *out, int n) {
  INDEX_OR_RETURN;
  __nv_bfloat16 *to = out + 6 * i;
  to[0] = __hadd_rn(a[i], b[i]), to[1] = __hsub_rn(a[i], b[i]),
  to[2] = __hmul_rn(a[i], b[i]);
  to[3] = __hfma(a[i], b[i], c[i]), to[4] = __hmax(a[i], b[i]),
  to[5] = __hmin(a[i], b[i]);
}

extern "C" __global__ void bfloatConvert(const float *a, __nv_bfloat16 *out,
                                         __nv_bfloat162 *pairs, float *back,
                                         int n) {
  INDEX_OR_RETURN;
  out[2 * i] = __float2bfloat16_rn(a[i]),
          out[2 * i + 1] = __float2bfloat16_rz(a[i]);
  pairs[i] = __floats2bfloat162_rn(a[i], a[n - 1 - i]);
  back[i] = __bfloat162float(out[2 * i]);
}

// Multiply-add of pairs in a loop, as a product of matrices and vectors does
// it.
extern "C" __global__ void bfloatRows(const __nv_bfloat162 *matrix,
                                      const __nv_bfloat162 *vector, float *out,
                                      int pairs) {
  int row = blockIdx.x, lane = threadIdx.x;
  float sum = 0;
  for (int k = lane; k < pairs; k += 32) {
    float2 m = __bfloat1622float2(matrix[row * pairs + k]),
           v = __bfloat1622float2(vector[k]);
    sum = fmaf(m.x, v.x, fmaf(m.y, v.y, sum));
  }
  for (int offset = 16; offset > 0; offset /= 2)
    sum += __shfl_xor_sync(~0u, sum, offset);
  if (lane == 0)
    out[row] = sum;
}

// Eight bits, both formats, to and from float; saturated to the largest number.
extern "C" __global__ void eightBits(const float *a, uint8_t *e4m3,
                                     uint8_t *e5m2, float *back, int n) {
  INDEX_OR_RETURN;
  __nv_fp8_e4m3 x(a[i]);
  __nv_fp8_e5m2 y(a[i]);
  e4m3[i] = x.__x, e5m2[i] = y.__x;
  back[2 * i] = float(x), back[2 * i + 1] = float(y);
}

extern "C" __global__ void eightBitPairs(const float2 *a, uint16_t *e4m3,
                                         uint16_t *e5m2, __half2 *back, int n) {
  INDEX_OR_RETURN;
  e4m3[i] = __nv_cvt_float2_to_fp8x2(a[i], __NV_SATFINITE, __NV_E4M3);
  e5m2[i] = __nv_cvt_float2_to_fp8x2(a[i], __NV_SATFINITE, __NV_E5M2);
  back[2 * i] = __half2(__nv_cvt_fp8x2_to_halfraw2(e4m3[i], __NV_E4M3));
  back[2 * i + 1] = __half2(__nv_cvt_fp8x2_to_halfraw2(e5m2[i], __NV_E5M2));
}
