//===- Draft.cpp - A first spec of an unknown family ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Draft.h"

#include "lib/Onboard/Changes.h"
#include "lib/Spec/Format.h"
#include "lib/Spec/Parser.h"
#include "mlir/IR/Diagnostics.h"
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
  out += "  reference transformers\n";
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
  if (!equations.empty()) {
    out += "  weights {\n";
    for (const std::string &equation : equations)
      out += "    " + equation + "\n";
    out += "  }\n";
  }
  return out + "}\n";
}

namespace {
/// Searches for the changes to a base that leave the least unsettled.
class Drafter {
public:
  Drafter(import::SpecLibrary &library, const import::Config &config,
          llvm::ArrayRef<rt::StoredTensor> tensors, StringRef name)
      : library(library), config(config), tensors(tensors), name(name) {}

  /// A draft from one base.
  std::pair<Draft, Fitting> derive(const spec::FamilyDecl *base,
                                   std::vector<std::string> &steps) {
    Draft draft;
    draft.name = name.str();
    draft.base = base->name.name.str();
    auto served = config.json().find("architectures");
    if (served != config.json().end() && served->is_array())
      for (const json &one : *served)
        if (one.is_string())
          draft.architectures.push_back(one.get<std::string>());
    std::optional<Fitting> first = fitOf(draft);
    if (!first)
      return {std::move(draft), Fitting()};
    Fitting best = std::move(*first), next;
    double cost = best.cost;
    constexpr int mostSteps = 16;
    for (int step = 0; step < mostSteps && cost > 0; ++step) {
      std::optional<Change> kept;
      for (Effort effort :
           {Effort::Fields, Effort::Blocks, Effort::TwoBlocks}) {
        // The library holds what was tried last under the name.
        fitOf(draft);
        for (const Change &change :
             changesFor(library, config, draft, best, effort)) {
          Draft tried = draft;
          change.apply(tried);
          std::optional<Fitting> fitting = fitOf(tried);
          // A change is itself something to read.
          double total = fitting ? fitting->cost + weightOf(tried) : cost;
          if (!fitting || total >= cost)
            continue;
          cost = total;
          next = std::move(*fitting);
          kept = change;
        }
        if (kept)
          break;
      }
      if (!kept)
        break;
      best = std::move(next);
      kept->apply(draft);
      steps.push_back(kept->says);
    }
    best.cost = cost;
    return {std::move(draft), std::move(best)};
  }

  /// The fitting of a draft; nothing if its text is refused.
  std::optional<Fitting> fitOf(const Draft &draft) {
    ScopedDiagnosticHandler silence(library.getContext(),
                                    [](Diagnostic &) { return success(); });
    if (failed(library.addText(draft.text(), "<draft>")) ||
        failed(library.finish()))
      return std::nullopt;
    const spec::FamilyDecl *family = library.findFamily(draft.name);
    return family ? std::optional(fit(library, family, config, tensors))
                  : std::nullopt;
  }

private:
  static double weightOf(const Draft &draft) {
    double weight = 0;
    for (const auto &[field, value] : draft.fields)
      // A key says more than a constant.
      weight += value == "true" || value == "false" ? 0.5 : 0.3;
    return weight + 0.8 * double(draft.uses.size());
  }

  import::SpecLibrary &library;
  const import::Config &config;
  llvm::ArrayRef<rt::StoredTensor> tensors;
  StringRef name;
};
} // namespace

/// A text as the spec language has strings: without escapes, in one line.
static std::string quoted(std::string text) {
  for (char &c : text)
    if (c == '"' || c == '\n')
      c = '\'';
  return "\"" + text + "\"";
}

/// The evidence of a pairing that is no more than likely.
static std::string doubtOf(const Pairing &pairing) {
  std::string text = "likely by its name and shape";
  constexpr size_t most = 3;
  for (const auto &[other, likeness] :
       llvm::ArrayRef(pairing.others).take_front(most))
    text += "; or " + other;
  return text;
}

static void addEquations(Draft &draft, const Fitting &fitting) {
  for (const Pairing &pairing : fitting.pairings) {
    std::string text = pairing.logical + " = " + pairing.equation;
    if (pairing.certainty < 0.5)
      text += " if todo(" + quoted(doubtOf(pairing)) + ", true)";
    draft.equations.push_back(std::move(text));
  }
  for (const WeightGroup &group : fitting.unpairedMissing)
    draft.equations.push_back(group.name + " = " + group.name + " if todo(" +
                              quoted("no tensor for " + describe(group)) +
                              ", false)");
  for (const TensorGroup &group : fitting.unpairedUnused)
    draft.equations.push_back("drop " + group.name + " if todo(" +
                              quoted("what is " + describe(group) + " for?") +
                              ", true)");
}

/// Keys that say how a model is trained or served, never what it computes.
static bool isHarmless(StringRef key) {
  StringRef last =
      key.rsplit('.').second.empty() ? key : key.rsplit('.').second;
  for (StringRef part : {"dropout", "pdrop", "initializer", "token_id",
                         "gradient_checkpointing", "aux_loss", "jitter_noise"})
    if (last.contains(part))
      return true;
  for (StringRef start : {"summary_", "init_", "use_cache", "rescale_prenorm"})
    if (last.starts_with(start))
      return true;
  return false;
}

static const json *valueAt(const json &config, StringRef key) {
  const json *at = &config;
  llvm::SmallVector<StringRef> parts;
  key.split(parts, '.');
  for (StringRef part : parts) {
    auto it = at->is_object() ? at->find(part.str()) : at->end();
    if (!at->is_object() || it == at->end())
      return nullptr;
    at = &*it;
  }
  return at;
}

/// What a draft says of a key that its blocks do not read.
static void settleKey(Draft &draft, const import::SpecLibrary &library,
                      const import::Config &config, const std::string &key) {
  KeyReaders readers = readersOf(library, key, draft.name);
  if (isHarmless(key) || (readers.reads.empty() && !readers.ignores.empty())) {
    draft.ignores.push_back(key);
    return;
  }
  const json *value = valueAt(config.json(), key);
  bool isOff = !value || value->is_null() || *value == false ||
               (value->is_structured() && value->empty());
  if (isOff) {
    draft.requirements.push_back(
        value && value->is_boolean()      ? "(" + key + " ?? false) == false"
        : value && value->is_structured() ? "count(" + key + " ?? []) == 0"
                                          : "(" + key + " ?? none) == none");
    return;
  }
  std::string text = "what does '" + key + "' = " + value->dump() + " do?";
  if (!readers.reads.empty())
    text += " Read by " + llvm::join(readers.reads, ", ");
  std::string holds = value->is_string() ? key + " == " + quoted(*value)
                      : value->is_number() || value->is_boolean()
                          ? key + " == " + value->dump()
                          : "(" + key + " ?? none) != none";
  draft.requirements.push_back("todo(" + quoted(text) + ", " + holds + ")");
}

FailureOr<DraftResult>
onboard::draftFamily(import::SpecLibrary &library, const import::Config &config,
                     llvm::ArrayRef<rt::StoredTensor> tensors, StringRef name,
                     const spec::FamilyDecl *like) {
  std::vector<const spec::FamilyDecl *> bases;
  if (like) {
    bases.push_back(like);
  } else {
    constexpr size_t most = 3;
    for (const Fitting &fitting : rankFamilies(library, config, tensors))
      if (bases.size() < most)
        bases.push_back(fitting.family);
  }
  Drafter drafter(library, config, tensors, name);
  std::optional<std::pair<Draft, Fitting>> best;
  DraftResult result;
  for (const spec::FamilyDecl *base : bases) {
    std::vector<std::string> steps;
    auto derived = drafter.derive(base, steps);
    if (!derived.second.family)
      continue;
    if (best && derived.second.cost >= best->second.cost)
      continue;
    best = std::move(derived);
    result.steps = std::move(steps);
  }
  if (!best)
    return emitError(config.locationOf(""))
           << "no family to derive from: do 'architectures' hold plain names?";
  auto &[draft, fitting] = *best;
  addEquations(draft, fitting);
  for (const std::string &key : fitting.probe.unreadKeys)
    if (llvm::all_of(key, [](char c) {
          return llvm::isAlnum(c) || c == '_' || c == '.';
        }))
      settleKey(draft, library, config, key);
  for (const WeightGroup &group : fitting.misshapen)
    draft.requirements.push_back(
        "todo(" + quoted("another shape: " + describe(group)) + ", true)");
  for (const std::string &problem : fitting.probe.problems)
    draft.requirements.push_back("todo(" + quoted(problem) + ", true)");
  for (const std::string &unmet : fitting.probe.requirements)
    draft.requirements.push_back(
        "todo(" + quoted("family '" + draft.base + "' requires " + unmet) +
        ", true)");
  if (std::optional<Fitting> last = drafter.fitOf(draft))
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
