//===- AttentionHarness.h - Attention as a callable function ----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Lays out a step with its paged cache, and compiles attention for it. All
// memory that attention must not read as a number is NaN: pages, slots and rows
// without a token, and scratch memory. Behind each buffer nothing can be read.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_CODEGEN_ATTENTION_ATTENTIONHARNESS_H
#define CLADE_TEST_CODEGEN_ATTENTION_ATTENTIONHARNESS_H

#include "lib/CodeGen/CPU/Attention.h"
#include "runtime/include/clade/abi.h"
#include "test/CodeGen/GuardedBuffer.h"
#include "test/CodeGen/KernelTestSupport.h"
#include "test/CodeGen/ProductHarness.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace clade::cpu::test {

/// AttentionShape without MLIR types, and what else a compiled function needs.
struct AttentionCase {
  int64_t qHeads = 4, kvHeads = 1, keySize = 64, valueSize = 64;
  bool bf16 = true;
  std::optional<int64_t> window;
  float scale = 0.125f;
  std::optional<float> softcap;
  bool referenceRounding = false;
  bool isBidirectional = false; ///< Only of sequences that are whole.
  bool hasSharedRows = false;   ///< There are no values beside the keys.
  bool hasSinks = false;        ///< In f32.
  int32_t groups = 0;   ///< Only if bidirectional: groups that take turns.
  int64_t groupRun = 5; ///< Tokens of one group behind each other.

  int32_t groupOf(int64_t position) const {
    return position / groupRun % groups;
  }
};

/// Tokens [start, start + count) of a sequence are in the step.
struct SequencePart {
  int64_t start;
  int64_t count;
};

/// Queries, keys and values of a step, and everything a CladeStep points to.
class AttentionData {
public:
  /// Random numbers, representable in the case's element type. With `exact`,
  /// small multiples of 1/8, whose products can be summed without rounding.
  AttentionData(const AttentionCase &attention,
                std::vector<SequencePart> sequences, unsigned seed,
                bool exact = false);

  int64_t numTokens() const { return positions.size(); }
  int64_t contextTokens() const;
  /// Element i of the query of `token` and `head`, and so on.
  float query(int64_t token, int64_t head, int64_t i) const;
  float key(int64_t sequence, int64_t position, int64_t head, int64_t i) const;
  float value(int64_t sequence, int64_t position, int64_t head,
              int64_t i) const;
  /// The first position whose key some token of the step attends.
  int64_t firstAttended(int64_t sequence) const;

  const AttentionCase attention;
  const bool exact;
  std::vector<SequencePart> sequences;
  std::vector<int32_t> positions, sequenceOf;
  std::vector<int32_t> pages;
  int32_t pagesStride = 0;
  GuardedBuffer queries, keys, values;
  std::vector<float> sinks; ///< Of each query head.

private:
  float element(const GuardedBuffer &buffer, int64_t index) const;
  int64_t slot(int64_t sequence, int64_t position, int64_t head) const;
  void makePages(unsigned seed);
};

/// A compiled `void(const CladeStep *, const CladeKVState *, const void
/// *queries, void *output, int64_t thread, const float *sinks)`.
class CompiledAttention {
public:
  /// Null after an error, which MLIR prints.
  static std::unique_ptr<CompiledAttention>
  create(const AttentionCase &attention, const TestCPU &cpu);

  /// Output rows as f32; ends the process if a thread leaves its scratch
  /// memory. Runs `repeats` times, for measurements.
  std::vector<float> run(const AttentionData &data, int threads,
                         int repeats = 1) const;

  const Target &target() const { return *resolved; }

private:
  AttentionShape shape;
  std::unique_ptr<mlir::MLIRContext> context;
  std::unique_ptr<Target> resolved;
  std::unique_ptr<LoadedCode> module;
};

} // namespace clade::cpu::test

#endif // CLADE_TEST_CODEGEN_ATTENTION_ATTENTIONHARNESS_H
