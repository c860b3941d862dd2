//===- ChunkScans.cpp - Prompts through scans in chunks -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Clade/LinearRecurrence.h"
#include "lib/Transforms/Passes.h"

namespace clade {
#define GEN_PASS_DEF_CHUNKSCANSPASS
#include "lib/Transforms/Passes.h.inc"

using namespace mlir;

namespace {
struct ChunkScansPass : impl::ChunkScansPassBase<ChunkScansPass> {
  using ChunkScansPassBase::ChunkScansPassBase;

  void runOnOperation() override {
    getOperation().walk([&](ScanOp scan) {
      if (!LinearRecurrence::match(scan))
        return;
      scan.setChunk(tokens);
      ++numChunked;
    });
  }
};
} // namespace
} // namespace clade
