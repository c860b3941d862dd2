//===- Elementwise.cu - One thread an element ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <cstdint>

extern "C" __global__ void vectorAdd(const float *a, const float *b, float *c,
                                     int n) {
  int i = blockDim.x * blockIdx.x + threadIdx.x;
  if (i < n)
    c[i] = a[i] + b[i];
}

// A grid-stride loop with a fused multiply-add.
extern "C" __global__ void saxpy(float a, const float *__restrict__ x,
                                 float *__restrict__ y, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n;
       i += gridDim.x * blockDim.x)
    y[i] = fmaf(a, x[i], y[i]);
}

extern "C" __global__ void daxpy(double a, const double *__restrict__ x,
                                 double *__restrict__ y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    y[i] = fma(a, x[i], y[i]);
}

// Vectors of 128 bits; `n` counts vectors.
extern "C" __global__ void scaleVectors(const float4 *__restrict__ in,
                                        float4 *__restrict__ out, float s,
                                        int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  float4 v = in[i];
  out[i] = make_float4(v.x * s, v.y * s, v.z * s, v.w * s);
}

// Bytes with a zero point and a scale a group of 32 to floats.
extern "C" __global__ void dequantise(const uint8_t *__restrict__ q,
                                      const float *__restrict__ scale,
                                      const int8_t *__restrict__ zero,
                                      float *__restrict__ out, unsigned n) {
  unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    out[i] = (float)((int)q[i] - zero[i / 32]) * scale[i / 32];
}

// Floats to bytes, rounded to nearest even and saturated.
extern "C" __global__ void quantise(const float *__restrict__ x,
                                    int8_t *__restrict__ q, float inverse,
                                    int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    q[i] = (int8_t)max(-128, min(127, __float2int_rn(x[i] * inverse)));
}

extern "C" __global__ void clampSelect(const float *x, float low, float high,
                                       float *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  float v = x[i];
  out[i] = v != v ? 0.0f : fminf(fmaxf(v, low), high);
}

// Two dimensions of blocks and threads; rows of `pitch` bytes.
extern "C" __global__ void copyPitched(const char *in, size_t inPitch,
                                       char *out, size_t outPitch, int width,
                                       int height) {
  int x = blockIdx.x * blockDim.x + threadIdx.x;
  int y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x < width && y < height)
    ((short *)(out + y * outPitch))[x] = ((const short *)(in + y * inPitch))[x];
}

struct Pixel {
  uint8_t red, green, blue;
};

// Members that are not aligned to words; luminance in fixed point.
extern "C" __global__ void luminance(const Pixel *in, uint8_t *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  Pixel p = in[i];
  out[i] = (uint8_t)((p.red * 77 + p.green * 150 + p.blue * 29 + 128) >> 8);
}

struct Affine {
  double scale[3];
  int shift[3];
  char channel;
};

// A structure as an argument, indexed at run time.
extern "C" __global__ void affine(const int *in, double *out, Affine map,
                                  int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    out[i] = map.scale[i % 3] * in[i] + map.shift[(i + map.channel) % 3];
}

// Three dimensions of a grid and of a block.
extern "C" __global__ void indexVolume(unsigned *out) {
  unsigned x = blockIdx.x * blockDim.x + threadIdx.x,
           y = blockIdx.y * blockDim.y + threadIdx.y,
           z = blockIdx.z * blockDim.z + threadIdx.z;
  unsigned width = gridDim.x * blockDim.x, height = gridDim.y * blockDim.y;
  out[(z * height + y) * width + x] = x | y << 10 | z << 20;
}

__constant__ float taps[9];

// A filter in constant memory, which the host fills.
extern "C" __global__ void convolve(const float *in, float *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  float sum = 0;
  for (int k = 0; k < 9; ++k) {
    int j = i + k - 4;
    if (j >= 0 && j < n)
      sum = fmaf(taps[k], in[j], sum);
  }
  out[i] = sum;
}

__device__ int counters[4] = {1, 2, 3, 4};
__device__ int *selected = &counters[2];

// Variables of the module, one of which holds the address of another.
extern "C" __global__ void useGlobals(int *out) {
  if (threadIdx.x < 4)
    out[threadIdx.x] = counters[threadIdx.x] * 10 + *selected;
}
