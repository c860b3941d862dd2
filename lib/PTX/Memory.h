//===- Memory.h - Device memory ---------------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_MEMORY_H
#define CLADE_PTX_MEMORY_H

#include "lib/PTX/Machine.h"

#include <map>
#include <optional>
#include <shared_mutex>
#include <string>

namespace clade::ptx {

/// Global memory: a large range of the host's addresses, reserved at once and
/// backed as it is touched, with a shadow byte for each byte. Allocations never
/// touch: pages nobody owns are between them. What is freed is used again only
/// when the range is exhausted, so that stale pointers are found. Allocations
/// may be made and freed while a launch looks others up.
class DeviceMemory {
public:
  struct Allocation {
    uint64_t base = 0;
    uint64_t size = 0;
    uint64_t extent = 0; ///< Bytes to the end of the pages it occupies.
    uint64_t serial = 0;
    bool isFree = false;
    bool isReadOnly = false;
    std::string name;
  };

  DeviceMemory();
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory &) = delete;
  DeviceMemory &operator=(const DeviceMemory &) = delete;

  Result<uint64_t> allocate(uint64_t size, uint64_t alignment);
  Status free(uint64_t address);
  /// The allocation that starts at or before the address and may own it: the
  /// last that begins there or below; null if there is none.
  const Allocation *at(uint64_t address) const;
  /// The live allocation that owns the whole range.
  Result<const Allocation *> owner(uint64_t address, uint64_t size) const;
  Allocation *mutableAt(uint64_t base);

  uint8_t *shadow(uint64_t address) const {
    return reinterpret_cast<uint8_t *>(address + shadowDelta);
  }
  uint64_t bytesInUse() const { return used; }
  /// Where the range begins.
  uint64_t base() const { return begin; }
  void setWritten(uint64_t address, uint64_t size) const;

private:
  Result<uint64_t> place(uint64_t extent, uint64_t alignment);

  uint64_t begin = 0;
  uint64_t capacity = 0;
  uint64_t next = 0;
  uint64_t shadowDelta = 0;
  uint64_t used = 0;
  uint64_t serials = 0;
  std::map<uint64_t, Allocation> allocations;
  mutable std::shared_mutex mutex; ///< Of `allocations`.
};

} // namespace clade::ptx

#endif // CLADE_PTX_MEMORY_H
