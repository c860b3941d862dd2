//===- Draft.cpp - A first spec of an unknown family ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Draft.h"

#include "lib/Onboard/Questions.h"
#include "lib/Onboard/Search.h"
#include "lib/Spec/Format.h"
#include "lib/Spec/Parser.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::onboard;
using namespace mlir;
using nlohmann::json;

std::string Draft::text() const {
  std::string out = "family " + name + " from " + base + " {\n";
  std::string served;
  for (const std::string &architecture : architectures)
    served += (served.empty() ? "\"" : ", \"") + architecture + "\"";
  if (!served.empty())
    out += "  serves " + served + "\n";
  if (!reference.empty())
    out += "  reference " + reference + "\n";
  llvm::MapVector<StringRef, std::string> owners;
  for (const auto &[family, block] : uses) {
    std::string &names = owners[family];
    names += (names.empty() ? "" : ", ") + block;
  }
  for (const auto &[family, names] : owners)
    out += "  use " + names + " from " + family.str() + "\n";
  if (!fields.empty() || !ignores.empty() || !requirements.empty()) {
    out += "  config {\n";
    for (const auto &[field, value] : fields)
      out += "    " + field + " = " + value + "\n";
    if (!ignores.empty())
      out += "    ignore " + llvm::join(ignores, ", ") + "\n";
    for (const std::string &requirement : requirements)
      out += "    require " + requirement + "\n";
    out += "  }\n";
  }
  for (const auto &[block, text] : blocks)
    out += "  " + text + "\n";
  if (!equations.empty()) {
    out += "  weights {\n";
    for (const std::string &equation : equations)
      out += "    " + equation + "\n";
    out += "  }\n";
  }
  return out + "}\n";
}

/// The family that most others that serve an architecture derive from at once.
static const spec::FamilyDecl *commonBase(const import::SpecLibrary &library) {
  const spec::FamilyDecl *common = nullptr;
  size_t most = 0;
  for (const spec::FamilyDecl *decl : library.getFamilies()) {
    size_t derived = llvm::count_if(
        library.getFamilies(), [&](const spec::FamilyDecl *other) {
          return other->serves && other->base &&
                 other->base->name == decl->name.name;
        });
    if (decl->serves && derived > most)
      common = decl, most = derived;
  }
  return common;
}

/// Writes down what tensors are called, as short as holds. The fitting is that
/// of the draft with them afterwards.
static void nameTensors(Draft &draft, Fitting &fitting, Search &search) {
  // A weight may follow from one that has found its tensor.
  constexpr int mostRounds = 3;
  for (int round = 0; round < mostRounds && !fitting.pairings.empty();
       ++round) {
    std::vector<std::vector<std::string>> forms = {
        equationsOf(fitting.pairings), plainEquationsOf(fitting.pairings)};
    std::optional<std::pair<Draft, Fitting>> best;
    for (const std::vector<std::string> &equations : forms) {
      Draft tried = draft;
      llvm::append_range(tried.equations, equations);
      std::optional<Fitting> next = search.fitOf(tried);
      if (next && (!best || next->cost < best->second.cost))
        best.emplace(std::move(tried), std::move(*next));
    }
    if (!best || best->second.cost > fitting.cost) {
      llvm::append_range(draft.equations, forms.back());
      return;
    }
    draft = std::move(best->first);
    fitting = std::move(best->second);
  }
}

FailureOr<DraftResult>
onboard::draftFamily(import::SpecLibrary &library, const import::Config &config,
                     llvm::ArrayRef<rt::StoredTensor> tensors, StringRef name,
                     const spec::FamilyDecl *like) {
  std::vector<const spec::FamilyDecl *> bases;
  if (like) {
    bases.push_back(like);
  } else {
    // Those that can be built, and those that are a field short of it.
    constexpr size_t most = 3;
    size_t built = 0, unbuilt = 0;
    for (const Fitting &fitting : rankFamilies(library, config, tensors))
      if ((fitting.probe.problems.empty() ? built : unbuilt)++ < most)
        bases.push_back(fitting.family);
    // What most others derive from says the least that is not asked for.
    const spec::FamilyDecl *common = commonBase(library);
    if (common && !llvm::is_contained(bases, common))
      bases.push_back(common);
  }
  Search search(library, config, tensors, name);
  std::optional<std::pair<Draft, Fitting>> best;
  DraftResult result;
  for (const spec::FamilyDecl *base : bases) {
    std::vector<std::string> steps;
    auto derived = search.derive(base, steps);
    if (!derived.second.family)
      continue;
    // Of two that are equally near, the plainer base.
    auto rank = [&](const std::pair<Draft, Fitting> &one) {
      const spec::FamilyDecl *base = library.findFamily(one.first.base);
      return std::pair(one.second.cost + one.second.defaults,
                       import::Family(library, base).getChain().size());
    };
    if (best && rank(derived) >= rank(*best))
      continue;
    best = std::move(derived);
    result.steps = std::move(steps);
  }
  if (!best)
    return emitError(config.locationOf(""))
           << "no family to derive from: do 'architectures' hold plain names?";
  Draft &draft = best->first;
  nameTensors(draft, best->second, search);
  addQuestions(draft, library, config, best->second);
  if (std::optional<Fitting> last = search.fitOf(draft))
    result.fitting = std::move(*last);
  else
    return emitError(config.locationOf(""))
           << "the draft from family '" << draft.base << "' does not parse";
  result.questions = result.fitting.probe.questions.size();
  llvm::SourceMgr &sources = library.getSourceMgr();
  unsigned id = sources.AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBufferCopy(draft.text(), "<draft>"),
      llvm::SMLoc());
  auto file = spec::parseSpec(sources, id, library.getContext());
  if (failed(file))
    return failure();
  result.text = spec::format(**file, sources);
  return result;
}
