//===- Entry.cpp - Looking up the driver's functions by name --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Driver.h"

#include <dlfcn.h>

using namespace clade::vcuda;

namespace {
/// A form of a function that programs of an older CUDA must not get: its
/// parameters differ from those of the form before.
struct NewerForm {
  const char *symbol;
  int since;
};
} // namespace

static constexpr NewerForm newerForms[] = {
    {"cuCtxCreate_v4", 12050},
    {"cuEventElapsedTime_v2", 12080},
    {"cuGetProcAddress_v2", 12000},
    {"cuGraphAddDependencies_v2", 12030},
    {"cuGraphAddKernelNode_v2", 12000},
    {"cuGraphExecKernelNodeSetParams_v2", 12000},
    {"cuGraphExecUpdate_v2", 12000},
    {"cuGraphGetEdges_v2", 12030},
    {"cuGraphInstantiate_v2", 11000},
    {"cuGraphKernelNodeGetParams_v2", 12000},
    {"cuGraphKernelNodeSetParams_v2", 12000},
    {"cuGraphNodeGetDependencies_v2", 12030},
    {"cuGraphNodeGetDependentNodes_v2", 12030},
    {"cuGraphRemoveDependencies_v2", 12030},
    {"cuMemAdvise_v2", 12020},
    {"cuMemPrefetchAsync_v2", 12020},
    {"cuStreamGetCaptureInfo_v2", 11030},
    {"cuStreamGetCaptureInfo_v3", 12030},
    {"cuStreamUpdateCaptureDependencies_v2", 12030},
};

static int sinceOf(const std::string &symbol) {
  for (const NewerForm &form : newerForms)
    if (symbol == form.symbol)
      return form.since;
  return 0;
}

/// This library, as dlsym wants it: a program may hold it by a private handle.
static void *ownHandle() {
  static void *handle = [] {
    Dl_info info;
    if (!dladdr(reinterpret_cast<void *>(&ownHandle), &info))
      return static_cast<void *>(nullptr);
    return dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  }();
  return handle;
}

/// The newest form of a function that a program of CUDA `version` knows.
static void *findSymbol(const std::string &name, int version, bool &isTooNew) {
  isTooNew = false;
  for (const char *suffix : {"_v4", "_v3", "_v2", ""}) {
    std::string symbol = name + suffix;
    void *address = dlsym(ownHandle(), symbol.c_str());
    if (address && sinceOf(symbol) <= version)
      return address;
    isTooNew |= address != nullptr;
  }
  return nullptr;
}

EXPORT cuGetProcAddress_v2(const char *symbol, void **function, int version,
                           cuuint64_t flags,
                           CUdriverProcAddressQueryResult *status) {
  if (!symbol || !function || version < 2000)
    return CUDA_ERROR_INVALID_VALUE;
  bool isTooNew = false;
  *function = std::string_view(symbol).starts_with("cu")
                  ? findSymbol(symbol, version, isTooNew)
                  : nullptr;
  if (status)
    *status = *function  ? CU_GET_PROC_ADDRESS_SUCCESS
              : isTooNew ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                         : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

EXPORT cuGetProcAddress(const char *symbol, void **function, int version,
                        cuuint64_t flags) {
  return cuGetProcAddress_v2(symbol, function, version, flags, nullptr);
}

/// What the CUDA runtime library asks first, for functions that are published
/// nowhere.
EXPORT cuGetExportTable(const void **table, const CUuuid *id) {
  say("cuGetExportTable: the virtual driver has no undocumented tables, which "
      "the CUDA runtime (cudart) needs; programs must use the driver API");
  return CUDA_ERROR_NOT_SUPPORTED;
}

EXPORT cuProfilerStart() { return CUDA_SUCCESS; }

EXPORT cuProfilerStop() { return CUDA_SUCCESS; }
