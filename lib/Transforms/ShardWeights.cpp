//===- ShardWeights.cpp - The weights of one of several devices -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Transforms/Passes.h"

#include "lib/Weights/Shard.h"

namespace clade {
#define GEN_PASS_DEF_SHARDWEIGHTSPASS
#include "lib/Transforms/Passes.h.inc"

using namespace mlir;

namespace {
struct ShardWeightsPass : impl::ShardWeightsPassBase<ShardWeightsPass> {
  using ShardWeightsPassBase::ShardWeightsPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    Mesh mesh{tensor, expert, pipeline, rank};
    if (std::optional<std::string> problem = mesh.check()) {
      module.emitError() << *problem;
      return signalPassFailure();
    }
    FailureOr<SlotTable> slots = assignSlots(module);
    if (failed(slots))
      return signalPassFailure();
    auto shards = planShards(module, *slots, mesh);
    if (failed(shards))
      return signalPassFailure();
    for (const WeightShard &shard : *shards)
      shard.cuts.empty() ? ++numWhole : ++numCut;
    applyShards(module, *shards);
  }
};
} // namespace
} // namespace clade
