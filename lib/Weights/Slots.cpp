//===- Slots.cpp - Where each weight and state of a model lives -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Weights/Slots.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace clade;

/// The step's ABI counts weights and states in 32 bits.
static constexpr int64_t maxSlots = std::numeric_limits<int32_t>::max();

/// The state attribute of an op that has one. Attention and cache ops are the
/// ops with state; all name it alike.
static IntegerAttr stateOf(Operation *op) {
  if (!isa_and_nonnull<CladeDialect>(op->getDialect()))
    return {};
  return op->getAttrOfType<IntegerAttr>("state");
}

static void collectParams(func::FuncOp function,
                          llvm::SetVector<StringRef> &params) {
  function.walk<WalkOrder::PreOrder>(
      [&](ParamOp op) { params.insert(op.getName()); });
}

static FailureOr<KindSlots> slotsOfKind(func::FuncOp function) {
  KindSlots kind{function, {}, 0};
  llvm::SetVector<StringRef> params;
  collectParams(function, params);
  kind.params = params.takeVector();
  WalkResult walked = function.walk([&](Operation *op) {
    IntegerAttr state = stateOf(op);
    if (!state)
      return WalkResult::advance();
    if (state.getInt() < 0 || state.getInt() >= maxSlots) {
      op->emitOpError() << "expected a state of 0 to " << maxSlots - 1
                        << ", got " << state.getInt();
      return WalkResult::interrupt();
    }
    kind.numStates = std::max(kind.numStates, state.getInt() + 1);
    return WalkResult::advance();
  });
  if (walked.wasInterrupted())
    return failure();
  return kind;
}

/// Adds the functions of `schedule` that the table lacks, then its rows.
static LogicalResult addSchedule(ModuleOp module, ScheduleOp schedule,
                                 SlotTable &table) {
  SmallVector<int64_t> kindOf;
  for (Attribute attr : schedule.getKinds()) {
    auto function = module.lookupSymbol<func::FuncOp>(
        cast<FlatSymbolRefAttr>(attr).getValue());
    if (function->hasAttr(entryAttr))
      return function.emitOpError()
             << "expected an entry or a layer kind, got both";
    auto *known = llvm::find_if(table.kinds, [&](const KindSlots &kind) {
      return kind.function == function;
    });
    kindOf.push_back(known - table.kinds.begin());
    if (known != table.kinds.end())
      continue;
    FailureOr<KindSlots> kind = slotsOfKind(function);
    if (failed(kind))
      return failure();
    table.kinds.push_back(std::move(*kind));
  }

  table.firstLayer[schedule.getSymName()] = table.layers.size();
  for (auto [layer, row] : llvm::enumerate(schedule.getRows())) {
    const KindSlots &kind = table.kinds[kindOf[row]];
    table.layers.push_back({kindOf[row], static_cast<int64_t>(layer),
                            table.numWeights, table.numStates});
    table.numWeights += kind.params.size();
    table.numStates += kind.numStates;
    if (table.numWeights > maxSlots || table.numStates > maxSlots)
      return schedule.emitOpError()
             << "expected at most " << maxSlots << " weights and states";
  }
  return success();
}

/// What is neither in an entry nor in a kind would have no number.
static LogicalResult verifyAllNumbered(ModuleOp module,
                                       const SlotTable &table) {
  for (auto function : module.getOps<func::FuncOp>()) {
    bool isEntry = function->hasAttr(entryAttr);
    if (llvm::any_of(table.kinds, [&](const KindSlots &kind) {
          return kind.function == function;
        }))
      continue;
    WalkResult walked =
        function.walk([&](Operation *op) {
          if (stateOf(op)) {
            op->emitOpError()
                << "expected a state to be used in a layer kind, got '@"
                << function.getSymName() << "'";
            return WalkResult::interrupt();
          }
          if (!isEntry && isa<ParamOp>(op)) {
            op->emitOpError() << "expected a parameter to be used in an entry "
                                 "or a layer kind, got '@"
                              << function.getSymName() << "'";
            return WalkResult::interrupt();
          }
          return WalkResult::advance();
        });
    if (walked.wasInterrupted())
      return failure();
  }
  return success();
}

FailureOr<SlotTable> clade::assignSlots(ModuleOp module) {
  SlotTable table;
  llvm::SetVector<StringRef> globals;
  for (auto function : module.getOps<func::FuncOp>())
    if (function->hasAttr(entryAttr))
      collectParams(function, globals);
  table.globals = globals.takeVector();
  table.numWeights = table.globals.size();

  for (auto schedule : module.getOps<ScheduleOp>())
    if (failed(addSchedule(module, schedule, table)))
      return failure();
  if (failed(verifyAllNumbered(module, table)))
    return failure();
  return table;
}
