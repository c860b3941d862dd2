//===- ReductionTest.cpp - Sums, scans and rows ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Corpus/Harness.h"

#include <algorithm>
#include <numeric>

using namespace corpus;

CORPUS_FILE(Reduction);

TEST_P(Reduction, BlockSumTree) {
  int n = 5000, blocks = 3;
  auto in = Random(1).integers(n, -1000, 1000);
  Buffer<int> out(blocks);
  kernel("blockSumTree", blocks, 256)(Buffer(in), out, n);
  std::vector<int> expected(blocks);
  for (int i = 0; i < n; ++i)
    expected[i / 256 % blocks] += in[i];
  expectSame(out.read(), expected);
}

TEST_P(Reduction, BlockSumShuffle) {
  int n = 3000, blocks = 2, threads = 192;
  auto in = Random(2).reals(n, -1, 1);
  Buffer<float> out(blocks);
  kernel("blockSumShuffle", blocks, threads, threads / 32 * 4)(Buffer(in), out,
                                                               n);
  // Each thread adds its elements in order, then the tree of a warp.
  std::vector<double> expected(blocks), magnitude(blocks);
  for (int i = 0; i < n; ++i) {
    expected[i / threads % blocks] += in[i];
    magnitude[i / threads % blocks] += std::fabs(in[i]);
  }
  // At most 8 + 5 + 5 additions in a row.
  expectWithin(out.read(), expected,
               [&](size_t i) { return 18 * 0x1p-24 * magnitude[i]; });
}

TEST_P(Reduction, SoftmaxRows) {
  int rows = 5, width = 300;
  auto in = Random(3).reals(rows * width, -8, 8);
  Buffer<float> out(rows * width);
  kernel("softmaxRows", rows, 128)(Buffer(in), out, width);
  std::vector<double> expected(in.size());
  for (int r = 0; r < rows; ++r) {
    const float *row = &in[r * width];
    double most = *std::max_element(row, row + width), sum = 0;
    for (int i = 0; i < width; ++i)
      sum += std::exp(row[i] - most);
    for (int i = 0; i < width; ++i)
      expected[r * width + i] = std::exp(row[i] - most) / sum;
  }
  // expf: 2 units, its argument is rounded once (at most 16), the sum of 300
  // by partial sums of 3 + 5 + 4, one division.
  expectWithin(out.read(), expected, [&](size_t i) {
    return expected[i] * 0x1p-24 * (2 * 4 + 2 * 16 + 12 + 1);
  });
}

TEST_P(Reduction, LayerNormRows) {
  int rows = 7, width = 256;
  Random random(4);
  auto in = random.reals(rows * width, -3, 3),
       weight = random.reals(width, 0, 2), bias = random.reals(width, -1, 1);
  Buffer<float> out(rows * width);
  kernel("layerNormRows", 2, 128)(Buffer(in), Buffer(weight), Buffer(bias), out,
                                  rows, width, 1e-5f);
  std::vector<double> expected(in.size()), scale(in.size());
  for (int r = 0; r < rows; ++r) {
    const float *row = &in[r * width];
    double mean = std::accumulate(row, row + width, 0.0) / width, squares = 0;
    for (int i = 0; i < width; ++i)
      squares += (row[i] - mean) * (row[i] - mean);
    double inverse = 1 / std::sqrt(squares / width + double(1e-5f));
    for (int i = 0; i < width; ++i) {
      expected[r * width + i] = (row[i] - mean) * inverse * weight[i] + bias[i];
      scale[r * width + i] = 3 * inverse * weight[i] + std::fabs(bias[i]) + 1;
    }
  }
  // 8 + 5 additions twice, rsqrtf 2 units, five more roundings.
  expectWithin(out.read(), expected,
               [&](size_t i) { return 40 * 0x1p-24 * scale[i]; });
}

TEST_P(Reduction, ArgMax) {
  int n = 1000;
  auto in = Random(5).integers(n, -50, 50);
  Buffer<uint64_t> best(1, 0);
  forElements("argMax", n)(Buffer(in), best, n);
  size_t place = std::max_element(in.begin(), in.end()) - in.begin();
  uint64_t packed = best.read()[0];
  EXPECT_EQ(~unsigned(packed), place);
  EXPECT_EQ(int(unsigned(packed >> 32) ^ 0x80000000u), in[place]);
}

TEST_P(Reduction, SumLastBlock) {
  int n = 4000, blocks = 6;
  auto in = Random(6).integers(n, -100, 100);
  Buffer<int> partial(blocks), out(1);
  // Twice: the counter begins again by itself.
  for (int round = 0; round < 2; ++round) {
    kernel("sumLastBlock", blocks, 128)(Buffer(in), partial, out, n);
    EXPECT_EQ(out.read()[0], std::accumulate(in.begin(), in.end(), 0));
  }
}

TEST_P(Reduction, GroupReduce) {
  int n = 256;
  auto in = Random(7).integers(n, -100, 100);
  Buffer<int> sums(n / 16), largest(n / 16), scanned(n);
  kernel("groupReduce", 2, 128)(Buffer(in), sums, largest, scanned);
  std::vector<int> expectedSums(n / 16), expectedMost(n / 16, -1000),
      expectedScan(n);
  for (int i = 0; i < n; ++i) {
    expectedScan[i] = expectedSums[i / 16];
    expectedSums[i / 16] += in[i];
    expectedMost[i / 16] = std::max(expectedMost[i / 16], in[i]);
  }
  expectSame(sums.read(), expectedSums);
  expectSame(largest.read(), expectedMost);
  expectSame(scanned.read(), expectedScan);
}

TEST_P(Reduction, CoalescedCount) {
  int n = 500;
  auto in = Random(8).integers(n, 0, 99);
  Buffer<int> count(1, 0), order(n, -1);
  forElements("coalescedCount", n)(Buffer(in), count, order, n);
  std::vector<int> expected;
  for (int i = 0; i < n; ++i)
    if (in[i] % 3 == 0)
      expected.push_back(i);
  ASSERT_EQ(size_t(count.read()[0]), expected.size());
  std::vector<int> got = order.read();
  got.resize(expected.size());
  std::sort(got.begin(), got.end());
  expectSame(got, expected);
}

TEST_P(Reduction, GridSteps) {
  int n = 300, steps = 5;
  auto start = Random(9).integers(n, 0, 100);
  std::vector<int> data = start;
  data.resize(2 * n, 0);
  Buffer<int> buffer(data);
  Kernel steppers = kernel("gridSteps", 4, 64);
  steppers.isCooperative = true;
  steppers(buffer, n, steps);
  std::vector<int> from = start, to(n);
  for (int step = 0; step < steps; ++step) {
    for (int i = 0; i < n; ++i)
      to[i] = from[(i + n - 1) % n] * 3 + from[(i + 1) % n] + step;
    std::swap(from, to);
  }
  std::vector<int> got = buffer.read();
  expectSame(std::vector<int>(got.begin() + steps % 2 * n,
                              got.begin() + steps % 2 * n + n),
             from);
}

TEST_P(Reduction, ScanDoubling) {
  int n = 200, threads = 256;
  auto in = Random(10).integers(n, -9, 9);
  Buffer<int> out(n);
  kernel("scanDoubling", 1, threads, 2 * threads * 4)(Buffer(in), out, n);
  std::vector<int> expected(n);
  std::partial_sum(in.begin(), in.end(), expected.begin());
  expectSame(out.read(), expected);
}

TEST_P(Reduction, ReduceWarp) {
  int warps = 6;
  auto in = Random(11).patterns<int>(warps * 32);
  Buffer<int> out(warps * 6);
  kernel("reduceWarp", 3, 64)(Buffer(in), out);
  std::vector<int> expected;
  for (int w = 0; w < warps; ++w) {
    int least = INT32_MAX, most = INT32_MIN;
    unsigned sum = 0, all = ~0u, any = 0, odd = 0;
    for (int i = 0; i < 32; ++i) {
      int v = in[w * 32 + i];
      sum += v, all &= v, any |= v, odd ^= v;
      least = std::min(least, v), most = std::max(most, v);
    }
    expected.insert(expected.end(),
                    {int(sum), least, most, int(all), int(any), int(odd)});
  }
  expectSame(out.read(), expected);
}
