//===- Sampler.h - Choosing the next token ----------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From a row of logits to a token: penalties and filters in the order in which
// transformers' generate applies them (5.23, _get_logits_processor), then the
// largest value or a draw.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_ENGINE_SAMPLER_H
#define CLADE_RUNTIME_ENGINE_SAMPLER_H

#include "runtime/Engine/TokenWeights.h"
#include "runtime/Support/Status.h"

#include <vector>

namespace clade::rt {

/// How to choose. The steps are, in this order:
/// 1. repetition penalty: logits of tokens that the sequence has are divided by
///    it if positive, multiplied if negative;
/// 2. temperature: logits are divided by it; 0 ends here with the largest;
/// 3. top-k: logits below the k-th largest are dropped (ties with it stay);
/// 4. top-p: of the tokens by falling logit, those are kept before which the
/// sum
///    of probabilities is below p; at least one;
/// 5. min-p: logits below the largest plus the logarithm of min-p, after 2, are
///    dropped;
/// 6. a draw from what is left.
/// Of equal logits the lower id comes first, in 2 and in 4. Probabilities are
/// weights of TokenDraw.h over their sum: below about 2^-45 they are 0.
struct SamplingOptions {
  float temperature = 0;       ///< 0: greedy.
  int32_t topK = 0;            ///< 0: off.
  float topP = 1;              ///< 1: off.
  float minP = 0;              ///< 0: off.
  float repetitionPenalty = 1; ///< 1: off.
  /// The same seed gives the same tokens for the same logits.
  uint64_t seed = 0;

  /// InvalidArgument names the first value that is out of its range.
  Status validate() const;
  /// What is asked of a row of logits; `random` is still to be filled in.
  TokenDraw draw() const;
};

/// A token and the logarithm of its probability.
struct ScoredToken {
  int32_t token = 0;
  float logProbability = 0;
};

/// The choices of one sequence: its options, the tokens it has (for the
/// penalty), its place in the stream of random numbers. Not thread-safe.
class Sampler {
public:
  static StatusOr<Sampler> create(const SamplingOptions &options,
                                  int64_t vocab);

  /// Tells of a token that the sequence has, such as the prompt's.
  void observe(int32_t token);
  /// Chooses the token after a row of `vocab` logits. NaN counts as minus
  /// infinity; InvalidArgument if nothing is left. Does not observe() it.
  StatusOr<int32_t> sample(std::span<const float> logits);

  /// What to ask of the row that the next token is chosen from.
  TokenDraw nextDraw() const;
  /// sample() for a row without logits that gave this to nextDraw(): the same
  /// token. Corruption for what no row gives.
  StatusOr<int32_t> take(const ChosenRow &row);

private:
  struct Candidate {
    int32_t token;
    float logit;
    uint64_t weight;
  };

  Sampler(const SamplingOptions &options, int64_t vocab);
  void penalise();
  bool isToken(int32_t token) const;
  bool areOfRow(const ChosenRow &row) const;
  int32_t drawAny(std::span<const float> row, float top);
  uint64_t gather(std::span<const float> row, float top);
  int32_t drawCandidate(float top, uint64_t rowTotal);
  void keepTopK();
  void keepTopP(uint64_t total);
  uint64_t totalWeight() const;

  SamplingOptions options;
  size_t vocab;
  TokenDraw asked; ///< Without its `random`.
  TokenWeights weights;
  uint64_t draws = 0; ///< Random numbers taken so far.
  std::vector<int32_t> seen;
  std::vector<uint8_t> isSeen; ///< [vocab], only with a penalty.
  // Kept between calls, so that they allocate nothing.
  std::vector<float> logits;  ///< [vocab], only with a penalty.
  std::vector<uint64_t> sums; ///< Of slices of a row.
  std::vector<Candidate> candidates;
};

/// log softmax(logits)[token], of the logits as the model gave them.
float logProbability(std::span<const float> logits, int32_t token);

/// The `count` most probable tokens, falling; the lower id first if equal.
std::vector<ScoredToken> topLogProbabilities(std::span<const float> logits,
                                             int32_t count);

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_SAMPLER_H
