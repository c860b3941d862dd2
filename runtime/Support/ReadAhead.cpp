//===- ReadAhead.cpp - Mapped files from the disk before use --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/ReadAhead.h"

#include "runtime/Support/File.h"

#include <algorithm>
#include <fcntl.h>
#include <functional>
#include <new>
#include <optional>
#include <system_error>
#include <unistd.h>

using namespace clade::rt;

namespace {

/// Whether a part is in memory is asked of the first page of so many bytes.
constexpr int64_t partBytes = int64_t(4) << 20;
constexpr int64_t readBytes = int64_t(1) << 20;

} // namespace

ReadAhead::ReadAhead(std::vector<std::shared_ptr<const MappedFile>> mappedFiles,
                     const std::vector<ByteSpan> &spans)
    : files(std::move(mappedFiles)) {
  for (const auto &file : files)
    addParts(*file, spans);
  int64_t memory =
      static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  if (total > memory / 2) {
    parts.clear();
    total = 0;
  }
  if (parts.empty())
    return;
  try {
    thread = std::thread([this] { read(); });
  } catch (const std::system_error &) {
    // No more threads: the steps read what they touch.
  }
}

void ReadAhead::addParts(const MappedFile &file,
                         const std::vector<ByteSpan> &spans) {
  const std::byte *start = file.bytes().data(),
                  *end = start + file.bytes().size();
  std::vector<Part> own;
  for (ByteSpan span : spans)
    if (!span.empty() && std::less_equal<>()(start, span.data()) &&
        std::less<>()(span.data(), end))
      own.push_back(
          {&file, span.data() - start, static_cast<int64_t>(span.size())});
  std::sort(own.begin(), own.end(),
            [](const Part &a, const Part &b) { return a.begin < b.begin; });
  // Each byte once, however many weights are made of it.
  int64_t covered = 0;
  for (const Part &part : own) {
    int64_t last = part.begin + part.size;
    for (int64_t at = std::max(part.begin, covered); at < last;) {
      int64_t next = std::min(last, (at / partBytes + 1) * partBytes);
      if (!isResident(start + at)) {
        parts.push_back({&file, at, next - at});
        total += next - at;
      }
      at = next;
    }
    covered = std::max(covered, last);
  }
}

void ReadAhead::read() {
  std::unique_ptr<std::byte[]> buffer(
      new (std::nothrow) std::byte[static_cast<size_t>(readBytes)]);
  const MappedFile *open = nullptr;
  std::optional<FileDescriptor> file;
  for (const Part &part : parts) {
    if (!buffer)
      return;
    if (part.file != open) {
      open = part.file;
      file.emplace(::open(open->path().c_str(), O_RDONLY | O_CLOEXEC));
    }
    for (int64_t done = 0; done < part.size && !isStopped;) {
      auto size = static_cast<size_t>(std::min(part.size - done, readBytes));
      ssize_t got = ::pread(file->get(), buffer.get(), size, part.begin + done);
      if (got <= 0)
        break;
      done += got;
    }
  }
}

void ReadAhead::wait() {
  if (thread.joinable())
    thread.join();
}

ReadAhead::~ReadAhead() {
  isStopped = true;
  wait();
}
