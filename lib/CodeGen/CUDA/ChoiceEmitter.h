//===- ChoiceEmitter.h - Kernels over rows of logits ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the greedy choice and draws share: how rows are cut into slices, and how
// the largest logit of a row is found. Private to both.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_CHOICEEMITTER_H
#define CLADE_CODEGEN_CUDA_CHOICEEMITTER_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "runtime/Device/LaunchPlan.h"

namespace clade::cuda {

/// Threads of a block, and logits of its slice: a load of 16 bytes for each.
inline constexpr int64_t sliceThreads = 256, sliceLogits = 4 * sliceThreads;
/// Threads of a block that joins the slices of a row.
inline constexpr int64_t joinThreads = 128;

/// What finds the best of each slice.
inline constexpr const char *choiceSlicesName = "choose_slices";

/// A logit (f32) and its token (i32).
struct Candidate {
  mlir::Value logit, token;
};

/// Emits into one kernel.
class ChoiceEmitter {
public:
  ChoiceEmitter(mlir::OpBuilder &builder, mlir::Location loc, int64_t vocab);

  /// The best of a slice of `logits`, f32 [row][vocab], goes to `values` and
  /// `tokens`, f32 and i32 [row][slice].
  void emitSlice(mlir::Value logits, mlir::Value values, mlir::Value tokens);
  /// The token of the best of all slices goes to `chosen`, i32 [row].
  void emitJoin(mlir::Value values, mlir::Value tokens, mlir::Value chosen);

protected:
  /// A thread's logits of its block's slice, of rising tokens. Those that are
  /// not `isInside` are the row's last logits once more.
  struct SliceLogit : Candidate {
    mlir::Value isInside;
  };
  llvm::SmallVector<SliceLogit> loadSlice(mlir::Value logits);
  /// The best of all slices, in all threads of a block of `joinThreads`.
  Candidate joinSlices(mlir::Value values, mlir::Value tokens);
  /// Runs `body` in the first thread of the block, or where `condition`.
  void onFirstThread(llvm::function_ref<void()> body);
  void emitIf(mlir::Value condition, llvm::function_ref<void()> body);
  /// The constant i32 `value`.
  mlir::Value integer(int64_t value);

  mlir::OpBuilder &builder;
  mlir::Location loc;
  int64_t vocab, slices;
  mlir::Value thread, row;

private:
  Candidate none();
  Candidate select(mlir::Value takesOther, Candidate own, Candidate other);
  mlir::Value isLarger(Candidate own, Candidate other);
  Candidate better(Candidate own, Candidate other);
  Candidate betterOfBlock(Candidate own, int64_t threads);
};

/// Adds a kernel for rows of output to `code` and `plan`: `columns` blocks for
/// a row, of `threads` threads, with `pointers` arguments behind the step.
void addChoiceKernel(
    mlir::gpu::GPUModuleOp code, mlir::Location loc, llvm::StringRef name,
    int64_t columns, int64_t threads, int64_t sharedBytes, size_t pointers,
    rt::LaunchPlan &plan,
    llvm::function_ref<void(mlir::OpBuilder &, mlir::ValueRange)> body);

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_CHOICEEMITTER_H
