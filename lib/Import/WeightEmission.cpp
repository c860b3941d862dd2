//===- WeightEmission.cpp - Weight trees to wmap ops ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/WeightResolver.h"

#include "dialect/WMap/WMapDialect.h"
#include "lib/Import/Evaluator.h"
#include "lib/Import/WeightFunctions.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

/// Of the values that a stored element stands for.
static Type elementType(OpBuilder &builder, rt::DType dtype) {
  MLIRContext *context = builder.getContext();
  auto integer = [&](unsigned width, bool isSigned) {
    return builder.getIntegerType(width, isSigned);
  };
  switch (dtype) {
  case rt::DType::F64:
    return builder.getF64Type();
  case rt::DType::F16:
    return builder.getF16Type();
  case rt::DType::BF16:
    return builder.getBF16Type();
  case rt::DType::F8_E4M3:
    return Float8E4M3FNType::get(context);
  case rt::DType::F8_E5M2:
    return Float8E5M2Type::get(context);
  case rt::DType::F8_E8M0:
    return Float8E8M0FNUType::get(context);
  case rt::DType::I64:
    return integer(64, true);
  case rt::DType::I32:
    return integer(32, true);
  case rt::DType::I16:
    return integer(16, true);
  case rt::DType::I8:
    return integer(8, true);
  case rt::DType::U64:
    return integer(64, false);
  case rt::DType::U32:
    return integer(32, false);
  case rt::DType::U16:
    return integer(16, false);
  case rt::DType::U8:
    return integer(8, false);
  case rt::DType::BOOL: // Of no sign, so that no rule takes it for codes.
    return builder.getIntegerType(8);
  default: // Blocks are taken as what they decode to.
    return builder.getF32Type();
  }
}

static mlir::Value emitSource(const WeightTree &tree, OpBuilder &builder,
                              Location loc) {
  StringAttr encoding;
  if (rt::isBlockType(tree.dtype))
    encoding = builder.getStringAttr(std::string(rt::dtypeName(tree.dtype)));
  SmallVector<int64_t> shape(tree.shape.begin(), tree.shape.end());
  if (tree.stack > 0)
    shape.insert(shape.begin(), tree.stack);
  return wmap::SourceOp::create(
      builder, loc,
      RankedTensorType::get(shape, elementType(builder, tree.dtype)), tree.name,
      encoding, tree.stack ? builder.getI64IntegerAttr(tree.stack) : nullptr);
}

/// A range of an axis; the whole axis as it is.
static mlir::Value emitRange(OpBuilder &builder, Location loc,
                             mlir::Value value, int64_t axis, int64_t begin,
                             int64_t size) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getDimSize(axis) == size)
    return value;
  SmallVector<int64_t> shape(type.getShape());
  shape[axis] = size;
  return wmap::SliceOp::create(
      builder, loc, RankedTensorType::get(shape, type.getElementType()), value,
      builder.getI64IntegerAttr(axis), builder.getI64IntegerAttr(begin));
}

static mlir::Value emitPermuted(OpBuilder &builder, Location loc,
                                mlir::Value value,
                                ArrayRef<int64_t> permutation) {
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> shape;
  for (int64_t axis : permutation)
    shape.push_back(type.getDimSize(axis));
  return wmap::TransposeOp::create(
      builder, loc, RankedTensorType::get(shape, type.getElementType()), value,
      permutation);
}

/// The columns [features][n] of a matrix as [n][features]: what torch's unfold
/// gives of n neighbours is what follows from n neighbours side by side.
static FailureOr<mlir::Value> emitUnfolded(OpBuilder &builder, Location loc,
                                           mlir::Value value, double number) {
  auto type = cast<RankedTensorType>(value.getType());
  int64_t rows = type.getDimSize(0), columns = type.getDimSize(1),
          n = number >= 1 && number <= maxAxisSize ? number : 0;
  if (n < 1 || n != number || columns % n != 0)
    return emitError(loc) << "expected the columns of [" << type.getShape()
                          << "] to divide into neighbours, got "
                          << SpecValue::of(number).describe()
                          << " as their count";
  auto shaped = [&](ArrayRef<int64_t> shape, mlir::Value of) -> mlir::Value {
    return wmap::ReshapeOp::create(
        builder, loc, RankedTensorType::get(shape, type.getElementType()), of);
  };
  return shaped({rows, columns},
                emitPermuted(builder, loc,
                             shaped({rows, columns / n, n}, value), {0, 2, 1}));
}

/// The first rows of a tensor that was padded with zeros.
static FailureOr<mlir::Value> emitUnpadded(OpBuilder &builder, Location loc,
                                           mlir::Value value, double number) {
  auto type = cast<RankedTensorType>(value.getType());
  int64_t stored = type.getRank() > 0 ? type.getDimSize(0) : 0,
          rows = number >= 1 && number <= stored ? static_cast<int64_t>(number)
                                                 : 0;
  if (rows < 1 || rows != number)
    return emitError(loc) << "expected 1 to " << stored << " rows of ["
                          << type.getShape() << "] before the padding, got "
                          << SpecValue::of(number).describe();
  mlir::Value slice = emitRange(builder, loc, value, 0, 0, rows);
  if (slice != value)
    slice.getDefiningOp()->setAttr(paddingAttr, builder.getUnitAttr());
  return slice;
}

/// A slice of a tensor. The axis of experts, if there is one, is the first of
/// the result.
static FailureOr<mlir::Value> emitSlice(const WeightTree &tree,
                                        mlir::Value value, OpBuilder &builder,
                                        Location loc) {
  auto type = cast<RankedTensorType>(value.getType());
  int64_t first = tree.inputs[0].isStacked() ? 1 : 0;
  if (static_cast<int64_t>(tree.ranges.size()) > type.getRank() - first)
    return emitError(loc) << "expected at most " << type.getRank() - first
                          << " indices into [" << type.getShape() << "], got "
                          << tree.ranges.size();
  std::optional<int64_t> expertAxis;
  for (auto [place, range] : llvm::enumerate(tree.ranges)) {
    int64_t axis = first + place, size = type.getDimSize(axis);
    if (range.isExpert()) {
      expertAxis = axis;
      continue;
    }
    int64_t end = range.isElement() ? range.begin + 1 : range.end;
    if (end > size)
      return emitError(loc)
             << "expected indices below " << size << " of axis " << place
             << " of [" << type.getShape() << "], got " << end - 1
             << (tree.inputs[0].name.empty()
                     ? std::string()
                     : ", in tensor '" + tree.inputs[0].name + "'");
    value =
        emitRange(builder, loc, value, axis, range.begin, end - range.begin);
  }
  if (expertAxis && first == 1)
    return emitError(loc) << "expected one index of the expert, got one in the "
                             "name and one in the slice";
  if (expertAxis && *expertAxis != 0) {
    SmallVector<int64_t> order{*expertAxis};
    for (int64_t axis = 0; axis < type.getRank(); ++axis)
      if (axis != *expertAxis)
        order.push_back(axis);
    value = emitPermuted(builder, loc, value, order);
  }
  auto sliced = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> shape;
  int64_t axis = 0;
  for (int64_t i = 0; i < first; ++i)
    shape.push_back(sliced.getDimSize(axis++));
  if (expertAxis)
    shape.push_back(sliced.getDimSize(axis++));
  for (int64_t place = 0; axis < sliced.getRank(); ++place) {
    bool isListed = place < static_cast<int64_t>(tree.ranges.size());
    if (isListed && tree.ranges[place].isExpert())
      continue;
    if (!(isListed && tree.ranges[place].isElement()))
      shape.push_back(sliced.getDimSize(axis));
    ++axis;
  }
  if (sliced.getShape() == ArrayRef(shape))
    return value;
  return mlir::Value(wmap::ReshapeOp::create(
      builder, loc, RankedTensorType::get(shape, sliced.getElementType()),
      value));
}

/// The matrices of all experts [expert, rows, columns] as one, beside each
/// other along `axis`. Vectors stay as they are.
static mlir::Value emitFolded(mlir::Value stack, int64_t axis,
                              OpBuilder &builder, Location loc) {
  auto type = cast<RankedTensorType>(stack.getType());
  if (type.getRank() < 2)
    return stack;
  SmallVector<int64_t> shape(type.getShape().drop_front());
  if (axis >= static_cast<int64_t>(shape.size()))
    return stack;
  shape[axis] *= type.getDimSize(0);
  if (axis == 1)
    stack = emitPermuted(builder, loc, stack, {1, 0, 2});
  return wmap::ReshapeOp::create(
      builder, loc, RankedTensorType::get(shape, type.getElementType()), stack);
}

/// Dequantises the tensors of all experts. Scales of blocks are those of a
/// tensor with any axes. Codes in words are those of a matrix: those of all
/// experts are one, whose outputs follow each other.
static FailureOr<mlir::Value>
emitDequantisedStack(const WeightTree &tree, ArrayRef<mlir::Value> tensors,
                     OpBuilder &builder, Location loc) {
  bool isInputMajor = llvm::is_contained({"gptq", "awq"}, StringRef(tree.name));
  if (!isInputMajor &&
      !llvm::is_contained({"packed", "bnb4"}, StringRef(tree.name)))
    return emitDequantised(tree, tensors, builder, loc);
  SmallVector<mlir::Value> folded;
  int64_t experts = 0;
  for (auto [tensor, input] : llvm::zip_equal(tensors, tree.inputs)) {
    folded.push_back(tensor);
    if (!tensor || !input.isStacked())
      continue;
    experts = cast<RankedTensorType>(tensor.getType()).getDimSize(0);
    folded.back() = emitFolded(tensor, isInputMajor ? 1 : 0, builder, loc);
  }
  FailureOr<mlir::Value> value = emitDequantised(tree, folded, builder, loc);
  if (failed(value))
    return failure();
  auto type = cast<RankedTensorType>(value->getType());
  if (type.getRank() < 1 || experts < 1 || type.getDimSize(0) % experts != 0)
    return emitError(loc) << "weight function '" << tree.name
                          << "' of experts has no compiled form for ["
                          << type.getShape() << "]";
  SmallVector<int64_t> shape(type.getShape());
  shape[0] /= experts;
  shape.insert(shape.begin(), experts);
  return mlir::Value(wmap::ReshapeOp::create(
      builder, loc, RankedTensorType::get(shape, type.getElementType()),
      *value));
}

/// The factors of what an adapter adds.
static const WeightTree &firstFactors(const WeightTree &tree) {
  return tree.kind == WeightTree::Kind::Factors || tree.inputs.empty()
             ? tree
             : firstFactors(tree.inputs.front());
}

static const WeightTree &firstSource(const WeightTree &tree) {
  return tree.kind == WeightTree::Kind::Source || tree.inputs.empty()
             ? tree
             : firstSource(tree.inputs.front());
}

/// What an adapter adds, in f32. `expected` are the sizes that it is added to,
/// if they are known.
static FailureOr<mlir::Value> emitFactors(const WeightTree &tree,
                                          ArrayRef<int64_t> expected,
                                          OpBuilder &builder, Location loc) {
  mlir::Value a = emitSource(tree.inputs[0], builder, loc),
              b = emitSource(tree.inputs[1], builder, loc);
  auto sizes = [](mlir::Value value) {
    return cast<RankedTensorType>(value.getType()).getShape();
  };
  auto shaped = [&](ArrayRef<int64_t> shape, mlir::Value of) -> mlir::Value {
    Type type = cast<RankedTensorType>(of.getType()).getElementType();
    return wmap::ReshapeOp::create(builder, loc,
                                   RankedTensorType::get(shape, type), of);
  };
  auto swapped = [&](mlir::Value value) {
    int64_t rank = sizes(value).size();
    return emitPermuted(builder, loc, value,
                        rank == 2 ? ArrayRef<int64_t>{1, 0}
                                  : ArrayRef<int64_t>{0, 2, 1});
  };
  const WeightTree::FactorForm &form = tree.factors;
  bool isTransposed = form.isTransposed;
  if (form.kind == rt::AdapterFactors::Kind::Parameter && form.experts > 1) {
    // [experts · rank, in] and [out, rank · experts].
    int64_t rank = sizes(a)[0] / form.experts, in = sizes(a)[1],
            out = sizes(b)[0];
    a = shaped({form.experts, rank, in}, a);
    b = emitPermuted(builder, loc, shaped({out, rank, form.experts}, b),
                     {2, 0, 1});
    // Older releases of PEFT took the first axis of a matrix as that of inputs.
    if (expected.size() == 3 && form.half < 0 && !isTransposed && in != out &&
        expected[1] == in && expected[2] == out) {
      std::swap(a, b);
      a = swapped(a), b = swapped(b);
    }
  }
  if (form.kind == rt::AdapterFactors::Kind::Embedding)
    isTransposed = !isTransposed;
  if (isTransposed) {
    std::swap(a, b);
    a = swapped(a), b = swapped(b);
  }
  if (form.half >= 0) {
    int64_t axis = sizes(b).size() - 2, size = sizes(b)[axis] / 2;
    b = emitRange(builder, loc, b, axis, form.half * size, size);
  }
  SmallVector<int64_t> shape(sizes(b));
  shape.back() = sizes(a).back();
  return mlir::Value(wmap::LowRankOp::create(
      builder, loc, RankedTensorType::get(shape, builder.getF32Type()), b, a,
      builder.getF64FloatAttr(tree.number)));
}

/// Functions that only move elements move those of a sum and of what is added
/// alike.
static bool onlyMoves(const WeightTree &tree) {
  if (tree.kind == WeightTree::Kind::Factors)
    return true;
  if (tree.kind == WeightTree::Kind::Call &&
      !llvm::is_contained({"transpose", "rope_unpermute", "unfolded"},
                          StringRef(tree.name)))
    return false;
  return llvm::all_of(tree.inputs, [](const WeightTree &input) {
    return input.kind == WeightTree::Kind::Number ||
           input.kind == WeightTree::Kind::Value || onlyMoves(input);
  });
}

FailureOr<mlir::Value> WeightResolver::emitAdded(const WeightTree &tree,
                                                 ArrayRef<int64_t> expected,
                                                 OpBuilder &builder,
                                                 Location loc) {
  const WeightTree &first = firstFactors(tree);
  if (!onlyMoves(tree))
    return emitError(loc) << "module '" << first.name
                          << "' has an adapter, but its weight is computed "
                             "from the published one by a function that no "
                             "sum goes through";
  bool isDirect = tree.kind == WeightTree::Kind::Factors;
  FailureOr<mlir::Value> value = isDirect
                                     ? emitFactors(tree, expected, builder, loc)
                                     : emitTree(tree, builder, loc);
  if (failed(value))
    return failure();
  ArrayRef<int64_t> shape = cast<RankedTensorType>(value->getType()).getShape();
  if (shape == expected)
    return value;
  return emitError(loc) << "tensors '" << first.inputs[0].name << "' "
                        << rt::shapeText(first.inputs[0].shape) << " and '"
                        << first.inputs[1].name << "' "
                        << rt::shapeText(first.inputs[1].shape)
                        << " of the adapter change a weight of [" << shape
                        << "], expected [" << expected << "]";
}

FailureOr<mlir::Value> WeightResolver::emit(const WeightTree &tree,
                                            OpBuilder &builder, Location loc) {
  FailureOr<mlir::Value> value = emitTree(tree, builder, loc);
  if (failed(value))
    return failure();
  Type type = cast<RankedTensorType>(value->getType()).getElementType();
  if (type.isF32() || type.isBF16() || type.isF16())
    return value;
  const WeightTree &source = firstSource(tree);
  return emitError(loc) << "tensor '" << source.name << "' has type "
                        << std::string(rt::dtypeName(source.dtype))
                        << ", expected F32, BF16, F16 or a GGUF block type; "
                           "does 'quantization_config' name its form?";
}

FailureOr<mlir::Value> WeightResolver::emitTree(const WeightTree &tree,
                                                OpBuilder &builder,
                                                Location loc) {
  if (tree.kind == WeightTree::Kind::Source)
    return emitSource(tree, builder, loc);
  if (tree.kind == WeightTree::Kind::Factors)
    return emitFactors(tree, /*expected=*/{}, builder, loc);
  if (tree.kind == WeightTree::Kind::Number ||
      tree.kind == WeightTree::Kind::Value)
    return emitError(loc) << "expected a tensor in a weight equation, got "
                          << tree.asValue().describe();
  if (tree.kind == WeightTree::Kind::Slice) {
    FailureOr<mlir::Value> input = emitTree(tree.inputs[0], builder, loc);
    return failed(input) ? input : emitSlice(tree, *input, builder, loc);
  }
  const WeightFunction *function = findWeightFunction(tree.name);
  if (!function)
    return emitError(loc) << "unknown weight function '" << tree.name << "'"
                          << SpecLibrary::hint(tree.name,
                                               weightFunctionNames());
  const std::vector<WeightArg> *kinds = function->formOf(tree.inputs.size());
  bool fits =
      kinds && llvm::all_of_zip(*kinds, tree.inputs,
                                [](WeightArg kind, const auto &input) {
                                  return kind != WeightArg::Number ||
                                         input.kind == WeightTree::Kind::Number;
                                });
  if (!fits)
    return emitError(loc) << "weight function '" << tree.name << "' expects "
                          << function->expected() << ", got "
                          << tree.inputs.size() << " arguments";
  if (dequantises(tree.name)) {
    SmallVector<mlir::Value> tensors;
    for (auto [kind, argument] : llvm::zip_equal(*kinds, tree.inputs)) {
      tensors.emplace_back();
      if (kind != WeightArg::Tensor)
        continue;
      FailureOr<mlir::Value> tensor = emitTree(argument, builder, loc);
      if (failed(tensor))
        return failure();
      tensors.back() = *tensor;
    }
    return tree.isStacked() ? emitDequantisedStack(tree, tensors, builder, loc)
                            : emitDequantised(tree, tensors, builder, loc);
  }
  FailureOr<mlir::Value> input = tree.name == "transpose"
                                     ? emitTree(tree.inputs[0], builder, loc)
                                     : emit(tree.inputs[0], builder, loc);
  if (failed(input))
    return failure();
  auto type = cast<RankedTensorType>(input->getType());
  if (tree.name == "shift")
    return mlir::Value(
        wmap::ShiftOp::create(builder, loc, type, *input,
                              builder.getF64FloatAttr(tree.inputs[1].number)));
  bool isStacked = tree.isStacked();
  int64_t rank = type.getRank() - (isStacked ? 1 : 0);
  if (tree.name == "transpose" && rank == 2)
    return emitPermuted(builder, loc, *input,
                        isStacked ? ArrayRef<int64_t>{0, 2, 1}
                                  : ArrayRef<int64_t>{1, 0});
  if (isStacked && tree.name != "transpose")
    return emitError(loc) << "weight function '" << tree.name
                          << "' of experts has no compiled form yet";
  if (tree.name == "rope_unpermute") {
    double number = tree.inputs[1].number;
    bool isCount = number >= 1 && number <= maxAxisSize;
    int64_t heads = isCount ? static_cast<int64_t>(number) : 0;
    if (!isCount || heads != number || type.getRank() < 1 ||
        type.getShape()[0] % (2 * heads) != 0)
      return emitError(loc)
             << "expected the rows of [" << type.getShape()
             << "] to divide into heads of even size, got "
             << SpecValue::of(number).describe() << " as their count";
    return mlir::Value(wmap::RopeUnpermuteOp::create(
        builder, loc, type, *input, builder.getI64IntegerAttr(heads)));
  }
  if (tree.name == "unpadded")
    return emitUnpadded(builder, loc, *input, tree.inputs[1].number);
  if (tree.name == "unfolded" && rank == 2)
    return emitUnfolded(builder, loc, *input, tree.inputs[1].number);
  if (rank != 2)
    return emitError(loc) << "weight function '" << tree.name
                          << "' expects a matrix, got [" << type.getShape()
                          << "]";
  return mlir::Value(wmap::UnitRowsOp::create(builder, loc, type, *input));
}
