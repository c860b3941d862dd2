//===- CodeParts.h - A module of code, cut into several ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_CODEPARTS_H
#define CLADE_CODEGEN_CPU_CODEPARTS_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/SmallVector.h"

namespace clade::cpu {

/// Moves the functions of `module` to at most `count` modules with about as
/// many operations each, which can be lowered and linked as if they were one:
/// what a function calls is declared where it is not defined, and internal
/// constants are in every part that reads them. Which function goes where
/// depends on the module and `count` alone. Other globals than such constants
/// stay with the first; where a function names one, there is one part.
llvm::SmallVector<mlir::OwningOpRef<mlir::ModuleOp>>
cutIntoParts(mlir::ModuleOp module, unsigned count);

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_CODEPARTS_H
