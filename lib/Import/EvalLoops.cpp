//===- EvalLoops.cpp - Loops; layers become functions ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// 'for layer in layers' is not unrolled: layers that agree in all per-layer
// fields and in the form of their weights share one function, called through a
// schedule. Other loops are over configuration values and are unrolled.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Evaluator.h"
#include "lib/Import/Reach.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

FailureOr<SpecValue> Evaluator::evalFor(const spec::ForExpr *expr,
                                        Frame &frame) {
  FailureOr<SpecValue> range = eval(expr->range, frame);
  if (failed(range))
    return failure();
  if (expr->names[0].name == "layer" &&
      frame.context == Frame::Context::Block) {
    if (expr->names.size() != 1)
      return error(expr->getLoc())
             << "expected one name in a loop over layers, got "
             << expr->names.size();
    if (!range->is(SpecValue::Kind::Int) || range->dim.size < 1 ||
        range->dim.size > maxLayers)
      return error(expr->getLoc())
             << "expected 'for layer in' a number of layers from 1 to "
             << maxLayers << ", got " << range->describe();
    if (layerScope)
      return error(expr->getLoc())
             << "expected no loop over layers inside another";
    return evalLayers(expr, frame, range->dim.size);
  }
  return evalUnrolled(expr, frame, *range);
}

FailureOr<SpecValue> Evaluator::evalUnrolled(const spec::ForExpr *expr,
                                             Frame &frame,
                                             const SpecValue &range) {
  std::vector<SpecValue> items;
  if (range.is(SpecValue::Kind::List)) {
    items = range.elements;
  } else {
    bool isRange = range.is(SpecValue::Kind::Range);
    int64_t begin = isRange ? range.elements[0].dim.size : 0;
    bool ends = isRange ? range.elements[1].is(SpecValue::Kind::Int)
                        : range.is(SpecValue::Kind::Int);
    if (!ends)
      return error(expr->getLoc())
             << "expected a list, a number or a range with an end, got "
             << (isRange ? "a range without one" : range.describe());
    int64_t end = isRange ? range.elements[1].dim.size : range.dim.size;
    constexpr int64_t most = 4096;
    int64_t length = 0;
    if (llvm::SubOverflow(end, begin, length) || length > most)
      return error(expr->getLoc()) << "expected a loop of at most " << most
                                   << " steps, got " << begin << " .. " << end;
    for (int64_t i = begin; i < end; ++i)
      items.push_back(SpecValue::of(i));
  }
  std::vector<SpecValue> results;
  for (auto [index, item] : llvm::enumerate(items)) {
    bool counts = expr->names.size() == 2;
    if (counts)
      frame.vars[expr->names[0].name.str()] =
          SpecValue::of(static_cast<int64_t>(index));
    frame.vars[expr->names.back().name.str()] = item;
    std::string savedPrefix = frame.prefix;
    if (expr->at) {
      FailureOr<std::string> prefix = address(expr->at, frame, frame.prefix);
      if (failed(prefix))
        return failure();
      frame.prefix = *prefix;
    }
    FailureOr<SpecValue> value = evalBody(expr->body, frame);
    frame.prefix = savedPrefix;
    if (failed(value))
      return failure();
    if (frame.returned)
      return SpecValue::none();
    results.push_back(std::move(*value));
  }
  for (const spec::Identifier &name : expr->names)
    frame.vars.erase(name.name.str());
  return SpecValue::list(std::move(results));
}

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

std::string import::freeName(ModuleOp module, const std::string &name) {
  std::string free = name;
  for (int64_t i = 1; module.lookupSymbol(free); ++i)
    free = name + "." + std::to_string(i);
  return free;
}

/// The function of one kind of layer, and the weights that it asked for.
struct Evaluator::LayerFunction {
  func::FuncOp function;
  std::vector<WeightResolver::Request> requests;
};

mlir::Value Evaluator::localize(mlir::Value value) {
  if (!scanScope)
    return localizeToLayer(value);
  return value.getParentBlock() == scanScope->block
             ? value
             : scanArgument(localizeToLayer(value));
}

mlir::Value Evaluator::localizeToLayer(mlir::Value value) {
  if (!layerScope || value.getParentBlock() == layerScope->block)
    return value;
  captures.insert(value);
  // Arguments after the carried ones follow the order of the captures.
  while (layerScope->block->getNumArguments() <
         layerScope->numCarried + captures.size()) {
    mlir::Value next =
        captures[layerScope->block->getNumArguments() - layerScope->numCarried];
    layerScope->block->addArgument(next.getType(), next.getLoc());
  }
  auto place = llvm::find(captures, value) - captures.begin();
  return layerScope->block->getArgument(layerScope->numCarried + place);
}

/// As `describe`, with the element type of a tensor.
static std::string describeType(const SpecValue &value) {
  if (!value.is(SpecValue::Kind::Tensor))
    return value.describe();
  std::string text;
  llvm::raw_string_ostream(text) << value.tensor.value.getType();
  return text;
}

FailureOr<Evaluator::LayerFunction>
Evaluator::buildLayerFunction(const spec::ForExpr *expr, Frame &frame,
                              ArrayRef<std::string> carried, int64_t layer,
                              int64_t kind) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(module.getBody());
  std::string name = freeName(module, getFamily().getName().str() + ".layer." +
                                          std::to_string(kind));
  auto function = func::FuncOp::create(builder, expr->getLoc(), name,
                                       builder.getFunctionType({}, {}));
  function.setPrivate();
  Block *block = function.addEntryBlock();
  builder.setInsertionPointToEnd(block);

  Frame inner = frame;
  layerScope = LayerScope{block, static_cast<int64_t>(carried.size()), 0, kind};
  currentLayer = layer;
  for (const std::string &variable : carried) {
    TensorValue outer = frame.vars[variable].tensor;
    mlir::Value argument =
        block->addArgument(outer.value.getType(), expr->getLoc());
    inner.vars[variable] = SpecValue::of(tensor(argument, outer.axes));
  }
  localize(batchValue);
  if (weights)
    weights->takeRequests();
  auto run = [&]() -> LogicalResult {
    if (expr->at) {
      FailureOr<std::string> prefix = address(expr->at, inner, frame.prefix);
      if (failed(prefix))
        return failure();
      inner.prefix = *prefix;
    }
    if (failed(evalBody(expr->body, inner)))
      return failure();
    if (inner.returned)
      return error(expr->getLoc())
             << "expected no 'return' inside a loop over layers";
    SmallVector<mlir::Value> results;
    for (const std::string &variable : carried) {
      const SpecValue &value = inner.vars[variable];
      if (!value.is(SpecValue::Kind::Tensor) ||
          value.tensor.value.getType() !=
              frame.vars[variable].tensor.value.getType())
        return error(expr->getLoc())
               << "expected '" << variable
               << "' to keep its axes and type from layer to layer, got "
               << describeType(frame.vars[variable]) << " before and "
               << describeType(value) << " after layer " << layer;
      results.push_back(localize(value.tensor.value));
    }
    func::ReturnOp::create(builder, expr->getLoc(), results);
    return success();
  };
  LogicalResult result = run();
  layerScope.reset();
  currentLayer.reset();
  if (failed(result))
    return failure();
  return LayerFunction{function, weights
                                     ? weights->takeRequests()
                                     : std::vector<WeightResolver::Request>()};
}

FailureOr<std::string> Evaluator::numberKey(const spec::Body *body,
                                            ArrayRef<std::string> assigned,
                                            Frame &frame, int64_t layer) {
  std::string key;
  bool isNumbered = false;
  for (const spec::Stmt *stmt : body->stmts) {
    auto *expression = dyn_cast<spec::ExprStmt>(stmt);
    auto *branch =
        expression ? dyn_cast<spec::IfExpr>(expression->value) : nullptr;
    Reach reach(getFamily());
    if (branch)
      reach.walkExpr(branch->condition);
    // What the loop itself computes is not known yet.
    bool isKnown = branch && reach.usesLayerNumber() &&
                   llvm::none_of(assigned, [&](const std::string &name) {
                     return reach.mentionsName(name);
                   });
    if (!isKnown) {
      reach.walkStmt(stmt);
      isNumbered |= reach.usesLayerNumber();
      continue;
    }
    std::optional<int64_t> saved = std::exchange(currentLayer, layer);
    FailureOr<bool> holds = condition(branch->condition, frame);
    currentLayer = saved;
    if (failed(holds))
      return failure();
    key += *holds ? "then;" : "else;";
    const spec::Body *taken = *holds ? branch->thenBody : branch->elseBody;
    if (!taken)
      continue;
    FailureOr<std::string> inner = numberKey(taken, assigned, frame, layer);
    if (failed(inner))
      return failure();
    key += *inner;
  }
  return isNumbered ? key + std::to_string(layer) : key;
}

FailureOr<SpecValue> Evaluator::evalLayers(const spec::ForExpr *expr,
                                           Frame &frame, int64_t count) {
  std::vector<std::string> carried;
  for (const std::string &variable : Reach::assignedNames(expr->body)) {
    auto it = frame.vars.find(variable);
    if (it == frame.vars.end())
      continue;
    if (!it->second.is(SpecValue::Kind::Tensor))
      return error(expr->getLoc())
             << "expected only tensors to change from layer to layer, got '"
             << variable << "', which is " << it->second.describe();
    carried.push_back(variable);
  }
  Reach reach(getFamily());
  reach.walkBody(expr->body);
  std::vector<std::string> fields = reach.layerFields();

  // Layers by their fields, in the order of first occurrence.
  std::vector<std::pair<std::string, std::vector<int64_t>>> groups;
  for (int64_t layer = 0; layer < count; ++layer) {
    FailureOr<std::string> key = layerKey(fields, layer, expr->getLoc());
    if (failed(key))
      return failure();
    FailureOr<std::string> number =
        numberKey(expr->body, Reach::assignedNames(expr->body), frame, layer);
    if (failed(number))
      return failure();
    *key += *number;
    auto group = llvm::find_if(
        groups, [&](const auto &entry) { return entry.first == *key; });
    if (group == groups.end())
      group = groups.insert(groups.end(), {*key, {}});
    group->second.push_back(layer);
  }

  captures.clear();
  SmallVector<int32_t> rows(count, 0);
  SmallVector<func::FuncOp> functions;
  for (auto &[key, pending] : groups) {
    // Layers of one group whose weights have another form get a function of
    // their own.
    while (!pending.empty()) {
      int64_t kind = functions.size();
      FailureOr<LayerFunction> built =
          buildLayerFunction(expr, frame, carried, pending.front(), kind);
      if (failed(built))
        return failure();
      functions.push_back(built->function);
      std::vector<int64_t> others;
      for (int64_t layer : pending) {
        bool same = true;
        std::vector<WeightTree> trees;
        for (const WeightResolver::Request &request : built->requests) {
          FailureOr<std::optional<WeightTree>> tree =
              weights->lookup(request, layer);
          if (failed(tree))
            return failure();
          // A missing tensor is reported by building this layer's own function.
          same &= tree->has_value() && (*tree)->key() == request.tree.key();
          if (!same)
            break;
          trees.push_back(std::move(**tree));
        }
        if (!same) {
          others.push_back(layer);
          continue;
        }
        rows[layer] = kind;
        for (auto [tree, request] : llvm::zip_equal(trees, built->requests))
          weights->markUsed(request.logical, tree, layer, request.loc);
      }
      pending = std::move(others);
    }
  }

  // All kinds take the captures of all kinds.
  SmallVector<Attribute> kinds;
  SmallVector<mlir::Value> operands;
  for (const std::string &variable : carried)
    operands.push_back(frame.vars[variable].tensor.value);
  llvm::append_range(operands, captures);
  SmallVector<Type> resultTypes;
  for (const std::string &variable : carried)
    resultTypes.push_back(frame.vars[variable].tensor.value.getType());
  auto type =
      builder.getFunctionType(TypeRange(ValueRange(operands)), resultTypes);
  for (func::FuncOp function : functions) {
    Block &block = function.getBody().front();
    while (block.getNumArguments() < operands.size()) {
      mlir::Value operand = operands[block.getNumArguments()];
      block.addArgument(operand.getType(), operand.getLoc());
    }
    function.setFunctionType(type);
    kinds.push_back(FlatSymbolRefAttr::get(function));
  }
  std::string name = freeName(module, getFamily().getName().str() + ".layers");
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(module.getBody());
    ScheduleOp::create(builder, expr->getLoc(), name,
                       builder.getArrayAttr(kinds), rows);
  }
  auto layers =
      LayersOp::create(builder, expr->getLoc(), resultTypes, name, operands);
  for (auto [variable, result] : llvm::zip_equal(carried, layers.getResults()))
    frame.vars[variable] =
        SpecValue::of(tensor(result, frame.vars[variable].tensor.axes));
  return SpecValue::none();
}
