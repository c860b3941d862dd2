//===- Uses.h - Which slots a weight fills ----------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_WEIGHTS_USES_H
#define CLADE_LIB_WEIGHTS_USES_H

#include "dialect/WMap/WMapDialect.h"
#include "lib/Weights/Slots.h"

namespace clade {

/// A `wmap.func`, and the slots that it fills.
struct WeightUse {
  wmap::FuncOp function;
  llvm::SmallVector<int64_t> slots;
  /// As long as `slots`: the layer of each, or −1 outside of layers.
  llvm::SmallVector<int64_t> layers;

  bool isInLayers() const { return !llvm::is_contained(layers, -1); }
};

/// The uses of every parameter of `module`, which verifies, in the order of
/// their first slots.
llvm::SmallVector<WeightUse> collectUses(mlir::ModuleOp module,
                                         const SlotTable &slots);

} // namespace clade

#endif // CLADE_LIB_WEIGHTS_USES_H
