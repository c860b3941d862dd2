//===- ShardAxes.h - Which parts of an axis devices share -------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_WEIGHTS_SHARDAXES_H
#define CLADE_LIB_WEIGHTS_SHARDAXES_H

#include "dialect/Clade/CladeDialect.h"

namespace clade {

/// A stretch of an axis.
struct AxisPart {
  int64_t size = 0;
  /// The axis that devices share, and how many of it there are; empty for a
  /// stretch that each device has whole.
  std::string name;
  int64_t count = 0;
};

/// Whether the devices of a layer share axes of this name.
bool isSharedAxis(llvm::StringRef name);

/// The stretches of an axis of `value`, from its name or, where it has none
/// that is shared, from what the computation makes of it: what it is cut into
/// and viewed as.
llvm::SmallVector<AxisPart> partsOf(mlir::Value value, int64_t axis);

/// The stretches of an axis of a weight: from its name, or as above from what
/// is computed with it.
llvm::SmallVector<AxisPart> partsOfWeight(ParamOp param, int64_t axis);

} // namespace clade

#endif // CLADE_LIB_WEIGHTS_SHARDAXES_H
