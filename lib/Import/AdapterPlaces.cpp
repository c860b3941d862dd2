//===- AdapterPlaces.cpp - Places for adapters beside the weights ---------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Adapters are experts that a sequence chooses: y = W·x + B[c]·(A[c]·x), in
// f32, with one choice c for each token. A and B of all places are two weights
// of the compiled model, which the engine fills when it loads an adapter. Of
// experts a place has the matrices of all, and a token chooses one of them by
// its place and its expert.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/ArgReader.h"
#include "lib/Import/Evaluator.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

mlir::Value Evaluator::placeWeight(const std::string &name,
                                   const std::string &source, const Shape &axes,
                                   Location loc, int64_t rows,
                                   int64_t firstRow) {
  std::string symbol = name;
  if (layerScope->kind > 0)
    symbol += "#" + std::to_string(layerScope->kind);
  if (!module.lookupSymbol(symbol)) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(module.getBody());
    int64_t columns = 1;
    for (const Dim &dim : ArrayRef(axes).drop_front(2))
      columns *= dim.size;
    auto typeOf = [&](int64_t of) {
      return RankedTensorType::get({axes[0].size, of, columns},
                                   builder.getF32Type());
    };
    auto type = typeOf(axes[1].size);
    auto function = wmap::FuncOp::create(builder, loc, symbol, type);
    builder.setInsertionPointToEnd(&function.getBody().emplaceBlock());
    mlir::Value value = wmap::SourceOp::create(
        builder, loc, typeOf(rows > 0 ? rows : axes[1].size),
        adapterSourcePrefix.str() + source,
        /*encoding=*/StringAttr(), /*stack=*/IntegerAttr());
    if (rows > 0)
      value = wmap::SliceOp::create(builder, loc, type, value, /*axis=*/1,
                                    firstRow);
    wmap::ReturnOp::create(builder, loc, value);
  }
  return ParamOp::create(builder, named(loc), typeFor(axes, f32()), symbol);
}

FailureOr<TensorValue> Evaluator::addPlaces(const TensorValue &x,
                                            const TensorValue &result,
                                            const std::string &prefix,
                                            const Shape &shape, Location loc) {
  const AdapterPlaces &places = options.places;
  bool isText = !imageFunction && layerScope && !scanScope &&
                x.axes.front().name == tokenAxis;
  // A map of experts is the only one within 'mix' that has places.
  bool isOfExperts = StringRef(prefix).contains(expertPlaceholder);
  if (places.count == 0 || !isText || (mixScope && !isOfExperts))
    return result;
  int64_t experts = isOfExperts ? mixScope->experts().size : 1;
  auto published = weights->publishedModule(prefix + ".weight", currentLayer,
                                            isOfExperts ? experts : 0);
  if (failed(published))
    return failure();
  if (!*published)
    return result;
  // The source of a place is that of all experts.
  std::string module = (*published)->name;
  if (size_t at = module.find(expertPlaceholder.str()); at != module.npos)
    module.replace(at, expertPlaceholder.size(), allExperts.str());
  Shape outputs;
  llvm::copy_if(shape, std::back_inserter(outputs),
                [](const Dim &dim) { return dim.name != "1"; });
  Shape inputs = x.features();
  Dim token = x.axes.front(), choice{1, "adapter", {}};
  if (isOfExperts) {
    choice = mixScope->active();
    if (!inputs.empty() && inputs.front().name == choice.name)
      inputs.erase(inputs.begin());
  }
  Dim all{(places.count + 1) * experts, "adapters", {}},
      rank{places.rank, "rank", {}}, columns{numElements(inputs), "in", {}},
      rows{numElements(outputs), "out", {}};
  // Weights of experts are matrices of one axis of rows and one of columns.
  Shape first{all, rank, columns}, second{all, rows, rank};
  mlir::Value a = placeWeight(prefix + ".lora_A", module + ".lora_A", first,
                              loc),
              b = placeWeight(prefix + ".lora_B", module + ".lora_B", second,
                              loc, (*published)->rows, (*published)->firstRow);
  Type own = result.getType().getElementType();
  auto wide = [&](const TensorValue &value) -> mlir::Value {
    if (value.getType().getElementType().isF32())
      return value.value;
    return CastOp::create(builder, named(loc), typeFor(value.axes, f32()),
                          value.value);
  };
  mlir::Value chosen;
  if (isOfExperts)
    chosen = localize(mixScope->chosen).value;
  mlir::Value which = AdapterChoiceOp::create(
      builder, named(loc), typeFor({token, choice}, builder.getI32Type()),
      batch(), chosen, experts);
  mlir::Value low = ExpertLinearOp::create(
      builder, named(loc), typeFor({token, choice, rank}, f32()), wide(x),
      which, a, mlir::Value());
  mlir::Value high = ExpertLinearOp::create(
      builder, named(loc), typeFor({token, choice, rows}, f32()), low, which, b,
      mlir::Value());
  mlir::Value added =
      ViewOp::create(builder, named(loc), typeFor(result.axes, f32()), high);
  mlir::Value sum =
      BinaryOp::create(builder, named(loc), typeFor(result.axes, f32()),
                       BinaryKind::Add, wide(result), added);
  if (!own.isF32())
    sum = CastOp::create(builder, named(loc), typeFor(result.axes, own), sum);
  return tensor(sum, result.axes);
}
