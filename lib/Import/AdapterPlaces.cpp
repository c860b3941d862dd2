//===- AdapterPlaces.cpp - Places for adapters beside the weights ---------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Adapters are experts that a sequence chooses: y = W·x + B[c]·(A[c]·x), in
// f32, with one choice c for each token. A and B of all places are two weights
// of the compiled model, which the engine fills when it loads an adapter.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/ArgReader.h"
#include "lib/Import/Evaluator.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

mlir::Value Evaluator::placeWeight(const std::string &name,
                                   const std::string &source, const Shape &axes,
                                   Location loc) {
  std::string symbol = name;
  if (layerScope->kind > 0)
    symbol += "#" + std::to_string(layerScope->kind);
  if (!module.lookupSymbol(symbol)) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(module.getBody());
    int64_t columns = 1;
    for (const Dim &dim : ArrayRef(axes).drop_front(2))
      columns *= dim.size;
    auto type = RankedTensorType::get({axes[0].size, axes[1].size, columns},
                                      builder.getF32Type());
    auto function = wmap::FuncOp::create(builder, loc, symbol, type);
    builder.setInsertionPointToEnd(&function.getBody().emplaceBlock());
    mlir::Value value = wmap::SourceOp::create(
        builder, loc, type, adapterSourcePrefix.str() + source,
        /*encoding=*/StringAttr(), /*stack=*/IntegerAttr());
    wmap::ReturnOp::create(builder, loc, value);
  }
  return ParamOp::create(builder, named(loc), typeFor(axes, f32()), symbol);
}

FailureOr<TensorValue> Evaluator::addPlaces(const TensorValue &x,
                                            const TensorValue &result,
                                            const std::string &prefix,
                                            const Shape &shape, Location loc) {
  const AdapterPlaces &places = options.places;
  bool isText = !imageFunction && layerScope && !mixScope && !scanScope &&
                x.axes.front().name == tokenAxis;
  if (places.count == 0 || !isText)
    return result;
  auto published = weights->publishedModule(prefix + ".weight", currentLayer);
  if (failed(published))
    return failure();
  if (!*published)
    return result;
  Shape outputs;
  llvm::copy_if(shape, std::back_inserter(outputs),
                [](const Dim &dim) { return dim.name != "1"; });
  Dim token = x.axes.front(), one{1, "adapter", {}},
      all{places.count + 1, "adapters", {}}, rank{places.rank, "rank", {}},
      columns{numElements(x.features()), "in", {}},
      rows{numElements(outputs), "out", {}};
  // Weights of experts are matrices of one axis of rows and one of columns.
  Shape first{all, rank, columns}, second{all, rows, rank};
  mlir::Value a = placeWeight(prefix + ".lora_A", **published + ".lora_A",
                              first, loc),
              b = placeWeight(prefix + ".lora_B", **published + ".lora_B",
                              second, loc);
  Type own = result.getType().getElementType();
  auto wide = [&](const TensorValue &value) -> mlir::Value {
    if (value.getType().getElementType().isF32())
      return value.value;
    return CastOp::create(builder, named(loc), typeFor(value.axes, f32()),
                          value.value);
  };
  mlir::Value choice = AdapterChoiceOp::create(
      builder, named(loc), typeFor({token, one}, builder.getI32Type()),
      batch());
  mlir::Value low = ExpertLinearOp::create(builder, named(loc),
                                           typeFor({token, one, rank}, f32()),
                                           wide(x), choice, a, mlir::Value());
  mlir::Value high = ExpertLinearOp::create(builder, named(loc),
                                            typeFor({token, one, rows}, f32()),
                                            low, choice, b, mlir::Value());
  mlir::Value added =
      ViewOp::create(builder, named(loc), typeFor(result.axes, f32()), high);
  mlir::Value sum =
      BinaryOp::create(builder, named(loc), typeFor(result.axes, f32()),
                       BinaryKind::Add, wide(result), added);
  if (!own.isF32())
    sum = CastOp::create(builder, named(loc), typeFor(result.axes, own), sum);
  return tensor(sum, result.axes);
}
