//===- AttentionHarness.h - Attention on the PTX machine ------ -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Steps with paged keys and values in a machine's memory, the kernels that the
// step's number of tokens chooses, and a softmax in f64.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_CODEGEN_CUDA_ATTENTIONHARNESS_H
#define CLADE_TEST_CODEGEN_CUDA_ATTENTIONHARNESS_H

#include "lib/CodeGen/CUDA/TiledAttention.h"

#include "TileHarness.h"
#include "clade/abi.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"

namespace clade::cuda {

/// A shape, and the sequences of a step: each has so many tokens in all, the
/// last `run` of which are the step's.
struct AttentionProblem {
  std::string name;
  int64_t qHeads, kvHeads, keySize, valueSize;
  bool isNarrow = false, hasSlopes = false, hasSinks = false,
       hasSharedRows = false, isBidirectional = false;
  std::optional<int64_t> window = {};
  std::optional<float> softcap = {};
  struct Sequence {
    int32_t length, run;
  };
  std::vector<Sequence> sequences = {{1, 1}};
  /// Tokens of a group that follow each other; 0 if there are none.
  int32_t groupTokens = 0;

  int32_t groupOf(int32_t position) const {
    return groupTokens ? position / groupTokens % 3 : 0;
  }

  int64_t numTokens() const {
    int64_t count = 0;
    for (const Sequence &sequence : sequences)
      count += sequence.run;
    return count;
  }
  std::vector<float> slopes() const {
    std::vector<float> all;
    for (int64_t head = 0; hasSlopes && head < qHeads; ++head)
      all.push_back(std::exp2(-0.5f * float(head + 1)));
    return all;
  }
};

/// What was launched, and what it gave.
struct AttentionOutcome {
  std::vector<float> output;
  std::vector<std::string> kernels; ///< Suffixes, in order.
  std::vector<ptx::LaunchReport> reports;
};

class AttentionRun {
public:
  explicit AttentionRun(const AttentionProblem &problem) : problem(problem) {
    fill();
  }
  /// Runs what a step of that many tokens launches; keeps so many requests to
  /// memory.
  AttentionOutcome run(uint64_t traceCapacity = 0);
  /// Compares each element with f64.
  void expectClose(const std::vector<float> &output) const;

private:
  using Row = std::vector<double>;
  void fill();
  cpu::AttentionShape shapeIn(mlir::OpBuilder &builder) const;
  uint64_t upload(ptx::test::Harness &harness,
                  const std::vector<uint16_t> &numbers) const;
  uint64_t uploadStep(ptx::test::Harness &harness) const;
  uint64_t uploadState(ptx::test::Harness &harness) const;
  int32_t pageOf(size_t sequence, int32_t entry) const {
    return pages[sequence * static_cast<size_t>(pagesStride) +
                 static_cast<size_t>(entry)];
  }
  double keyAt(size_t sequence, int32_t position, int64_t head,
               int64_t at) const;
  double valueAt(size_t sequence, int32_t position, int64_t head,
                 int64_t at) const;

  const AttentionProblem problem;
  static constexpr float scale = 0.3125f;
  std::vector<uint16_t> queries, keys, values, sinks;
  std::vector<int32_t> pages, positions, sequenceOf, firstToken;
  int32_t pagesStride = 0, numPages = 0;
  std::vector<float> slopes;
};

} // namespace clade::cuda

#endif // CLADE_TEST_CODEGEN_CUDA_ATTENTIONHARNESS_H
