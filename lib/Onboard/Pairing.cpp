//===- Pairing.cpp - Missing weights and unused tensors -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Tensors.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

#include <algorithm>

using namespace clade;
using namespace clade::onboard;
using llvm::ArrayRef;
using llvm::StringRef;

namespace {
/// The tensors of a linear map, a norm or an embedding, by the end of their
/// names: 'weight', 'bias', or nothing.
template <typename Group> struct Module {
  std::string name;
  std::map<std::string, const Group *> tensors;
};
using Lacking = Module<WeightGroup>;
using Spare = Module<TensorGroup>;

enum class Fit { None, Same, Transposed };
} // namespace

template <typename Group>
static std::vector<Module<Group>> modulesOf(const std::vector<Group> &groups) {
  llvm::MapVector<StringRef, Module<Group>> modules;
  for (const Group &group : groups) {
    StringRef module = moduleOf(group.name);
    modules[module].name = module.str();
    modules[module]
        .tensors[StringRef(group.name).drop_front(module.size()).str()] =
        &group;
  }
  std::vector<Module<Group>> list;
  for (auto &[name, module] : modules)
    list.push_back(std::move(module));
  return list;
}

static int64_t elementsOf(ArrayRef<int64_t> shape) {
  int64_t all = 1;
  for (int64_t size : shape)
    all *= size;
  return all;
}

/// Whether a tensor can be what is wanted: rows and columns as published, or
/// the other way round.
static Fit fitOf(ArrayRef<int64_t> wanted, ArrayRef<int64_t> stored) {
  if (elementsOf(wanted) != elementsOf(stored))
    return Fit::None;
  if (wanted.size() < 2 || stored.size() != 2)
    return Fit::Same;
  if (stored == wanted)
    return Fit::Same;
  return stored[0] == wanted[1] && stored[1] == wanted[0] ? Fit::Transposed
                                                          : Fit::None;
}

static Fit fitOf(const Lacking &lacking, const Spare &spare) {
  // One module of a layer is not one of each of its experts.
  if (StringRef(lacking.name).contains("{e}") !=
      StringRef(spare.name).contains("{e}"))
    return Fit::None;
  Fit result = Fit::Same;
  for (const auto &[end, group] : lacking.tensors) {
    auto it = spare.tensors.find(end);
    bool isThere =
        it != spare.tensors.end() && it->second->layers == group->layers;
    Fit fit = isThere ? fitOf(group->shape(), it->second->shape) : Fit::None;
    if (fit == Fit::None)
      return fit;
    if (fit == Fit::Transposed)
      result = fit;
  }
  return result;
}

static StringRef parentOf(StringRef module) { return module.rsplit('.').first; }

/// Takes groups out of a list by their names.
template <typename Group>
static void remove(std::vector<Group> &groups,
                   const std::set<std::string> &names) {
  llvm::erase_if(
      groups, [&](const Group &group) { return names.count(group.name) > 0; });
}

/// Modules that follow each other in one published tensor: the rows of the
/// weights add up to its rows.
static std::vector<Pairing> pairParts(std::vector<WeightGroup> &missing,
                                      std::vector<TensorGroup> &unused) {
  std::vector<Pairing> pairings;
  std::vector<Lacking> wanted = modulesOf(missing);
  std::set<std::string> done, doneTensors, used, usedTensors;
  for (const Spare &spare : modulesOf(unused)) {
    auto stored = spare.tensors.find(".weight");
    if (stored == spare.tensors.end() || stored->second->shape.size() != 2)
      continue;
    // The wanted modules below one parent with the columns of this one.
    llvm::MapVector<StringRef, std::vector<const Lacking *>> families;
    for (const Lacking &lacking : wanted) {
      auto weight = lacking.tensors.find(".weight");
      if (!done.count(lacking.name) && weight != lacking.tensors.end() &&
          !weight->second->inner.empty() &&
          weight->second->layers == stored->second->layers)
        families[parentOf(lacking.name)].push_back(&lacking);
    }
    for (bool isTransposed : {false, true}) {
      int64_t rows = stored->second->shape[isTransposed ? 1 : 0],
              columns = stored->second->shape[isTransposed ? 0 : 1];
      for (auto &[parent, all] : families) {
        std::vector<const Lacking *> parts;
        int64_t sum = 0;
        for (const Lacking *lacking : all) {
          std::vector<int64_t> shape = lacking->tensors.at(".weight")->shape();
          if (shape[1] != columns || sum + shape[0] > rows)
            continue;
          parts.push_back(lacking);
          sum += shape[0];
        }
        if (parts.size() < 2 || sum != rows || used.count(spare.name))
          continue;
        std::string from = "0";
        for (const Lacking *part : parts) {
          std::string size = productOf(part->tensors.at(".weight")->outer);
          std::string to = from == "0" ? size : from + " + " + size;
          for (const auto &[end, group] : part->tensors) {
            bool isMatrix = !group->inner.empty();
            std::string range = "[" + from + " .. " + to + "]";
            std::string text = spare.name + end + range;
            if (isTransposed && isMatrix)
              text = "transpose(" + spare.name + end + "[0 .. " +
                     productOf(group->inner) + ", " + from + " .. " + to + "])";
            pairings.push_back({part->name + end, text, 0.75, {}});
            doneTensors.insert(part->name + end);
            usedTensors.insert(spare.name + end);
          }
          done.insert(part->name);
          from = to;
        }
        used.insert(spare.name);
      }
    }
  }
  remove(missing, doneTensors);
  remove(unused, usedTensors);
  return pairings;
}

std::vector<Pairing> onboard::pair(std::vector<WeightGroup> &missing,
                                   std::vector<TensorGroup> &unused) {
  struct Candidate {
    size_t lacking, spare;
    double likeness;
    Fit fit;
  };
  std::vector<Lacking> wanted = modulesOf(missing);
  std::vector<Spare> spare = modulesOf(unused);
  std::vector<Candidate> candidates;
  for (auto [i, lacking] : llvm::enumerate(wanted))
    for (auto [k, other] : llvm::enumerate(spare)) {
      Fit fit = fitOf(lacking, other);
      // Sizes alone tell nothing of what only one file has.
      double likeness = similarity(lacking.name, other.name);
      if (fit != Fit::None)
        candidates.push_back({i, k, likeness, fit});
    }
  llvm::stable_sort(candidates, [](const Candidate &a, const Candidate &b) {
    return a.likeness > b.likeness;
  });
  // Square matrices are stored as the others are.
  bool isTransposed = llvm::any_of(candidates, [](const Candidate &one) {
    return one.fit == Fit::Transposed && one.likeness > 0;
  });
  std::vector<Pairing> pairings;
  std::set<std::string> done, doneTensors, used, usedTensors;
  for (const Candidate &one : candidates) {
    const Lacking &lacking = wanted[one.lacking];
    const Spare &other = spare[one.spare];
    if (one.likeness == 0 || done.count(lacking.name) || used.count(other.name))
      continue;
    Pairing pairing{lacking.name, other.name, one.likeness, {}};
    size_t same = 0;
    for (const Candidate &rival : candidates)
      if (rival.lacking == one.lacking && rival.spare != one.spare &&
          rival.likeness > 0) {
        pairing.others.emplace_back(spare[rival.spare].name, rival.likeness);
        same += rival.likeness >= one.likeness;
      }
    if (pairing.others.empty())
      pairing.certainty = std::max(pairing.certainty, 0.5);
    if (same > 0)
      pairing.certainty = std::min(pairing.certainty, 0.3);
    bool isMatrix = llvm::any_of(lacking.tensors, [](const auto &tensor) {
      return !tensor.second->inner.empty();
    });
    bool turns = one.fit == Fit::Transposed;
    for (const auto &[end, group] : lacking.tensors) {
      std::vector<int64_t> shape = group->shape();
      turns |= isTransposed && end == ".weight" && shape.size() == 2 &&
               shape[0] == shape[1];
    }
    if (turns && isMatrix) {
      // Only the matrix is turned; its bias is not.
      for (const auto &[end, group] : lacking.tensors) {
        Pairing part = pairing;
        part.logical += end;
        part.equation += end;
        if (!group->inner.empty())
          part.equation = "transpose(" + part.equation + ")";
        pairings.push_back(std::move(part));
      }
    } else {
      pairings.push_back(std::move(pairing));
    }
    done.insert(lacking.name);
    used.insert(other.name);
    for (const auto &[end, group] : lacking.tensors) {
      doneTensors.insert(lacking.name + end);
      usedTensors.insert(other.name + end);
    }
  }
  remove(missing, doneTensors);
  remove(unused, usedTensors);
  llvm::append_range(pairings, pairParts(missing, unused));
  return pairings;
}
