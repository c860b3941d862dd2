//===- MatrixTest.cpp - Products of matrices on tensor cores --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The numbers are multiples of a power of two and so few that every sum is
// exact in any order: results must be the same bit for bit.
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Corpus/Harness.h"
#include "test/PTX/Corpus/Narrow.h"

using namespace corpus;

CORPUS_FILE(Matrix);

/// Multiples of `unit` up to `most` units.
static std::vector<double> grid(size_t n, int most, double unit,
                                uint64_t seed) {
  Random random(seed);
  std::vector<double> values(n);
  for (double &value : values)
    value = double(random.integer(-most, most)) * unit;
  return values;
}

template <typename T>
static std::vector<T> cast(const std::vector<double> &values) {
  return std::vector<T>(values.begin(), values.end());
}

/// C = A B; A is m x k, B is k x n, or n x k where it is given by columns.
template <typename T>
static std::vector<T> multiply(const std::vector<double> &a,
                               const std::vector<double> &b, int m, int n,
                               int k, bool byColumns) {
  std::vector<T> c;
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (int l = 0; l < k; ++l)
        sum += a[i * k + l] * (byColumns ? b[j * k + l] : b[l * n + j]);
      c.push_back(T(sum));
    }
  return c;
}

TEST_P(Matrix, WmmaHalf) {
  int m = 32, n = 48, k = 64;
  auto a = grid(m * k, 16, 0.125, 1), b = grid(n * k, 16, 0.125, 2);
  Buffer<float> c(m * n);
  kernel("wmmaHalf", {3, 2}, 32)(Buffer(encodeAll(half, a)),
                                 Buffer(encodeAll(half, b)), c, n, k);
  expectSame(c.read(), multiply<float>(a, b, m, n, k, true));
}

TEST_P(Matrix, WmmaHalfWide) {
  int m = 16, n = 64, k = 48;
  auto a = grid(m * k, 3, 1, 3), b = grid(n * k, 3, 1, 4);
  Buffer<uint16_t> c(m * n);
  kernel("wmmaHalfWide", {2, 2}, 32)(Buffer(encodeAll(half, a)),
                                     Buffer(encodeAll(half, b)), c, n, k);
  expectSame(decodeAll(half, c.read()), multiply<double>(a, b, m, n, k, true));
}

TEST_P(Matrix, WmmaBfloat) {
  int m = 64, n = 16, k = 32;
  auto a = grid(m * k, 16, 0.125, 5), b = grid(n * k, 16, 0.125, 6);
  Buffer<float> c(m * n);
  kernel("wmmaBfloat", {2, 2}, 32)(Buffer(encodeAll(bfloat, a)),
                                   Buffer(encodeAll(bfloat, b)), c, n, k);
  expectSame(c.read(), multiply<float>(a, b, m, n, k, true));
}

TEST_P(Matrix, WmmaInt8) {
  int m = 32, n = 32, k = 48;
  auto a = grid(m * k, 127, 1, 7), b = grid(n * k, 127, 1, 8);
  Buffer<int> c(m * n);
  kernel("wmmaInt8", {2, 2}, 32)(Buffer(cast<int8_t>(a)),
                                 Buffer(cast<int8_t>(b)), c, n, k);
  expectSame(c.read(), multiply<int>(a, b, m, n, k, true));
}

TEST_P(Matrix, WmmaTf32) {
  int m = 16, n = 32, k = 40;
  auto a = grid(m * k, 32, 0.125, 9), b = grid(n * k, 32, 0.125, 10);
  Buffer<float> c(m * n);
  kernel("wmmaTf32", {2, 1}, 32)(Buffer(cast<float>(a)), Buffer(cast<float>(b)),
                                 c, n, k);
  expectSame(c.read(), multiply<float>(a, b, m, n, k, true));
}

TEST_P(Matrix, WmmaDouble) {
  int m = 16, n = 24, k = 20;
  auto a = grid(m * k, 1000, 0.125, 11), b = grid(n * k, 1000, 0.125, 12);
  Buffer<double> c(m * n);
  kernel("wmmaDouble", {3, 2}, 32)(Buffer(a), Buffer(b), c, n, k);
  expectSame(c.read(), multiply<double>(a, b, m, n, k, true));
}

TEST_P(Matrix, GemmBfloat) {
  int m = 128, n = 128, k = 160;
  auto a = grid(m * k, 16, 0.125, 13), b = grid(k * n, 16, 0.125, 14);
  Buffer<float> c(m * n);
  kernel("gemmBfloat", {2, 2}, 128)(Buffer(encodeAll(bfloat, a)),
                                    Buffer(encodeAll(bfloat, b)), c, n, k);
  expectSame(c.read(), multiply<float>(a, b, m, n, k, false));
}

/// The sums of m16n8 as registers: register r of lane l at [r * 32 + l] is row
/// l / 4 + 8 (r / 2), column 2 (l mod 4) + r mod 2 (PTX ISA 9.7.14).
template <typename T>
static std::vector<T> toAccumulators(const std::vector<T> &c) {
  std::vector<T> out;
  for (int r = 0; r < 4; ++r)
    for (int l = 0; l < 32; ++l)
      out.push_back(c[(l / 4 + r / 2 * 8) * 8 + l % 4 * 2 + r % 2]);
  return out;
}

TEST_P(Matrix, MmaInt8) {
  auto a = grid(16 * 32, 127, 1, 15), b = grid(32 * 8, 127, 1, 16);
  std::vector<unsigned> fragmentA, fragmentB;
  for (int r = 0; r < 4; ++r)
    for (int l = 0; l < 32; ++l) {
      unsigned word = 0;
      for (int e = 0; e < 4; ++e)
        word |= unsigned(uint8_t(int8_t(
                    a[(l / 4 + r % 2 * 8) * 32 + r / 2 * 16 + l % 4 * 4 + e])))
                << 8 * e;
      fragmentA.push_back(word);
    }
  for (int r = 0; r < 2; ++r)
    for (int l = 0; l < 32; ++l) {
      unsigned word = 0;
      for (int e = 0; e < 4; ++e)
        word |=
            unsigned(uint8_t(int8_t(b[(r * 16 + l % 4 * 4 + e) * 8 + l / 4])))
            << 8 * e;
      fragmentB.push_back(word);
    }
  std::vector<int> start = Random(17).integers(128, -1000, 1000);
  Buffer<int> c(start);
  kernel("mmaInt8", 1, 32)(Buffer(fragmentA), Buffer(fragmentB), c);
  auto expected = toAccumulators(multiply<int>(a, b, 16, 8, 32, false));
  for (size_t i = 0; i < start.size(); ++i)
    expected[i] += start[i];
  expectSame(c.read(), expected);
}

TEST_P(Matrix, MmaTf32) {
  auto a = grid(16 * 8, 100, 0.125, 18), b = grid(8 * 8, 100, 0.125, 19);
  std::vector<float> fragmentA, fragmentB;
  for (int r = 0; r < 4; ++r)
    for (int l = 0; l < 32; ++l)
      fragmentA.push_back(
          float(a[(l / 4 + r % 2 * 8) * 8 + l % 4 + r / 2 * 4]));
  for (int r = 0; r < 2; ++r)
    for (int l = 0; l < 32; ++l)
      fragmentB.push_back(float(b[(l % 4 + 4 * r) * 8 + l / 4]));
  Buffer<float> c(128, 0.0f);
  kernel("mmaTf32", 1, 32)(Buffer(fragmentA), Buffer(fragmentB), c);
  expectSame(c.read(), toAccumulators(multiply<float>(a, b, 16, 8, 8, false)));
}

TEST_P(Matrix, Attention) {
  int queries = 128, keys = 192, head = 64;
  auto q = grid(queries * head, 8, 0.125, 20),
       k = grid(keys * head, 8, 0.125, 21), v = grid(keys * head, 8, 0.125, 22);
  Buffer<float> out(queries * head);
  float scale = 0.125f * 1.44269504f; // Of head 64, for exponents of two.
  kernel("attention", 2, 128)(Buffer(encodeAll(bfloat, q)),
                              Buffer(encodeAll(bfloat, k)),
                              Buffer(encodeAll(bfloat, v)), out, keys, scale);
  std::vector<double> expected;
  for (int i = 0; i < queries; ++i) {
    std::vector<double> scores(keys), sums(head);
    double most = -HUGE_VAL, total = 0;
    for (int j = 0; j < keys; ++j) {
      for (int d = 0; d < head; ++d)
        scores[j] += q[i * head + d] * k[j * head + d];
      most = std::max(most, scores[j]);
    }
    for (int j = 0; j < keys; ++j) {
      double p = std::exp2((scores[j] - most) * double(scale));
      total += p;
      for (int d = 0; d < head; ++d)
        sums[d] += p * v[j * head + d];
    }
    for (double sum : sums)
      expected.push_back(sum / total);
  }
  // Scores are exact; probabilities are rounded to 8 bits for the product with
  // values, which are at most 1; the rest is a few float roundings.
  expectWithin(out.read(), expected,
               [](size_t) { return 0x1p-9 + 128 * 0x1p-24; });
}
