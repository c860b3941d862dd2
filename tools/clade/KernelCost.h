//===- KernelCost.h - What kernels read and compute -------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Predicted from the kernels' text alone: the bytes that must come from memory,
// weights and states, and the floating-point operations of products and of
// attention. What stays in caches, activations above all, is not counted, nor
// are operations on single elements.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_KERNELCOST_H
#define CLADE_TOOLS_CLADE_KERNELCOST_H

#include "dialect/WMap/WMapDialect.h"
#include "lib/Weights/Slots.h"

#include <optional>
#include <string>
#include <vector>

namespace clade::driver {

/// Bytes that a weight is read as: those of its blocks, if it has any.
int64_t weightBytes(wmap::FuncOp weight);

/// A call of the compiled step.
struct StepShape {
  int64_t sequences = 1;
  int64_t tokens = 1;   ///< Of each sequence.
  int64_t selected = 1; ///< Of them, those whose logits are wanted.
  int64_t context = 0;  ///< Tokens of each sequence before the step.
};

struct KernelCost {
  std::string kind; ///< As in 'clade.kernel'.
  std::vector<std::string> weights;
  bool isOfSelected = false; ///< Runs for the selected tokens only.
  size_t results = 1;

  int64_t multiplyAdds = 0; ///< Of products, a token.
  int64_t weightBytes = 0;  ///< Read by each step.
  int64_t rowBytes = 0;     ///< Rows of tables, a token.
  /// Of a product with experts: bytes of all, how many a token chooses.
  int64_t expertBytes = 0, experts = 0, activeExperts = 0;
  /// Of attention: keys and values of a token of the past, and multiply-adds
  /// for a token and one of its past.
  int64_t stateBytes = 0, stateMultiplyAdds = 0;
  std::optional<int64_t> window;

  /// Experts are counted as often as they are expected to be chosen, were each
  /// as likely as the others.
  double bytes(const StepShape &step) const;
  double flops(const StepShape &step) const;
};

/// The kernels of an entry or of a kind of layer, in order.
struct FunctionCost {
  std::string name;
  int64_t layers = 0; ///< That run it; 0 for an entry.
  std::vector<KernelCost> kernels;
};

/// Of a module of kernels, before its weights are laid out for a machine.
std::vector<FunctionCost> costOf(mlir::ModuleOp module, const SlotTable &slots);

/// A kernel at its place in a step.
struct ScheduledKernel {
  const FunctionCost *function;
  const KernelCost *kernel;
};

/// The kernels of the entry for text in the order in which a step runs them.
std::vector<ScheduledKernel> scheduleOf(mlir::ModuleOp module,
                                        const SlotTable &slots,
                                        const std::vector<FunctionCost> &costs);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_KERNELCOST_H
