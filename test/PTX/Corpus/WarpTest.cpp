//===- WarpTest.cpp - Shuffles, votes and barriers of a warp --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Corpus/Harness.h"

#include <algorithm>

using namespace corpus;

CORPUS_FILE(Warp);

TEST_P(Warp, Shuffles) {
  int n = 128;
  auto in = Random(1).patterns<int>(n);
  Buffer<int> out(8 * n);
  kernel("shuffles", 2, 64)(Buffer(in), out);
  std::vector<int> expected;
  for (int i = 0; i < n; ++i) {
    int lane = i % 32, warp = i - lane, part = i - i % 8, place = i % 8;
    auto inWarp = [&](int from) {
      return in[from >= 0 && from < 32 ? warp + from : i];
    };
    auto inPart = [&](int from) {
      return in[from >= 0 && from < 8 ? part + from : i];
    };
    expected.insert(
        expected.end(),
        {in[warp + i * 7 % 32], inWarp(lane - 3), inWarp(lane + 5),
         inWarp(lane ^ 21), in[part + (i + 2) % 8], inPart(place - 2),
         inPart(place + 6),
         // A partner in another segment of higher lanes is out of
         // reach; one of lower lanes is read.
         (lane ^ 12) / 8 > lane / 8 ? in[i] : in[warp + (lane ^ 12)]});
  }
  expectSame(out.read(), expected);
}

TEST_P(Warp, ShuffleDouble) {
  int n = 64;
  auto in = Random(2).reals<double>(n, -1, 1);
  Buffer<double> out(n);
  kernel("shuffleDouble", 1, 64)(Buffer(in), out);
  std::vector<double> expected(n);
  for (int i = 0; i < n; ++i)
    expected[i] = in[i ^ 17] + in[i % 32 ? i - 1 : i];
  expectSame(out.read(), expected);
}

TEST_P(Warp, Votes) {
  int n = 128;
  auto in = Random(3).integers(n, 0, 99);
  std::fill(in.begin(), in.begin() + 32, 50);
  Buffer<unsigned> out(4 * n);
  kernel("votes", 1, 128)(Buffer(in), out);
  std::vector<unsigned> expected;
  for (int i = 0; i < n; ++i) {
    unsigned all = 1, any = 0, odd = 0;
    for (int k = 0; k < 32; ++k) {
      int v = in[i / 32 * 32 + k];
      all &= v > 10, any |= v > 90, odd |= unsigned(v & 1) << k;
    }
    expected.insert(expected.end(), {all, any, odd, in[i] & 1 ? odd : 0});
  }
  expectSame(out.read(), expected);
}

TEST_P(Warp, Matches) {
  int n = 128;
  auto in = Random(4).integers(n, 0, 20);
  std::fill(in.begin() + 96, in.end(), 4);
  Buffer<unsigned> out(3 * n);
  kernel("matches", 4, 32)(Buffer(in), out);
  std::vector<unsigned> expected;
  for (int i = 0; i < n; ++i) {
    unsigned same = 0;
    bool allSame = true;
    for (int k = 0; k < 32; ++k) {
      int other = in[i / 32 * 32 + k];
      same |= unsigned(other % 5 == in[i] % 5) << k;
      allSame &= i < 64 || other == in[i];
    }
    expected.insert(expected.end(),
                    {same, allSame ? ~0u : 0, unsigned(allSame)});
  }
  expectSame(out.read(), expected);
}

TEST_P(Warp, BitonicWarp) {
  int n = 128;
  auto in = Random(5).patterns<int>(n);
  Buffer<int> data(in);
  kernel("bitonicWarp", 2, 64)(data);
  for (int w = 0; w < n; w += 32)
    std::sort(in.begin() + w, in.begin() + w + 32);
  expectSame(data.read(), in);
}

TEST_P(Warp, NestedBranches) {
  int n = 1000;
  auto in = Random(6).integers(n, 0, 10000);
  Buffer<int> out(n);
  forElements("nestedBranches", n)(Buffer(in), out, n);
  std::vector<int> expected(n);
  for (int i = 0; i < n; ++i) {
    int v = in[i];
    unsigned result = 0;
    for (int round = 0; round < v % 7; ++round) {
      if (v % 2 == 1) {
        if (round == 3)
          break;
        result += unsigned(v * round);
      } else if (v / 2 % 2 == 1) {
        result ^= unsigned(v + round);
        continue;
      } else {
        result -= round;
      }
      result = result * 3 + 1;
    }
    expected[i] = int(result);
  }
  expectSame(out.read(), expected);
}

TEST_P(Warp, PartialMask) {
  int n = 64;
  auto in = Random(7).integers(n, -1000, 1000);
  Buffer<int> out(n);
  kernel("partialMask", 1, 64)(Buffer(in), out);
  std::vector<int> expected(n, -1);
  for (int i = 0; i < n; i += 2) {
    expected[i] = 0;
    for (int k = i / 32 * 32; k < i / 32 * 32 + 32; k += 2)
      expected[i] += in[k];
  }
  expectSame(out.read(), expected);
}

TEST_P(Warp, WarpShared) {
  int n = 256;
  auto in = Random(8).integers(n, -1000, 1000);
  Buffer<int> out(n);
  kernel("warpShared", 1, 256)(Buffer(in), out);
  std::vector<int> expected(n);
  for (int i = 0; i < n; ++i)
    expected[i] = 2 * in[i / 32 * 32 + (31 - i % 32 + 1) % 32];
  expectSame(out.read(), expected);
}
