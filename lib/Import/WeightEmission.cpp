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
  case rt::DType::BOOL:
    return integer(8, false);
  default: // Blocks are taken as what they decode to.
    return builder.getF32Type();
  }
}

static mlir::Value emitSource(const WeightTree &tree, OpBuilder &builder,
                              Location loc) {
  StringAttr encoding;
  if (rt::isBlockType(tree.dtype))
    encoding = builder.getStringAttr(std::string(rt::dtypeName(tree.dtype)));
  return wmap::SourceOp::create(
      builder, loc,
      RankedTensorType::get(tree.shape, elementType(builder, tree.dtype)),
      tree.name, encoding);
}

static const WeightTree &firstSource(const WeightTree &tree) {
  return tree.kind == WeightTree::Kind::Source || tree.inputs.empty()
             ? tree
             : firstSource(tree.inputs.front());
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
  if (tree.kind == WeightTree::Kind::Number ||
      tree.kind == WeightTree::Kind::Value)
    return emitError(loc) << "expected a tensor in a weight equation, got "
                          << tree.asValue().describe();
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
    return emitDequantised(tree, tensors, builder, loc);
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
  if (type.getRank() != 2)
    return emitError(loc) << "weight function '" << tree.name
                          << "' expects a matrix, got [" << type.getShape()
                          << "]";
  if (tree.name == "unit_rows")
    return mlir::Value(wmap::UnitRowsOp::create(builder, loc, type, *input));
  auto transposed = RankedTensorType::get(
      {type.getShape()[1], type.getShape()[0]}, type.getElementType());
  return mlir::Value(wmap::TransposeOp::create(builder, loc, transposed, *input,
                                               ArrayRef<int64_t>{1, 0}));
}
