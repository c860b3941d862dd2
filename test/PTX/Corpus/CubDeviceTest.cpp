//===- CubDeviceTest.cpp - A program that uses the CUB library for devices ===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Corpus/CubDevice.h"
#include "test/PTX/Corpus/Harness.h"

#include <algorithm>
#include <numeric>

using namespace corpus;

namespace {
/// Its kernels are in the program itself.
class CubDevice : public Kernels {
protected:
  CubDevice() : Kernels(nullptr) {}
};
} // namespace
INSTANTIATE_TEST_SUITE_P(PTX, CubDevice, testing::Values("sm_80", "sm_90a"),
                         [](const auto &info) { return info.param; });

template <typename T> static T *pointer(const Buffer<T> &buffer) {
  return reinterpret_cast<T *>(buffer.address);
}

TEST_P(CubDevice, Sum) {
  int n = 20000;
  Buffer<int> in(Random(1).integers(n, -100, 100)), out(1);
  ASSERT_EQ(deviceSum(pointer(in), pointer(out), n), 0);
  auto values = in.read();
  EXPECT_EQ(out.read()[0], std::accumulate(values.begin(), values.end(), 0));
}

TEST_P(CubDevice, ArgMin) {
  int n = 5000;
  Buffer<float> in(Random(2).integers<float>(n, 0, 1000)), least(1);
  Buffer<long long> place(1);
  ASSERT_EQ(deviceArgMin(pointer(in), pointer(least), pointer(place), n), 0);
  auto values = in.read();
  auto expected = std::min_element(values.begin(), values.end());
  EXPECT_EQ(least.read()[0], *expected);
  EXPECT_EQ(place.read()[0], expected - values.begin());
}

TEST_P(CubDevice, Scan) {
  int n = 20000;
  Buffer<int> in(Random(3).integers(n, -100, 100)), out(n);
  ASSERT_EQ(deviceScan(pointer(in), pointer(out), n), 0);
  auto values = in.read();
  std::vector<int> expected(n);
  std::exclusive_scan(values.begin(), values.end(), expected.begin(), 0);
  expectSame(out.read(), expected);
}

TEST_P(CubDevice, Sort) {
  int n = 20000;
  auto keys = Random(4).patterns<unsigned>(n);
  Buffer<unsigned> in(keys), out(n);
  ASSERT_EQ(deviceSort(pointer(in), pointer(out), n), 0);
  std::sort(keys.begin(), keys.end());
  expectSame(out.read(), keys);
}

TEST_P(CubDevice, SortPairs) {
  int n = 3000;
  auto keys = Random(5).integers<float>(n, -100, 100);
  std::vector<int> places(n);
  std::iota(places.begin(), places.end(), 0);
  Buffer<float> in(keys), out(n);
  Buffer<int> values(places), valuesOut(n);
  ASSERT_EQ(deviceSortPairs(pointer(in), pointer(out), pointer(values),
                            pointer(valuesOut), n),
            0);
  std::stable_sort(places.begin(), places.end(),
                   [&](int a, int b) { return keys[a] > keys[b]; });
  expectSame(valuesOut.read(), places);
  std::stable_sort(keys.begin(), keys.end(), std::greater<float>());
  expectSame(out.read(), keys);
}

TEST_P(CubDevice, Select) {
  int n = 10000;
  auto in = Random(6).integers(n, 0, 1000);
  Buffer<int> out(n, 0), count(1);
  ASSERT_EQ(deviceSelect(pointer(Buffer(in)), pointer(out), pointer(count), n),
            0);
  std::vector<int> expected;
  std::copy_if(in.begin(), in.end(), std::back_inserter(expected),
               [](int value) { return value % 2 == 1; });
  auto got = out.read();
  ASSERT_EQ(size_t(count.read()[0]), expected.size());
  got.resize(expected.size());
  expectSame(got, expected);
}

TEST_P(CubDevice, Unique) {
  int n = 10000;
  auto in = Random(7).integers(n, 0, 3);
  Buffer<int> out(n, 0), count(1);
  ASSERT_EQ(deviceUnique(pointer(Buffer(in)), pointer(out), pointer(count), n),
            0);
  in.erase(std::unique(in.begin(), in.end()), in.end());
  auto got = out.read();
  ASSERT_EQ(size_t(count.read()[0]), in.size());
  got.resize(in.size());
  expectSame(got, in);
}

TEST_P(CubDevice, Histogram) {
  int n = 10000, bins = 32;
  auto in = Random(8).integers<uint8_t>(n, 0, 255);
  Buffer<int> out(bins, 0);
  ASSERT_EQ(deviceHistogram(pointer(Buffer(in)), pointer(out), bins + 1, n), 0);
  std::vector<int> expected(bins);
  for (uint8_t value : in)
    ++expected[value / 8];
  expectSame(out.read(), expected);
}

TEST_P(CubDevice, Runs) {
  int n = 10000;
  auto in = Random(9).integers(n, 0, 2);
  Buffer<int> values(n, 0), lengths(n, 0), count(1);
  ASSERT_EQ(deviceRuns(pointer(Buffer(in)), pointer(values), pointer(lengths),
                       pointer(count), n),
            0);
  std::vector<int> expected, expectedLengths;
  for (int i = 0; i < n; ++i) {
    if (i == 0 || in[i] != in[i - 1]) {
      expected.push_back(in[i]);
      expectedLengths.push_back(0);
    }
    ++expectedLengths.back();
  }
  auto got = values.read(), gotLengths = lengths.read();
  ASSERT_EQ(size_t(count.read()[0]), expected.size());
  got.resize(expected.size());
  gotLengths.resize(expected.size());
  expectSame(got, expected);
  expectSame(gotLengths, expectedLengths);
}
