//===- Sampler.cpp - Choosing the next token ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A pass over a row counts its logits by their distance from the largest, which
// tells how far down the filters reach; a second one gathers what is there, and
// the filters are applied to these few. A GPU does both passes by itself (take)
// and gives what sample() gives, since all sums are of whole numbers.
//
// The random numbers are those of SplitMix64 (Steele, Lea, Flood: Fast
// splittable pseudorandom number generators, 2014) by position, so that a
// sequence's draws do not depend on others in the batch.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <string>

using namespace clade::rt;

namespace {

constexpr float minusInfinity = -std::numeric_limits<float>::infinity();

/// Number `index` of the stream `seed`, in [0, 2^53).
uint64_t randomBits(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  z ^= z >> 31;
  return z >> 11;
}

Status nothingToChoose() {
  return Status::invalidArgument(
      "the logits have no finite value to choose from");
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

bool isFiltered(const SamplingOptions &options) {
  return options.topK > 0 || options.topP < 1 || options.minP > 0;
}

/// From differences of logits to exponents of 2; of no use without temperature.
double scaleOf(float temperature) {
  return std::numbers::log2e / static_cast<double>(temperature);
}

/// How far below the largest logit min-p reaches, not above 0.
double minShiftOf(const SamplingOptions &options) {
  return options.minP > 0 ? static_cast<double>(options.temperature) *
                                std::log(static_cast<double>(options.minP))
                          : -std::numeric_limits<double>::infinity();
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

TokenDraw SamplingOptions::draw() const {
  TokenDraw draw;
  if (repetitionPenalty != 1)
    draw.kind = DrawKind::Row; // Logits that change are the host's.
  else if (temperature == 0)
    draw.kind = DrawKind::Largest;
  else
    draw.kind = isFiltered(*this) ? DrawKind::Candidates : DrawKind::Any;
  draw.topK = topK;
  // Of what top-k leaves, top-p takes a share that min-p does not change.
  bool isShared = topK > 0 && topP < 1;
  draw.minShift =
      isShared ? -std::numeric_limits<double>::infinity() : minShiftOf(*this);
  draw.topP = topP;
  draw.scale = scaleOf(temperature);
  return draw;
}

Sampler::Sampler(const SamplingOptions &options, int64_t vocab)
    : options(options), vocab(static_cast<size_t>(vocab)),
      asked(options.draw()), weights(vocab, scaleOf(options.temperature)) {
  if (options.repetitionPenalty != 1) {
    isSeen.resize(this->vocab);
    logits.resize(this->vocab);
  }
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
  if (!isFiltered(options))
    return drawAny(row, top);
  return drawCandidate(top, gather(row, top));
}

TokenDraw Sampler::nextDraw() const {
  TokenDraw draw = asked;
  draw.random = randomBits(options.seed, draws);
  return draw;
}

StatusOr<int32_t> Sampler::take(const ChosenRow &row) {
  const DrawnToken &drawn = row.drawn;
  if (drawn.token < 0)
    return nothingToChoose();
  bool isCertain = asked.kind == DrawKind::Largest || std::isinf(drawn.top);
  bool isDrawn = !isCertain && asked.kind == DrawKind::Candidates;
  if (!isToken(drawn.token) || (isDrawn && !areOfRow(row)))
    return Status::corruption("what the GPU gave is not from a row of " +
                              std::to_string(vocab) + " logits");
  if (!isDrawn) {
    draws += isCertain ? 0 : 1;
    return drawn.token;
  }
  candidates.clear();
  for (const TokenCandidate &candidate : row.candidates)
    candidates.push_back({candidate.token, candidate.logit, 0});
  return drawCandidate(drawn.top, drawn.total);
}

bool Sampler::isToken(int32_t token) const {
  return token >= 0 && static_cast<size_t>(token) < vocab;
}

/// Whether candidates are tokens with logits up to the largest, which is there:
/// then each filter leaves one.
bool Sampler::areOfRow(const ChosenRow &row) const {
  bool hasTop = false;
  for (const TokenCandidate &candidate : row.candidates) {
    if (!isToken(candidate.token) || !(candidate.logit <= row.drawn.top))
      return false;
    hasTop |= candidate.logit == row.drawn.top;
  }
  return hasTop;
}

void Sampler::penalise() {
  for (int32_t token : seen) {
    float &logit = logits[static_cast<size_t>(token)];
    logit = logit < 0 ? logit * options.repetitionPenalty
                      : logit / options.repetitionPenalty;
  }
}

/// Draws from a whole row, by rising id.
int32_t Sampler::drawAny(std::span<const float> row, float top) {
  constexpr size_t size = TokenWeights::sliceSize;
  auto sliceAt = [&](size_t begin) {
    return row.subspan(begin, std::min(size, row.size() - begin));
  };
  sums.clear();
  for (size_t begin = 0; begin < row.size(); begin += size)
    sums.push_back(weights.sum(sliceAt(begin), top));
  uint64_t total = std::accumulate(sums.begin(), sums.end(), uint64_t(0)),
           point = pointOf(randomBits(options.seed, draws++), total);
  // The point lies below the sum of all, so both loops end at a weight.
  size_t slice = 0;
  for (; point >= sums[slice]; ++slice)
    point -= sums[slice];
  std::array<uint64_t, size> own;
  weights.weights(sliceAt(slice * size), top, own.data());
  size_t i = 0;
  for (; point >= own[i]; ++i)
    point -= own[i];
  return static_cast<int32_t>(slice * size + i);
}

/// Makes the candidates: all that the filters leave, and some more. Gives the
/// weight of the row if top-p needs it.
uint64_t Sampler::gather(std::span<const float> row, float top) {
  bool isByCount = asked.topK > 0, isByWeight = !isByCount && asked.topP < 1;
  std::optional<int32_t> last;
  uint64_t total = 0;
  if (isByCount || isByWeight) {
    TokenWeights::Histogram histogram;
    weights.count(row, top, isByWeight, histogram);
    if (isByWeight)
      total = std::accumulate(histogram.weights.begin(),
                              histogram.weights.end(), uint64_t(0));
    uint64_t goal = isByCount ? static_cast<uint64_t>(asked.topK)
                              : shareOf(asked.topP, total);
    last = 0;
    for (uint64_t reached = 0; *last < numBuckets; ++*last) {
      auto bucket = static_cast<size_t>(*last);
      reached +=
          isByCount ? histogram.counts[bucket] : histogram.weights[bucket];
      if (reached >= goal)
        break;
    }
  }
  candidates.clear();
  weights.forEachAbove(row, top, weights.edgeBehind(last),
                       limitBelow(top, asked.minShift), [&](size_t i) {
                         candidates.push_back(
                             {static_cast<int32_t>(i), row[i], 0});
                       });
  return total;
}

/// Drops the candidates that the filters drop, and draws by rising id, so that
/// the result depends only on what was kept.
int32_t Sampler::drawCandidate(float top, uint64_t rowTotal) {
  if (options.topK > 0)
    keepTopK();
  for (Candidate &candidate : candidates)
    candidate.weight = weights.weight(candidate.logit, top);
  if (options.topP < 1)
    keepTopP(options.topK > 0 ? totalWeight() : rowTotal);
  float limit = limitBelow(top, minShiftOf(options));
  std::erase_if(candidates,
                [&](const Candidate &c) { return c.logit < limit; });
  std::ranges::sort(candidates, {}, &Candidate::token);
  uint64_t point = pointOf(randomBits(options.seed, draws++), totalWeight());
  size_t i = 0;
  for (; point >= candidates[i].weight; ++i)
    point -= candidates[i].weight;
  return candidates[i].token;
}

/// Keeps candidates at least as large as the k-th.
void Sampler::keepTopK() {
  if (static_cast<size_t>(options.topK) >= candidates.size())
    return;
  auto last = candidates.begin() + options.topK - 1;
  std::ranges::nth_element(candidates, last, std::ranges::greater(),
                           &Candidate::logit);
  float limit = last->logit;
  std::erase_if(candidates,
                [&](const Candidate &c) { return c.logit < limit; });
}

/// Keeps the largest candidates before which the sum is below the share of
/// `total`.
void Sampler::keepTopP(uint64_t total) {
  auto isBelow = [](const Candidate &a, const Candidate &b) {
    return a.logit != b.logit ? a.logit < b.logit : a.token > b.token;
  };
  // Few are kept as a rule: a heap saves sorting the others. What is popped
  // gathers at the end.
  uint64_t limit = shareOf(options.topP, total), before = 0;
  std::ranges::make_heap(candidates, isBelow);
  auto end = candidates.end();
  do {
    std::ranges::pop_heap(candidates.begin(), end, isBelow);
    before += (--end)->weight;
  } while (end != candidates.begin() && before < limit);
  candidates.erase(candidates.begin(), end);
}

uint64_t Sampler::totalWeight() const {
  uint64_t total = 0;
  for (const Candidate &candidate : candidates)
    total += candidate.weight;
  return total;
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
