//===- EvalEntry.cpp - Requirements and entries ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Evaluator.h"
#include "lib/Import/Reach.h"

#include "llvm/ADT/ScopeExit.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

std::string Evaluator::comparedValues(const spec::Expr *condition,
                                      std::optional<int64_t> layer) {
  auto *comparison = dyn_cast<spec::BinaryExpr>(condition);
  if (!comparison)
    return "";
  std::string text;
  for (const spec::Expr *side : {comparison->lhs, comparison->rhs}) {
    FailureOr<SpecValue> value =
        evalConfig(side, Frame::Context::Config, {}, layer);
    if (failed(value) || value->is(SpecValue::Kind::Bool))
      return "";
    text += (text.empty() ? ": the sides are " : " and ") + value->describe();
  }
  return text;
}

LogicalResult Evaluator::checkRequirements() {
  std::vector<FamilyInstance *> instances;
  root.collect(instances);
  bool ok = true;
  for (FamilyInstance *instance : instances)
    ok &= succeeded(checkRequirementsOf(*instance));
  return success(ok);
}

LogicalResult Evaluator::checkRequirementsOf(FamilyInstance &of) {
  FamilyInstance *saved = std::exchange(current, &of);
  llvm::scope_exit restore([&] { current = saved; });
  Reach reach(getFamily());
  reach.walkFamily();
  bool ok = true;
  for (const spec::FamilyDecl *decl : getFamily().getChain()) {
    if (!decl->config)
      continue;
    for (const spec::RequireDecl *requirement : decl->config->requirements) {
      if (!reach.concerns(requirement))
        continue;
      Reach mentioned(getFamily());
      mentioned.walkRequirement(requirement);
      FailureOr<SpecValue> count = SpecValue::of(int64_t(1));
      bool perLayer = !mentioned.layerFields().empty();
      if (perLayer)
        count = field("layers", std::nullopt, requirement->getLoc());
      if (failed(count))
        return failure();
      if (!count->is(SpecValue::Kind::Int) || count->dim.size > maxLayers)
        return error(requirement->getLoc())
               << "expected field 'layers' to be a number of at most "
               << maxLayers << ", got " << count->describe();
      for (int64_t layer = 0; layer < count->dim.size; ++layer) {
        FailureOr<SpecValue> value =
            evalConfig(requirement->condition, Frame::Context::Config, {},
                       perLayer ? std::optional<int64_t>(layer) : std::nullopt);
        if (failed(value))
          return failure();
        // A key without a value cannot contradict.
        if (value->is(SpecValue::Kind::Absent) ||
            (value->is(SpecValue::Kind::Bool) && value->boolean))
          continue;
        ok = false;
        std::string sides = comparedValues(
            requirement->condition,
            perLayer ? std::optional<int64_t>(layer) : std::nullopt);
        InFlightDiagnostic diagnostic =
            error(requirement->getLoc())
            << "the configuration does not meet this requirement";
        if (perLayer)
          diagnostic << " for layer " << layer;
        diagnostic << sides;
        for (const std::string &key : mentioned.getKeys())
          noteKey(diagnostic, key);
        break;
      }
    }
  }
  return success(ok);
}

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

/// An entry whose function has begun.
struct Evaluator::EntryFunction {
  FoundBlock block;
  func::FuncOp function;
};

FailureOr<Evaluator::EntryFunction> Evaluator::beginEntry(StringRef name) {
  FoundBlock entry = getFamily().findBlock(name);
  Location loc = entry.decl->getLoc();
  builder.setInsertionPointToEnd(module.getBody());
  auto batchType = BatchType::get(builder.getContext());
  auto function = func::FuncOp::create(
      builder, loc, name, builder.getFunctionType({batchType}, {}));
  function->setAttr("clade.entry", builder.getUnitAttr());
  entryBlock = function.addEntryBlock();
  builder.setInsertionPointToEnd(entryBlock);
  batchValue = entryBlock->getArgument(0);
  rotaryTables.clear();
  return EntryFunction{entry, function};
}

/// Ends an entry that returns a value along the axis `selected`.
static void finishEntry(OpBuilder &builder, func::FuncOp function,
                        mlir::Value output) {
  func::ReturnOp::create(builder, function.getLoc(), output);
  Block &block = function.getBody().front();
  function.setFunctionType(
      builder.getFunctionType(block.getArgumentTypes(), {output.getType()}));
}

/// The value of the tokens that are selected.
static mlir::Value selected(OpBuilder &builder, Location loc, mlir::Value value,
                            mlir::Value batch) {
  auto type = cast<NamedTensorType>(value.getType());
  if (type.getNames()[0] == selectedAxis)
    return value;
  SmallVector<StringAttr> names(type.getNames());
  names[0] = builder.getStringAttr(selectedAxis);
  auto result =
      NamedTensorType::get(names, type.getShape(), type.getElementType());
  return SelectOp::create(builder, loc, result, value, batch);
}

LogicalResult Evaluator::buildForward() {
  FoundBlock entry = getFamily().findBlock("forward");
  if (!entry || !entry.decl->isEntry)
    return error(getFamily().getChain().front()->getLoc())
           << "family '" << getFamily().getName() << "' has no entry 'forward'";
  Location loc = entry.decl->getLoc();
  size_t count = entry.decl->params.size();
  bool takesTypes =
      !mediaValue && count == 2 && entry.decl->params[1].name.name == "types";
  if (mediaValue ? count != 2 && count != 3 : count != 1 && !takesTypes)
    return error(loc)
           << (mediaValue ? "expected an entry of two parameters, the tokens "
                            "and what the entry 'image' gives, or of three, "
                            "the last for the grids of the images"
                          : "expected an entry of one parameter, the tokens, "
                            "or of two, the tokens and their 'types'");
  FailureOr<EntryFunction> begun = beginEntry("forward");
  if (failed(begun))
    return failure();
  Shape tokenAxes{{ShapedType::kDynamic, tokenAxis.str(), {}}};
  auto ids = typeFor(tokenAxes, builder.getI32Type());
  mlir::Value tokens = entryBlock->insertArgument(0u, ids, loc);
  positionsValue = PositionsOp::create(builder, loc, ids, batchValue);
  position = tensor(positionsValue, tokenAxes);
  CallArgs args;
  args.positional.push_back(SpecValue::of(tensor(tokens, tokenAxes)));
  if (takesTypes)
    args.positional.push_back(SpecValue::of(
        tensor(entryBlock->insertArgument(1u, ids, loc), tokenAxes)));
  if (mediaValue)
    args.positional.push_back(*mediaValue);
  if (count == 3)
    args.positional.push_back(SpecValue::ofKind(SpecValue::Kind::Grid));
  FailureOr<SpecValue> result = callBlock(entry, args, "", loc);
  if (failed(result))
    return failure();
  if (!result->is(SpecValue::Kind::Tensor) || !result->tensor.hasSequence() ||
      result->tensor.features().empty())
    return error(loc) << "expected an entry to return a tensor with features "
                         "for each token, got "
                      << result->describe();
  finishEntry(builder, begun->function,
              selected(builder, loc, result->tensor.value, batchValue));
  keepLayerValues(begun->function);
  return success();
}

/// The tensors of a value, in order; fails for anything else in it.
static LogicalResult collectTensors(const SpecValue &value,
                                    std::vector<TensorValue> &tensors) {
  if (value.is(SpecValue::Kind::Tensor)) {
    tensors.push_back(value.tensor);
    return success(value.tensor.hasSequence() &&
                   !value.tensor.features().empty());
  }
  if (!value.is(SpecValue::Kind::Tuple) && !value.is(SpecValue::Kind::List))
    return failure();
  for (const SpecValue &element : value.elements)
    if (failed(collectTensors(element, tensors)))
      return failure();
  return success();
}

/// The same value with the parts of a row in the place of tensors.
static SpecValue asMedia(const SpecValue &value, int64_t width, int64_t &from) {
  SpecValue result = value;
  if (value.is(SpecValue::Kind::Tensor)) {
    Shape features = value.tensor.features();
    result = SpecValue::of(MediaRows{from, width, features});
    from += numElements(features);
    return result;
  }
  for (SpecValue &element : result.elements)
    element = asMedia(element, width, from);
  return result;
}

FailureOr<mlir::Value> Evaluator::imageRows(const SpecValue &result,
                                            Location loc) {
  std::vector<TensorValue> tensors;
  bool fits = succeeded(collectTensors(result, tensors)) && !tensors.empty();
  bool isFolded = fits && tensors.front().axes.front().name == selectedAxis;
  for (const TensorValue &one : tensors)
    fits &= (one.axes.front().name == selectedAxis) == isFolded &&
            one.getType().getElementType() ==
                tensors.front().getType().getElementType();
  if (!fits)
    return error(loc) << "expected an entry to return tensors with features "
                         "for each token, got "
                      << result.describe();
  // Rows of all tensors beside each other.
  SmallVector<mlir::Value> parts;
  Shape axes{{ShapedType::kDynamic, selectedAxis.str(), {}}, {0, "row", {}}};
  for (const TensorValue &one : tensors) {
    mlir::Value value = selected(builder, loc, one.value, batchValue);
    if (tensors.size() == 1)
      return value;
    int64_t size = numElements(one.features());
    Shape flat{axes[0], {size, "row", {}}};
    parts.push_back(builder.createOrFold<ViewOp>(
        loc, typeFor(flat, one.getType().getElementType()), value));
    axes[1].size += size;
  }
  auto type = typeFor(axes, tensors.front().getType().getElementType());
  return mlir::Value(JoinOp::create(builder, loc, type, parts));
}

LogicalResult Evaluator::buildImages() {
  FoundBlock entry = getFamily().findBlock("image");
  if (!entry || !entry.decl->isEntry)
    return success();
  Location loc = entry.decl->getLoc();
  FailureOr<EntryFunction> begun = beginEntry("image");
  if (failed(begun))
    return failure();
  imageFunction = begun->function;
  llvm::scope_exit forget([&] { imageFunction = {}; });
  Shape tokenAxes{{ShapedType::kDynamic, tokenAxis.str(), {}}};
  positionsValue = PositionsOp::create(
      builder, loc, typeFor(tokenAxes, builder.getI32Type()), batchValue);
  position = tensor(positionsValue, tokenAxes);
  CallArgs args;
  for (const spec::Param &param : entry.decl->params)
    args.positional.push_back(SpecValue::input(param.name.name.str()));
  FailureOr<SpecValue> result = callBlock(entry, args, "", loc);
  if (failed(result))
    return failure();
  if (!imageFunction->hasAttr(imagesAttr))
    return error(loc) << "expected the entry 'image' to cut its inputs into "
                         "'patches(pixel_values, image_sizes, …)'";
  FailureOr<mlir::Value> rows = imageRows(*result, loc);
  if (failed(rows))
    return failure();
  int64_t from = 0;
  mediaValue = asMedia(
      *result, cast<NamedTensorType>(rows->getType()).getNumFeatures(), from);
  finishEntry(builder, begun->function, *rows);
  keepLayerValues(begun->function);
  return success();
}
