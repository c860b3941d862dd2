//===- Context.cpp - Contexts ---------------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Driver.h"

using namespace clade::vcuda;

Context::Context() = default;
Context::~Context() = default;

static CUcontext makeContext(Device &device, unsigned flags, bool isPrimary) {
  Driver &driver = Driver::get();
  auto context = std::make_unique<Context>();
  Context *made = context.get();
  made->device = &device;
  made->flags = flags;
  made->isPrimary = isPrimary;
  made->id = ++driver.serial;
  made->limits = {{CU_LIMIT_STACK_SIZE, 1024},
                  {CU_LIMIT_PRINTF_FIFO_SIZE, 1 << 20},
                  {CU_LIMIT_MALLOC_HEAP_SIZE, 8 << 20},
                  {CU_LIMIT_MAX_L2_FETCH_GRANULARITY, 128},
                  {CU_LIMIT_PERSISTING_L2_CACHE_SIZE, 0}};
  auto handle = driver.contexts.add<CUcontext>(std::move(context));
  made->defaultStream = std::make_unique<Stream>();
  made->defaultStream->context = handle;
  return handle;
}

/// Ends a context with all that belongs to it.
static void endContext(Context &context) {
  Driver &driver = Driver::get();
  auto handle = static_cast<CUcontext>(context.handle);
  driver.modules.eraseIf([&](const Module &module) {
    if (module.context != handle)
      return false;
    for (const auto &[name, function] : module.functions)
      driver.functions.erase(function);
    context.device->machine->unload(module.id);
    return true;
  });
  driver.streams.eraseIf(
      [&](const Stream &stream) { return stream.context == handle; });
  driver.events.eraseIf(
      [&](const Event &event) { return event.context == handle; });
  for (auto it = driver.allocations.begin(); it != driver.allocations.end();) {
    Allocation &allocation = it->second;
    if (allocation.context != handle) {
      ++it;
      continue;
    }
    context.device->machine->free(allocation.mirror ? allocation.mirror
                                                    : allocation.address);
    it = driver.allocations.erase(it);
  }
  driver.contexts.erase(handle);
}

static CUresult makeCurrent(CUcontext *result, unsigned flags,
                            CUdevice ordinal) {
  Guard guard;
  TRY(requireInitialised());
  Device *device = Driver::get().device(ordinal);
  if (!device)
    return CUDA_ERROR_INVALID_DEVICE;
  if (!result || flags > CU_CTX_FLAGS_MASK)
    return CUDA_ERROR_INVALID_VALUE;
  *result = makeContext(*device, flags, /*isPrimary=*/false);
  contextStack().push_back(*result);
  return CUDA_SUCCESS;
}

EXPORT cuCtxCreate_v2(CUcontext *result, unsigned flags, CUdevice device) {
  return makeCurrent(result, flags, device);
}
ALSO("cuCtxCreate", cuCtxCreate_v2);

EXPORT cuCtxCreate_v4(CUcontext *result, CUctxCreateParams *parameters,
                      unsigned flags, CUdevice device) {
  if (parameters && (parameters->numExecAffinityParams != 0 ||
                     parameters->cigParams != nullptr))
    return CUDA_ERROR_NOT_SUPPORTED;
  return makeCurrent(result, flags, device);
}

EXPORT cuCtxDestroy_v2(CUcontext handle) {
  Guard guard;
  TRY(requireInitialised());
  Context *context = Driver::get().contexts.find(handle);
  if (!context || context->isPrimary)
    return CUDA_ERROR_INVALID_CONTEXT;
  std::vector<CUcontext> &stack = contextStack();
  if (!stack.empty() && stack.back() == handle)
    stack.pop_back();
  endContext(*context);
  return CUDA_SUCCESS;
}
ALSO("cuCtxDestroy", cuCtxDestroy_v2);

EXPORT cuCtxPushCurrent_v2(CUcontext handle) {
  Guard guard;
  TRY(requireInitialised());
  if (!Driver::get().contexts.find(handle))
    return CUDA_ERROR_INVALID_CONTEXT;
  contextStack().push_back(handle);
  return CUDA_SUCCESS;
}
ALSO("cuCtxPushCurrent", cuCtxPushCurrent_v2);

EXPORT cuCtxPopCurrent_v2(CUcontext *result) {
  Guard guard;
  TRY(requireInitialised());
  std::vector<CUcontext> &stack = contextStack();
  if (stack.empty())
    return CUDA_ERROR_INVALID_CONTEXT;
  if (result)
    *result = stack.back();
  stack.pop_back();
  return CUDA_SUCCESS;
}
ALSO("cuCtxPopCurrent", cuCtxPopCurrent_v2);

EXPORT cuCtxSetCurrent(CUcontext handle) {
  Guard guard;
  TRY(requireInitialised());
  if (handle && !Driver::get().contexts.find(handle))
    return CUDA_ERROR_INVALID_CONTEXT;
  std::vector<CUcontext> &stack = contextStack();
  if (!stack.empty())
    stack.pop_back();
  if (handle)
    stack.push_back(handle);
  return CUDA_SUCCESS;
}

EXPORT cuCtxGetCurrent(CUcontext *result) {
  Guard guard;
  TRY(requireInitialised());
  if (!result)
    return CUDA_ERROR_INVALID_VALUE;
  const std::vector<CUcontext> &stack = contextStack();
  *result = stack.empty() ? nullptr : stack.back();
  return CUDA_SUCCESS;
}

EXPORT cuCtxGetDevice(CUdevice *result) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (!result)
    return CUDA_ERROR_INVALID_VALUE;
  *result = context->device->ordinal;
  return CUDA_SUCCESS;
}

EXPORT cuCtxGetFlags(unsigned *flags) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (!flags)
    return CUDA_ERROR_INVALID_VALUE;
  *flags = context->flags;
  return CUDA_SUCCESS;
}

EXPORT cuCtxSetFlags(unsigned flags) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  context->flags = flags;
  return CUDA_SUCCESS;
}

EXPORT cuCtxGetId(CUcontext handle, unsigned long long *id) {
  Guard guard;
  TRY(requireInitialised());
  if (!id)
    return CUDA_ERROR_INVALID_VALUE;
  Context *context;
  if (handle)
    context = Driver::get().contexts.find(handle);
  else
    TRY(currentContext(context));
  if (!context)
    return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  *id = context->id;
  return CUDA_SUCCESS;
}

EXPORT cuCtxGetApiVersion(CUcontext handle, unsigned *version) {
  Guard guard;
  TRY(requireInitialised());
  if (handle && !Driver::get().contexts.find(handle))
    return CUDA_ERROR_INVALID_CONTEXT;
  if (!version)
    return CUDA_ERROR_INVALID_VALUE;
  *version = 3020;
  return CUDA_SUCCESS;
}

/// Every operation is done when its call returns, so that there is nothing to
/// wait for; a context that a stream captures from may not be waited for.
EXPORT cuCtxSynchronize() {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  bool isCapturing = false;
  Driver::get().streams.eraseIf([&](const Stream &stream) {
    isCapturing |= stream.context == context->handle && stream.capture &&
                   stream.capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED;
    return false;
  });
  return isCapturing ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}

EXPORT cuCtxSetLimit(CUlimit limit, size_t value) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (limit < 0 || limit >= CU_LIMIT_MAX)
    return CUDA_ERROR_INVALID_VALUE;
  auto known = context->limits.find(limit);
  if (known == context->limits.end())
    return CUDA_ERROR_UNSUPPORTED_LIMIT;
  known->second = value;
  return CUDA_SUCCESS;
}

EXPORT cuCtxGetLimit(size_t *value, CUlimit limit) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (!value || limit < 0 || limit >= CU_LIMIT_MAX)
    return CUDA_ERROR_INVALID_VALUE;
  auto known = context->limits.find(limit);
  if (known == context->limits.end())
    return CUDA_ERROR_UNSUPPORTED_LIMIT;
  *value = known->second;
  return CUDA_SUCCESS;
}

EXPORT cuCtxGetCacheConfig(CUfunc_cache *config) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (!config)
    return CUDA_ERROR_INVALID_VALUE;
  *config = CU_FUNC_CACHE_PREFER_NONE;
  return CUDA_SUCCESS;
}

EXPORT cuCtxSetCacheConfig(CUfunc_cache config) {
  Guard guard;
  Context *context;
  return currentContext(context);
}

EXPORT cuCtxGetStreamPriorityRange(int *least, int *greatest) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (least)
    *least = 0;
  if (greatest)
    *greatest = -5;
  return CUDA_SUCCESS;
}

EXPORT cuCtxResetPersistingL2Cache() {
  Guard guard;
  Context *context;
  return currentContext(context);
}

EXPORT cuCtxEnablePeerAccess(CUcontext peer, unsigned flags) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
}

EXPORT cuCtxDisablePeerAccess(CUcontext peer) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  return CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
}

//===--- The primary context of a device ---===//

EXPORT cuDevicePrimaryCtxRetain(CUcontext *result, CUdevice ordinal) {
  Guard guard;
  TRY(requireInitialised());
  Device *device = Driver::get().device(ordinal);
  if (!device)
    return CUDA_ERROR_INVALID_DEVICE;
  if (!result)
    return CUDA_ERROR_INVALID_VALUE;
  if (!device->primary)
    device->primary = makeContext(*device, device->primaryFlags, true);
  ++device->primaryUsers;
  *result = device->primary;
  return CUDA_SUCCESS;
}

static void endPrimary(Device &device) {
  if (Context *context = Driver::get().contexts.find(device.primary))
    endContext(*context);
  device.primary = nullptr;
  device.primaryUsers = 0;
}

EXPORT cuDevicePrimaryCtxRelease_v2(CUdevice ordinal) {
  Guard guard;
  TRY(requireInitialised());
  Device *device = Driver::get().device(ordinal);
  if (!device)
    return CUDA_ERROR_INVALID_DEVICE;
  if (device->primaryUsers == 0)
    return CUDA_ERROR_INVALID_CONTEXT;
  if (--device->primaryUsers == 0)
    endPrimary(*device);
  return CUDA_SUCCESS;
}
ALSO("cuDevicePrimaryCtxRelease", cuDevicePrimaryCtxRelease_v2);

EXPORT cuDevicePrimaryCtxReset_v2(CUdevice ordinal) {
  Guard guard;
  TRY(requireInitialised());
  Device *device = Driver::get().device(ordinal);
  if (!device)
    return CUDA_ERROR_INVALID_DEVICE;
  endPrimary(*device);
  return CUDA_SUCCESS;
}
ALSO("cuDevicePrimaryCtxReset", cuDevicePrimaryCtxReset_v2);

EXPORT cuDevicePrimaryCtxSetFlags_v2(CUdevice ordinal, unsigned flags) {
  Guard guard;
  TRY(requireInitialised());
  Device *device = Driver::get().device(ordinal);
  if (!device)
    return CUDA_ERROR_INVALID_DEVICE;
  device->primaryFlags = flags;
  return CUDA_SUCCESS;
}
ALSO("cuDevicePrimaryCtxSetFlags", cuDevicePrimaryCtxSetFlags_v2);

EXPORT cuDevicePrimaryCtxGetState(CUdevice ordinal, unsigned *flags,
                                  int *active) {
  Guard guard;
  TRY(requireInitialised());
  Device *device = Driver::get().device(ordinal);
  if (!device)
    return CUDA_ERROR_INVALID_DEVICE;
  if (!flags || !active)
    return CUDA_ERROR_INVALID_VALUE;
  *flags = device->primaryFlags;
  *active = device->primary != nullptr;
  return CUDA_SUCCESS;
}
