//===- CudaDriver.h - The CUDA driver, loaded at run time ----- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The functions of libcuda.so.1 that a device needs. Nothing of CUDA is there
// when this is built: types and numbers are those that cuda.h documents, whose
// names are kept.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_DEVICE_CUDADRIVER_H
#define CLADE_RUNTIME_DEVICE_CUDADRIVER_H

#include "runtime/Support/Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace clade::rt {

using CUresult = int;
using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = struct CUctx_st *;
using CUmodule = struct CUmod_st *;
using CUfunction = struct CUfunc_st *;
using CUstream = struct CUstream_st *;
using CUevent = struct CUevent_st *;
using CUgraph = struct CUgraph_st *;
using CUgraphNode = struct CUgraphNode_st *;
using CUgraphExec = struct CUgraphExec_st *;

/// What cuTensorMapEncodeTiled makes of a matrix: of no meaning to anybody but
/// the GPU. The function asks for a multiple of 64, the type of CUDA 13 has
/// 128.
struct alignas(128) CUtensorMap {
  uint64_t words[16];
};

inline constexpr CUresult cudaSuccess = 0;
inline constexpr CUresult cudaErrorOutOfMemory = 2;
inline constexpr CUresult cudaErrorNoBinaryForGpu = 209;

/// The environment variable with the path of the driver, if it is not
/// `libcuda.so.1` where the system's loader looks.
inline constexpr const char *driverVariable = "CLADE_CUDA_DRIVER";

/// The driver. Thread-safe: it never changes after load().
class CudaDriver {
public:
  /// Loads the driver and initialises it, once for the process. NotFound if
  /// there is none, Unsupported if it lacks a function or a GPU.
  static StatusOr<const CudaDriver *> load();

  /// What a call gave, as `WHAT: the driver says NAME (text)`:
  /// ResourceExhausted for a lack of memory, Unsupported for code that the GPU
  /// cannot run, else IOError. OK for success.
  Status check(CUresult result, const std::string &what) const;

  CUresult (*cuInit)(unsigned) = nullptr;
  CUresult (*cuGetErrorName)(CUresult, const char **) = nullptr;
  CUresult (*cuGetErrorString)(CUresult, const char **) = nullptr;
  CUresult (*cuDeviceGetCount)(int *) = nullptr;
  CUresult (*cuDeviceGet)(CUdevice *, int) = nullptr;
  CUresult (*cuDeviceGetName)(char *, int, CUdevice) = nullptr;
  CUresult (*cuDeviceGetAttribute)(int *, int, CUdevice) = nullptr;
  CUresult (*cuDevicePrimaryCtxRetain)(CUcontext *, CUdevice) = nullptr;
  CUresult (*cuDevicePrimaryCtxRelease)(CUdevice) = nullptr;
  CUresult (*cuCtxSetCurrent)(CUcontext) = nullptr;
  CUresult (*cuModuleLoadDataEx)(CUmodule *, const void *, unsigned, int *,
                                 void **) = nullptr;
  CUresult (*cuModuleUnload)(CUmodule) = nullptr;
  CUresult (*cuModuleGetFunction)(CUfunction *, CUmodule,
                                  const char *) = nullptr;
  CUresult (*cuFuncSetAttribute)(CUfunction, int, int) = nullptr;
  CUresult (*cuMemGetInfo)(size_t *, size_t *) = nullptr;
  CUresult (*cuMemAlloc)(CUdeviceptr *, size_t) = nullptr;
  CUresult (*cuMemFree)(CUdeviceptr) = nullptr;
  CUresult (*cuMemAllocHost)(void **, size_t) = nullptr;
  CUresult (*cuMemFreeHost)(void *) = nullptr;
  CUresult (*cuMemcpyHtoDAsync)(CUdeviceptr, const void *, size_t,
                                CUstream) = nullptr;
  CUresult (*cuMemcpyDtoHAsync)(void *, CUdeviceptr, size_t,
                                CUstream) = nullptr;
  CUresult (*cuMemcpyDtoDAsync)(CUdeviceptr, CUdeviceptr, size_t,
                                CUstream) = nullptr;
  CUresult (*cuMemsetD8Async)(CUdeviceptr, unsigned char, size_t,
                              CUstream) = nullptr;
  CUresult (*cuStreamCreate)(CUstream *, unsigned) = nullptr;
  CUresult (*cuStreamDestroy)(CUstream) = nullptr;
  CUresult (*cuStreamSynchronize)(CUstream) = nullptr;
  CUresult (*cuLaunchKernel)(CUfunction, unsigned, unsigned, unsigned, unsigned,
                             unsigned, unsigned, unsigned, CUstream, void **,
                             void **) = nullptr;
  CUresult (*cuEventCreate)(CUevent *, unsigned) = nullptr;
  CUresult (*cuEventDestroy)(CUevent) = nullptr;
  CUresult (*cuEventRecord)(CUevent, CUstream) = nullptr;
  CUresult (*cuEventElapsedTime)(float *, CUevent, CUevent) = nullptr;
  CUresult (*cuStreamBeginCapture)(CUstream, int) = nullptr;
  CUresult (*cuStreamEndCapture)(CUstream, CUgraph *) = nullptr;
  CUresult (*cuGraphGetNodes)(CUgraph, CUgraphNode *, size_t *) = nullptr;
  CUresult (*cuGraphInstantiateWithFlags)(CUgraphExec *, CUgraph,
                                          unsigned long long) = nullptr;
  CUresult (*cuGraphDestroy)(CUgraph) = nullptr;
  CUresult (*cuGraphExecDestroy)(CUgraphExec) = nullptr;
  CUresult (*cuGraphLaunch)(CUgraphExec, CUstream) = nullptr;
  CUresult (*cuTensorMapEncodeTiled)(CUtensorMap *, int type, uint32_t rank,
                                     void *address, const uint64_t *sizes,
                                     const uint64_t *strides,
                                     const uint32_t *box, const uint32_t *steps,
                                     int interleave, int swizzle, int promotion,
                                     int fill) = nullptr;
  /// Of the virtual driver only, may be null: the last message of its checks.
  size_t (*cladeCudaLastReport)(char *, size_t) = nullptr;

private:
  CudaDriver() = default;
  Status open();
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_DEVICE_CUDADRIVER_H
