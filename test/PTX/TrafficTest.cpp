//===- TrafficTest.cpp - The model of caches, by hand ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Traffic.h"
#include "lib/PTX/SectorCache.h"

#include <gtest/gtest.h>

using namespace clade::ptx;

namespace {

TEST(SectorCache, HoldsSectorsByThemselves) {
  SectorCache cache(1 << 20);
  EXPECT_EQ(cache.read(5, 0b0011), 0);
  EXPECT_EQ(cache.read(5, 0b0110), 0b0010);
  EXPECT_EQ(cache.read(5, 0b1111), 0b0111);
  EXPECT_EQ(cache.probe(6, 0b1111), 0);
  EXPECT_EQ(cache.read(6, 0b1111), 0); // A probe makes no room.
}

TEST(SectorCache, WritesEachDirtySectorOnce) {
  SectorCache cache(1 << 20);
  EXPECT_EQ(cache.write(5, 0b0011), 0b0011);
  EXPECT_EQ(cache.write(5, 0b0111), 0b0100);
  EXPECT_EQ(cache.read(5, 0b1111), 0b0111);
}

TEST(SectorCache, LeastRecentlyUsedMakesRoom) {
  SectorCache cache(SectorCache::ways * SectorCache::lineBytes); // One set.
  for (uint64_t line = 0; line < SectorCache::ways; ++line)
    cache.write(line, 1);
  EXPECT_EQ(cache.read(0, 1), 1); // The oldest is 1 now.
  cache.read(100, 1);
  EXPECT_EQ(cache.probe(0, 1), 1);
  EXPECT_EQ(cache.probe(1, 1), 0);
  EXPECT_EQ(cache.write(1, 1), 1); // Dirty anew: it was written back.
}

TEST(SectorCache, WhatMakesRoomFirstDoesSo) {
  SectorCache cache(SectorCache::ways * SectorCache::lineBytes); // One set.
  for (uint64_t line = 0; line < SectorCache::ways; ++line)
    cache.read(line, 1);
  // Each such line takes the place of the one before: the oldest alone is lost.
  for (uint64_t line = 100; line < 200; ++line)
    EXPECT_EQ(cache.write(line, 3, /*makesRoom=*/true), 3);
  EXPECT_EQ(cache.write(199, 7, /*makesRoom=*/true), 4);
  EXPECT_EQ(cache.probe(0, 1), 0);
  for (uint64_t line = 1; line < SectorCache::ways; ++line)
    EXPECT_EQ(cache.probe(line, 1), 1);
  EXPECT_EQ(cache.probe(198, 1), 0);
}

TEST(SectorCache, HoldsAsMuchAsItSays) {
  // The capacities of the GPUs' caches: all lines of a range of 15 of the 16
  // ways, wherever it begins, are there the second time, and of a range that is
  // a third larger than the cache none.
  for (uint64_t bytes :
       {128ull << 10, 40ull << 20, 50ull << 20, 126ull << 20}) {
    uint64_t lines = bytes / SectorCache::lineBytes;
    for (bool fits : {true, false}) {
      SectorCache cache(bytes);
      uint64_t range = fits ? lines / 16 * 15 : lines / 3 * 4, hits = 0;
      for (unsigned round = 0; round < 2; ++round)
        for (uint64_t line = 0; line < range; ++line)
          hits += cache.read(1000 + line, 15) == 15;
      EXPECT_EQ(hits, fits ? range : 0) << bytes;
    }
  }
}

TEST(SectorCache, NothingFitsIntoNothing) {
  SectorCache cache(0);
  EXPECT_EQ(cache.read(1, 15), 0);
  EXPECT_EQ(cache.read(1, 15), 0);
  EXPECT_EQ(cache.probe(1, 15), 0);
  EXPECT_EQ(cache.write(1, 15), 15);
}

/// A trace whose instruction 0 reads through L1, 1 past it, 2 writes.
Trace makeTrace(std::vector<std::vector<Request>> blocks) {
  Trace trace;
  trace.numBlocks = blocks.size();
  trace.blocks = std::move(blocks);
  trace.origins = {{10, true}, {11, false}, {12, false}};
  return trace;
}

Request cached(uint64_t line, uint8_t sectors = 15) {
  return {line, sectors, RequestKind::Read, 0};
}
Request uncached(uint64_t line, uint8_t sectors = 15) {
  return {line, sectors, RequestKind::Read, 1};
}
Request written(uint64_t line, uint8_t sectors = 15) {
  return {line, sectors, RequestKind::Write, 2};
}

CacheSetup setup() {
  CacheSetup result;
  result.l2Bytes = 1 << 20;
  result.l1Bytes = 64 << 10;
  result.multiprocessors = 2;
  result.blocksPerMultiprocessor = 1;
  return result;
}

TEST(Traffic, LevelsFilter) {
  Traffic traffic =
      modelTraffic(makeTrace({{cached(1), cached(1), uncached(1), written(2, 3),
                               written(2, 1), cached(2, 7)}}),
                   setup());
  EXPECT_EQ(traffic.l1Reads, 4 + 4 + 3);
  EXPECT_EQ(traffic.l1Hits, 4);          // A write makes no room in L1.
  EXPECT_EQ(traffic.l2Reads, 4 + 4 + 3); // The first, the second past L1, 2.
  EXPECT_EQ(traffic.l2Hits, 4 + 2);      // Two sectors of 2 were written.
  EXPECT_EQ(traffic.l2Writes, 2 + 1);
  EXPECT_EQ(traffic.dramReads, 4 + 1);
  EXPECT_EQ(traffic.dramWrites, 2);
  EXPECT_EQ(traffic.dramByLine[10], 5);
  EXPECT_EQ(traffic.dramByLine[11], 0);
  EXPECT_EQ(traffic.dramByLine[12], 2);
  EXPECT_EQ(traffic.dramBytes(), 7 * 32);
}

TEST(Traffic, AtomicsReadAndWriteInL2) {
  Request atomic(1, 1, RequestKind::Atomic, 0);
  Traffic traffic = modelTraffic(makeTrace({{atomic, atomic}}), setup());
  EXPECT_EQ(traffic.l1Reads, 0);
  EXPECT_EQ(traffic.l2Reads, 2);
  EXPECT_EQ(traffic.l2Writes, 2);
  EXPECT_EQ(traffic.dramReads, 1);
  EXPECT_EQ(traffic.dramWrites, 1);
}

TEST(Traffic, MultiprocessorsHaveTheirOwnL1) {
  // Blocks 0 and 2 run on the first, 1 on the second: 2 follows on 0.
  Traffic traffic =
      modelTraffic(makeTrace({{cached(1)}, {cached(1)}, {cached(1)}}), setup());
  EXPECT_EQ(traffic.l1Hits, 4);
  EXPECT_EQ(traffic.l2Reads, 8);
  EXPECT_EQ(traffic.dramReads, 4);
}

TEST(Traffic, ResidentBlocksTakeTurns) {
  // Two blocks that go on at once share what one of them fetched; one after
  // the other, with a cache of one set, the first lines are gone by then.
  std::vector<Request> walk;
  for (uint64_t line = 0; line < 2 * SectorCache::ways; ++line)
    walk.push_back(uncached(line));
  CacheSetup small = setup();
  small.l2Bytes = SectorCache::ways * SectorCache::lineBytes;
  EXPECT_EQ(modelTraffic(makeTrace({walk, walk}), small).dramReads, 4 * 32);
  small.multiprocessors = 1;
  EXPECT_EQ(modelTraffic(makeTrace({walk, walk}), small).dramReads, 8 * 32);
  small.blocksPerMultiprocessor = 2;
  EXPECT_EQ(modelTraffic(makeTrace({walk, walk}), small).dramReads, 4 * 32);
}

TEST(Traffic, ScalesWhatWasLeftOut) {
  Trace trace = makeTrace({{uncached(1)}, {}, {uncached(2), written(3)}});
  trace.numBlocks = 6;
  Traffic traffic = modelTraffic(trace, setup());
  EXPECT_EQ(traffic.tracedBlocks, 3u);
  EXPECT_EQ(traffic.blocks, 6u);
  EXPECT_EQ(traffic.dramReads, 16);
  EXPECT_EQ(traffic.dramWrites, 8);
  EXPECT_EQ(traffic.dramByLine[11], 16);
  EXPECT_EQ(modelTraffic(makeTrace({}), setup()).dramBytes(), 0);
}

} // namespace
