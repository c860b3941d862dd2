//===- VerifyPublished.h - Beside the published implementation --*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_VERIFYPUBLISHED_H
#define CLADE_TOOLS_CLADE_VERIFYPUBLISHED_H

#include "tools/clade/PublishedSource.h"
#include "tools/clade/VerifyOptions.h"

namespace clade::driver {

/// Level 3 against the published implementation. Prints; gives the exit status.
int verifyAgainstPublished(Environment &environment,
                           const rt::Checkpoint &checkpoint,
                           const VerifyOptions &options,
                           PublishedSource &source);

/// Level 2. Prints; gives the exit status.
int verifyBlocks(Environment &environment, const rt::Checkpoint &checkpoint,
                 const VerifyOptions &options, PublishedSource &source);

/// Runs the published implementation in every type that the levels need, and
/// writes what it gives to the file that the options name.
int recordPublished(Environment &environment, const rt::Checkpoint &checkpoint,
                    const VerifyOptions &options, PublishedSource &source);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_VERIFYPUBLISHED_H
