//===- EvalFromLayer.cpp - Values of earlier layers -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// 'x from layer n', behind the loop over layers, is what x was after layer n.
// The layers then carry one value more: layer n, which gets a function of its
// own, returns x for it, and all others pass it on.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Evaluator.h"

#include "llvm/ADT/MapVector.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

/// On what stands for the value of a layer until its entry is whole: which.
static constexpr StringLiteral layerAttr = "clade.layer";

FailureOr<SpecValue> Evaluator::evalFromLayer(const spec::FromLayerExpr *expr,
                                              Frame &frame) {
  if (layerScope)
    return error(expr->getLoc())
           << "'from layer' reads what layers have made, behind their loop; "
              "for "
              "a later layer let the layers carry it: 'kept = x' before the "
              "loop and 'if layer == n { kept = x }' in it";
  FailureOr<SpecValue> base = eval(expr->base, frame),
                       number = eval(expr->layer, frame);
  if (failed(base) || failed(number))
    return failure();
  auto layers = base->is(SpecValue::Kind::Tensor)
                    ? base->tensor.value.getDefiningOp<LayersOp>()
                    : LayersOp();
  if (!layers)
    return error(expr->getLoc())
           << "expected what a loop over layers has changed in front of 'from "
              "layer', got "
           << base->describe();
  auto schedule = module.lookupSymbol<ScheduleOp>(layers.getSchedule());
  int64_t count = schedule.getRows().size();
  bool isLayer = number->is(SpecValue::Kind::Int) && number->dim.size >= 0 &&
                 number->dim.size < count;
  if (!isLayer)
    return error(expr->layer->getLoc())
           << "expected the number of one of " << count << " layers, got "
           << number->describe();
  if (number->dim.size == count - 1)
    return *base;
  auto kept = UnrealizedConversionCastOp::create(builder, named(expr->getLoc()),
                                                 base->tensor.value.getType(),
                                                 base->tensor.value);
  kept->setAttr(layerAttr, builder.getI64IntegerAttr(number->dim.size));
  return SpecValue::of(tensor(kept.getResult(0), base->tensor.axes));
}

/// A copy of a layer function as kind number `kind`, with weights of its own.
static func::FuncOp copyOf(func::FuncOp function, int64_t kind,
                           ModuleOp module) {
  OpBuilder builder(function);
  builder.setInsertionPointAfter(function);
  auto copy = cast<func::FuncOp>(builder.clone(*function));
  copy.setSymName(freeName(module, function.getSymName().str()));
  llvm::StringMap<std::string> names;
  copy.walk([&](ParamOp param) {
    std::string &name = names[param.getName()];
    if (name.empty()) {
      auto weight = module.lookupSymbol<wmap::FuncOp>(param.getName());
      name =
          freeName(module, (param.getName() + "#" + llvm::Twine(kind)).str());
      builder.setInsertionPointAfter(weight);
      cast<wmap::FuncOp>(builder.clone(*weight)).setSymName(name);
    }
    param.setName(name);
  });
  return copy;
}

/// A result of layers, by its place, as it was after a layer.
using Kept = std::pair<int64_t, int64_t>;

/// Makes layers that return the kept values behind their results.
static LayersOp keep(LayersOp layers, ArrayRef<Kept> kept, ModuleOp module) {
  auto schedule = module.lookupSymbol<ScheduleOp>(layers.getSchedule());
  SmallVector<int32_t> rows(schedule.getRows());
  SmallVector<func::FuncOp> kinds;
  for (Attribute kind : schedule.getKinds())
    kinds.push_back(module.lookupSymbol<func::FuncOp>(
        cast<FlatSymbolRefAttr>(kind).getValue()));
  for (auto [place, layer] : kept)
    if (llvm::count(rows, rows[layer]) > 1) {
      kinds.push_back(copyOf(kinds[rows[layer]], kinds.size(), module));
      rows[layer] = kinds.size() - 1;
    }

  // Carried values come first.
  unsigned first = layers.getNumResults();
  SmallVector<Value> operands(layers.getInputs());
  SmallVector<Type> types(layers.getResultTypes());
  for (auto [i, value] : llvm::enumerate(kept)) {
    Type type = layers.getResult(value.first).getType();
    operands.insert(operands.begin() + first + i, operands[value.first]);
    types.push_back(type);
    for (auto [kind, function] : llvm::enumerate(kinds)) {
      Block &block = function.getBody().front();
      Value passed = block.insertArgument(first + i, type, function.getLoc());
      Operation *end = block.getTerminator();
      bool isOwn = rows[value.second] == static_cast<int32_t>(kind);
      end->insertOperands(end->getNumOperands(),
                          isOwn ? end->getOperand(value.first) : passed);
    }
  }
  OpBuilder builder(layers);
  SmallVector<Attribute> references;
  for (func::FuncOp function : kinds) {
    function.setFunctionType(builder.getFunctionType(
        function.getBody().front().getArgumentTypes(), types));
    references.push_back(FlatSymbolRefAttr::get(function));
  }
  schedule.setKindsAttr(builder.getArrayAttr(references));
  schedule.setRows(rows);
  return LayersOp::create(builder, layers.getLoc(), types, layers.getSchedule(),
                          operands);
}

void Evaluator::keepLayerValues(func::FuncOp entry) {
  llvm::MapVector<LayersOp, SmallVector<UnrealizedConversionCastOp>> wanted;
  entry.walk([&](UnrealizedConversionCastOp value) {
    if (value->hasAttr(layerAttr))
      wanted[value.getOperand(0).getDefiningOp<LayersOp>()].push_back(value);
  });
  for (auto &[layers, values] : wanted) {
    llvm::MapVector<Kept, int64_t> places;
    for (UnrealizedConversionCastOp value : values) {
      Kept kept(cast<OpResult>(value.getOperand(0)).getResultNumber(),
                value->getAttrOfType<IntegerAttr>(layerAttr).getInt());
      places.insert({kept, layers.getNumResults() + places.size()});
    }
    SmallVector<Kept> kept;
    for (const auto &[value, place] : places)
      kept.push_back(value);
    LayersOp keeping = keep(layers, kept, module);
    for (UnrealizedConversionCastOp value : values) {
      Kept key(cast<OpResult>(value.getOperand(0)).getResultNumber(),
               value->getAttrOfType<IntegerAttr>(layerAttr).getInt());
      value.getResult(0).replaceAllUsesWith(
          keeping.getResult(places.lookup(key)));
      value.erase();
    }
    layers.replaceAllUsesWith(
        keeping.getResults().take_front(layers.getNumResults()));
    layers.erase();
  }
}
