//===- KVCacheTest.cpp - Paged keys and values ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Page tables, windows, budgets and their messages, without any model code.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/KVCache.h"
#include "ToySupport.h"

#include <algorithm>
#include <cmath>
#include <random>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

constexpr int page = CLADE_PAGE_TOKENS;

/// Group 0 keeps everything and has two states, group 1 a window of 40 tokens
/// and one. A page takes 2 * 32 * (4 + 4) * 4 = 2048 bytes a state.
class KVCacheTest : public ::testing::Test {
protected:
  void create(uint64_t budget) {
    Manifest manifest = toyManifest();
    for (ManifestState &state : manifest.states)
      state.valueSize = 4;
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
  /// The entries of a sequence's table for a state.
  std::vector<int32_t> pages(SequenceId id, size_t state) {
    KVCache::Growth growth{id, 0};
    CladeKVState row = cache->states({&growth, 1})[state];
    return {row.pages, row.pages + row.pages_stride};
  }

  /// Writes to all pages of a sequence.
  void fill(SequenceId id) {
    KVCache::Growth growth{id, 0};
    for (const CladeKVState &state : cache->states({&growth, 1}))
      for (int i = 0; i < state.pages_stride; ++i)
        for (void *part : {state.keys, state.values})
          if (state.pages[i] >= 0)
            std::fill_n(static_cast<float *>(part) + state.pages[i] * 256, 256,
                        INFINITY);
  }

  std::unique_ptr<KVCache> cache;
};

constexpr uint64_t full = 4096, windowed = 2048; // Bytes of a group's page.

TEST_F(KVCacheTest, PagesComeWithTokens) {
  create(1 << 20);
  EXPECT_EQ(cache->pageBytes(0), full);
  EXPECT_EQ(cache->pageBytes(1), windowed);
  SequenceId id = sequence();
  ASSERT_OK(add(id, 1));
  EXPECT_EQ(cache->usedBytes(), full + windowed);
  ASSERT_OK(add(id, page - 1));
  EXPECT_EQ(cache->usedBytes(), full + windowed);
  ASSERT_OK(add(id, 1));
  EXPECT_EQ(cache->usedBytes(), 2 * (full + windowed));
  EXPECT_EQ(*cache->length(id), page + 1);
  EXPECT_EQ(pages(id, 0), (std::vector<int32_t>{0, 1}));
}

TEST_F(KVCacheTest, WindowsGivePagesBack) {
  create(1 << 20);
  SequenceId id = sequence();
  for (int length = 1; length <= 400; ++length) {
    ASSERT_OK(add(id, 1));
    // The token at `length` - 1 was just added and reads 40 positions.
    int first = std::max(0, length - 1 - 40 + 1) / page;
    std::vector<int32_t> table = pages(id, 1);
    ASSERT_EQ(table.size(), static_cast<size_t>((length + page - 1) / page));
    for (int i = 0; i < static_cast<int>(table.size()); ++i)
      ASSERT_EQ(table[static_cast<size_t>(i)] < 0, i < first)
          << length << ", page " << i;
    for (int32_t number : table)
      ASSERT_LT(number, 3) << "pages are used again";
  }
  EXPECT_EQ(pages(id, 0).size(), 13u);
  EXPECT_EQ(pages(id, 0)[0], 0);
}

TEST_F(KVCacheTest, StatesOfAGroupSharePages) {
  create(1 << 20);
  SequenceId a = sequence(), b = sequence();
  ASSERT_OK(add(a, 10));
  ASSERT_OK(add(b, 50));
  KVCache::Growth rows[] = {{b, 0}, {a, 0}};
  auto states = cache->states(rows);
  ASSERT_EQ(states.size(), 3u);
  EXPECT_EQ(states[0].pages, states[2].pages);
  EXPECT_NE(states[0].pages, states[1].pages);
  EXPECT_NE(states[0].keys, states[2].keys);
  EXPECT_EQ(states[0].pages_stride, 2);
  std::vector<int32_t> table(states[0].pages, states[0].pages + 4);
  EXPECT_EQ(table, (std::vector<int32_t>{1, 2, 0, -1}));
}

TEST_F(KVCacheTest, BudgetIsKept) {
  create(3 * (full + windowed));
  SequenceId a = sequence(), b = sequence();
  ASSERT_OK(add(a, 2 * page));
  expectError(add(b, page + 1), StatusCode::ResourceExhausted,
              "the keys and values need 24576 bytes, but their budget is "
              "18432 bytes");
  EXPECT_EQ(*cache->length(b), 0);
  EXPECT_EQ(cache->usedBytes(), 2 * (full + windowed));
  ASSERT_OK(add(b, page));
  expectError(add(a, 1), StatusCode::ResourceExhausted, "");
  ASSERT_OK(cache->freeSequence(b));
  ASSERT_OK(add(a, 1));
  expectError(add(a, INT64_C(1) << 40), StatusCode::ResourceExhausted, "");
}

TEST_F(KVCacheTest, GroupsShareTheBudget) {
  // Four short sequences take 4 * (full + windowed) = 12 * windowed; a long one
  // 5 * full + 3 * windowed = 13 * windowed: memory moves between the groups.
  create(13 * windowed);
  for (int round = 0; round < 10; ++round) {
    SequenceId ids[4];
    for (SequenceId &id : ids) {
      id = sequence();
      ASSERT_OK(add(id, page));
      fill(id);
    }
    for (SequenceId id : ids)
      ASSERT_OK(cache->freeSequence(id));
    SequenceId id = sequence();
    for (int i = 0; i < 4 * page + 1; ++i) {
      ASSERT_OK(add(id, 1));
      fill(id);
    }
    EXPECT_EQ(cache->usedBytes(), 5 * full + 3 * windowed);
    ASSERT_OK(cache->freeSequence(id));
  }
}

TEST_F(KVCacheTest, LatentStatesHaveKeysAlone) {
  Manifest manifest = toyManifest();
  for (ManifestState &state : manifest.states)
    state.kind = "latent";
  auto created = KVCache::create(manifest, 1 << 20);
  ASSERT_OK(created);
  cache = std::move(*created);
  auto rowBytes = static_cast<uint64_t>(manifest.states[0].heads *
                                        manifest.states[0].keySize * 4);
  EXPECT_EQ(cache->pageBytes(1), page * rowBytes);

  // Copying, cutting back and freeing are those of other pages.
  SequenceId id = sequence();
  ASSERT_OK(add(id, page + 1));
  KVCache::Growth growth{id, 0};
  CladeKVState row = cache->states({&growth, 1})[1];
  EXPECT_EQ(row.values, nullptr);
  auto elements = static_cast<ptrdiff_t>(cache->pageBytes(1) / 4);
  auto at = [&](const CladeKVState &state, int64_t entry) {
    return static_cast<float *>(state.keys) + state.pages[entry] * elements;
  };
  at(row, 0)[0] = 3;
  at(row, 1)[elements - 1] = 5;
  auto copy = cache->copySequence(id);
  ASSERT_OK(copy);
  at(row, 0)[0] = 0;
  growth.id = *copy;
  row = cache->states({&growth, 1})[1];
  EXPECT_EQ(at(row, 0)[0], 3);
  EXPECT_EQ(at(row, 1)[elements - 1], 5);
  ASSERT_OK(cache->truncate(*copy, page));
  EXPECT_EQ(pages(*copy, 1).size(), 1u);
  ASSERT_OK(cache->freeSequence(*copy));
  ASSERT_OK(cache->freeSequence(id));
  EXPECT_EQ(cache->usedBytes(), 0u);
}

TEST_F(KVCacheTest, HugeNeedsDoNotOverflow) {
  Manifest manifest = toyManifest();
  manifest.states.resize(1);
  manifest.states[0].heads = manifest.states[0].keySize = 1 << 20;
  manifest.states[0].valueSize = 1;
  auto created = KVCache::create(manifest, 1 << 20);
  ASSERT_OK(created);
  cache = std::move(*created);
  expectError(add(sequence(), INT64_C(1) << 31), StatusCode::ResourceExhausted,
              "the keys and values need more than 2^64 bytes, but their "
              "budget is 1048576 bytes");
}

TEST_F(KVCacheTest, PagesAreZeroForTheNextSequence) {
  create(4 * (full + windowed));
  for (int round = 0; round < 3; ++round) {
    SequenceId id = sequence();
    ASSERT_OK(add(id, 4 * page));
    KVCache::Growth growth{id, 0};
    for (const CladeKVState &state : cache->states({&growth, 1}))
      for (int i = 0; i < 4; ++i)
        for (void *part : {state.keys, state.values}) {
          auto *values = static_cast<float *>(part) + state.pages[i] * 256;
          for (int k = 0; k < 256; ++k)
            ASSERT_EQ(values[k], 0);
        }
    fill(id);
    ASSERT_OK(cache->freeSequence(id));
  }
}

TEST_F(KVCacheTest, Truncate) {
  create(1 << 20);
  SequenceId id = sequence();
  ASSERT_OK(add(id, 100));
  expectError(cache->truncate(id, 101), StatusCode::InvalidArgument,
              "cannot truncate a sequence of 100 tokens to 101");
  expectError(cache->truncate(id, -1), StatusCode::InvalidArgument,
              "cannot truncate a sequence of 100 tokens to -1");
  ASSERT_OK(cache->truncate(id, 33));
  EXPECT_EQ(pages(id, 0).size(), 2u);
  ASSERT_OK(add(id, 67));
  // Now the pages before position 61 leave the window: page 0.
  ASSERT_OK(add(id, 1));
  ASSERT_OK(cache->truncate(id, 71));
  expectError(cache->truncate(id, 70), StatusCode::InvalidArgument,
              "cannot truncate the sequence to 70 tokens: a window of 40 "
              "before that was already given up");
  EXPECT_EQ(*cache->length(id), 71);
  ASSERT_OK(cache->truncate(id, 0));
  EXPECT_EQ(cache->usedBytes(), 0u);
  ASSERT_OK(add(id, 100));
  for (int32_t number : pages(id, 1))
    EXPECT_GE(number, 0);
}

TEST_F(KVCacheTest, FreedSequencesStayInvalid) {
  create(1 << 20);
  SequenceId id = sequence();
  ASSERT_OK(cache->freeSequence(id));
  EXPECT_NE(sequence(), id);
  constexpr const char *message = "the sequence does not exist or was freed";
  for (SequenceId bad : {id, SequenceId::None, SequenceId(77)}) {
    expectError(cache->freeSequence(bad), StatusCode::InvalidArgument, message);
    expectError(cache->truncate(bad, 0), StatusCode::InvalidArgument, message);
    expectError(cache->length(bad).takeStatus(), StatusCode::InvalidArgument,
                message);
  }
}

TEST_F(KVCacheTest, TooManySequences) {
  auto created = KVCache::create(Manifest(), 0);
  ASSERT_OK(created);
  for (int i = 0; i < 1 << 20; ++i)
    if (!(*created)->createSequence(0).ok())
      FAIL() << i;
  expectError((*created)->createSequence(0).takeStatus(),
              StatusCode::ResourceExhausted,
              "there are already 1048576 sequences");
}

/// Random growth, truncation and freeing: no page has two owners, used bytes
/// are those of the tables, the budget holds.
TEST_F(KVCacheTest, RandomLife) {
  create(40 * (full + windowed));
  std::mt19937 random(3);
  std::vector<SequenceId> ids;
  for (int step = 0; step < 3000; ++step) {
    unsigned action = random() % 8;
    if (ids.size() < 3 || (action == 0 && ids.size() < 9))
      ids.push_back(sequence());
    size_t which = random() % ids.size();
    if (action == 1) {
      ASSERT_OK(cache->freeSequence(ids[which]));
      ids.erase(ids.begin() + static_cast<ptrdiff_t>(which));
    } else if (action == 2) {
      // May be refused because of the window.
      (void)cache->truncate(ids[which],
                            *cache->length(ids[which]) * (random() % 3) / 2);
    } else {
      (void)add(ids[which], 1 + random() % 70);
    }
    uint64_t bytes = 0;
    for (size_t state : {0u, 1u}) {
      std::vector<bool> owned(1000);
      for (SequenceId id : ids)
        for (int32_t number : pages(id, state)) {
          if (number < 0)
            continue;
          ASSERT_FALSE(owned[static_cast<size_t>(number)]);
          owned[static_cast<size_t>(number)] = true;
          bytes += cache->pageBytes(state);
        }
    }
    ASSERT_EQ(bytes, cache->usedBytes());
    ASSERT_LE(bytes, cache->budget());
  }
}

} // namespace
