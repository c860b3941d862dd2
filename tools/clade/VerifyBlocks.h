//===- VerifyBlocks.h - Each block beside the published one -----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Level 2 of the validation. A model's values that the published implementation
// names, results of linear maps, norms and experts, cut its computation into
// blocks. Each is computed from the published values before it: whatever the
// interpreter made of a named value is compared, and then replaced. So an error
// in one block is not carried into the next, and none is averaged away.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_VERIFYBLOCKS_H
#define CLADE_TOOLS_CLADE_VERIFYBLOCKS_H

#include "tools/clade/Compare.h"
#include "tools/clade/PublishedRun.h"
#include "tools/clade/VerifyRuns.h"

namespace clade::driver {

/// The name of the row of the head's result.
inline constexpr llvm::StringLiteral logitsRow = "logits";

/// A block in all layers that have it.
struct BlockRow {
  std::string name;   ///< Of the value that it ends in, with '{layer}'.
  int64_t layers = 0; ///< How many; 0 outside of layers.
  int64_t worst = -1; ///< The layer of `distance`; -1 outside of layers.
  Distance distance;  ///< The largest.
  bool passed = true; ///< All are within the bounds of f32.
};

struct BlockComparison {
  std::vector<BlockRow> rows; ///< In the order of computation.
  /// Published values that no value of the model was compared with.
  std::vector<std::string> notCompared;
};

/// Runs `module`, of f32, on the prompt. Prints what is wrong.
mlir::FailureOr<BlockComparison> compareBlocks(const PublishedRun &published,
                                               mlir::ModuleOp module,
                                               const rt::Checkpoint &checkpoint,
                                               int64_t vocab,
                                               const VerifyText &text);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_VERIFYBLOCKS_H
