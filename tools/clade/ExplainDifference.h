//===- ExplainDifference.h - Why logits differ ------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_EXPLAINDIFFERENCE_H
#define CLADE_TOOLS_CLADE_EXPLAINDIFFERENCE_H

#include "tools/clade/Environment.h"
#include "tools/clade/VerifyRuns.h"

namespace clade::driver {

/// Tries the likely mistakes of specs one by one, in f32 by the interpreter,
/// and prints those without which the logits are the published ones, or that
/// none is.
void explainDifference(Environment &environment,
                       const rt::Checkpoint &checkpoint, int64_t vocab,
                       const VerifyText &text, const Values &published);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_EXPLAINDIFFERENCE_H
