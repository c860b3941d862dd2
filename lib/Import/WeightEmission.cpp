//===- WeightEmission.cpp - Weight trees to wmap ops ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/WeightResolver.h"

#include "dialect/WMap/WMapDialect.h"
#include "lib/Import/Evaluator.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

static FailureOr<Type> elementType(OpBuilder &builder, rt::DType dtype,
                                   const std::string &name, Location loc) {
  if (dtype == rt::DType::BF16)
    return Type(builder.getBF16Type());
  if (dtype == rt::DType::F16)
    return Type(builder.getF16Type());
  if (dtype == rt::DType::F32 || rt::isBlockType(dtype))
    return Type(builder.getF32Type());
  return emitError(loc) << "tensor '" << name << "' has type "
                        << std::string(rt::dtypeName(dtype))
                        << ", expected F32, BF16, F16 or a GGUF block type";
}

static FailureOr<mlir::Value> emitSource(const WeightTree &tree,
                                         OpBuilder &builder, Location loc) {
  FailureOr<Type> type = elementType(builder, tree.dtype, tree.name, loc);
  if (failed(type))
    return failure();
  StringAttr encoding;
  if (rt::isBlockType(tree.dtype))
    encoding = builder.getStringAttr(std::string(rt::dtypeName(tree.dtype)));
  return mlir::Value(wmap::SourceOp::create(
      builder, loc, RankedTensorType::get(tree.shape, *type), tree.name,
      encoding));
}

FailureOr<mlir::Value> WeightResolver::emit(const WeightTree &tree,
                                            OpBuilder &builder, Location loc) {
  if (tree.kind == WeightTree::Kind::Source)
    return emitSource(tree, builder, loc);
  if (tree.kind == WeightTree::Kind::Number)
    return emitError(loc) << "expected a tensor in a weight equation, got "
                          << SpecValue::of(tree.number).describe();
  size_t wanted = tree.name == "shift" || tree.name == "rope_unpermute" ? 2 : 1;
  const std::vector<std::string> known{"shift", "rope_unpermute", "transpose",
                                       "unit_rows"};
  if (!llvm::is_contained(known, tree.name))
    return emitError(loc) << "unknown weight function '" << tree.name << "'"
                          << SpecLibrary::hint(tree.name, known);
  if (tree.inputs.size() != wanted ||
      (wanted == 2 && tree.inputs[1].kind != WeightTree::Kind::Number))
    return emitError(loc) << "weight function '" << tree.name << "' expects "
                          << (wanted == 2 ? "a tensor and a number"
                                          : "one tensor")
                          << ", got " << tree.inputs.size() << " arguments";
  FailureOr<mlir::Value> input = emit(tree.inputs[0], builder, loc);
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
