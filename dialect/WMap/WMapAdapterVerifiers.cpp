//===- WMapAdapterVerifiers.cpp - Verifiers of WMapAdapterOps.td ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/WMap/WMapDialect.h"

using namespace mlir;
using namespace clade::wmap;

static RankedTensorType adapterType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

static bool isComputeFloat(RankedTensorType type) {
  return isa<Float32Type, BFloat16Type, Float16Type>(type.getElementType());
}

LogicalResult LowRankOp::verify() {
  RankedTensorType left = adapterType(getLeft()),
                   right = adapterType(getRight()),
                   result = adapterType(getResult());
  int64_t rank = left.getRank();
  // low_rank_c1, low_rank_c2
  if (rank < 2 || right.getRank() != rank ||
      left.getShape().drop_back(2) != right.getShape().drop_back(2) ||
      left.getDimSize(rank - 1) != right.getDimSize(rank - 2))
    return emitOpError() << "expected matrices that can be multiplied, got "
                         << left << " and " << right;
  // low_rank_c3
  SmallVector<int64_t> shape(left.getShape());
  shape.back() = right.getDimSize(rank - 1);
  if (!isComputeFloat(left) || !isComputeFloat(right) ||
      !result.getElementType().isF32() || ArrayRef(shape) != result.getShape())
    return emitOpError() << "expected the f32 product of f32, bf16 or f16 "
                            "factors, got "
                         << left << " and " << right << " to " << result;
  return success();
}

LogicalResult AddOp::verify() {
  RankedTensorType input = adapterType(getInput()),
                   change = adapterType(getChange());
  // add_c1
  if (!isComputeFloat(input))
    return emitOpError() << "expected f32, bf16 or f16 elements, got " << input;
  // add_c2
  if (!change.getElementType().isF32() || change.getShape() != input.getShape())
    return emitOpError() << "expected an f32 change in the sizes of " << input
                         << ", got " << change;
  return success();
}
