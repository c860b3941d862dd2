//===- Memory.cpp - Allocations -------------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Device memory lies in the host's: an address is the same for both. What the
// host may write without the driver (managed, host and registered memory)
// counts as written from the start.
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Operations.h"

#include <cstring>

using namespace clade;
using namespace clade::vcuda;

static CUresult allocate(Context &context, uint64_t &address, uint64_t size,
                         MemoryKind kind, unsigned flags = 0,
                         CUmemoryPool pool = nullptr) {
  if (size == 0)
    return CUDA_ERROR_INVALID_VALUE;
  Driver &driver = Driver::get();
  Device &device = *context.device;
  bool isHosts = kind == MemoryKind::Host;
  if (!isHosts &&
      size > device.memoryBytes -
                 std::min(device.memoryBytes, device.machine->bytesInUse()))
    return CUDA_ERROR_OUT_OF_MEMORY;
  ptx::Result<uint64_t> made = device.machine->allocate(size);
  if (!made)
    return CUDA_ERROR_OUT_OF_MEMORY;
  address = *made;
  if (isHosts || kind == MemoryKind::Managed)
    device.machine->fill(address, 0, 1, size);
  Allocation allocation = {
      address, size,  kind, static_cast<CUcontext>(context.handle),
      &device, flags, pool, ++driver.serial};
  driver.allocations[address] = allocation;
  return CUDA_SUCCESS;
}

static CUresult release(uint64_t address, bool isHosts) {
  Driver &driver = Driver::get();
  auto found = driver.allocations.find(address);
  if (found == driver.allocations.end() ||
      (found->second.kind == MemoryKind::Host) != isHosts ||
      found->second.kind == MemoryKind::Registered)
    return CUDA_ERROR_INVALID_VALUE;
  if (Pool *pool = driver.pools.find(found->second.pool))
    pool->used -= found->second.size;
  found->second.device->machine->free(address);
  driver.allocations.erase(found);
  return CUDA_SUCCESS;
}

EXPORT cuMemGetInfo_v2(size_t *free, size_t *total) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (!free || !total)
    return CUDA_ERROR_INVALID_VALUE;
  Device &device = *context->device;
  *total = device.memoryBytes;
  *free = device.memoryBytes -
          std::min(device.memoryBytes, device.machine->bytesInUse());
  return CUDA_SUCCESS;
}
ALSO("cuMemGetInfo", cuMemGetInfo_v2);

EXPORT cuMemAlloc_v2(CUdeviceptr *address, size_t size) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (!address)
    return CUDA_ERROR_INVALID_VALUE;
  uint64_t made;
  TRY(allocate(*context, made, size, MemoryKind::Device));
  *address = made;
  return CUDA_SUCCESS;
}
ALSO("cuMemAlloc", cuMemAlloc_v2);

EXPORT cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width,
                          size_t height, unsigned elementBytes) {
  Guard guard;
  if (!pitch || (elementBytes != 4 && elementBytes != 8 && elementBytes != 16))
    return CUDA_ERROR_INVALID_VALUE;
  constexpr size_t unit = 512;
  if (width > SIZE_MAX / 2 || (width && height > SIZE_MAX / 2 / (width + unit)))
    return CUDA_ERROR_INVALID_VALUE;
  size_t rounded = (width + unit - 1) / unit * unit;
  TRY(cuMemAlloc_v2(address, rounded * height));
  *pitch = rounded;
  return CUDA_SUCCESS;
}
ALSO("cuMemAllocPitch", cuMemAllocPitch_v2);

EXPORT cuMemFree_v2(CUdeviceptr address) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  return address ? release(address, /*isHosts=*/false) : CUDA_SUCCESS;
}
ALSO("cuMemFree", cuMemFree_v2);

/// The range of memory of a module's variable or of an allocation.
static CUresult findRange(Context &context, uint64_t address, uint64_t &base,
                          uint64_t &size) {
  std::optional<ptx::AllocationInfo> info =
      context.device->machine->find(address);
  if (!info || info->isFree)
    return CUDA_ERROR_NOT_FOUND;
  base = info->base;
  size = info->size;
  return CUDA_SUCCESS;
}

EXPORT cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size,
                               CUdeviceptr address) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  uint64_t foundBase, foundSize;
  TRY(findRange(*context, address, foundBase, foundSize));
  if (base)
    *base = foundBase;
  if (size)
    *size = foundSize;
  return CUDA_SUCCESS;
}
ALSO("cuMemGetAddressRange", cuMemGetAddressRange_v2);

EXPORT cuMemAllocManaged(CUdeviceptr *address, size_t size, unsigned flags) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (!address ||
      (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
    return CUDA_ERROR_INVALID_VALUE;
  uint64_t made;
  TRY(allocate(*context, made, size, MemoryKind::Managed, flags));
  *address = made;
  return CUDA_SUCCESS;
}

//===--- Host memory ---===//

EXPORT cuMemHostAlloc(void **pointer, size_t size, unsigned flags) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (!pointer ||
      flags > (CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP |
               CU_MEMHOSTALLOC_WRITECOMBINED))
    return CUDA_ERROR_INVALID_VALUE;
  uint64_t made;
  TRY(allocate(*context, made, size, MemoryKind::Host, flags));
  *pointer = reinterpret_cast<void *>(made);
  return CUDA_SUCCESS;
}

EXPORT cuMemAllocHost_v2(void **pointer, size_t size) {
  return cuMemHostAlloc(pointer, size, 0);
}
ALSO("cuMemAllocHost", cuMemAllocHost_v2);

EXPORT cuMemFreeHost(void *pointer) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  return release(reinterpret_cast<uint64_t>(pointer), /*isHosts=*/true);
}

EXPORT cuMemHostRegister_v2(void *pointer, size_t size, unsigned flags) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  constexpr unsigned known =
      CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP |
      CU_MEMHOSTREGISTER_IOMEMORY | CU_MEMHOSTREGISTER_READ_ONLY;
  if (!pointer || size == 0 || (flags & ~known))
    return CUDA_ERROR_INVALID_VALUE;
  if (flags & CU_MEMHOSTREGISTER_IOMEMORY)
    return CUDA_ERROR_NOT_SUPPORTED;
  Driver &driver = Driver::get();
  auto address = reinterpret_cast<uint64_t>(pointer);
  auto after = driver.allocations.lower_bound(address);
  if (driver.findAllocation(address) ||
      (after != driver.allocations.end() && after->first - address < size))
    return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  ptx::Result<uint64_t> mirror = context->device->machine->allocate(size);
  if (!mirror)
    return CUDA_ERROR_OUT_OF_MEMORY;
  Allocation allocation = {address,
                           size,
                           MemoryKind::Registered,
                           static_cast<CUcontext>(context->handle),
                           context->device,
                           flags,
                           nullptr,
                           ++driver.serial,
                           *mirror};
  driver.allocations[address] = allocation;
  return CUDA_SUCCESS;
}
ALSO("cuMemHostRegister", cuMemHostRegister_v2);

EXPORT cuMemHostUnregister(void *pointer) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  Driver &driver = Driver::get();
  auto found = driver.allocations.find(reinterpret_cast<uint64_t>(pointer));
  if (found == driver.allocations.end() ||
      found->second.kind != MemoryKind::Registered)
    return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
  found->second.device->machine->free(found->second.mirror);
  driver.allocations.erase(found);
  return CUDA_SUCCESS;
}

CUresult vcuda::copyRegistered(Device &device, bool isBack) {
  for (const auto &[address, allocation] : Driver::get().allocations) {
    if (allocation.kind != MemoryKind::Registered ||
        allocation.device != &device)
      continue;
    auto *host = reinterpret_cast<void *>(address);
    ptx::Status done =
        isBack
            ? device.machine->copyOut(host, allocation.mirror, allocation.size)
            : device.machine->copyIn(allocation.mirror, host, allocation.size);
    if (!done)
      return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

EXPORT cuMemHostGetDevicePointer_v2(CUdeviceptr *address, void *pointer,
                                    unsigned flags) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (!address || flags)
    return CUDA_ERROR_INVALID_VALUE;
  auto value = reinterpret_cast<uint64_t>(pointer);
  Allocation *allocation = Driver::get().findAllocation(value);
  if (!allocation || (allocation->kind != MemoryKind::Host &&
                      allocation->kind != MemoryKind::Registered))
    return CUDA_ERROR_INVALID_VALUE;
  *address = allocation->mirror
                 ? allocation->mirror + (value - allocation->address)
                 : value;
  return CUDA_SUCCESS;
}
ALSO("cuMemHostGetDevicePointer", cuMemHostGetDevicePointer_v2);

EXPORT cuMemHostGetFlags(unsigned *flags, void *pointer) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  Allocation *allocation =
      Driver::get().findAllocation(reinterpret_cast<uint64_t>(pointer));
  if (!flags || !allocation || allocation->kind != MemoryKind::Host)
    return CUDA_ERROR_INVALID_VALUE;
  *flags = allocation->flags | CU_MEMHOSTALLOC_DEVICEMAP;
  return CUDA_SUCCESS;
}

//===--- Pools ---===//

static CUresult makePool(Device &device, CUmemoryPool &handle, bool isDefault) {
  auto pool = std::make_unique<Pool>();
  pool->device = &device;
  pool->isDefault = isDefault;
  handle = Driver::get().pools.add<CUmemoryPool>(std::move(pool));
  return CUDA_SUCCESS;
}

static CUresult defaultPool(Device &device, CUmemoryPool &handle) {
  if (!device.defaultPool)
    TRY(makePool(device, device.defaultPool, true));
  handle = device.defaultPool;
  return CUDA_SUCCESS;
}

EXPORT cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice ordinal) {
  Guard guard;
  TRY(requireInitialised());
  Device *device = Driver::get().device(ordinal);
  if (!device)
    return CUDA_ERROR_INVALID_DEVICE;
  return pool ? defaultPool(*device, *pool) : CUDA_ERROR_INVALID_VALUE;
}

EXPORT cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice ordinal) {
  Guard guard;
  TRY(requireInitialised());
  Device *device = Driver::get().device(ordinal);
  if (!device)
    return CUDA_ERROR_INVALID_DEVICE;
  if (!pool)
    return CUDA_ERROR_INVALID_VALUE;
  if (!Driver::get().pools.find(device->pool))
    return defaultPool(*device, *pool);
  *pool = device->pool;
  return CUDA_SUCCESS;
}

EXPORT cuDeviceSetMemPool(CUdevice ordinal, CUmemoryPool pool) {
  Guard guard;
  TRY(requireInitialised());
  Device *device = Driver::get().device(ordinal);
  if (!device)
    return CUDA_ERROR_INVALID_DEVICE;
  if (!Driver::get().pools.find(pool))
    return CUDA_ERROR_INVALID_HANDLE;
  device->pool = pool;
  return CUDA_SUCCESS;
}

EXPORT cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *properties) {
  Guard guard;
  TRY(requireInitialised());
  if (!pool || !properties ||
      properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
    return CUDA_ERROR_INVALID_VALUE;
  Device *device = Driver::get().device(properties->location.id);
  return device ? makePool(*device, *pool, false) : CUDA_ERROR_INVALID_DEVICE;
}

EXPORT cuMemPoolDestroy(CUmemoryPool handle) {
  Guard guard;
  TRY(requireInitialised());
  Pool *pool = Driver::get().pools.find(handle);
  if (!pool)
    return CUDA_ERROR_INVALID_HANDLE;
  if (pool->isDefault)
    return CUDA_ERROR_INVALID_VALUE;
  Driver::get().pools.erase(handle);
  return CUDA_SUCCESS;
}

EXPORT cuMemPoolTrimTo(CUmemoryPool handle, size_t keep) {
  Guard guard;
  TRY(requireInitialised());
  return Driver::get().pools.find(handle) ? CUDA_SUCCESS
                                          : CUDA_ERROR_INVALID_HANDLE;
}

EXPORT cuMemPoolSetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute,
                             void *value) {
  Guard guard;
  TRY(requireInitialised());
  Pool *pool = Driver::get().pools.find(handle);
  if (!pool)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!value)
    return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
  case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
    std::memcpy(&pool->releaseThreshold, value, sizeof(uint64_t));
    return CUDA_SUCCESS;
  case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
  case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    pool->usedHigh = pool->used;
    return CUDA_SUCCESS;
  case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
  case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
  case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
    return CUDA_SUCCESS;
  default:
    return CUDA_ERROR_INVALID_VALUE;
  }
}

EXPORT cuMemPoolGetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute,
                             void *value) {
  Guard guard;
  TRY(requireInitialised());
  Pool *pool = Driver::get().pools.find(handle);
  if (!pool)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!value)
    return CUDA_ERROR_INVALID_VALUE;
  uint64_t wide = 0;
  switch (attribute) {
  case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
    wide = pool->releaseThreshold;
    break;
  case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
  case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
    wide = pool->used;
    break;
  case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
  case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    wide = pool->usedHigh;
    break;
  case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
  case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
  case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES: {
    int one = 1;
    std::memcpy(value, &one, sizeof(one));
    return CUDA_SUCCESS;
  }
  default:
    return CUDA_ERROR_INVALID_VALUE;
  }
  std::memcpy(value, &wide, sizeof(wide));
  return CUDA_SUCCESS;
}

EXPORT cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t size,
                               CUmemoryPool handle, CUstream streamHandle) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  Stream *stream;
  TRY(resolveStream(streamHandle, stream));
  if (stream->capture)
    return CUDA_ERROR_NOT_SUPPORTED;
  Pool *pool = Driver::get().pools.find(handle);
  if (!pool)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!address)
    return CUDA_ERROR_INVALID_VALUE;
  uint64_t made;
  TRY(allocate(*context, made, size, MemoryKind::Pool, 0, handle));
  pool->used += size;
  pool->usedHigh = std::max(pool->usedHigh, pool->used);
  *address = made;
  return CUDA_SUCCESS;
}
ALSO("cuMemAllocFromPoolAsync_ptsz", cuMemAllocFromPoolAsync);

EXPORT cuMemAllocAsync(CUdeviceptr *address, size_t size, CUstream stream) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  CUmemoryPool pool;
  TRY(cuDeviceGetMemPool(&pool, context->device->ordinal));
  return cuMemAllocFromPoolAsync(address, size, pool, stream);
}
ALSO("cuMemAllocAsync_ptsz", cuMemAllocAsync);

EXPORT cuMemFreeAsync(CUdeviceptr address, CUstream streamHandle) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  Stream *stream;
  TRY(resolveStream(streamHandle, stream));
  if (stream->capture)
    return CUDA_ERROR_NOT_SUPPORTED;
  return release(address, /*isHosts=*/false);
}
ALSO("cuMemFreeAsync_ptsz", cuMemFreeAsync);
