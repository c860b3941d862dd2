//===- TokenDraw.h - What kernels and the host know of a draw ---*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A draw gives the same token wherever its parts are computed: weights of
// tokens are whole numbers, so their sums do not depend on any order, and a
// weight is made by additions and multiplications of f64 alone, each rounded.
// TokenWeights.cpp is the host's form, lib/CodeGen/CUDA/DrawToken.cpp that of
// kernels. docs/artifact-format.md describes what they exchange.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_DEVICE_TOKENDRAW_H
#define CLADE_RUNTIME_DEVICE_TOKENDRAW_H

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <span>

namespace clade::rt {

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

// The exponent of a logit is e = (logit - top) · scale in f64, where `top` is
// the row's largest logit, or `leastExponent` if it is not above that; its
// weight is 2^e in units of 2^-weightBits, rounded to a whole number, 0 for the
// least. 2^e is 2^n · 2^f, where n is the whole number next to e, and 2^f the
// polynomial of `powerCoefficients`, by Horner.

/// So that the weights of a row stay below 2^63, and one below 2^52.
constexpr int weightBits(int64_t vocab) {
  return std::min(
      51, 63 - static_cast<int>(std::bit_width(static_cast<uint64_t>(vocab))));
}

/// What is not above it has no weight.
constexpr double leastExponent(int64_t vocab) { return -weightBits(vocab) - 2; }

/// Of 2^f for |f| <= 1/2: what the series leaves out is below 2^-31 of it,
/// where a logit of 16 is known to 2^-20.
inline constexpr std::array<double, 9> powerCoefficients = [] {
  std::array<double, 9> values = {1};
  for (size_t i = 1; i < values.size(); ++i)
    values[i] = values[i - 1] * 0.693147180559945309 / static_cast<double>(i);
  return values;
}();

/// x + roundingShift - roundingShift is the whole number next to x, of two the
/// even one, for |x| < 2^51; the lowest bits of the first sum are those of it.
inline constexpr double roundingShift = 0x1.8p52;

/// Exponents above `leastExponent` are counted in buckets of 1/16, from 0 on.
inline constexpr int32_t bucketsPerOctave = 16, numBuckets = 1024;
static_assert((weightBits(1) + 2) * bucketsPerOctave < numBuckets);

//===----------------------------------------------------------------------===//
// What is asked of a row, and what it gives
//===----------------------------------------------------------------------===//

/// How a token is chosen from a row of logits.
enum class DrawKind : int32_t {
  Row,       ///< On the host, which needs the row.
  Largest,   ///< The largest logit, of equal ones that of the lowest token.
  Any,       ///< All tokens may be drawn.
  Candidates ///< Those that filters leave; the host draws.
};

/// What is asked of a row. Kernels read it.
struct TokenDraw {
  DrawKind kind = DrawKind::Row;
  int32_t topK = 0; ///< 0: off.
  double scale = 1; ///< log2(e) / temperature
  /// Candidates are not further below the largest logit: as an f64 below 0,
  /// -inf for no limit. The sum of both is rounded to f32.
  double minShift = 0;
  double topP = 1;     ///< 1: off.
  uint64_t random = 0; ///< Any draws the point random / 2^53 of all weights.
};
static_assert(sizeof(TokenDraw) == 40);

/// What a row gave. Kernels write it.
struct DrawnToken {
  float top = 0; ///< The largest logit; minus infinity if there is none.
  /// Of Largest and Any the token, -1 if no logit is above minus infinity. Of
  /// Candidates that of the largest logit.
  int32_t token = -1;
  uint64_t total = 0;     ///< Of Candidates with top-p: all weights of the row.
  int32_t candidates = 0; ///< How many there are, also above maxCandidates.
  int32_t padding = 0;
};
static_assert(sizeof(DrawnToken) == 24);

/// A token that may be drawn.
struct TokenCandidate {
  int32_t token;
  float logit;
};

/// Rows with more candidates are copied to the host.
inline constexpr int32_t maxCandidates = 1024;
inline constexpr int64_t candidatesBytes =
    maxCandidates * int64_t(sizeof(TokenCandidate));

/// What a step gives of a row for which more than the row was asked.
struct ChosenRow {
  /// The row's logits are there, as DrawKind::Row asks, or because there are
  /// too many candidates; `drawn` and `candidates` are not then.
  bool hasLogits = true;
  DrawnToken drawn = {};
  /// A superset of those that may be drawn, in any order.
  std::span<const TokenCandidate> candidates = {};
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_DEVICE_TOKENDRAW_H
