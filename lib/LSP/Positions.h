//===- Positions.h - Places in a text, as editors count them ----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Editors count lines from 0 and columns in units of UTF-16; the compiler
// counts bytes. A byte that belongs to no character counts as one unit.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LSP_POSITIONS_H
#define CLADE_LSP_POSITIONS_H

#include "llvm/Support/LSP/Protocol.h"

#include <vector>

namespace clade::lsp {

using llvm::StringRef;

class Positions {
public:
  /// `text` outlives the positions.
  explicit Positions(StringRef text);

  /// The byte that a place of the editor means; a place behind the end of its
  /// line, or of the text, means that end, and one inside a character its
  /// begin.
  size_t offsetOf(llvm::lsp::Position position) const;
  llvm::lsp::Position positionOf(size_t offset) const;
  /// From a line and a column in bytes, both from 1.
  size_t offsetOf(unsigned line, unsigned column) const;
  llvm::lsp::Range rangeOf(size_t begin, size_t end) const {
    return {positionOf(begin), positionOf(end)};
  }

private:
  /// The line, without what ends it.
  StringRef lineAt(size_t line) const;

  StringRef text;
  std::vector<size_t> starts; ///< Of lines, in bytes; at least one.
};

} // namespace clade::lsp

#endif // CLADE_LSP_POSITIONS_H
