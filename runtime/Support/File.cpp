//===- File.cpp - Reading small files, writing files whole ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Thin wrappers over POSIX calls that return a Status.
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/File.h"

#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

using namespace clade::rt;

Status clade::rt::systemError(const std::string &action,
                              const std::string &path, int error) {
  // Unlike strerror, this is thread-safe.
  std::string reason = std::generic_category().message(error);
  std::string message = action + " '" + path + "': " + reason;
  if (error == ENOENT || error == ENOTDIR)
    return Status::notFound(std::move(message));
  return Status::ioError(std::move(message));
}

bool clade::rt::fileExists(const std::string &path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0;
}

bool clade::rt::isDirectory(const std::string &path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

StatusOr<std::string> clade::rt::readTextFile(const std::string &path,
                                              size_t maxBytes) {
  CLADE_ASSIGN_OR_RETURN(auto file, MappedFile::open(path));
  ByteSpan bytes = file->bytes();
  if (bytes.size() > maxBytes)
    return Status::corruption(
        "'" + path + "' has " + std::to_string(bytes.size()) +
        " bytes, expected at most " + std::to_string(maxBytes));
  return std::string(reinterpret_cast<const char *>(bytes.data()),
                     bytes.size());
}

FileDescriptor::~FileDescriptor() {
  if (fd >= 0)
    ::close(fd);
}

StatusOr<std::unique_ptr<AtomicFile>>
AtomicFile::create(const std::string &path) {
  // Unique over the threads of this process, and over processes.
  static std::atomic<unsigned> counter{0};
  std::string temporary = path + ".tmp-" + std::to_string(::getpid()) + "-" +
                          std::to_string(counter.fetch_add(1));
  int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                  /*mode=*/0666);
  if (fd < 0)
    return systemError("cannot create", path, errno);
  return std::unique_ptr<AtomicFile>(
      new AtomicFile(path, std::move(temporary), fd));
}

AtomicFile::~AtomicFile() {
  if (!temporary.empty())
    ::unlink(temporary.c_str());
}

Status AtomicFile::append(ByteSpan bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return systemError("cannot write", path, errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

Status AtomicFile::append(const std::string &text) {
  return append(std::as_bytes(std::span(text.data(), text.size())));
}

Status AtomicFile::commit() {
  if (::fsync(file.get()) != 0)
    return systemError("cannot write", path, errno);
  if (::close(file.release()) != 0)
    return systemError("cannot write", path, errno);
  if (::rename(temporary.c_str(), path.c_str()) != 0)
    return systemError("cannot write", path, errno);
  temporary.clear();
  return {};
}

Status clade::rt::writeTextFile(const std::string &path,
                                const std::string &text) {
  CLADE_ASSIGN_OR_RETURN(auto file, AtomicFile::create(path));
  CLADE_RETURN_IF_ERROR(file->append(text));
  return file->commit();
}
