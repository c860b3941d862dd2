//===- SamplerTest.cpp - Choosing the next token --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Examples computed by hand, and distributions against the filters written out
// as transformers' processors have them: on whole vectors, by rising logit.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Sampler.h"
#include "ToySupport.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

Sampler makeSampler(const SamplingOptions &options, size_t vocab,
                    std::vector<int32_t> seen = {}) {
  auto sampler = Sampler::create(options, static_cast<int64_t>(vocab));
  EXPECT_TRUE(sampler.ok()) << messageOf(sampler);
  for (int32_t token : seen)
    sampler->observe(token);
  return std::move(*sampler);
}

int32_t greedy(std::vector<float> logits, float penalty = 1,
               std::vector<int32_t> seen = {}) {
  Sampler sampler = makeSampler({.repetitionPenalty = penalty}, logits.size(),
                                std::move(seen));
  auto token = sampler.sample(logits);
  EXPECT_TRUE(token.ok()) << messageOf(token);
  return *token;
}

/// How often each token comes in `draws` draws.
std::vector<int> histogram(const SamplingOptions &options,
                           const std::vector<float> &logits, int draws,
                           std::vector<int32_t> seen = {}) {
  Sampler sampler = makeSampler(options, logits.size(), std::move(seen));
  std::vector<int> counts(logits.size());
  for (int i = 0; i < draws; ++i)
    ++counts[static_cast<size_t>(*sampler.sample(logits))];
  return counts;
}

/// The tokens that come at all.
std::vector<int32_t> support(const SamplingOptions &options,
                             const std::vector<float> &logits,
                             std::vector<int32_t> seen = {}) {
  std::vector<int> counts = histogram(options, logits, 3000, std::move(seen));
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < counts.size(); ++i)
    if (counts[i])
      tokens.push_back(static_cast<int32_t>(i));
  return tokens;
}

std::vector<float> logsOf(std::vector<double> probabilities) {
  std::vector<float> logits;
  for (double p : probabilities)
    logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

using Tokens = std::vector<int32_t>;

//===----------------------------------------------------------------------===//
// By hand
//===----------------------------------------------------------------------===//

TEST(SamplerTest, GreedyTakesTheLowestOfEquals) {
  EXPECT_EQ(greedy({1, 3, 2, 3}), 1);
  EXPECT_EQ(greedy({5, 5, 5}), 0);
  EXPECT_EQ(greedy({-inf, -2, -inf}), 1);
  EXPECT_EQ(greedy({0, inf, inf}), 1);
}

TEST(SamplerTest, NaNIsNeverChosen) {
  EXPECT_EQ(greedy({nan, -3, nan}), 1);
  EXPECT_EQ(support({.temperature = 1}, {nan, 0, -inf}), Tokens{1});
  for (float temperature : {0.0f, 1.0f}) {
    Sampler sampler = makeSampler({.temperature = temperature}, 2);
    std::vector<float> nothing = {nan, -inf};
    expectError(sampler.sample(nothing).takeStatus(),
                StatusCode::InvalidArgument,
                "the logits have no finite value to choose from");
  }
}

TEST(SamplerTest, RepetitionPenalty) {
  // Penalty 2 makes {2, -1, 1.5} into {1, -2, 1.5} when 0 and 1 were seen.
  EXPECT_EQ(greedy({2, -1, 1.5}), 0);
  EXPECT_EQ(greedy({2, -1, 1.5}, 2, {0, 1}), 2);
  // A negative logit moves away from zero: {-1, -1.5} into {-2, -1.5}. Seen
  // twice counts once: {3, 1} into {1.5, 1}.
  EXPECT_EQ(greedy({-1, -1.5}, 2, {0}), 1);
  EXPECT_EQ(greedy({3, 1}, 2, {0, 0, 0}), 0);
  // Below 1 it favours what was seen.
  EXPECT_EQ(greedy({2, 1.5}, 0.5, {1}), 1);
}

TEST(SamplerTest, TopK) {
  std::vector<float> logits = {1, 4, 2, 3, 2};
  EXPECT_EQ(support({.temperature = 1, .topK = 1}, logits), (Tokens{1}));
  EXPECT_EQ(support({.temperature = 1, .topK = 2}, logits), (Tokens{1, 3}));
  // Ties with the k-th stay.
  EXPECT_EQ(support({.temperature = 1, .topK = 3}, logits),
            (Tokens{1, 2, 3, 4}));
  EXPECT_EQ(support({.temperature = 1, .topK = 9}, logits).size(), 5u);
}

TEST(SamplerTest, TopP) {
  std::vector<float> logits = logsOf({0.15, 0.5, 0.05, 0.3});
  auto kept = [&](float p) {
    return support({.temperature = 1, .topP = p}, logits);
  };
  EXPECT_EQ(kept(0.0001f), (Tokens{1}));
  EXPECT_EQ(kept(0.49f), (Tokens{1}));
  EXPECT_EQ(kept(0.51f), (Tokens{1, 3}));
  EXPECT_EQ(kept(0.79f), (Tokens{1, 3}));
  EXPECT_EQ(kept(0.81f), (Tokens{0, 1, 3}));
  EXPECT_EQ(kept(0.96f), (Tokens{0, 1, 2, 3}));
  // Of equal ones the lowest ids are kept.
  EXPECT_EQ(support({.temperature = 1, .topP = 0.5f}, {0, 0, 0, 0}),
            (Tokens{0, 1}));
}

TEST(SamplerTest, MinP) {
  std::vector<float> logits = logsOf({0.15, 0.5, 0.05, 0.3});
  auto kept = [&](float p) {
    return support({.temperature = 1, .minP = p}, logits);
  };
  EXPECT_EQ(kept(0.09f), (Tokens{0, 1, 2, 3}));
  EXPECT_EQ(kept(0.11f), (Tokens{0, 1, 3}));
  EXPECT_EQ(kept(0.5f), (Tokens{1, 3}));
  EXPECT_EQ(kept(1), (Tokens{1}));
}

TEST(SamplerTest, TemperatureComesBeforeTopP) {
  // At temperature 2 {0.8, 0.2} becomes {2/3, 1/3}.
  std::vector<float> logits = logsOf({0.8, 0.2});
  EXPECT_EQ(support({.temperature = 1, .topP = 0.75f}, logits), (Tokens{0}));
  EXPECT_EQ(support({.temperature = 2, .topP = 0.75f}, logits), (Tokens{0, 1}));
}

TEST(SamplerTest, TopKComesBeforeTopP) {
  // Of {0.4, 0.35, 0.25} top-k 2 leaves {0.53, 0.47}.
  std::vector<float> logits = logsOf({0.4, 0.35, 0.25});
  EXPECT_EQ(support({.temperature = 1, .topP = 0.5f}, logits), (Tokens{0, 1}));
  EXPECT_EQ(support({.temperature = 1, .topK = 2, .topP = 0.5f}, logits),
            (Tokens{0}));
}

TEST(SamplerTest, ExtremesStayFinite) {
  EXPECT_EQ(support({.temperature = 1e-30f}, {1, 2, 1.99f}), (Tokens{1}));
  EXPECT_EQ(support({.temperature = 1}, {3e38f, -3e38f, 3e38f}),
            (Tokens{0, 2}));
  EXPECT_EQ(support({.temperature = 1}, {0, inf}), (Tokens{1}));
  EXPECT_EQ(support({.temperature = 3e38f}, {-10, 10}), (Tokens{0, 1}));
}

//===----------------------------------------------------------------------===//
// Distributions
//===----------------------------------------------------------------------===//

std::vector<double> softmax(const std::vector<double> &scores) {
  double top = *std::ranges::max_element(scores), sum = 0;
  std::vector<double> result;
  for (double score : scores)
    sum += result.emplace_back(std::exp(score - top));
  for (double &value : result)
    value /= sum;
  return result;
}

/// Ids by rising score; of equals the higher id first.
std::vector<size_t> byRisingScore(const std::vector<double> &scores) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](size_t a, size_t b) {
    return scores[a] != scores[b] ? scores[a] < scores[b] : a > b;
  });
  return order;
}

/// The probabilities, processor by processor.
std::vector<double> reference(const SamplingOptions &options,
                              const std::vector<float> &logits,
                              const std::vector<int32_t> &seen) {
  std::vector<double> scores(logits.begin(), logits.end());
  std::vector<int32_t> distinct = seen;
  std::ranges::sort(distinct);
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  for (int32_t token : distinct) {
    double &score = scores[static_cast<size_t>(token)];
    score = score < 0 ? score * options.repetitionPenalty
                      : score / options.repetitionPenalty;
  }
  for (double &score : scores)
    score /= options.temperature;
  std::vector<size_t> order = byRisingScore(scores);
  size_t n = order.size();
  if (options.topK > 0) {
    double limit = scores[order[n - std::min<size_t>(n, options.topK)]];
    for (double &score : scores)
      score = score < limit ? -inf : score;
  }
  std::vector<double> probabilities = softmax(scores);
  double cumulative = 0;
  for (size_t i = 0; i + 1 < n && options.topP < 1; ++i) {
    cumulative += probabilities[order[i]];
    if (cumulative <= 1 - static_cast<double>(options.topP))
      scores[order[i]] = -inf;
  }
  probabilities = softmax(scores);
  double limit = options.minP * *std::ranges::max_element(probabilities);
  for (size_t i = 0; i < n; ++i)
    if (probabilities[i] < limit)
      scores[i] = -inf;
  return softmax(scores);
}

TEST(SamplerTest, DistributionsAreTheReference) {
  std::mt19937 random(11);
  auto pick = [&](std::vector<float> values) {
    return values[random() % values.size()];
  };
  constexpr int draws = 4000;
  for (int round = 0; round < 150; ++round) {
    SamplingOptions options;
    options.temperature = pick({0.3f, 0.7f, 1, 1.8f});
    options.topK = static_cast<int32_t>(pick({0, 0, 1, 3, 8}));
    options.topP = pick({1, 1, 0.33f, 0.77f, 0.95f});
    options.minP = pick({0, 0, 0.07f, 0.31f});
    options.repetitionPenalty = pick({1, 1.3f, 0.8f});
    options.seed = static_cast<uint64_t>(round);
    std::vector<float> logits;
    for (int i = 0; i < 12; ++i)
      logits.push_back(static_cast<float>(random() % 600) / 100 - 3);
    std::vector<int32_t> seen = {3, 5, 3};
    std::vector<double> expected = reference(options, logits, seen);
    std::vector<int> counts = histogram(options, logits, draws, seen);
    for (size_t i = 0; i < counts.size(); ++i) {
      double p = expected[i], deviation = std::sqrt(draws * p * (1 - p));
      // Five standard deviations; one draw more for tiny probabilities.
      EXPECT_NEAR(counts[i], draws * p, 5 * deviation + (p > 0 && p < 1))
          << "round " << round << ", token " << i;
    }
  }
}

TEST(SamplerTest, SeedsDecide) {
  std::vector<float> logits(100);
  auto tokens = [&](uint64_t seed) {
    Sampler sampler = makeSampler({.temperature = 1, .seed = seed}, 100);
    std::vector<int32_t> result;
    for (int i = 0; i < 50; ++i)
      result.push_back(*sampler.sample(logits));
    return result;
  };
  EXPECT_EQ(tokens(1), tokens(1));
  EXPECT_NE(tokens(1), tokens(2));
  EXPECT_NE(tokens(0), tokens(UINT64_MAX));
}

//===----------------------------------------------------------------------===//
// What a GPU gives
//===----------------------------------------------------------------------===//

TEST(SamplerTest, WhatIsAskedOfARow) {
  auto kindOf = [](const SamplingOptions &options) {
    return options.draw().kind;
  };
  EXPECT_EQ(kindOf({}), DrawKind::Largest);
  EXPECT_EQ(kindOf({.topK = 3, .topP = 0.5f}), DrawKind::Largest);
  EXPECT_EQ(kindOf({.temperature = 1}), DrawKind::Any);
  EXPECT_EQ(kindOf({.temperature = 1, .topK = 3}), DrawKind::Candidates);
  EXPECT_EQ(kindOf({.temperature = 1, .topP = 0.5f}), DrawKind::Candidates);
  EXPECT_EQ(kindOf({.temperature = 1, .minP = 0.5f}), DrawKind::Candidates);
  EXPECT_EQ(kindOf({.repetitionPenalty = 2}), DrawKind::Row);
  EXPECT_EQ(kindOf({.temperature = 1, .topK = 3, .repetitionPenalty = 2}),
            DrawKind::Row);
}

/// The tokens of a row are those of its candidates, more than there need be.
TEST(SamplerTest, CandidatesAreTheRow) {
  std::vector<float> logits = {1, nan, 4, 2.5f, 3, -inf, 2, 3.5f};
  std::vector<TokenCandidate> candidates = {{7, 3.5f}, {4, 3},    {2, 4},
                                            {6, 2},    {3, 2.5f}, {0, 1}};
  for (SamplingOptions options :
       {SamplingOptions{.temperature = 1, .topK = 3},
        {.temperature = 1, .topP = 0.8f},
        {.temperature = 1, .minP = 0.3f},
        {.temperature = 1, .topK = 4, .topP = 0.9f, .minP = 0.2f}}) {
    Sampler onHost = makeSampler(options, 8), onDevice = onHost;
    ChosenRow row;
    row.hasLogits = false;
    row.drawn.top = 4;
    row.drawn.token = 2;
    TokenWeights weights(8, options.draw().scale);
    row.drawn.total = weights.sum(logits, 4);
    row.candidates = candidates;
    for (int i = 0; i < 100; ++i)
      EXPECT_EQ(*onDevice.take(row), *onHost.sample(logits));
  }
}

/// An infinite logit takes no random number, wherever it is found.
TEST(SamplerTest, WhatIsCertainIsNotDrawn) {
  std::vector<float> certain = {0, inf, 0}, open = {0, 1, 0.5f};
  for (SamplingOptions options :
       {SamplingOptions{.temperature = 1}, {.temperature = 1, .topK = 2}}) {
    Sampler onHost = makeSampler(options, 3), onDevice = onHost;
    ChosenRow row;
    row.drawn.top = inf;
    row.drawn.token = 1;
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(*onDevice.take(row), *onHost.sample(certain));
      EXPECT_EQ(*onDevice.sample(open), *onHost.sample(open));
    }
  }
}

TEST(SamplerTest, WhatNoRowGives) {
  auto refuse = [](const SamplingOptions &options, int32_t token, float top,
                   std::vector<TokenCandidate> candidates,
                   const char *message =
                       "what the GPU gave is not from a row of 3 logits") {
    Sampler sampler = makeSampler(options, 3);
    ChosenRow row;
    row.drawn.top = top;
    row.drawn.token = token;
    row.candidates = candidates;
    auto taken = sampler.take(row);
    ASSERT_FALSE(taken.ok());
    EXPECT_EQ(messageOf(taken), message);
  };
  refuse({}, 3, 1, {});
  refuse({.temperature = 1}, 3, 1, {});
  SamplingOptions filtered = {.temperature = 1, .topK = 2};
  refuse(filtered, 1, 1, {});
  refuse(filtered, 3, 1, {{1, 1}});
  refuse(filtered, 1, 1, {{1, 0.5f}});
  refuse(filtered, 1, 1, {{1, 1}, {2, 1.5f}});
  refuse(filtered, 1, 1, {{1, 1}, {2, nan}});
  refuse(filtered, 1, 1, {{1, 1}, {3, 0}});
  refuse(filtered, 1, 1, {{1, 1}, {-1, 0}});
  for (const SamplingOptions &options :
       {SamplingOptions{}, {.temperature = 1}, filtered})
    refuse(options, -1, -inf, {},
           "the logits have no finite value to choose from");
}

//===----------------------------------------------------------------------===//
// Messages and probabilities
//===----------------------------------------------------------------------===//

TEST(SamplerTest, BadOptions) {
  auto refuse = [](SamplingOptions options, const char *message) {
    expectError(Sampler::create(options, 10).takeStatus(),
                StatusCode::InvalidArgument, message);
  };
  refuse({.temperature = -1}, "expected 'temperature' at least 0, got -1");
  refuse({.temperature = nan}, "expected 'temperature' at least 0, got nan");
  refuse({.temperature = inf}, "expected 'temperature' at least 0, got inf");
  refuse({.topK = -5}, "expected 'top_k' at least 0, got -5");
  refuse({.topP = 0}, "expected 'top_p' in (0, 1], got 0.000000");
  refuse({.topP = 1.5f}, "expected 'top_p' in (0, 1], got 1.500000");
  refuse({.minP = 2}, "expected 'min_p' in [0, 1], got 2.000000");
  refuse({.repetitionPenalty = 0}, "expected 'repetition_penalty' above 0");
  expectError(Sampler::create({}, 0).takeStatus(), StatusCode::InvalidArgument,
              "expected a vocabulary in [1, 2147483647], got 0");
  Sampler sampler = makeSampler({}, 3);
  std::vector<float> logits(4);
  expectError(sampler.sample(logits).takeStatus(), StatusCode::InvalidArgument,
              "expected 3 logits, got 4");
}

TEST(SamplerTest, LogProbabilities) {
  std::vector<float> logits = logsOf({0.5, 0.125, 0.25, 0.125});
  EXPECT_NEAR(logProbability(logits, 2), std::log(0.25), 1e-6);
  std::vector<ScoredToken> top = topLogProbabilities(logits, 3);
  ASSERT_EQ(top.size(), 3u);
  EXPECT_EQ(top[0].token, 0);
  EXPECT_EQ(top[1].token, 2);
  EXPECT_EQ(top[2].token, 1) << "the lower id of equals";
  EXPECT_NEAR(top[2].logProbability, std::log(0.125), 1e-6);
  EXPECT_EQ(topLogProbabilities(logits, 9).size(), 4u);
  EXPECT_TRUE(topLogProbabilities(logits, 0).empty());
  std::vector<float> far = {1000, nan, 0};
  EXPECT_EQ(logProbability(far, 0), 0);
  EXPECT_EQ(topLogProbabilities(far, 5).size(), 2u);
}

} // namespace
