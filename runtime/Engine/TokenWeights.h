//===- TokenWeights.h - Weights of tokens to draw from ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What TokenDraw.h defines, on the host, over parts of rows.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_ENGINE_TOKENWEIGHTS_H
#define CLADE_RUNTIME_ENGINE_TOKENWEIGHTS_H

#include "runtime/Device/TokenDraw.h"

#include <optional>

namespace clade::rt {

/// Of the rows of one vocabulary, in a draw's scale.
class TokenWeights {
public:
  /// Logits that most functions take at once.
  static constexpr size_t sliceSize = 1024;

  TokenWeights(int64_t vocab, double scale)
      : bits(weightBits(vocab)), least(leastExponent(vocab)), scale(scale) {}

  /// The weight of one logit in a row whose largest is `top`.
  uint64_t weight(float logit, float top) const;
  /// The weights of at most sliceSize logits.
  void weights(std::span<const float> logits, float top,
               uint64_t *weights) const;
  /// Their sum.
  uint64_t sum(std::span<const float> logits, float top) const;

  /// Of a whole row, how many logits are in each bucket, and, `withWeights`,
  /// what they weigh.
  struct Histogram {
    std::array<uint32_t, numBuckets> counts = {};
    std::array<uint64_t, numBuckets> weights = {};
  };
  void count(std::span<const float> row, float top, bool withWeights,
             Histogram &histogram) const;

  /// Logits whose exponent is above it are in the first buckets up to `bucket`;
  /// without one, in any.
  double edgeBehind(std::optional<int32_t> bucket) const;

  /// Calls `body` with the number of each logit of `row` whose exponent is
  /// above `edge` and that is not below `limit`, rising.
  template <typename Body>
  void forEachAbove(std::span<const float> row, float top, double edge,
                    float limit, Body body) const {
    for (size_t begin = 0; begin < row.size(); begin += sliceSize) {
      std::span<const float> slice =
          row.subspan(begin, std::min(sliceSize, row.size() - begin));
      std::array<double, sliceSize> exponents;
      exponentsOf(slice, top, exponents.data());
      for (size_t i = 0; i < slice.size(); ++i)
        if (exponents[i] > edge && slice[i] >= limit)
          body(begin + i);
    }
  }

private:
  void exponentsOf(std::span<const float> logits, float top,
                   double *exponents) const;
  void weightsOf(const double *exponents, size_t count,
                 uint64_t *weights) const;

  int bits;
  double least, scale;
};

/// `random` / 2^53 of `total`, rounded down.
uint64_t pointOf(uint64_t random, uint64_t total);
/// `share` of `total`, rounded down.
uint64_t shareOf(double share, uint64_t total);
/// The least logit that is not more than -`shift` below `top`, in f32.
float limitBelow(float top, double shift);

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_TOKENWEIGHTS_H
