//===- Certify.h - The certificate of a weight mapping ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes down what the importer proved and what the inverse tells: see
// runtime/Weights/Certificate.h.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_WEIGHTS_CERTIFY_H
#define CLADE_LIB_WEIGHTS_CERTIFY_H

#include "lib/Weights/Slots.h"
#include "runtime/Weights/Certificate.h"

namespace clade {

/// The certificate of the weights of `module`, which verifies and whose sources
/// are `tensors`, sorted by name; `tableText` is its weights table.
rt::Certificate certifyWeights(mlir::ModuleOp module, const SlotTable &slots,
                               llvm::ArrayRef<rt::StoredTensor> tensors,
                               llvm::StringRef tableText);

} // namespace clade

#endif // CLADE_LIB_WEIGHTS_CERTIFY_H
