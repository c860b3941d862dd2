//===- GuardedBuffer.cpp - Memory between walls ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/GuardedBuffer.h"

#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace clade::cpu::test {

static thread_local GuardedBuffer::Wall currentWall =
    GuardedBuffer::Wall::Behind;

void GuardedBuffer::setWall(Wall wall) { currentWall = wall; }

GuardedBuffer::GuardedBuffer(size_t size) {
  size_t page = sysconf(_SC_PAGESIZE);
  size_t usable = llvm::alignTo(size, page);
  mappedBytes = usable + 2 * page;
  void *memory =
      mmap(nullptr, mappedBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    llvm::report_fatal_error("cannot map memory for a test");
  mapping = static_cast<char *>(memory);
  char *first = mapping + page;
  if (usable > 0 && mprotect(first, usable, PROT_READ | PROT_WRITE) != 0)
    llvm::report_fatal_error("cannot protect memory for a test");
  data = currentWall == Wall::Behind ? first + usable - size : first;
  std::memset(data, 0xff, size);
}

GuardedBuffer::~GuardedBuffer() { munmap(mapping, mappedBytes); }

} // namespace clade::cpu::test
