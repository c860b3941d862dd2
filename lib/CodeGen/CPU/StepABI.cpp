//===- StepABI.cpp - The ABI's structs seen from generated code -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Loads of the step's members are marked invariant: nothing writes the step
// while compiled code runs, so LLVM may merge and hoist them.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/StepABI.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "runtime/include/clade/abi.h"
#include <cstddef>

using namespace mlir;

namespace clade::cpu {

static Value emitInvariantLoad(OpBuilder &builder, Location loc, Type type,
                               Value base, int64_t offset, unsigned alignment) {
  Value address =
      LLVM::GEPOp::create(builder, loc, base.getType(), builder.getI8Type(),
                          base, ArrayRef<LLVM::GEPArg>{int32_t(offset)});
  return LLVM::LoadOp::create(builder, loc, type, address, alignment,
                              /*isVolatile=*/false, /*isNonTemporal=*/false,
                              /*isInvariant=*/true);
}

Value ABIView::loadPointer(size_t offset) const {
  auto type = LLVM::LLVMPointerType::get(builder.getContext());
  return emitInvariantLoad(builder, loc, type, pointer, offset, sizeof(void *));
}

Value ABIView::loadInteger(size_t offset, size_t bytes) const {
  Type type = builder.getIntegerType(8 * bytes);
  return emitInvariantLoad(builder, loc, type, pointer, offset, bytes);
}

Value ABIView::loadEntry(Value base, Value index) const {
  Value entry = emitLoad(builder, loc, builder.getI32Type(), base, index);
  return emitToIndex(builder, loc, entry);
}

// The one place that names a member: its offset and its type together.
#define CLADE_ABI_MEMBER(view, method, structure, member)                      \
  Value view::method() const {                                                 \
    return load<decltype(structure::member)>(offsetof(structure, member));     \
  }

CLADE_ABI_MEMBER(StepView, structSize, CladeStep, struct_size)
CLADE_ABI_MEMBER(StepView, abiVersion, CladeStep, abi_version)
CLADE_ABI_MEMBER(StepView, numThreads, CladeStep, num_threads)
CLADE_ABI_MEMBER(StepView, numTokens, CladeStep, num_tokens)
CLADE_ABI_MEMBER(StepView, numSequences, CladeStep, num_sequences)
CLADE_ABI_MEMBER(StepView, numSelected, CladeStep, num_selected)
CLADE_ABI_MEMBER(StepView, numLayers, CladeStep, num_layers)
CLADE_ABI_MEMBER(StepView, tokens, CladeStep, tokens)
CLADE_ABI_MEMBER(StepView, positions, CladeStep, positions)
CLADE_ABI_MEMBER(StepView, sequenceOf, CladeStep, sequence_of)
CLADE_ABI_MEMBER(StepView, firstToken, CladeStep, first_token)
CLADE_ABI_MEMBER(StepView, selected, CladeStep, selected)
CLADE_ABI_MEMBER(StepView, scaledLengths, CladeStep, scaled_lengths)
CLADE_ABI_MEMBER(StepView, layers, CladeStep, layers)
CLADE_ABI_MEMBER(StepView, weights, CladeStep, weights)
CLADE_ABI_MEMBER(StepView, states, CladeStep, states)
CLADE_ABI_MEMBER(StepView, output, CladeStep, output)
CLADE_ABI_MEMBER(StepView, workspace, CladeStep, workspace)
CLADE_ABI_MEMBER(StepView, scratch, CladeStep, scratch)
CLADE_ABI_MEMBER(StepView, scratchBytes, CladeStep, scratch_bytes)
CLADE_ABI_MEMBER(StepView, barrier, CladeStep, barrier)
CLADE_ABI_MEMBER(StepView, barrierState, CladeStep, barrier_state)
CLADE_ABI_MEMBER(StepView, trace, CladeStep, trace)
CLADE_ABI_MEMBER(StepView, traceState, CladeStep, trace_state)
CLADE_ABI_MEMBER(StepView, route, CladeStep, route)
CLADE_ABI_MEMBER(StepView, routeState, CladeStep, route_state)
CLADE_ABI_MEMBER(StepView, pixels, CladeStep, pixels)
CLADE_ABI_MEMBER(StepView, grids, CladeStep, grids)
CLADE_ABI_MEMBER(StepView, media, CladeStep, media)
CLADE_ABI_MEMBER(StepView, mediaRows, CladeStep, media_rows)
CLADE_ABI_MEMBER(StepView, mediaPositions, CladeStep, media_positions)
CLADE_ABI_MEMBER(StepView, adapters, CladeStep, adapters)
CLADE_ABI_MEMBER(StepView, tokenTypes, CladeStep, token_types)

CLADE_ABI_MEMBER(LayerView, kind, CladeLayer, kind)
CLADE_ABI_MEMBER(LayerView, layer, CladeLayer, layer)
CLADE_ABI_MEMBER(LayerView, firstWeight, CladeLayer, first_weight)
CLADE_ABI_MEMBER(LayerView, firstState, CladeLayer, first_state)

CLADE_ABI_MEMBER(KVStateView, keys, CladeKVState, keys)
CLADE_ABI_MEMBER(KVStateView, values, CladeKVState, values)
CLADE_ABI_MEMBER(KVStateView, pages, CladeKVState, pages)
CLADE_ABI_MEMBER(KVStateView, pagesStride, CladeKVState, pages_stride)

CLADE_ABI_MEMBER(RecurrentStateView, memory, CladeRecurrentState, memory)
CLADE_ABI_MEMBER(RecurrentStateView, pages, CladeRecurrentState, pages)

#undef CLADE_ABI_MEMBER

Value RecurrentStateView::pageAt(Value sequence) const {
  return loadEntry(pages(), sequence);
}

Value StepView::tokenAt(Value token) const {
  return loadEntry(tokens(), token);
}
Value StepView::positionAt(Value token) const {
  return loadEntry(positions(), token);
}
Value StepView::sequenceAt(Value token) const {
  return loadEntry(sequenceOf(), token);
}
Value StepView::firstTokenAt(Value sequence) const {
  return loadEntry(firstToken(), sequence);
}
Value StepView::selectedAt(Value i) const { return loadEntry(selected(), i); }
Value StepView::scaledLengthAt(Value sequence) const {
  return loadEntry(scaledLengths(), sequence);
}

Value StepView::mediaRowAt(Value token) const {
  return loadEntry(mediaRows(), token);
}
Value StepView::adapterAt(Value token) const {
  return loadEntry(adapters(), token);
}
Value StepView::mediaPositionAt(Value token, int64_t axis) const {
  Value first = emitMul(builder, loc, token, emitIndex(builder, loc, 3));
  return loadEntry(mediaPositions(),
                   emitAdd(builder, loc, first, emitIndex(builder, loc, axis)));
}
Value StepView::gridSizeAt(Value sequence, int64_t axis) const {
  Value own = emitIndex(builder, loc, axis), two = emitIndex(builder, loc, 2);
  return loadEntry(grids(), emitAdd(builder, loc,
                                    emitMul(builder, loc, sequence, two), own));
}

/// The address `bytes * i` bytes behind `base`.
static Value emitElement(OpBuilder &builder, Location loc, Value base,
                         int64_t bytes, Value i) {
  Value offset = emitMul(builder, loc, i, emitIndex(builder, loc, bytes));
  return emitAddress(builder, loc, base, builder.getI8Type(), offset);
}

Value StepView::layerAt(Value i) const {
  return emitElement(builder, loc, layers(), sizeof(CladeLayer), i);
}
Value StepView::stateAt(Value i) const {
  return emitElement(builder, loc, states(), sizeof(CladeKVState), i);
}

Value StepView::weightAt(Value i) const {
  auto type = LLVM::LLVMPointerType::get(builder.getContext());
  Value address = emitElement(builder, loc, weights(), sizeof(void *), i);
  return emitInvariantLoad(builder, loc, type, address, 0, sizeof(void *));
}

Value StepView::scratchOf(Value thread) const {
  Value bytes = emitToIndex(builder, loc, scratchBytes());
  Value offset = emitMul(builder, loc, thread, bytes);
  return emitAddress(builder, loc, scratch(), builder.getI8Type(), offset);
}

Value emitToIndex(OpBuilder &builder, Location loc, Value value) {
  return builder.createOrFold<arith::IndexCastOp>(loc, builder.getIndexType(),
                                                  value);
}

void emitBarrier(OpBuilder &builder, Location loc, Value step, Value thread) {
  if (thread.getType().isIndex())
    thread =
        arith::IndexCastOp::create(builder, loc, builder.getI32Type(), thread);
  StepView view(builder, loc, step);
  auto type = LLVM::LLVMFunctionType::get(
      LLVM::LLVMVoidType::get(builder.getContext()),
      {LLVM::LLVMPointerType::get(builder.getContext()), builder.getI32Type()});
  LLVM::CallOp::create(builder, loc, type,
                       ValueRange{view.barrier(), view.barrierState(), thread});
}

void emitTrace(OpBuilder &builder, Location loc, Value step, Value values,
               Value bytes) {
  StepView view(builder, loc, step);
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  Value function = view.trace(),
        none = LLVM::ZeroOp::create(builder, loc, pointer);
  Value isWanted = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::ne,
                                        function, none);
  auto branch = scf::IfOp::create(builder, loc, isWanted);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(builder.getContext()),
                                  {pointer, pointer, builder.getI64Type()});
  Value count =
      arith::IndexCastOp::create(builder, loc, builder.getI64Type(), bytes);
  LLVM::CallOp::create(builder, loc, type,
                       ValueRange{function, view.traceState(), values, count});
}

void emitRoute(OpBuilder &builder, Location loc, Value step,
               llvm::function_ref<Value()> layer, Value token, Value experts,
               int64_t count, int64_t numExperts) {
  StepView view(builder, loc, step);
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext()),
       i32 = builder.getI32Type();
  Value function = view.route(),
        none = LLVM::ZeroOp::create(builder, loc, pointer);
  Value isWanted = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::ne,
                                        function, none);
  auto branch = scf::IfOp::create(builder, loc, isWanted);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(builder.getContext()),
                                  {pointer, i32, i32, pointer, i32, i32});
  auto number = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(
        builder, loc, builder.getI32IntegerAttr(static_cast<int32_t>(value)));
  };
  LLVM::CallOp::create(
      builder, loc, type,
      ValueRange{function, view.routeState(), layer(),
                 arith::IndexCastOp::create(builder, loc, i32, token), experts,
                 number(count), number(numExperts)});
}

} // namespace clade::cpu
