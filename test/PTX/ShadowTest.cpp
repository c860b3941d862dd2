//===- ShadowTest.cpp - Order and races, without a machine ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Shadow.h"

#include <gtest/gtest.h>

using namespace clade::ptx;

namespace {

/// Blocks of four warps, and one cell that they touch.
struct Fixture : testing::Test {
  SyncTable table;
  BlockClocks first{0, 4}, second{1, 4};
  ShadowCell cell;

  static Accessor by(BlockClocks &clocks, unsigned warp, unsigned lane = 0,
                     unsigned mask = 15) {
    ShadowAccess access;
    access.block = clocks.block;
    access.agent = warp;
    access.time = clocks.timeOf(warp);
    access.lane = lane;
    access.mask = mask;
    return {clocks, warp, access};
  }
  bool writes(BlockClocks &clocks, unsigned warp, unsigned lane = 0,
              unsigned mask = 15, bool isSilent = false) {
    return bool(shadowWrite(cell, by(clocks, warp, lane, mask), isSilent));
  }
  bool reads(BlockClocks &clocks, unsigned warp, unsigned lane = 0,
             unsigned mask = 15) {
    return bool(shadowRead(cell, by(clocks, warp, lane, mask)));
  }
  void barrier(BlockClocks &clocks, std::initializer_list<unsigned> warps,
               unsigned number = 0) {
    for (unsigned warp : warps)
      clocks.barrierArrive(warp, number);
    for (unsigned warp : warps)
      clocks.barrierLeave(warp, number);
    clocks.barrierReset(number);
  }
};

TEST_F(Fixture, UnorderedWarpsRace) {
  EXPECT_FALSE(writes(first, 0));
  EXPECT_TRUE(reads(first, 1));
}

TEST_F(Fixture, ReadersDoNotRace) {
  EXPECT_FALSE(reads(first, 0));
  EXPECT_FALSE(reads(first, 1));
  EXPECT_FALSE(reads(second, 1));
  EXPECT_TRUE(writes(first, 2));
}

TEST_F(Fixture, ABarrierOrders) {
  EXPECT_FALSE(writes(first, 0));
  barrier(first, {0, 1, 2, 3});
  EXPECT_FALSE(reads(first, 1));
  EXPECT_TRUE(writes(first, 2)); // After the read, before the next barrier.
  barrier(first, {0, 1, 2, 3});
  EXPECT_FALSE(writes(first, 3));
}

TEST_F(Fixture, ABarrierOrdersOnlyWhoTakesPart) {
  EXPECT_FALSE(writes(first, 0));
  barrier(first, {0, 1}, 3);
  EXPECT_FALSE(reads(first, 1));
  EXPECT_TRUE(reads(first, 2));
}

TEST_F(Fixture, OrderIsTransitive) {
  EXPECT_FALSE(writes(first, 0));
  barrier(first, {0, 1}, 1);
  barrier(first, {1, 2}, 2);
  EXPECT_FALSE(reads(first, 2));
}

TEST_F(Fixture, LanesOfAWarpNeedAWarpBarrier) {
  EXPECT_FALSE(writes(first, 0, 3));
  EXPECT_FALSE(reads(first, 0, 3));
  EXPECT_TRUE(reads(first, 0, 4));
  first.warpSync(0, ~0u);
  EXPECT_FALSE(reads(first, 0, 5));
}

TEST_F(Fixture, AWarpBarrierOrdersItsLanesOnly) {
  EXPECT_FALSE(writes(first, 0, 3));
  first.warpSync(0, 0x0000FFFF);
  EXPECT_FALSE(reads(first, 0, 5));
  EXPECT_TRUE(reads(first, 0, 20));
}

TEST_F(Fixture, LanesOfAWarpAreOrderedByWhatTheyHandOn) {
  EXPECT_FALSE(writes(first, 0, 3));
  Knowledge phase;
  first.release(0, phase);
  first.acquire(0, phase, 1u << 5);
  EXPECT_FALSE(reads(first, 0, 5));
  EXPECT_TRUE(reads(first, 0, 6));
}

TEST_F(Fixture, BytesThatDoNotOverlapDoNotRace) {
  EXPECT_FALSE(writes(first, 0, 0, 0b0011));
  EXPECT_FALSE(writes(first, 1, 0, 0b1100));
  EXPECT_TRUE(reads(first, 2, 0, 0b1000));
}

TEST_F(Fixture, StoresThatChangeNothingAreHarmless) {
  EXPECT_FALSE(writes(first, 0));
  EXPECT_FALSE(writes(first, 1, 0, 15, /*isSilent=*/true));
  EXPECT_TRUE(writes(first, 2));
}

TEST_F(Fixture, StrongAccessesDoNotRace) {
  Accessor a = by(first, 0), b = by(second, 1);
  a.access.isStrong = b.access.isStrong = 1;
  EXPECT_FALSE(shadowWrite(cell, a, false));
  EXPECT_FALSE(shadowWrite(cell, b, false));
  EXPECT_TRUE(reads(first, 2)); // A weak one does.
}

TEST_F(Fixture, FenceAndAtomicOrderBlocks) {
  EXPECT_FALSE(writes(first, 0));
  first.fence(0, FenceScope::Device);
  first.strongWrite(table, 0, 64, false);
  EXPECT_TRUE(reads(second, 0)); // Not yet acquired.
  second.strongRead(table, 0, 64, false);
  EXPECT_TRUE(reads(second, 0)); // Relaxed, and no fence after it.
  second.fence(0, FenceScope::Device);
  EXPECT_FALSE(reads(second, 0));
}

TEST_F(Fixture, ReleaseAndAcquireOrderBlocks) {
  EXPECT_FALSE(writes(first, 2));
  barrier(first, {0, 1, 2, 3});
  first.strongWrite(table, 0, 64, /*isRelease=*/true);
  second.strongRead(table, 3, 64, /*isAcquire=*/true);
  EXPECT_FALSE(reads(second, 3));
  EXPECT_TRUE(reads(second, 1));
  barrier(second, {0, 1, 2, 3});
  EXPECT_FALSE(reads(second, 1));
}

TEST_F(Fixture, AnAtomicAloneOrdersNothing) {
  EXPECT_FALSE(writes(first, 0));
  first.strongWrite(table, 0, 64, false);
  second.strongRead(table, 0, 64, true);
  EXPECT_TRUE(reads(second, 0));
}

TEST_F(Fixture, AFenceOfTheBlockDoesNotReachOthers) {
  EXPECT_FALSE(writes(first, 0));
  first.fence(0, FenceScope::Block);
  first.strongWrite(table, 0, 64, false);
  second.strongRead(table, 0, 64, true);
  EXPECT_TRUE(reads(second, 0));
  first.strongRead(table, 1, 64, true);
  EXPECT_FALSE(reads(first, 1));
}

TEST_F(Fixture, WhatOthersReleasedIsHandedOn) {
  BlockClocks third{2, 4};
  EXPECT_FALSE(writes(first, 0));
  first.strongWrite(table, 0, 64, true);
  second.strongRead(table, 0, 64, true);
  second.strongWrite(table, 0, 128, true);
  third.strongRead(table, 0, 128, true);
  EXPECT_FALSE(reads(third, 0));
}

TEST_F(Fixture, AQueueIsKnownAfterAWait) {
  unsigned queue = firstAsyncAgent + 1;
  Accessor copy = by(first, 0);
  copy.access.agent = queue;
  copy.access.time = first.timeOf(queue);
  EXPECT_FALSE(shadowWrite(cell, copy, false));
  EXPECT_TRUE(reads(first, 0)); // Even its issuer has not waited.
  Knowledge done;
  done.times.at[queue] = copy.access.time + 1;
  first.acquire(0, done);
  EXPECT_FALSE(reads(first, 0));
  EXPECT_TRUE(reads(first, 1));
  barrier(first, {0, 1, 2, 3});
  EXPECT_FALSE(reads(first, 1));
}

TEST_F(Fixture, TheAsynchronousProxyNeedsAFence) {
  EXPECT_FALSE(writes(first, 0));
  barrier(first, {0, 1});
  Accessor copy = by(first, 1);
  copy.access.agent = firstAsyncAgent;
  copy.access.time = first.timeOf(firstAsyncAgent);
  copy.access.isAsync = 1;
  Conflict conflict = shadowRead(cell, copy);
  EXPECT_TRUE(conflict && conflict.isUnfenced);
  first.proxyFence(1);
  EXPECT_FALSE(shadowRead(cell, copy));
}

TEST_F(Fixture, AFenceBeforeTheBarrierServesOthers) {
  EXPECT_FALSE(writes(first, 0));
  first.proxyFence(0);
  barrier(first, {0, 1});
  Accessor copy = by(first, 1);
  copy.access.agent = firstAsyncAgent;
  copy.access.time = first.timeOf(firstAsyncAgent);
  copy.access.isAsync = 1;
  EXPECT_FALSE(shadowRead(cell, copy));
}

TEST(GlobalShadow, PagesAreMadeOnce) {
  GlobalShadow shadow;
  GlobalShadow::Page &page = shadow.page(5000);
  EXPECT_EQ(&page, &shadow.page(5000 / GlobalShadow::pageBytes *
                                GlobalShadow::pageBytes));
  EXPECT_NE(&page, &shadow.page(5000 + GlobalShadow::pageBytes));
}

} // namespace
