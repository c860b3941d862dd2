//===- LocateRounding.h - Where values round otherwise ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_LOCATEROUNDING_H
#define CLADE_TOOLS_CLADE_LOCATEROUNDING_H

#include "tools/clade/PublishedRun.h"
#include "tools/clade/VerifyRuns.h"

namespace clade::driver {

/// Says on stderr which value of the prompt is the first that a module of bf16
/// (run by the interpreter) rounds at other places than the published run of
/// that type: each is computed from the published values before it.
void locateRounding(const PublishedRun &published, mlir::ModuleOp module,
                    const rt::Checkpoint &checkpoint, int64_t vocab,
                    const VerifyText &text);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_LOCATEROUNDING_H
