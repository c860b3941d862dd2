//===- Parser.h - Parser of the .spec language ------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Text to syntax tree. The grammar is in docs/language.md. Names are not
// resolved here, but a name declared twice in one place is reported.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_SPEC_PARSER_H
#define CLADE_SPEC_PARSER_H

#include "lib/Spec/AST.h"

#include "mlir/Support/LLVM.h"
#include "llvm/Support/SourceMgr.h"

#include <memory>

namespace clade::spec {

/// Nesting (of brackets, bodies, operators) that a file may have. Every visitor
/// of the tree may recurse this deep.
constexpr unsigned maxNesting = 256;
/// Errors after which the parser gives up.
constexpr unsigned maxErrors = 20;

/// Parses buffer `bufferId` of `sourceMgr`. Errors go to the diagnostic engine
/// of `context` at FileLineColLocs that name the buffer; after one the parser
/// goes on with the next declaration. Fails if there was any error.
mlir::FailureOr<std::unique_ptr<File>> parseSpec(llvm::SourceMgr &sourceMgr,
                                                 unsigned bufferId,
                                                 mlir::MLIRContext *context);

} // namespace clade::spec

#endif // CLADE_SPEC_PARSER_H
