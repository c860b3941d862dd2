//===- ReadAhead.h - Mapped files from the disk before use ------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Whoever touches a mapping of a file that is not in memory waits for one piece
// after the other, in an order that is not the disk's. A thread that reads the
// file from front to back meanwhile is as fast as reading it alone.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_SUPPORT_READAHEAD_H
#define CLADE_RUNTIME_SUPPORT_READAHEAD_H

#include "runtime/Support/MappedFile.h"

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace clade::rt {

/// Reads parts of mapped files in the background. Only advice: what fails is
/// left to those who touch the bytes.
class ReadAhead {
public:
  /// Begins to read what of `spans` lies in `files` and is not in memory, but
  /// nothing if that is more than half of the machine's memory.
  ReadAhead(std::vector<std::shared_ptr<const MappedFile>> files,
            const std::vector<ByteSpan> &spans);
  /// Stops.
  ~ReadAhead();
  ReadAhead(const ReadAhead &) = delete;
  ReadAhead &operator=(const ReadAhead &) = delete;

  /// Waits until all is read.
  void wait();
  /// Bytes that were to be read: none if all was in memory.
  int64_t bytes() const { return total; }

private:
  /// A part of a file, from `begin` on.
  struct Part {
    const MappedFile *file;
    int64_t begin, size;
  };
  void addParts(const MappedFile &file, const std::vector<ByteSpan> &spans);
  void read();

  std::vector<std::shared_ptr<const MappedFile>> files;
  std::vector<Part> parts;
  int64_t total = 0;
  std::atomic<bool> isStopped{false};
  std::thread thread;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_SUPPORT_READAHEAD_H
