//===- Pointers.cpp - What is known of pointers; managed memory's advice --===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Driver.h"

#include <cstring>

using namespace clade;
using namespace clade::vcuda;

namespace {
/// What a pointer points to: an allocation, or a variable of a module.
struct Target {
  uint64_t base, size;
  MemoryKind kind;
  CUcontext context;
  Device *device;
  uint64_t id;
  uint64_t mirror = 0; ///< Of registered memory: where kernels see its start.
};
} // namespace

static std::optional<Target> findTarget(Context &context, uint64_t address) {
  if (Allocation *a = Driver::get().findAllocation(address))
    return Target{a->address, a->size, a->kind,  a->context,
                  a->device,  a->id,   a->mirror};
  std::optional<ptx::AllocationInfo> info =
      context.device->machine->find(address);
  if (!info || info->isFree)
    return std::nullopt;
  return Target{info->base,         info->size,
                MemoryKind::Device, static_cast<CUcontext>(context.handle),
                context.device,     info->serial};
}

template <typename T> static CUresult give(void *data, T value) {
  std::memcpy(data, &value, sizeof(value));
  return CUDA_SUCCESS;
}

static CUresult attributeOf(void *data, CUpointer_attribute attribute,
                            const Target &target, CUdeviceptr address) {
  bool isHosts =
      target.kind == MemoryKind::Host || target.kind == MemoryKind::Registered;
  switch (attribute) {
  case CU_POINTER_ATTRIBUTE_CONTEXT:
    return give(data, target.context);
  case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    return give(data, isHosts ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE);
  case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    return give(data, target.mirror ? target.mirror + (address - target.base)
                                    : uint64_t(address));
  case CU_POINTER_ATTRIBUTE_HOST_POINTER:
    if (!isHosts && target.kind != MemoryKind::Managed)
      return CUDA_ERROR_INVALID_VALUE;
    return give(data, address);
  case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    return give(data, (unsigned long long)target.id);
  case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    return give(data, unsigned(target.kind == MemoryKind::Managed));
  case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
    return give(data, target.device->ordinal);
  case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    return give(data, target.base);
  case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    return give(data, target.size);
  case CU_POINTER_ATTRIBUTE_MAPPED:
    return give(data, 1u);
  case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
  case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
  case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    return give(data, 0u);
  case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
    return give(data, CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE);
  default:
    return CUDA_ERROR_INVALID_VALUE;
  }
}

EXPORT cuPointerGetAttribute(void *data, CUpointer_attribute attribute,
                             CUdeviceptr address) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  std::optional<Target> target = findTarget(*context, address);
  if (!data || !target)
    return CUDA_ERROR_INVALID_VALUE;
  return attributeOf(data, attribute, *target, address);
}

/// Unlike the form for one attribute, a pointer that CUDA does not know is no
/// error: its attributes are zero.
EXPORT cuPointerGetAttributes(unsigned count, CUpointer_attribute *attributes,
                              void **data, CUdeviceptr address) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (!attributes || !data)
    return CUDA_ERROR_INVALID_VALUE;
  std::optional<Target> target = findTarget(*context, address);
  for (unsigned i = 0; i < count; ++i) {
    if (!data[i])
      return CUDA_ERROR_INVALID_VALUE;
    if (target &&
        attributeOf(data[i], attributes[i], *target, address) == CUDA_SUCCESS)
      continue;
    switch (attributes[i]) {
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      give(data[i], -2);
      break;
    case CU_POINTER_ATTRIBUTE_CONTEXT:
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
      give(data[i], uint64_t(0));
      break;
    default:
      give(data[i], 0u);
    }
  }
  return CUDA_SUCCESS;
}

EXPORT cuPointerSetAttribute(const void *value, CUpointer_attribute attribute,
                             CUdeviceptr address) {
  Guard guard;
  Context *context;
  TRY(currentContext(context));
  if (!value || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS ||
      !findTarget(*context, address))
    return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

//===--- Where managed memory should be: it is everywhere ---===//

static CUresult requireManaged(CUdeviceptr address, size_t size) {
  Context *context;
  TRY(currentContext(context));
  Allocation *allocation = Driver::get().findAllocation(address);
  if (!allocation || allocation->kind != MemoryKind::Managed || size == 0 ||
      size > allocation->size - (address - allocation->address))
    return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

EXPORT cuMemPrefetchAsync_v2(CUdeviceptr address, size_t size,
                             CUmemLocation location, unsigned flags,
                             CUstream handle) {
  Guard guard;
  Stream *stream;
  TRY(resolveStream(handle, stream));
  return requireManaged(address, size);
}
ALSO("cuMemPrefetchAsync_v2_ptsz", cuMemPrefetchAsync_v2);

EXPORT cuMemPrefetchAsync(CUdeviceptr address, size_t size, CUdevice device,
                          CUstream handle) {
  Guard guard;
  Stream *stream;
  TRY(resolveStream(handle, stream));
  return requireManaged(address, size);
}

EXPORT cuMemAdvise_v2(CUdeviceptr address, size_t size, CUmem_advise advice,
                      CUmemLocation location) {
  Guard guard;
  return requireManaged(address, size);
}

EXPORT cuMemAdvise(CUdeviceptr address, size_t size, CUmem_advise advice,
                   CUdevice device) {
  Guard guard;
  return requireManaged(address, size);
}

EXPORT cuStreamAttachMemAsync(CUstream handle, CUdeviceptr address, size_t size,
                              unsigned flags) {
  Guard guard;
  Stream *stream;
  TRY(resolveStream(handle, stream));
  return requireManaged(address, size ? size : 1);
}
ALSO("cuStreamAttachMemAsync_ptsz", cuStreamAttachMemAsync);
