//===- LocateDifference.h - Where two runs part -----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_LOCATEDIFFERENCE_H
#define CLADE_TOOLS_CLADE_LOCATEDIFFERENCE_H

#include "tools/clade/CompileModel.h"
#include "tools/clade/VerifyRuns.h"

namespace clade::driver {

/// Says on stderr which half of the compiler a difference from the
/// interpreter's logits `expected` comes from. A fusion: the interpreter can
/// run the module before and after. Generated code: the first kernel, in the
/// order of computation, whose result differs from the interpreter's, with its
/// layer. `artifact` is the code that differed; if it is empty, the checkpoint
/// is compiled again to be traced.
void locateInCompiler(Environment &environment,
                      const rt::Checkpoint &checkpoint,
                      const ModelChoice &choice, int64_t vocab,
                      const VerifyText &text, const Values &expected,
                      const std::string &artifact);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_LOCATEDIFFERENCE_H
