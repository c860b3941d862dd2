//===- Format.h - The canonical form of a .spec file ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One style for every file: two blanks a level, lines of 100 columns, four
// blanks between items of one line and before the continuation of a line. The
// author decides which items share a line and which bodies stay on one line, as
// far as they fit; everything else is decided here.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_SPEC_FORMAT_H
#define CLADE_SPEC_FORMAT_H

#include "lib/Spec/AST.h"

#include "llvm/Support/SourceMgr.h"

#include <string>

namespace clade::spec {

/// Columns that a line may have. Only a word that cannot be broken, such as a
/// long string, or a comment of its own line may exceed it.
constexpr unsigned maxColumns = 100;

/// The canonical text of `file`, whose text is in `sourceMgr`: it means the
/// same tree, has the same comments in the same order, and is its own canonical
/// text.
std::string format(const File &file, const llvm::SourceMgr &sourceMgr);

} // namespace clade::spec

#endif // CLADE_SPEC_FORMAT_H
