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
  size_t wanted = tree.name == "shift" || tree.name == "rope_unpermute" ? 2 : 1;
  bool known = llvm::is_contained(
      {"shift", "rope_unpermute", "transpose", "unit_rows"}, tree.name);
  if (tree.kind != WeightTree::Kind::Call || !known)
    return emitError(loc) << "weight function '" << tree.name
                          << "' has no compiled form yet";
  if (tree.inputs.size() != wanted ||
      (wanted == 2 && tree.inputs[1].kind != WeightTree::Kind::Number))
    return emitError(loc) << "weight function '" << tree.name << "' expects "
                          << (wanted == 2 ? "a tensor and a number"
                                          : "one tensor");
  FailureOr<mlir::Value> input = emit(tree.inputs[0], builder, loc);
  if (failed(input))
    return failure();
  auto type = cast<RankedTensorType>(input->getType());
  if (tree.name == "shift")
    return mlir::Value(
        wmap::ShiftOp::create(builder, loc, type, *input,
                              builder.getF64FloatAttr(tree.inputs[1].number)));
  if (tree.name == "rope_unpermute") {
    int64_t heads = tree.inputs[1].number;
    if (heads < 1 || type.getRank() < 1 ||
        type.getShape()[0] % (2 * heads) != 0)
      return emitError(loc)
             << "expected the rows of [" << type.getShape()
             << "] to divide into " << heads << " heads of even size";
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
