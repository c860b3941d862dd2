//===- Walk.h - All statements and expressions of a file --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_SPEC_WALK_H
#define CLADE_SPEC_WALK_H

#include "lib/Spec/AST.h"

#include "llvm/ADT/STLFunctionalExtras.h"

namespace clade::spec {

using ExprFn = llvm::function_ref<void(const Expr &)>;
using StmtFn = llvm::function_ref<void(const Stmt &)>;

/// Visits an expression and all in it, each before what it consists of.
void walk(const Expr &expr, ExprFn onExpr, StmtFn onStmt);
/// Visits what the fields, requirements, parts and blocks of a family consist
/// of; not weight equations.
void walk(const FamilyDecl &family, ExprFn onExpr, StmtFn onStmt);
/// The same of all families, and of what stands outside of them.
void walk(const File &file, ExprFn onExpr, StmtFn onStmt);

} // namespace clade::spec

#endif // CLADE_SPEC_WALK_H
