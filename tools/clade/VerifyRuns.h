//===- VerifyRuns.h - The runs that verify compares -------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_VERIFYRUNS_H
#define CLADE_TOOLS_CLADE_VERIFYRUNS_H

#include "tools/clade/PublishedValues.h"
#include "tools/clade/RunInterpreted.h"

#include "runtime/Engine/Session.h"

namespace clade::driver {

/// Logits [token, vocab] of all tokens but the last, or embeddings.
using Values = std::vector<float>;
using Observer = std::function<void(const reference::Event &)>;

/// By the interpreter, the prompt in one piece. Prints what is wrong.
mlir::FailureOr<Values> interpret(mlir::ModuleOp module,
                                  const rt::Checkpoint &checkpoint,
                                  int64_t vocab, const VerifyText &text,
                                  const Observer &observer = nullptr);

/// By compiled code, the prompt in pieces of `chunk` tokens. Prints what is
/// wrong.
mlir::FailureOr<Values> runArtifact(const std::string &artifact,
                                    const VerifyText &text, int32_t chunk,
                                    const rt::TraceFunction &trace = nullptr);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_VERIFYRUNS_H
