//===- CubDevice.cu - A program that uses the CUB library for devices -----===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An ordinary CUDA C++ program: kernels and the host code that launches them
// are the library's own. It runs on the virtual driver through the functions of
// Runtime.cpp.
//
//===----------------------------------------------------------------------===//

#include "CubDevice.h"

#include <cub/device/device_histogram.cuh>
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_reduce.cuh>
#include <cub/device/device_run_length_encode.cuh>
#include <cub/device/device_scan.cuh>
#include <cub/device/device_select.cuh>

/// Calls `algorithm` twice: for the size of its temporary memory, and to run.
template <typename F> static int run(F algorithm) {
  size_t bytes = 0;
  if (cudaError_t error = algorithm(nullptr, bytes))
    return error;
  void *memory = nullptr;
  if (cudaError_t error = cudaMalloc(&memory, bytes ? bytes : 1))
    return error;
  cudaError_t error = algorithm(memory, bytes);
  cudaError_t end = cudaDeviceSynchronize();
  cudaFree(memory);
  return error ? error : end;
}

int deviceSum(const int *in, int *out, int n) {
  return run([&](void *memory, size_t &bytes) {
    return cub::DeviceReduce::Sum(memory, bytes, in, out, n);
  });
}

int deviceArgMin(const float *in, float *least, long long *place, int n) {
  return run([&](void *memory, size_t &bytes) {
    return cub::DeviceReduce::ArgMin(memory, bytes, in, least, place,
                                     (long long)n);
  });
}

int deviceScan(const int *in, int *out, int n) {
  return run([&](void *memory, size_t &bytes) {
    return cub::DeviceScan::ExclusiveSum(memory, bytes, in, out, n);
  });
}

int deviceSort(const unsigned *in, unsigned *out, int n) {
  return run([&](void *memory, size_t &bytes) {
    return cub::DeviceRadixSort::SortKeys(memory, bytes, in, out, n);
  });
}

int deviceSortPairs(const float *keys, float *keysOut, const int *values,
                    int *valuesOut, int n) {
  return run([&](void *memory, size_t &bytes) {
    return cub::DeviceRadixSort::SortPairsDescending(
        memory, bytes, keys, keysOut, values, valuesOut, n);
  });
}

struct IsOdd {
  __host__ __device__ bool operator()(int value) const { return value & 1; }
};

int deviceSelect(const int *in, int *out, int *count, int n) {
  return run([&](void *memory, size_t &bytes) {
    return cub::DeviceSelect::If(memory, bytes, in, out, count, n, IsOdd{});
  });
}

int deviceUnique(const int *in, int *out, int *count, int n) {
  return run([&](void *memory, size_t &bytes) {
    return cub::DeviceSelect::Unique(memory, bytes, in, out, count, n);
  });
}

int deviceHistogram(const unsigned char *in, int *bins, int levels, int n) {
  return run([&](void *memory, size_t &bytes) {
    return cub::DeviceHistogram::HistogramEven(memory, bytes, in, bins, levels,
                                               0, 256, n);
  });
}

int deviceRuns(const int *in, int *values, int *lengths, int *count, int n) {
  return run([&](void *memory, size_t &bytes) {
    return cub::DeviceRunLengthEncode::Encode(memory, bytes, in, values,
                                              lengths, count, n);
  });
}
