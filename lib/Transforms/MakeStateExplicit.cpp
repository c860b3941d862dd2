//===- MakeStateExplicit.cpp - Attention as write and read ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Transforms/Passes.h"

namespace clade {
#define GEN_PASS_DEF_MAKESTATEEXPLICITPASS
#include "lib/Transforms/Passes.h.inc"

using namespace mlir;

namespace {
struct MakeStateExplicitPass
    : impl::MakeStateExplicitPassBase<MakeStateExplicitPass> {
  void runOnOperation() override {
    SmallVector<AttendOp> attends;
    getOperation().walk([&](AttendOp attend) { attends.push_back(attend); });
    for (AttendOp attend : attends) {
      OpBuilder builder(attend);
      CacheWriteOp::create(builder, attend.getLoc(), attend.getKey(),
                           attend.getValue(), attend.getBatch(),
                           attend.getStateAttr());
      int64_t kvHeads = attend.getKey().getType().getShape()[1];
      Value result = AttendCachedOp::create(
          builder, attend.getLoc(), attend.getResult().getType(),
          attend.getQuery(), attend.getBatch(), attend.getSink(),
          attend.getGroups(), attend.getStateAttr(),
          builder.getI64IntegerAttr(kvHeads), attend.getScaleAttr(),
          attend.getWindowAttr(), attend.getSoftcapAttr(),
          attend.getSlopesAttr(), attend.getModelSoftmaxAttr(),
          attend.getBidirectionalAttr());
      attend.replaceAllUsesWith(result);
      attend.erase();
    }
  }
};
} // namespace
} // namespace clade
