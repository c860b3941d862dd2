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

/// Whether values are the first elements of the keys' rows.
static bool areShared(AttendOp attend) {
  auto slice = attend.getValue().getDefiningOp<SliceOp>();
  return slice && slice.getInput() == attend.getKey() &&
         slice.getAxis() ==
             attend.getKey().getType().getNames().back().getValue() &&
         slice.getBegin() == 0;
}

namespace {
struct MakeStateExplicitPass
    : impl::MakeStateExplicitPassBase<MakeStateExplicitPass> {
  void runOnOperation() override {
    SmallVector<AttendOp> attends;
    getOperation().walk([&](AttendOp attend) { attends.push_back(attend); });
    for (AttendOp attend : attends) {
      OpBuilder builder(attend);
      UnitAttr shared = areShared(attend) ? builder.getUnitAttr() : UnitAttr();
      CacheWriteOp::create(builder, attend.getLoc(), attend.getKey(),
                           attend.getValue(), attend.getBatch(),
                           attend.getStateAttr(), shared);
      int64_t kvHeads = attend.getKey().getType().getShape()[1];
      Value result = AttendCachedOp::create(
          builder, attend.getLoc(), attend.getResult().getType(),
          attend.getQuery(), attend.getBatch(), attend.getSink(),
          attend.getGroups(), attend.getStateAttr(),
          builder.getI64IntegerAttr(kvHeads), attend.getScaleAttr(),
          attend.getWindowAttr(), attend.getSoftcapAttr(),
          attend.getSlopesAttr(), attend.getModelSoftmaxAttr(),
          attend.getBidirectionalAttr(), shared);
      attend.replaceAllUsesWith(result);
      attend.erase();
    }
  }
};
} // namespace
} // namespace clade
