//===- MatrixMath.cpp - Products of small tiles ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/MatrixMath.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace clade::ptx {

/// A row of c for `width` columns, held in registers over all of k.
template <unsigned width, typename T>
static void multiplyStrip(const T *a, const T *b, T *c, MatrixShape shape) {
  for (unsigned row = 0; row < shape.m; ++row) {
    T sums[width];
    std::copy_n(c + row * shape.n, width, sums);
    for (unsigned k = 0; k < shape.k; ++k) {
      T left = a[row * shape.k + k];
      const T *right = b + k * shape.n;
      for (unsigned i = 0; i < width; ++i)
        sums[i] += left * right[i];
    }
    std::copy_n(sums, width, c + row * shape.n);
  }
}

void multiplyTile(const float *a, const float *b, float *c, MatrixShape shape) {
  unsigned column = 0;
  for (; column + 8 <= shape.n; column += 8)
    multiplyStrip<8>(a, b + column, c + column, shape);
  for (; column < shape.n; column += 4)
    multiplyStrip<4>(a, b + column, c + column, shape);
}

void multiplyTile(const double *a, const double *b, double *c,
                  MatrixShape shape) {
  for (unsigned row = 0; row < shape.m; ++row)
    for (unsigned column = 0; column < shape.n; ++column) {
      double &sum = c[row * shape.n + column];
      for (unsigned k = 0; k < shape.k; ++k)
        sum = std::fma(a[row * shape.k + k], b[k * shape.n + column], sum);
    }
}

/// The sum in 64 bits is exact: |a * b| < 2^16 and k <= 256.
static void multiplyExactly(const int32_t *a, const int32_t *b, int32_t *c,
                            MatrixShape shape) {
  for (unsigned row = 0; row < shape.m; ++row)
    for (unsigned column = 0; column < shape.n; ++column) {
      int64_t sum = c[row * shape.n + column];
      for (unsigned k = 0; k < shape.k; ++k)
        sum += int64_t(a[row * shape.k + k]) * b[k * shape.n + column];
      c[row * shape.n + column] =
          int32_t(std::clamp<int64_t>(sum, std::numeric_limits<int32_t>::min(),
                                      std::numeric_limits<int32_t>::max()));
    }
}

void multiplyTile(const int32_t *a, const int32_t *b, int32_t *c,
                  MatrixShape shape, bool saturates) {
  if (saturates)
    return multiplyExactly(a, b, c, shape);
  // Unsigned arithmetic wraps.
  const auto *left = reinterpret_cast<const uint32_t *>(a);
  const auto *right = reinterpret_cast<const uint32_t *>(b);
  auto *sums = reinterpret_cast<uint32_t *>(c);
  unsigned column = 0;
  for (; column + 8 <= shape.n; column += 8)
    multiplyStrip<8>(left, right + column, sums + column, shape);
  for (; column < shape.n; column += 4)
    multiplyStrip<4>(left, right + column, sums + column, shape);
}

void multiplyBits(const uint32_t *a, const uint32_t *b, int32_t *c,
                  MatrixShape shape, bool isXor) {
  unsigned words = shape.k / 32;
  for (unsigned row = 0; row < shape.m; ++row)
    for (unsigned column = 0; column < shape.n; ++column) {
      uint32_t sum = c[row * shape.n + column];
      for (unsigned word = 0; word < words; ++word) {
        uint32_t left = a[row * words + word], right = b[column * words + word];
        sum += std::popcount(isXor ? left ^ right : left & right);
      }
      c[row * shape.n + column] = int32_t(sum);
    }
}

} // namespace clade::ptx
