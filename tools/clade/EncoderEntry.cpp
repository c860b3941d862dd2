//===- EncoderEntry.cpp - Models that read texts as a whole ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/EncoderEntry.h"

#include "dialect/Clade/CladeDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace clade;
using namespace clade::driver;
using mlir::func::FuncOp;

static bool isBidirectional(mlir::Operation *op) {
  if (auto attend = llvm::dyn_cast<AttendOp>(op))
    return attend.getBidirectional();
  auto cached = llvm::dyn_cast<AttendCachedOp>(op);
  return cached && cached.getBidirectional();
}

bool driver::readsWholeSequences(mlir::ModuleOp module) {
  auto entry = module.lookupSymbol<FuncOp>("forward");
  bool isWhole = false;
  if (!entry)
    return false;
  entry.walk([&](LayersOp layers) {
    auto schedule = module.lookupSymbol<ScheduleOp>(layers.getSchedule());
    for (auto kind : schedule.getKinds().getAsRange<mlir::FlatSymbolRefAttr>())
      module.lookupSymbol<FuncOp>(kind.getValue())
          .walk([&](mlir::Operation *op) { isWhole |= isBidirectional(op); });
  });
  return isWhole;
}

/// Rows of the smallest table that is read by what the entry 'forward' is given
/// as this argument. Other ids than those are computed to fit.
static std::optional<int64_t> rowsFor(mlir::ModuleOp module, unsigned number) {
  std::optional<int64_t> rows;
  auto forward = module.lookupSymbol<FuncOp>("forward");
  forward.walk([&](EmbedOp embed) {
    mlir::Value ids = embed.getIds();
    if (auto kernel = embed->getParentOfType<KernelOp>())
      if (auto argument = llvm::dyn_cast<mlir::BlockArgument>(ids))
        ids = kernel.getInputs()[argument.getArgNumber()];
    auto argument = llvm::dyn_cast<mlir::BlockArgument>(ids);
    if (!argument || argument.getOwner() != &forward.getBody().front() ||
        argument.getArgNumber() != number)
      return;
    int64_t own = embed.getTable().getType().getShape()[0];
    rows = std::min(rows.value_or(own), own);
  });
  return rows;
}

std::optional<int64_t> driver::numTokenIds(mlir::ModuleOp module) {
  return rowsFor(module, 0);
}

int32_t driver::numTokenTypes(mlir::ModuleOp module) {
  return static_cast<int32_t>(rowsFor(module, 1).value_or(0));
}

rt::Status driver::fitRequests(bool isWhole, const RowFiles &files,
                               std::vector<rt::GenerateRequest> &requests) {
  if (!isWhole && !files.embeddings.empty())
    return rt::Status::invalidArgument(
        "the model gives logits, not embeddings: say --logits");
  if (!isWhole)
    return {};
  if (!files.logits.empty())
    return rt::Status::invalidArgument(
        "the model gives embeddings, not logits: say --embeddings");
  if (files.embeddings.empty())
    return rt::Status::invalidArgument(
        "the model gives an embedding of each token, and continues no text: "
        "say where to with --embeddings FILE");
  for (rt::GenerateRequest &request : requests)
    if (request.forced.empty())
      request.maxTokens = 0;
  return {};
}
