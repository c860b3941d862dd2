//===- Library.cpp - Libraries: code that is loaded into contexts when used
//===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Image.h"
#include "lib/PTXDriver/Module.h"

#include <fstream>
#include <iterator>

using namespace clade;
using namespace clade::vcuda;

static CUresult findLibrary(CUlibrary handle, Library *&library) {
  TRY(requireInitialised());
  library = Driver::get().libraries.find(handle);
  return library ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/// The library's module in the current context.
static CUresult moduleOf(Library &library, Module *&module) {
  Context *context;
  TRY(currentContext(context));
  auto key = static_cast<CUcontext>(context->handle);
  CUmodule &handle = library.modules[key];
  module = Driver::get().modules.find(handle);
  if (module)
    return CUDA_SUCCESS;
  std::string log;
  CUresult code = loadText(library.text, "library", handle, log);
  if (code != CUDA_SUCCESS) {
    say(log);
    return code;
  }
  module = Driver::get().modules.find(handle);
  return CUDA_SUCCESS;
}

/// A library is not bound to a device: PTX for the newest of them is taken.
static CUresult loadLibrary(CUlibrary *result, const void *code) {
  TRY(requireInitialised());
  if (!result || !code)
    return CUDA_ERROR_INVALID_VALUE;
  const DeviceModel *newest = nullptr;
  for (const auto &device : Driver::get().devices)
    if (!newest || device->model->major * 10 + device->model->minor >
                       newest->major * 10 + newest->minor)
      newest = device->model;
  ptx::Result<std::string> text = extractPtx(
      code, newest->major * 10 + newest->minor, newest->hasSpecificFeatures);
  if (!text) {
    say("library: " + text.error().message);
    return CUDA_ERROR_NO_BINARY_FOR_GPU;
  }
  auto library = std::make_unique<Library>();
  library->text = std::move(*text);
  Library *made = library.get();
  *result = Driver::get().libraries.add<CUlibrary>(std::move(library));
  // Errors of the text are told now where there is a context to load it into.
  Context *context;
  Module *module;
  if (currentContext(context) != CUDA_SUCCESS)
    return CUDA_SUCCESS;
  CUresult status = moduleOf(*made, module);
  if (status != CUDA_SUCCESS)
    Driver::get().libraries.erase(*result);
  return status;
}

EXPORT cuLibraryLoadData(CUlibrary *library, const void *code,
                         CUjit_option *jitOptions, void **jitValues,
                         unsigned jitCount, CUlibraryOption *options,
                         void **values, unsigned count) {
  Guard guard;
  return loadLibrary(library, code);
}

EXPORT cuLibraryLoadFromFile(CUlibrary *library, const char *path,
                             CUjit_option *jitOptions, void **jitValues,
                             unsigned jitCount, CUlibraryOption *options,
                             void **values, unsigned count) {
  Guard guard;
  if (!path)
    return CUDA_ERROR_INVALID_VALUE;
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return CUDA_ERROR_FILE_NOT_FOUND;
  std::string code((std::istreambuf_iterator<char>(file)), {});
  return loadLibrary(library, code.c_str());
}

EXPORT cuLibraryUnload(CUlibrary handle) {
  Guard guard;
  Library *library;
  TRY(findLibrary(handle, library));
  for (const auto &[context, module] : library->modules)
    if (Module *loaded = Driver::get().modules.find(module))
      unloadModule(*loaded);
  for (const auto &[name, kernel] : library->kernels)
    Driver::get().kernels.erase(kernel);
  Driver::get().libraries.erase(handle);
  return CUDA_SUCCESS;
}

EXPORT cuLibraryGetKernel(CUkernel *result, CUlibrary handle,
                          const char *name) {
  Guard guard;
  Library *library;
  TRY(findLibrary(handle, library));
  if (!result || !name)
    return CUDA_ERROR_INVALID_VALUE;
  if (auto known = library->kernels.find(name);
      known != library->kernels.end()) {
    *result = known->second;
    return CUDA_SUCCESS;
  }
  Module *module;
  TRY(moduleOf(*library, module));
  CUfunction function;
  TRY(findFunction(*module, name, function));
  auto kernel = std::make_unique<LibraryKernel>();
  kernel->library = handle;
  kernel->name = name;
  *result = Driver::get().kernels.add<CUkernel>(std::move(kernel));
  library->kernels.emplace(name, *result);
  return CUDA_SUCCESS;
}

EXPORT cuLibraryGetModule(CUmodule *result, CUlibrary handle) {
  Guard guard;
  Library *library;
  TRY(findLibrary(handle, library));
  if (!result)
    return CUDA_ERROR_INVALID_VALUE;
  Module *module;
  TRY(moduleOf(*library, module));
  *result = static_cast<CUmodule>(module->handle);
  return CUDA_SUCCESS;
}

EXPORT cuLibraryGetGlobal(CUdeviceptr *address, size_t *bytes, CUlibrary handle,
                          const char *name) {
  Guard guard;
  Library *library;
  TRY(findLibrary(handle, library));
  Module *module;
  TRY(moduleOf(*library, module));
  return cuModuleGetGlobal_v2(address, bytes,
                              static_cast<CUmodule>(module->handle), name);
}

EXPORT cuLibraryGetKernelCount(unsigned *count, CUlibrary handle) {
  Guard guard;
  Library *library;
  TRY(findLibrary(handle, library));
  Module *module;
  TRY(moduleOf(*library, module));
  return cuModuleGetFunctionCount(count, static_cast<CUmodule>(module->handle));
}

//===--- Kernels ---===//

CUresult vcuda::functionOfKernel(LibraryKernel &kernel, CUfunction &result) {
  Library *library;
  TRY(findLibrary(kernel.library, library));
  Module *module;
  TRY(moduleOf(*library, module));
  TRY(findFunction(*module, kernel.name, result));
  Function &function = *Driver::get().functions.find(result);
  for (auto [attribute, value] : kernel.attributes)
    TRY(setFunctionAttribute(function, CUfunction_attribute(attribute), value));
  return CUDA_SUCCESS;
}

static CUresult findKernel(CUkernel handle, LibraryKernel *&kernel) {
  TRY(requireInitialised());
  kernel = Driver::get().kernels.find(handle);
  return kernel ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

EXPORT cuKernelGetFunction(CUfunction *result, CUkernel handle) {
  Guard guard;
  LibraryKernel *kernel;
  TRY(findKernel(handle, kernel));
  return result ? functionOfKernel(*kernel, *result) : CUDA_ERROR_INVALID_VALUE;
}

EXPORT cuKernelGetLibrary(CUlibrary *result, CUkernel handle) {
  Guard guard;
  LibraryKernel *kernel;
  TRY(findKernel(handle, kernel));
  if (!result)
    return CUDA_ERROR_INVALID_VALUE;
  *result = kernel->library;
  return CUDA_SUCCESS;
}

EXPORT cuKernelGetName(const char **name, CUkernel handle) {
  Guard guard;
  LibraryKernel *kernel;
  TRY(findKernel(handle, kernel));
  if (!name)
    return CUDA_ERROR_INVALID_VALUE;
  *name = kernel->name.c_str();
  return CUDA_SUCCESS;
}

EXPORT cuKernelGetAttribute(int *value, CUfunction_attribute attribute,
                            CUkernel handle, CUdevice device) {
  Guard guard;
  LibraryKernel *kernel;
  TRY(findKernel(handle, kernel));
  if (!value)
    return CUDA_ERROR_INVALID_VALUE;
  CUfunction function;
  TRY(functionOfKernel(*kernel, function));
  return functionAttribute(*Driver::get().functions.find(function), attribute,
                           *value);
}

EXPORT cuKernelSetAttribute(CUfunction_attribute attribute, int value,
                            CUkernel handle, CUdevice device) {
  Guard guard;
  LibraryKernel *kernel;
  TRY(findKernel(handle, kernel));
  CUfunction function;
  TRY(functionOfKernel(*kernel, function));
  TRY(setFunctionAttribute(*Driver::get().functions.find(function), attribute,
                           value));
  kernel->attributes[attribute] = value;
  return CUDA_SUCCESS;
}

EXPORT cuKernelSetCacheConfig(CUkernel handle, CUfunc_cache config,
                              CUdevice device) {
  Guard guard;
  LibraryKernel *kernel;
  return findKernel(handle, kernel);
}
