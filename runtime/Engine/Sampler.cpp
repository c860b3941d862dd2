//===- Sampler.cpp - Choosing the next token ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Probabilities are sums of doubles. The random numbers are those of SplitMix64
// (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014)
// by position, so that a sequence's draws do not depend on others in the batch.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

using namespace clade::rt;

namespace {

constexpr float minusInfinity = -std::numeric_limits<float>::infinity();

/// Number `index` of the stream `seed`, in [0, 1).
double uniform(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-53;
}

Status outOfRange(const char *name, const char *range, float value) {
  return Status::invalidArgument(std::string("expected '") + name + "' " +
                                 range + ", got " + std::to_string(value));
}

// Vocabularies are large, and these two run for every token: whole blocks, in a
// form that compilers turn into vector instructions.
constexpr size_t blockSize = 16;

/// The largest value, minus infinity if there is none. NaN compares false and
/// is skipped.
float maximum(std::span<const float> values) {
  float best[blockSize];
  std::fill_n(best, blockSize, minusInfinity);
  size_t whole = values.size() / blockSize * blockSize;
  for (size_t i = 0; i < whole; i += blockSize)
    for (size_t k = 0; k < blockSize; ++k)
      best[k] = values[i + k] > best[k] ? values[i + k] : best[k];
  for (size_t i = whole; i < values.size(); ++i)
    best[0] = values[i] > best[0] ? values[i] : best[0];
  return *std::max_element(best, best + blockSize);
}

/// The first place that has `value`, which is there.
int32_t indexOf(std::span<const float> values, float value) {
  size_t begin = 0;
  for (bool found = false; begin + blockSize <= values.size();
       begin += blockSize) {
    for (size_t k = 0; k < blockSize; ++k)
      found |= values[begin + k] == value;
    if (found)
      break;
  }
  return static_cast<int32_t>(
      std::find(values.begin() + static_cast<ptrdiff_t>(begin), values.end(),
                value) -
      values.begin());
}

/// log(sum(exp(logits))), without NaN entries.
double logSum(std::span<const float> logits) {
  float top = maximum(logits);
  if (std::isinf(top))
    return top;
  double sum = 0;
  for (float logit : logits)
    if (logit > minusInfinity)
      sum += std::exp(static_cast<double>(logit) - top);
  return top + std::log(sum);
}

} // namespace

Status SamplingOptions::validate() const {
  if (!(temperature >= 0) || std::isinf(temperature))
    return outOfRange("temperature", "at least 0", temperature);
  if (topK < 0)
    return Status::invalidArgument("expected 'top_k' at least 0, got " +
                                   std::to_string(topK));
  if (!(topP > 0 && topP <= 1))
    return outOfRange("top_p", "in (0, 1]", topP);
  if (!(minP >= 0 && minP <= 1))
    return outOfRange("min_p", "in [0, 1]", minP);
  if (!(repetitionPenalty > 0) || std::isinf(repetitionPenalty))
    return outOfRange("repetition_penalty", "above 0", repetitionPenalty);
  return {};
}

Sampler::Sampler(const SamplingOptions &options, int64_t vocab)
    : options(options), vocab(static_cast<size_t>(vocab)) {
  if (options.repetitionPenalty != 1) {
    isSeen.resize(this->vocab);
    logits.resize(this->vocab);
  }
  if (options.temperature != 0)
    candidates.reserve(static_cast<size_t>(vocab));
}

StatusOr<Sampler> Sampler::create(const SamplingOptions &options,
                                  int64_t vocab) {
  CLADE_RETURN_IF_ERROR(options.validate());
  if (vocab < 1 || vocab > INT32_MAX)
    return Status::invalidArgument(
        "expected a vocabulary in [1, 2147483647], got " +
        std::to_string(vocab));
  return Sampler(options, vocab);
}

void Sampler::observe(int32_t token) {
  auto index = static_cast<size_t>(token);
  if (index >= isSeen.size() || isSeen[index])
    return;
  isSeen[index] = 1;
  seen.push_back(token);
}

StatusOr<int32_t> Sampler::sample(std::span<const float> row) {
  if (row.size() != vocab)
    return Status::invalidArgument("expected " + std::to_string(vocab) +
                                   " logits, got " +
                                   std::to_string(row.size()));
  if (!seen.empty()) {
    std::ranges::copy(row, logits.begin());
    penalise();
    row = logits;
  }
  float top = maximum(row);
  if (top == minusInfinity)
    return nothingToChoose();
  // An infinite logit is certain, and no number to calculate with.
  if (options.temperature == 0 || std::isinf(top))
    return indexOf(row, top);
  keepTopK(row);
  weigh(top);
  keepTopP();
  keepMinP();
  return draw();
}

void Sampler::penalise() {
  for (int32_t token : seen) {
    float &logit = logits[static_cast<size_t>(token)];
    logit = logit < 0 ? logit * options.repetitionPenalty
                      : logit / options.repetitionPenalty;
  }
}

/// Makes the candidates from the logits: those at least as large as the k-th.
/// NaN compares false and is left out.
void Sampler::keepTopK(std::span<const float> row) {
  candidates.clear();
  for (size_t i = 0; i < row.size(); ++i)
    if (row[i] > minusInfinity)
      candidates.push_back({static_cast<int32_t>(i), row[i], 0});
  auto k = static_cast<size_t>(options.topK);
  if (k == 0 || k >= candidates.size())
    return;
  std::ranges::nth_element(candidates, candidates.begin() + options.topK - 1,
                           std::ranges::greater(), &Candidate::logit);
  float limit = candidates[k - 1].logit;
  std::erase_if(candidates,
                [&](const Candidate &c) { return c.logit < limit; });
}

void Sampler::weigh(float top) {
  for (Candidate &candidate : candidates)
    candidate.weight = std::exp((static_cast<double>(candidate.logit) - top) /
                                options.temperature);
}

double Sampler::totalWeight() const {
  double total = 0;
  for (const Candidate &candidate : candidates)
    total += candidate.weight;
  return total;
}

void Sampler::keepTopP() {
  if (options.topP >= 1)
    return;
  auto isBelow = [](const Candidate &a, const Candidate &b) {
    return a.weight != b.weight ? a.weight < b.weight : a.token > b.token;
  };
  // Few are kept as a rule: a heap saves sorting the others. What is popped
  // gathers at the end.
  double limit = options.topP * totalWeight(), before = 0;
  std::ranges::make_heap(candidates, isBelow);
  auto end = candidates.end();
  do {
    std::ranges::pop_heap(candidates.begin(), end, isBelow);
    before += (--end)->weight;
  } while (end != candidates.begin() && before < limit);
  candidates.erase(candidates.begin(), end);
}

void Sampler::keepMinP() {
  // The largest weight is 1. A weight of 0 could be drawn by rounding only.
  std::erase_if(candidates, [&](const Candidate &c) {
    return c.weight == 0 || c.weight < options.minP;
  });
}

/// Draws by rising id, so that the result depends only on what was kept.
int32_t Sampler::draw() {
  if (options.topK > 0 || options.topP < 1)
    std::ranges::sort(candidates, {}, &Candidate::token);
  double point = uniform(options.seed, draws++) * totalWeight();
  size_t i = 0;
  while (i + 1 < candidates.size() && point >= candidates[i].weight)
    point -= candidates[i++].weight;
  return candidates[i].token;
}

Status clade::rt::nothingToChoose() {
  return Status::invalidArgument(
      "the logits have no finite value to choose from");
}

float clade::rt::logProbability(std::span<const float> logits, int32_t token) {
  return static_cast<float>(logits[static_cast<size_t>(token)] -
                            logSum(logits));
}

std::vector<ScoredToken>
clade::rt::topLogProbabilities(std::span<const float> logits, int32_t count) {
  std::vector<ScoredToken> tokens;
  if (count <= 0)
    return tokens;
  double sum = logSum(logits);
  for (size_t i = 0; i < logits.size(); ++i)
    if (!std::isnan(logits[i]))
      tokens.push_back(
          {static_cast<int32_t>(i), static_cast<float>(logits[i] - sum)});
  size_t kept = std::min(tokens.size(), static_cast<size_t>(count));
  auto precedes = [](const ScoredToken &a, const ScoredToken &b) {
    return a.logProbability != b.logProbability
               ? a.logProbability > b.logProbability
               : a.token < b.token;
  };
  std::ranges::partial_sort(
      tokens, tokens.begin() + static_cast<ptrdiff_t>(kept), precedes);
  tokens.resize(kept);
  return tokens;
}
