//===- FamilyDiff.cpp - The difference in meaning of two families ---------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Diff/FamilyDiff.h"

#include "lib/Diff/Compare.h"

#include "mlir/IR/Diagnostics.h"

using namespace clade;
using namespace clade::diff;
using llvm::StringRef;

bool FamilyDiff::isEmpty() const {
  return llvm::all_of(
      sections, [](const Section &section) { return section.changes.empty(); });
}

std::vector<Change> diff::compareMaps(const Texts &from, const Texts &to) {
  std::vector<Change> changes;
  for (const auto &[name, text] : from) {
    auto it = to.find(name);
    if (it == to.end())
      changes.push_back({Change::Kind::Removed, name, text, ""});
    else if (it->second != text)
      changes.push_back({Change::Kind::Changed, name, text, it->second});
  }
  for (const auto &[name, text] : to)
    if (!from.count(name))
      changes.push_back({Change::Kind::Added, name, "", text});
  return changes;
}

Side::Side(import::SpecLibrary &library, const spec::FamilyDecl *decl,
           std::unique_ptr<import::Config> given)
    : family(library, decl), config(std::move(given)) {
  if (config)
    values = std::make_unique<import::FieldValues>(family, *config);
}

/// The first message of what does not go through, which is not an error here.
static std::optional<std::vector<import::PublishedTensor>>
tensorsOf(import::SpecLibrary &library, const Side &side, std::string &why) {
  if (!side.config) {
    why = "there is no configuration";
    return std::nullopt;
  }
  mlir::ScopedDiagnosticHandler handler(library.getContext(),
                                        [&](mlir::Diagnostic &diagnostic) {
                                          if (why.empty())
                                            why = diagnostic.str();
                                          return mlir::success();
                                        });
  auto tensors = import::publishedTensors(
      library, side.family.getChain().front(), *side.config);
  if (failed(tensors))
    return std::nullopt;
  return std::move(*tensors);
}

/// 'model.layers.3.mlp.experts.7.up_proj.weight' with '*' for the numbers.
static std::string patternOf(StringRef name) {
  llvm::SmallVector<StringRef> segments;
  name.split(segments, '.');
  std::string pattern;
  for (StringRef segment : segments) {
    bool isNumber = !segment.empty() && llvm::all_of(segment, [](char c) {
      return llvm::isDigit(c);
    });
    pattern += (pattern.empty() ? "" : ".") +
               (isNumber ? std::string("*") : segment.str());
  }
  return pattern;
}

/// Shapes by patterns of names.
static Texts patternsOf(llvm::ArrayRef<import::PublishedTensor> tensors) {
  std::map<std::string, std::map<std::string, unsigned>> shapes;
  for (const import::PublishedTensor &tensor : tensors)
    ++shapes[patternOf(tensor.name)][rt::shapeText(tensor.shape)];
  Texts texts;
  for (const auto &[pattern, counts] : shapes)
    for (const auto &[shape, count] : counts) {
      std::string &text = texts[pattern];
      text += (text.empty() ? "" : ", ") +
              (count > 1 ? std::to_string(count) + " of " : "") + shape;
    }
  return texts;
}

static Section compareTensors(import::SpecLibrary &library, const Side &from,
                              const Side &to, FamilyDiff &diff) {
  Section section{"weights", "published tensors", {}};
  std::string why;
  auto a = tensorsOf(library, from, why);
  const Side *refused = a ? nullptr : &from;
  auto b = a ? tensorsOf(library, to, why) : std::nullopt;
  if (a && !b)
    refused = &to;
  if (refused) {
    diff.notes.push_back("published tensors are not compared: '" +
                         refused->family.getName().str() +
                         "' does not take the configuration that Clade makes "
                         "or that --config gives (" +
                         why + ")");
    return section;
  }
  section.changes = mergeSiblings(compareMaps(patternsOf(*a), patternsOf(*b)));
  return section;
}

/// A step that says something without its place: not a sum or a change of axes.
static bool isTelling(StringRef step) {
  if (step.contains(" at "))
    return true;
  return llvm::isAlpha(step.front()) &&
         !llvm::is_contained({"as", "index", "round", "f32", "list"}, step);
}

/// 'x = y + norm at q_norm - rope': the most telling changes.
static std::string summarize(const FamilyDiff &diff, StringRef from,
                             StringRef to) {
  constexpr size_t most = 6, longest = 40;
  if (diff.isEmpty())
    return (from + " and " + to + " mean the same").str();
  std::vector<std::string> items;
  auto add = [&](StringRef section, StringRef title) {
    for (const Section &one : diff.sections) {
      if (one.name != section)
        continue;
      for (const Change &change : one.changes) {
        if (section == "computation" && !isTelling(change.name))
          continue;
        std::string item = title.str() + change.name;
        if (change.kind == Change::Kind::Changed) {
          bool isShort = !change.to.empty() && change.from.empty() &&
                         change.to.size() <= longest;
          item = " ~ " + item + (isShort ? " (" + change.to + ")" : "");
        } else {
          item = (change.kind == Change::Kind::Added ? " + " : " - ") + item;
        }
        if (!llvm::is_contained(items, item))
          items.push_back(item);
      }
    }
  };
  add("computation", "");
  // What is there or not says more than what is another way.
  llvm::stable_sort(items, [](const std::string &a, const std::string &b) {
    return (a[1] == '~') < (b[1] == '~');
  });
  for (auto [section, title] :
       {std::pair("weights", "tensor "), std::pair("fields", "field "),
        std::pair("requirements", "requirement "), std::pair("keys", "key "),
        std::pair("equations", "equation "), std::pair("serves", "")})
    if (items.empty())
      add(section, title);
  std::string text = (to + " = " + from).str();
  for (const std::string &item : llvm::ArrayRef(items).take_front(most))
    text += item;
  if (items.size() > most)
    text += ", and " + std::to_string(items.size() - most) + " more";
  return text;
}

FamilyDiff diff::compareFamilies(import::SpecLibrary &library,
                                 const spec::FamilyDecl *from,
                                 const spec::FamilyDecl *to,
                                 ConfigSource configs, bool areGiven) {
  Side a(library, from, configs(from)), b(library, to, configs(to));
  FamilyDiff diff;
  auto add = [&](StringRef name, StringRef title, const Texts &of,
                 const Texts &with) {
    diff.sections.push_back({name.str(), title.str(), compareMaps(of, with)});
  };
  add("serves", "architectures", servedBy(a), servedBy(b));
  add("keys", "keys of config.json", keysOf(a), keysOf(b));
  add("fields", "fields", fieldsOf(a, areGiven), fieldsOf(b, areGiven));
  add("requirements", "requirements", requirementsOf(a), requirementsOf(b));
  diff.sections.push_back(compareComputation(a, b, areGiven, diff.notes));
  diff.sections.push_back(compareTensors(library, a, b, diff));
  add("equations", "weight equations", equationsOf(a), equationsOf(b));
  diff.summary = summarize(diff, from->name.name, to->name.name);
  return diff;
}
