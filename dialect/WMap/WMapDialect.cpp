//===- WMapDialect.cpp - Definitions and verifiers of wmap ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/WMap/WMapDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace clade::wmap;

#include "dialect/WMap/WMapDialect.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialect/WMap/WMapTypes.cpp.inc"

#define GET_OP_CLASSES
#include "dialect/WMap/WMapOps.cpp.inc"

void WMapDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialect/WMap/WMapTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialect/WMap/WMapOps.cpp.inc"
      >();
}

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

LogicalResult FuncOp::verify() {
  // func_c1
  auto ret = dyn_cast<ReturnOp>(getBody().front().getTerminator());
  if (!ret || ret.getValue().getType() != getResultType())
    return emitOpError() << "expected a wmap.return of " << getResultType();
  // func_c2
  if (getBody().getNumArguments() != 0)
    return emitOpError() << "expected a body without arguments, got "
                         << getBody().getNumArguments();
  return success();
}

LogicalResult SourceOp::verify() {
  // source_c1
  if (getName().empty())
    return emitOpError() << "expected the name of a tensor";
  // source_c2
  if (getEncoding() && !getResult().getType().getElementType().isF32())
    return emitOpError() << "expected f32 elements of the encoding '"
                         << *getEncoding() << "', got "
                         << getResult().getType();
  // source_c3
  bool isNumbered = getName().contains(expertPlaceholder);
  RankedTensorType type = typeOf(getResult());
  bool fits =
      !getStack() || (type.getRank() > 0 &&
                      static_cast<int64_t>(*getStack()) == type.getDimSize(0));
  if (isNumbered != getStack().has_value() || !fits)
    return emitOpError() << "expected 'stack' to be the size of the first axis "
                            "of "
                         << type << " if the name has '" << expertPlaceholder
                         << "', and nothing otherwise";
  return success();
}

/// Whether elements are blocks whose scale is that of their row, which lies
/// along the last axis.
static bool hasRowScales(RankedTensorType type) {
  auto block = dyn_cast<BlockType>(type.getElementType());
  return block && block.hasRowScale() && type.getRank() > 0;
}

LogicalResult ConcatOp::verify() {
  RankedTensorType result = typeOf(getResult());
  int64_t axis = getAxis(), total = 0;
  // concat_c3
  if (getInputs().empty() || axis < 0 || axis >= result.getRank())
    return emitOpError() << "expected operands and an axis of " << result
                         << ", got axis " << axis;
  for (Value input : getInputs()) {
    // concat_c1
    RankedTensorType type = typeOf(input);
    SmallVector<int64_t> shape(type.getShape());
    if (axis < static_cast<int64_t>(shape.size())) {
      if (llvm::AddOverflow(total, shape[axis], total))
        return emitOpError() << "expected sizes along axis " << axis
                             << " whose sum fits in 63 bits";
      shape[axis] = result.getShape()[axis];
    }
    if (ArrayRef(shape) != result.getShape() ||
        type.getElementType() != result.getElementType())
      return emitOpError() << "expected " << type << " to agree with " << result
                           << " in all but axis " << axis;
  }
  // concat_c2
  if (total != result.getShape()[axis])
    return emitOpError() << "expected axis " << axis << " of the result to be "
                         << total << ", got " << result;
  // concat_c4
  if (hasRowScales(result) && axis + 1 == result.getRank())
    return emitOpError() << "expected rows that have a scale each to stay as "
                            "they are, got axis "
                         << axis << " of " << result;
  return success();
}

LogicalResult SliceOp::verify() {
  RankedTensorType input = typeOf(getInput()), result = typeOf(getResult());
  int64_t axis = getAxis();
  // slice_c3
  if (axis < 0 || axis >= input.getRank() ||
      result.getRank() != input.getRank())
    return emitOpError() << "expected an axis of " << input << ", got " << axis;
  // slice_c1
  int64_t size = result.getShape()[axis];
  int64_t begin = getBegin(), whole = input.getShape()[axis];
  if (begin < 0 || begin > whole || size > whole - begin)
    return emitOpError() << "expected a range inside axis " << axis
                         << " of size " << whole << ", got " << size << " from "
                         << begin;
  // slice_c2
  SmallVector<int64_t> shape(input.getShape());
  shape[axis] = size;
  if (ArrayRef(shape) != result.getShape() ||
      input.getElementType() != result.getElementType())
    return emitOpError() << "expected " << result << " to differ from " << input
                         << " in axis " << axis << " only";
  return success();
}

LogicalResult TransposeOp::verify() {
  RankedTensorType input = typeOf(getInput()), result = typeOf(getResult());
  // transpose_c1
  SmallVector<int64_t> sorted(getPermutation());
  llvm::sort(sorted);
  if (!llvm::equal(sorted, llvm::seq<int64_t>(0, input.getRank())))
    return emitOpError() << "expected a permutation of " << input.getRank()
                         << " axes, got [" << getPermutation() << "]";
  // transpose_c2
  SmallVector<int64_t> shape;
  for (int64_t axis : getPermutation())
    shape.push_back(input.getShape()[axis]);
  if (ArrayRef(shape) != result.getShape() ||
      input.getElementType() != result.getElementType())
    return emitOpError() << "expected the sizes of " << input
                         << " permuted, got " << result;
  return success();
}

LogicalResult ReshapeOp::verify() {
  RankedTensorType input = typeOf(getInput()), result = typeOf(getResult());
  // reshape_c1
  if (input.getNumElements() != result.getNumElements() ||
      input.getElementType() != result.getElementType())
    return emitOpError() << "expected as many elements of one type, got "
                         << input << " and " << result;
  // reshape_c2
  if (hasRowScales(input) &&
      (result.getRank() == 0 ||
       input.getShape().back() != result.getShape().back()))
    return emitOpError() << "expected rows that have a scale each to stay as "
                            "they are, got "
                         << input << " and " << result;
  return success();
}

LogicalResult CastOp::verify() {
  RankedTensorType input = typeOf(getInput()), result = typeOf(getResult());
  // cast_c1
  if (input.getShape() != result.getShape() ||
      !isa<FloatType, IntegerType>(input.getElementType()) ||
      !isa<FloatType>(result.getElementType()))
    return emitOpError()
           << "expected numbers and floats of the same sizes, got " << input
           << " and " << result;
  return success();
}

bool CastOp::isLossy() {
  auto from = dyn_cast<FloatType>(typeOf(getInput()).getElementType());
  if (!from)
    return true; // There is no cast back to integers.
  auto to = cast<FloatType>(typeOf(getResult()).getElementType());
  return !llvm::APFloat::isRepresentableBy(from.getFloatSemantics(),
                                           to.getFloatSemantics());
}

/// The rule of ops that keep the type.
static LogicalResult expectOneType(Operation *op) {
  if (op->getOperand(0).getType() == op->getResult(0).getType())
    return success();
  return op->emitOpError() << "expected operand and result of one type, got "
                           << op->getOperand(0).getType() << " and "
                           << op->getResult(0).getType();
}

static LogicalResult expectFloats(Operation *op) {
  RankedTensorType type = typeOf(op->getOperand(0));
  if (isa<FloatType>(type.getElementType()))
    return success();
  return op->emitOpError() << "expected float elements, got " << type;
}

LogicalResult ShiftOp::verify() {
  // shift_c1
  if (failed(expectOneType(*this)))
    return failure();
  // shift_c2
  return expectFloats(*this);
}

LogicalResult UnitRowsOp::verify() {
  // unit_rows_c1
  if (typeOf(getInput()).getRank() != 2)
    return emitOpError() << "expected a matrix, got " << getInput().getType();
  if (failed(expectOneType(*this)))
    return failure();
  // unit_rows_c2
  return expectFloats(*this);
}

LogicalResult RopeUnpermuteOp::verify() {
  RankedTensorType input = typeOf(getInput());
  // rope_unpermute_c2
  int64_t heads = getHeads();
  if (input.getRank() < 1 || heads < 1 || input.getShape()[0] % 2 != 0 ||
      input.getShape()[0] / 2 % heads != 0)
    return emitOpError() << "expected the rows of " << input
                         << " to divide into " << heads
                         << " heads of even size";
  // rope_unpermute_c1
  return expectOneType(*this);
}

LogicalResult PackOp::verify() {
  RankedTensorType input = typeOf(getInput()), result = typeOf(getResult());
  int64_t rows = getRows(), inner = getInner();
  // pack_c1
  bool isStack = input.getRank() == 3;
  if ((input.getRank() != 2 && !isStack) || rows < 1 || inner < 1)
    return emitOpError() << "expected a matrix or a stack of matrices and "
                            "positive panel sizes, got "
                         << input << " in panels of " << rows << " x " << inner;
  // pack_c2
  ArrayRef<int64_t> matrix = input.getShape().take_back(2);
  SmallVector<int64_t> shape{
      static_cast<int64_t>(llvm::divideCeil(matrix[0], rows)),
      static_cast<int64_t>(llvm::divideCeil(matrix[1], inner)), rows, inner};
  if (isStack)
    shape.insert(shape.begin(), input.getShape()[0]);
  if (ArrayRef(shape) != result.getShape() ||
      input.getElementType() != result.getElementType())
    return emitOpError() << "expected panels of " << rows << " rows and "
                         << inner << " columns of " << input << ", got "
                         << result;
  return success();
}

static std::string withNumber(llvm::StringRef name, llvm::StringRef placeholder,
                              int64_t value) {
  std::string text = name.str(), number = std::to_string(value);
  for (size_t at = text.find(placeholder); at != std::string::npos;
       at = text.find(placeholder, at + number.size()))
    text.replace(at, placeholder.size(), number);
  return text;
}

std::string clade::withLayer(llvm::StringRef name,
                             std::optional<int64_t> layer) {
  return layer ? withNumber(name, layerPlaceholder, *layer) : name.str();
}

std::string clade::withExpert(llvm::StringRef name, int64_t expert) {
  return withNumber(name, expertPlaceholder, expert);
}
