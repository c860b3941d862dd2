//===- ScanHarness.h - Linear recurrences on the PTX machine -- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Steps with states in a machine's memory, the kernels that their sequences
// choose, and the recurrence in f64.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_CODEGEN_CUDA_SCANHARNESS_H
#define CLADE_TEST_CODEGEN_CUDA_SCANHARNESS_H

#include "lib/CodeGen/CUDA/ChunkScan.h"

#include "TileHarness.h"

namespace clade::cuda {

/// A recurrence, and the sequences of a step: each has so many tokens before
/// the step, and so many in it.
struct ScanProblem {
  std::string name;
  int64_t heads, keySize, valueSize;
  bool hasRate = false, keysAreLast = false, hasInitial = false;
  int64_t headsOfKey = 1; ///< Heads that share keys and queries.
  /// The largest −g.
  float decay = 2;
  struct Sequence {
    int32_t before, run;
  };
  std::vector<Sequence> sequences = {{0, 32}};
};

/// What was launched, and what it gave.
struct ScanOutcome {
  std::vector<float> output; ///< [tokens, heads, values]
  std::vector<float> states; ///< A page of each sequence.
  std::vector<bool> areChunked;
  std::vector<ptx::LaunchReport> reports;
};

class ScanRun {
public:
  explicit ScanRun(const ScanProblem &problem);
  ScanOutcome run() const;
  /// Compares each element with f64, with bounds from what is rounded on its
  /// way.
  void expectClose(const ScanOutcome &outcome) const;
  /// The rms of the errors of all outputs, as a part of the outputs' own.
  double relativeError(const ScanOutcome &outcome) const;

private:
  /// f64, and bounds of the errors.
  struct Exact {
    std::vector<double> output, outputBound, states, stateBound;
  };
  Exact compute() const;
  LinearScan scanIn(mlir::OpBuilder &builder, mlir::Location loc,
                    mlir::ValueRange arguments) const;
  size_t stateSize() const {
    return static_cast<size_t>(problem.heads * problem.keySize *
                               problem.valueSize);
  }
  size_t statePlace(int64_t head, int64_t key, int64_t value) const {
    return static_cast<size_t>(
        problem.keysAreLast
            ? (head * problem.valueSize + value) * problem.keySize + key
            : (head * problem.keySize + key) * problem.valueSize + value);
  }

  const ScanProblem problem;
  int32_t numTokens = 0;
  std::vector<float> queries, keys, values, decays, rates, initial, states;
  std::vector<int32_t> pages, positions, sequenceOf, firstToken;
};

} // namespace clade::cuda

#endif // CLADE_TEST_CODEGEN_CUDA_SCANHARNESS_H
