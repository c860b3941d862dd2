//===- AttentionVerifiers.cpp - Checks of ops on heads --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each check is marked with the constraint of the op's description that it
// enforces.
//
//===----------------------------------------------------------------------===//

#include "dialect/Clade/Verification.h"

using namespace mlir;
using namespace clade;

/// Whether a tensor is [token, heads, size].
static bool isHeads(NamedTensorType type) {
  return type.getRank() == 3 && type.getNames()[0] == tokenAxis;
}

/// The checks that both forms of attention share.
template <typename Op>
static LogicalResult verifyAttention(Op op, int64_t kvHeads) {
  NamedTensorType query = op.getQuery().getType(),
                  result = op.getResult().getType();
  if (!isHeads(query) || !isHeads(result) ||
      differ(query.getShape()[1], result.getShape()[1]))
    return op.emitOpError() << "expected query and result to be [token, "
                               "heads, size] with as many heads, got "
                            << query << " and " << result;
  int64_t heads = query.getShape()[1];
  if (kvHeads < 1 || (!ShapedType::isDynamic(heads) && heads % kvHeads != 0))
    return op.emitOpError() << "expected the number of key heads to divide "
                            << heads << ", got " << kvHeads;
  // attend_c6, attend_cached_c5
  if (op.getSink() && (op.getSink().getType().getRank() != 1 ||
                       op.getSink().getType().hasSequence() ||
                       differ(op.getSink().getType().getShape()[0], heads)))
    return op.emitOpError() << "expected a sink for each of " << heads
                            << " heads, got " << op.getSink().getType();
  // attend_c8, attend_cached_c7
  if (op.getBidirectional() && (op.getWindow() || op.getSlopes()))
    return op.emitOpError()
           << "expected neither a window nor slopes in both directions";
  // attend_c9, attend_cached_c8
  if (op.getGroups()) {
    NamedTensorType groups = op.getGroups().getType();
    if (groups.getRank() != 1 || groups.getNames()[0] != tokenAxis ||
        !groups.getElementType().isInteger(32) || !op.getBidirectional())
      return op.emitOpError() << "expected groups of an i32 for each token in "
                                 "both directions, got "
                              << groups;
  }
  // attend_c7, attend_cached_c6
  if (op.getSlopes() &&
      differ(static_cast<int64_t>(op.getSlopes()->size()), heads))
    return op.emitOpError() << "expected a slope for each of " << heads
                            << " heads, got " << op.getSlopes()->size();
  return success();
}

LogicalResult AttendOp::verify() {
  NamedTensorType query = getQuery().getType(), key = getKey().getType(),
                  value = getValue().getType(), result = getResult().getType();
  // attend_c1
  if (!isHeads(key) || !isHeads(value) || !isHeads(query) ||
      differ(query.getShape()[2], key.getShape()[2]))
    return emitOpError() << "expected [token, heads, size] with one size for "
                            "queries and keys, got "
                         << query << ", " << key << " and " << value;
  // attend_c2
  if (differ(key.getShape()[1], value.getShape()[1]))
    return emitOpError() << "expected as many key heads as value heads, got "
                         << key << " and " << value;
  int64_t kvHeads =
      ShapedType::isDynamic(key.getShape()[1]) ? 1 : key.getShape()[1];
  // attend_c3
  if (isHeads(result) && differ(result.getShape()[2], value.getShape()[2]))
    return emitOpError()
           << "expected the result to have the size of the values, got "
           << result << " and " << value;
  return verifyAttention(*this, kvHeads);
}

LogicalResult CacheWriteOp::verify() {
  NamedTensorType key = getKey().getType(), value = getValue().getType();
  // cache_write_c1
  if (!isHeads(key) || !isHeads(value) ||
      differ(key.getShape()[1], value.getShape()[1]))
    return emitOpError()
           << "expected [token, heads, size] with as many heads, got " << key
           << " and " << value;
  // cache_write_c3
  if (getShared() && value.getShape()[2] > key.getShape()[2])
    return emitOpError() << "expected shared values to be no longer than the "
                            "keys, got "
                         << value << " and " << key;
  return success();
}

// attend_cached_c1, attend_cached_c2
LogicalResult AttendCachedOp::verify() {
  if (failed(verifyAttention(*this, getKvHeads())))
    return failure();
  // attend_cached_c9
  NamedTensorType query = getQuery().getType(), result = getResult().getType();
  if (getShared() && result.getShape()[2] > query.getShape()[2])
    return emitOpError() << "expected shared values to be no longer than the "
                            "keys, got "
                         << result << " and " << query;
  return success();
}

LogicalResult HeadLinearOp::verify() {
  NamedTensorType input = getInput().getType(), weight = getWeight().getType(),
                  result = getResult().getType();
  // head_linear_c1
  if (!isHeads(input) || !isHeads(result) ||
      input.getNames()[1] != result.getNames()[1] ||
      differ(input.getShape()[1], result.getShape()[1]))
    return emitOpError() << "expected [token, heads, size] with the "
                            "same heads, got "
                         << input << " and " << result;
  // head_linear_c2
  if (weight.getRank() != 3 ||
      differ(weight.getShape()[0], input.getShape()[1]) ||
      differ(weight.getShape()[1], result.getShape()[2]) ||
      differ(weight.getShape()[2], input.getShape()[2]))
    return emitOpError() << "expected a weight [heads, outputs, inputs] for "
                         << input << " and " << result << ", got " << weight;
  return success();
}
