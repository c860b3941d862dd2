//===- CudaDevice.cpp - A GPU, its memory and its streams -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/CudaDevice.h"

#include <utility>

using namespace clade::rt;

namespace {

// Numbers of CUdevice_attribute.
constexpr int capabilityMajor = 75, capabilityMinor = 76;
/// CU_STREAM_NON_BLOCKING: does not wait for the default stream.
constexpr unsigned nonBlocking = 1;

} // namespace

//===----------------------------------------------------------------------===//
// Devices
//===----------------------------------------------------------------------===//

StatusOr<std::shared_ptr<const CudaDevice>> CudaDevice::open(int number) {
  CLADE_ASSIGN_OR_RETURN(const CudaDriver *driver, CudaDriver::load());
  int count = 0;
  CLADE_RETURN_IF_ERROR(
      driver->check(driver->cuDeviceGetCount(&count), "cannot count GPUs"));
  if (number < 0 || number >= count)
    return Status::notFound("no GPU " + std::to_string(number) +
                            ": the CUDA driver has " + std::to_string(count));
  std::shared_ptr<CudaDevice> result(new CudaDevice(*driver));
  std::string what = "cannot use GPU " + std::to_string(number);
  CLADE_RETURN_IF_ERROR(
      driver->check(driver->cuDeviceGet(&result->device, number), what));
  char name[256] = {};
  int major = 0, minor = 0;
  CLADE_RETURN_IF_ERROR(driver->check(
      driver->cuDeviceGetName(name, sizeof(name) - 1, result->device), what));
  CLADE_RETURN_IF_ERROR(driver->check(
      driver->cuDeviceGetAttribute(&major, capabilityMajor, result->device),
      what));
  CLADE_RETURN_IF_ERROR(driver->check(
      driver->cuDeviceGetAttribute(&minor, capabilityMinor, result->device),
      what));
  result->computeCapability = 10 * major + minor;
  result->description = "GPU " + std::to_string(number) + " (" + name +
                        ", sm_" + std::to_string(result->computeCapability) +
                        ")";
  CLADE_RETURN_IF_ERROR(driver->check(
      driver->cuDevicePrimaryCtxRetain(&result->context, result->device),
      what));
  return std::shared_ptr<const CudaDevice>(std::move(result));
}

CudaDevice::~CudaDevice() {
  if (context)
    functions.cuDevicePrimaryCtxRelease(device);
}

Status CudaDevice::enter() const {
  return functions.check(functions.cuCtxSetCurrent(context),
                         "cannot use " + description);
}

StatusOr<uint64_t> CudaDevice::freeBytes() const {
  CLADE_RETURN_IF_ERROR(enter());
  size_t left = 0, total = 0;
  CLADE_RETURN_IF_ERROR(
      functions.check(functions.cuMemGetInfo(&left, &total),
                      "cannot ask for the memory of " + description));
  return static_cast<uint64_t>(left);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

DeviceBuffer &DeviceBuffer::operator=(DeviceBuffer &&other) noexcept {
  std::swap(device, other.device);
  std::swap(start, other.start);
  std::swap(bytes, other.bytes);
  return *this;
}

DeviceBuffer::~DeviceBuffer() {
  if (start && device->enter().ok())
    device->driver().cuMemFree(start);
}

StatusOr<DeviceBuffer>
DeviceBuffer::allocate(std::shared_ptr<const CudaDevice> device, uint64_t bytes,
                       const std::string &what) {
  CLADE_RETURN_IF_ERROR(device->enter());
  DeviceBuffer buffer;
  CUresult result =
      device->driver().cuMemAlloc(&buffer.start, std::max<uint64_t>(bytes, 1));
  if (result == cudaErrorOutOfMemory) {
    buffer.start = 0;
    CLADE_ASSIGN_OR_RETURN(uint64_t left, device->freeBytes());
    return Status::resourceExhausted(
        "cannot allocate " + std::to_string(bytes) + " bytes for " + what +
        ": " + device->name() + " has " + std::to_string(left) + " bytes free");
  }
  CLADE_RETURN_IF_ERROR(
      device->driver().check(result, "cannot allocate memory for " + what));
  buffer.device = std::move(device);
  buffer.bytes = bytes;
  return buffer;
}

PinnedBuffer &PinnedBuffer::operator=(PinnedBuffer &&other) noexcept {
  std::swap(device, other.device);
  std::swap(memory, other.memory);
  std::swap(bytes, other.bytes);
  return *this;
}

PinnedBuffer::~PinnedBuffer() {
  if (memory && device->enter().ok())
    device->driver().cuMemFreeHost(memory);
}

StatusOr<PinnedBuffer>
PinnedBuffer::allocate(std::shared_ptr<const CudaDevice> device, uint64_t bytes,
                       const std::string &what) {
  CLADE_RETURN_IF_ERROR(device->enter());
  void *memory = nullptr;
  CLADE_RETURN_IF_ERROR(device->driver().check(
      device->driver().cuMemAllocHost(&memory, std::max<uint64_t>(bytes, 1)),
      "cannot pin " + std::to_string(bytes) + " bytes for " + what));
  PinnedBuffer buffer;
  buffer.memory = static_cast<char *>(memory);
  buffer.device = std::move(device);
  buffer.bytes = bytes;
  return buffer;
}

//===----------------------------------------------------------------------===//
// Streams
//===----------------------------------------------------------------------===//

StatusOr<std::shared_ptr<CudaStream>>
CudaStream::create(std::shared_ptr<const CudaDevice> device) {
  CLADE_RETURN_IF_ERROR(device->enter());
  std::shared_ptr<CudaStream> result(new CudaStream(std::move(device)));
  const CudaDevice &owner = *result->owner;
  CLADE_RETURN_IF_ERROR(owner.driver().check(
      owner.driver().cuStreamCreate(&result->stream, nonBlocking),
      "cannot make a stream of " + owner.name()));
  return result;
}

CudaStream::~CudaStream() {
  if (stream && owner->enter().ok())
    owner->driver().cuStreamDestroy(stream);
}

Status CudaStream::upload(CUdeviceptr to, const void *from, uint64_t bytes) {
  CLADE_RETURN_IF_ERROR(owner->enter());
  return owner->driver().check(
      owner->driver().cuMemcpyHtoDAsync(to, from, bytes, stream),
      "cannot copy " + std::to_string(bytes) + " bytes to " + owner->name());
}

Status CudaStream::download(void *to, CUdeviceptr from, uint64_t bytes) {
  CLADE_RETURN_IF_ERROR(owner->enter());
  return owner->driver().check(
      owner->driver().cuMemcpyDtoHAsync(to, from, bytes, stream),
      "cannot copy " + std::to_string(bytes) + " bytes from " + owner->name());
}

Status CudaStream::copy(CUdeviceptr to, CUdeviceptr from, uint64_t bytes) {
  CLADE_RETURN_IF_ERROR(owner->enter());
  return owner->driver().check(
      owner->driver().cuMemcpyDtoDAsync(to, from, bytes, stream),
      "cannot copy " + std::to_string(bytes) + " bytes in " + owner->name());
}

Status CudaStream::zero(CUdeviceptr to, uint64_t bytes) {
  CLADE_RETURN_IF_ERROR(owner->enter());
  return owner->driver().check(
      owner->driver().cuMemsetD8Async(to, 0, bytes, stream),
      "cannot clear " + std::to_string(bytes) + " bytes of " + owner->name());
}

Status CudaStream::launch(CUfunction function, unsigned gridX, unsigned gridY,
                          unsigned threads, unsigned sharedBytes,
                          void **arguments, const std::string &name) {
  CLADE_RETURN_IF_ERROR(owner->enter());
  return owner->driver().check(
      owner->driver().cuLaunchKernel(function, gridX, gridY, 1, threads, 1, 1,
                                     sharedBytes, stream, arguments, nullptr),
      "cannot run the kernel '" + name + "' on " + owner->name());
}

Status CudaStream::synchronize() {
  CLADE_RETURN_IF_ERROR(owner->enter());
  return owner->driver().check(owner->driver().cuStreamSynchronize(stream),
                               "the work of " + owner->name() + " failed");
}
