//===- clade-lsp-server.cpp - The language server of .spec files ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/LSP/Server.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>

/// The folder of the families that come with Clade: $CLADE_SPECS, or beside the
/// executable, or where they were built from.
static std::string specsFolder() {
  if (const char *folder = std::getenv("CLADE_SPECS"))
    return folder;
  std::string executable = llvm::sys::fs::getMainExecutable(nullptr, nullptr);
  llvm::SmallString<128> installed(llvm::sys::path::parent_path(executable));
  llvm::sys::path::append(installed, "..", "share", "clade", "specs");
  if (llvm::sys::fs::exists(installed))
    return installed.str().str();
  return CLADE_SOURCE_DIR "/specs";
}

int main(int argc, char **argv) {
  if (argc > 1) {
    llvm::StringRef option = argv[1];
    bool isHelp = option == "--help" || option == "-h";
    (isHelp ? llvm::outs() : llvm::errs())
        << "usage: clade-lsp-server\n\nAnswers an editor on stdin and stdout "
           "(Language Server Protocol); docs/editors.md says how to set it "
           "up.\n";
    return isHelp ? 0 : 2;
  }
  llvm::sys::ChangeStdinToBinary();
  llvm::sys::ChangeStdoutToBinary();
  llvm::lsp::JSONTransport transport(stdin, llvm::outs());
  return clade::lsp::serve(transport, specsFolder()) ? 0 : 1;
}
