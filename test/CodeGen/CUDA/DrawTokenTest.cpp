//===- DrawTokenTest.cpp - Draws of tokens on a GPU -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels on the PTX machine, launched as the plan says, against the host's
// sampler: equal tokens for equal seeds.
//
//===----------------------------------------------------------------------===//

#include "ChoiceHarness.h"
#include "runtime/Engine/Sampler.h"

#include <gmock/gmock.h>

#include <limits>
#include <random>

using namespace clade;
using namespace clade::cuda;
using rt::ChosenRow;
using rt::DrawKind;
using rt::SamplingOptions;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity(),
                nan = std::numeric_limits<float>::quiet_NaN();

/// What kernels give of rows of which a sampler each asks. Rows with too many
/// candidates have hasLogits.
class Draws {
public:
  explicit Draws(int64_t vocab) : kernels(vocab), vocab(vocab) {}

  /// The token of each row for the options of each, twice in a row, as the
  /// host's sampler gives them: -1 where there is none.
  void expectHosts(const std::vector<float> &logits,
                   const std::vector<SamplingOptions> &options) {
    std::vector<rt::Sampler> onDevice, onHost;
    for (const SamplingOptions &own : options) {
      auto sampler = rt::Sampler::create(own, vocab);
      ASSERT_TRUE(sampler.ok()) << sampler.status().message();
      onDevice.push_back(*sampler);
      onHost.push_back(*sampler);
    }
    for (int time = 0; time < 2; ++time) {
      std::vector<rt::TokenDraw> asked;
      for (const rt::Sampler &sampler : onDevice)
        asked.push_back(sampler.nextDraw());
      run(logits, asked);
      for (size_t i = 0; i < options.size(); ++i) {
        std::span<const float> row = rowOf(logits, i);
        auto token = rows[i].hasLogits ? onDevice[i].sample(row)
                                       : onDevice[i].take(rows[i]);
        auto expected = onHost[i].sample(row);
        EXPECT_EQ(token.ok() ? *token : -1, expected.ok() ? *expected : -1)
            << "row " << i << " of " << vocab << ", draw " << time;
      }
    }
  }

  void run(const std::vector<float> &logits,
           const std::vector<rt::TokenDraw> &asked) {
    const rt::LaunchDraws &plan = *kernels.plan.draws;
    reports = kernels.run(plan.launches, logits, asked);
    auto drawn = kernels.read<rt::DrawnToken>(plan.rows);
    candidates.clear();
    for (size_t i = 0; i < asked.size(); ++i)
      candidates.push_back(candidatesOf(i, asked[i], drawn[i]));
    rows.clear();
    for (size_t i = 0; i < asked.size(); ++i) {
      bool isFull = drawn[i].candidates > rt::maxCandidates;
      rows.push_back(
          {asked[i].kind == DrawKind::Row || isFull, drawn[i], candidates[i]});
    }
  }

  std::span<const float> rowOf(const std::vector<float> &logits,
                               size_t i) const {
    auto width = static_cast<size_t>(vocab);
    return std::span(logits).subspan(i * width, width);
  }

  ChoiceKernels kernels;
  int64_t vocab;
  std::vector<ChosenRow> rows;
  std::map<std::string, ptx::LaunchReport> reports;

private:
  /// Only those that were written: reading others is an error.
  std::vector<rt::TokenCandidate> candidatesOf(size_t row,
                                               const rt::TokenDraw &asked,
                                               const rt::DrawnToken &drawn) {
    if (asked.kind != DrawKind::Candidates)
      return {};
    return kernels.readOf<rt::TokenCandidate>(
        kernels.plan.draws->candidates, static_cast<int64_t>(row),
        rt::maxCandidates, std::min(drawn.candidates, rt::maxCandidates));
  }

  std::vector<std::vector<rt::TokenCandidate>> candidates;
};

/// Normally distributed logits, with a few large ones, as models give.
std::vector<float> modelLogits(int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> noise(0, 2.5f);
  std::vector<float> logits(static_cast<size_t>(count));
  for (float &logit : logits)
    logit = noise(random) + (random() % 97 == 0 ? 6.0f : 0.0f);
  return logits;
}

/// Every kind of request.
const std::vector<SamplingOptions> kinds = {
    {.temperature = 0},
    {.temperature = 1, .seed = 1},
    {.temperature = 0.7f, .seed = 2},
    {.temperature = 1, .topK = 1, .seed = 3},
    {.temperature = 0.8f, .topK = 40, .seed = 4},
    {.temperature = 1.2f, .topP = 0.9f, .seed = 5},
    {.temperature = 1, .minP = 0.05f, .seed = 6},
    {.temperature = 0.9f, .topK = 50, .topP = 0.8f, .seed = 7},
    {.temperature = 0.9f, .topP = 0.8f, .minP = 0.1f, .seed = 8},
    {.temperature = 1.5f, .topK = 20, .topP = 0.7f, .minP = 0.4f, .seed = 9},
    {.temperature = 1, .topK = 30, .minP = 0.2f, .seed = 10},
    {.temperature = 0.01f, .topP = 0.5f, .seed = 11},
    {.temperature = 1, .repetitionPenalty = 1.1f, .seed = 12},
};

std::vector<float> rowsOf(const std::vector<float> &row, size_t count) {
  std::vector<float> logits;
  for (size_t i = 0; i < count; ++i)
    logits.insert(logits.end(), row.begin(), row.end());
  return logits;
}

class DrawTokenTest : public testing::TestWithParam<int64_t> {};

TEST_P(DrawTokenTest, TokensAreTheHosts) {
  int64_t vocab = GetParam();
  Draws draws(vocab);
  draws.expectHosts(modelLogits(vocab * static_cast<int64_t>(kinds.size()), 3),
                    kinds);
}

/// Ties at the k-th and everywhere, NaN, infinities, nothing at all.
TEST_P(DrawTokenTest, OddRowsAreTheHosts) {
  int64_t vocab = GetParam();
  auto width = static_cast<size_t>(vocab);
  Draws draws(vocab);
  std::vector<std::vector<float>> rows(8, modelLogits(vocab, 5));
  rows[0] = someLogits(vocab);
  std::ranges::fill(rows[1], 0.5f);
  for (size_t i = 0; i < width; ++i) {
    if (i % 3 == 0)
      rows[2][i] = nan;
    if (i % 3 != 1)
      rows[3][i] = -infinity;
  }
  rows[4][width / 2] = infinity;
  rows[4].back() = infinity;
  std::ranges::fill(rows[5], -infinity);
  rows[5].back() = nan;
  std::ranges::fill(rows[6], -3e38f);
  rows[6][width / 2] = 3e38f;
  for (size_t i = 0; i < width; ++i)
    rows[7][i] = i % 2 ? -0.0f : 0.0f;
  for (const SamplingOptions &own : kinds) {
    std::vector<float> logits;
    for (const std::vector<float> &row : rows)
      logits.insert(logits.end(), row.begin(), row.end());
    draws.expectHosts(logits, std::vector(rows.size(), own));
  }
}

// Loads of one, two and four logits; rows that end within a block, at its end
// and one behind it.
INSTANTIATE_TEST_SUITE_P(Vocabularies, DrawTokenTest,
                         testing::Values(1, 3, 250, 1023, 1024, 1025, 4098),
                         [](const testing::TestParamInfo<int64_t> &info) {
                           return std::to_string(info.param);
                         });

/// More slices than a block has threads.
TEST(DrawTokenTest, LargeVocabulary) {
  constexpr int64_t vocab = 270001;
  Draws draws(vocab);
  std::vector<SamplingOptions> options = {kinds[1], kinds[5], kinds[7]};
  draws.expectHosts(modelLogits(vocab * 3, 9), options);
}

/// Weights are the host's to the last bit: their sum shows it, of logits over
/// the whole range of weights and beyond.
TEST(DrawTokenTest, SumsAreTheHosts) {
  for (int64_t vocab : {1000, 5003}) {
    Draws draws(vocab);
    std::vector<float> logits;
    std::vector<rt::TokenDraw> asked;
    std::vector<uint64_t> expected;
    for (float temperature : {0.3f, 1.0f, 1.7f, 1e-30f, 3e38f}) {
      SamplingOptions options{.temperature = temperature, .topP = 0.9f};
      asked.push_back(options.draw());
      rt::TokenWeights weights(vocab, asked.back().scale);
      float top = 11.25f;
      uint64_t total = 0;
      for (int64_t i = 0; i < vocab; ++i) {
        float logit = top - 0.0107f * static_cast<float>(i);
        logits.push_back(i % 100 == 99 ? nan : logit);
        total += weights.weight(logits.back(), top);
      }
      expected.push_back(total);
    }
    draws.run(logits, asked);
    for (size_t i = 0; i < asked.size(); ++i)
      EXPECT_EQ(draws.rows[i].drawn.total, expected[i]) << i;
  }
}

/// Wherever the point is, the thread that has its token is heard.
TEST(DrawTokenTest, EveryPlaceMayBeDrawn) {
  constexpr int64_t vocab = 1029, rows = 64;
  Draws draws(vocab);
  std::vector<SamplingOptions> options;
  for (uint64_t seed = 0; seed < rows; ++seed)
    options.push_back({.temperature = 1, .seed = seed});
  draws.expectHosts(rowsOf(std::vector<float>(vocab, 2.0f), rows), options);
  // The first and the last.
  for (uint64_t random : {uint64_t(0), (uint64_t(1) << 53) - 1}) {
    rt::TokenDraw draw = options[0].draw();
    draw.random = random;
    draws.run(std::vector<float>(vocab, 2.0f), {draw});
    EXPECT_EQ(draws.rows[0].drawn.token, random ? vocab - 1 : 0);
  }
}

/// Where the point is the end of a token's weight, the next one is drawn, in
/// the same thread, the next one, and the next slice.
TEST(DrawTokenTest, PointsBetweenTokens) {
  constexpr int64_t vocab = 4096;
  Draws draws(vocab);
  std::vector<rt::TokenDraw> asked;
  std::vector<int32_t> expected;
  for (int32_t token : {0, 1, 2, 3, 4, 127, 128, 1023, 1024, 1025, 3072, 4095})
    for (uint64_t before : {0, 1}) {
      if (before > static_cast<uint64_t>(token))
        continue;
      rt::TokenDraw draw = SamplingOptions{.temperature = 1}.draw();
      // Of 2^12 equal weights; or the last point before.
      draw.random = (static_cast<uint64_t>(token) << (53 - 12)) - before;
      asked.push_back(draw);
      expected.push_back(token - static_cast<int32_t>(before));
    }
  draws.run(rowsOf(std::vector<float>(vocab, -3.0f), asked.size()), asked);
  for (size_t i = 0; i < asked.size(); ++i)
    EXPECT_EQ(draws.rows[i].drawn.token, expected[i]);
}

/// Where each token has a bucket of its own, there are as many candidates as
/// the filter leaves.
TEST(DrawTokenTest, NoCandidateTooMany) {
  constexpr int64_t vocab = 2000;
  Draws draws(vocab);
  std::vector<float> row(vocab);
  for (size_t i = 0; i < row.size(); ++i)
    row[i * 7 % row.size()] = -0.125f * static_cast<float>(i);
  std::vector<rt::TokenDraw> asked;
  for (int32_t count : {1, 2, 3, 4, 5, 10, 100, 200})
    asked.push_back(SamplingOptions{.temperature = 1, .topK = count}.draw());
  // 1 / (1 - exp(-0.125)) = 8.51 times the first weigh all of them.
  asked.push_back(SamplingOptions{.temperature = 1, .topP = 0.117f}.draw());
  asked.push_back(SamplingOptions{.temperature = 1, .topP = 0.118f}.draw());
  asked.push_back(SamplingOptions{.temperature = 1, .topP = 0.5f}.draw());
  asked.push_back(SamplingOptions{.temperature = 1, .minP = 0.5f}.draw());
  draws.run(rowsOf(row, asked.size()), asked);
  std::vector<int32_t> counts;
  for (const ChosenRow &given : draws.rows)
    counts.push_back(given.drawn.candidates);
  EXPECT_EQ(counts,
            (std::vector<int32_t>{1, 2, 3, 4, 5, 10, 100, 200, 1, 2, 6, 6}));
}

/// Filters that leave few tokens are given few; the row is not needed.
TEST(DrawTokenTest, CandidatesAreFew) {
  constexpr int64_t vocab = 5000;
  Draws draws(vocab);
  std::vector<rt::TokenDraw> asked;
  for (const SamplingOptions &own : kinds)
    asked.push_back(own.draw());
  draws.run(rowsOf(modelLogits(vocab, 3), kinds.size()), asked);
  auto countOf = [&](size_t i) { return draws.rows[i].drawn.candidates; };
  EXPECT_EQ(countOf(3), 1);
  // Those of a bucket of a sixteenth more.
  EXPECT_GE(countOf(4), 40);
  EXPECT_LE(countOf(4), 50);
  for (size_t i = 0; i < kinds.size(); ++i) {
    EXPECT_EQ(countOf(i) > 0, asked[i].kind == DrawKind::Candidates);
    EXPECT_EQ(draws.rows[i].hasLogits, asked[i].kind == DrawKind::Row) << i;
  }
}

/// Where too many are left, their number says so, and none is written behind
/// the last place: it would be a finding.
TEST(DrawTokenTest, MoreCandidatesThanPlaces) {
  constexpr int64_t vocab = 3000;
  std::vector<SamplingOptions> options = {
      {.temperature = 1, .topK = 40, .seed = 1},
      {.temperature = 1, .topP = 0.9f, .seed = 2},
      {.temperature = 1, .minP = 0.5f, .seed = 3},
      {.temperature = 1, .seed = 4}};
  std::vector<float> flat(vocab, 1.0f);
  Draws draws(vocab);
  draws.expectHosts(rowsOf(flat, options.size()), options);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(draws.rows[i].drawn.candidates, vocab);
    EXPECT_TRUE(draws.rows[i].hasLogits);
  }
  EXPECT_FALSE(draws.rows[3].hasLogits);
  // As many as there are places.
  std::fill(flat.begin() + rt::maxCandidates, flat.end(), -50.0f);
  draws.expectHosts(rowsOf(flat, options.size()), options);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(draws.rows[i].drawn.candidates, rt::maxCandidates);
    EXPECT_FALSE(draws.rows[i].hasLogits);
  }
}

/// Rows of greedy requests, and of those that need the row, cost next to
/// nothing.
TEST(DrawTokenTest, WhatIsNotAskedForIsNotDone) {
  constexpr int64_t vocab = 4096;
  Draws draws(vocab);
  auto instructions = [&](const SamplingOptions &options, const char *kernel) {
    draws.run(modelLogits(vocab, 3), {options.draw()});
    return draws.reports.at(kernel).counters.total.warps;
  };
  for (const char *kernel : {"draw_weigh", "draw_pick"})
    for (const SamplingOptions &own : {kinds[0], kinds.back()})
      EXPECT_LT(instructions(own, kernel) * 10, instructions(kinds[5], kernel));
}

/// The assembler makes one operation of a product and a sum that are not
/// rounded by name.
TEST(DrawTokenTest, NothingIsContracted) {
  ChoiceKernels kernels(1000);
  EXPECT_THAT(kernels.text, testing::HasSubstr("mul.rn.f64"));
  EXPECT_THAT(kernels.text, testing::HasSubstr("add.rn.f64"));
  for (const char *other : {"fma.rn.f64", "\tmul.f64", "\tadd.f64"})
    EXPECT_THAT(kernels.text, testing::Not(testing::HasSubstr(other)));
}

} // namespace
