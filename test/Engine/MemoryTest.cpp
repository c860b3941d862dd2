//===- MemoryTest.cpp - Buffers and reserved address space ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Growth, alignment, commitment, release, and refusals.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Memory.h"
#include "ToySupport.h"

#include <cstring>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

TEST(AlignedBufferTest, GrowsByHalf) {
  AlignedBuffer buffer;
  ASSERT_OK(buffer.reserve(100, "the test"));
  char *first = buffer.data();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 64, 0u);
  std::memset(first, 1, 100);
  ASSERT_OK(buffer.reserve(50, "the test"));
  EXPECT_EQ(buffer.data(), first);
  ASSERT_OK(buffer.reserve(101, "the test"));
  char *second = buffer.data();
  std::memset(second, 1, 151);
  ASSERT_OK(buffer.reserve(151, "the test"));
  EXPECT_EQ(buffer.data(), second);
}

TEST(AlignedBufferTest, RefusesTheImpossible) {
  AlignedBuffer buffer;
  expectError(buffer.reserve(UINT64_MAX, "the test"),
              StatusCode::ResourceExhausted,
              "cannot allocate 18446744073709551615 bytes for the test");
  ASSERT_OK(buffer.reserve(10, "the test"));
}

TEST(AddressRangeTest, CommitsAndReleases) {
  auto range = AddressRange::reserve(uint64_t(1) << 36);
  ASSERT_OK(range);
  ASSERT_OK(range->commit(100000));
  std::memset(range->data(), 7, 100000);
  range->release(1, 90000);
  EXPECT_EQ(range->data()[0], 7);
  EXPECT_EQ(range->data()[4096], 0);
  EXPECT_EQ(range->data()[99999], 7);
  ASSERT_OK(range->commit(50));
  expectError(range->commit((uint64_t(1) << 36) + 1),
              StatusCode::ResourceExhausted, "cannot allocate ");
}

TEST(AddressRangeTest, RefusesTheImpossible) {
  expectError(AddressRange::reserve(uint64_t(1) << 60).takeStatus(),
              StatusCode::ResourceExhausted,
              "cannot allocate 1152921504606846976 bytes for the address "
              "space of the cache");
}

TEST(MemoryTest, Sizes) {
  EXPECT_GT(availableMemory(), uint64_t(1) << 20);
  EXPECT_GT(residentMemory().anonymous, uint64_t(1) << 14);
  EXPECT_GT(residentMemory().file, uint64_t(1) << 16);
}

} // namespace
