//===- EncoderEntry.h - Models that read texts as a whole -------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_ENCODERENTRY_H
#define CLADE_TOOLS_CLADE_ENCODERENTRY_H

#include "mlir/IR/BuiltinOps.h"
#include "runtime/Engine/Generate.h"

namespace clade::driver {

/// Whether tokens of the entry 'forward' see those behind them: a sequence is
/// whole in one step, and what the entry gives are embeddings, not logits.
bool readsWholeSequences(mlir::ModuleOp module);

/// How many token ids every table that they are looked up in has rows for;
/// nothing if there is none.
std::optional<int64_t> numTokenIds(mlir::ModuleOp module);

/// How many types of tokens, likewise; 0 if the entry takes none.
int32_t numTokenTypes(mlir::ModuleOp module);

/// Where 'clade run' was asked to write rows to; empty for nowhere.
struct RowFiles {
  std::string logits, embeddings;
};

/// Requests to a model that reads texts as a whole make no tokens, unless some
/// are forced. InvalidArgument for rows of the other kind than the model gives,
/// and for embeddings that nobody asked for.
rt::Status fitRequests(bool isWhole, const RowFiles &files,
                       std::vector<rt::GenerateRequest> &requests);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_ENCODERENTRY_H
