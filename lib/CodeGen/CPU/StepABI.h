//===- StepABI.h - The ABI's structs seen from generated code ---*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Typed access to the structs of <clade/abi.h> through an `!llvm.ptr`. Offsets
// and types come from the C declarations themselves, so they cannot drift.
// Every call emits one load at the builder's insertion point: load once outside
// a loop, not once per iteration.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_STEPABI_H
#define CLADE_CODEGEN_CPU_STEPABI_H

#include "mlir/IR/Builders.h"

namespace clade::cpu {

/// What the views below share: where to emit, and the struct's address.
class ABIView {
public:
  ABIView(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value pointer)
      : builder(builder), loc(loc), pointer(pointer) {}

protected:
  /// Loads the member of C type `Member` at `offset`: i32 and i64 for integers,
  /// `!llvm.ptr` for pointers.
  template <typename Member> mlir::Value load(size_t offset) const {
    if constexpr (std::is_pointer_v<Member>)
      return loadPointer(offset);
    else
      return loadInteger(offset, sizeof(Member));
  }
  mlir::Value loadPointer(size_t offset) const;
  mlir::Value loadInteger(size_t offset, size_t bytes) const;
  /// Element `index` (type index) of the i32 array `base`, as an index.
  mlir::Value loadEntry(mlir::Value base, mlir::Value index) const;

  mlir::OpBuilder &builder;
  mlir::Location loc;
  mlir::Value pointer;
};

/// A `CladeStep`. The plain members have the ABI's types; the `…At` helpers
/// take and give values of type index.
class StepView : public ABIView {
public:
  using ABIView::ABIView;

  mlir::Value structSize() const;
  mlir::Value abiVersion() const;
  mlir::Value numThreads() const;
  mlir::Value numTokens() const;
  mlir::Value numSequences() const;
  mlir::Value numSelected() const;
  mlir::Value numLayers() const;
  mlir::Value tokens() const;
  mlir::Value positions() const;
  mlir::Value sequenceOf() const;
  mlir::Value firstToken() const;
  mlir::Value selected() const;
  mlir::Value scaledLengths() const;
  mlir::Value layers() const;
  mlir::Value weights() const;
  mlir::Value states() const;
  mlir::Value output() const;
  mlir::Value workspace() const;
  mlir::Value scratch() const;
  mlir::Value scratchBytes() const;
  mlir::Value barrier() const;
  mlir::Value barrierState() const;
  mlir::Value trace() const;
  mlir::Value traceState() const;
  mlir::Value route() const;
  mlir::Value routeState() const;
  mlir::Value pixels() const;
  mlir::Value grids() const;
  mlir::Value media() const;
  mlir::Value mediaRows() const;
  mlir::Value mediaPositions() const;
  mlir::Value adapters() const;
  mlir::Value tokenTypes() const;

  /// `tokens[token]`, and so on for the other arrays of numbers.
  mlir::Value tokenAt(mlir::Value token) const;
  mlir::Value positionAt(mlir::Value token) const;
  mlir::Value sequenceAt(mlir::Value token) const;
  mlir::Value firstTokenAt(mlir::Value sequence) const;
  mlir::Value selectedAt(mlir::Value i) const;
  mlir::Value scaledLengthAt(mlir::Value sequence) const;
  mlir::Value mediaRowAt(mlir::Value token) const;
  mlir::Value adapterAt(mlir::Value token) const;
  mlir::Value mediaPositionAt(mlir::Value token, int64_t axis) const;
  /// Rows (axis 0) or columns (axis 1) of patches of the image `sequence`.
  mlir::Value gridSizeAt(mlir::Value sequence, int64_t axis) const;
  /// The address of `layers[i]` and of `states[i]`.
  mlir::Value layerAt(mlir::Value i) const;
  mlir::Value stateAt(mlir::Value i) const;
  /// The pointer `weights[i]`.
  mlir::Value weightAt(mlir::Value i) const;
  /// The address of `thread`'s own scratch memory; `thread` is an index.
  mlir::Value scratchOf(mlir::Value thread) const;
};

/// A `CladeLayer`; every member is an i32.
class LayerView : public ABIView {
public:
  using ABIView::ABIView;

  mlir::Value kind() const;
  mlir::Value layer() const;
  mlir::Value firstWeight() const;
  mlir::Value firstState() const;
};

/// A `CladeKVState`.
class KVStateView : public ABIView {
public:
  using ABIView::ABIView;

  mlir::Value keys() const;
  mlir::Value values() const;
  mlir::Value pages() const;
  mlir::Value pagesStride() const;
};

/// A `CladeRecurrentState`.
class RecurrentStateView : public ABIView {
public:
  using ABIView::ABIView;

  mlir::Value memory() const;
  mlir::Value pages() const;
  /// The page of a sequence; both are indices.
  mlir::Value pageAt(mlir::Value sequence) const;
};

/// `value` (any integer, read as signed) as an index.
mlir::Value emitToIndex(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::Value value);

/// `step->barrier(step->barrier_state, thread)`; `thread` is an index or i32.
void emitBarrier(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value step,
                 mlir::Value thread);

/// `step->trace(step->trace_state, values, bytes)` unless `trace` is null;
/// `bytes` is an index.
void emitTrace(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value step,
               mlir::Value values, mlir::Value bytes);

/// `step->route(step->route_state, layer, token, experts, count, numExperts)`
/// unless `route` is null. `layer` makes an i32, and is not asked for
/// otherwise; `token` is an index, `experts` a pointer to `count` numbers of
/// type i32.
void emitRoute(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value step,
               llvm::function_ref<mlir::Value()> layer, mlir::Value token,
               mlir::Value experts, int64_t count, int64_t numExperts);

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_STEPABI_H
