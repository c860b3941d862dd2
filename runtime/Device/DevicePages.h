//===- DevicePages.h - Pages of keys and values on a GPU ------ -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_DEVICE_DEVICEPAGES_H
#define CLADE_RUNTIME_DEVICE_DEVICEPAGES_H

#include "runtime/Device/CudaDevice.h"
#include "runtime/Engine/PageMemory.h"

namespace clade::rt {

/// Memory of a GPU that grows by moving: a larger buffer gets its content. All
/// is done in the order of a stream. Memory is given back at the end only.
/// `limit` is what it may grow to.
class DevicePages : public PageMemory {
public:
  DevicePages(std::shared_ptr<CudaStream> stream, uint64_t limit)
      : stream(std::move(stream)), limit(limit) {}

  char *base() const override {
    return reinterpret_cast<char *>(buffer.address());
  }
  Status commit(uint64_t bytes) override;
  void release(uint64_t, uint64_t) override {}
  Status zero(uint64_t begin, uint64_t bytes) override {
    return stream->zero(buffer.address() + begin, bytes);
  }
  Status copy(uint64_t to, uint64_t from, uint64_t bytes) override {
    return stream->copy(buffer.address() + to, buffer.address() + from, bytes);
  }

private:
  std::shared_ptr<CudaStream> stream;
  uint64_t limit;
  DeviceBuffer buffer;
};

/// Makes such memory, in the order of `stream`.
inline MakePages devicePages(std::shared_ptr<CudaStream> stream) {
  return [stream = std::move(stream)](
             uint64_t limit) -> StatusOr<std::unique_ptr<PageMemory>> {
    return std::unique_ptr<PageMemory>(
        std::make_unique<DevicePages>(stream, limit));
  };
}

} // namespace clade::rt

#endif // CLADE_RUNTIME_DEVICE_DEVICEPAGES_H
