//===- Certify.cpp - The certificate of a weight mapping ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A tensor that no weight reads was dropped by name, or the import had failed.
//
//===----------------------------------------------------------------------===//

#include "lib/Weights/Certify.h"

#include "lib/Weights/Invert.h"
#include "runtime/Support/Hash.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace clade;

/// Calls `visit` for every tensor that a name stands for in these layers.
static void forEachTensor(StringRef name, int64_t experts,
                          ArrayRef<int64_t> layers,
                          llvm::function_ref<void(std::string)> visit) {
  for (int64_t layer : layers) {
    std::string ofLayer = withLayer(
        name, layer < 0 ? std::nullopt : std::optional<int64_t>(layer));
    for (int64_t expert = 0; expert < std::max<int64_t>(experts, 1); ++expert)
      visit(experts > 0 ? withExpert(ofLayer, expert) : ofLayer);
  }
}

rt::Certificate clade::certifyWeights(ModuleOp module, const SlotTable &slots,
                                      ArrayRef<rt::StoredTensor> tensors,
                                      StringRef tableText) {
  llvm::StringMap<std::vector<std::string>> readBy;
  llvm::StringMap<std::string> lossOf;
  InverseWeights inverse = invertWeights(module, slots);
  llvm::StringMap<std::string> reasons;
  for (const WeightLoss &loss : inverse.losses)
    reasons[loss.tensor] = loss.reason;
  for (const WeightUse &use : collectUses(module, slots)) {
    wmap::FuncOp function = use.function;
    function.walk([&](wmap::SourceOp source) {
      auto reason = reasons.find(source.getName());
      forEachTensor(source.getName(), source.getStack().value_or(0), use.layers,
                    [&](std::string name) {
                      std::vector<std::string> &weights = readBy[name];
                      std::string weight = function.getSymName().str();
                      if (!llvm::is_contained(weights, weight))
                        weights.push_back(weight);
                      if (reason != reasons.end())
                        lossOf[name] = reason->second;
                    });
    });
  }
  // What some weight gives back is not lost.
  for (const std::string &name : inverse.tensors)
    lossOf.erase(name);
  rt::Certificate certificate;
  certificate.plan = rt::hashOf(std::string_view(tableText));
  for (const rt::StoredTensor &tensor : tensors) {
    rt::CertifiedTensor entry{tensor.name, tensor.dtype, tensor.shape, {}, ""};
    if (auto it = readBy.find(tensor.name); it != readBy.end())
      entry.weights = it->second;
    if (auto it = lossOf.find(tensor.name); it != lossOf.end())
      entry.loss = it->second;
    certificate.tensors.push_back(std::move(entry));
  }
  return certificate;
}
