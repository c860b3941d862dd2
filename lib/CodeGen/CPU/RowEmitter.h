//===- RowEmitter.h - Code for token-wise ops of one row --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Emits the code that computes token-wise ops for one token. A value is either
// in memory, with a stride for each axis, or an expression that is evaluated
// where a vector of it is needed. Everything is f32 between memory and memory,
// i32 and i1 too, which buffers between kernels hold as integers of 32 and of 8
// bits; where the reference's rounding is asked for, each op's result rounds to
// its own type.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_ROWEMITTER_H
#define CLADE_CODEGEN_CPU_ROWEMITTER_H

#include "dialect/Clade/CladeDialect.h"
#include "lib/CodeGen/CPU/Target.h"
#include "lib/CodeGen/RowMemory.h"
#include "mlir/IR/Builders.h"

namespace clade::cpu {

class RowEmitter {
public:
  /// `row` is the number of the token in its buffers (index), `scratch` memory
  /// of this thread.
  RowEmitter(mlir::OpBuilder &builder, const Target &target,
             bool referenceRounding, mlir::Value step, mlir::Value row,
             mlir::Value scratch)
      : builder(builder), target(target), referenceRounding(referenceRounding),
        step(step), row(row), scratch(scratch) {}

  /// Says where a value is, before code that reads it is emitted.
  void bind(mlir::Value value, RowMemory memory) {
    memories[value] = std::move(memory);
  }
  /// Says where all rows of a fold's operand are.
  void bindFold(FoldOp fold, mlir::Value rows) {
    foldedRows[fold.getResult()] = rows;
  }
  /// Goes on with another token, bound anew.
  void setRow(mlir::Value token) { row = token; }
  /// From now on only `index` of the axis of this name is computed; new rows in
  /// scratch memory hold it alone.
  void pin(llvm::StringRef axis, mlir::Value index) {
    pinnedAxis = axis;
    pinnedIndex = index;
  }
  void unpin() { pin({}, {}); }
  /// Where a value is in memory; computed there if it is not yet.
  RowMemory memoryOf(mlir::Value value) { return inMemory(value); }
  /// Computes a value to `memory`, whose layout has its axes, and binds it
  /// there. What the value is computed from may lie there as well, if it is
  /// read at the same index only.
  void storeInto(mlir::Value value, const RowMemory &memory);
  /// Computes a value to scratch memory of its own, wherever it is now.
  void copyToScratch(mlir::Value value);
  void setScratch(mlir::Value memory) { scratch = memory; }
  /// Scratch memory that no value is put into.
  mlir::Value reserve(int64_t bytes);
  /// Whether evaluate() computes an op that could be an expression.
  bool isKept(mlir::Operation *op) {
    return mustBeInMemory(
        op, [&](mlir::Value value) { return memories.count(value) > 0; });
  }
  /// Evaluates one op: keeps it as an expression, or emits its code. Fails with
  /// a diagnostic for an op without a CPU form.
  mlir::LogicalResult evaluate(mlir::Operation *op);
  /// Calls `store` with every vector of a value: the number of its first
  /// feature in row-major order, the vector, and the mask of a part of a
  /// vector.
  using Store = llvm::function_ref<void(mlir::Value feature, mlir::Value vector,
                                        mlir::Value mask)>;
  void forEachVector(mlir::Value value, Store store);
  /// The same over the features as one axis: only the last vector is a part of
  /// one.
  void forEachFlatVector(mlir::Value value, Store store);
  /// Stores a value as a contiguous row of `elementType` at `pointer`.
  void storeRow(mlir::Value value, mlir::Value pointer, mlir::Type elementType);
  /// Bytes of scratch memory used so far.
  int64_t getScratchBytes() const { return scratchBytes; }
  /// Rounds f32 lanes to a type and back where the reference's rounding is
  /// asked for.
  mlir::Value roundTo(mlir::Value vector, mlir::Type elementType,
                      mlir::Location loc);
  /// The function of an elementwise op on f32 vectors.
  static mlir::Value applyUnary(mlir::OpBuilder &builder, mlir::Location loc,
                                UnaryKind kind, mlir::Value x);
  static mlir::Value applyBinary(mlir::OpBuilder &builder, mlir::Location loc,
                                 BinaryKind kind, mlir::Value a, mlir::Value b);
  /// Stores f32 lanes as `elementType`: a float, i32, or i1 as one byte.
  static void storeVector(mlir::OpBuilder &builder, mlir::Location loc,
                          mlir::Value vector, mlir::Type elementType,
                          mlir::Value base, mlir::Value index,
                          mlir::Value mask);
  /// Loads lanes of `elementType` as f32.
  static mlir::Value loadVector(mlir::OpBuilder &builder, mlir::Location loc,
                                int64_t width, mlir::Type elementType,
                                mlir::Value base, mlir::Value index,
                                mlir::Value mask);

private:
  mlir::Value get(mlir::Value value, const RowIndex &index);
  mlir::Value load(const RowMemory &memory, const RowIndex &index,
                   mlir::Location loc);
  RowMemory &inMemory(mlir::Value value);
  RowMemory newRow(NamedTensorType type);
  void writeRow(mlir::Value value, const RowMemory &memory);
  /// A vector whose lanes lie apart: `lane` gives each, in all its lanes.
  mlir::Value gather(int64_t size, mlir::Value first, mlir::Location loc,
                     llvm::function_ref<mlir::Value(mlir::Value at)> lane);
  /// Emits loops over the axes of a shape: `body` gets each index, the last
  /// axis in vectors.
  void forEachIndex(const RowLayout &layout, mlir::Location loc,
                    llvm::function_ref<void(const RowIndex &)> body);
  void forEachIndex(const RowLayout &layout, int64_t axis, RowIndex &index,
                    mlir::Location loc,
                    llvm::function_ref<void(const RowIndex &)> body);
  mlir::Value flatIndex(const RowLayout &layout, const RowIndex &index,
                        int64_t offset, mlir::Location loc);

  /// The same over the first `rank` axes, one place at a time.
  void forEachPlace(const RowLayout &layout, int64_t rank, mlir::Location loc,
                    llvm::function_ref<void(const RowIndex &)> body);
  /// The value at a place of memory, all of whose axes `index` gives.
  mlir::Value loadScalar(const RowMemory &memory, const RowIndex &index,
                         mlir::Location loc);
  void storeScalar(mlir::Value scalar, const RowMemory &memory,
                   const RowIndex &index, mlir::Location loc);
  /// Runs over one axis beside what `outer` gives, `carried` from step to step;
  /// the last axis of a layout in vectors.
  mlir::Value
  along(const RowLayout &layout, int64_t axis, const RowIndex &outer,
        mlir::Value carried, mlir::Location loc,
        llvm::function_ref<mlir::Value(const RowIndex &, mlir::Value)> body);

  mlir::LogicalResult evaluateReduce(ReduceOp op);
  mlir::LogicalResult evaluateSoftmax(SoftmaxOp op);
  mlir::LogicalResult evaluateJoin(JoinOp op);
  mlir::LogicalResult evaluateTopK(TopKOp op);
  void emitRouting(TopKOp op, const RowMemory &input, const RowMemory &values,
                   const RowMemory &indices);
  mlir::LogicalResult evaluateGather(GatherOp op);
  mlir::LogicalResult evaluateMember(MemberOp op);
  mlir::LogicalResult evaluateView(ViewOp op);
  mlir::LogicalResult evaluateSlice(SliceOp op);
  mlir::LogicalResult evaluateRope(RopeOp op);
  mlir::LogicalResult evaluateRotaryTable(RotaryTableOp op);
  mlir::LogicalResult evaluateEmbed(EmbedOp op);
  RowMemory unpackRow(EmbedOp op, const RowMemory &table, mlir::Value token,
                      PanelsAttr panels);
  RowMemory unpackRow(EmbedOp op, const RowMemory &table, mlir::Value token,
                      BlocksAttr blocks);
  mlir::LogicalResult evaluateMix(MixOp op);
  mlir::LogicalResult evaluateCacheWrite(CacheWriteOp op);
  // RowMedia.cpp
  mlir::LogicalResult evaluateGridPositions(GridPositionsOp op);
  mlir::LogicalResult evaluateGridFrames(GridFramesOp op);
  mlir::LogicalResult evaluateGridWindows(GridWindowsOp op);
  /// Where the frames of films become one; other folds are bound.
  mlir::LogicalResult evaluateFold(FoldOp op);
  mlir::LogicalResult evaluateInterpolate(InterpolateOp op);
  mlir::LogicalResult evaluatePutAt(PutAtOp op);
  mlir::LogicalResult evaluateMediaPositions(PositionsOp op);
  mlir::LogicalResult evaluateAdapterChoice(AdapterChoiceOp op);
  void storeNumber(mlir::Value index, const RowMemory &memory, int64_t place,
                   mlir::Location loc);
  /// The address of the position (f32) that each frequency turns with.
  mlir::Value positionsOfAxes(RotaryTableOp op);
  mlir::Value reduceOver(ReduceOp op, RowIndex &index, const RowLayout &layout,
                         int64_t axis, mlir::Value sum);

  mlir::OpBuilder &builder;
  const Target &target;
  bool referenceRounding;
  mlir::Value step, row, scratch;
  int64_t scratchBytes = 0;
  llvm::StringRef pinnedAxis;
  mlir::Value pinnedIndex;
  llvm::DenseMap<mlir::Value, RowMemory> memories;
  llvm::DenseMap<mlir::Value, mlir::Value> foldedRows;

public:
  /// The address of a state of the layer, given by the kernel.
  std::function<mlir::Value(int64_t state)> stateAddress;
  /// The published number of the layer (i32), given by the kernel.
  std::function<mlir::Value()> publishedLayer;
};

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_ROWEMITTER_H
