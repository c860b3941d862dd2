//===- AttentionTest.cpp - Attention over paged keys and values -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttentionHarness.h"

#include "lib/CodeGen/CUDA/AttentionSlices.h"
#include "lib/PTX/Roofline.h"

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
  // Whole sequences in both directions; of a group there is no key in some
  // pages.
  AttentionProblem both =
      plain("both_directions", 4, 2, 32, false, {{70, 70}, {1, 1}, {33, 33}});
  both.isBidirectional = true;
  all.push_back(both);
  both.name = "groups";
  both.groupTokens = 40;
  all.push_back(both);
  both.name = "groups_bf16";
  both.isNarrow = true;
  both.groupTokens = 4;
  both.sequences = {{15, 15}, {9, 9}};
  all.push_back(both);
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

std::vector<AttentionProblem> tiledProblems() {
  std::vector<AttentionProblem> all;
  // Tiles with tails, prompts in pieces, several sequences in a tile, and some
  // that are left to the other kernels.
  all.push_back(plain("one_tile", 2, 1, 64, true, {{64, 64}}));
  all.push_back(plain("tails", 2, 2, 128, true, {{150, 150}}));
  all.push_back(plain("behind_a_context", 4, 2, 32, true, {{300, 70}}));
  all.push_back(plain("sequences", 2, 1, 16, true,
                      {{40, 40}, {3, 3}, {90, 16}, {200, 1}, {33, 20}}));
  all.push_back(plain("half_fragments", 2, 1, 24, true, {{70, 70}}));
  all.push_back(plain("rows_of_80", 3, 3, 80, true, {{90, 66}}));
  all.push_back(plain("wide", 2, 1, 256, true, {{100, 70}}));
  AttentionProblem window = plain("window", 2, 1, 32, true, {{300, 130}});
  window.window = 70;
  window.hasSinks = true;
  all.push_back(window);
  window.name = "narrow_window";
  window.window = 5;
  window.sequences = {{100, 100}, {50, 17}};
  all.push_back(window);
  AttentionProblem bias = plain("slopes", 4, 4, 32, true, {{100, 40}});
  bias.hasSlopes = true;
  all.push_back(bias);
  AttentionProblem cap = plain("softcap", 2, 2, 64, true, {{130, 130}});
  cap.softcap = 2.0f;
  all.push_back(cap);
  AttentionProblem shared = plain("latent", 4, 1, 48, true, {{90, 70}});
  shared.valueSize = 32;
  shared.hasSharedRows = true;
  all.push_back(shared);
  // Keys and sums of two warps for each 16 tokens, one stage.
  shared.name = "latent_576";
  shared.qHeads = 2;
  shared.keySize = 576;
  shared.valueSize = 512;
  shared.sequences = {{100, 70}};
  all.push_back(shared);
  AttentionProblem both =
      plain("both_directions", 2, 1, 64, true, {{150, 150}, {20, 20}, {3, 3}});
  both.isBidirectional = true;
  all.push_back(both);
  // Groups in turns, so that tiles of keys have keys of others as well, and
  // rows that attend none of a tile.
  both.name = "groups";
  both.groupTokens = 4;
  all.push_back(both);
  both.name = "long_groups";
  both.groupTokens = 70;
  both.sequences = {{40, 40}, {300, 300}, {5, 5}};
  all.push_back(both);
  AttentionProblem unequal = plain("unequal", 2, 2, 96, true, {{80, 80}});
  unequal.valueSize = 64;
  all.push_back(unequal);
  return all;
}

INSTANTIATE_TEST_SUITE_P(
    Tiled, PageAttentionTest, testing::ValuesIn(tiledProblems()),
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
  AttentionProblem problem = plain("", 64, 64, 8, false, {});
  // 512 blocks are enough: eight tokens with 64 of them have one slice each.
  EXPECT_EQ(kernelsFor(problem, 4), (Names{"_slices", "_join"}));
  EXPECT_EQ(kernelsFor(problem, 5), (Names{""}));
  problem.qHeads = problem.kvHeads = 300;
  EXPECT_EQ(kernelsFor(problem, 1), (Names{""}));
  // Prompts in bf16 are tiled, single tokens beside them are not.
  problem = plain("", 8, 2, 16, true, {});
  EXPECT_EQ(kernelsFor(problem, 15), (Names{"_slices", "_join"}));
  EXPECT_EQ(kernelsFor(problem, 16), (Names{"_tiled"}));
  problem.sequences = {{16, 16}, {9, 1}};
  EXPECT_EQ(AttentionRun(problem).run().kernels,
            (Names{"_slices", "_join", "_tiled"}));
  problem.keySize = problem.valueSize = 20; // No whole pieces.
  EXPECT_EQ(kernelsFor(problem, 16), (Names{"_slices", "_join"}));
}

TEST(AttentionKernelsTest, EveryNumberOfTokensHasKernels) {
  MLIRContext context;
  Type bf16 = BFloat16Type::get(&context);
  Target target = targetOf("sm_80");
  for (int64_t kvHeads : {1, 3, 8, 200, 600}) {
    cpu::AttentionShape shape{4 * kvHeads, kvHeads, 128,         128,
                              bf16,        {},      /*scale=*/1, {}};
    SmallVector<AttentionKernel> kernels = attentionKernels(target, shape);
    int64_t next = 1, slices = std::numeric_limits<int64_t>::max();
    for (const AttentionKernel &kernel : kernels) {
      // Beside the slices, and for other tokens.
      if (kernel.readsPartial || kernel.suffix == "_tiled")
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
    EXPECT_EQ(kernels.size() > 2, kvHeads <= 256) << kvHeads;
  }
}

/// A decode step over a long context reads each key and value once: heads that
/// share them are in one block.
TEST(AttentionCostTest, ReadsKeysAndValuesOnce) {
  AttentionRun run(plain("", 8, 2, 128, true, {{2048, 1}}));
  AttentionOutcome outcome = run.run(/*traceCapacity=*/1 << 20);
  ASSERT_EQ(outcome.kernels, (std::vector<std::string>{"_slices", "_join"}));
  const ptx::Counters &counters = outcome.reports[0].counters;
  ptx::LaunchedKernel kernel;
  kernel.target = "sm_80";
  kernel.blocks = counters.blocks;
  kernel.block = {attentionThreads, 128, 0};
  ptx::Prediction found = ptx::predict(*ptx::findGpu("a100"), kernel, counters,
                                       *outcome.reports[0].trace);
  double least = 2.0 * 2048 * 2 * 128 * 2;
  EXPECT_GE(double(found.traffic.dramBytes()), least);
  EXPECT_LE(double(found.traffic.dramBytes()), 1.05 * least);
}

/// A tile multiplies on tensor cores, and reads its keys and values once.
TEST(AttentionCostTest, TilesReadWholeSectorsOnce) {
  AttentionRun run(plain("", 1, 1, 128, true, {{64, 64}}));
  AttentionOutcome outcome = run.run();
  ASSERT_EQ(outcome.kernels, (std::vector<std::string>{"_tiled"}));
  const ptx::Counters &counters = outcome.reports[0].counters;
  EXPECT_EQ(counters.tensorOperations[unsigned(ptx::Format::F16)],
            uint64_t(2) * 2 * 64 * 64 * 128);
  uint64_t least = 3 * 64 * 128 * 2 / 32, stored = 64 * 128 * 2 / 32;
  EXPECT_LE(counters.total.sectors, least + 2 * stored + 400);
}

/// Keys behind the last token of a tile, and before the window of the first
/// one, are not multiplied.
TEST(AttentionCostTest, TilesSkipWhatIsNotAttended) {
  AttentionProblem problem = plain("", 1, 1, 32, true, {{1024, 1024}});
  auto tilesOf = [](const AttentionProblem &problem) {
    AttentionOutcome outcome = AttentionRun(problem).run();
    EXPECT_EQ(outcome.kernels, (std::vector<std::string>{"_tiled"}));
    return outcome.reports[0]
               .counters.tensorOperations[unsigned(ptx::Format::F16)] /
           (uint64_t(2) * 2 * 64 * 64 * 32);
  };
  EXPECT_EQ(tilesOf(problem), 16u * 17 / 2);
  // 63 keys before the tile: two pages, and its own two.
  problem.window = 64;
  EXPECT_EQ(tilesOf(problem), 16u * 2 - 1);
  // Groups of two tiles, each behind the other.
  problem.window = {};
  problem.isBidirectional = true;
  problem.groupTokens = 128;
  problem.sequences = {{384, 384}};
  EXPECT_EQ(tilesOf(problem), 6u * 2);
}

} // namespace
