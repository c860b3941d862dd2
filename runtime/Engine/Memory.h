//===- Memory.h - Buffers and reserved address space ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Two owners of raw memory: a buffer that only grows, for what every step
// writes anew, and a range of addresses whose pages become usable bit by bit,
// for what must not move.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_ENGINE_MEMORY_H
#define CLADE_RUNTIME_ENGINE_MEMORY_H

#include "runtime/Support/Status.h"

#include <cstdint>

namespace clade::rt {

/// Bytes of memory that this process may still use: what the system has
/// available, or less if its control group says so.
uint64_t availableMemory();

/// Bytes of memory that this process has resident.
struct ResidentMemory {
  uint64_t anonymous = 0; ///< Its own.
  uint64_t file = 0;      ///< Pages of files, which the system may drop, and
                          ///< memory that processes share.
  uint64_t total() const { return anonymous + file; }
};
ResidentMemory residentMemory();

/// Memory at a multiple of 64 bytes that grows and never shrinks. Growing does
/// not keep the content.
class AlignedBuffer {
public:
  AlignedBuffer() = default;
  ~AlignedBuffer();
  AlignedBuffer(const AlignedBuffer &) = delete;
  AlignedBuffer &operator=(const AlignedBuffer &) = delete;

  /// Makes room for `bytes`. A larger buffer gets half as much again, so that
  /// steadily growing needs allocate rarely. ResourceExhausted names `what`.
  Status reserve(uint64_t bytes, const char *what);
  char *data() const { return memory; }
  uint64_t size() const { return capacity; }

private:
  char *memory = nullptr;
  uint64_t capacity = 0;
};

/// A range of addresses without memory behind it until commit().
class AddressRange {
public:
  AddressRange() = default;
  ~AddressRange();
  AddressRange(AddressRange &&other) noexcept;
  AddressRange &operator=(AddressRange &&) = delete;

  /// Reserves `bytes` of addresses, page aligned.
  static StatusOr<AddressRange> reserve(uint64_t bytes);

  char *data() const { return base; }
  /// Makes the first `bytes` readable and writable; new memory is zero.
  Status commit(uint64_t bytes);
  /// Gives the memory of whole system pages inside [begin, end) back; they
  /// stay usable and read as zero.
  void release(uint64_t begin, uint64_t end);

private:
  char *base = nullptr;
  uint64_t size = 0;
  uint64_t committed = 0;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_MEMORY_H
