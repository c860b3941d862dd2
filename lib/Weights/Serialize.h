//===- Serialize.h - The weights table of an artifact -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes the `wmap` functions of a module as the JSON that the runtime loads
// weights by (docs/weights-format.md). Its reader is
// runtime/Weights/WeightProgram.h.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_WEIGHTS_SERIALIZE_H
#define CLADE_LIB_WEIGHTS_SERIALIZE_H

#include "lib/Weights/Uses.h"

namespace clade {

/// The weights table of `module`, which verifies: one entry for each parameter
/// that has a slot in `slots`, in the order of the slots. Diagnosed at the op
/// at fault: `{layer}` outside of layers, an op of another dialect, a function
/// that nests or repeats beyond what the table's reader accepts, an element
/// type or a name that the format lacks.
mlir::FailureOr<std::string> serializeWeights(mlir::ModuleOp module,
                                              const SlotTable &slots);

/// The table with an entry for each of `uses`. Diagnosed as above. A weight of
/// factors of adapters is a placeholder, which the engine replaces, unless the
/// table is that of adapters.
mlir::FailureOr<std::string> serializeWeights(llvm::ArrayRef<WeightUse> uses,
                                              bool ofAdapters = false);

} // namespace clade

#endif // CLADE_LIB_WEIGHTS_SERIALIZE_H
