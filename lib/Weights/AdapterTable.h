//===- AdapterTable.h - How adapters fill their places ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A weight that holds the factors of all places for adapters is no part of the
// checkpoint: its function says how those of all places would be made of
// factors by name, and the table says the same of one.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_WEIGHTS_ADAPTERTABLE_H
#define CLADE_LIB_WEIGHTS_ADAPTERTABLE_H

#include "lib/Weights/Uses.h"

#include <string>
#include <vector>

namespace clade {

/// Whether a weight holds factors of adapters.
bool holdsAdapters(wmap::FuncOp function);

struct AdapterTable {
  std::string text; ///< As of serializeWeights(), with slots from 0.
  std::vector<int32_t> weights; ///< Slot i of it is a part of this weight.
};

/// The table of one adapter for `module`, which verifies and whose weights have
/// `places`, that of no adapter among them. Diagnosed as in serializeWeights().
mlir::FailureOr<AdapterTable> serializeAdapters(mlir::ModuleOp module,
                                                const SlotTable &slots,
                                                int64_t places);

} // namespace clade

#endif // CLADE_LIB_WEIGHTS_ADAPTERTABLE_H
