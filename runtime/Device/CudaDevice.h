//===- CudaDevice.h - A GPU, its memory and its streams ------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A GPU is a number to the driver and a context that all of this process share.
// Memory of it is a buffer that frees itself; work for it goes through streams,
// in order. Every function may be called from any thread.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_DEVICE_CUDADEVICE_H
#define CLADE_RUNTIME_DEVICE_CUDADEVICE_H

#include "runtime/Device/CudaDriver.h"

#include <memory>
#include <span>
#include <string>

namespace clade::rt {

class CudaDevice {
public:
  /// The GPU `number`, from 0. The errors of CudaDriver::load; NotFound for a
  /// number that no GPU has.
  static StatusOr<std::shared_ptr<const CudaDevice>> open(int number);
  ~CudaDevice();
  CudaDevice(const CudaDevice &) = delete;
  CudaDevice &operator=(const CudaDevice &) = delete;

  const CudaDriver &driver() const { return functions; }
  /// As the driver says, with the number and the architecture: `GPU 0 (NVIDIA
  /// H100, sm_90)`.
  const std::string &name() const { return description; }
  /// Ten times the major compute capability and the minor one: 80 for sm_80.
  int capability() const { return computeCapability; }
  /// Makes the calling thread's driver calls those of this device.
  Status enter() const;
  /// Bytes that are free now.
  StatusOr<uint64_t> freeBytes() const;

private:
  explicit CudaDevice(const CudaDriver &driver) : functions(driver) {}

  const CudaDriver &functions;
  CUdevice device = 0;
  CUcontext context = nullptr;
  std::string description;
  int computeCapability = 0;
};

/// Memory of a GPU, at a multiple of 256 bytes. Movable.
class DeviceBuffer {
public:
  DeviceBuffer() = default;
  DeviceBuffer(DeviceBuffer &&other) noexcept { *this = std::move(other); }
  DeviceBuffer &operator=(DeviceBuffer &&other) noexcept;
  ~DeviceBuffer();

  /// ResourceExhausted names `what`, the size and what is free.
  static StatusOr<DeviceBuffer>
  allocate(std::shared_ptr<const CudaDevice> device, uint64_t bytes,
           const std::string &what);

  CUdeviceptr address() const { return start; }
  uint64_t size() const { return bytes; }

private:
  std::shared_ptr<const CudaDevice> device;
  CUdeviceptr start = 0;
  uint64_t bytes = 0;
};

/// Memory of the host that a GPU copies from and to directly. Movable.
class PinnedBuffer {
public:
  PinnedBuffer() = default;
  PinnedBuffer(PinnedBuffer &&other) noexcept { *this = std::move(other); }
  PinnedBuffer &operator=(PinnedBuffer &&other) noexcept;
  ~PinnedBuffer();

  /// ResourceExhausted names `what` and the size.
  static StatusOr<PinnedBuffer>
  allocate(std::shared_ptr<const CudaDevice> device, uint64_t bytes,
           const std::string &what);

  char *data() const { return memory; }
  uint64_t size() const { return bytes; }

private:
  std::shared_ptr<const CudaDevice> device;
  char *memory = nullptr;
  uint64_t bytes = 0;
};

/// Work for a GPU in order. What a call is given must stay until synchronize().
class CudaStream {
public:
  static StatusOr<std::shared_ptr<CudaStream>>
  create(std::shared_ptr<const CudaDevice> device);
  ~CudaStream();
  CudaStream(const CudaStream &) = delete;
  CudaStream &operator=(const CudaStream &) = delete;

  const std::shared_ptr<const CudaDevice> &device() const { return owner; }
  /// For libraries that give it work, too.
  CUstream native() const { return stream; }

  Status upload(CUdeviceptr to, const void *from, uint64_t bytes);
  Status download(void *to, CUdeviceptr from, uint64_t bytes);
  Status copy(CUdeviceptr to, CUdeviceptr from, uint64_t bytes);
  Status zero(CUdeviceptr to, uint64_t bytes);
  /// A grid of gridX × gridY blocks of `threads` threads; arguments[i] points
  /// to argument i. `name` is for messages.
  Status launch(CUfunction function, unsigned gridX, unsigned gridY,
                unsigned threads, unsigned sharedBytes, void **arguments,
                const std::string &name);
  /// Waits until all is done.
  Status synchronize();

private:
  friend class CudaGraph;
  explicit CudaStream(std::shared_ptr<const CudaDevice> device)
      : owner(std::move(device)) {}

  std::shared_ptr<const CudaDevice> owner;
  CUstream stream = nullptr;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_DEVICE_CUDADEVICE_H
