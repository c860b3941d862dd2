//===- LocatePublished.h - Where the published run parts --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_LOCATEPUBLISHED_H
#define CLADE_TOOLS_CLADE_LOCATEPUBLISHED_H

#include "tools/clade/PublishedRun.h"
#include "tools/clade/VerifyRuns.h"

namespace clade::driver {

/// Says on stderr between which two values of the prompt the module (run in f32
/// by the interpreter) and the published implementation part: the last that
/// both share, and the first that differs, with its layer and op, the first
/// token that differs, and both numbers where they differ most. Compared are
/// the inputs and results of linear maps and the results of norms, which both
/// sides name by the weight they read.
void locateAgainstPublished(const PublishedRun &published,
                            mlir::ModuleOp module,
                            const rt::Checkpoint &checkpoint, int64_t vocab,
                            const VerifyText &text);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_LOCATEPUBLISHED_H
