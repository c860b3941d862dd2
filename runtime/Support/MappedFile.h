//===- MappedFile.h - A file mapped read-only -------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Owns a read-only mapping of a whole regular file. A file that another
// process shortens while it is mapped cannot be guarded against: checkpoints
// are expected to be replaced by rename, never rewritten in place.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_SUPPORT_MAPPEDFILE_H
#define CLADE_RUNTIME_SUPPORT_MAPPEDFILE_H

#include "runtime/Support/Status.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace clade::rt {

/// Bytes that someone else owns.
using ByteSpan = std::span<const std::byte>;

/// A mapping of one file. Thread-safe: it never changes after open().
class MappedFile {
public:
  /// Maps `path`. NotFound if it does not exist, InvalidArgument if it is not a
  /// regular file, IOError for any other refusal. An empty file is fine.
  static StatusOr<std::shared_ptr<const MappedFile>>
  open(const std::string &path);

  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  const std::string &path() const { return filePath; }
  /// The file's bytes, valid as long as this object; page aligned.
  ByteSpan bytes() const { return content; }

private:
  MappedFile(std::string path, ByteSpan content)
      : filePath(std::move(path)), content(content) {}

  std::string filePath;
  ByteSpan content;
};

/// Whether the page of mapped data is in memory; yes if the system does not
/// tell.
bool isResident(const std::byte *data);

/// Tells the system that mapped bytes will be read soon: it reads from the disk
/// ahead of those who touch them. Only advice.
void willNeed(ByteSpan bytes);

/// Tells the system that of mapped bytes whole pages will not be read soon:
/// they count no longer for this process, and are still there for who reads
/// them.
void dontNeed(ByteSpan bytes);

} // namespace clade::rt

#endif // CLADE_RUNTIME_SUPPORT_MAPPEDFILE_H
