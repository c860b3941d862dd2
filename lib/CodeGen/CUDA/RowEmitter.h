//===- RowEmitter.h - Token-wise computation of a block ------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Emits what a kernel computes for one token, by all threads of a block.
// Elementwise values stay expressions, evaluated where they are used, one
// feature a thread; what is used more than once, reduced, or read at other
// places is a row of f32 in shared memory, with a barrier behind it. No row is
// written twice, so there is no other hazard.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_ROWEMITTER_H
#define CLADE_CODEGEN_CUDA_ROWEMITTER_H

#include "dialect/Clade/CladeDialect.h"
#include "lib/CodeGen/CPU/RowEmitter.h"
#include "mlir/IR/Builders.h"
#include "runtime/Weights/PackedBlocks.h"

namespace clade::cuda {

struct HalfRows;

class RowEmitter {
public:
  /// `row` is the number of the token in its buffers (index); the block has
  /// `threads` threads, a multiple of a warp.
  RowEmitter(mlir::OpBuilder &builder, mlir::Location loc, int64_t threads,
             mlir::Value step, mlir::Value row);

  /// Says where a value is, before code that reads it is emitted.
  void bind(mlir::Value value, RowMemory memory) {
    memories[value] = std::move(memory);
  }
  /// Lets code read `value` under the name of `argument`, which has its axes.
  void bindTo(mlir::Value argument, mlir::Value value) {
    if (auto it = memories.find(value); it != memories.end())
      bind(argument, it->second);
    else
      aliases[argument] = value;
  }
  /// From now on, views of what lies in no order that strides tell are computed
  /// place by place, and not copied to an order of their own.
  void keepViews() { keepsViews = true; }
  /// Says where the rows of all tokens are that a fold of films reads.
  void bindFold(FoldOp fold, mlir::Value rows) {
    foldedRows[fold.getResult()] = rows;
  }
  /// Where the choices of all tokens are noted and told, i32 [row][2][choices];
  /// null in steps whose choices nobody sees.
  void bindChoices(TopKOp op, mlir::Value pointer) {
    choicePointers[op.getIndices()] = pointer;
  }
  /// The address of a state of the layer, given by the kernel.
  void bindState(int64_t state, mlir::Value address) {
    states[state] = address;
  }
  /// Where a value is; computes it to memory if it is none that was bound or
  /// evaluated there.
  const RowMemory &memoryOf(mlir::Value value) { return inMemory(value); }
  /// Stores a value to memory of its axes, wherever it is now.
  void storeInto(mlir::Value value, const RowMemory &memory) {
    writeRow(value, memory);
  }
  /// The same to shared memory of its own.
  RowMemory copyOf(mlir::Value value) {
    RowMemory memory = newRow(mlir::cast<NamedTensorType>(value.getType()));
    writeRow(value, memory);
    return memory;
  }
  /// The f32 at a place of a value: loaded, or computed from what is in memory
  /// by the elementwise ops before it.
  mlir::Value valueAt(mlir::Value value, const RowIndex &index) {
    return get(value, index);
  }
  /// Evaluates one op: keeps it as an expression, or emits its code. Fails with
  /// a diagnostic at the op for one without a CUDA form.
  mlir::LogicalResult evaluate(mlir::Operation *op);
  /// Stores a value as a contiguous row of `elementType` at `pointer`.
  void storeRow(mlir::Value value, mlir::Value pointer, mlir::Type elementType);
  /// Stores rows of `k` numbers, which `value` has behind each other, as
  /// records of activations in 8 bits (GroupCores.h) at `pointer`.
  void storeRecords(mlir::Value value, mlir::Value pointer,
                    const rt::PackedLayout &layout, int64_t k);
  /// The same as rows of f16 (HalfRows.h) of this row's token, out of `tokens`
  /// (index) whose rows begin at `base`.
  void storeHalves(mlir::Value value, mlir::Value base, mlir::Value tokens,
                   const HalfRows &rows);
  /// Bytes of shared memory used so far.
  int64_t getSharedBytes() const { return sharedBytes; }

private:
  mlir::Value loadOrZero(mlir::Value column, int64_t k, int64_t end,
                         mlir::Location loc,
                         llvm::function_ref<mlir::Value()> load);
  mlir::Value get(mlir::Value value, const RowIndex &index);
  mlir::Value load(const RowMemory &memory, const RowIndex &index,
                   mlir::Location loc);
  mlir::Value flatIndex(const RowMemory &memory, const RowIndex &index,
                        mlir::Location loc);
  mlir::Value getViewed(ViewOp op, const RowIndex &index);
  RowMemory &inMemory(mlir::Value value);
  RowMemory newRow(NamedTensorType type);
  mlir::Value newShared(int64_t bytes);
  void writeRow(mlir::Value value, const RowMemory &memory);
  /// Calls `body` with each place of a layout, shared out over the threads.
  void forEachIndex(const RowLayout &layout, mlir::Location loc,
                    llvm::function_ref<void(const RowIndex &)> body);
  /// The place number `flat` (an index) in row-major order.
  RowIndex unflatten(const RowLayout &layout, mlir::Value flat,
                     mlir::Location loc);

  /// Calls `body` with the number of each of `count` places and the lane: a
  /// warp for each place.
  void
  forEachWarp(int64_t count, mlir::Location loc,
              llvm::function_ref<void(mlir::Value at, mlir::Value lane)> body);

  mlir::LogicalResult evaluateReduce(ReduceOp op);
  // RowMedia.cpp
  /// Numbers (indices) as a row of `type`, which has one place for each.
  RowMemory storeNumbers(NamedTensorType type,
                         llvm::ArrayRef<mlir::Value> numbers,
                         mlir::Location loc);
  mlir::LogicalResult evaluateMedia(mlir::Operation *op);
  void evaluateMediaPositions(PositionsOp op);
  void evaluateAdapterChoice(AdapterChoiceOp op);
  void evaluateGridPositions(GridPositionsOp op);
  void evaluateGridFrames(GridFramesOp op);
  void evaluateGridWindows(GridWindowsOp op);
  mlir::LogicalResult evaluateFold(FoldOp op);
  void evaluateInterpolate(InterpolateOp op);
  void evaluatePutAt(PutAtOp op);
  // RowSelection.cpp
  mlir::LogicalResult evaluateSoftmax(SoftmaxOp op);
  mlir::LogicalResult evaluateTopK(TopKOp op);
  void emitRouting(TopKOp op, const RowMemory &input, const RowMemory &values,
                   const RowMemory &indices);
  mlir::LogicalResult evaluateGather(GatherOp op);
  mlir::LogicalResult evaluateMember(MemberOp op);
  mlir::LogicalResult evaluateMix(MixOp op);
  mlir::Value loadPlace(const RowMemory &memory, const RowIndex &index,
                        mlir::Location loc);
  mlir::LogicalResult evaluateJoin(JoinOp op);
  mlir::LogicalResult evaluateView(ViewOp op);
  mlir::LogicalResult evaluateSlice(SliceOp op);
  mlir::LogicalResult evaluateRope(RopeOp op);
  mlir::Value emitFrequency(RotaryTableOp op, mlir::Value pair);
  mlir::LogicalResult evaluateRotaryTable(RotaryTableOp op);
  mlir::LogicalResult evaluateEmbed(EmbedOp op);
  mlir::LogicalResult evaluateCacheWrite(CacheWriteOp op);
  // GroupRows.cpp
  RowMemory unpackRow(EmbedOp op, const RowMemory &table, mlir::Value token,
                      BlocksAttr blocks);

  mlir::OpBuilder &builder;
  int64_t threads;
  mlir::Value step, row, thread, shared;
  int64_t sharedBytes = 0;
  llvm::DenseMap<mlir::Value, RowMemory> memories;
  llvm::DenseMap<int64_t, mlir::Value> states;
  llvm::DenseMap<mlir::Value, mlir::Value> foldedRows, aliases, choicePointers;
  bool keepsViews = false;
};

/// Reports that `op` has no CUDA form, at the line of the spec that asked for
/// it.
mlir::LogicalResult reportNoCode(mlir::Operation *op,
                                 const llvm::Twine &what = "");

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_ROWEMITTER_H
