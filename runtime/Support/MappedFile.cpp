//===- MappedFile.cpp - A file mapped read-only ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// open, fstat, mmap, with every refusal turned into a Status.
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/MappedFile.h"

#include "runtime/Support/File.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace clade::rt;

namespace {

/// What x86 and most others call a huge page.
constexpr size_t hugePage = size_t(2) << 20;

/// Maps a whole file where large pages can be used: from a multiple of their
/// size on, and told so. Filesystems that cache files in large folios (ext4 and
/// xfs in Linux) then read that much at a fault and map it by one entry, which
/// is worth half of the time of a step that reads all weights. Null if refused.
void *mapFile(int file, size_t size) {
  if (size < hugePage)
    return ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, /*offset=*/0);
  size_t reserved = size + hugePage;
  void *room = ::mmap(nullptr, reserved, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED)
    return room;
  auto begin = reinterpret_cast<uintptr_t>(room);
  uintptr_t start = (begin + hugePage - 1) / hugePage * hugePage;
  static const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  uintptr_t end = start + (size + page - 1) / page * page;
  if (start > begin)
    ::munmap(room, start - begin);
  if (end < begin + reserved)
    ::munmap(reinterpret_cast<void *>(end), begin + reserved - end);
  void *data = ::mmap(reinterpret_cast<void *>(start), size, PROT_READ,
                      MAP_PRIVATE | MAP_FIXED, file, /*offset=*/0);
  if (data == MAP_FAILED) {
    int error = errno;
    ::munmap(reinterpret_cast<void *>(start), end - start);
    errno = error;
    return data;
  }
#ifdef MADV_HUGEPAGE
  (void)::madvise(data, size, MADV_HUGEPAGE);
#endif
  return data;
}

} // namespace

StatusOr<std::shared_ptr<const MappedFile>>
MappedFile::open(const std::string &path) {
  // O_NONBLOCK keeps a named pipe from blocking before fstat rejects it.
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0)
    return systemError("cannot open", path, errno);
  struct stat info;
  if (::fstat(file.get(), &info) != 0)
    return systemError("cannot examine", path, errno);
  if (!S_ISREG(info.st_mode))
    return Status::invalidArgument("'" + path + "' is not a regular file");

  ByteSpan content;
  if (info.st_size > 0) {
    size_t size = static_cast<size_t>(info.st_size);
    void *data = mapFile(file.get(), size);
    if (data == MAP_FAILED)
      return systemError("cannot map", path, errno);
    content = {static_cast<const std::byte *>(data), size};
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(path, content));
}

MappedFile::~MappedFile() {
  if (!content.empty())
    ::munmap(const_cast<std::byte *>(content.data()), content.size());
}

bool clade::rt::isResident(const std::byte *data) {
  static const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  uintptr_t start = reinterpret_cast<uintptr_t>(data) / page * page;
  unsigned char state = 1;
  return ::mincore(reinterpret_cast<void *>(start), page, &state) != 0 ||
         (state & 1) != 0;
}

void clade::rt::willNeed(ByteSpan bytes) {
  static const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  // The system looks at every page, which takes a tenth of the time of a load
  // whose pages are all there. What was read, was read as a whole as a rule.
  if (bytes.empty() || (isResident(bytes.data()) && isResident(&bytes.back())))
    return;
  auto begin = reinterpret_cast<uintptr_t>(bytes.data());
  uintptr_t start = begin / page * page;
  (void)::madvise(reinterpret_cast<void *>(start), begin + bytes.size() - start,
                  MADV_WILLNEED);
}

void clade::rt::dontNeed(ByteSpan bytes) {
  static const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  auto begin = reinterpret_cast<uintptr_t>(bytes.data());
  uintptr_t first = (begin + page - 1) / page * page;
  uintptr_t end = (begin + bytes.size()) / page * page;
  if (first < end)
    (void)::madvise(reinterpret_cast<void *>(first), end - first,
                    MADV_DONTNEED);
}
