//===- WeightTotality.cpp - Every published tensor has a use --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each tensor of the checkpoint is used whole, in parts that cover it, or
// dropped by name.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Evaluator.h"
#include "lib/Import/WeightResolver.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

FailureOr<bool> WeightResolver::isDropped(const std::string &name) {
  auto drops = [&](const spec::WeightsDecl *weights, Evaluator *owner,
                   FamilyInstance *part = nullptr) -> FailureOr<bool> {
    std::string own = part && !part->prefix.empty()
                          ? name.substr(part->prefix.size() + 1)
                          : name;
    for (const spec::WeightItem *item : weights->items) {
      auto *drop = dyn_cast<spec::WeightDrop>(item);
      if (!drop)
        continue;
      Scope scope{owner, std::nullopt, 0, {}, part};
      if (drop->condition) {
        FailureOr<bool> ok = holds(drop->condition, scope, {});
        if (failed(ok))
          return failure();
        if (!*ok)
          continue;
      }
      for (const spec::Path *path : drop->paths) {
        FailureOr<std::optional<Match>> found =
            match(path->segments, own, scope, {});
        if (failed(found))
          return failure();
        if (*found)
          return true;
      }
    }
    return false;
  };
  for (FamilyInstance *instance : instancesOf(name))
    for (const spec::FamilyDecl *decl : instance->family.getChain())
      if (decl->weights)
        if (FailureOr<bool> result = drops(decl->weights, evaluator, instance);
            failed(result) || *result)
          return result;
  for (auto [container, owner] :
       llvm::zip_equal(containers, containerEvaluators))
    for (const spec::FamilyDecl *decl : container->getChain())
      if (decl->weights)
        if (FailureOr<bool> result = drops(decl->weights, owner);
            failed(result) || *result)
          return result;
  return false;
}

/// The places along `axis` of `size` that parts of a tensor cover from the
/// first on without a gap.
static int64_t coveredAlong(ArrayRef<std::vector<WeightTree::Range>> parts,
                            size_t axis, int64_t size) {
  SmallVector<std::pair<int64_t, int64_t>> ranges;
  for (const std::vector<WeightTree::Range> &part : parts) {
    // Without an index, or with one for each expert, the whole axis.
    bool isWhole = axis >= part.size() || part[axis].isExpert();
    ranges.push_back(isWhole ? std::pair(int64_t(0), size)
                     : part[axis].isElement()
                         ? std::pair(part[axis].begin, part[axis].begin + 1)
                         : std::pair(part[axis].begin, part[axis].end));
  }
  llvm::sort(ranges);
  int64_t end = 0;
  for (auto [begin, stop] : ranges)
    if (begin <= end)
      end = std::max(end, stop);
  return end;
}

LogicalResult WeightResolver::checkPartsUsed() {
  bool ok = true;
  for (const rt::StoredTensor &tensor : published) {
    auto it = parts.find(tensor.name);
    if (it == parts.end() || wholes.count(tensor.name))
      continue;
    for (auto [axis, size] : llvm::enumerate(tensor.shape)) {
      int64_t covered = coveredAlong(it->second, axis, size);
      if (covered >= size)
        continue;
      ok = false;
      emitError(used.find(tensor.name)->second)
          << "tensor '" << tensor.name << "' " << rt::shapeText(tensor.shape)
          << " of the checkpoint is used in part: " << covered << " of " << size
          << " along axis " << axis;
      break;
    }
  }
  return success(ok);
}

FailureOr<std::vector<const rt::StoredTensor *>>
WeightResolver::unusedTensors() {
  std::vector<const rt::StoredTensor *> tensors;
  for (const rt::StoredTensor &tensor : published) {
    if (used.count(tensor.name))
      continue;
    FailureOr<bool> dropped = isDropped(tensor.name);
    if (failed(dropped))
      return failure();
    if (!*dropped)
      tensors.push_back(&tensor);
  }
  return tensors;
}

LogicalResult WeightResolver::checkAllUsed() {
  if (failed(checkPartsUsed()))
    return failure();
  auto all = unusedTensors();
  if (failed(all))
    return failure();
  constexpr size_t most = 8;
  Location place = family.getChain().front()->getLoc();
  std::vector<std::string> usedNames;
  for (const rt::StoredTensor *unused : ArrayRef(*all).take_front(most)) {
    const rt::StoredTensor &tensor = *unused;
    if (usedNames.empty()) {
      for (StringRef name : used.keys())
        usedNames.push_back(name.str());
      llvm::sort(usedNames);
    }
    InFlightDiagnostic diagnostic =
        emitError(place) << "tensor '" << tensor.name << "' "
                         << rt::shapeText(tensor.shape)
                         << " of the checkpoint is not used by family '"
                         << family.getName() << "'"
                         << SpecLibrary::hint(tensor.name, usedNames);
    if (std::optional<std::string> near =
            SpecLibrary::nearest(tensor.name, usedNames))
      diagnostic.attachNote(used.find(*near)->second)
          << "'" << *near << "' is used here";
    diagnostic.attachNote(place)
        << "if it means nothing to the computation, say 'drop " << tensor.name
        << "' in the family's weights";
  }
  if (all->size() > most)
    emitError(place) << "… and " << all->size() - most
                     << " other tensors of the checkpoint are not used";
  return success(all->empty());
}
