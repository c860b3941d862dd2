//===- SharedTest.cpp - Blocks that work together in shared memory --------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Corpus/Harness.h"

#include <algorithm>

using namespace corpus;

CORPUS_FILE(Shared);

TEST_P(Shared, Transpose) {
  int width = 70, height = 45;
  auto in = Random(1).reals(width * height, -1, 1);
  Buffer<float> out(width * height);
  kernel("transpose", {3, 2}, {32, 8})(Buffer(in), out, width, height);
  std::vector<float> expected(in.size());
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      expected[x * height + y] = in[y * width + x];
  expectSame(out.read(), expected);
}

TEST_P(Shared, Stencil) {
  int n = 500;
  auto in = Random(2).integers(n, -100, 100);
  Buffer<int> out(n);
  forElements("stencil", n)(Buffer(in), out, n);
  std::vector<int> expected(n);
  for (int i = 0; i < n; ++i)
    for (int k = 0; k < 7; ++k)
      if (int j = i + k - 3; j >= 0 && j < n)
        expected[i] += (k + 1) * in[j];
  expectSame(out.read(), expected);
}

/// C = A B with the sum in the order of the kernel, each step one fused
/// multiply-add.
template <typename T>
static std::vector<T> multiply(const std::vector<T> &a, const std::vector<T> &b,
                               int m, int n, int k) {
  std::vector<T> c(size_t(m) * n);
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j)
      for (int l = 0; l < k; ++l)
        if constexpr (std::is_floating_point_v<T>)
          c[i * n + j] = std::fma(a[i * k + l], b[l * n + j], c[i * n + j]);
        else
          c[i * n + j] += a[i * k + l] * b[l * n + j];
  return c;
}

TEST_P(Shared, MatmulFloat) {
  int m = 32, n = 48, k = 64;
  Random random(3);
  auto a = random.reals(m * k, -1, 1), b = random.reals(k * n, -1, 1);
  Buffer<float> c(m * n);
  kernel("matmulFloat", {3, 2}, {16, 16})(Buffer(a), Buffer(b), c, n, k);
  expectSame(c.read(), multiply(a, b, m, n, k));
}

TEST_P(Shared, MatmulDouble) {
  int m = 32, n = 32, k = 48;
  Random random(4);
  auto a = random.reals<double>(m * k, -1, 1),
       b = random.reals<double>(k * n, -1, 1);
  Buffer<double> c(m * n);
  kernel("matmulDouble", {2, 2}, {16, 16})(Buffer(a), Buffer(b), c, n, k);
  expectSame(c.read(), multiply(a, b, m, n, k));
}

TEST_P(Shared, MatmulInt) {
  int m = 16, n = 32, k = 32;
  Random random(5);
  auto a = random.integers(m * k, -99, 99), b = random.integers(k * n, -99, 99);
  Buffer<int> c(m * n);
  kernel("matmulInt", {2, 1}, {16, 16})(Buffer(a), Buffer(b), c, n, k);
  expectSame(c.read(), multiply(a, b, m, n, k));
}

TEST_P(Shared, BitonicBlock) {
  auto keys = Random(6).patterns<unsigned>(2 * 512);
  Buffer<unsigned> buffer(keys);
  kernel("bitonicBlock", 2, 256)(buffer);
  std::sort(keys.begin(), keys.begin() + 512);
  std::sort(keys.begin() + 512, keys.end());
  expectSame(buffer.read(), keys);
}

TEST_P(Shared, CountingBarriers) {
  int n = 256, threads = 128;
  auto in = Random(7).integers(n, 0, 99);
  std::fill(in.begin(), in.begin() + threads, 40);
  in[5] = 99;
  Buffer<int> out(3 * n);
  kernel("countingBarriers", 2, threads)(Buffer(in), out);
  std::vector<int> expected;
  for (int i = 0; i < n; ++i) {
    auto from = in.begin() + i / threads * threads, to = from + threads;
    expected.push_back(
        int(std::count_if(from, to, [](int v) { return v > 50; })));
    expected.push_back(std::all_of(from, to, [](int v) { return v > 2; }));
    expected.push_back(std::any_of(from, to, [](int v) { return v > 97; }));
  }
  expectSame(out.read(), expected);
}

TEST_P(Shared, NamedBarriers) {
  int rounds = 7;
  auto in = Random(8).integers(rounds * 64, -50, 50);
  Buffer<int> out(64);
  kernel("namedBarriers", 1, 128)(Buffer(in), out, rounds);
  std::vector<int> expected(64);
  for (int lane = 0; lane < 64; ++lane)
    for (int r = 0; r < rounds; ++r)
      expected[lane] = expected[lane] * 3 + 2 * in[r * 64 + 63 - lane];
  expectSame(out.read(), expected);
}

TEST_P(Shared, ReverseLarge) {
  int n = 96 * 1024 / 4;
  auto in = Random(9).patterns<int>(n);
  Buffer<int> out(n);
  CUfunction function = find("reverseLarge");
  EXPECT_EQ(cuLaunchKernel(function, 1, 1, 1, 256, 1, 1, n * 4, nullptr,
                           std::vector<void *>(3, &n).data(), nullptr),
            CUDA_ERROR_INVALID_VALUE);
  REQUIRE(cuFuncSetAttribute(
      function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, n * 4));
  Kernel(function, 1, 256, n * 4)(Buffer(in), out, n);
  std::reverse(in.begin(), in.end());
  expectSame(out.read(), in);
}
