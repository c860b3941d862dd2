//===- Copy.cpp - Copies and fills of memory ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Operations.h"

#include <cstring>
#include <vector>

using namespace clade;
using namespace clade::vcuda;

/// The device whose machine knows an address; null for the host's memory.
static Device *ownerOf(uint64_t address) {
  for (const auto &device : Driver::get().devices) {
    std::optional<ptx::AllocationInfo> info = device->machine->find(address);
    if (info && !info->isFree)
      return device.get();
  }
  return nullptr;
}

namespace {
/// One side of a copy.
struct Side {
  uint64_t address; ///< Of the first byte.
  size_t pitch, slice;
  Device *owner; ///< Null for host memory.
};
} // namespace

static CUresult error(const ptx::Status &status) {
  if (status)
    return CUDA_SUCCESS;
  say(status.error().str());
  return CUDA_ERROR_INVALID_VALUE;
}

static CUresult copyRow(const Side &to, const Side &from, uint64_t toOffset,
                        uint64_t fromOffset, size_t bytes) {
  uint64_t target = to.address + toOffset, source = from.address + fromOffset;
  void *targetBytes = reinterpret_cast<void *>(target);
  const void *sourceBytes = reinterpret_cast<const void *>(source);
  if (to.owner && from.owner == to.owner)
    return error(to.owner->machine->copy(target, source, bytes));
  if (to.owner && from.owner) {
    std::vector<char> between(bytes);
    TRY(error(from.owner->machine->copyOut(between.data(), source, bytes)));
    return error(to.owner->machine->copyIn(target, between.data(), bytes));
  }
  if (to.owner)
    return error(to.owner->machine->copyIn(target, sourceBytes, bytes));
  if (from.owner)
    return error(from.owner->machine->copyOut(targetBytes, source, bytes));
  std::memmove(targetBytes, sourceBytes, bytes);
  return CUDA_SUCCESS;
}

/// A side without its offsets, which are added.
static CUresult readSide(CUmemorytype type, const void *host,
                         CUdeviceptr device, size_t pitch, size_t height,
                         const CUDA_MEMCPY3D &copy, size_t x, size_t y,
                         size_t z, Side &side) {
  if (type == CU_MEMORYTYPE_ARRAY)
    return CUDA_ERROR_NOT_SUPPORTED;
  if (type != CU_MEMORYTYPE_HOST && type != CU_MEMORYTYPE_DEVICE &&
      type != CU_MEMORYTYPE_UNIFIED)
    return CUDA_ERROR_INVALID_VALUE;
  uint64_t base =
      type == CU_MEMORYTYPE_HOST ? reinterpret_cast<uint64_t>(host) : device;
  pitch = pitch ? pitch : copy.WidthInBytes + x;
  height = height ? height : copy.Height + y;
  if (!base || pitch < copy.WidthInBytes + x || height < copy.Height + y)
    return CUDA_ERROR_INVALID_VALUE;
  side.pitch = pitch;
  side.slice = pitch * height;
  side.address = base + x + y * side.pitch + z * side.slice;
  side.owner = ownerOf(side.address);
  if (type == CU_MEMORYTYPE_DEVICE && !side.owner)
    return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

static CUresult readSides(const CUDA_MEMCPY3D &copy, Side &to, Side &from) {
  TRY(readSide(copy.srcMemoryType, copy.srcHost, copy.srcDevice, copy.srcPitch,
               copy.srcHeight, copy, copy.srcXInBytes, copy.srcY, copy.srcZ,
               from));
  return readSide(copy.dstMemoryType, copy.dstHost, copy.dstDevice,
                  copy.dstPitch, copy.dstHeight, copy, copy.dstXInBytes,
                  copy.dstY, copy.dstZ, to);
}

CUresult vcuda::checkCopy(const CUDA_MEMCPY3D &copy) {
  Side to, from;
  if (copy.WidthInBytes == 0 || copy.Height == 0 || copy.Depth == 0)
    return CUDA_SUCCESS;
  return readSides(copy, to, from);
}

CUresult vcuda::runCopy(const CUDA_MEMCPY3D &copy) {
  if (copy.WidthInBytes == 0 || copy.Height == 0 || copy.Depth == 0)
    return CUDA_SUCCESS;
  Side to, from;
  TRY(readSides(copy, to, from));
  for (size_t z = 0; z < copy.Depth; ++z)
    for (size_t y = 0; y < copy.Height; ++y)
      TRY(copyRow(to, from, z * to.slice + y * to.pitch,
                  z * from.slice + y * from.pitch, copy.WidthInBytes));
  return CUDA_SUCCESS;
}

CUresult vcuda::checkSet(const CUDA_MEMSET_NODE_PARAMS &set) {
  if ((set.elementSize != 1 && set.elementSize != 2 && set.elementSize != 4) ||
      set.dst % set.elementSize != 0 ||
      (set.height > 1 && (set.pitch < set.width * set.elementSize ||
                          set.pitch % set.elementSize != 0)))
    return CUDA_ERROR_INVALID_VALUE;
  return set.width == 0 || set.height == 0 || ownerOf(set.dst)
             ? CUDA_SUCCESS
             : CUDA_ERROR_INVALID_VALUE;
}

CUresult vcuda::runSet(const CUDA_MEMSET_NODE_PARAMS &set) {
  TRY(checkSet(set));
  if (set.width == 0)
    return CUDA_SUCCESS;
  for (size_t row = 0; row < set.height; ++row)
    TRY(error(ownerOf(set.dst)->machine->fill(
        set.dst + row * set.pitch, set.value, set.elementSize, set.width)));
  return CUDA_SUCCESS;
}

//===--- Entry points: copies ---===//

/// A copy in a stream; `handle` null is the default stream.
static CUresult copy3D(const CUDA_MEMCPY3D &copy, CUstream handle,
                       bool isSynchronous) {
  Context *context;
  TRY(currentContext(context));
  Stream *stream;
  if (isSynchronous)
    TRY(resolveIdleStream(handle, stream));
  else
    TRY(resolveStream(handle, stream));
  TRY(checkCopy(copy));
  return submit(*stream, CopyOperation{copy});
}

static CUresult copyLine(CUmemorytype to, uint64_t target, CUmemorytype from,
                         uint64_t source, size_t bytes, CUstream stream,
                         bool isSynchronous) {
  CUDA_MEMCPY3D copy = {};
  copy.srcMemoryType = from;
  copy.srcHost = reinterpret_cast<const void *>(source);
  copy.srcDevice = source;
  copy.dstMemoryType = to;
  copy.dstHost = reinterpret_cast<void *>(target);
  copy.dstDevice = target;
  copy.WidthInBytes = bytes;
  copy.Height = copy.Depth = 1;
  return copy3D(copy, stream, isSynchronous);
}

static uint64_t number(const void *pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

EXPORT cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  Guard guard;
  return copyLine(CU_MEMORYTYPE_UNIFIED, to, CU_MEMORYTYPE_UNIFIED, from, bytes,
                  nullptr, true);
}
ALSO("cuMemcpy_ptds", cuMemcpy);

EXPORT cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                     CUstream stream) {
  Guard guard;
  return copyLine(CU_MEMORYTYPE_UNIFIED, to, CU_MEMORYTYPE_UNIFIED, from, bytes,
                  stream, false);
}
ALSO("cuMemcpyAsync_ptsz", cuMemcpyAsync);

EXPORT cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
  Guard guard;
  return copyLine(CU_MEMORYTYPE_DEVICE, to, CU_MEMORYTYPE_HOST, number(from),
                  bytes, nullptr, true);
}
ALSO("cuMemcpyHtoD", cuMemcpyHtoD_v2);
ALSO("cuMemcpyHtoD_v2_ptds", cuMemcpyHtoD_v2);

EXPORT cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes,
                            CUstream stream) {
  Guard guard;
  return copyLine(CU_MEMORYTYPE_DEVICE, to, CU_MEMORYTYPE_HOST, number(from),
                  bytes, stream, false);
}
ALSO("cuMemcpyHtoDAsync", cuMemcpyHtoDAsync_v2);
ALSO("cuMemcpyHtoDAsync_v2_ptsz", cuMemcpyHtoDAsync_v2);

EXPORT cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
  Guard guard;
  return copyLine(CU_MEMORYTYPE_HOST, number(to), CU_MEMORYTYPE_DEVICE, from,
                  bytes, nullptr, true);
}
ALSO("cuMemcpyDtoH", cuMemcpyDtoH_v2);
ALSO("cuMemcpyDtoH_v2_ptds", cuMemcpyDtoH_v2);

EXPORT cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes,
                            CUstream stream) {
  Guard guard;
  return copyLine(CU_MEMORYTYPE_HOST, number(to), CU_MEMORYTYPE_DEVICE, from,
                  bytes, stream, false);
}
ALSO("cuMemcpyDtoHAsync", cuMemcpyDtoHAsync_v2);
ALSO("cuMemcpyDtoHAsync_v2_ptsz", cuMemcpyDtoHAsync_v2);

EXPORT cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  Guard guard;
  return copyLine(CU_MEMORYTYPE_DEVICE, to, CU_MEMORYTYPE_DEVICE, from, bytes,
                  nullptr, true);
}
ALSO("cuMemcpyDtoD", cuMemcpyDtoD_v2);
ALSO("cuMemcpyDtoD_v2_ptds", cuMemcpyDtoD_v2);

EXPORT cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                            CUstream stream) {
  Guard guard;
  return copyLine(CU_MEMORYTYPE_DEVICE, to, CU_MEMORYTYPE_DEVICE, from, bytes,
                  stream, false);
}
ALSO("cuMemcpyDtoDAsync", cuMemcpyDtoDAsync_v2);
ALSO("cuMemcpyDtoDAsync_v2_ptsz", cuMemcpyDtoDAsync_v2);

EXPORT cuMemcpyPeer(CUdeviceptr to, CUcontext toContext, CUdeviceptr from,
                    CUcontext fromContext, size_t bytes) {
  Guard guard;
  return copyLine(CU_MEMORYTYPE_DEVICE, to, CU_MEMORYTYPE_DEVICE, from, bytes,
                  nullptr, true);
}

EXPORT cuMemcpyPeerAsync(CUdeviceptr to, CUcontext toContext, CUdeviceptr from,
                         CUcontext fromContext, size_t bytes, CUstream stream) {
  Guard guard;
  return copyLine(CU_MEMORYTYPE_DEVICE, to, CU_MEMORYTYPE_DEVICE, from, bytes,
                  stream, false);
}

static CUDA_MEMCPY3D widen(const CUDA_MEMCPY2D &flat) {
  CUDA_MEMCPY3D copy = {};
  copy.srcXInBytes = flat.srcXInBytes;
  copy.srcY = flat.srcY;
  copy.srcMemoryType = flat.srcMemoryType;
  copy.srcHost = flat.srcHost;
  copy.srcDevice = flat.srcDevice;
  copy.srcPitch = flat.srcPitch;
  copy.dstXInBytes = flat.dstXInBytes;
  copy.dstY = flat.dstY;
  copy.dstMemoryType = flat.dstMemoryType;
  copy.dstHost = flat.dstHost;
  copy.dstDevice = flat.dstDevice;
  copy.dstPitch = flat.dstPitch;
  copy.WidthInBytes = flat.WidthInBytes;
  copy.Height = flat.Height;
  copy.Depth = 1;
  return copy;
}

EXPORT cuMemcpy2D_v2(const CUDA_MEMCPY2D *copy) {
  Guard guard;
  return copy ? copy3D(widen(*copy), nullptr, true) : CUDA_ERROR_INVALID_VALUE;
}
ALSO("cuMemcpy2D", cuMemcpy2D_v2);
ALSO("cuMemcpy2D_v2_ptds", cuMemcpy2D_v2);
ALSO("cuMemcpy2DUnaligned", cuMemcpy2D_v2);
ALSO("cuMemcpy2DUnaligned_v2", cuMemcpy2D_v2);

EXPORT cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *copy, CUstream stream) {
  Guard guard;
  return copy ? copy3D(widen(*copy), stream, false) : CUDA_ERROR_INVALID_VALUE;
}
ALSO("cuMemcpy2DAsync", cuMemcpy2DAsync_v2);
ALSO("cuMemcpy2DAsync_v2_ptsz", cuMemcpy2DAsync_v2);

EXPORT cuMemcpy3D_v2(const CUDA_MEMCPY3D *copy) {
  Guard guard;
  return copy ? copy3D(*copy, nullptr, true) : CUDA_ERROR_INVALID_VALUE;
}
ALSO("cuMemcpy3D", cuMemcpy3D_v2);
ALSO("cuMemcpy3D_v2_ptds", cuMemcpy3D_v2);

EXPORT cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *copy, CUstream stream) {
  Guard guard;
  return copy ? copy3D(*copy, stream, false) : CUDA_ERROR_INVALID_VALUE;
}
ALSO("cuMemcpy3DAsync", cuMemcpy3DAsync_v2);
ALSO("cuMemcpy3DAsync_v2_ptsz", cuMemcpy3DAsync_v2);
