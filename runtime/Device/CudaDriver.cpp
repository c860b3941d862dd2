//===- CudaDriver.cpp - The CUDA driver, loaded at run time ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/CudaDriver.h"

#include "runtime/Support/Text.h"

#include <cstdlib>
#include <dlfcn.h>
#include <string>

using namespace clade::rt;

StatusOr<const CudaDriver *> CudaDriver::load() {
  // Never unloaded: a driver has threads of its own.
  static CudaDriver driver;
  static const Status opened = driver.open();
  if (!opened.ok())
    return Status(opened.code(), opened.message());
  return &driver;
}

Status CudaDriver::open() {
  const char *chosen = std::getenv(driverVariable);
  std::string path = chosen && *chosen ? chosen : "libcuda.so.1";
  void *library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = ::dlerror();
    return Status::notFound("no CUDA driver: cannot load " + quoteName(path) +
                            ": " + (reason ? reason : "no reason given"));
  }
  std::string missing;
  // The names of today's versions, which cuda.h gives to the plain ones.
  auto find = [&](const char *name, auto &function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(
        ::dlsym(library, name));
    if (!function && missing.empty())
      missing = name;
  };
  find("cuInit", cuInit);
  find("cuGetErrorName", cuGetErrorName);
  find("cuGetErrorString", cuGetErrorString);
  find("cuDeviceGetCount", cuDeviceGetCount);
  find("cuDeviceGet", cuDeviceGet);
  find("cuDeviceGetName", cuDeviceGetName);
  find("cuDeviceGetAttribute", cuDeviceGetAttribute);
  find("cuDevicePrimaryCtxRetain", cuDevicePrimaryCtxRetain);
  find("cuDevicePrimaryCtxRelease_v2", cuDevicePrimaryCtxRelease);
  find("cuCtxSetCurrent", cuCtxSetCurrent);
  find("cuModuleLoadDataEx", cuModuleLoadDataEx);
  find("cuModuleUnload", cuModuleUnload);
  find("cuModuleGetFunction", cuModuleGetFunction);
  find("cuFuncSetAttribute", cuFuncSetAttribute);
  find("cuMemGetInfo_v2", cuMemGetInfo);
  find("cuMemAlloc_v2", cuMemAlloc);
  find("cuMemFree_v2", cuMemFree);
  find("cuMemAllocHost_v2", cuMemAllocHost);
  find("cuMemFreeHost", cuMemFreeHost);
  find("cuMemcpyHtoDAsync_v2", cuMemcpyHtoDAsync);
  find("cuMemcpyDtoHAsync_v2", cuMemcpyDtoHAsync);
  find("cuMemcpyDtoDAsync_v2", cuMemcpyDtoDAsync);
  find("cuMemsetD8Async", cuMemsetD8Async);
  find("cuStreamCreate", cuStreamCreate);
  find("cuStreamDestroy_v2", cuStreamDestroy);
  find("cuStreamSynchronize", cuStreamSynchronize);
  find("cuLaunchKernel", cuLaunchKernel);
  find("cuEventCreate", cuEventCreate);
  find("cuEventDestroy_v2", cuEventDestroy);
  find("cuEventRecord", cuEventRecord);
  find("cuEventElapsedTime", cuEventElapsedTime);
  find("cuStreamBeginCapture_v2", cuStreamBeginCapture);
  find("cuStreamEndCapture", cuStreamEndCapture);
  find("cuGraphGetNodes", cuGraphGetNodes);
  find("cuGraphInstantiateWithFlags", cuGraphInstantiateWithFlags);
  find("cuGraphDestroy", cuGraphDestroy);
  find("cuGraphExecDestroy", cuGraphExecDestroy);
  find("cuGraphLaunch", cuGraphLaunch);
  find("cuTensorMapEncodeTiled", cuTensorMapEncodeTiled);
  if (!missing.empty())
    return Status::unsupported("the CUDA driver " + quoteName(path) +
                               " has no function " + quoteName(missing));
  find("cladeCudaLastReport", cladeCudaLastReport);
  CLADE_RETURN_IF_ERROR(check(cuInit(0), "cannot start the CUDA driver"));
  return {};
}

Status CudaDriver::check(CUresult result, const std::string &what) const {
  if (result == cudaSuccess)
    return {};
  const char *name = nullptr, *text = nullptr;
  cuGetErrorName(result, &name);
  cuGetErrorString(result, &text);
  std::string reason = name ? name : "error " + std::to_string(result);
  if (text)
    reason += " (" + std::string(text) + ")";
  if (result == cudaErrorOutOfMemory)
    return Status::resourceExhausted(what + ": the driver says " + reason);
  if (result == cudaErrorNoBinaryForGpu)
    return Status::unsupported(what + ": the driver says " + reason);
  if (cladeCudaLastReport) {
    std::string report(cladeCudaLastReport(nullptr, 0), '\0');
    if (report.size() > 1) {
      cladeCudaLastReport(report.data(), report.size());
      report.pop_back();
      reason += "\n" + report;
    }
  }
  return Status::ioError(what + ": the driver says " + reason);
}
