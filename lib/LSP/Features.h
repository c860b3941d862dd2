//===- Features.h - What an editor may ask ----------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each answers for a place of a text that need not parse.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LSP_FEATURES_H
#define CLADE_LSP_FEATURES_H

#include "lib/LSP/Workspace.h"

namespace clade::lsp {

/// What a word means.
struct Meaning {
  enum class Kind {
    Nothing,
    Variable,
    Block,
    Field,
    Family,
    Part,
    Builtin,
    Key
  };

  Kind kind = Kind::Nothing;
  std::string name;
  std::optional<mlir::Location> loc; ///< Where it is declared.
  size_t offset = 0;                 ///< Of a variable: in the text itself.
  const spec::FamilyDecl *family = nullptr; ///< Whose name it is.
  const spec::BlockDecl *block = nullptr;
  std::string blockFamily; ///< Whose text the block is; 'std' for the prelude.
  const spec::FieldDecl *field = nullptr;
  const spec::PartDecl *part = nullptr;
};
Meaning meaningOf(Analysis &analysis, const Cursor &cursor);

/// Messages of a text; what is wrong elsewhere is said at its first family.
std::vector<llvm::lsp::Diagnostic>
diagnosticsOf(Analysis &analysis, StringRef file, StringRef text);
/// Markdown, with the word that it is about; nothing if there is nothing.
std::optional<llvm::lsp::Hover> hoverAt(Analysis &analysis, StringRef file,
                                        StringRef text, size_t offset);
std::optional<llvm::lsp::Location>
definitionAt(Analysis &analysis, StringRef file, StringRef text, size_t offset);
std::vector<llvm::lsp::CompletionItem>
completionsAt(Analysis &analysis, StringRef text, size_t offset);
std::vector<llvm::lsp::DocumentSymbol> symbolsOf(StringRef text);
/// One edit that makes the text canonical; none if it is, or does not parse.
std::vector<llvm::lsp::TextEdit> formattingOf(StringRef text);

} // namespace clade::lsp

#endif // CLADE_LSP_FEATURES_H
