//===- BuiltinsWeights.cpp - Built-ins that take weights ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/WMap/WMapDialect.h"
#include "lib/Import/ArgReader.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

/// A shape without the axes written as a literal 1.
static Shape withoutOnes(const Shape &shape) {
  Shape result;
  llvm::copy_if(shape, std::back_inserter(result),
                [](const Dim &dim) { return dim.name != "1"; });
  return result;
}

/// Converts the value of a weight function to what the computation takes: the
/// given sizes, in the given element type.
static mlir::Value conform(OpBuilder &builder, Location loc, mlir::Value value,
                           ArrayRef<int64_t> shape, Type type) {
  auto stored = cast<RankedTensorType>(value.getType());
  if (stored.getElementType() != type)
    value = wmap::CastOp::create(
        builder, loc, RankedTensorType::get(stored.getShape(), type), value);
  if (stored.getShape() != shape)
    value = wmap::ReshapeOp::create(builder, loc,
                                    RankedTensorType::get(shape, type), value);
  return value;
}

/// Whether the sizes split into leading ones that multiply to `rows` and others
/// that multiply to `columns`.
static bool splitsInto(ArrayRef<int64_t> shape, int64_t rows, int64_t columns) {
  int64_t leading = 1, all = 1;
  for (int64_t size : shape)
    all *= size;
  if (all != rows * columns)
    return false;
  for (int64_t size : shape) {
    if (leading == rows)
      return true;
    leading *= size;
  }
  return leading == rows;
}

FailureOr<mlir::Value> Evaluator::adapt(const WeightTree &added,
                                        mlir::Value weight, Type type,
                                        Location loc) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(weight.getType()).getShape();
  FailureOr<mlir::Value> change =
      WeightResolver::emitAdded(added, shape, builder, loc);
  if (failed(change))
    return failure();
  // The sum is rounded once, to the type that the model computes in.
  weight = conform(builder, loc, weight, shape, type);
  return mlir::Value(
      wmap::AddOp::create(builder, loc, weight.getType(), weight, *change));
}

/// The name of the first tensor of the checkpoint that a weight is made of.
static std::string firstTensor(const WeightTree &tree,
                               std::optional<int64_t> layer) {
  if (tree.kind == WeightTree::Kind::Source)
    return withLayer(tree.name, layer);
  return tree.inputs.empty() ? std::string()
                             : firstTensor(tree.inputs.front(), layer);
}

FailureOr<wmap::FuncOp>
Evaluator::defineWeight(const std::string &name, const std::string &logical,
                        const WeightTree &tree, const Shape &outer,
                        const Shape &inner, int64_t experts, Type type,
                        Location loc) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(module.getBody());
  auto function = wmap::FuncOp::create(builder, loc, StringRef(name),
                                       RankedTensorType::get({}, f32()));
  builder.setInsertionPointToEnd(&function.getBody().emplaceBlock());
  bool isAdapted = tree.kind == WeightTree::Kind::Adapted;
  FailureOr<mlir::Value> value =
      WeightResolver::emit(isAdapted ? tree.inputs[0] : tree, builder, loc);
  if (succeeded(value) && isAdapted)
    value = adapt(tree.inputs[1], *value, type ? type : options.modelType, loc);
  if (failed(value)) {
    function.erase();
    return failure();
  }
  auto published = cast<RankedTensorType>(value->getType());
  int64_t rows = numElements(outer), columns = numElements(inner);
  bool hasExperts = experts == 0 || (published.getRank() > 0 &&
                                     published.getDimSize(0) == experts);
  if (!hasExperts ||
      !splitsInto(published.getShape().drop_front(experts > 0 ? 1 : 0), rows,
                  columns)) {
    function.erase();
    if (WeightProbe *probe = weights->getProbe()) {
      ArrayRef<int64_t> sizes = published.getShape();
      probe->misshapen.push_back(
          {logical, withLayer(logical, currentLayer), outer, inner, experts,
           std::vector<int64_t>(sizes.begin(), sizes.end())});
      SmallVector<int64_t> shape{rows};
      if (!inner.empty())
        shape.push_back(columns);
      return defineWeight(
          name, logical,
          WeightResolver::inventedSource(logical, experts, shape), outer, inner,
          experts, type, loc);
    }
    std::string weight = withLayer(logical, currentLayer),
                stored = firstTensor(tree, currentLayer);
    InFlightDiagnostic diagnostic = error(loc)
                                    << "weight '" << weight << "'"
                                    << (stored == weight || stored.empty()
                                            ? std::string()
                                            : ", of tensor '" + stored + "',")
                                    << " is [" << published.getShape()
                                    << "] in the checkpoint, expected ";
    if (experts > 0)
      diagnostic << experts << " x ";
    diagnostic << toString(outer);
    if (!inner.empty())
      diagnostic << " x " << toString(inner);
    return diagnostic;
  }
  SmallVector<int64_t> shape{rows, columns};
  if (inner.empty()) {
    shape.clear();
    for (const Dim &dim : withoutOnes(outer))
      shape.push_back(dim.size);
    if (experts > 0)
      shape = {rows};
  }
  if (experts > 0)
    shape.insert(shape.begin(), experts);
  mlir::Value result = conform(builder, loc, *value, shape,
                               type ? type : published.getElementType());
  wmap::ReturnOp::create(builder, loc, result);
  function.setResultTypeAttr(TypeAttr::get(result.getType()));
  return function;
}

FailureOr<TensorValue> Evaluator::param(const std::string &logical,
                                        const Shape &outer, const Shape &inner,
                                        Type type, Location loc,
                                        std::optional<Dim> experts,
                                        ArrayRef<int64_t> publishedShape) {
  if (logical.empty() || logical.front() == '.')
    return error(loc) << "expected an address for the weight: say 'at' and a "
                         "path after this call";
  if (!experts && StringRef(logical).contains(expertPlaceholder))
    return error(loc) << "expected only weights of linear maps to be those of "
                         "an expert";
  Shape axes = withoutOnes(outer);
  llvm::append_range(axes, inner);
  if (experts)
    axes.insert(axes.begin(), *experts);
  int64_t count = experts ? experts->size : 0;
  for (const Dim &dim : axes)
    if (dim.name == tokenAxis || dim.name == selectedAxis)
      return error(loc) << "expected another name than '" << dim.name
                        << "', the axis of the sequence, for an axis of a "
                           "weight";
  // A square map has an axis of the input among those of the output.
  if (failed(checkAxes(withoutOnes(outer), loc)) ||
      failed(checkAxes(inner, loc)))
    return failure();
  if (numElements(axes) > maxElements)
    return error(loc) << "expected at most " << maxElements
                      << " elements in a tensor, got " << toString(axes);
  SmallVector<int64_t> expected{numElements(outer)};
  if (!inner.empty())
    expected.push_back(numElements(inner));
  if (!publishedShape.empty())
    expected.assign(publishedShape.begin(), publishedShape.end());
  if (WeightProbe *probe = weights->getProbe()) {
    probe->outer = outer;
    probe->inner = inner;
  }
  FailureOr<WeightTree> tree =
      weights->resolve(logical, currentLayer, count, expected, loc);
  if (failed(tree))
    return failure();
  // One function a weight, kind of layer and element type.
  std::string name = logical;
  if (layerScope && layerScope->kind > 0)
    name += "#" + std::to_string(layerScope->kind);
  auto typeOf = [](wmap::FuncOp function) {
    return cast<RankedTensorType>(function.getResultType()).getElementType();
  };
  auto function = module.lookupSymbol<wmap::FuncOp>(name);
  if (function && type && typeOf(function) != type) {
    llvm::raw_string_ostream(name) << "~" << type;
    function = module.lookupSymbol<wmap::FuncOp>(name);
  }
  if (function) {
    auto known = cast<RankedTensorType>(function.getResultType());
    if (!splitsInto(known.getShape().drop_front(experts ? 1 : 0),
                    numElements(outer), numElements(inner)))
      return error(loc) << "weight '" << logical << "' is used as ["
                        << known.getShape() << "] before, expected "
                        << toString(axes);
  }
  if (!function) {
    FailureOr<wmap::FuncOp> defined =
        defineWeight(name, logical, *tree, outer, inner, count, type, loc);
    if (failed(defined))
      return failure();
    function = *defined;
  }
  return tensor(ParamOp::create(builder, named(loc),
                                typeFor(axes, typeOf(function)), name),
                axes);
}

FailureOr<SpecValue> Evaluator::buildLinear(const CallArgs &args,
                                            const std::string &prefix,
                                            Location loc) {
  ArgReader reader("linear", args, {"x", "shape", "bias?", "over?"}, loc);
  if (!reader.ok())
    return failure();
  FailureOr<TensorValue> x = reader.tensor("x");
  FailureOr<Shape> shape = shapeOf(*reader.get("shape"), loc);
  FailureOr<bool> bias = reader.boolean("bias", false);
  if (failed(x) || failed(shape) || failed(bias))
    return failure();
  if (const SpecValue *over = reader.get("over")) {
    FailureOr<Shape> contracted = shapeOf(*over, loc);
    if (failed(contracted))
      return failure();
    if (contracted->size() != x->features().size())
      return error(loc) << "a linear map over some of the axes of "
                        << toString(x->axes) << " has no compiled form yet";
  }
  Type type = x->getType().getElementType();
  if (type.isInteger())
    return error(loc) << "expected features for 'linear', got the integers of "
                      << toString(x->axes);
  if (StringRef(prefix).contains(expertPlaceholder))
    return expertLinear(*x, *shape, *bias, prefix, loc);
  if (mixScope && x->getType().find(mixScope->active().name) >= 0)
    return error(loc) << "a map that all experts share, of what they made, has "
                         "no compiled form yet: give its weights an address "
                         "with the number of the expert";
  FailureOr<TensorValue> weight =
      param(prefix + ".weight", *shape, x->features(), type, loc);
  if (failed(weight))
    return failure();
  mlir::Value biasValue;
  if (*bias) {
    FailureOr<TensorValue> value =
        param(prefix + ".bias", *shape, {}, type, loc);
    if (failed(value))
      return failure();
    biasValue = value->value;
  }
  Shape axes(x->axes.begin(),
             x->axes.begin() + x->getType().getNumSequenceAxes());
  llvm::append_range(axes, withoutOnes(*shape));
  if (failed(checkAxes(axes, loc)))
    return failure();
  FailureOr<TensorValue> result = addPlaces(
      *x,
      tensor(LinearOp::create(builder, named(loc), typeFor(axes, type),
                              x->value, weight->value, biasValue),
             axes),
      prefix, *shape, loc);
  return failed(result) ? FailureOr<SpecValue>(failure())
                        : SpecValue::of(*result);
}

FailureOr<SpecValue> Evaluator::buildWeight(const CallArgs &args,
                                            const std::string &prefix,
                                            Location loc) {
  ArgReader reader("weight", args, {"shape", "dtype?"}, loc);
  if (!reader.ok())
    return failure();
  FailureOr<Shape> shape = shapeOf(*reader.get("shape"), loc);
  FailureOr<std::string> dtype =
      reader.word("dtype", "model", {"model", "f32"});
  if (failed(shape) || failed(dtype))
    return failure();
  Type type = *dtype == "f32" ? f32() : options.modelType;
  FailureOr<TensorValue> value = param(prefix, *shape, {}, type, loc);
  return failed(value) ? FailureOr<SpecValue>(failure())
                       : SpecValue::of(*value);
}

FailureOr<SpecValue> Evaluator::buildEmbed(const CallArgs &args,
                                           const std::string &prefix,
                                           Location loc) {
  ArgReader reader("embed", args, {"ids", "shape"}, loc);
  if (!reader.ok())
    return failure();
  FailureOr<TensorValue> ids = reader.tensor("ids");
  FailureOr<Shape> shape = shapeOf(*reader.get("shape"), loc);
  if (failed(ids) || failed(shape))
    return failure();
  if (shape->size() < 2 || !ids->getType().getElementType().isInteger(32))
    return error(loc) << "expected token ids and the axes of a table, such as "
                         "[vocab, d], got "
                      << toString(ids->axes) << " and " << toString(*shape);
  Shape rows{shape->front()}, features(shape->begin() + 1, shape->end());
  // The table keeps the type it is stored in: rows are converted as they are
  // read.
  FailureOr<TensorValue> table =
      param(prefix + ".weight", rows, features, /*type=*/Type(), loc);
  if (failed(table))
    return failure();
  Shape axes{ids->axes.front()};
  llvm::append_range(axes, features);
  if (failed(checkAxes(axes, loc)))
    return failure();
  return SpecValue::of(tensor(EmbedOp::create(builder, named(loc),
                                              typeFor(axes, options.modelType),
                                              ids->value, table->value),
                              axes));
}
