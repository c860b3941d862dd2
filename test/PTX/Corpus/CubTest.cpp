//===- CubTest.cpp - Primitives of the CUB library for blocks and warps ---===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Corpus/Harness.h"

#include <algorithm>
#include <numeric>

using namespace corpus;

CORPUS_FILE(Cub);

static constexpr int threads = 128, items = 4, total = threads * items;

TEST_P(Cub, Reduce) {
  auto in = Random(1).integers(2 * total, -1000, 1000);
  Buffer<int> sum(2), most(2);
  kernel("cubReduce", 2, threads)(Buffer(in), sum, most);
  std::vector<int> sums(2), largest(2, INT32_MIN);
  for (int i = 0; i < 2 * total; ++i) {
    sums[i / total] += in[i];
    if (i % items == 0)
      largest[i / total] = std::max(largest[i / total], in[i]);
  }
  expectSame(sum.read(), sums);
  expectSame(most.read(), largest);
}

TEST_P(Cub, ReduceRaking) {
  int valid = 77;
  auto in = Random(2).integers<float>(valid, -1000, 1000);
  Buffer<float> sum(1);
  kernel("cubReduceRaking", 1, threads)(Buffer(in), sum, valid);
  EXPECT_EQ(sum.read()[0], std::accumulate(in.begin(), in.end(), 0.0f));
}

TEST_P(Cub, Scan) {
  auto in = Random(3).integers(2 * total, -50, 50);
  Buffer<int> exclusive(2 * total), inclusive(2 * total), sums(2);
  kernel("cubScan", 2, threads)(Buffer(in), exclusive, inclusive, sums);
  std::vector<int> sum, most, all(2);
  for (int i = 0; i < 2 * total; ++i) {
    sum.push_back(all[i / total]);
    all[i / total] += in[i];
    most.push_back(i % total ? std::max(most.back(), in[i]) : in[i]);
  }
  expectSame(exclusive.read(), sum);
  expectSame(inclusive.read(), most);
  expectSame(sums.read(), all);
}

TEST_P(Cub, Sort) {
  auto keys = Random(4).patterns<unsigned>(2 * total);
  Buffer<unsigned> buffer(keys);
  kernel("cubSort", 2, threads)(buffer);
  std::sort(keys.begin(), keys.begin() + total);
  std::sort(keys.begin() + total, keys.end());
  expectSame(buffer.read(), keys);
}

TEST_P(Cub, SortPairs) {
  auto keys = Random(5).integers<float>(total, -40, 40);
  Buffer<float> buffer(keys);
  Buffer<int> values(total);
  kernel("cubSortPairs", 1, threads)(buffer, values);
  std::vector<int> places(total);
  std::iota(places.begin(), places.end(), 0);
  std::stable_sort(places.begin(), places.end(),
                   [&](int a, int b) { return keys[a] > keys[b]; });
  std::vector<float> sorted;
  for (int place : places)
    sorted.push_back(keys[place]);
  expectSame(buffer.read(), sorted);
  expectSame(values.read(), places);
}

TEST_P(Cub, MergeSort) {
  auto keys = Random(6).integers(total, 0, 100000);
  Buffer<int> buffer(keys);
  kernel("cubMergeSort", 1, threads)(buffer);
  std::stable_sort(keys.begin(), keys.end(),
                   [](int a, int b) { return a % 100 < b % 100; });
  expectSame(buffer.read(), keys);
}

TEST_P(Cub, Histogram) {
  auto in = Random(7).integers<uint8_t>(total, 10, 90);
  Buffer<unsigned> bins(256);
  kernel("cubHistogram", 1, threads)(Buffer(in), bins);
  std::vector<unsigned> expected(256);
  for (uint8_t value : in)
    ++expected[value];
  expectSame(bins.read(), expected);
}

TEST_P(Cub, Discontinuity) {
  auto in = Random(8).integers(total, 0, 1);
  Buffer<int> heads(total);
  kernel("cubDiscontinuity", 1, threads)(Buffer(in), heads);
  std::vector<int> expected;
  for (int i = 0; i < total; ++i)
    expected.push_back(i == 0 || in[i] != in[i - 1]);
  expectSame(heads.read(), expected);
}

TEST_P(Cub, Exchange) {
  auto in = Random(9).integers(total, -100, 100);
  Buffer<int> out(total);
  kernel("cubExchange", 1, threads)(Buffer(in), out);
  for (int i = 0; i < total; ++i)
    in[i] += i % items ? in[i - 1] : 0;
  expectSame(out.read(), in);
}

TEST_P(Cub, Warp) {
  auto in = Random(10).integers(threads, -100, 100),
       heads = Random(11).integers(threads, 0, 1);
  Buffer<int> sums(threads / 32), scans(threads), segments(threads);
  kernel("cubWarp", 1, threads)(Buffer(in), Buffer(heads), sums, scans,
                                segments);
  std::vector<int> sum(threads / 32), scan(threads), segment(threads);
  int head = 0;
  for (int i = 0; i < threads; ++i) {
    sum[i / 32] += in[i];
    scan[i] = i % 8 ? scan[i - 1] + in[i - 1] : 0;
    head = heads[i] || i % 32 == 0 ? i : head;
    segment[head] += in[i];
  }
  expectSame(sums.read(), sum);
  expectSame(scans.read(), scan);
  expectSame(segments.read(), segment);
}
