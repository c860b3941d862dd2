//===- AllocationTest.cpp - A steady state allocates nothing --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Counts calls of operator new in a program of its own. Decoding between two
// page borders must not make any.
//
//===----------------------------------------------------------------------===//

#include "ToySupport.h"
#include "runtime/Engine/Session.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<int> allocations{0};

void *allocate(size_t size, size_t alignment) {
  ++allocations;
  return std::aligned_alloc(alignment,
                            (size + alignment - 1) / alignment * alignment);
}
} // namespace

void *operator new(size_t size) { return allocate(size, 16); }
void *operator new(size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<size_t>(alignment));
}
void *operator new(size_t size, std::align_val_t alignment,
                   const std::nothrow_t &) noexcept {
  return allocate(size, static_cast<size_t>(alignment));
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }
void operator delete(void *memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void *memory, size_t, std::align_val_t) noexcept {
  std::free(memory);
}

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

TEST(AllocationTest, DecodingAllocatesNothing) {
  TemporaryFolder folder;
  auto session = Session::create(makeToyModel(folder), {.threads = 2});
  ASSERT_OK(session);
  std::vector<int32_t> prompt = toyTokens(3 * CLADE_PAGE_TOKENS + 1, 1);
  BatchItem items[2];
  for (BatchItem &item : items)
    item = {*(*session)->createSequence(), prompt, {}};
  ASSERT_OK((*session)->step(items));
  for (BatchItem &item : items)
    item.tokens = item.tokens.first(1);
  // The first decode step may still size something.
  ASSERT_OK((*session)->step(items));
  int before = allocations;
  bool ok = true;
  for (int i = 0; i < CLADE_PAGE_TOKENS - 2; ++i)
    ok &= (*session)->step(items).ok();
  EXPECT_EQ(allocations - before, 0);
  EXPECT_TRUE(ok);
  EXPECT_GT(before, 0);
}

} // namespace
