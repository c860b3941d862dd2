//===- RecurrentVerifiers.cpp - Checks of convolutions and scans ----------===//
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

#include "dialect/Clade/CladeDialect.h"
#include "dialect/Clade/LinearRecurrence.h"
#include "dialect/Clade/Verification.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace clade;

/// States, and the tensors in them, begin at multiples of this many bytes.
static constexpr int64_t stateAlignment = 64;

NamedTensorType clade::tokenRow(NamedTensorType type) {
  int64_t first = type.getNumSequenceAxes();
  return NamedTensorType::get(
      type.getContext(), type.getNames().drop_front(first),
      type.getShape().drop_front(first), type.getElementType(), Attribute());
}

//===----------------------------------------------------------------------===//
// Convolution
//===----------------------------------------------------------------------===//

int64_t CausalConvOp::getStateBytes() {
  int64_t element = getInput().getType().getElementTypeBitWidth() / 8;
  return llvm::alignTo((getNumTaps() - 1) * getNumChannels() * element,
                       stateAlignment);
}

LogicalResult CausalConvOp::verify() {
  NamedTensorType input = getInput().getType(), weight = getWeight().getType();
  // causal_conv_c1
  if (input.getRank() != 2 || input.getNames()[0] != tokenAxis ||
      ShapedType::isDynamic(input.getShape()[1]))
    return emitOpError() << "expected [token, channels], got " << input;
  // causal_conv_c2
  int64_t channels = getNumChannels(), elements = 0;
  if (weight.getRank() == 0 || weight.hasSequence() || getNumTaps() < 1 ||
      llvm::MulOverflow(channels, getNumTaps(), elements) ||
      weight.getNumFeatures() != elements)
    return emitOpError() << "expected a weight of " << channels
                         << " channels x taps, got " << weight;
  // causal_conv_c3
  if (getBias() && getBias().getType().getNumFeatures() != channels)
    return emitOpError() << "expected a bias of " << channels
                         << " elements, got " << getBias().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// Scan
//===----------------------------------------------------------------------===//

Block::BlockArgListType ScanOp::getCarried() {
  return getBody().getArguments().take_front(getInitial().size());
}

Block::BlockArgListType ScanOp::getRows() {
  return getBody().getArguments().drop_front(getInitial().size());
}

YieldOp ScanOp::getYield() {
  return cast<YieldOp>(getBody().front().getTerminator());
}

int64_t ScanOp::getStateOffset(unsigned number) {
  int64_t bytes = 0;
  for (Value initial : getInitial().take_front(number)) {
    auto type = cast<NamedTensorType>(initial.getType());
    bytes += llvm::alignTo(type.getNumFeatures() *
                               static_cast<int64_t>(sizeof(float)),
                           stateAlignment);
  }
  return bytes;
}

int64_t ScanOp::getStateBytes() { return getStateOffset(getInitial().size()); }

/// Whether an op may stand in a scan: its result for a token depends on that
/// token alone.
static bool worksOnTokens(Operation *op) {
  return isa<UnaryOp, BinaryOp, CastOp, ReduceOp, SoftmaxOp, ViewOp, SliceOp,
             JoinOp, SpreadOp, RepeatOp, ConstantOp, TopKOp, GatherOp, MemberOp,
             WhereOp>(op);
}

LogicalResult ScanOp::verify() {
  // scan_c1
  for (Value initial : getInitial()) {
    auto type = cast<NamedTensorType>(initial.getType());
    if (!type.getElementType().isF32() || type.hasSequence() ||
        ShapedType::isDynamic(type.getNumFeatures()))
      return emitOpError()
             << "expected carried tensors of f32 without a token axis, got "
             << type;
  }
  // scan_c2
  SmallVector<Type> arguments(getInitial().getTypes());
  for (Value input : getInputs())
    arguments.push_back(tokenRow(cast<NamedTensorType>(input.getType())));
  Block &block = getBody().front();
  if (!llvm::equal(block.getArgumentTypes(), arguments))
    return emitOpError() << "expected the region to take the carried tensors "
                            "and the inputs without their token axes, ("
                         << arguments << "), got (" << block.getArgumentTypes()
                         << ")";
  // scan_c3
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  size_t numCarried = getInitial().size();
  if (!yield || yield.getNumOperands() != numCarried + getNumResults() ||
      !llvm::equal(yield.getOperands().take_front(numCarried).getTypes(),
                   getInitial().getTypes()))
    return emitOpError() << "expected a clade.yield of the " << numCarried
                         << " next carried tensors and " << getNumResults()
                         << " results";
  // scan_c4
  for (auto [result, row] :
       llvm::zip_equal(getResultTypes(),
                       yield.getOperands().drop_front(numCarried).getTypes())) {
    auto type = cast<NamedTensorType>(result);
    if (type.getRank() == 0 || type.getNames()[0] != tokenAxis ||
        tokenRow(type) != row)
      return emitOpError() << "expected a result of " << row
                           << " for each token, got " << type;
  }
  // scan_c5
  for (Operation &op : block.without_terminator())
    if (!worksOnTokens(&op))
      return op.emitOpError()
             << "expected only ops that work on each token by itself in a scan";
  // scan_c7
  if (getChunk() && !LinearRecurrence::match(*this))
    return emitOpError() << "expected a linear recurrence of one matrix for "
                            "each head in a scan with a chunk";
  return success();
}

//===----------------------------------------------------------------------===//
// Repetition
//===----------------------------------------------------------------------===//

LogicalResult RepeatOp::verify() {
  NamedTensorType input = getInput().getType(), result = getResult().getType();
  // repeat_c1, repeat_c3
  FailureOr<int64_t> axis =
      expectOneAxisChanged(*this, getAxisAttr(), input, result);
  if (failed(axis))
    return failure();
  // repeat_c2
  int64_t size = input.getShape()[*axis], repeated = result.getShape()[*axis];
  if (ShapedType::isDynamic(size) || ShapedType::isDynamic(repeated) ||
      size < 1 || repeated % size != 0)
    return emitOpError() << "expected axis '" << getAxis()
                         << "' to become a multiple of its size, got " << input
                         << " and " << result;
  // repeat_c4
  return expectDistinctAxes(*this, {input, result});
}
