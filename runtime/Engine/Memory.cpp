//===- Memory.cpp - Buffers and reserved address space --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Linux's mmap, mprotect and madvise, and what /proc and the control group say
// about memory.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Memory.h"

#include "runtime/Support/CheckedMath.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <new>
#include <sstream>
#include <string>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>
#include <utility>

using namespace clade::rt;

namespace {

constexpr auto bufferAlignment = std::align_val_t(64);

uint64_t systemPage() {
  static const auto size = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

Status outOfMemory(const std::string &what, uint64_t bytes) {
  return Status::resourceExhausted("cannot allocate " + std::to_string(bytes) +
                                   " bytes for " + what);
}

/// The number in a file of the control group, or the largest one.
uint64_t groupNumber(const char *path) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? value : UINT64_MAX;
}

} // namespace

uint64_t clade::rt::availableMemory() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  uint64_t available = uint64_t(1) << 30, kilobytes = 0;
  while (file >> key >> kilobytes && std::getline(file, unit))
    if (key == "MemAvailable:")
      available = kilobytes * 1024;
  uint64_t limit = groupNumber("/sys/fs/cgroup/memory.max");
  uint64_t used = groupNumber("/sys/fs/cgroup/memory.current");
  if (limit != UINT64_MAX && used != UINT64_MAX)
    available = std::min(available, limit > used ? limit - used : 0);
  return available;
}

ResidentMemory clade::rt::residentMemory() {
  std::ifstream status("/proc/self/status");
  ResidentMemory resident;
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string key;
    uint64_t kilobytes = 0;
    if (!(words >> key >> kilobytes))
      continue;
    if (key == "RssAnon:")
      resident.anonymous += kilobytes * 1024;
    else if (key == "RssFile:" || key == "RssShmem:")
      resident.file += kilobytes * 1024;
  }
  return resident;
}

AlignedBuffer::~AlignedBuffer() { ::operator delete(memory, bufferAlignment); }

Status AlignedBuffer::reserve(uint64_t bytes, const char *what) {
  if (bytes <= capacity)
    return {};
  std::optional<uint64_t> wanted = checkedAdd(bytes, capacity / 2);
  // The content is not kept: free first, so that both are never there at once.
  ::operator delete(memory, bufferAlignment);
  memory = nullptr;
  capacity = 0;
  if (!wanted || *wanted > uint64_t(PTRDIFF_MAX))
    return outOfMemory(what, bytes);
  memory = static_cast<char *>(
      ::operator new(*wanted, bufferAlignment, std::nothrow));
  if (!memory)
    return outOfMemory(what, bytes);
  capacity = *wanted;
  return {};
}

AddressRange::~AddressRange() {
  if (base)
    ::munmap(base, size);
}

AddressRange::AddressRange(AddressRange &&other) noexcept
    : base(std::exchange(other.base, nullptr)),
      size(std::exchange(other.size, 0)),
      committed(std::exchange(other.committed, 0)) {}

StatusOr<AddressRange> AddressRange::reserve(uint64_t bytes) {
  std::optional<uint64_t> size =
      checkedAlignUp(std::max<uint64_t>(bytes, 1), systemPage());
  if (!size)
    return outOfMemory("the address space of the cache", bytes);
  void *base = ::mmap(nullptr, *size, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED)
    return outOfMemory("the address space of the cache", bytes);
  AddressRange range;
  range.base = static_cast<char *>(base);
  range.size = *size;
  return range;
}

Status AddressRange::commit(uint64_t bytes) {
  std::optional<uint64_t> end = checkedAlignUp(bytes, systemPage());
  if (!end || *end > size)
    return outOfMemory("the cache", bytes);
  if (*end <= committed)
    return {};
  if (::mprotect(base + committed, *end - committed, PROT_READ | PROT_WRITE))
    return outOfMemory("the cache", *end - committed);
  committed = *end;
  return {};
}

void AddressRange::release(uint64_t begin, uint64_t end) {
  begin = (begin + systemPage() - 1) / systemPage() * systemPage();
  end = end / systemPage() * systemPage();
  if (begin < end)
    ::madvise(base + begin, end - begin, MADV_DONTNEED);
}
