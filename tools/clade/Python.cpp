//===- Python.cpp - The Python that reference scripts run in --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Python.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Program.h"

#include <cstdlib>

using namespace clade;

rt::StatusOr<std::string> driver::findPython() {
  std::string python;
  if (const char *named = std::getenv("CLADE_PYTHON")) {
    python = named;
  } else {
    const char *cache = std::getenv("CLADE_CACHE"), *home = std::getenv("HOME");
    python = cache ? cache : std::string(home ? home : ".") + "/.cache/clade";
    python += "/venv/bin/python";
    if (!llvm::sys::fs::can_execute(python))
      return rt::Status::unsupported(
          "no Python with transformers was found: run tools/dev/python-env.sh, "
          "or name one in $CLADE_PYTHON");
  }
  llvm::ErrorOr<std::string> program = llvm::sys::findProgramByName(python);
  if (!program)
    return rt::Status::unsupported("cannot run '" + python +
                                   "': " + program.getError().message());
  return *program;
}
