//===- Slots.h - Where each weight and state of a model lives ---*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A step finds weights and states by number. This file decides the numbers,
// once for the weights table, the code generator and the interpreter: the
// parameters of the entry functions first, then those of one layer after the
// other, each in the order in which its function first uses them.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_WEIGHTS_SLOTS_H
#define CLADE_LIB_WEIGHTS_SLOTS_H

#include "dialect/Clade/CladeDialect.h"
#include "mlir/IR/BuiltinOps.h"

namespace clade {

/// Unit attribute of the functions that a caller of the model can run.
inline constexpr llvm::StringLiteral entryAttr = "clade.entry";

/// A function that layers run.
struct KindSlots {
  mlir::func::FuncOp function;
  /// Its parameters in order of first use: number i is weight firstWeight + i.
  llvm::SmallVector<llvm::StringRef> params;
  /// State attribute s of its ops is state firstState + s, s < numStates.
  int64_t numStates = 0;
};

/// A row of a schedule.
struct LayerSlots {
  int64_t kind = 0;  ///< Index into SlotTable::kinds.
  int64_t layer = 0; ///< Place in its own schedule: the `{layer}` of names.
  int64_t firstWeight = 0;
  int64_t firstState = 0;
};

/// The numbers of all weights and states of a module. Names are those of
/// `wmap.func`s and live as long as the module's context.
struct SlotTable {
  /// Parameters of the entry functions: number i is weight i.
  llvm::SmallVector<llvm::StringRef> globals;
  /// The functions of all schedules, each once.
  llvm::SmallVector<KindSlots> kinds;
  /// The rows of all schedules, in the order of the module.
  llvm::SmallVector<LayerSlots> layers;
  /// Index in `layers` of the first row of each schedule.
  llvm::StringMap<int64_t> firstLayer;
  int64_t numWeights = 0;
  int64_t numStates = 0;
};

/// Numbers the weights and states of `module`, which verifies. Diagnosed: a
/// parameter in a function that is neither an entry nor a kind, a function that
/// is both, a state outside of a layer, a negative state, totals beyond 2^31 −
/// 1 (they are 32-bit numbers in the step).
mlir::FailureOr<SlotTable> assignSlots(mlir::ModuleOp module);

} // namespace clade

#endif // CLADE_LIB_WEIGHTS_SLOTS_H
