//===- RunInterpreted.h - Generation by the interpreter ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_RUNINTERPRETED_H
#define CLADE_TOOLS_CLADE_RUNINTERPRETED_H

#include "lib/Reference/Interpreter.h"
#include "runtime/Engine/Generate.h"

namespace clade::driver {

/// rt::generate by the reference interpreter: greedy, sampled or forced tokens,
/// prompts in pieces of `chunk` tokens (0: whole). `images` is the module's
/// entry for images, or null. Fails after a diagnostic.
mlir::FailureOr<rt::Generation>
generateInterpreted(reference::Interpreter &interpreter, int64_t vocab,
                    const std::vector<rt::GenerateRequest> &requests,
                    const std::vector<int32_t> &stopTokens, int64_t chunk,
                    const rt::GenerateOptions &options,
                    const rt::ManifestImages *images = nullptr);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_RUNINTERPRETED_H
