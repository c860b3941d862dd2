//===- loadByName.cpp - The driver opened at run time ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Usage: loadByName KERNELS.ptx
//
// Opens libcuda.so.1 as frameworks do and asks it for its functions.
//
//===----------------------------------------------------------------------===//

#include <cuda.h>

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

using GetProcAddress = decltype(&cuGetProcAddress);
static GetProcAddress getProcAddress;

template <typename Function> static Function find(const char *name) {
  void *address = nullptr;
  CUdriverProcAddressQueryResult status;
  if (getProcAddress(name, &address, CUDA_VERSION, CU_GET_PROC_ADDRESS_DEFAULT,
                     &status) != CUDA_SUCCESS) {
    fprintf(stderr, "no function %s\n", name);
    exit(EXIT_FAILURE);
  }
  return reinterpret_cast<Function>(address);
}

#define FIND(name) auto name = find<decltype(&::name)>(#name)

int main(int argc, char **argv) {
  void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return EXIT_FAILURE;
  }
  getProcAddress =
      reinterpret_cast<GetProcAddress>(dlsym(library, "cuGetProcAddress_v2"));
  FIND(cuInit);
  FIND(cuCtxSetCurrent);
  FIND(cuDevicePrimaryCtxRetain);
  FIND(cuModuleLoad);
  FIND(cuModuleGetFunction);
  FIND(cuMemAlloc);
  FIND(cuMemsetD32);
  FIND(cuLaunchKernel);
  FIND(cuMemcpyDtoH);
  CUcontext context;
  CUmodule module;
  CUfunction increment;
  CUdeviceptr data;
  int n = 1024, value = 41;
  bool passed =
      cuInit(0) == CUDA_SUCCESS &&
      cuDevicePrimaryCtxRetain(&context, 0) == CUDA_SUCCESS &&
      cuCtxSetCurrent(context) == CUDA_SUCCESS &&
      cuModuleLoad(&module, argv[1]) == CUDA_SUCCESS &&
      cuModuleGetFunction(&increment, module, "increment") == CUDA_SUCCESS &&
      cuMemAlloc(&data, n * sizeof(int)) == CUDA_SUCCESS &&
      cuMemsetD32(data, 1, n) == CUDA_SUCCESS;
  void *args[] = {&data, &value};
  std::vector<int> out(n);
  passed = passed &&
           cuLaunchKernel(increment, n / 128, 1, 1, 128, 1, 1, 0, nullptr, args,
                          nullptr) == CUDA_SUCCESS &&
           cuMemcpyDtoH(out.data(), data, n * sizeof(int)) == CUDA_SUCCESS;
  for (int element : out)
    passed = passed && element == 42;
  printf("Result = %s\n", passed ? "PASS" : "FAIL");
  return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
