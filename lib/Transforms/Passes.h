//===- Passes.h - Passes between import and code ----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TRANSFORMS_PASSES_H
#define CLADE_TRANSFORMS_PASSES_H

#include "dialect/Clade/CladeDialect.h"
#include "dialect/WMap/WMapDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace clade {

/// Whether the checkpoint has the weights of all products that take the forms
/// of `clade-quantise-weights` in f16, so that this form of them loses nothing.
/// `module` is as it was imported, in f32.
bool areStoredAsHalves(mlir::ModuleOp module);

#define GEN_PASS_DECL
#include "lib/Transforms/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "lib/Transforms/Passes.h.inc"

} // namespace clade

#endif // CLADE_TRANSFORMS_PASSES_H
