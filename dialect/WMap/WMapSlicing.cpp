//===- WMapSlicing.cpp - Parts of weights as parts of tensors -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A rank that holds a part of a weight should read that part of the file. A
// shard is a slice; the slice of an op's result is the op of slices of its
// operands, wherever the op's rule for that axis says so. Canonicalisation
// applies the rules until slices stand at sources, or where a rule ends.
//
//===----------------------------------------------------------------------===//

#include "dialect/WMap/WMapDialect.h"

#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace clade::wmap;

namespace {
/// The elements [begin, begin + size) of an axis.
struct AxisRange {
  int64_t axis, begin, size;
};
} // namespace

static ArrayRef<int64_t> shapeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

static RankedTensorType typeWith(Value like, ArrayRef<int64_t> shape) {
  return RankedTensorType::get(
      shape, cast<RankedTensorType>(like.getType()).getElementType());
}

/// The range of a value; the value itself if that is all of the axis.
static Value take(OpBuilder &builder, Location loc, Value value,
                  AxisRange range) {
  SmallVector<int64_t> shape(shapeOf(value));
  if (shape[range.axis] == range.size)
    return value;
  shape[range.axis] = range.size;
  return SliceOp::create(builder, loc, typeWith(value, shape), value,
                         builder.getI64IntegerAttr(range.axis),
                         builder.getI64IntegerAttr(range.begin));
}

/// `op` over another operand in the place of its first, with the type of the
/// slice.
static Value cloneOver(OpBuilder &builder, Operation *op, Value input,
                       Type type) {
  Operation *copy = builder.clone(*op);
  copy->setOperand(0, input);
  copy->getResult(0).setType(type);
  return copy->getResult(0);
}

//===----------------------------------------------------------------------===//
// One rule an op
//===----------------------------------------------------------------------===//

/// Element by element: any axis.
static Value pushElementwise(OpBuilder &builder, Operation *op, AxisRange range,
                             Type type) {
  return cloneOver(builder, op,
                   take(builder, op->getLoc(), op->getOperand(0), range), type);
}

static Value push(OpBuilder &builder, CastOp op, AxisRange range, Type type) {
  return pushElementwise(builder, op, range, type);
}

static Value push(OpBuilder &builder, ShiftOp op, AxisRange range, Type type) {
  return pushElementwise(builder, op, range, type);
}

/// Rows; a length is that of a whole row.
static Value push(OpBuilder &builder, UnitRowsOp op, AxisRange range,
                  Type type) {
  return range.axis == 0 ? pushElementwise(builder, op, range, type) : Value();
}

/// Axes before the last, along which elements and blocks stay as they are.
template <typename Op>
static Value pushBeforeLast(OpBuilder &builder, Op op, AxisRange range,
                            Type type) {
  auto rank = static_cast<int64_t>(shapeOf(op.getInput()).size());
  return range.axis + 1 < rank ? pushElementwise(builder, op, range, type)
                               : Value();
}

static Value push(OpBuilder &builder, BitcastOp op, AxisRange range,
                  Type type) {
  return pushBeforeLast(builder, op, range, type);
}

static Value push(OpBuilder &builder, QuantiseOp op, AxisRange range,
                  Type type) {
  return pushBeforeLast(builder, op, range, type);
}

static Value push(OpBuilder &builder, DequantiseOp op, AxisRange range,
                  Type type) {
  return pushBeforeLast(builder, op, range, type);
}

/// Any axis, where it comes from.
static Value push(OpBuilder &builder, TransposeOp op, AxisRange range,
                  Type type) {
  range.axis = op.getPermutation()[range.axis];
  return pushElementwise(builder, op, range, type);
}

/// Whole heads.
static Value push(OpBuilder &builder, RopeUnpermuteOp op, AxisRange range,
                  Type type) {
  if (range.axis != 0)
    return pushElementwise(builder, op, range, type);
  int64_t head =
      shapeOf(op.getInput())[0] / static_cast<int64_t>(op.getHeads());
  if (range.begin % head != 0 || range.size % head != 0)
    return {};
  Value pushed = pushElementwise(builder, op, range, type);
  pushed.getDefiningOp<RopeUnpermuteOp>().setHeads(range.size / head);
  return pushed;
}

/// The first axis, where the range is whole steps of the operand's.
static Value push(OpBuilder &builder, ReshapeOp op, AxisRange range,
                  Type type) {
  ArrayRef<int64_t> from = shapeOf(op.getInput()), to = shapeOf(op.getResult());
  if (range.axis != 0 || from.empty())
    return {};
  int64_t step = ShapedType::getNumElements(to.drop_front()),
          ownStep = ShapedType::getNumElements(from.drop_front());
  if (ownStep == 0 || range.begin * step % ownStep != 0 ||
      range.size * step % ownStep != 0)
    return {};
  return pushElementwise(
      builder, op,
      {0, range.begin * step / ownStep, range.size * step / ownStep}, type);
}

/// Whole panels of one matrix: the rows in them.
static Value push(OpBuilder &builder, PackOp op, AxisRange range, Type type) {
  ArrayRef<int64_t> shape = shapeOf(op.getInput());
  bool isStack = shape.size() == 3;
  if (isStack && range.axis == 0)
    return pushElementwise(builder, op, range, type);
  int64_t axis = isStack ? 1 : 0;
  if (range.axis != axis)
    return {};
  int64_t rows = op.getRows(), begin = range.begin * rows;
  int64_t end = std::min((range.begin + range.size) * rows, shape[axis]);
  return pushElementwise(builder, op, {axis, begin, end - begin}, type);
}

/// Another axis in each operand; of its own axis the operands that it meets.
static Value push(OpBuilder &builder, ConcatOp op, AxisRange range, Type type) {
  auto axis = static_cast<int64_t>(op.getAxis());
  SmallVector<Value> parts;
  int64_t start = 0;
  for (Value input : op.getInputs()) {
    if (range.axis != axis) {
      parts.push_back(take(builder, op.getLoc(), input, range));
      continue;
    }
    int64_t size = shapeOf(input)[axis];
    int64_t begin = std::max(range.begin, start),
            end = std::min(range.begin + range.size, start + size);
    if (begin < end)
      parts.push_back(take(builder, op.getLoc(), input,
                           {axis, begin - start, end - begin}));
    start += size;
  }
  if (parts.empty())
    return {};
  if (parts.size() == 1)
    return parts.front();
  return ConcatOp::create(builder, op.getLoc(), type, parts, op.getAxisAttr());
}

/// Whole blocks, and the numbers of them.
template <typename Op>
static Value pushBlockwise(OpBuilder &builder, Op op, AxisRange range,
                           Type type) {
  int64_t block = op.getBlock()[range.axis],
          whole = shapeOf(op.getInput())[range.axis];
  bool isInOne = block >= whole;
  int64_t end = range.begin + range.size;
  if (!isInOne &&
      (range.begin % block != 0 || (end % block != 0 && end != whole)))
    return {};
  Value input = take(builder, op.getLoc(), op.getInput(), range);
  Value numbers = op.getNumbers();
  if (!isInOne)
    numbers = take(builder, op.getLoc(), numbers,
                   {range.axis, range.begin / block,
                    static_cast<int64_t>(llvm::divideCeil(end, block)) -
                        range.begin / block});
  return Op::create(builder, op.getLoc(), type, input, numbers, op.getBlock());
}

static Value push(OpBuilder &builder, ScaleOp op, AxisRange range, Type type) {
  return pushBlockwise(builder, op, range, type);
}

static Value push(OpBuilder &builder, SubtractOp op, AxisRange range,
                  Type type) {
  return pushBlockwise(builder, op, range, type);
}

static Value push(OpBuilder &builder, DivideOp op, AxisRange range, Type type) {
  return pushBlockwise(builder, op, range, type);
}

/// The index or the codes; other axes of an index's result are the table's, and
/// those before the last of an index are both's.
static Value push(OpBuilder &builder, GatherOp op, AxisRange range, Type type) {
  auto indexRank = static_cast<int64_t>(shapeOf(op.getIndex()).size());
  bool isOfIndex = range.axis < indexRank;
  bool isOfCodes = shapeOf(op.getTable()).size() == 1 && isOfIndex;
  Value index = op.getIndex(), table = op.getTable();
  if (isOfIndex)
    index = take(builder, op.getLoc(), index, range);
  if (!isOfCodes && range.axis != indexRank - 1)
    table = take(builder, op.getLoc(), table, range);
  return GatherOp::create(builder, op.getLoc(), type, table, index);
}

/// Both operands, which have one shape.
static Value push(OpBuilder &builder, AddOp op, AxisRange range, Type type) {
  Value change = take(builder, op.getLoc(), op.getChange(), range);
  Value pushed = pushElementwise(builder, op, range, type);
  pushed.getDefiningOp<AddOp>().getChangeMutable().assign(change);
  return pushed;
}

/// Rows of the first factor, columns of the second, matrices of both.
static Value push(OpBuilder &builder, LowRankOp op, AxisRange range,
                  Type type) {
  auto rank = static_cast<int64_t>(shapeOf(op.getResult()).size());
  Value left = op.getLeft(), right = op.getRight();
  if (range.axis < rank - 1)
    left = take(builder, op.getLoc(), left, range);
  if (range.axis != rank - 2)
    right = take(builder, op.getLoc(), right, range);
  return LowRankOp::create(builder, op.getLoc(), type, left, right,
                           op.getScaleAttr());
}

/// Two ranges of one axis are one.
static Value push(OpBuilder &builder, SliceOp op, AxisRange range, Type) {
  if (static_cast<int64_t>(op.getAxis()) != range.axis)
    return {};
  range.begin += static_cast<int64_t>(op.getBegin());
  return take(builder, op.getLoc(), op.getInput(), range);
}

namespace {
/// slice(op(x)) to op(slice(x)).
struct PushSlice : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(SliceOp slice,
                                PatternRewriter &rewriter) const override {
    auto axis = static_cast<int64_t>(slice.getAxis());
    AxisRange range{axis, static_cast<int64_t>(slice.getBegin()),
                    shapeOf(slice.getResult())[axis]};
    if (shapeOf(slice.getInput())[axis] == range.size) {
      rewriter.replaceOp(slice, slice.getInput());
      return success();
    }
    Operation *from = slice.getInput().getDefiningOp();
    // What lies behind a slice without padding is known where it stands.
    if (!from || slice->hasAttr(clade::paddingAttr) ||
        from->hasAttr(clade::paddingAttr))
      return failure();
    Type type = slice.getResult().getType();
    Value pushed =
        llvm::TypeSwitch<Operation *, Value>(from)
            .Case<CastOp, ShiftOp, UnitRowsOp, BitcastOp, TransposeOp,
                  RopeUnpermuteOp, ReshapeOp, PackOp, ConcatOp, ScaleOp,
                  SubtractOp, DivideOp, GatherOp, AddOp, LowRankOp, SliceOp,
                  QuantiseOp, DequantiseOp>(
                [&](auto op) { return push(rewriter, op, range, type); })
            .Default([](Operation *) { return Value(); });
    if (!pushed)
      return failure();
    rewriter.replaceOp(slice, pushed);
    return success();
  }
};

struct ShardIsSlice : OpRewritePattern<ShardOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ShardOp shard,
                                PatternRewriter &rewriter) const override {
    rewriter.replaceOpWithNewOp<SliceOp>(
        shard, shard.getResult().getType(), shard.getInput(),
        shard.getAxisAttr(), rewriter.getI64IntegerAttr(shard.getBegin()));
    return success();
  }
};
} // namespace

void SliceOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                          MLIRContext *context) {
  patterns.add<PushSlice>(context);
}

void ShardOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                          MLIRContext *context) {
  patterns.add<ShardIsSlice>(context);
}

int64_t ShardOp::getBegin() {
  return static_cast<int64_t>(getPart()) * shapeOf(getResult())[getAxis()];
}

LogicalResult ShardOp::verify() {
  ArrayRef<int64_t> input = shapeOf(getInput());
  auto axis = static_cast<int64_t>(getAxis()),
       part = static_cast<int64_t>(getPart()),
       count = static_cast<int64_t>(getCount());
  // shard_c1
  if (axis < 0 || axis >= static_cast<int64_t>(input.size()))
    return emitOpError() << "expected an axis of " << getInput().getType()
                         << ", got " << axis;
  // shard_c2
  if (count < 1 || part < 0 || part >= count || input[axis] % count != 0)
    return emitOpError() << "expected one of equal parts of axis " << axis
                         << " of " << getInput().getType() << ", got part "
                         << part << " of " << count;
  // shard_c3
  SmallVector<int64_t> shape(input);
  shape[axis] /= count;
  if (getResult().getType() != typeWith(getInput(), shape))
    return emitOpError() << "expected the part to be "
                         << typeWith(getInput(), shape) << ", got "
                         << getResult().getType();
  return success();
}
