//===- AtomicsTest.cpp - Atomic operations --------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Corpus/Harness.h"
#include "test/PTX/Corpus/Narrow.h"

#include <algorithm>
#include <numeric>

using namespace corpus;

CORPUS_FILE(Atomics);

TEST_P(Atomics, AtomicsGlobal) {
  int n = 300;
  auto in = Random(1).patterns<int>(n);
  std::vector<int> start = {5, 6, 7, 8, -1, 0, 11, 0}, expected = start;
  Buffer<int> out(start);
  forElements("atomicsGlobal", n)(Buffer(in), out, n);
  for (int v : in) {
    expected[0] = int(unsigned(expected[0]) + unsigned(v));
    expected[1] = int(unsigned(expected[1]) - unsigned(v));
    expected[2] = std::min(expected[2], v);
    expected[3] = std::max(expected[3], v);
    expected[4] &= v | 0xff00;
    expected[5] |= v;
    expected[6] ^= v;
    expected[7] = int(std::max(unsigned(expected[7]), unsigned(v)));
  }
  expectSame(out.read(), expected);
}

TEST_P(Atomics, AtomicsWide) {
  int n = 300;
  auto in = Random(2).patterns<uint64_t>(n);
  std::vector<uint64_t> start = {1, ~uint64_t(0), uint64_t(1) << 63,
                                 3, ~uint64_t(0), 0},
                        expected = start;
  Buffer<uint64_t> out(start);
  forElements("atomicsWide", n)(Buffer(in), out, n);
  for (uint64_t v : in) {
    expected[0] += v;
    expected[1] = std::min(expected[1], v);
    expected[2] = uint64_t(std::max(int64_t(expected[2]), int64_t(v)));
    expected[3] ^= v;
    expected[4] &= v | 0xffff0000ffff;
    expected[5] |= v & 0xf0f0f0f0f0;
  }
  expectSame(out.read(), expected);
}

TEST_P(Atomics, Histogram) {
  int n = 5000;
  auto in = Random(3).integers<uint8_t>(n, 0, 255);
  Buffer<unsigned> bins(64, 0);
  kernel("histogram", 4, 160)(Buffer(in), bins, n);
  std::vector<unsigned> expected(64);
  for (uint8_t v : in)
    ++expected[v / 4];
  expectSame(bins.read(), expected);
}

TEST_P(Atomics, Tickets) {
  int n = 384;
  unsigned limit = 99;
  Buffer<unsigned> counter(std::vector<unsigned>{0, 0, 5});
  Buffer<int> slots(n);
  kernel("tickets", 3, 128)(counter, slots, limit);
  auto got = slots.read();
  std::sort(got.begin(), got.end());
  std::vector<int> all(n);
  std::iota(all.begin(), all.end(), 0);
  expectSame(got, all);
  std::vector<unsigned> expected = {unsigned(n), 0, 5};
  for (int i = 0; i < n; ++i) {
    expected[1] = expected[1] >= limit ? 0 : expected[1] + 1;
    expected[2] =
        expected[2] == 0 || expected[2] > limit ? limit : expected[2] - 1;
  }
  expectSame(counter.read(), expected);
}

TEST_P(Atomics, Exchange) {
  uint64_t n = 256;
  Buffer<uint64_t> slot(1, 0), sum(1, 0);
  kernel("exchange", 2, 128)(slot, sum);
  // Each value but the last was taken out once.
  EXPECT_EQ(sum.read()[0] + slot.read()[0], n * (n + 1) / 2);
}

TEST_P(Atomics, CasLoop) {
  int n = 200;
  auto in = Random(4).integers<unsigned>(n, 1, 65536);
  Buffer<unsigned> product(1, 1u);
  forElements("casLoop", n)(Buffer(in), product, n);
  uint64_t expected = 1;
  for (unsigned v : in)
    expected = expected * v % 65537;
  EXPECT_EQ(product.read()[0], expected);
}

TEST_P(Atomics, AtomicsFloat) {
  int n = 400;
  auto in = Random(5).integers(n, -1000, 1000);
  Buffer<float> single(1, 0.0f);
  Buffer<double> twice(1, 0.0);
  Buffer<uint16_t> pair(2, uint16_t(0));
  forElements("atomicsFloat", n)(Buffer(in), single, twice, pair, n);
  int sum = std::accumulate(in.begin(), in.end(), 0), rests = 0;
  for (int i = 0; i < 100; ++i)
    rests += in[i] % 8;
  EXPECT_EQ(single.read()[0], float(sum));
  EXPECT_EQ(twice.read()[0], sum * 0.5);
  EXPECT_EQ(half.decode(pair.read()[0]), 100);
  EXPECT_EQ(half.decode(pair.read()[1]), rests);
}

TEST_P(Atomics, MessagePassing) {
  int n = 64;
  Buffer<int> data(n), flag(1, 0), out(n);
  kernel("messagePassing", 2, n)(data, flag, out);
  std::vector<int> expected(n);
  for (int i = 0; i < n; ++i)
    expected[i] = 5 * i + 1;
  expectSame(out.read(), expected);
}

TEST_P(Atomics, SpinLock) {
  Buffer<int> lock(1, 0), value(1, 1);
  kernel("spinLock", 4, 96)(lock, value);
  int expected = 1;
  for (int i = 0; i < 4 * 3; ++i)
    expected = expected * 3 % 1009 + 1;
  EXPECT_EQ(value.read()[0], expected);
  EXPECT_EQ(lock.read()[0], 0);
}

TEST_P(Atomics, Scopes) {
  int n = 300;
  auto in = Random(6).integers(n, 0, 100);
  Buffer<int> out(2, 0);
  forElements("scopes", n)(Buffer(in), out, n);
  std::vector<int> sums((n + 127) / 128);
  for (int i = 0; i < n; ++i)
    sums[i / 128] += in[i];
  expectSame(out.read(), {std::accumulate(sums.begin(), sums.end(), 0),
                          *std::max_element(sums.begin(), sums.end())});
}
