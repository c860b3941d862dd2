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

#include "runtime/Support/Status.h"

#include <cstdint>
#include <span>
#include <vector>

namespace clade::rt {

/// How to choose. The steps are, in this order:
/// 1. repetition penalty: logits of tokens that the sequence has are divided by
///    it if positive, multiplied if negative;
/// 2. temperature: logits are divided by it; 0 ends here with the largest;
/// 3. top-k: logits below the k-th largest are dropped (ties with it stay);
/// 4. top-p: of the tokens by falling probability, those are kept before which
///    the sum is below p; at least one;
/// 5. min-p: probabilities below min-p times the largest are dropped;
/// 6. a draw from what is left.
/// Of equal logits the lower id comes first, in 2 and in 4.
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
  /// Whether the choice is the largest of the unchanged logits.
  bool isGreedy() const { return temperature == 0 && repetitionPenalty == 1; }
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

private:
  struct Candidate {
    int32_t token;
    float logit;
    double weight; ///< Proportional to the probability; the largest is 1.
  };

  Sampler(const SamplingOptions &options, int64_t vocab);
  void penalise();
  void keepTopK(std::span<const float> row);
  void weigh(float top);
  double totalWeight() const;
  void keepTopP();
  void keepMinP();
  int32_t draw();

  SamplingOptions options;
  size_t vocab;
  uint64_t draws = 0; ///< Random numbers taken so far.
  std::vector<int32_t> seen;
  std::vector<uint8_t> isSeen; ///< [vocab], only with a penalty.
  // Kept between calls, so that they allocate nothing.
  std::vector<float> logits; ///< [vocab], only with a penalty.
  std::vector<Candidate> candidates;
};

/// The error of a row without anything above minus infinity.
Status nothingToChoose();

/// log softmax(logits)[token], of the logits as the model gave them.
float logProbability(std::span<const float> logits, int32_t token);

/// The `count` most probable tokens, falling; the lower id first if equal.
std::vector<ScoredToken> topLogProbabilities(std::span<const float> logits,
                                             int32_t count);

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_SAMPLER_H
