//===- Attention.h - Attention over paged keys and values -------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Emits causal softmax attention for all tokens of a step: any mix of prefill
// and decode over several sequences, grouped query heads, optional window and
// soft cap. The keys and values of the step's own tokens must have been written
// (CacheWrite.h), with a barrier between.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_ATTENTION_H
#define CLADE_CODEGEN_CPU_ATTENTION_H

#include "lib/CodeGen/CPU/Target.h"
#include "mlir/IR/Builders.h"
#include <optional>

namespace clade::cpu {

/// What is fixed when attention is compiled. With positions p of a query and j
/// of a key of the same sequence, a query attends the keys with j <= p and, if
/// there is a window, j > p - window; or all keys of the sequence, whose tokens
/// are then all in the step.
struct AttentionShape {
  int64_t qHeads;         ///< a multiple of kvHeads
  int64_t kvHeads;        ///< query head h reads head h / (qHeads / kvHeads)
  int64_t keySize;        ///< elements of a row of queries and keys
  int64_t valueSize;      ///< elements of a row of values and of the output
  mlir::Type elementType; ///< of queries, cache and output: bf16 or f32
  std::optional<int64_t> window; ///< >= 1
  float scale;                   ///< scores are (q . k) * scale
  std::optional<float> softcap;  ///< c: scores become c * tanh(scores / c)
  /// Of each query head m, or none: scores become scores + m * (j - p).
  llvm::ArrayRef<float> slopes = {};
  /// Of the sinks, one more score of each query head that has no value; null if
  /// there are none. bf16 or f32.
  mlir::Type sinkType = {};
  /// Only for bf16: rounds where a reference that runs operation by operation
  /// in bf16 does, that is q . k, its product with `scale`, the three steps of
  /// the soft cap, the sum with the bias, and the probabilities after a softmax
  /// in f32. Otherwise everything between loads and the final store is f32,
  /// but for the exponentials, which may be rounded to bf16 before they
  /// multiply values.
  bool referenceRounding = false;
  /// With `referenceRounding`, the distance of a score to the largest one
  /// rounds, too.
  bool roundsDistance = false;
  /// Whether queries attend what is behind them, too; then without a window and
  /// slopes.
  bool isBidirectional = false;
  /// Whether tokens have numbers, and attend only those of their own; only
  /// where attention is bidirectional.
  bool hasGroups = false;
  /// Whether values are the first elements of the keys' rows: the state then
  /// has no values of its own.
  bool hasSharedRows = false;

  /// Elements between two rows of values in the state.
  int64_t valueStride() const { return hasSharedRows ? keySize : valueSize; }
};

/// How much scratch memory a thread needs: `fixedBytes` and `bytesPerToken` for
/// each token of the longest sequence's context, of which at most `maxTokens`
/// count.
struct AttentionScratch {
  int64_t fixedBytes;
  int64_t bytesPerToken;
  std::optional<int64_t> maxTokens;
};

AttentionScratch attentionScratch(const Target &target,
                                  const AttentionShape &shape);

/// The bytes that `attentionScratch` describes for sequences of up to
/// `contextTokens` tokens, those of the step included.
int64_t attentionScratchBytes(const Target &target, const AttentionShape &shape,
                              int64_t contextTokens);

/// A long context of one token is cut into slices, so that several threads
/// share it: bytes of memory of all threads for each sequence of a step, in
/// which they leave what they found; 0 where no context is cut.
int64_t attentionSliceBytes(const Target &target, const AttentionShape &shape);

/// Emits this thread's share of the attention of the CladeStep at `step` over
/// the CladeKVState at `state`. `queries` points to [token][qHeads][keySize],
/// `output` to [token][qHeads][valueSize]; `thread` and `numThreads` are of
/// type index; `scratch` points to this thread's scratch memory; `sinks` points
/// to [qHeads] if the shape has a type of sinks, `groups` to the number (i32)
/// of each token if it has groups; `slices` to the memory that
/// attentionSliceBytes() describes. The bits of the output do not depend on
/// `numThreads`. The caller needs a barrier before it reads the output of other
/// threads.
void emitAttention(mlir::OpBuilder &builder, mlir::Location loc,
                   const Target &target, const AttentionShape &shape,
                   mlir::Value step, mlir::Value state, mlir::Value queries,
                   mlir::Value output, mlir::Value thread,
                   mlir::Value numThreads, mlir::Value scratch,
                   mlir::Value slices, mlir::Value sinks = {},
                   mlir::Value groups = {});

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_ATTENTION_H
