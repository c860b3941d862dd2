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

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace clade;

/// Calls `visit` for every tensor that a name stands for in these layers.
static void forEachTensor(StringRef name, int64_t experts,
                          ArrayRef<int64_t> layers,
                          llvm::function_ref<void(StringRef)> visit) {
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
  rt::Certificate certificate;
  certificate.plan = rt::hashOf(std::string_view(tableText));
  certificate.tensors.reserve(tensors.size());
  llvm::DenseMap<StringRef, rt::CertifiedTensor *> byName;
  byName.reserve(tensors.size());
  for (const rt::StoredTensor &tensor : tensors) {
    certificate.tensors.push_back(
        {tensor.name, tensor.dtype, tensor.shape, {}, ""});
    byName[tensor.name] = &certificate.tensors.back();
  }
  InverseWeights inverse = invertWeights(module, slots);
  llvm::StringMap<std::string> reasons;
  for (const WeightLoss &loss : inverse.losses)
    reasons[loss.tensor] = loss.reason;
  for (const WeightUse &use : collectUses(module, slots)) {
    wmap::FuncOp function = use.function;
    std::string weight = function.getSymName().str();
    function.walk([&](wmap::SourceOp source) {
      std::string reason = reasons.lookup(source.getName());
      forEachTensor(source.getName(), source.getStack().value_or(0), use.layers,
                    [&](StringRef name) {
                      rt::CertifiedTensor *tensor = byName.lookup(name);
                      if (!tensor)
                        return;
                      if (!llvm::is_contained(tensor->weights, weight))
                        tensor->weights.push_back(weight);
                      if (!reason.empty())
                        tensor->loss = reason;
                    });
    });
  }
  // What some weight gives back is not lost.
  if (!inverse.losses.empty())
    for (const std::string &name : inverse.tensors)
      if (rt::CertifiedTensor *tensor = byName.lookup(name))
        tensor->loss.clear();
  return certificate;
}
