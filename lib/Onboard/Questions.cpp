//===- Questions.cpp - What a draft leaves open ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Questions.h"

#include "lib/Import/Reach.h"
#include "lib/Onboard/Changes.h"
#include "lib/Onboard/Words.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::onboard;
using llvm::StringRef;
using nlohmann::json;

/// A text as the spec language has strings: without escapes, in one line.
static std::string quoted(std::string text) {
  for (char &c : text)
    if (c == '"' || c == '\n')
      c = '\'';
  return "\"" + text + "\"";
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

/// Whether the blocks of a family call what a value names, as 'silu'.
static bool saysItself(const import::SpecLibrary &library,
                       const spec::FamilyDecl *decl, StringRef value) {
  import::Family family(library, decl);
  import::Reach reach(family);
  reach.walkFamily();
  return reach.calls(value);
}

/// What a draft says of a key that its blocks do not read.
static void settleKey(Draft &draft, const import::SpecLibrary &library,
                      const import::Config &config,
                      const spec::FamilyDecl *family, const std::string &key) {
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
  if (value->is_string() &&
      saysItself(library, family, value->get_ref<const std::string &>())) {
    draft.requirements.push_back(key + " == " + quoted(*value));
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

/// The families whose text has the name of a tensor's module, the plainest
/// evidence of what it is for.
static std::string knownTo(const import::SpecLibrary &library,
                           const TensorGroup &group, StringRef except) {
  std::vector<std::string> names;
  for (const spec::FamilyDecl *family : library.getFamilies())
    if (family->serves && family->name.name != except &&
        strangers(library, family, group) == 0)
      names.push_back(family->name.name.str());
  constexpr size_t most = 4;
  if (names.empty())
    return " New";
  if (names.size() > most)
    return " Known to " + std::to_string(names.size()) + " families";
  return " Known to " + llvm::join(names, ", ");
}

/// The tensors without a place that have as many elements.
static std::string likeSized(const WeightGroup &group,
                             llvm::ArrayRef<TensorGroup> unused) {
  std::string text;
  auto elements = [](llvm::ArrayRef<int64_t> shape) {
    int64_t all = 1;
    for (int64_t size : shape)
      all *= size;
    return all;
  };
  for (const TensorGroup &other : unused)
    if (elements(other.shape) == elements(group.shape()))
      text += (text.empty() ? "; of its size: " : ", ") + other.name;
  return text;
}

void onboard::addQuestions(Draft &draft, const import::SpecLibrary &library,
                           const import::Config &config,
                           const Fitting &fitting) {
  llvm::append_range(draft.requirements, draft.questions);
  for (const WeightGroup &group : fitting.unpairedMissing)
    draft.equations.push_back(group.name + " = " + group.name + " if todo(" +
                              quoted("no tensor for " + describe(group) +
                                     likeSized(group, fitting.unpairedUnused)) +
                              ", false)");
  for (const TensorGroup &group : fitting.unpairedUnused)
    draft.equations.push_back("drop " + group.name + " if todo(" +
                              quoted("what is " + describe(group) + " for?" +
                                     knownTo(library, group, draft.name)) +
                              ", true)");
  for (const std::string &key : fitting.probe.unreadKeys)
    if (llvm::all_of(key, [](char c) {
          return llvm::isAlnum(c) || c == '_' || c == '.';
        }))
      settleKey(draft, library, config, fitting.family, key);
  for (const WeightGroup &group : fitting.misshapen)
    draft.requirements.push_back(
        "todo(" + quoted("another shape: " + describe(group)) + ", true)");
  for (const std::string &problem : fitting.probe.problems)
    draft.requirements.push_back("todo(" + quoted(problem) + ", true)");
  for (const std::string &unmet : fitting.probe.requirements)
    draft.requirements.push_back(
        "todo(" + quoted("family '" + draft.base + "' requires " + unmet) +
        ", true)");
}
