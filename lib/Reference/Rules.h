//===- Rules.h - One rule for each op of the clade dialect ------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What each op computes, as its description says, by the most obvious loops.
// Operands fit their types (the verifiers have run); sizes that only a step
// knows are checked here, with a diagnostic at the op. Ops of structure (param,
// kernel, layers) are the interpreter's own.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_REFERENCE_RULES_H
#define CLADE_LIB_REFERENCE_RULES_H

#include "lib/Reference/Tensor.h"

namespace clade::reference {

/// The keys and values of one sequence in one state: row p is position p.
struct KeyValueState {
  int64_t heads = 0, keySize = 0, valueSize = 0;
  int64_t length = 0;
  std::vector<float> keys; ///< [length][heads][keySize]
  /// [length][heads][valueSize]; none where values are the first elements of
  /// the keys, and valueSize is 0.
  std::vector<float> values;

  /// Forgets everything from position `newLength` on.
  void truncate(int64_t newLength);
};

/// What one sequence keeps in a state of fixed size; empty before its first
/// token.
struct RecurrentState {
  std::vector<float> values;
};

// Elementwise.cpp
mlir::FailureOr<Tensor> evaluate(UnaryOp op, const Tensor &input,
                                 const Batch &batch);
mlir::FailureOr<Tensor> evaluate(BinaryOp op, const Tensor &lhs,
                                 const Tensor &rhs, const Batch &batch);
mlir::FailureOr<Tensor> evaluate(CastOp op, const Tensor &input,
                                 const Batch &batch);
mlir::FailureOr<Tensor> evaluate(ConstantOp op, const Batch &batch);

// Reduction.cpp
mlir::FailureOr<Tensor> evaluate(ReduceOp op, const Tensor &input,
                                 const Batch &batch);
mlir::FailureOr<Tensor> evaluate(SoftmaxOp op, const Tensor &input,
                                 const Batch &batch);

// Selection.cpp
/// Values, then indices.
mlir::FailureOr<std::pair<Tensor, Tensor>>
evaluate(TopKOp op, const Tensor &input, const Batch &batch);
mlir::FailureOr<Tensor> evaluate(GatherOp op, const Tensor &input,
                                 const Tensor &indices, const Batch &batch);
mlir::FailureOr<Tensor> evaluate(MemberOp op, const Tensor &indices,
                                 const Batch &batch);
mlir::FailureOr<Tensor> evaluate(WhereOp op, const Tensor &condition,
                                 const Tensor &onTrue, const Tensor &onFalse,
                                 const Batch &batch);

// Shape.cpp
mlir::FailureOr<Tensor> evaluate(ViewOp op, const Tensor &input,
                                 const Batch &batch);
mlir::FailureOr<Tensor> evaluate(SliceOp op, const Tensor &input,
                                 const Batch &batch);
mlir::FailureOr<Tensor> evaluate(JoinOp op, llvm::ArrayRef<Tensor> inputs,
                                 const Batch &batch);
mlir::FailureOr<Tensor> evaluate(SpreadOp op, const Tensor &input,
                                 const Batch &batch);
mlir::FailureOr<Tensor> evaluate(SelectOp op, const Tensor &input,
                                 const Batch &batch);

// Position.cpp
mlir::FailureOr<Tensor> evaluate(PositionsOp op, const Batch &batch);
/// Cosines, then sines.
mlir::FailureOr<std::pair<Tensor, Tensor>>
evaluate(RotaryTableOp op, const Tensor &positions, const Batch &batch);
mlir::FailureOr<Tensor> evaluate(RopeOp op, const Tensor &input,
                                 const Tensor &cos, const Tensor &sin,
                                 const Batch &batch);

// Media.cpp
mlir::FailureOr<Tensor> evaluate(GridPositionsOp op, const Batch &batch);
/// The frame, then the frames of its film.
mlir::FailureOr<std::pair<Tensor, Tensor>> evaluate(GridFramesOp op,
                                                    const Batch &batch);
mlir::FailureOr<Tensor> evaluate(GridWindowsOp op, const Batch &batch);
mlir::FailureOr<Tensor> evaluate(InterpolateOp op, const Tensor &table,
                                 const Batch &batch);
mlir::FailureOr<Tensor> evaluate(FoldOp op, const Tensor &input,
                                 const Batch &batch);
mlir::FailureOr<Tensor> evaluate(PutAtOp op, const Tensor &input,
                                 const Batch &batch);

// Product.cpp
/// `bias` may be null.
mlir::FailureOr<Tensor> evaluate(LinearOp op, const Tensor &input,
                                 const Tensor &weight, const Tensor *bias,
                                 const Batch &batch);
mlir::FailureOr<Tensor> evaluate(HeadLinearOp op, const Tensor &input,
                                 const Tensor &weight, const Batch &batch);
mlir::FailureOr<Tensor> evaluate(ExpertLinearOp op, const Tensor &input,
                                 const Tensor &chosen, const Tensor &weight,
                                 const Tensor *bias, const Batch &batch);
/// `chosen` is null without experts.
mlir::FailureOr<Tensor> evaluate(AdapterChoiceOp op, const Tensor *chosen,
                                 const Batch &batch);
mlir::FailureOr<Tensor> evaluate(MixOp op, const Tensor &input,
                                 const Tensor &share, const Tensor &chosen,
                                 const Batch &batch);
mlir::FailureOr<Tensor> evaluate(EmbedOp op, const Tensor &ids,
                                 const Tensor &table, const Batch &batch);

// Attention.cpp. `states[s]` is the state of sequence s of the batch; `sink`
// may be null.
mlir::FailureOr<Tensor> evaluate(AttendOp op, const Tensor &query,
                                 const Tensor &key, const Tensor &value,
                                 const Tensor *sink, const Tensor *groups,
                                 llvm::ArrayRef<KeyValueState *> states,
                                 const Batch &batch);
mlir::LogicalResult evaluate(CacheWriteOp op, const Tensor &key,
                             const Tensor &value,
                             llvm::ArrayRef<KeyValueState *> states,
                             const Batch &batch);
mlir::FailureOr<Tensor> evaluate(AttendCachedOp op, const Tensor &query,
                                 const Tensor *sink, const Tensor *groups,
                                 llvm::ArrayRef<KeyValueState *> states,
                                 const Batch &batch);

// Recurrent.cpp. `states[s]` is the state of sequence s of the batch; `bias`
// may be null.
mlir::FailureOr<Tensor> evaluate(RepeatOp op, const Tensor &input,
                                 const Batch &batch);
mlir::FailureOr<Tensor> evaluate(CausalConvOp op, const Tensor &input,
                                 const Tensor &weight, const Tensor *bias,
                                 llvm::ArrayRef<RecurrentState *> states,
                                 const Batch &batch);

} // namespace clade::reference

#endif // CLADE_LIB_REFERENCE_RULES_H
