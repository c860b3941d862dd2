//===- EvalEntry.cpp - Requirements and entries ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Evaluator.h"
#include "lib/Import/Reach.h"

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
  Reach reach(family);
  reach.walkFamily();
  bool ok = true;
  for (const spec::FamilyDecl *decl : family.getChain()) {
    if (!decl->config)
      continue;
    for (const spec::RequireDecl *requirement : decl->config->requirements) {
      if (!reach.concerns(requirement))
        continue;
      Reach mentioned(family);
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

LogicalResult Evaluator::buildEntry(StringRef name) {
  FoundBlock entry = family.findBlock(name);
  if (!entry || !entry.decl->isEntry)
    return error(family.getChain().front()->getLoc())
           << "family '" << family.getName() << "' has no entry '" << name
           << "'";
  Location loc = entry.decl->getLoc();
  if (entry.decl->params.size() != 1)
    return error(loc) << "expected an entry of one parameter, the tokens";
  Shape tokenAxes{{ShapedType::kDynamic, tokenAxis.str(), {}}};
  auto ids = typeFor(tokenAxes, builder.getI32Type());
  builder.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(
      builder, loc, name,
      builder.getFunctionType({ids, BatchType::get(builder.getContext())}, {}));
  function->setAttr("clade.entry", builder.getUnitAttr());
  entryBlock = function.addEntryBlock();
  builder.setInsertionPointToEnd(entryBlock);
  batchValue = entryBlock->getArgument(1);
  positionsValue = PositionsOp::create(builder, loc, ids, batchValue);
  CallArgs args;
  args.positional.push_back(
      SpecValue::of(tensor(entryBlock->getArgument(0), tokenAxes)));
  FailureOr<SpecValue> result = callBlock(entry, args, "", loc);
  if (failed(result))
    return failure();
  if (!result->is(SpecValue::Kind::Tensor) || !result->tensor.hasSequence() ||
      result->tensor.features().empty())
    return error(loc) << "expected an entry to return a tensor with features "
                         "for each token, got "
                      << result->describe();
  auto type = result->tensor.getType();
  SmallVector<StringAttr> names(type.getNames());
  names[0] = builder.getStringAttr(selectedAxis);
  auto selected =
      NamedTensorType::get(names, type.getShape(), type.getElementType());
  mlir::Value output = SelectOp::create(builder, loc, selected,
                                        result->tensor.value, batchValue);
  func::ReturnOp::create(builder, loc, output);
  function.setFunctionType(
      builder.getFunctionType(function.getArgumentTypes(), {selected}));
  return success();
}
