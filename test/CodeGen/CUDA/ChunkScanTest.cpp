//===- ChunkScanTest.cpp - Linear recurrences, also on tensor cores -------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ScanHarness.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;

namespace {

using Sequences = std::vector<ScanProblem::Sequence>;

ScanProblem mamba(std::string name, int64_t heads, int64_t keySize,
                  int64_t valueSize, Sequences sequences) {
  ScanProblem problem;
  problem.name = std::move(name);
  problem.heads = heads;
  problem.keySize = keySize;
  problem.valueSize = valueSize;
  problem.keysAreLast = true;
  problem.sequences = std::move(sequences);
  return problem;
}

ScanProblem delta(std::string name, int64_t heads, int64_t keySize,
                  int64_t valueSize, Sequences sequences) {
  ScanProblem problem =
      mamba(std::move(name), heads, keySize, valueSize, std::move(sequences));
  problem.hasRate = true;
  problem.keysAreLast = false;
  // So that bounds of errors shrink faster than keys make them grow.
  problem.decay = 4;
  return problem;
}

std::vector<ScanProblem> problems() {
  std::vector<ScanProblem> all;
  // The sizes of published models.
  all.push_back(mamba("mamba2", 1, 128, 64, {{0, 70}}));
  all.push_back(delta("qwen3_next", 1, 128, 128, {{0, 70}}));
  // Chunks with tails and without, in steps that begin with a state; sequences
  // that are left to the other kernel beside and between them.
  all.push_back(mamba("whole_chunks", 2, 16, 16, {{0, 64}, {5, 32}}));
  all.push_back(delta("shortest", 2, 32, 16, {{9, 16}}));
  all.push_back(mamba("sequences", 2, 16, 16,
                      {{0, 1}, {3, 17}, {0, 15}, {2, 16}, {7, 3}, {0, 40}}));
  all.push_back(
      delta("sequences_delta", 2, 16, 16, {{4, 33}, {1, 1}, {0, 16}, {8, 31}}));
  all.push_back(delta("few_tokens", 3, 40, 24, {{0, 5}, {6, 15}}));
  // Keys and values that fill no fragments, warps and blocks.
  all.push_back(mamba("odd", 3, 21, 13, {{0, 35}, {2, 20}}));
  all.push_back(delta("odd_delta", 3, 24, 70, {{3, 50}}));
  all.push_back(delta("most_keys", 1, 136, 8, {{0, 33}}));
  ScanProblem groups = mamba("groups", 4, 24, 32, {{0, 40}});
  groups.headsOfKey = 2;
  all.push_back(groups);
  ScanProblem initial = delta("initial", 2, 16, 20, {{0, 20}, {1, 18}, {0, 2}});
  initial.hasInitial = true;
  all.push_back(initial);
  initial.name = "initial_keys_last";
  initial.keysAreLast = true;
  all.push_back(initial);
  // Decays that leave nothing behind: products of two of them never overflow.
  ScanProblem strong = delta("strong_decay", 1, 16, 16, {{0, 100}});
  strong.decay = 200;
  all.push_back(strong);
  return all;
}

class ScanTest : public testing::TestWithParam<ScanProblem> {};

TEST_P(ScanTest, IsTheRecurrence) {
  ScanRun run(GetParam());
  ScanOutcome outcome = run.run();
  run.expectClose(outcome);
  for (const ptx::LaunchReport &report : outcome.reports) {
    EXPECT_TRUE(report.clean());
    EXPECT_EQ(report.counters.total.bankConflicts(), 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ScanTest, testing::ValuesIn(problems()),
                         [](const testing::TestParamInfo<ScanProblem> &info) {
                           return info.param.name;
                         });

/// States that last: the rms of errors is that of a few splits, of 2^-20 each,
/// and of sums in f32, however many chunks there are.
TEST(ChunkScanTest, ErrorsDoNotGrowWithTheTokens) {
  for (bool hasRate : {false, true})
    for (int32_t tokens : {64, 640}) {
      ScanProblem problem = hasRate ? delta("", 1, 64, 32, {{0, tokens}})
                                    : mamba("", 1, 64, 32, {{0, tokens}});
      problem.decay = 0.02f;
      ScanRun run(problem);
      ScanOutcome outcome = run.run();
      EXPECT_LE(run.relativeError(outcome), 6 * 0x1p-20)
          << hasRate << ", " << tokens << " tokens";
    }
}

/// Fragments that are multiplied: all of S, keys and queries, and of the
/// products between tokens those that are not above the diagonal.
TEST(ChunkScanTest, ProductsAreOnTensorCores) {
  // Of three products each.
  uint64_t fragment = 3 * 2 * 16 * 8 * 8;
  auto operations = [&](const ScanProblem &problem) {
    ScanOutcome outcome = ScanRun(problem).run();
    EXPECT_EQ(outcome.areChunked, std::vector{true});
    return outcome.reports[0]
               .counters.tensorOperations[unsigned(ptx::Format::TF32)] /
           fragment;
  };
  // Two chunks; 16 fragments of keys, four of tokens, four warps with values.
  uint64_t keys = 16, tokens = 4, lower = 10;
  EXPECT_EQ(operations(mamba("", 1, 128, 64, {{0, 64}})),
            2 * (2 * keys * tokens + 4 * (2 * keys * tokens + lower)));
  // Inverses are of 16 tokens, three fragments of each; −A has four beside.
  EXPECT_EQ(
      operations(delta("", 1, 128, 64, {{0, 64}})),
      2 * (4 * keys * tokens + 4 * (3 * keys * tokens + lower + 2 * 3 + 4)));
}

TEST(ChunkScanTest, LongRunsDecide) {
  auto kernels = [](Sequences sequences) {
    return ScanRun(mamba("", 1, 8, 8, std::move(sequences))).run().areChunked;
  };
  EXPECT_EQ(kernels({{0, 15}, {3, 1}}), std::vector{false});
  EXPECT_EQ(kernels({{0, 16}}), std::vector{true});
  EXPECT_EQ(kernels({{3, 1}, {0, 16}}), (std::vector{false, true}));
}

TEST(ChunkScanTest, TwoChunksFitIntoSharedMemory) {
  Target target = targetOf("sm_80");
  LinearRecurrence parts;
  parts.heads = 4;
  parts.valueSize = 128;
  parts.keySize = 136;
  EXPECT_TRUE(canScanChunks(target, parts));
  parts.keySize = 256;
  EXPECT_FALSE(canScanChunks(target, parts));
}

} // namespace
