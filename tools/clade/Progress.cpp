//===- Progress.cpp - What long work is doing -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Progress.h"

#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

#include <string>

using namespace clade;

/// What the line says now; empty if there is none.
static std::string shown;

static bool isShowing() {
  static const bool isTerminal = llvm::sys::Process::StandardErrIsDisplayed();
  return isTerminal;
}

static void draw(std::string text) {
  if (text == shown)
    return;
  // Back to the line's start, the text, and the rest of the old one erased.
  llvm::errs() << "\r" << text << "\x1b[K";
  llvm::errs().flush();
  shown = std::move(text);
}

void driver::showProgress(llvm::StringRef work) {
  if (isShowing())
    draw((work + " …").str());
}

void driver::showProgress(llvm::StringRef work, int64_t done, int64_t total) {
  if (!isShowing() || total <= 0)
    return;
  // Bytes of weights are far below 2^56.
  draw((work + " " + llvm::Twine(done * 100 / total) + " %").str());
}

void driver::clearProgress() {
  if (!shown.empty())
    draw("");
}
