//===- vectorAddDrv.cpp - Vector addition with the driver API -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Usage: vectorAddDrv KERNELS.ptx
//
//===----------------------------------------------------------------------===//

#include "common.h"

#include <cmath>
#include <vector>

int main(int argc, char **argv) {
  int n = 50000, device = 0;
  size_t size = n * sizeof(float);
  checkCudaErrors(cuInit(0));
  CUdevice cuDevice;
  checkCudaErrors(cuDeviceGet(&cuDevice, device));
  char name[128];
  checkCudaErrors(cuDeviceGetName(name, sizeof(name), cuDevice));
  printf("Vector addition of %d elements on %s\n", n, name);
  CUcontext context;
  checkCudaErrors(cuCtxCreate(&context, nullptr, 0, cuDevice));

  CUmodule module;
  checkCudaErrors(cuModuleLoad(&module, argv[1]));
  CUfunction vecAdd;
  checkCudaErrors(cuModuleGetFunction(&vecAdd, module, "VecAdd_kernel"));

  std::vector<float> a(n), b(n), c(n);
  for (int i = 0; i < n; ++i) {
    a[i] = rand() / (float)RAND_MAX;
    b[i] = rand() / (float)RAND_MAX;
  }
  CUdeviceptr deviceA, deviceB, deviceC;
  checkCudaErrors(cuMemAlloc(&deviceA, size));
  checkCudaErrors(cuMemAlloc(&deviceB, size));
  checkCudaErrors(cuMemAlloc(&deviceC, size));
  checkCudaErrors(cuMemcpyHtoD(deviceA, a.data(), size));
  checkCudaErrors(cuMemcpyHtoD(deviceB, b.data(), size));

  // The new way to pass arguments, and then the old one.
  int threads = 256, blocks = (n + threads - 1) / threads;
  void *args[] = {&deviceA, &deviceB, &deviceC, &n};
  checkCudaErrors(cuLaunchKernel(vecAdd, blocks, 1, 1, threads, 1, 1, 0,
                                 nullptr, args, nullptr));
  bool passed = true;
  for (int way = 0; way < 2; ++way) {
    checkCudaErrors(cuMemcpyDtoH(c.data(), deviceC, size));
    for (int i = 0; i < n; ++i)
      passed &= std::fabs(c[i] - (a[i] + b[i])) <= 1e-7f;
    checkCudaErrors(cuMemsetD32(deviceC, 0, n));
    int offset = 0;
    char buffer[256];
    for (CUdeviceptr pointer : {deviceA, deviceB, deviceC}) {
      *(CUdeviceptr *)&buffer[offset] = pointer;
      offset += sizeof(pointer);
    }
    *(int *)&buffer[offset] = n;
    size_t bytes = offset + sizeof(n);
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, buffer,
                     CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, CU_LAUNCH_PARAM_END};
    checkCudaErrors(cuLaunchKernel(vecAdd, blocks, 1, 1, threads, 1, 1, 0,
                                   nullptr, nullptr, extra));
    checkCudaErrors(cuCtxSynchronize());
  }
  checkCudaErrors(cuMemFree(deviceA));
  checkCudaErrors(cuMemFree(deviceB));
  checkCudaErrors(cuMemFree(deviceC));
  checkCudaErrors(cuModuleUnload(module));
  checkCudaErrors(cuCtxDestroy(context));
  return finish(passed);
}
