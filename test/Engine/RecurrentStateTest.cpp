//===- RecurrentStateTest.cpp - States of a fixed size --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A group whose sequences have one page each, beside paged keys and values; and
// copies of sequences.
//
//===----------------------------------------------------------------------===//

#include "ToySupport.h"
#include "runtime/Engine/KVCache.h"

#include <algorithm>
#include <cstring>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

constexpr int page = CLADE_PAGE_TOKENS;
constexpr uint64_t keyBytes = 4096, recurrentBytes = 64 + 192;

/// Keys and values of group 0 and two recurrent states of group 1.
class RecurrentStateTest : public ::testing::Test {
protected:
  void create(uint64_t budget) {
    Manifest manifest = toyManifest();
    manifest.layers.clear();
    manifest.groups = {ManifestGroup{}, ManifestGroup{std::nullopt, true}};
    manifest.states = {{"recurrent", 1, 0, 0, 0, "", 64},
                       {"kv", 0, 2, 8, 8, "f32"},
                       {"recurrent", 1, 0, 0, 0, "", 192}};
    ASSERT_OK(manifest.validate());
    auto created = KVCache::create(manifest, budget);
    ASSERT_OK(created);
    cache = std::move(*created);
  }
  SequenceId sequence() { return *cache->createSequence(0); }
  Status add(SequenceId id, int64_t tokens) {
    KVCache::Growth growth{id, tokens};
    Status status = cache->grow({&growth, 1});
    if (status.ok())
      cache->advance({&growth, 1});
    return status;
  }
  /// The bytes of a recurrent state of a sequence.
  std::span<char> bytes(SequenceId id, size_t state) {
    KVCache::Growth growth{id, 0};
    CladeRecurrentState row;
    static_assert(sizeof(row) == sizeof(CladeKVState));
    std::memcpy(&row, &cache->states({&growth, 1})[state], sizeof(row));
    EXPECT_EQ(row.pages_stride, 1);
    size_t size = state == 0 ? 64 : 192;
    return {row.memory + static_cast<size_t>(row.pages[0]) * size, size};
  }
  /// A row of keys of a sequence.
  float *key(SequenceId id, int position) {
    KVCache::Growth growth{id, 0};
    CladeKVState row = cache->states({&growth, 1})[1];
    return static_cast<float *>(row.keys) +
           (row.pages[position / page] * 2 * page + position % page) * 8;
  }

  std::unique_ptr<KVCache> cache;
};

TEST_F(RecurrentStateTest, OnePageForEachSequence) {
  create(1 << 20);
  EXPECT_EQ(cache->pageBytes(1), recurrentBytes);
  SequenceId a = sequence(), b = sequence();
  EXPECT_EQ(cache->usedBytes(), 0u);
  ASSERT_OK(add(a, 1));
  EXPECT_EQ(cache->usedBytes(), keyBytes + recurrentBytes);
  std::ranges::fill(bytes(a, 0), 'a');
  std::ranges::fill(bytes(a, 2), 'A');
  char *place = bytes(a, 0).data();
  ASSERT_OK(add(a, 3 * page));
  ASSERT_OK(add(b, 2));
  EXPECT_EQ(cache->usedBytes(), 5 * keyBytes + 2 * recurrentBytes);
  EXPECT_EQ(bytes(a, 0).data(), place);
  EXPECT_EQ(std::ranges::count(bytes(a, 0), 'a'), 64);
  EXPECT_EQ(std::ranges::count(bytes(a, 2), 'A'), 192);
  EXPECT_EQ(std::ranges::count(bytes(b, 0), 0), 64);
  EXPECT_EQ(std::ranges::count(bytes(b, 2), 0), 192);
}

TEST_F(RecurrentStateTest, ZeroForTheNextSequence) {
  create(keyBytes + recurrentBytes);
  for (int round = 0; round < 3; ++round) {
    SequenceId id = sequence();
    ASSERT_OK(add(id, page));
    EXPECT_EQ(std::ranges::count(bytes(id, 2), 0), 192);
    std::ranges::fill(bytes(id, 2), 'x');
    if (round == 1)
      ASSERT_OK(cache->truncate(id, 0));
    else
      ASSERT_OK(cache->freeSequence(id));
    EXPECT_EQ(cache->usedBytes(), 0u);
    if (round == 1) { // It begins again.
      ASSERT_OK(add(id, 1));
      EXPECT_EQ(std::ranges::count(bytes(id, 2), 0), 192);
      ASSERT_OK(cache->freeSequence(id));
    }
  }
}

TEST_F(RecurrentStateTest, TruncateOnlyToNothingOrAll) {
  create(1 << 20);
  SequenceId id = sequence();
  ASSERT_OK(add(id, 40));
  expectError(cache->truncate(id, 39), StatusCode::InvalidArgument,
              "cannot truncate the sequence to 39 tokens: its recurrent state "
              "is that of all 40; truncate it to 0");
  EXPECT_EQ(*cache->length(id), 40);
  ASSERT_OK(cache->truncate(id, 40));
  EXPECT_EQ(cache->usedBytes(), 2 * keyBytes + recurrentBytes);
  ASSERT_OK(cache->truncate(id, 0));
  EXPECT_EQ(*cache->length(id), 0);
}

TEST_F(RecurrentStateTest, CountsAgainstTheBudget) {
  create(2 * keyBytes + recurrentBytes);
  SequenceId a = sequence(), b = sequence();
  ASSERT_OK(add(a, 1));
  expectError(add(b, 1), StatusCode::ResourceExhausted,
              "the states of the sequences need 8704 bytes, but their budget "
              "is 8448 bytes");
  ASSERT_OK(cache->freeSequence(a));
  ASSERT_OK(add(b, 1));
}

TEST_F(RecurrentStateTest, CopiesHaveAllStates) {
  create(1 << 20);
  SequenceId a = sequence();
  ASSERT_OK(add(a, page + 1));
  std::ranges::fill(bytes(a, 0), 'a');
  key(a, 3)[5] = 1.5f;
  key(a, page)[0] = 2.5f;
  auto made = cache->copySequence(a);
  ASSERT_OK(made);
  SequenceId b = *made;
  EXPECT_NE(a, b);
  EXPECT_EQ(*cache->length(b), page + 1);
  EXPECT_EQ(cache->usedBytes(), 2 * (2 * keyBytes + recurrentBytes));
  EXPECT_EQ(std::ranges::count(bytes(b, 0), 'a'), 64);
  EXPECT_EQ(key(b, 3)[5], 1.5f);
  EXPECT_EQ(key(b, page)[0], 2.5f);
  // From here on they are two.
  std::ranges::fill(bytes(b, 0), 'b');
  key(b, 3)[5] = 7;
  ASSERT_OK(add(b, 1));
  EXPECT_EQ(std::ranges::count(bytes(a, 0), 'a'), 64);
  EXPECT_EQ(key(a, 3)[5], 1.5f);
  EXPECT_EQ(*cache->length(a), page + 1);
  ASSERT_OK(cache->freeSequence(a));
  EXPECT_EQ(std::ranges::count(bytes(b, 0), 'b'), 64);
  // Of an empty sequence, too.
  ASSERT_OK(cache->copySequence(sequence()));
}

TEST_F(RecurrentStateTest, CopiesNeedMemory) {
  create(2 * keyBytes + recurrentBytes);
  SequenceId a = sequence();
  ASSERT_OK(add(a, 1));
  expectError(cache->copySequence(a).takeStatus(),
              StatusCode::ResourceExhausted,
              "the states of the sequences need 8704 bytes, but their budget "
              "is 8448 bytes");
  EXPECT_EQ(cache->usedBytes(), keyBytes + recurrentBytes);
  expectError(cache->copySequence(SequenceId(77)).takeStatus(),
              StatusCode::InvalidArgument,
              "the sequence does not exist or was freed");
}

TEST_F(RecurrentStateTest, CopiesOfSequencesWithWindows) {
  Manifest manifest = toyManifest();
  auto created = KVCache::create(manifest, 1 << 20);
  ASSERT_OK(created);
  cache = std::move(*created);
  SequenceId a = sequence();
  for (int i = 0; i < 100; ++i)
    ASSERT_OK(add(a, 1));
  uint64_t used = cache->usedBytes();
  auto b = cache->copySequence(a);
  ASSERT_OK(b);
  EXPECT_EQ(cache->usedBytes(), 2 * used);
  // What left the window of one left that of the other.
  expectError(cache->truncate(*b, 50), StatusCode::InvalidArgument,
              "cannot truncate the sequence to 50 tokens: a window of 40");
  ASSERT_OK(add(*b, 30));
  ASSERT_OK(cache->freeSequence(a));
  ASSERT_OK(cache->freeSequence(*b));
  EXPECT_EQ(cache->usedBytes(), 0u);
}

} // namespace
