//===- Float.cu - Floating-point arithmetic and functions ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <cstdint>

#define INDEX_OR_RETURN                                                        \
  int i = blockIdx.x * blockDim.x + threadIdx.x;                               \
  if (i >= n)                                                                  \
  return

// IEEE operations in all four roundings: add, multiply, fused multiply-add,
// divide, square root.
extern "C" __global__ void roundings(const float *a, const float *b,
                                     const float *c, float *out, int n) {
  INDEX_OR_RETURN;
  float x = a[i], y = b[i], z = c[i], *to = out + 20 * i;
  to[0] = __fadd_rn(x, y), to[1] = __fadd_rz(x, y), to[2] = __fadd_ru(x, y),
  to[3] = __fadd_rd(x, y);
  to[4] = __fmul_rn(x, y), to[5] = __fmul_rz(x, y), to[6] = __fmul_ru(x, y),
  to[7] = __fmul_rd(x, y);
  to[8] = __fmaf_rn(x, y, z), to[9] = __fmaf_rz(x, y, z),
  to[10] = __fmaf_ru(x, y, z), to[11] = __fmaf_rd(x, y, z);
  to[12] = __fdiv_rn(x, y), to[13] = __fdiv_rz(x, y), to[14] = __fdiv_ru(x, y),
  to[15] = __fdiv_rd(x, y);
  x = fabsf(x);
  to[16] = __fsqrt_rn(x), to[17] = __fsqrt_rz(x), to[18] = __fsqrt_ru(x),
  to[19] = __fsqrt_rd(x);
}

extern "C" __global__ void roundingsDouble(const double *a, const double *b,
                                           const double *c, double *out,
                                           int n) {
  INDEX_OR_RETURN;
  double x = a[i], y = b[i], z = c[i], *to = out + 20 * i;
  to[0] = __dadd_rn(x, y), to[1] = __dadd_rz(x, y), to[2] = __dadd_ru(x, y),
  to[3] = __dadd_rd(x, y);
  to[4] = __dmul_rn(x, y), to[5] = __dmul_rz(x, y), to[6] = __dmul_ru(x, y),
  to[7] = __dmul_rd(x, y);
  to[8] = __fma_rn(x, y, z), to[9] = __fma_rz(x, y, z),
  to[10] = __fma_ru(x, y, z), to[11] = __fma_rd(x, y, z);
  to[12] = __ddiv_rn(x, y), to[13] = __ddiv_rz(x, y), to[14] = __ddiv_ru(x, y),
  to[15] = __ddiv_rd(x, y);
  x = fabs(x);
  to[16] = __dsqrt_rn(x), to[17] = __dsqrt_rz(x), to[18] = __dsqrt_ru(x),
  to[19] = __dsqrt_rd(x);
}

// Floats to integers in all roundings, saturated where they do not fit.
extern "C" __global__ void toIntegers(const float *a, const double *b, int *out,
                                      long long *wide, int n) {
  INDEX_OR_RETURN;
  float x = a[i];
  out[6 * i] = __float2int_rn(x), out[6 * i + 1] = __float2int_rz(x);
  out[6 * i + 2] = __float2int_ru(x), out[6 * i + 3] = __float2int_rd(x);
  out[6 * i + 4] = (int)__float2uint_rn(x),
              out[6 * i + 5] = __double2int_rz(b[i]);
  wide[4 * i] = __float2ll_rn(x), wide[4 * i + 1] = __double2ll_rd(b[i]);
  wide[4 * i + 2] = (long long)__double2ull_ru(b[i]),
               wide[4 * i + 3] = (long long)__float2ull_rz(x);
}

// Integers to floats in all roundings, and between the float types.
extern "C" __global__ void fromIntegers(const long long *a, const double *b,
                                        float *out, double *wide, int n) {
  INDEX_OR_RETURN;
  long long x = a[i];
  float *to = out + 10 * i;
  to[0] = __int2float_rn((int)x), to[1] = __int2float_rz((int)x),
  to[2] = __ll2float_ru(x), to[3] = __ll2float_rd(x);
  to[4] = __ull2float_rn((unsigned long long)x),
  to[5] = __uint2float_rz((unsigned)x);
  to[6] = __double2float_rn(b[i]), to[7] = __double2float_rz(b[i]),
  to[8] = __double2float_ru(b[i]), to[9] = __double2float_rd(b[i]);
  wide[3 * i] = __ll2double_rn(x),
           wide[3 * i + 1] = __ull2double_rd((unsigned long long)x);
  wide[3 * i + 2] = to[6];
}

// Rounding to whole numbers, remainders, scaling, neighbours.
extern "C" __global__ void wholeNumbers(const float *a, const float *b,
                                        float *out, int n) {
  INDEX_OR_RETURN;
  float *to = out + 10 * i, x = a[i];
  to[0] = floorf(x), to[1] = ceilf(x), to[2] = truncf(x), to[3] = rintf(x),
  to[4] = roundf(x);
  to[5] = fmodf(x, b[i]), to[6] = ldexpf(x, i % 40 - 20),
  to[7] = copysignf(x, b[i]);
  to[8] = nextafterf(x, b[i]), to[9] = remainderf(x, b[i]);
}

// Comparisons with numbers and with NaN; minima and maxima that ignore it.
extern "C" __global__ void comparisons(const float *a, const float *b,
                                       unsigned *out, float *values, int n) {
  INDEX_OR_RETURN;
  float x = a[i], y = b[i];
  out[i] = (x < y) | (x <= y) << 1 | (x > y) << 2 | (x >= y) << 3 |
           (x == y) << 4 | (x != y) << 5 | (!(x < y)) << 6 | (!(x > y)) << 7 |
           (bool)isnan(x) << 8 | (bool)isinf(y) << 9 | (bool)signbit(x) << 10 |
           (isnan(x) || isnan(y)) << 11;
  values[3 * i] = fminf(x, y), values[3 * i + 1] = fmaxf(x, y),
             values[3 * i + 2] = fdimf(x, y);
}

// Subnormal numbers are kept: nvcc's default.
extern "C" __global__ void subnormals(const float *a, float *out, int n) {
  INDEX_OR_RETURN;
  out[4 * i] = a[i] * 0x1p-10f;
  out[4 * i + 1] = a[i] * 0x1p-20f + a[i] * 0x1p-12f;
  out[4 * i + 2] = fmaf(a[i], 0x1p-18f, 0x1p-149f);
  out[4 * i + 3] = a[i] * 0x1p-30f / 0x1p-4f;
}

// The accurate functions of single precision: eight a kernel.
extern "C" __global__ void trigonometry(const float *a, float *out, int n) {
  INDEX_OR_RETURN;
  float *to = out + 8 * i, x = a[i];
  to[0] = sinf(x), to[1] = cosf(x), to[2] = tanf(x), to[3] = atanf(x);
  sincosf(x, to + 4, to + 5);
  to[6] = atan2f(x, 1.5f), to[7] = sinpif(x);
}

extern "C" __global__ void exponentials(const float *a, float *out, int n) {
  INDEX_OR_RETURN;
  float *to = out + 8 * i, x = a[i];
  to[0] = expf(x), to[1] = exp2f(x), to[2] = expm1f(x), to[3] = tanhf(x);
  to[4] = sinhf(x), to[5] = erff(x), to[6] = 1.0f / (1.0f + expf(-x)),
  to[7] = exp10f(x);
}

extern "C" __global__ void logarithms(const float *a, float *out, int n) {
  INDEX_OR_RETURN;
  float *to = out + 8 * i, x = a[i];
  to[0] = logf(x), to[1] = log2f(x), to[2] = log10f(x), to[3] = log1pf(x);
  to[4] = rsqrtf(x), to[5] = cbrtf(x), to[6] = powf(x, 1.7f), to[7] = 1.0f / x;
}

extern "C" __global__ void functionsDouble(const double *a, double *out,
                                           int n) {
  INDEX_OR_RETURN;
  double *to = out + 8 * i, x = a[i];
  to[0] = sin(x), to[1] = cos(x), to[2] = exp(-x), to[3] = log(x);
  to[4] = pow(x, 0.3), to[5] = tanh(x), to[6] = rsqrt(x), to[7] = atan(x);
}

// The fast functions: one instruction of the special function unit, or two.
extern "C" __global__ void fastFunctions(const float *a, float *out, int n) {
  INDEX_OR_RETURN;
  float *to = out + 8 * i, x = a[i];
  to[0] = __sinf(x), to[1] = __cosf(x), to[2] = __expf(x), to[3] = __logf(x);
  to[4] = __fdividef(x, 3.7f), to[5] = __frsqrt_rn(x), to[6] = __log2f(x);
  asm("tanh.approx.f32 %0, %1;" : "=f"(to[7]) : "f"(x));
}

// Polynomials and sums with compensation: the order of operations is kept.
extern "C" __global__ void compensatedSum(const float *in, float *out, int n,
                                          int length) {
  INDEX_OR_RETURN;
  float sum = 0, rest = 0;
  for (int k = 0; k < length; ++k) {
    float y = __fsub_rn(in[i * length + k], rest), t = __fadd_rn(sum, y);
    rest = __fsub_rn(__fsub_rn(t, sum), y);
    sum = t;
  }
  out[i] = sum;
}

// How often the sequence stays within the circle: data-dependent loops.
extern "C" __global__ void mandelbrot(unsigned *out, int width, int height,
                                      int limit) {
  int x = blockIdx.x * blockDim.x + threadIdx.x,
      y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= width || y >= height)
    return;
  float cr = __fmaf_rn((float)x, 3.0f / width, -2.0f),
        ci = __fmaf_rn((float)y, 2.0f / height, -1.0f);
  float zr = 0, zi = 0;
  unsigned steps = 0;
  while (steps < limit &&
         __fadd_rn(__fmul_rn(zr, zr), __fmul_rn(zi, zi)) <= 4.0f) {
    float next = __fadd_rn(__fsub_rn(__fmul_rn(zr, zr), __fmul_rn(zi, zi)), cr);
    zi = __fmaf_rn(__fmul_rn(2.0f, zr), zi, ci);
    zr = next;
    ++steps;
  }
  out[y * width + x] = steps;
}

// Bits of floats as integers and back.
extern "C" __global__ void floatBits(const float *a, const double *b,
                                     unsigned *out, double *wide, int n) {
  INDEX_OR_RETURN;
  out[3 * i] = __float_as_uint(a[i]) ^ 0x80000000u;
  out[3 * i + 1] = (unsigned)__double2hiint(b[i]);
  out[3 * i + 2] = (unsigned)__double2loint(b[i]);
  wide[i] =
      __hiloint2double(__double2hiint(b[i]) ^ 0x100000, __double2loint(b[i]));
}
