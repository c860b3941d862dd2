//===- Search.cpp - From a base to a draft --------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Search.h"

#include "lib/Onboard/Changes.h"
#include "mlir/IR/Diagnostics.h"

using namespace clade;
using namespace clade::onboard;
using namespace mlir;
using nlohmann::json;

static bool isConstant(StringRef value) {
  return value == "true" || value == "false" ||
         (value.count('"') == 2 && value.starts_with("\"") &&
          value.ends_with("\""));
}

/// What a draft gives to read.
static double weightOf(const Draft &draft) {
  // A key says more than a constant, and a guess is no reason to take a key for
  // read.
  constexpr double key = 0.3, constant = 1.2, guess = 2.2, block = 0.8,
                   question = 6;
  double weight = block * double(draft.uses.size() + draft.blocks.size()) +
                  question * double(draft.questions.size());
  for (const auto &[field, value] : draft.fields)
    weight += (isConstant(value) ? constant : key) +
              (draft.guesses.count(field) ? guess : 0);
  return weight;
}

std::optional<Fitting> Search::fitOf(const Draft &draft) {
  ScopedDiagnosticHandler silence(library.getContext(),
                                  [](Diagnostic &) { return success(); });
  if (failed(library.addText(draft.text(), "<draft>")) ||
      failed(library.finish()))
    return std::nullopt;
  const spec::FamilyDecl *family = library.findFamily(draft.name);
  if (!family)
    return std::nullopt;
  Fitting fitting = fit(library, family, config, tensors);
  fitting.cost += weightOf(draft);
  return fitting;
}

std::pair<Draft, Fitting> Search::derive(const spec::FamilyDecl *base,
                                         std::vector<std::string> &steps) {
  Draft draft;
  draft.name = name.str();
  draft.base = base->name.name.str();
  // That of the base holds for it, too.
  if (llvm::none_of(import::Family(library, base).getChain(),
                    [](const auto *one) { return one->reference; }))
    draft.reference = "transformers";
  auto served = config.json().find("architectures");
  if (served != config.json().end() && served->is_array())
    for (const json &one : *served)
      if (one.is_string())
        draft.architectures.push_back(one.get<std::string>());
  std::optional<Fitting> best = fitOf(draft);
  if (!best)
    return {std::move(draft), Fitting()};
  constexpr int mostSteps = 24;
  for (int step = 0; step < mostSteps && best->cost > 0; ++step)
    if (!improve(draft, *best, steps))
      break;
  prune(draft, *best);
  return {std::move(draft), std::move(*best)};
}

/// Takes the change that leaves the least unsettled; false if none helps.
bool Search::improve(Draft &draft, Fitting &best,
                     std::vector<std::string> &steps) {
  std::optional<Change> kept;
  Fitting next;
  // Weights are asked for when all fields of one kind of layer are known: as
  // long as they are not, a field says less than a block without it.
  bool isBuilt = best.probe.problems.empty();
  for (Effort effort : {Effort::Fields, Effort::Blocks, Effort::TwoBlocks}) {
    // The library holds what was tried last under the name.
    fitOf(draft);
    for (const Change &change :
         changesFor(library, config, draft, best, effort)) {
      Draft tried = draft;
      change.apply(tried);
      std::optional<Fitting> fitting = fitOf(tried);
      if (!fitting || fitting->cost >= best.cost)
        continue;
      if (kept &&
          fitting->cost + fitting->defaults >= next.cost + next.defaults)
        continue;
      next = std::move(*fitting);
      kept = change;
    }
    if (kept && (isBuilt || effort != Effort::Fields))
      break;
  }
  if (!kept)
    return false;
  best = std::move(next);
  kept->apply(draft);
  steps.push_back(kept->says);
  return true;
}

/// Takes out what later changes made needless.
void Search::prune(Draft &draft, Fitting &best) {
  auto without = [&](auto Draft::*list) {
    for (size_t at = (draft.*list).size(); at > 0; --at) {
      Draft tried = draft;
      (tried.*list).erase((tried.*list).begin() + (at - 1));
      std::optional<Fitting> fitting = fitOf(tried);
      if (!fitting || fitting->cost >= best.cost)
        continue;
      best = std::move(*fitting);
      draft = std::move(tried);
    }
  };
  without(&Draft::fields);
  without(&Draft::ignores);
  without(&Draft::blocks);
  without(&Draft::uses);
}
