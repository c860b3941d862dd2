//===- WeightAdapter.cpp - What an adapter adds to weights ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An adapter is looked up as a second checkpoint whose tensors are products of
// factors: the family's equations say which of them a weight takes, whatever
// form the first checkpoint has. Adapters name the modules of the published
// implementation, which differ from the names of a checkpoint in two ways that
// are no matter of a family: in a few prefixes, and in experts that are one
// parameter.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/WeightResolver.h"

#include "lib/Import/SpecLibrary.h"
#include "runtime/Formats/Dequantize.h"
#include "runtime/Support/CheckedMath.h"
#include "llvm/ADT/StringExtras.h"

#include <algorithm>

using namespace clade;
using namespace clade::import;
using namespace mlir;

static std::string expandedName(StringRef name, std::optional<int64_t> layer,
                                int64_t expert) {
  return withExpert(withLayer(name, layer), expert);
}

/// Whether a tensor, rounded to the type of `own`, is that one.
static bool holdsSame(const rt::StoredTensor &own,
                      const rt::StoredTensor &stored) {
  bool areFloats =
      rt::isComputeFloat(own.dtype) && rt::isComputeFloat(stored.dtype);
  if (own.shape != stored.shape || !areFloats)
    return false;
  std::optional<int64_t> count = rt::elementCount(own.shape);
  std::vector<float> values(count ? static_cast<size_t>(*count) : 0);
  std::vector<std::byte> rounded(own.bytes.size());
  rt::decodeToF32(stored.dtype, stored.bytes.data(), values.size(),
                  values.data());
  rt::encodeFromF32(own.dtype, values.data(), values.size(), rounded.data());
  return std::ranges::equal(own.bytes, rounded);
}

std::optional<WeightTree> WeightResolver::factorTensor(const std::string &name,
                                                       int64_t stack,
                                                       const Scope &scope) {
  WeightTree tree;
  tree.name = name;
  tree.stack = stack;
  for (int64_t i = 0; i < std::max<int64_t>(stack, 1); ++i) {
    const rt::StoredTensor *stored = rt::findTensor(
        adapterUse->adapter->tensors(), expandedName(name, scope.layer, i));
    if (!stored ||
        (i > 0 && (stored->shape != tree.shape || stored->dtype != tree.dtype)))
      return std::nullopt;
    tree.shape = stored->shape;
    tree.dtype = stored->dtype;
  }
  return tree;
}

std::optional<WeightTree> WeightResolver::factorTree(const std::string &module,
                                                     int half,
                                                     const Scope &scope) {
  const auto &all = adapterUse->adapter->factors();
  int64_t stack =
      StringRef(module).contains(expertPlaceholder) ? scope.experts : 0;
  for (int64_t i = 0; i < std::max<int64_t>(stack, 1); ++i)
    adapterUse->asked.insert(expandedName(module, scope.layer, i));
  auto it = all.find(expandedName(module, scope.layer, 0));
  if (it == all.end())
    return std::nullopt;
  const rt::AdapterFactors &first = it->second;
  bool isParameter = first.kind == rt::AdapterFactors::Kind::Parameter;
  // Experts are computed together, so they have to be alike.
  for (int64_t i = 1; i < stack; ++i) {
    auto other = all.find(expandedName(module, scope.layer, i));
    if (other == all.end() || other->second.scale != first.scale ||
        other->second.kind != first.kind)
      return std::nullopt;
  }
  WeightTree tree;
  tree.kind = WeightTree::Kind::Factors;
  tree.name = module;
  tree.number = first.scale;
  tree.factors.kind = first.kind;
  tree.factors.experts = first.experts;
  tree.factors.half = half;
  tree.factors.isTransposed =
      !isParameter && adapterUse->adapter->config().fanInFanOut();
  for (const std::string &suffix : {first.suffixA, first.suffixB}) {
    std::optional<WeightTree> tensor = factorTensor(
        adapterUse->adapter->tensorName(first, module, suffix), stack, scope);
    if (!tensor)
      return std::nullopt;
    tree.inputs.push_back(std::move(*tensor));
  }
  return tree;
}

FailureOr<std::optional<PublishedModule>>
WeightResolver::publishedModule(const std::string &logical,
                                std::optional<int64_t> layer, int64_t experts) {
  std::vector<const spec::WeightItem *> skip;
  formSteps = 0;
  isInAdapter = isAnyAdapter = true;
  auto found = lookupIn(logical, Scope{evaluator, layer, experts, {}}, skip);
  isInAdapter = isAnyAdapter = false;
  if (failed(found))
    return failure();
  std::optional<PublishedModule> nothing;
  if (!*found)
    return nothing;
  const WeightTree *tree = &**found;
  auto isWhole = [&] { return tree->kind == WeightTree::Kind::Factors; };
  // Factors say which axis is that of inputs, however the weight is published.
  bool isTransposed =
      tree->kind == WeightTree::Kind::Call && tree->name == "transpose";
  if (isTransposed)
    tree = &tree->inputs[0];
  PublishedModule module;
  if (StringRef name = tree->name; isWhole() && name.consume_back(".weight")) {
    module.name = name.str();
    return std::optional(module);
  }
  // All experts in one parameter, as [out, in] or [in, out].
  if (experts == 0 || tree->kind != WeightTree::Kind::Slice ||
      tree->ranges.empty() || !tree->ranges[0].isExpert())
    return nothing;
  std::vector<WeightTree::Range> ranges = tree->ranges;
  ranges.resize(3, {0, std::numeric_limits<int64_t>::max()});
  tree = &tree->inputs[0];
  if (!isWhole())
    return nothing;
  module.name = tree->name;
  const rt::StoredTensor *stored =
      rt::findTensor(published, expandedName(tree->name, layer, 0));
  if (!stored || stored->shape.size() != 3)
    return nothing;
  auto isAll = [&](int64_t axis) {
    return ranges[axis].begin == 0 && ranges[axis].end >= stored->shape[axis];
  };
  int64_t rowAxis = isTransposed ? 2 : 1;
  if (ranges[rowAxis].isElement() || !isAll(3 - rowAxis))
    return nothing;
  if (!isAll(rowAxis)) {
    module.rows = stored->shape[rowAxis];
    module.firstRow = ranges[rowAxis].begin;
  }
  return std::optional(module);
}

std::optional<WeightTree> WeightResolver::factorsOf(const std::string &name,
                                                    const Scope &scope) {
  if (isAnyAdapter) {
    WeightTree tree;
    tree.kind = WeightTree::Kind::Factors;
    tree.name = name;
    return tree;
  }
  for (const std::string &candidate : rt::moduleNames(name)) {
    StringRef module = candidate;
    module.consume_back(".weight");
    if (auto tree = factorTree(module.str(), /*half=*/-1, scope))
      return tree;
    // Experts may be one parameter, with the maps of a gate and what it gates
    // one behind the other.
    auto [experts, map] = module.rsplit(".{expert}.");
    if (map.empty())
      continue;
    std::string prefix = experts.str() + ".";
    bool isGate = map == "gate_proj", isUp = map == "up_proj";
    std::optional<WeightTree> tree =
        factorTree(prefix + map.str(), /*half=*/-1, scope);
    if (!tree && (isGate || isUp))
      tree = factorTree(prefix + "gate_up_proj", isGate ? 0 : 1, scope);
    // What belongs to all experts has them along the first axis.
    if (tree && tree->factors.experts == scope.experts) {
      tree->factors.isStacked = true;
      return tree;
    }
  }
  return std::nullopt;
}

void WeightResolver::markAdapterUsed(const WeightTree &tree,
                                     const std::string &logical,
                                     std::optional<int64_t> layer,
                                     bool isPart) {
  if (tree.kind != WeightTree::Kind::Factors) {
    for (const WeightTree &input : tree.inputs)
      markAdapterUsed(input, logical, layer,
                      isPart || tree.kind == WeightTree::Kind::Slice);
    return;
  }
  std::string weight = withLayer(logical, layer);
  for (int64_t i = 0; i < std::max<int64_t>(tree.inputs[0].stack, 1); ++i) {
    std::string module = expandedName(tree.name, layer, i);
    if (isPart || tree.factors.half >= 0)
      adapterUse->parts.insert(module);
    else
      adapterUse->wholes[module].insert(weight);
  }
}

LogicalResult WeightResolver::checkAdapterUsed() {
  if (!adapterUse)
    return success();
  const rt::Adapter &adapter = *adapterUse->adapter;
  Location place = family.getChain().front()->getLoc();
  std::vector<std::string> asked(adapterUse->asked.begin(),
                                 adapterUse->asked.end());
  constexpr int most = 8;
  int unused = 0;
  bool valid = true;
  for (const auto &[module, factors] : adapter.factors()) {
    auto whole = adapterUse->wholes.find(module);
    if (whole != adapterUse->wholes.end() && whole->second.size() > 1) {
      valid = false;
      emitError(place) << "the adapter '" << adapter.path() << "' adapts '"
                       << module << "', which is both weight '"
                       << *whole->second.begin() << "' and weight '"
                       << *std::next(whole->second.begin())
                       << "': merged, it would change both, as PEFT's "
                          "unmerged model does not";
      continue;
    }
    if (whole != adapterUse->wholes.end() || adapterUse->parts.count(module))
      continue;
    if (++unused > most)
      continue;
    bool isKnown = adapterUse->asked.count(module);
    emitError(place) << "tensor '" << factors.a->name << "' of the adapter '"
                     << adapter.path() << "' adapts module '" << module << "', "
                     << (isKnown ? "but not all experts of its layer are "
                                   "adapted in one form"
                                 : "which no linear map of family '" +
                                       family.getName().str() + "' is")
                     << (isKnown ? "" : SpecLibrary::hint(module, asked));
  }
  if (unused > most)
    emitError(place) << "… and " << unused - most
                     << " other modules of the adapter are not used";
  for (const auto &[module, stored] : adapter.wholeWeights()) {
    const rt::StoredTensor *own = nullptr;
    for (const std::string &name : rt::moduleNames(module + ".weight"))
      if (!own)
        own = rt::findTensor(published, name);
    if (own && holdsSame(*own, *stored))
      continue;
    valid = false;
    emitError(place) << "tensor '" << stored->name << "' of the adapter '"
                     << adapter.path() << "' is a whole weight"
                     << (own ? " that differs from the checkpoint's"
                             : " that the checkpoint lacks")
                     << ": weights that an adapter replaces are not supported";
  }
  return success(valid && unused == 0);
}
