//===- CladeVerifiers.cpp - Checks of single ops --------------------------===//
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
#include "dialect/WMap/WMapDialect.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace clade;

/// Whether two types have the same axes, in the same order and of the same
/// sizes.
static bool sameAxes(NamedTensorType a, NamedTensorType b) {
  return a.getNames() == b.getNames() && a.getShape() == b.getShape();
}

/// Whether two types start with the same sequence axis, or both with none.
static bool sameSequence(NamedTensorType a, NamedTensorType b) {
  if (a.hasSequence() != b.hasSequence())
    return false;
  return !a.hasSequence() || (a.getNames()[0] == b.getNames()[0] &&
                              a.getShape()[0] == b.getShape()[0]);
}

/// Whether the first axis is `token`: the tensor has a value for every token.
static bool hasTokens(NamedTensorType type) {
  return type.getRank() > 0 && type.getNames()[0] == tokenAxis;
}

LogicalResult clade::expectDistinctAxes(Operation *op,
                                        ArrayRef<NamedTensorType> types) {
  for (NamedTensorType type : types) {
    llvm::SmallDenseSet<StringAttr> seen;
    for (StringAttr name : type.getNames())
      if (!seen.insert(name).second)
        return op->emitOpError()
               << "expected axes that differ in their names, got " << type;
  }
  return success();
}

FailureOr<int64_t> clade::expectOneAxisChanged(Operation *op, StringAttr axis,
                                               NamedTensorType input,
                                               NamedTensorType result) {
  int64_t index = input.find(axis);
  if (index < input.getNumSequenceAxes())
    return op->emitOpError() << "expected '" << axis.getValue()
                             << "' to be a feature axis of " << input;
  SmallVector<StringAttr> names(input.getNames());
  SmallVector<int64_t> shape(input.getShape());
  if (index < result.getRank()) {
    names[index] = result.getNames()[index];
    shape[index] = result.getShape()[index];
  }
  if (result.getNames() != ArrayRef(names) ||
      result.getShape() != ArrayRef(shape) ||
      input.getElementType() != result.getElementType())
    return op->emitOpError()
           << "expected the result to differ from " << input << " in axis '"
           << axis.getValue() << "' only, got " << result;
  return index;
}

bool clade::differ(int64_t a, int64_t b) {
  return !ShapedType::isDynamic(a) && !ShapedType::isDynamic(b) && a != b;
}

static LogicalResult expectSameAxes(Operation *op, NamedTensorType operand,
                                    NamedTensorType result) {
  if (sameAxes(operand, result))
    return success();
  return op->emitOpError()
         << "expected operand and result to have the same axes, got " << operand
         << " and " << result;
}

int64_t PanelsAttr::getPackedSize(NamedTensorType type) {
  if (ShapedType::isDynamic(type.getNumFeatures()))
    return ShapedType::kDynamic;
  int64_t columns = type.getShape().empty() ? 1 : type.getShape().back();
  int64_t rows = type.getNumFeatures() / std::max<int64_t>(columns, 1);
  return getGroups() * llvm::divideCeil(rows / getGroups(), getRows()) *
         llvm::divideCeil(columns, getInner()) * getRows() * getInner();
}

int64_t BlocksAttr::getPackedSize(NamedTensorType type) {
  if (ShapedType::isDynamic(type.getNumFeatures()))
    return ShapedType::kDynamic;
  auto block = wmap::BlockType::get(type.getContext(), getFormat());
  int64_t columns = type.getShape().empty() ? 1 : type.getShape().back();
  int64_t rows = type.getNumFeatures() / std::max<int64_t>(columns, 1);
  return getGroups() * llvm::alignTo(rows / getGroups(), getRows()) *
         block.getPackedRowBytes(columns);
}

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

LogicalResult ConstantOp::verify() {
  // constant_c1
  if (getResult().getType().getRank() != 0)
    return emitOpError() << "expected a result without axes, got "
                         << getResult().getType();
  return success();
}

LogicalResult KernelOp::verify() {
  Block &block = getBody().front();
  // kernel_c1
  if (!llvm::equal(block.getArgumentTypes(), getInputs().getTypes()))
    return emitOpError() << "expected block arguments of the operands' types";
  // kernel_c2
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (!yield || !llvm::equal(yield.getOperandTypes(), getResultTypes()))
    return emitOpError() << "expected a clade.yield of the results' types";
  // kernel_c3
  int64_t linears = llvm::range_size(block.getOps<LinearOp>());
  int64_t wanted = getKind() == KernelKind::Product;
  if (linears != wanted)
    return emitOpError() << "expected " << wanted
                         << " clade.linear in a kernel of kind '"
                         << stringifyKernelKind(getKind()) << "', got "
                         << linears;
  // kernel_c4
  int64_t attends = llvm::range_size(block.getOps<AttendCachedOp>());
  wanted = getKind() == KernelKind::Attention;
  if (attends != wanted)
    return emitOpError() << "expected " << wanted
                         << " clade.attend_cached in a kernel of kind '"
                         << stringifyKernelKind(getKind()) << "', got "
                         << attends;
  // kernel_c5
  int64_t recurrences = llvm::range_size(block.getOps<CausalConvOp>()) +
                        llvm::range_size(block.getOps<ScanOp>());
  wanted = getKind() == KernelKind::Recurrent;
  if (recurrences != wanted)
    return emitOpError() << "expected " << wanted
                         << " clade.causal_conv or clade.scan in a kernel of "
                            "kind '"
                         << stringifyKernelKind(getKind()) << "', got "
                         << recurrences;
  // kernel_c6
  int64_t experts = llvm::range_size(block.getOps<ExpertLinearOp>()) +
                    llvm::range_size(block.getOps<HeadLinearOp>());
  wanted = getKind() == KernelKind::Experts;
  if (experts != wanted)
    return emitOpError() << "expected " << wanted
                         << " clade.expert_linear or clade.head_linear in a "
                            "kernel of kind '"
                         << stringifyKernelKind(getKind()) << "', got "
                         << experts;
  return success();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

int64_t LinearOp::getNumOutputs() {
  return getResult().getType().getNumFeatures();
}
int64_t LinearOp::getNumInputs() {
  return getInput().getType().getNumFeatures();
}

LogicalResult LinearOp::verify() {
  NamedTensorType input = getInput().getType(), weight = getWeight().getType(),
                  result = getResult().getType();
  int64_t outputs = getNumOutputs(), inputs = getNumInputs();
  // linear_c3
  if (!sameSequence(input, result))
    return emitOpError()
           << "expected input and result to have the same sequence axis, got "
           << input << " and " << result;
  // linear_c4
  if (weight.getLayout() && weight.getRank() != 2)
    return emitOpError() << "expected a packed weight to have two axes, got "
                         << weight;
  if (ShapedType::isDynamic(outputs) || ShapedType::isDynamic(inputs))
    return success();
  // linear_c1
  int64_t elements = 0;
  if (llvm::MulOverflow(outputs, inputs, elements) ||
      differ(weight.getNumFeatures(), elements))
    return emitOpError() << "expected a weight of " << outputs << " x "
                         << inputs << " elements, got " << weight;
  // linear_c2
  if (getBias() && differ(getBias().getType().getNumFeatures(), outputs))
    return emitOpError() << "expected a bias of " << outputs
                         << " elements, got " << getBias().getType();
  return success();
}

int64_t ExpertLinearOp::getNumExperts() {
  return getWeight().getType().getShape()[0];
}
int64_t ExpertLinearOp::getNumActive() {
  return getChosen().getType().getShape()[1];
}
int64_t ExpertLinearOp::getNumOutputs() {
  int64_t features = getResult().getType().getNumFeatures();
  return ShapedType::isDynamic(features) ? features : features / getNumActive();
}
bool ExpertLinearOp::hasActiveInput() {
  NamedTensorType input = getInput().getType();
  return input.getRank() > 1 &&
         input.getNames()[1] == getChosen().getType().getNames()[1];
}
int64_t ExpertLinearOp::getNumInputs() {
  int64_t features = getInput().getType().getNumFeatures();
  return ShapedType::isDynamic(features) || !hasActiveInput()
             ? features
             : features / getNumActive();
}

/// The choices of a mixture of experts: [token, a] i32.
static LogicalResult expectChoices(Operation *op, NamedTensorType chosen) {
  if (chosen.getRank() == 2 && chosen.hasSequence() && !chosen.isDynamic(1) &&
      chosen.getShape()[1] > 0 && chosen.getElementType().isInteger(32))
    return success();
  return op->emitOpError() << "expected the choices to be i32 over a sequence "
                              "axis and one other, got "
                           << chosen;
}

/// Whether the first two axes of a tensor are those of the choices.
static bool hasChoices(NamedTensorType type, NamedTensorType chosen) {
  return type.getRank() >= 2 &&
         type.getNames().take_front(2) == chosen.getNames() &&
         type.getShape().take_front(2) == chosen.getShape();
}

LogicalResult ExpertLinearOp::verify() {
  NamedTensorType input = getInput().getType(), chosen = getChosen().getType(),
                  weight = getWeight().getType(),
                  result = getResult().getType();
  // expert_linear_c1
  if (failed(expectChoices(*this, chosen)))
    return failure();
  // expert_linear_c2
  if (!hasChoices(result, chosen) || result.getRank() < 3)
    return emitOpError() << "expected a result for each choice of " << chosen
                         << ", got " << result;
  // expert_linear_c3
  if (!sameSequence(input, chosen) || input.getRank() < 2)
    return emitOpError() << "expected input and choices to have the same "
                            "sequence axis, got "
                         << input << " and " << chosen;
  // expert_linear_c6
  if (weight.getLayout() && weight.getRank() != 3)
    return emitOpError() << "expected a packed weight to have three axes, got "
                         << weight;
  int64_t outputs = getNumOutputs(), inputs = getNumInputs();
  // expert_linear_c4
  int64_t elements = weight.getRank() > 1 ? getNumExperts() : 0;
  if (elements < 1 || ShapedType::isDynamic(outputs) ||
      ShapedType::isDynamic(inputs) ||
      llvm::MulOverflow(elements, outputs, elements) ||
      llvm::MulOverflow(elements, inputs, elements) ||
      weight.getNumFeatures() != elements)
    return emitOpError() << "expected a weight of experts x " << outputs
                         << " x " << inputs << " elements, got " << weight;
  // expert_linear_c5
  if (getBias() &&
      getBias().getType().getNumFeatures() != getNumExperts() * outputs)
    return emitOpError() << "expected a bias of " << getNumExperts() << " x "
                         << outputs << " elements, got " << getBias().getType();
  return success();
}

LogicalResult MixOp::verify() {
  NamedTensorType input = getInput().getType(), chosen = getChosen().getType(),
                  share = getShare().getType(), result = getResult().getType();
  // mix_c1
  if (failed(expectChoices(*this, chosen)))
    return failure();
  if (!sameAxes(share, chosen))
    return emitOpError() << "expected the share of each choice of " << chosen
                         << ", got " << share;
  // mix_c2
  if (!hasChoices(input, chosen) || !sameSequence(result, chosen) ||
      input.getNames().drop_front(2) != result.getNames().drop_front() ||
      input.getShape().drop_front(2) != result.getShape().drop_front())
    return emitOpError() << "expected the operand to be the result with the "
                            "second axis of "
                         << chosen << ", got " << input << " and " << result;
  // mix_c3
  if (!getSum().isF32() && getSum() != result.getElementType())
    return emitOpError() << "expected sums in f32 or "
                         << result.getElementType() << ", got " << getSum();
  return success();
}

LogicalResult EmbedOp::verify() {
  NamedTensorType ids = getIds().getType(), table = getTable().getType(),
                  result = getResult().getType();
  // embed_c1
  if (ids.getRank() != 1 || !ids.hasSequence() ||
      !ids.getElementType().isInteger(32))
    return emitOpError() << "expected i32 ids over a sequence axis, got "
                         << ids;
  // embed_c3
  if (table.getLayout()) {
    if (table.getRank() != 2 || !sameSequence(ids, result) ||
        table.getShape()[1] != result.getNumFeatures())
      return emitOpError() << "expected the result to have the features of a "
                              "row of the packed table, got "
                           << table << " and " << result;
    return success();
  }
  // embed_c2
  if (table.getRank() < 2 || !sameSequence(ids, result) ||
      table.getNames().drop_front() != result.getNames().drop_front() ||
      table.getShape().drop_front() != result.getShape().drop_front())
    return emitOpError()
           << "expected the result to have the axes of the table's rows, got "
           << table << " and " << result;
  return success();
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

// unary_c1
LogicalResult UnaryOp::verify() {
  return expectSameAxes(*this, getInput().getType(), getResult().getType());
}

// cast_c1
LogicalResult CastOp::verify() {
  return expectSameAxes(*this, getInput().getType(), getResult().getType());
}

bool clade::containsAxes(NamedTensorType whole, NamedTensorType part) {
  return llvm::all_of(
      llvm::zip_equal(part.getNames(), part.getShape()), [&](auto axis) {
        int64_t place = whole.find(std::get<0>(axis).getValue());
        return place >= 0 &&
               !differ(whole.getShape()[place], std::get<1>(axis));
      });
}

LogicalResult BinaryOp::verify() {
  NamedTensorType lhs = getLhs().getType(), rhs = getRhs().getType(),
                  result = getResult().getType();
  // binary_c1
  for (NamedTensorType operand : {lhs, rhs})
    if (!containsAxes(result, operand))
      return emitOpError() << "expected every axis of " << operand
                           << " in the result " << result;
  // binary_c2
  for (StringAttr name : result.getNames())
    if (lhs.find(name) < 0 && rhs.find(name) < 0)
      return emitOpError() << "expected axis '" << name.getValue()
                           << "' of the result in an operand, got " << lhs
                           << " and " << rhs;
  // binary_c3
  return expectDistinctAxes(*this, {lhs, rhs, result});
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

LogicalResult ReduceOp::verify() {
  NamedTensorType input = getInput().getType(), result = getResult().getType();
  SmallVector<StringAttr> names(input.getNames());
  SmallVector<int64_t> shape(input.getShape());
  for (StringAttr axis : getOver().getAsRange<StringAttr>()) {
    // reduce_c1
    auto *it = llvm::find(names, axis);
    if (it == names.end() || axis == tokenAxis || axis == selectedAxis)
      return emitOpError() << "expected '" << axis.getValue()
                           << "' to be a feature axis of " << input;
    shape.erase(shape.begin() + (it - names.begin()));
    names.erase(it);
  }
  // reduce_c2
  if (result.getNames() != ArrayRef(names) ||
      result.getShape() != ArrayRef(shape))
    return emitOpError() << "expected the result to have the other axes of "
                         << input << ", got " << result;
  // reduce_c3
  return expectDistinctAxes(*this, input);
}

LogicalResult SoftmaxOp::verify() {
  NamedTensorType input = getInput().getType();
  // softmax_c1
  if (input.find(getOver()) < input.getNumSequenceAxes())
    return emitOpError() << "expected '" << getOver()
                         << "' to be a feature axis of " << input;
  // softmax_c2
  if (failed(expectSameAxes(*this, input, getResult().getType())))
    return failure();
  // softmax_c3
  return expectDistinctAxes(*this, input);
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

// view_c1
LogicalResult ViewOp::verify() {
  NamedTensorType input = getInput().getType(), result = getResult().getType();
  if (!sameSequence(input, result) ||
      input.getElementType() != result.getElementType() ||
      differ(input.getNumFeatures(), result.getNumFeatures()))
    return emitOpError()
           << "expected as many features under the same sequence axis, got "
           << input << " and " << result;
  return success();
}

LogicalResult SliceOp::verify() {
  NamedTensorType input = getInput().getType(), result = getResult().getType();
  // slice_c1, slice_c3
  FailureOr<int64_t> axis =
      expectOneAxisChanged(*this, getAxisAttr(), input, result);
  if (failed(axis))
    return failure();
  // slice_c2
  int64_t begin = getBegin(), size = result.getShape()[*axis],
          whole = input.getShape()[*axis];
  if (ShapedType::isDynamic(size) || ShapedType::isDynamic(whole))
    return emitOpError() << "expected axis '" << getAxis()
                         << "' to have a size, got " << input << " and "
                         << result;
  if (begin < 0 || begin > whole || size > whole - begin)
    return emitOpError() << "expected a range inside axis '" << getAxis()
                         << "' of size " << whole << ", got " << size
                         << " from " << begin;
  return success();
}

LogicalResult JoinOp::verify() {
  NamedTensorType result = getResult().getType();
  int64_t last = result.getRank() - 1, total = 0;
  // join_c3
  if (getInputs().empty() || last < result.getNumSequenceAxes())
    return emitOpError()
           << "expected operands and a result with a feature axis";
  for (Value operand : getInputs()) {
    // join_c1
    auto type = cast<NamedTensorType>(operand.getType());
    if (type.getRank() != last + 1 ||
        type.getElementType() != result.getElementType() ||
        type.getNames().drop_back() != result.getNames().drop_back() ||
        type.getShape().drop_back() != result.getShape().drop_back())
      return emitOpError() << "expected " << type << " to agree with " << result
                           << " in all axes but the last";
    int64_t size = type.getShape().back();
    total = ShapedType::isDynamic(size) || ShapedType::isDynamic(total)
                ? ShapedType::kDynamic
                : total + size;
  }
  // join_c2
  if (differ(total, result.getShape().back()))
    return emitOpError() << "expected a last axis of size " << total << ", got "
                         << result;
  return success();
}

LogicalResult StackRowsOp::verify() {
  NamedTensorType result = getResult().getType();
  int64_t rows = 0;
  for (Value part : getParts()) {
    // stack_rows_c1, stack_rows_c2
    auto type = cast<NamedTensorType>(part.getType());
    if (type.getRank() != 2 || result.getRank() != 2 || type.getLayout() ||
        result.getLayout() ||
        type.getElementType() != result.getElementType() ||
        type.getShape()[1] != result.getShape()[1])
      return emitOpError() << "expected matrices of the same columns and "
                              "element type without a layout, got "
                           << type << " and " << result;
    int64_t size = type.getShape()[0];
    rows = ShapedType::isDynamic(size) || ShapedType::isDynamic(rows)
               ? ShapedType::kDynamic
               : rows + size;
  }
  // stack_rows_c3
  if (getParts().empty() || differ(rows, result.getShape()[0]))
    return emitOpError() << "expected " << rows << " rows, got " << result;
  return success();
}

LogicalResult SpreadOp::verify() {
  NamedTensorType input = getInput().getType(), result = getResult().getType();
  // spread_c1
  if (!containsAxes(result, input))
    return emitOpError() << "expected every axis of " << input
                         << " in the result " << result;
  // spread_c2
  if (input.getElementType() != result.getElementType())
    return emitOpError()
           << "expected operand and result of one element type, got " << input
           << " and " << result;
  // spread_c3
  return expectDistinctAxes(*this, {input, result});
}

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

/// Whether a type is that of one i32 for each token.
static bool isTokenIntegers(NamedTensorType type) {
  return type.getRank() == 1 && hasTokens(type) &&
         type.getElementType().isInteger(32);
}

LogicalResult PositionsOp::verify() {
  // positions_c1
  NamedTensorType type = getResult().getType();
  bool hasAxes = type.getRank() == 2 && hasTokens(type) &&
                 type.getShape()[1] == 3 && type.getElementType().isInteger(32);
  if (!hasAxes && !isTokenIntegers(type))
    return emitOpError()
           << "expected a result of one i32, or three, for each token, got "
           << type;
  return success();
}

LogicalResult RotaryTableOp::verify() {
  NamedTensorType type = getCos().getType();
  int64_t size = getFrequencies().size();
  // rotary_table_c1
  NamedTensorType positions = getPositions().getType();
  bool fits = getAxes() ? positions.getRank() == 2 && hasTokens(positions) &&
                              positions.getElementType().isInteger(32)
                        : isTokenIntegers(positions);
  if (!fits)
    return emitOpError() << "expected positions of "
                         << (getAxes() ? "several i32" : "one i32")
                         << " for each token, got " << positions;
  if (type.getRank() != 2 || !hasTokens(type) || type.getShape()[1] != size)
    return emitOpError() << "expected a result of " << size
                         << " frequencies a token, got " << type;
  // rotary_table_c2
  if (getLongFrequencies() &&
      (static_cast<int64_t>(getLongFrequencies()->size()) != size ||
       !getOriginalLength()))
    return emitOpError() << "expected " << size
                         << " long frequencies and an original length";
  // rotary_table_c3
  if (getDynamicFactor() && (!getTheta() || !getOriginalLength()))
    return emitOpError()
           << "expected a theta and an original length with a dynamic factor";
  // rotary_table_c4
  bool axesFit =
      !getAxes() || (static_cast<int64_t>(getAxes()->size()) == size &&
                     llvm::all_of(*getAxes(), [&](int64_t axis) {
                       return axis >= 0 && axis < positions.getShape()[1];
                     }));
  if (!axesFit)
    return emitOpError() << "expected an axis of the positions for each of "
                         << size << " frequencies, got [" << *getAxes() << "]";
  return success();
}

LogicalResult RopeOp::verify() {
  NamedTensorType input = getInput().getType(), table = getCos().getType();
  // rope_c1
  if (table.getRank() != 2 || !table.hasSequence() ||
      !sameSequence(table, input) || ShapedType::isDynamic(table.getShape()[1]))
    return emitOpError() << "expected cosines of each token, got " << table
                         << " for " << input;
  // rope_c2
  int64_t pairs = table.getShape()[1];
  if (input.getRank() < 2 || (!ShapedType::isDynamic(input.getShape().back()) &&
                              pairs > input.getShape().back() / 2))
    return emitOpError() << "expected a last axis of at least 2 x " << pairs
                         << " features, got " << input;
  return success();
}

LogicalResult SelectOp::verify() {
  // select_c1
  NamedTensorType input = getInput().getType(), result = getResult().getType();
  if (input.getRank() == 0 || result.getRank() != input.getRank() ||
      input.getNames()[0] != tokenAxis ||
      result.getNames()[0] != selectedAxis ||
      input.getNames().drop_front() != result.getNames().drop_front() ||
      input.getShape() != result.getShape() ||
      input.getElementType() != result.getElementType())
    return emitOpError() << "expected 'selected' in the place of 'token', got "
                         << input << " and " << result;
  return success();
}
