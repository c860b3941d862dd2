//===- Runtime.cpp - As much of the CUDA runtime as the corpus needs ------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What nvcc's host code and the CUB library call, written with the driver API
// alone: NVIDIA's own runtime needs tables that only NVIDIA's driver has.
//
//===----------------------------------------------------------------------===//

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <map>
#include <vector>

namespace {
struct CallShape {
  dim3 grid, block;
  size_t shared;
  cudaStream_t stream;
};

struct Registered {
  const void *image;
  std::map<CUcontext, CUmodule> modules;
};

struct Kernel {
  Registered *image;
  const char *name;
};

std::vector<Registered *> &images() {
  static std::vector<Registered *> list;
  return list;
}
std::map<const void *, Kernel> &kernels() {
  static std::map<const void *, Kernel> map;
  return map;
}
std::vector<CallShape> &calls() {
  static thread_local std::vector<CallShape> stack;
  return stack;
}
cudaError_t lastError = cudaSuccess;
} // namespace

/// The runtime's codes are the driver's.
static cudaError_t keep(CUresult result) {
  if (result != CUDA_SUCCESS)
    lastError = cudaError_t(result);
  return cudaError_t(result);
}

/// The function of a kernel's host address in the current context.
static CUresult findFunction(const void *host, CUfunction *function) {
  auto found = kernels().find(host);
  if (found == kernels().end())
    return CUDA_ERROR_NOT_FOUND;
  Kernel &kernel = found->second;
  CUcontext context;
  if (CUresult result = cuCtxGetCurrent(&context))
    return result;
  CUmodule &module = kernel.image->modules[context];
  if (!module)
    if (CUresult result = cuModuleLoadFatBinary(&module, kernel.image->image))
      return result;
  return cuModuleGetFunction(function, module, kernel.name);
}

//===--- What nvcc's host code registers ---===//

extern "C" void **__cudaRegisterFatBinary(void *image) {
  images().push_back(new Registered{image, {}});
  return reinterpret_cast<void **>(images().back());
}
extern "C" void __cudaRegisterFatBinaryEnd(void **) {}
extern "C" void __cudaUnregisterFatBinary(void **handle) {
  delete reinterpret_cast<Registered *>(handle);
}
extern "C" void __cudaRegisterFunction(void **handle, const char *host, char *,
                                       const char *name, int, uint3 *, uint3 *,
                                       dim3 *, dim3 *, int *) {
  kernels()[host] = {reinterpret_cast<Registered *>(handle), name};
}
extern "C" void __cudaRegisterVar(void **, char *, char *, const char *, int,
                                  size_t, int, int) {}

extern "C" unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block,
                                                size_t shared,
                                                CUstream_st *stream) {
  calls().push_back({grid, block, shared, stream});
  return 0;
}
extern "C" cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block,
                                                  size_t *shared,
                                                  void *stream) {
  CallShape shape = calls().back();
  calls().pop_back();
  *grid = shape.grid;
  *block = shape.block;
  *shared = shape.shared;
  *static_cast<cudaStream_t *>(stream) = shape.stream;
  return cudaSuccess;
}
extern "C" cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *host) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void *>(host));
  return cudaSuccess;
}

//===--- Launches ---===//

cudaError_t cudaLaunchKernel(const void *host, dim3 grid, dim3 block,
                             void **arguments, size_t shared,
                             cudaStream_t stream) {
  CUfunction function;
  if (CUresult result = findFunction(host, &function))
    return keep(result);
  return keep(cuLaunchKernel(function, grid.x, grid.y, grid.z, block.x, block.y,
                             block.z, unsigned(shared), stream, arguments,
                             nullptr));
}
extern "C" cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid,
                                          dim3 block, void **arguments,
                                          size_t shared, cudaStream_t stream) {
  return cudaLaunchKernel(kernel, grid, block, arguments, shared, stream);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config,
                                const void *host, void **arguments) {
  return cudaLaunchKernel(host, config->gridDim, config->blockDim, arguments,
                          config->dynamicSmemBytes, config->stream);
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes,
                                  const void *host) {
  CUfunction function;
  if (CUresult result = findFunction(host, &function))
    return keep(result);
  *attributes = {};
  int value = 0;
  cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_PTX_VERSION, function);
  attributes->ptxVersion = attributes->binaryVersion = value;
  cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, function);
  attributes->sharedSizeBytes = size_t(value);
  cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, function);
  attributes->maxThreadsPerBlock = value;
  cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, function);
  attributes->numRegs = value;
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    int *blocks, const void *host, int threads, size_t shared, unsigned flags) {
  CUfunction function;
  if (CUresult result = findFunction(host, &function))
    return keep(result);
  return keep(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
      blocks, function, threads, shared, flags));
}

//===--- Devices, memory, errors ---===//

cudaError_t cudaGetDevice(int *device) { return keep(cuCtxGetDevice(device)); }
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaGetDeviceCount(int *count) {
  return keep(cuDeviceGetCount(count));
}
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute,
                                   int device) {
  return keep(
      cuDeviceGetAttribute(value, CUdevice_attribute(attribute), device));
}
cudaError_t cudaDeviceSynchronize() { return keep(cuCtxSynchronize()); }
cudaError_t cudaMalloc(void **memory, size_t size) {
  return keep(cuMemAlloc(reinterpret_cast<CUdeviceptr *>(memory), size));
}
cudaError_t cudaFree(void *memory) {
  return keep(cuMemFree(reinterpret_cast<CUdeviceptr>(memory)));
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size,
                            cudaMemcpyKind, cudaStream_t stream) {
  return keep(cuMemcpyAsync(reinterpret_cast<CUdeviceptr>(to),
                            reinterpret_cast<CUdeviceptr>(from), size, stream));
}
cudaError_t cudaMemsetAsync(void *memory, int value, size_t size,
                            cudaStream_t stream) {
  return keep(cuMemsetD8Async(reinterpret_cast<CUdeviceptr>(memory),
                              static_cast<unsigned char>(value), size, stream));
}
cudaError_t cudaGetLastError() {
  cudaError_t error = lastError;
  lastError = cudaSuccess;
  return error;
}
cudaError_t cudaPeekAtLastError() { return lastError; }
