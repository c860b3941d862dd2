//===- PublishedRun.h - A run of the published implementation ---*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_PUBLISHEDRUN_H
#define CLADE_TOOLS_CLADE_PUBLISHEDRUN_H

#include "tools/clade/PublishedValues.h"

#include "runtime/Support/Status.h"

namespace clade::driver {

/// What is run, and how.
struct PublishedChoice {
  std::string checkpoint;
  std::string adapter;                  ///< Merged by PEFT; empty for none.
  std::string library = "transformers"; ///< Or 'nemo-automodel'.
  /// Whether code that is part of the checkpoint may run.
  bool trustsCode = false;
};

/// Runs a class of a library in Python on a checkpoint: the prompt in one
/// piece, then the forced tokens one by one, if any, in `dtype` "f32" or
/// "bf16", with eager attention. Unsupported if there is no Python with torch,
/// the library and, for an adapter, peft, and if the class is the checkpoint's
/// own code, which is not trusted.
rt::StatusOr<PublishedRun> runPublished(const PublishedChoice &choice,
                                        const VerifyText &text,
                                        const std::string &dtype);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_PUBLISHEDRUN_H
