//===- Changes.cpp - What may be changed of a family ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Changes.h"

#include "lib/Import/Reach.h"
#include "mlir/IR/Diagnostics.h"

using namespace clade;
using namespace clade::onboard;
using namespace mlir;
using import::Family;
using import::Reach;

void Change::apply(Draft &draft) const {
  auto takeBlock = [&](StringRef name) {
    llvm::erase_if(draft.uses,
                   [&](const auto &use) { return use.second == name; });
    llvm::erase_if(draft.blocks,
                   [&](const auto &block) { return block.first == name; });
  };
  for (const auto &[family, block] : uses) {
    takeBlock(block);
    draft.uses.emplace_back(family, block);
  }
  for (const auto &[name, text] : blocks) {
    takeBlock(name);
    draft.blocks.emplace_back(name, text);
  }
  for (const auto &[field, value] : fields) {
    llvm::erase_if(draft.fields,
                   [&](const auto &known) { return known.first == field; });
    draft.fields.emplace_back(field, value);
    draft.guesses.erase(field);
  }
  draft.guesses.insert(guesses.begin(), guesses.end());
  llvm::append_range(draft.ignores, ignores);
  llvm::append_range(draft.questions, questions);
}

std::vector<Change> onboard::changesFor(const import::SpecLibrary &library,
                                        const import::Config &config,
                                        const Draft &draft,
                                        const Fitting &fitting, Effort effort) {
  ScopedDiagnosticHandler silence(library.getContext(),
                                  [](Diagnostic &) { return success(); });
  if (effort != Effort::Fields) {
    bool isWhole = fitting.missing.empty() && fitting.unused.empty() &&
                   fitting.misshapen.empty();
    return isWhole ? std::vector<Change>()
                   : blockChanges(library, config, draft, effort);
  }
  std::vector<Change> changes = fieldChanges(library, config, draft, fitting);
  // Keys that something else than a field refuses, such as rotary scaling.
  for (StringRef problem : fitting.probe.problems) {
    auto [key, behind] = problem.split("key '").second.split('\'');
    if (!behind.starts_with(" is not read by"))
      continue;
    Change change;
    change.ignores.push_back(key.str());
    change.says = ("key '" + key + "' ignored").str();
    changes.push_back(std::move(change));
  }
  return changes;
}

KeyReaders onboard::readersOf(const import::SpecLibrary &library, StringRef key,
                              StringRef except) {
  KeyReaders readers;
  for (const spec::FamilyDecl *decl : library.getFamilies()) {
    if (!decl->serves || decl->name.name == except)
      continue;
    Family family(library, decl);
    Reach reach(family);
    reach.walkFamily();
    bool ignores = llvm::any_of(family.getChain(), [&](auto *one) {
      return one->config &&
             llvm::any_of(one->config->ignores, [&](auto *ignore) {
               return llvm::any_of(ignore->keys, [&](const auto &known) {
                 return known.name == key;
               });
             });
    });
    if (reach.mentionsKey(key))
      readers.reads.push_back(decl->name.name.str());
    else if (ignores)
      readers.ignores.push_back(decl->name.name.str());
  }
  return readers;
}
