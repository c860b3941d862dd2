//===- CladeDialect.h - The compute dialect ---------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_CLADE_CLADEDIALECT_H
#define CLADE_DIALECT_CLADE_CLADEDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace clade {
/// Name of the sequence axis of every tensor that has one value a token.
inline constexpr llvm::StringLiteral tokenAxis = "token";
/// Name of the sequence axis after `clade.select`.
inline constexpr llvm::StringLiteral selectedAxis = "selected";
class NamedTensorType;
} // namespace clade

#include "dialect/Clade/CladeDialect.h.inc"
#include "dialect/Clade/CladeEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialect/Clade/CladeAttrs.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialect/Clade/CladeTypes.h.inc"

#define GET_OP_CLASSES
#include "dialect/Clade/CladeOps.h.inc"

namespace clade {
/// The type of what a tensor holds for one token: without the sequence axis.
NamedTensorType tokenRow(NamedTensorType type);
} // namespace clade

#endif // CLADE_DIALECT_CLADE_CLADEDIALECT_H
