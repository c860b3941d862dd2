//===- AttentionTest.cpp - Attention over paged keys and values -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttentionHarness.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;

namespace {

class PageAttentionTest : public testing::TestWithParam<AttentionProblem> {};

TEST_P(PageAttentionTest, IsSoftmax) {
  AttentionRun run(GetParam());
  AttentionOutcome outcome = run.run();
  run.expectClose(outcome.output);
  for (const ptx::LaunchReport &report : outcome.reports) {
    EXPECT_TRUE(report.clean());
    EXPECT_EQ(report.counters.total.bankConflicts(), 0u);
  }
}

using Sequences = std::vector<AttentionProblem::Sequence>;

AttentionProblem withSequences(AttentionProblem problem, Sequences sequences) {
  problem.sequences = std::move(sequences);
  return problem;
}

AttentionProblem plain(std::string name, int64_t qHeads, int64_t kvHeads,
                       int64_t size, bool isNarrow, Sequences sequences) {
  AttentionProblem problem;
  problem.name = std::move(name);
  problem.qHeads = qHeads;
  problem.kvHeads = kvHeads;
  problem.keySize = problem.valueSize = size;
  problem.isNarrow = isNarrow;
  problem.sequences = std::move(sequences);
  return problem;
}

std::vector<AttentionProblem> problems() {
  std::vector<AttentionProblem> all;
  // Contexts around the ends of pages and slices; several slices, and tokens
  // with fewer of them than others.
  all.push_back(plain("page_ends", 4, 2, 16, true,
                      {{1, 1}, {32, 1}, {33, 2}, {255, 1}, {257, 1}}));
  all.push_back(plain("long", 4, 1, 64, true, {{1500, 1}}));
  all.push_back(
      plain("groups_of_heads", 14, 2, 128, true, {{300, 1}, {40, 3}}));
  all.push_back(plain("one_head_each", 3, 3, 80, true, {{290, 2}}));
  all.push_back(plain("wide", 4, 2, 256, true, {{270, 1}}));
  all.push_back(plain("f32", 8, 2, 128, false, {{300, 1}, {3, 3}}));
  all.push_back(plain("f32_odd", 2, 1, 20, false, {{300, 2}}));
  all.push_back(plain("odd", 2, 1, 5, true, {{40, 2}}));
  // One slice each: nothing is joined.
  all.push_back(plain("many_tokens", 256, 32, 16, true, {{50, 12}}));
  AttentionProblem window = plain("window", 4, 2, 32, true, {{700, 3}, {7, 7}});
  window.window = 300;
  window.hasSinks = true;
  all.push_back(window);
  window.name = "narrow_window";
  window.window = 5;
  all.push_back(window);
  AttentionProblem bias = plain("slopes", 4, 4, 32, true, {{500, 1}});
  bias.hasSlopes = true;
  all.push_back(bias);
  AttentionProblem cap = plain("softcap_sinks", 4, 2, 32, false, {{500, 1}});
  cap.softcap = 2.0f;
  cap.hasSinks = true;
  all.push_back(cap);
  cap.name = "softcap_sinks_one_slice";
  cap.qHeads = 512;
  cap.kvHeads = 256;
  cap.sequences = {{20, 2}};
  all.push_back(cap);
  AttentionProblem latent = plain("latent", 16, 1, 576, true, {{330, 1}});
  latent.valueSize = 512;
  latent.hasSharedRows = true;
  all.push_back(latent);
  latent.name = "latent_f32";
  latent.isNarrow = false;
  latent.keySize = 40;
  latent.valueSize = 32;
  all.push_back(latent);
  AttentionProblem unequal = plain("unequal", 4, 4, 48, true, {{300, 1}});
  unequal.valueSize = 32;
  all.push_back(unequal);
  return all;
}

INSTANTIATE_TEST_SUITE_P(
    All, PageAttentionTest, testing::ValuesIn(problems()),
    [](const testing::TestParamInfo<AttentionProblem> &info) {
      return info.param.name;
    });

std::vector<std::string> kernelsFor(AttentionProblem problem, int32_t tokens) {
  return AttentionRun(withSequences(std::move(problem), {{tokens, tokens}}))
      .run()
      .kernels;
}

TEST(AttentionKernelsTest, TheNumberOfTokensDecides) {
  using Names = std::vector<std::string>;
  AttentionProblem problem = plain("", 64, 64, 8, true, {});
  // 512 blocks are enough: eight tokens with 64 of them have one slice each.
  EXPECT_EQ(kernelsFor(problem, 4), (Names{"_slices", "_join"}));
  EXPECT_EQ(kernelsFor(problem, 5), (Names{""}));
  problem.qHeads = problem.kvHeads = 300;
  EXPECT_EQ(kernelsFor(problem, 1), (Names{""}));
}

TEST(AttentionKernelsTest, EveryNumberOfTokensHasKernels) {
  MLIRContext context;
  Type bf16 = BFloat16Type::get(&context);
  for (int64_t kvHeads : {1, 3, 8, 200, 600}) {
    cpu::AttentionShape shape{4 * kvHeads, kvHeads, 128,         128,
                              bf16,        {},      /*scale=*/1, {}};
    SmallVector<AttentionKernel> kernels = attentionKernels(shape);
    int64_t next = 1, slices = std::numeric_limits<int64_t>::max();
    for (const AttentionKernel &kernel : kernels) {
      if (kernel.readsPartial) // Beside the slices.
        continue;
      for (const LaunchRange &range : kernel.ranges) {
        EXPECT_EQ(range.rows.first, next);
        next = int64_t(range.rows.last) + 1;
        // The first number of tokens has the most slices of each.
        EXPECT_LT(range.columns, slices);
        slices = range.columns;
        EXPECT_LE(range.columns, kernel.grid.columns);
      }
    }
    EXPECT_EQ(next, int64_t(1) << 31);
    EXPECT_EQ(kernels.size() > 1, kvHeads <= 256) << kvHeads;
  }
}

/// A decode step over a long context reads each key and value once: heads that
/// share them are in one block.
TEST(AttentionCostTest, ReadsKeysAndValuesOnce) {
  AttentionRun run(plain("", 8, 2, 128, true, {{2048, 1}}));
  AttentionOutcome outcome = run.run();
  ASSERT_EQ(outcome.kernels, (std::vector<std::string>{"_slices", "_join"}));
  const ptx::OpCounter &total = outcome.reports[0].counters.total;
  // Of sectors that are asked for all is used, but for numbers of the step.
  uint64_t least = 2 * 2048 * 2 * 128 * 2 / 32;
  EXPECT_GE(total.sectors, least);
  EXPECT_LE(double(total.sectors), 1.05 * double(least));
}

} // namespace
