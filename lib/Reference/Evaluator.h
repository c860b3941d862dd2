//===- Evaluator.h - One step through a module ------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Walks the ops of an entry function for one step: ops of structure here,
// others by their rules. Private to the interpreter.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_REFERENCE_EVALUATOR_H
#define CLADE_LIB_REFERENCE_EVALUATOR_H

#include "lib/Reference/Interpreter.h"
#include "lib/Reference/Rules.h"
#include "lib/Weights/Slots.h"
#include "runtime/Engine/Route.h"

namespace clade::reference {

/// The states of one sequence, by the numbers of the slot table: each is of one
/// of the kinds.
struct SequenceStates {
  SequenceStates() = default;
  explicit SequenceStates(int64_t count) : caches(count), recurrent(count) {}
  std::vector<KeyValueState> caches;
  std::vector<RecurrentState> recurrent;
};

/// The weights of a model as f32, each widened when it is first used.
class WeightValues {
public:
  WeightValues() = default;
  explicit WeightValues(rt::LoadedWeights weights);

  /// The weight in `slot` as the tensor that `op` wants.
  mlir::FailureOr<Tensor> get(ParamOp op, int64_t slot, const Batch &batch);

private:
  rt::LoadedWeights weights;
  std::vector<std::shared_ptr<std::vector<float>>> widened;
};

/// What a step runs on.
struct StepContext {
  mlir::ModuleOp module;
  const SlotTable &slots;
  WeightValues &weights;
  const Batch &batch;
  /// Of each sequence of the batch.
  llvm::ArrayRef<SequenceStates *> sequences;
  const std::function<void(const Event &)> &observer;
  /// May change the experts of a token: by its sequence in the batch.
  const std::function<void(int64_t sequence, const rt::Route &)> &router;
};

/// Runs `entry` on the tokens of the batch and returns its result.
mlir::FailureOr<Tensor> evaluateEntry(mlir::func::FuncOp entry,
                                      const StepContext &context);

} // namespace clade::reference

#endif // CLADE_LIB_REFERENCE_EVALUATOR_H
