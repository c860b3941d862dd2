//===- CladeOpBase.td - What all ops of the dialect share --*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_CLADE_OP_BASE_TD
#define CLADE_DIALECT_CLADE_OP_BASE_TD

include "dialect/Clade/CladeDialect.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Clade_Op<string mnemonic, list<Trait> traits = []>
    : Op<Clade_Dialect, mnemonic, traits>;

/// An op without side effects whose results depend only on operands and attributes.
class Clade_PureOp<string mnemonic, list<Trait> traits = []>
    : Clade_Op<mnemonic, !listconcat([Pure], traits)>;

#endif // CLADE_DIALECT_CLADE_OP_BASE_TD
