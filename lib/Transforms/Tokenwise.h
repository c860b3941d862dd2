//===- Tokenwise.h - Ops that work on each token by itself ------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TRANSFORMS_TOKENWISE_H
#define CLADE_TRANSFORMS_TOKENWISE_H

#include "dialect/Clade/CladeDialect.h"

namespace clade {

/// Ops of one operand place that has the sequence axis, whose result for a
/// token depends on that token alone and that need no state. Some have several
/// results.
inline bool isTokenwiseCompute(mlir::Operation *op) {
  return mlir::isa<UnaryOp, BinaryOp, CastOp, ReduceOp, SoftmaxOp, ViewOp,
                   SliceOp, JoinOp, SpreadOp, RepeatOp, TopKOp, GatherOp,
                   MemberOp, WhereOp, MixOp>(op);
}

/// Ops that only look at the same elements in another way.
inline bool isViewLike(mlir::Operation *op) {
  return mlir::isa_and_nonnull<ViewOp, SliceOp>(op);
}

/// Copies of one constant: cheaper to make again than to read.
inline bool isSpreadConstant(mlir::Operation *op) {
  auto spread = mlir::dyn_cast_or_null<SpreadOp>(op);
  return spread && spread.getInput().getDefiningOp<ConstantOp>();
}

} // namespace clade

#endif // CLADE_TRANSFORMS_TOKENWISE_H
