//===- Memory.cpp - Device memory -----------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Memory.h"

#include <bit>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <sys/mman.h>

using namespace clade::ptx;

namespace {

constexpr uint64_t pageSize = 4096;
/// Between allocations: an index that is a little wrong does not hit the next.
constexpr uint64_t gap = 64 * 1024;
/// Where the range lies if it is free there, so that addresses of two runs are
/// the same.
constexpr uint64_t preferred = uint64_t(0x7c) << 40;

std::string hex(uint64_t value) {
  char text[20];
  std::snprintf(text, sizeof text, "0x%llx",
                static_cast<unsigned long long>(value));
  return text;
}

void *reserve(uint64_t hint, uint64_t size) {
  void *at = mmap(reinterpret_cast<void *>(hint), size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}

} // namespace

DeviceMemory::DeviceMemory() {
  for (capacity = uint64_t(1) << 38; capacity >= uint64_t(1) << 28;
       capacity /= 2) {
    void *memory = reserve(preferred, capacity);
    void *shadows = memory ? reserve(preferred + capacity, capacity) : nullptr;
    if (shadows) {
      begin = next = reinterpret_cast<uint64_t>(memory);
      shadowDelta = reinterpret_cast<uint64_t>(shadows) - begin;
      return;
    }
    if (memory)
      munmap(memory, capacity);
  }
  capacity = 0;
}

DeviceMemory::~DeviceMemory() {
  if (!capacity)
    return;
  munmap(reinterpret_cast<void *>(begin), capacity);
  munmap(shadow(begin), capacity);
}

Result<uint64_t> DeviceMemory::place(uint64_t extent, uint64_t alignment) {
  uint64_t at = (next + alignment - 1) / alignment * alignment;
  if (extent <= capacity && at + extent <= begin + capacity) {
    next = at + extent;
    return at;
  }
  // The range is used up: the oldest freed place that fits.
  auto best = allocations.end();
  for (auto it = allocations.begin(); it != allocations.end(); ++it)
    if (it->second.isFree && it->second.extent >= extent &&
        it->first % alignment == 0 &&
        (best == allocations.end() || it->second.serial < best->second.serial))
      best = it;
  if (best == allocations.end())
    return Error{"device memory is exhausted: " + std::to_string(extent) +
                 " bytes are asked for, " + std::to_string(used) +
                 " are in use"};
  uint64_t found = best->first;
  allocations.erase(best);
  return found;
}

Result<uint64_t> DeviceMemory::allocate(uint64_t size, uint64_t alignment) {
  if (size == 0)
    return Error{"expected an allocation of at least one byte"};
  if (!std::has_single_bit(alignment))
    return Error{"expected an alignment that is a power of two, found " +
                 std::to_string(alignment)};
  if (size > capacity)
    return Error{"device memory is exhausted: " + std::to_string(size) +
                 " bytes are asked for, " + std::to_string(used) +
                 " are in use"};
  std::unique_lock<std::shared_mutex> lock(mutex);
  uint64_t extent = (size + gap + pageSize - 1) / pageSize * pageSize;
  auto base = place(extent, std::max(alignment, pageSize));
  if (!base)
    return base;
  Allocation &allocation = allocations[*base];
  allocation = Allocation();
  allocation.base = *base;
  allocation.size = size;
  allocation.extent = extent;
  allocation.serial = ++serials;
  used += size;
  return *base;
}

Status DeviceMemory::free(uint64_t address) {
  Allocation *allocation = mutableAt(address);
  if (!allocation)
    return Error{hex(address) + " is not the start of an allocation"};
  if (allocation->isFree)
    return Error{"allocation " + std::to_string(allocation->serial) + " at " +
                 hex(address) + " is freed twice"};
  allocation->isFree = true;
  used -= allocation->size;
  madvise(reinterpret_cast<void *>(address), allocation->extent, MADV_DONTNEED);
  madvise(shadow(address), allocation->extent, MADV_DONTNEED);
  return Done();
}

const DeviceMemory::Allocation *DeviceMemory::at(uint64_t address) const {
  std::shared_lock<std::shared_mutex> lock(mutex);
  auto after = allocations.upper_bound(address);
  return after == allocations.begin() ? nullptr : &std::prev(after)->second;
}

DeviceMemory::Allocation *DeviceMemory::mutableAt(uint64_t base) {
  std::shared_lock<std::shared_mutex> lock(mutex);
  auto found = allocations.find(base);
  return found == allocations.end() ? nullptr : &found->second;
}

Result<const DeviceMemory::Allocation *>
DeviceMemory::owner(uint64_t address, uint64_t size) const {
  const Allocation *allocation = at(address);
  if (!allocation || address >= allocation->base + allocation->extent)
    return Error{hex(address) + " is in no allocation"};
  if (allocation->isFree)
    return Error{hex(address) + " is in allocation " +
                 std::to_string(allocation->serial) + ", which was freed"};
  uint64_t offset = address - allocation->base;
  if (offset > allocation->size || size > allocation->size - offset)
    return Error{std::to_string(size) + " bytes at offset " +
                 std::to_string(offset) + " do not lie inside allocation " +
                 std::to_string(allocation->serial) + " of " +
                 std::to_string(allocation->size) + " bytes"};
  return allocation;
}

void DeviceMemory::setWritten(uint64_t address, uint64_t size) const {
  std::memset(shadow(address), 1, size);
}
