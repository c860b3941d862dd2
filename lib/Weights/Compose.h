//===- Compose.h - From one form of a checkpoint to another -----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Two modules of one model read their weights from two forms of a checkpoint.
// The way into the model of the one, followed by the inverse of the way into
// the model of the other, makes the tensors of the other: no conversion is
// written.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_WEIGHTS_COMPOSE_H
#define CLADE_LIB_WEIGHTS_COMPOSE_H

#include "lib/Weights/Invert.h"
#include "runtime/Weights/WeightProgram.h"

namespace clade {

/// The table of `uses`, as the runtime reads it.
mlir::FailureOr<rt::WeightTable> weightTable(llvm::ArrayRef<WeightUse> uses);

/// A weight of a model, by its slot.
struct SlotWeight {
  std::string name;     ///< With '{layer}' if it is one of each layer.
  int64_t layer = -1;   ///< Or -1 outside of layers.
  rt::WeightNode value; ///< Of the tensors of the checkpoint; names are whole.
};

/// The weights of `module`, which verifies, one a slot.
mlir::FailureOr<std::vector<SlotWeight>> weightsBySlot(mlir::ModuleOp module,
                                                       const SlotTable &slots);

/// The tensors of the other form, each a program over those of the one.
struct ConversionPlan {
  struct Tensor {
    std::string name;
    rt::WeightNode program;
  };
  std::vector<Tensor> tensors;
  std::vector<WeightLoss> losses; ///< Tensors that cannot be made.
};

/// Makes the sources of `target` from `weights`, the slots of a module that
/// computes the same. Diagnosed: weights that are not those of `target`.
mlir::FailureOr<ConversionPlan>
planConversion(llvm::ArrayRef<SlotWeight> weights, mlir::ModuleOp target,
               const SlotTable &slots);

/// What a module computes as texts, one for each function that callers run and
/// one for each layer: equal texts compute the same of weights in equal slots,
/// whatever these are called and however they are stored.
std::vector<std::string> computationOf(mlir::ModuleOp module,
                                       const SlotTable &slots);

/// Whether two such texts are equal but for the rounding of fractions: 16 ulp
/// of f32, for forms that store what a number is computed from.
bool isSameComputation(llvm::StringRef a, llvm::StringRef b);

} // namespace clade

#endif // CLADE_LIB_WEIGHTS_COMPOSE_H
