//===- AsyncTest.cpp - Asynchronous copies and their barriers -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Corpus/Harness.h"

using namespace corpus;

CORPUS_FILE(Async);

TEST_P(Async, CopyAsync) {
  int n = 128 * 44;
  auto in = Random(1).patterns<uint8_t>(n);
  Buffer<uint8_t> out(n);
  kernel("copyAsync", 1, 128)(Buffer(in), out);
  for (int t = 0; t < 128; ++t)
    for (int k = t % 17; k < 16; ++k)
      in[3584 + 16 * t + k] = 0;
  expectSame(out.read(), in);
}

TEST_P(Async, PipelinedSum) {
  int tiles = 9;
  auto in = Random(2).patterns<int>(tiles * 256);
  Buffer<int> out(64);
  kernel("pipelinedSum", 1, 64)(Buffer(in), out, tiles);
  std::vector<int> expected(64);
  for (int t = 0; t < 64; ++t) {
    unsigned sum = 0;
    for (int tile = 0; tile < tiles; ++tile) {
      const int *v = &in[tile * 256 + (63 - t) * 4];
      sum = sum * 31 + unsigned(v[0] ^ v[1]) + unsigned(v[2] ^ v[3]);
    }
    expected[t] = int(sum);
  }
  expectSame(out.read(), expected);
}

TEST_P(Async, GroupCopy) {
  int n = 1024;
  auto in = Random(3).integers(n, -1000, 1000);
  Buffer<int> out(n);
  kernel("groupCopy", 1, 256, 1024)(Buffer(in), out, n);
  std::vector<int> expected(n);
  for (int i = 0; i < n; ++i)
    expected[i] = in[i / 256 * 256 + 255 - i % 256] + 1;
  expectSame(out.read(), expected);
}

TEST_P(Async, LibraryPipeline) {
  int tiles = 6;
  auto in = Random(4).integers(tiles * 128, -100, 100);
  Buffer<int> out(128);
  kernel("libraryPipeline", 1, 128)(Buffer(in), out, tiles);
  std::vector<int> expected(128);
  for (int t = 0; t < 128; ++t)
    for (int tile = 0; tile < tiles; ++tile)
      expected[t] = expected[t] * 7 + in[tile * 128 + 127 - t];
  expectSame(out.read(), expected);
}

TEST_P(Async, SplitBarrier) {
  int rounds = 5;
  auto value = Random(5).integers(128, -10, 10);
  Buffer<int> out(128);
  kernel("splitBarrier", 1, 128)(Buffer(value), out, rounds);
  for (int r = 0; r < rounds; ++r) {
    std::vector<int> old = value;
    for (int t = 0; t < 128; ++t)
      value[t] = old[t] * 3 + r + old[(t + 37) % 128];
  }
  expectSame(out.read(), value);
}
