//===- StepEmitter.cpp - The function of one step -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/StepEmitter.h"

#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace clade;
using namespace clade::cpu;

/// Rows of a buffer are counted in blocks, with one to spare for the last tile
/// of packed activations; so every buffer starts at a multiple of 64 bytes.
static constexpr int64_t rowBlock = 64;

static int64_t bytesPerRow(Type type) {
  auto tensor = cast<NamedTensorType>(type);
  return tensor.getNumFeatures() *
         std::max<int64_t>(tensor.getElementTypeBitWidth() / 8, 1);
}

static bool isSelectedType(Type type) {
  auto tensor = cast<NamedTensorType>(type);
  return tensor.getRank() > 0 && tensor.getNames()[0] == selectedAxis;
}

/// Gives every result of the block's kernels a place of its own.
void StepEmitter::plan(Block &block, int64_t &tokens, int64_t &selected) {
  auto take = [&](Type type) {
    int64_t &bytes = isSelectedType(type) ? selected : tokens;
    Place place{isSelectedType(type), bytes};
    bytes += bytesPerRow(type);
    return place;
  };
  for (Operation &op : block) {
    if (auto layers = dyn_cast<LayersOp>(op))
      for (Value result : layers.getResults())
        alternates[result] = {take(result.getType()), take(result.getType())};
    else if (isa<KernelOp>(op))
      for (Value result : op.getResults())
        places[result] = take(result.getType());
  }
}

WorkspaceNeed StepEmitter::getWorkspace() const {
  // Rounding up to blocks, and one block more, in both parts.
  int64_t perToken = tokenBytes + kernels.getPackedBytesPerRow();
  return {2 * rowBlock * (perToken + selectedBytes), perToken, selectedBytes,
          kernels.getPackedBytesPerSequence()};
}

Value StepEmitter::pointerOf(Scope &scope, Place place, Location loc) {
  OpBuilder &b = scope.builder;
  Value offset =
      emitMul(b, loc, emitIndex(b, loc, place.isSelected ? 0 : place.offset),
              scope.tokenRows);
  if (place.isSelected) {
    Value before =
        emitMul(b, loc, emitIndex(b, loc, tokenBytes), scope.tokenRows);
    offset = emitAdd(
        b, loc, before,
        emitMul(b, loc, emitIndex(b, loc, place.offset), scope.selectedRows));
  }
  return emitAddress(b, loc, scope.workspace, b.getI8Type(), offset);
}

LogicalResult StepEmitter::emitCall(Scope &scope, KernelOp kernel,
                                    ArrayRef<StringRef> params, Value output) {
  FailureOr<func::FuncOp> function =
      kernels.emit(kernel, params, /*outputIsF32=*/output != nullptr);
  if (failed(function))
    return failure();
  OpBuilder &b = scope.builder;
  Location loc = kernel.getLoc();
  SmallVector<Value> arguments{scope.step, scope.layerRow, scope.thread,
                               scope.packed};
  for (Value operand : kernel.getInputs())
    if (isa<NamedTensorType>(operand.getType())) {
      Value buffer = scope.buffers.lookup(operand);
      arguments.push_back(buffer ? buffer : scope.workspace);
    }
  for (Value result : kernel.getResults()) {
    Value pointer =
        output ? output : pointerOf(scope, places.lookup(result), loc);
    if (Value given = scope.buffers.lookup(result))
      pointer = given;
    scope.buffers[result] = pointer;
    arguments.push_back(pointer);
  }
  func::CallOp::create(b, loc, *function, arguments);
  emitBarrier(b, loc, scope.step, scope.thread);
  if (isTraced)
    emitTraces(scope, kernel, output);
  return success();
}

void StepEmitter::emitTraces(Scope &scope, KernelOp kernel, Value output) {
  OpBuilder &b = scope.builder;
  Location loc = kernel.getLoc();
  Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                        scope.thread, emitIndex(b, loc, 0));
  auto branch = scf::IfOp::create(b, loc, isFirst);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    StepView step(b, loc, scope.step);
    for (Value result : kernel.getResults()) {
      Type type = result.getType();
      int64_t width =
          output ? outputWidth * int64_t(sizeof(float)) : bytesPerRow(type);
      Value rows = emitToIndex(
          b, loc, isSelectedType(type) ? step.numSelected() : step.numTokens());
      emitTrace(b, loc, scope.step, scope.buffers.lookup(result),
                emitMul(b, loc, rows, emitIndex(b, loc, width)));
    }
  }
  // Nobody overwrites what is being looked at.
  emitBarrier(b, loc, scope.step, scope.thread);
}

/// Whether a layer does nothing with a carried value but return it, or another
/// in its place.
static bool isPassedOn(func::FuncOp kind, unsigned place) {
  Block &body = kind.getBody().front();
  Operation *end = body.getTerminator();
  return llvm::all_of(body.getArgument(place).getUses(), [&](OpOperand &use) {
    return use.getOwner() == end && use.getOperandNumber() == place;
  });
}

bool StepEmitter::isKept(ArrayRef<int64_t> kinds, unsigned place) const {
  bool isMade = false;
  for (int64_t number : kinds) {
    func::FuncOp kind = slots.kinds[number].function;
    Block &body = kind.getBody().front();
    if (!isPassedOn(kind, place))
      return false;
    isMade |=
        body.getTerminator()->getOperand(place) != body.getArgument(place);
  }
  return isMade;
}

/// A function (step, layer row, thread, workspace of the layer, packed, rows,
/// carried and captured buffers …, result buffers …).
FailureOr<func::FuncOp> StepEmitter::emitKind(ArrayRef<int64_t> kinds,
                                              size_t number) {
  const KindSlots &kind = slots.kinds[number];
  OpBuilder builder = OpBuilder::atBlockEnd(code.getBody());
  func::FuncOp source = kind.function;
  Location loc = source.getLoc();
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext()),
       index = builder.getIndexType();
  SmallVector<Type> types{pointer, pointer, index, pointer, pointer, index};
  for (Type type : source.getArgumentTypes())
    if (isa<NamedTensorType>(type))
      types.push_back(pointer);
  types.append(source.getNumResults(), pointer);
  auto function =
      func::FuncOp::create(builder, loc, "cpu_layer_" + std::to_string(number),
                           builder.getFunctionType(types, {}));
  function.setPrivate();
  Block *entry = function.addEntryBlock();
  builder.setInsertionPointToStart(entry);
  Scope scope{builder,
              entry->getArgument(0),
              entry->getArgument(1),
              entry->getArgument(2),
              entry->getArgument(3),
              entry->getArgument(4),
              entry->getArgument(5),
              entry->getArgument(5),
              llvm::DenseMap<Value, Value>()};
  unsigned next = 6;
  Block &body = source.getBody().front();
  for (BlockArgument argument : body.getArguments())
    if (isa<NamedTensorType>(argument.getType()))
      scope.buffers[argument] = entry->getArgument(next++);
  for (auto [place, result] :
       llvm::enumerate(body.getTerminator()->getOperands())) {
    Value buffer = entry->getArgument(next++);
    // What is passed on stays where it is.
    if (result == body.getArgument(place) && isKept(kinds, place))
      continue;
    if (!result.getDefiningOp<KernelOp>() || scope.buffers.count(result))
      return source.emitError()
             << "expected a layer to return a new value for each carried one";
    scope.buffers[result] = buffer;
  }
  for (KernelOp kernel : body.getOps<KernelOp>())
    if (failed(emitCall(scope, kernel, kind.params, {})))
      return failure();
  func::ReturnOp::create(scope.builder, loc);
  return function;
}

SmallVector<int64_t> StepEmitter::kindsOf(LayersOp layers) const {
  auto module = layers->getParentOfType<ModuleOp>();
  auto schedule = module.lookupSymbol<ScheduleOp>(layers.getSchedule());
  SmallVector<int64_t> kinds;
  for (auto [number, kind] : llvm::enumerate(slots.kinds)) {
    func::FuncOp function = kind.function;
    auto reference = FlatSymbolRefAttr::get(function.getSymNameAttr());
    if (llvm::is_contained(schedule.getKinds(), reference))
      kinds.push_back(number);
  }
  return kinds;
}

LogicalResult StepEmitter::emitLayers(Scope &scope, LayersOp layers) {
  OpBuilder &b = scope.builder;
  Location loc = layers.getLoc();
  SmallVector<int64_t> kinds = kindsOf(layers);
  SmallVector<func::FuncOp> functions;
  for (int64_t number : kinds) {
    FailureOr<func::FuncOp> function = emitKind(kinds, number);
    if (failed(function))
      return failure();
    functions.push_back(*function);
  }
  Value temporaries = pointerOf(scope, Place{false, layerBase}, loc);

  // Each layer reads the carried values from one buffer and writes another.
  SmallVector<Value> current, following, others, captured;
  for (auto [place, operand] : llvm::enumerate(layers.getInputs())) {
    if (!isa<NamedTensorType>(operand.getType()))
      continue;
    Value buffer = scope.buffers.lookup(operand);
    if (place >= layers.getNumResults()) {
      captured.push_back(buffer);
      continue;
    }
    auto &pair = alternates[layers.getResult(place)];
    // No layer reads what is kept, and one makes it: one buffer will do.
    Value first = pointerOf(scope, pair[0], loc);
    bool kept = isKept(kinds, place);
    current.push_back(kept ? first : buffer);
    following.push_back(first);
    others.push_back(kept ? first : pointerOf(scope, pair[1], loc));
  }
  SmallVector<Value> carried(current);
  llvm::append_range(carried, following);
  llvm::append_range(carried, others);
  StepView step(b, loc, scope.step);
  auto loop = scf::ForOp::create(b, loc, emitIndex(b, loc, 0),
                                 emitToIndex(b, loc, step.numLayers()),
                                 emitIndex(b, loc, 1), carried);
  size_t count = current.size();
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value row = StepView(b, loc, scope.step).layerAt(loop.getInductionVar());
    Value kind = emitToIndex(b, loc, LayerView(b, loc, row).kind());
    auto iterated = loop.getRegionIterArgs();
    SmallVector<Value> arguments{scope.step,  row,          scope.thread,
                                 temporaries, scope.packed, scope.tokenRows};
    arguments.append(iterated.begin(), iterated.begin() + count);
    llvm::append_range(arguments, captured);
    arguments.append(iterated.begin() + count, iterated.begin() + 2 * count);
    SmallVector<int64_t> cases;
    for (int64_t number : ArrayRef(kinds).drop_back())
      cases.push_back(number);
    auto select = scf::IndexSwitchOp::create(b, loc, TypeRange(), kind, cases,
                                             cases.size());
    for (auto [number, function] : llvm::enumerate(functions)) {
      bool isLast = number + 1 == functions.size();
      Region &region =
          isLast ? select.getDefaultRegion() : select.getCaseRegions()[number];
      OpBuilder inner = OpBuilder::atBlockEnd(&region.emplaceBlock());
      func::CallOp::create(inner, loc, function, arguments);
      scf::YieldOp::create(inner, loc);
    }
    // The buffer just written is read next; the first input is never written.
    SmallVector<Value> next(iterated.begin() + count,
                            iterated.begin() + 2 * count);
    next.append(iterated.begin() + 2 * count, iterated.end());
    next.append(iterated.begin() + count, iterated.begin() + 2 * count);
    scf::YieldOp::create(b, loc, next);
  }
  for (auto [place, result] : llvm::enumerate(layers.getResults()))
    scope.buffers[result] = loop.getResult(place);
  return success();
}

/// The constant row of an entry: its weights and states are the first.
static Value entryRow(OpBuilder &builder, ModuleOp code, Location loc) {
  StringRef name = "clade_entry_row";
  auto global = code.lookupSymbol<LLVM::GlobalOp>(name);
  if (!global) {
    OpBuilder top = OpBuilder::atBlockBegin(code.getBody());
    auto type = LLVM::LLVMArrayType::get(top.getI32Type(), 4);
    auto tensor = RankedTensorType::get({4}, top.getI32Type());
    global = LLVM::GlobalOp::create(
        top, loc, type, /*isConstant=*/true, LLVM::Linkage::Internal, name,
        DenseElementsAttr::get(tensor, ArrayRef<int32_t>{0, 0, 0, 0}));
  }
  return LLVM::AddressOfOp::create(builder, loc, global);
}

LogicalResult StepEmitter::emit(func::FuncOp source, StringRef symbol) {
  OpBuilder builder = OpBuilder::atBlockEnd(code.getBody());
  Location loc = source.getLoc();
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  auto function = func::FuncOp::create(
      builder, loc, symbol,
      builder.getFunctionType({pointer, builder.getI32Type()}, {}));
  Block *entry = function.addEntryBlock();
  builder.setInsertionPointToStart(entry);
  Block &body = source.getBody().front();
  Value output = body.getTerminator()->getOperand(0);
  auto producer = output.getDefiningOp<KernelOp>();
  if (body.getTerminator()->getNumOperands() != 1 || !producer ||
      producer.getNumResults() != 1)
    return source.emitError()
           << "expected an entry to return the one result of a kernel";
  outputWidth = cast<NamedTensorType>(output.getType()).getNumFeatures();
  plan(body, tokenBytes, selectedBytes);
  // Layers add their temporaries behind; their size must be known before the
  // places of selected rows are.
  for (LayersOp layers : body.getOps<LayersOp>())
    for (int64_t number : kindsOf(layers)) {
      func::FuncOp layer = slots.kinds[number].function;
      int64_t tokens = 0, selected = 0;
      plan(layer.getBody().front(), tokens, selected);
      layerBytes = std::max(layerBytes, tokens);
    }
  layerBase = tokenBytes;
  tokenBytes += layerBytes;

  StepView step(builder, loc, entry->getArgument(0));
  auto blocks = [&](Value rows) {
    Value count = emitCeilDiv(builder, loc, emitToIndex(builder, loc, rows),
                              emitIndex(builder, loc, rowBlock));
    return emitMul(builder, loc,
                   emitAdd(builder, loc, count, emitIndex(builder, loc, 1)),
                   emitIndex(builder, loc, rowBlock));
  };
  Scope scope{builder,
              entry->getArgument(0),
              entryRow(builder, code, loc),
              arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                         entry->getArgument(1)),
              step.workspace(),
              {},
              blocks(step.numTokens()),
              blocks(step.numSelected()),
              llvm::DenseMap<Value, Value>()};
  scope.builder = builder;
  OpBuilder &b = scope.builder;
  Value packedOffset = emitAdd(
      b, loc, emitMul(b, loc, emitIndex(b, loc, tokenBytes), scope.tokenRows),
      emitMul(b, loc, emitIndex(b, loc, selectedBytes), scope.selectedRows));
  scope.packed =
      emitAddress(b, loc, scope.workspace, b.getI8Type(), packedOffset);
  // Pixels of an entry for images; tokens and their types of one for texts.
  for (BlockArgument argument : body.getArguments())
    if (auto type = dyn_cast<NamedTensorType>(argument.getType())) {
      StepView view(b, loc, scope.step);
      scope.buffers[argument] = type.getElementType().isF32() ? view.pixels()
                                : argument.getArgNumber() == 0
                                    ? view.tokens()
                                    : view.tokenTypes();
    }
  for (Operation &op : body.without_terminator()) {
    if (auto layers = dyn_cast<LayersOp>(op)) {
      if (failed(emitLayers(scope, layers)))
        return failure();
      continue;
    }
    auto kernel = dyn_cast<KernelOp>(op);
    if (!kernel)
      return op.emitError() << "expected only kernels and layers, got '"
                            << op.getName() << "'";
    Value target =
        kernel == producer ? StepView(b, loc, scope.step).output() : Value();
    if (failed(emitCall(scope, kernel, slots.globals, target)))
      return failure();
  }
  func::ReturnOp::create(b, loc);
  return success();
}
