//===- Function.cpp - Attributes of kernels, and occupancy ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How many registers a kernel takes is known to the compiler of machine code
// only: what is told here is a stated figure, 32, or the bound that the PTX
// itself sets.
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Module.h"

#include <algorithm>

using namespace clade;
using namespace clade::vcuda;

static uint32_t product(const std::array<uint32_t, 3> &sizes) {
  return sizes[0] * std::max(1u, sizes[1]) * std::max(1u, sizes[2]);
}

static int maxThreads(const ptx::Function &function) {
  if (uint32_t required = product(function.requiredThreads))
    return int(required);
  uint32_t most = product(function.maxThreads);
  return most ? int(std::min(most, 1024u)) : 1024;
}

static int statedRegisters(const ptx::Function &function) {
  constexpr int unknown = 32;
  if (function.maxRegisters)
    return std::min(unknown, int(function.maxRegisters));
  return unknown;
}

static DeviceModel const &modelOf(const Function &function) {
  return *Driver::get().modules.find(function.module)->device->model;
}

CUresult vcuda::functionAttribute(const Function &function,
                                  CUfunction_attribute attribute, int &value) {
  const ptx::Function &code = function.kernel.function();
  const DeviceModel &model = modelOf(function);
  switch (attribute) {
  case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    value = maxThreads(code);
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
    value = int(function.kernel.staticShared());
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
  case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA:
  case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    value = 0;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
    value = int(function.kernel.localBytes());
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_NUM_REGS:
    value = statedRegisters(code);
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_PTX_VERSION:
  case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
    value = model.major * 10 + model.minor;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
    value = function.maxDynamicShared;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    value = function.carveout;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET:
    value = code.isExplicitCluster && product(code.requiredCluster) == 0;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
    value = int(code.requiredCluster[0]);
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
    value = int(code.requiredCluster[1]);
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
    value = int(code.requiredCluster[2]);
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
    value = function.allowsLargeCluster;
    return CUDA_SUCCESS;
  default:
    return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult vcuda::setFunctionAttribute(Function &function,
                                     CUfunction_attribute attribute,
                                     int value) {
  switch (attribute) {
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
    if (value < 0 || value + int(function.kernel.staticShared()) >
                         int(modelOf(function).limits().sharedPerBlock))
      return CUDA_ERROR_INVALID_VALUE;
    function.maxDynamicShared = value;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    if (value < -1 || value > 100)
      return CUDA_ERROR_INVALID_VALUE;
    function.carveout = value;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
    function.allowsLargeCluster = value != 0;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    return CUDA_SUCCESS;
  default:
    return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult vcuda::resolveFunction(CUfunction handle, Function *&function) {
  Driver &driver = Driver::get();
  // A CUkernel may stand where a CUfunction is wanted.
  if (LibraryKernel *kernel = driver.kernels.find(handle))
    TRY(functionOfKernel(*kernel, handle));
  function = driver.functions.find(handle);
  return function ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

EXPORT cuFuncGetAttribute(int *value, CUfunction_attribute attribute,
                          CUfunction handle) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  Function *function;
  TRY(resolveFunction(handle, function));
  return value ? functionAttribute(*function, attribute, *value)
               : CUDA_ERROR_INVALID_VALUE;
}

EXPORT cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute,
                          int value) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  Function *function;
  TRY(resolveFunction(handle, function));
  return setFunctionAttribute(*function, attribute, value);
}

EXPORT cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache config) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  Function *function;
  return resolveFunction(handle, function);
}

EXPORT cuFuncSetSharedMemConfig(CUfunction handle, CUsharedconfig config) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  Function *function;
  return resolveFunction(handle, function);
}

EXPORT cuFuncGetModule(CUmodule *module, CUfunction handle) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  Function *function;
  TRY(resolveFunction(handle, function));
  if (!module)
    return CUDA_ERROR_INVALID_VALUE;
  *module = function->module;
  return CUDA_SUCCESS;
}

EXPORT cuFuncGetName(const char **name, CUfunction handle) {
  Guard guard;
  TRY(requireInitialised());
  Function *function;
  TRY(resolveFunction(handle, function));
  if (!name)
    return CUDA_ERROR_INVALID_VALUE;
  *name = function->name.c_str();
  return CUDA_SUCCESS;
}

static CUresult parameterInfo(const Function &function, size_t index,
                              size_t *offset, size_t *size) {
  const ptx::Function &code = function.kernel.function();
  if (!offset || index >= code.parameters.size())
    return CUDA_ERROR_INVALID_VALUE;
  *offset = code.parameters[index].offset;
  if (size)
    *size = code.parameters[index].size;
  return CUDA_SUCCESS;
}

EXPORT cuFuncGetParamInfo(CUfunction handle, size_t index, size_t *offset,
                          size_t *size) {
  Guard guard;
  TRY(requireInitialised());
  Function *function;
  TRY(resolveFunction(handle, function));
  return parameterInfo(*function, index, offset, size);
}

EXPORT cuKernelGetParamInfo(CUkernel handle, size_t index, size_t *offset,
                            size_t *size) {
  Guard guard;
  TRY(requireInitialised());
  Function *function;
  TRY(resolveFunction(reinterpret_cast<CUfunction>(handle), function));
  return parameterInfo(*function, index, offset, size);
}

EXPORT cuFuncIsLoaded(CUfunctionLoadingState *state, CUfunction handle) {
  Guard guard;
  TRY(requireInitialised());
  Function *function;
  TRY(resolveFunction(handle, function));
  if (!state)
    return CUDA_ERROR_INVALID_VALUE;
  *state = CU_FUNCTION_LOADING_STATE_LOADED;
  return CUDA_SUCCESS;
}

EXPORT cuFuncLoad(CUfunction handle) {
  Guard guard;
  TRY(requireInitialised());
  Function *function;
  return resolveFunction(handle, function);
}

//===--- Occupancy ---===//

ptx::BlockDemand vcuda::demandOf(const Function &function, uint32_t threads,
                                 uint64_t dynamicShared) {
  ptx::BlockDemand demand;
  demand.threads = threads;
  demand.registers = uint32_t(statedRegisters(function.kernel.function()));
  demand.shared = function.kernel.staticShared() + dynamicShared;
  return demand;
}

/// Blocks that a multiprocessor holds at once.
static int residentBlocks(const Function &function, int threads,
                          size_t dynamicShared) {
  const ptx::Function &code = function.kernel.function();
  if (threads > maxThreads(code) ||
      int64_t(dynamicShared) > function.maxDynamicShared)
    return 0;
  return int(
      ptx::occupancyOf(modelOf(function).limits(),
                       demandOf(function, uint32_t(threads), dynamicShared))
          .blocks);
}

EXPORT cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    int *blocks, CUfunction handle, int threads, size_t dynamicShared,
    unsigned flags) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  Function *function;
  TRY(resolveFunction(handle, function));
  if (!blocks || threads <= 0)
    return CUDA_ERROR_INVALID_VALUE;
  *blocks = residentBlocks(*function, threads, dynamicShared);
  return CUDA_SUCCESS;
}

EXPORT cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks,
                                                   CUfunction handle,
                                                   int threads,
                                                   size_t dynamicShared) {
  return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
      blocks, handle, threads, dynamicShared, 0);
}

EXPORT cuOccupancyMaxPotentialBlockSizeWithFlags(
    int *minGrid, int *blockSize, CUfunction handle,
    CUoccupancyB2DSize sharedOfBlock, size_t dynamicShared, int limit,
    unsigned flags) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  Function *function;
  TRY(resolveFunction(handle, function));
  if (!minGrid || !blockSize)
    return CUDA_ERROR_INVALID_VALUE;
  int most = maxThreads(function->kernel.function());
  if (limit > 0)
    most = std::min(most, limit);
  int best = 0, bestThreads = 0;
  // The largest block of those that keep most threads resident.
  for (int threads = most; threads > 0; threads = (threads - 1) / 32 * 32) {
    size_t shared = sharedOfBlock ? sharedOfBlock(threads) : dynamicShared;
    int resident = residentBlocks(*function, threads, shared) * threads;
    if (resident > bestThreads) {
      bestThreads = resident;
      best = threads;
    }
  }
  if (best == 0)
    return CUDA_ERROR_INVALID_VALUE;
  *blockSize = best;
  *minGrid = bestThreads / best * modelOf(*function).multiprocessors;
  return CUDA_SUCCESS;
}

EXPORT cuOccupancyMaxPotentialBlockSize(int *minGrid, int *blockSize,
                                        CUfunction handle,
                                        CUoccupancyB2DSize sharedOfBlock,
                                        size_t dynamicShared, int limit) {
  return cuOccupancyMaxPotentialBlockSizeWithFlags(
      minGrid, blockSize, handle, sharedOfBlock, dynamicShared, limit, 0);
}

EXPORT cuOccupancyAvailableDynamicSMemPerBlock(size_t *bytes, CUfunction handle,
                                               int blocks, int threads) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  Function *function;
  TRY(resolveFunction(handle, function));
  if (!bytes || blocks <= 0 || threads <= 0)
    return CUDA_ERROR_INVALID_VALUE;
  uint32_t most =
      ptx::sharedForBlocks(modelOf(*function).limits(), uint32_t(blocks));
  *bytes = most - std::min(most, function->kernel.staticShared());
  return CUDA_SUCCESS;
}

EXPORT cuOccupancyMaxPotentialClusterSize(int *size, CUfunction handle,
                                          const CUlaunchConfig *config) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  Function *function;
  TRY(resolveFunction(handle, function));
  if (!size || !config)
    return CUDA_ERROR_INVALID_VALUE;
  *size = 1; // The machine runs clusters of one block.
  return CUDA_SUCCESS;
}

EXPORT cuOccupancyMaxActiveClusters(int *count, CUfunction handle,
                                    const CUlaunchConfig *config) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  Function *function;
  TRY(resolveFunction(handle, function));
  if (!count || !config)
    return CUDA_ERROR_INVALID_VALUE;
  int threads = int(config->blockDimX * config->blockDimY * config->blockDimZ);
  if (threads <= 0)
    return CUDA_ERROR_INVALID_VALUE;
  *count = residentBlocks(*function, threads, config->sharedMemBytes) *
           modelOf(*function).multiprocessors;
  return CUDA_SUCCESS;
}
