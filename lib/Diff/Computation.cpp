//===- Computation.cpp - The steps of two families ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Diff/Align.h"
#include "lib/Diff/Compare.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::diff;
using llvm::StringRef;

/// The address of a step without what all layers have in front.
static std::string shortAddress(const Step &step) {
  StringRef address = step.address;
  size_t at = address.find("{layer}");
  if (!step.inLayers || at == StringRef::npos)
    return step.address;
  return address.substr(at)
      .drop_front(StringRef("{layer}").size())
      .ltrim('.')
      .str();
}

static std::string nameOf(const Step &step) {
  std::string address = shortAddress(step);
  return address.empty() ? step.op : step.op + " at " + address;
}

/// The arguments, what it takes where no weights tell which step it is, and
/// when.
static std::string describe(const Step &step, const Trace &trace) {
  std::vector<std::string> words;
  for (const Argument &argument : step.arguments)
    words.push_back((argument.name.empty() ? "" : argument.name + ": ") +
                    argument.text);
  std::string text = llvm::join(words, ", ");
  std::vector<std::string> inputs;
  for (unsigned input : step.inputs)
    if (!llvm::is_contained(inputs, trace.steps[input].label()))
      inputs.push_back(trace.steps[input].label());
  if (step.address.empty() && !inputs.empty())
    text += (text.empty() ? "of " : " of ") + llvm::join(inputs, ", ");
  if (!step.conditions.empty())
    text +=
        (text.empty() ? "if " : " if ") + llvm::join(step.conditions, " and ");
  return text;
}

static std::string whereOf(const Step &step, const std::string &layers) {
  return step.entry + (step.inLayers ? ", " + layers : "");
}

static std::vector<Change> compareTraces(const Trace &from, const Trace &to,
                                         const std::string &layers) {
  std::vector<Change> changes;
  std::vector<Pair> pairs = align(from, to);
  for (const Pair &pair : pairs) {
    const Step &step = pair.to ? to.steps[*pair.to] : from.steps[*pair.from];
    Change change{Change::Kind::Added, nameOf(step), "", "",
                  whereOf(step, layers)};
    if (!pair.from) {
      change.to = describe(step, to);
    } else if (!pair.to) {
      change.kind = Change::Kind::Removed;
      change.from = describe(step, from);
    } else {
      std::vector<std::string> words = differences(pair, pairs, from, to);
      if (words.empty())
        continue;
      change.kind = Change::Kind::Changed;
      change.to = llvm::join(words, "; ");
    }
    changes.push_back(std::move(change));
  }
  // What stands outside of the layers first, the entry for images before that
  // for text.
  llvm::stable_sort(changes, [](const Change &a, const Change &b) {
    auto place = [](const Change &change) {
      return std::pair(!StringRef(change.where).starts_with("image"),
                       StringRef(change.where).contains(", "));
    };
    return place(a) < place(b);
  });
  return mergeSiblings(std::move(changes));
}

/// The place of the only segment in which two dotted names differ.
static std::optional<size_t> differingSegment(StringRef a, StringRef b) {
  llvm::SmallVector<StringRef> left, right;
  a.split(left, '.');
  b.split(right, '.');
  if (left.size() != right.size())
    return std::nullopt;
  std::optional<size_t> place;
  for (size_t i = 0; i < left.size(); ++i) {
    if (left[i] == right[i])
      continue;
    if (place || left[i].contains(' ') != right[i].contains(' '))
      return std::nullopt;
    place = i;
  }
  return place;
}

std::vector<Change> diff::mergeSiblings(std::vector<Change> changes) {
  std::vector<Change> merged;
  for (size_t i = 0; i < changes.size();) {
    Change change = changes[i];
    llvm::SmallVector<StringRef> segments;
    StringRef(changes[i].name).split(segments, '.');
    std::optional<size_t> place;
    std::vector<std::string> names;
    size_t next = i + 1;
    for (; next < changes.size(); ++next) {
      const Change &other = changes[next];
      std::optional<size_t> at = differingSegment(changes[i].name, other.name);
      bool isPlain = !StringRef(other.name).contains(" at ") &&
                     !StringRef(other.name).contains('.');
      if (!at || isPlain || (place && *at != *place) ||
          other.kind != change.kind || other.from != change.from ||
          other.to != change.to || other.where != change.where)
        break;
      place = at;
      llvm::SmallVector<StringRef> own;
      StringRef(other.name).split(own, '.');
      names.push_back(own[*at].str());
    }
    if (place) {
      // 'linear at q_proj' and 'linear at k_proj' share the op.
      std::string first = segments[*place].str(), op;
      if (size_t blank = first.rfind(' '); blank != std::string::npos) {
        op = first.substr(0, blank + 1);
        first = first.substr(blank + 1);
        bool allShare = llvm::all_of(names, [&](const std::string &name) {
          return StringRef(name).starts_with(op);
        });
        if (!allShare) {
          merged.push_back(change);
          ++i;
          continue;
        }
        for (std::string &name : names)
          name = name.substr(op.size());
      }
      names.insert(names.begin(), first);
      std::string text = op + "{" + llvm::join(names, ", ") + "}";
      change.name.clear();
      for (size_t at = 0; at < segments.size(); ++at)
        change.name +=
            (at ? "." : "") + (at == *place ? text : segments[at].str());
    }
    merged.push_back(std::move(change));
    i = next;
  }
  return merged;
}

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

/// The largest number of layers that a family or a part of it has.
static int64_t layersOf(const Side &side) {
  std::vector<import::FamilyInstance *> instances;
  side.values->getRoot().collect(instances);
  int64_t most = 1;
  for (import::FamilyInstance *instance : instances)
    most = std::max(most, side.values->layers(*instance).value_or(1));
  return most;
}

/// '0, 2 to 5'.
static std::string ranges(llvm::ArrayRef<int64_t> numbers) {
  std::string text;
  for (size_t i = 0; i < numbers.size();) {
    size_t end = i;
    while (end + 1 < numbers.size() && numbers[end + 1] == numbers[end] + 1)
      ++end;
    text += (text.empty() ? "" : ", ") + std::to_string(numbers[i]);
    if (end > i)
      text += (end == i + 1 ? ", " : " to ") + std::to_string(numbers[end]);
    i = end + 1;
  }
  return text;
}

/// All that tells two traces apart.
static std::string keyOf(const Trace &trace) {
  std::string key;
  for (const Step &step : trace.steps) {
    key += nameOf(step) + "(" + describe(step, trace) + ")";
    for (unsigned input : step.inputs)
      key += " " + std::to_string(input);
    key += "\n";
  }
  return key;
}

static std::vector<Change> compareLayers(const Side &from, const Side &to) {
  struct Group {
    Trace from, to;
    std::vector<int64_t> layers;
  };
  llvm::MapVector<std::pair<std::string, std::string>, Group,
                  std::map<std::pair<std::string, std::string>, unsigned>>
      groups;
  int64_t layers = std::max(layersOf(from), layersOf(to));
  for (int64_t layer = 0; layer < layers; ++layer) {
    Group group{traceFamily(from.family, {from.values.get(), layer}),
                traceFamily(to.family, {to.values.get(), layer}),
                {}};
    auto key = std::make_pair(keyOf(group.from), keyOf(group.to));
    auto [it, isNew] = groups.try_emplace(key, std::move(group));
    it->second.layers.push_back(layer);
  }
  std::vector<Change> changes;
  bool isFirst = true;
  for (const auto &[key, group] : groups) {
    std::string title =
        groups.size() == 1 ? "each layer"
                           : (group.layers.size() == 1 ? "layer " : "layers ") +
                                 ranges(group.layers);
    for (Change &change : compareTraces(group.from, group.to, title)) {
      bool isInLayers = StringRef(change.where).contains(", ");
      if (isFirst || isInLayers)
        changes.push_back(std::move(change));
    }
    isFirst = false;
  }
  return changes;
}

Section diff::compareComputation(const Side &from, const Side &to,
                                 bool areGiven,
                                 std::vector<std::string> &notes) {
  Section section{"computation", "computation", {}};
  bool byLayer = areGiven && from.values && to.values;
  if (byLayer) {
    section.changes = compareLayers(from, to);
    return section;
  }
  Trace a = traceFamily(from.family), b = traceFamily(to.family);
  for (auto [trace, side] : {std::pair(&a, &from), std::pair(&b, &to)})
    if (!trace->isWhole)
      notes.push_back("'" + side->family.getName().str() +
                      "' is too large to be followed to its end");
  section.changes = compareTraces(a, b, "each layer");
  return section;
}
