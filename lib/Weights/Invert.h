//===- Invert.h - From compiled weights back to published tensors -*- C++ -===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The inverse of a weight mapping is derived, never written: each `wmap` op
// says how its operand comes back from its result, and a published tensor that
// was cut is put together from its slices.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_WEIGHTS_INVERT_H
#define CLADE_LIB_WEIGHTS_INVERT_H

#include "lib/Weights/Uses.h"

#include <string>
#include <vector>

namespace clade {

/// A published tensor that does not come back bit for bit.
struct WeightLoss {
  std::string tensor; ///< With '{layer}' if it is one of each layer.
  std::string reason; ///< The step that loses it.

  bool operator==(const WeightLoss &other) const = default;
};

/// The way back. The functions of `module` are named after published tensors;
/// their sources are compiled weights, named as the mapping's functions are,
/// with '@{layer}' behind the name of one that layers have but whose name does
/// not say so.
struct InverseWeights {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  /// Slot i of a use is tensor `tensors[i]`.
  llvm::SmallVector<WeightUse> uses;
  std::vector<std::string> tensors;
  std::vector<WeightLoss> losses;
};

/// Inverts the weights of `module`, which verifies. Every source of its mapping
/// is in `tensors` or in `losses`. With `mayRound` casts and sums that round
/// are undone as well, up to that rounding.
InverseWeights invertWeights(mlir::ModuleOp module, const SlotTable &slots,
                             bool mayRound = false);

/// The name under which a compiled weight is a source of the way back.
std::string compiledName(const WeightUse &use);

} // namespace clade

#endif // CLADE_LIB_WEIGHTS_INVERT_H
