//===- Server.h - The language server ---------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The Language Server Protocol 3.17, as far as docs/editors.md says.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LSP_SERVER_H
#define CLADE_LSP_SERVER_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/LSP/Transport.h"

namespace clade::lsp {

/// Answers until the client says 'exit'; `specs` is the folder of Clade's own
/// families. Gives whether the client said 'shutdown' before.
bool serve(llvm::lsp::JSONTransport &transport, llvm::StringRef specs);

} // namespace clade::lsp

#endif // CLADE_LSP_SERVER_H
