//===- Uses.cpp - Which slots a weight fills ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Weights/Uses.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace clade;

SmallVector<WeightUse> clade::collectUses(ModuleOp module,
                                          const SlotTable &slots) {
  llvm::MapVector<StringRef, WeightUse> uses;
  auto add = [&](StringRef param, int64_t slot, int64_t layer) {
    WeightUse &use = uses[param];
    if (!use.function)
      use.function = module.lookupSymbol<wmap::FuncOp>(param);
    use.slots.push_back(slot);
    use.layers.push_back(layer);
  };
  for (auto [slot, param] : llvm::enumerate(slots.globals))
    add(param, slot, -1);
  for (const LayerSlots &layer : slots.layers)
    for (auto [i, param] : llvm::enumerate(slots.kinds[layer.kind].params))
      add(param, layer.firstWeight + i, layer.layer);
  return llvm::to_vector(
      llvm::map_range(uses, [](auto &entry) { return entry.second; }));
}
