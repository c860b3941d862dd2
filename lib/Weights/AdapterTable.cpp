//===- AdapterTable.cpp - How adapters fill their places ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Passes treat the factors of all places as they treat weights of experts,
// whose matrices lie one behind the other along a first axis: with that axis of
// size 1 the same function makes the matrices of one place.
//
//===----------------------------------------------------------------------===//

#include "lib/Weights/AdapterTable.h"

#include "lib/Weights/Serialize.h"

using namespace mlir;
using namespace clade;

bool clade::holdsAdapters(wmap::FuncOp function) {
  return function
      .walk([](wmap::SourceOp source) {
        return source.getName().starts_with(adapterSourcePrefix)
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

/// The type of the part of one place: matrices of places follow each other.
static RankedTensorType ofOne(Type type, int64_t places) {
  auto ranked = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape(ranked.getShape());
  shape.front() /= places;
  return RankedTensorType::get(shape, ranked.getElementType());
}

FailureOr<AdapterTable> clade::serializeAdapters(ModuleOp module,
                                                 const SlotTable &slots,
                                                 int64_t places) {
  AdapterTable table;
  SmallVector<WeightUse> uses;
  SmallVector<OwningOpRef<wmap::FuncOp>> copies;
  for (WeightUse use : collectUses(module, slots)) {
    if (!holdsAdapters(use.function))
      continue;
    OwningOpRef<wmap::FuncOp> copy(use.function.clone());
    copy->walk([places](Operation *op) {
      for (Value result : op->getResults())
        result.setType(ofOne(result.getType(), places));
    });
    copy->setResultType(ofOne(copy->getResultType(), places));
    use.function = *copy;
    for (int64_t &slot : use.slots) {
      table.weights.push_back(static_cast<int32_t>(slot));
      slot = static_cast<int64_t>(table.weights.size()) - 1;
    }
    uses.push_back(std::move(use));
    copies.push_back(std::move(copy));
  }
  FailureOr<std::string> text = serializeWeights(uses, /*ofAdapters=*/true);
  if (failed(text))
    return failure();
  table.text = std::move(*text);
  return table;
}
