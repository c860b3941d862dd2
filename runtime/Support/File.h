//===- File.h - Reading small files, writing files whole --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Text files of bounded size, and a writer whose file appears under its name
// only when it is complete. Large files are mapped instead (MappedFile.h).
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_SUPPORT_FILE_H
#define CLADE_RUNTIME_SUPPORT_FILE_H

#include "runtime/Support/MappedFile.h"

namespace clade::rt {

/// The status for a failed system call on `path`: "`action` 'path': reason".
/// ENOENT and ENOTDIR give NotFound, the others IOError.
Status systemError(const std::string &action, const std::string &path,
                   int error);

bool fileExists(const std::string &path);
bool isDirectory(const std::string &path);

/// The whole of a text file of at most `maxBytes`. Larger is Corruption.
StatusOr<std::string> readTextFile(const std::string &path,
                                   size_t maxBytes = size_t(64) << 20);

/// Makes a file of `text`, or replaces it, at once.
Status writeTextFile(const std::string &path, const std::string &text);

/// Owns a file descriptor.
class FileDescriptor {
public:
  explicit FileDescriptor(int fd) : fd(fd) {}
  ~FileDescriptor();
  FileDescriptor(const FileDescriptor &) = delete;
  FileDescriptor &operator=(const FileDescriptor &) = delete;
  int get() const { return fd; }
  int release() { return std::exchange(fd, -1); }

private:
  int fd;
};

/// Writes a file under a temporary name beside `path`; commit() syncs it and
/// renames it to `path`. Without commit() nothing is left behind. Not
/// thread-safe.
class AtomicFile {
public:
  static StatusOr<std::unique_ptr<AtomicFile>> create(const std::string &path);
  ~AtomicFile();
  AtomicFile(const AtomicFile &) = delete;
  AtomicFile &operator=(const AtomicFile &) = delete;

  Status append(ByteSpan bytes);
  Status append(const std::string &text);
  Status commit();

private:
  AtomicFile(std::string path, std::string temporary, int fd)
      : path(std::move(path)), temporary(std::move(temporary)), file(fd) {}

  std::string path;
  std::string temporary;
  FileDescriptor file;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_SUPPORT_FILE_H
