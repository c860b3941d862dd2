//===- ChooseTokenTest.cpp - The greedy choice on a GPU -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Both kernels on the PTX machine, launched as the plan says, against the
// host's choice (Sampler.h).
//
//===----------------------------------------------------------------------===//

#include "ChoiceHarness.h"
#include "runtime/Engine/Sampler.h"

#include <limits>

using namespace clade;
using namespace clade::cuda;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity(),
                nan = std::numeric_limits<float>::quiet_NaN();

struct Outcome {
  std::vector<int32_t> tokens;
  rt::LaunchPlan plan;
  ptx::LaunchReport slices;
};

/// The tokens of rows of `vocab` logits.
Outcome choose(const std::vector<float> &logits, int64_t vocab) {
  ChoiceKernels kernels(vocab);
  Outcome outcome;
  outcome.plan = kernels.plan;
  const rt::LaunchGreedy &greedy = *outcome.plan.greedy;
  auto reports = kernels.run(greedy.launches, logits);
  outcome.tokens = kernels.read<int32_t>(greedy.tokens);
  outcome.slices = std::move(reports["choose_slices"]);
  for (const auto &[name, report] : reports)
    EXPECT_EQ(report.counters.total.bankConflicts(), 0u) << name;
  return outcome;
}

/// What the host chooses of each row, -1 where it finds nothing.
std::vector<int32_t> expected(const std::vector<float> &logits, int64_t vocab) {
  auto sampler = rt::Sampler::create({}, vocab);
  EXPECT_TRUE(sampler.ok());
  std::vector<int32_t> tokens;
  for (size_t at = 0; at < logits.size(); at += static_cast<size_t>(vocab)) {
    auto token = sampler->sample(
        std::span(logits).subspan(at, static_cast<size_t>(vocab)));
    tokens.push_back(token.ok() ? *token : -1);
  }
  return tokens;
}

class ChooseTokenTest : public testing::TestWithParam<int64_t> {};

TEST_P(ChooseTokenTest, IsTheHosts) {
  int64_t vocab = GetParam();
  auto width = static_cast<size_t>(vocab);
  std::vector<float> logits = someLogits(7 * vocab);
  auto row = [&](size_t i) {
    return std::span(logits).subspan(i * width, width);
  };
  // Row 0 as it is, with the largest value in several places. The largest last;
  // first, and last again; among infinities; among NaN; nothing.
  row(1).back() = 2;
  row(2).front() = row(2).back() = 3;
  row(3)[width / 2] = row(3).back() = infinity;
  std::ranges::fill(row(4), nan);
  row(4)[width / 3] = -infinity;
  row(4)[width / 2] = -5;
  std::ranges::fill(row(5), -infinity);
  row(5).back() = nan;
  // Zeros of both signs are one value.
  std::ranges::fill(row(6), -0.0f);
  row(6)[width / 2] = 0.0f;
  EXPECT_EQ(choose(logits, vocab).tokens, expected(logits, vocab));
}

// Loads of one, two and four logits; rows that end within the first load of a
// block, at the end of a block, one behind it; more slices than a block that
// joins them has threads.
INSTANTIATE_TEST_SUITE_P(Vocabularies, ChooseTokenTest,
                         testing::Values(1, 2, 3, 4, 250, 1021, 1024, 1025,
                                         4098, 5000, 132100),
                         [](const testing::TestParamInfo<int64_t> &info) {
                           return std::to_string(info.param);
                         });

/// Wherever the largest value is, the thread that has it is heard.
TEST(ChooseTokenTest, EveryPlaceCounts) {
  constexpr int64_t vocab = 1029;
  for (int64_t first : {0, 500, 1020}) {
    constexpr int64_t rows = 9;
    std::vector<float> logits(rows * vocab, -1.0f);
    std::vector<int32_t> tokens;
    for (int64_t i = 0; i < rows; ++i) {
      tokens.push_back(static_cast<int32_t>(first + i));
      logits[static_cast<size_t>(i * vocab + first + i)] = 1;
    }
    EXPECT_EQ(choose(logits, vocab).tokens, tokens);
  }
}

/// A warp reads 512 bytes of a row that follow each other, every sector once.
TEST(ChooseTokenTest, LogitsAreReadOnceInWholeSectors) {
  constexpr int64_t vocab = 8192;
  Outcome outcome = choose(someLogits(2 * vocab), vocab);
  const ptx::OpCounter &total = outcome.slices.counters.total;
  EXPECT_EQ(outcome.plan.kernels.at("choose_slices").columns, 8);
  // And a sector for what each block writes: a logit and a token.
  EXPECT_EQ(total.sectors, uint64_t(2 * vocab * 4 / 32 + 2 * 8 * 2));
}

} // namespace
