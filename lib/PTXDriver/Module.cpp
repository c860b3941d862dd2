//===- Module.cpp - Modules of PTX ----------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Module.h"
#include "lib/PTX/Parser.h"
#include "lib/PTXDriver/Image.h"

#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>

using namespace clade;
using namespace clade::vcuda;

//===--- Loading ---===//

std::string vcuda::targetError(std::string_view target,
                               const DeviceModel &model) {
  std::string_view rest = target;
  unsigned number = 0;
  if (rest.starts_with("sm_")) {
    rest.remove_prefix(3);
    auto [end, error] =
        std::from_chars(rest.data(), rest.data() + rest.size(), number);
    rest.remove_prefix(error == std::errc() ? end - rest.data() : 0);
  }
  unsigned own = model.major * 10 + model.minor;
  bool fits = rest.empty() ? number <= own
                           // "sm_90a" runs there only; "sm_100f" in its family.
                           : model.hasSpecificFeatures &&
                                 (rest == "a" ? number == own
                                              : number <= own &&
                                                    number / 10 == own / 10);
  if (number != 0 && fits)
    return "";
  return "PTX for target " + std::string(target) +
         " does not run on this device, which is " + model.architecture +
         " (CLADE_CUDA_DEVICES chooses another)";
}

CUresult vcuda::loadText(const std::string &text, const std::string &name,
                         CUmodule &result, std::string &log) {
  Context *context;
  TRY(currentContext(context));
  ptx::Result<ptx::Module> parsed = ptx::parse(text, name);
  if (!parsed) {
    log = parsed.error().str();
    return CUDA_ERROR_INVALID_PTX;
  }
  if (std::string error = targetError(parsed->target, *context->device->model);
      !error.empty()) {
    log = name + ": " + error;
    return CUDA_ERROR_NO_BINARY_FOR_GPU;
  }
  ptx::Result<ptx::ModuleId> loaded =
      context->device->machine->load(std::move(*parsed));
  if (!loaded) {
    log = loaded.error().str();
    return CUDA_ERROR_INVALID_PTX;
  }
  auto module = std::make_unique<Module>();
  module->context = static_cast<CUcontext>(context->handle);
  module->device = context->device;
  module->id = *loaded;
  result = Driver::get().modules.add<CUmodule>(std::move(module));
  return CUDA_SUCCESS;
}

namespace {
/// What a caller wants of the compiler: where its messages go.
struct JitOptions {
  char *errorLog = nullptr;
  size_t errorBytes = 0;
  void **errorBytesSlot = nullptr;
  char *infoLog = nullptr;
  size_t infoBytes = 0;
  void **infoBytesSlot = nullptr;
  void **wallTimeSlot = nullptr;
};
} // namespace

static CUresult readOptions(unsigned count, CUjit_option *options,
                            void **values, JitOptions &read) {
  if (count && (!options || !values))
    return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < count; ++i) {
    auto number = reinterpret_cast<uintptr_t>(values[i]);
    switch (options[i]) {
    case CU_JIT_ERROR_LOG_BUFFER:
      read.errorLog = static_cast<char *>(values[i]);
      break;
    case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
      read.errorBytes = unsigned(number);
      read.errorBytesSlot = &values[i];
      break;
    case CU_JIT_INFO_LOG_BUFFER:
      read.infoLog = static_cast<char *>(values[i]);
      break;
    case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
      read.infoBytes = unsigned(number);
      read.infoBytesSlot = &values[i];
      break;
    case CU_JIT_WALL_TIME:
      read.wallTimeSlot = &values[i];
      break;
    default: // Choices of a code generator, which the machine has not.
      if (options[i] < 0 || options[i] >= CU_JIT_NUM_OPTIONS)
        return CUDA_ERROR_INVALID_VALUE;
    }
  }
  return CUDA_SUCCESS;
}

/// Copies a message into a caller's buffer and stores its length.
static void giveLog(const std::string &text, char *buffer, size_t bytes,
                    void **slot) {
  size_t count = buffer && bytes ? std::min(bytes - 1, text.size()) : 0;
  if (buffer && bytes) {
    text.copy(buffer, count);
    buffer[count] = 0;
  }
  if (slot)
    *slot = reinterpret_cast<void *>(uintptr_t(count));
}

static CUresult loadImage(CUmodule *result, const void *image,
                          const std::string &name, const JitOptions &options) {
  Context *context;
  TRY(currentContext(context));
  if (!result || !image)
    return CUDA_ERROR_INVALID_VALUE;
  const DeviceModel &model = *context->device->model;
  ptx::Result<std::string> text = extractPtx(
      image, model.major * 10 + model.minor, model.hasSpecificFeatures);
  std::string log;
  CUresult code = CUDA_ERROR_NO_BINARY_FOR_GPU;
  if (text)
    code = loadText(*text, name, *result, log);
  else
    log = name + ": " + text.error().message;
  giveLog(log, options.errorLog, options.errorBytes, options.errorBytesSlot);
  giveLog("", options.infoLog, options.infoBytes, options.infoBytesSlot);
  if (options.wallTimeSlot) {
    float none = 0;
    std::memcpy(options.wallTimeSlot, &none, sizeof(none));
  }
  // Who gave a buffer prints the message itself.
  if (code != CUDA_SUCCESS && !options.errorLog)
    say(log);
  return code;
}

EXPORT cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count,
                          CUjit_option *options, void **values) {
  Guard guard;
  JitOptions read;
  TRY(readOptions(count, options, values, read));
  return loadImage(module, image, "image", read);
}

EXPORT cuModuleLoadData(CUmodule *module, const void *image) {
  Guard guard;
  return loadImage(module, image, "image", {});
}

EXPORT cuModuleLoadFatBinary(CUmodule *module, const void *image) {
  Guard guard;
  return loadImage(module, image, "image", {});
}

EXPORT cuModuleLoad(CUmodule *module, const char *path) {
  Guard guard;
  if (!path)
    return CUDA_ERROR_INVALID_VALUE;
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return CUDA_ERROR_FILE_NOT_FOUND;
  std::string text((std::istreambuf_iterator<char>(file)), {});
  return loadImage(module, text.c_str(), path, {});
}

void vcuda::unloadModule(Module &module) {
  Driver &driver = Driver::get();
  for (const auto &[name, function] : module.functions)
    driver.functions.erase(function);
  module.device->machine->unload(module.id);
  driver.modules.erase(module.handle);
}

EXPORT cuModuleUnload(CUmodule handle) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  Module *module = Driver::get().modules.find(handle);
  if (!module)
    return CUDA_ERROR_INVALID_HANDLE;
  unloadModule(*module);
  return CUDA_SUCCESS;
}

EXPORT cuModuleGetLoadingMode(CUmoduleLoadingMode *mode) {
  if (!mode)
    return CUDA_ERROR_INVALID_VALUE;
  *mode = CU_MODULE_LAZY_LOADING;
  return CUDA_SUCCESS;
}

//===--- Kernels and variables ---===//

CUresult vcuda::findFunction(Module &module, std::string_view name,
                             CUfunction &result) {
  if (auto known = module.functions.find(name);
      known != module.functions.end()) {
    result = known->second;
    return CUDA_SUCCESS;
  }
  ptx::Machine &machine = *module.device->machine;
  const ptx::Function *found = machine.module(module.id)->findFunction(name);
  if (!found || !found->isKernel)
    return CUDA_ERROR_NOT_FOUND;
  ptx::Result<ptx::Kernel> kernel = machine.findKernel(module.id, name);
  if (!kernel) {
    say(kernel.error().str());
    return CUDA_ERROR_NOT_SUPPORTED;
  }
  auto function = std::make_unique<Function>();
  function->module = static_cast<CUmodule>(module.handle);
  function->name = name;
  function->kernel = std::move(*kernel);
  function->maxDynamicShared =
      std::max(0, (48 << 10) - int(function->kernel.staticShared()));
  result = Driver::get().functions.add<CUfunction>(std::move(function));
  module.functions.emplace(name, result);
  return CUDA_SUCCESS;
}

EXPORT cuModuleGetFunction(CUfunction *function, CUmodule handle,
                           const char *name) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (!function || !name)
    return CUDA_ERROR_INVALID_VALUE;
  Module *module = Driver::get().modules.find(handle);
  if (!module)
    return CUDA_ERROR_INVALID_HANDLE;
  return findFunction(*module, name, *function);
}

EXPORT cuModuleGetFunctionCount(unsigned *count, CUmodule handle) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  Module *module = Driver::get().modules.find(handle);
  if (!module)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!count)
    return CUDA_ERROR_INVALID_VALUE;
  *count = 0;
  for (const ptx::Function &function :
       module->device->machine->module(module->id)->functions)
    *count += function.isKernel;
  return CUDA_SUCCESS;
}

EXPORT cuModuleEnumerateFunctions(CUfunction *functions, unsigned count,
                                  CUmodule handle) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  Module *module = Driver::get().modules.find(handle);
  if (!module)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!functions && count)
    return CUDA_ERROR_INVALID_VALUE;
  for (const ptx::Function &function :
       module->device->machine->module(module->id)->functions) {
    if (!function.isKernel || count == 0)
      continue;
    TRY(findFunction(*module, function.name, *functions));
    ++functions;
    --count;
  }
  return CUDA_SUCCESS;
}

EXPORT cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes,
                            CUmodule handle, const char *name) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (!name || (!address && !bytes))
    return CUDA_ERROR_INVALID_VALUE;
  Module *module = Driver::get().modules.find(handle);
  if (!module)
    return CUDA_ERROR_INVALID_HANDLE;
  ptx::Result<ptx::GlobalSymbol> symbol =
      module->device->machine->findGlobal(module->id, name);
  if (!symbol)
    return CUDA_ERROR_NOT_FOUND;
  if (address)
    *address = symbol->address;
  if (bytes)
    *bytes = symbol->size;
  return CUDA_SUCCESS;
}
ALSO("cuModuleGetGlobal", cuModuleGetGlobal_v2);
