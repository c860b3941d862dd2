//===- Progress.h - What long work is doing ---------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One line on stderr that says what a command is doing, where stderr is a
// terminal; nothing where it is a file or a pipe. The line is taken away before
// anything else is printed: results on stdout and errors never share it.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_PROGRESS_H
#define CLADE_TOOLS_CLADE_PROGRESS_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>

namespace clade::driver {

/// Shows `work`, such as "generating code", instead of what was shown.
void showProgress(llvm::StringRef work);

/// Shows `work` and how much of it is done, in percent. Cheap to call often:
/// draws only when the percentage changes.
void showProgress(llvm::StringRef work, int64_t done, int64_t total);

/// Takes the line away.
void clearProgress();

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_PROGRESS_H
