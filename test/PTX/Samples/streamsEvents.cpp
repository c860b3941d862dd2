//===- streamsEvents.cpp - Work in streams, timed by events ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Usage: streamsEvents KERNELS.ptx
//
//===----------------------------------------------------------------------===//

#include "common.h"

int main(int argc, char **argv) {
  const int numStreams = 4, n = 16 * 1024, part = n / numStreams;
  const size_t bytes = n * sizeof(int);
  checkCudaErrors(cuInit(0));
  CUdevice device;
  checkCudaErrors(cuDeviceGet(&device, 0));
  CUcontext context;
  checkCudaErrors(cuDevicePrimaryCtxRetain(&context, device));
  checkCudaErrors(cuCtxSetCurrent(context));
  std::string text = readText(argv[1]);
  CUmodule module;
  checkCudaErrors(
      cuModuleLoadDataEx(&module, text.c_str(), 0, nullptr, nullptr));
  CUfunction increment;
  checkCudaErrors(cuModuleGetFunction(&increment, module, "increment"));

  int *host;
  checkCudaErrors(cuMemHostAlloc((void **)&host, bytes, 0));
  for (int i = 0; i < n; ++i)
    host[i] = i;
  CUdeviceptr data;
  checkCudaErrors(cuMemAlloc(&data, bytes));
  CUevent start, stop, done[numStreams];
  CUstream streams[numStreams];
  checkCudaErrors(cuEventCreate(&start, CU_EVENT_DEFAULT));
  checkCudaErrors(cuEventCreate(&stop, CU_EVENT_DEFAULT));
  for (int s = 0; s < numStreams; ++s) {
    checkCudaErrors(cuStreamCreate(&streams[s], CU_STREAM_NON_BLOCKING));
    checkCudaErrors(cuEventCreate(&done[s], CU_EVENT_DISABLE_TIMING));
  }

  checkCudaErrors(cuEventRecord(start, nullptr));
  for (int s = 0; s < numStreams; ++s) {
    CUdeviceptr own = data + s * part * sizeof(int);
    checkCudaErrors(cuMemcpyHtoDAsync(own, host + s * part, part * sizeof(int),
                                      streams[s]));
    int value = 100 * (s + 1);
    void *args[] = {&own, &value};
    checkCudaErrors(cuLaunchKernel(increment, part / 128, 1, 1, 128, 1, 1, 0,
                                   streams[s], args, nullptr));
    checkCudaErrors(cuEventRecord(done[s], streams[s]));
  }
  // The last stream waits for the others and changes all of the data.
  CUstream last = streams[numStreams - 1];
  for (int s = 0; s + 1 < numStreams; ++s)
    checkCudaErrors(cuStreamWaitEvent(last, done[s], 0));
  int one = 1;
  void *args[] = {&data, &one};
  checkCudaErrors(cuLaunchKernel(increment, n / 256, 1, 1, 256, 1, 1, 0, last,
                                 args, nullptr));
  checkCudaErrors(cuMemcpyDtoHAsync(host, data, bytes, last));
  checkCudaErrors(cuEventRecord(stop, last));

  unsigned long counter = 0;
  while (cuEventQuery(stop) == CUDA_ERROR_NOT_READY)
    ++counter;
  checkCudaErrors(cuEventSynchronize(stop));
  float milliseconds = 0;
  checkCudaErrors(cuEventElapsedTime(&milliseconds, start, stop));
  printf("time spent: %.2f ms, %lu iterations while waiting\n", milliseconds,
         counter);
  bool passed = true;
  for (int i = 0; i < n; ++i)
    passed &= host[i] == i + 100 * (i / part + 1) + 1;

  for (int s = 0; s < numStreams; ++s) {
    checkCudaErrors(cuStreamDestroy(streams[s]));
    checkCudaErrors(cuEventDestroy(done[s]));
  }
  checkCudaErrors(cuEventDestroy(start));
  checkCudaErrors(cuEventDestroy(stop));
  checkCudaErrors(cuMemFreeHost(host));
  checkCudaErrors(cuMemFree(data));
  checkCudaErrors(cuDevicePrimaryCtxRelease(device));
  return finish(passed);
}
