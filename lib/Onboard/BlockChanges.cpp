//===- BlockChanges.cpp - Blocks that a draft may take --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Changes.h"

#include "lib/Check/Builtins.h"
#include "lib/Import/Reach.h"
#include "lib/Onboard/Definitions.h"
#include "lib/Onboard/Words.h"
#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::onboard;
using namespace mlir;
using import::Family;
using import::Reach;

/// Whether a text calls a block by its bare name.
static bool calls(StringRef text, StringRef block) {
  std::string call = (block + "(").str();
  for (size_t at = text.find(call); at != StringRef::npos;
       at = text.find(call, at + 1)) {
    char before = at == 0 ? ' ' : text[at - 1];
    if (!llvm::isAlnum(before) && before != '_' && before != '.')
      return true;
  }
  return false;
}

namespace {
class BlockChanges {
public:
  BlockChanges(const import::SpecLibrary &library, const import::Config &config,
               const Draft &draft)
      : library(library), own(library, library.findFamily(draft.name)),
        draft(draft), definitions(library, config, draft.name) {
    for (const spec::FamilyDecl *decl : library.getFamilies())
      if (decl->serves && decl->config && decl->name.name != draft.name)
        for (const spec::FieldDecl *field : decl->config->fields)
          knownFields.insert(field->name.name.str());
  }

  void collect(std::vector<Change> &changes, Effort effort) {
    for (const spec::FamilyDecl *decl : library.getFamilies()) {
      bool isOther = decl->serves && decl->name.name != draft.name;
      if (!isOther)
        continue;
      Family other(library, decl);
      std::vector<Change> single;
      for (const spec::BlockDecl *block : decl->blocks)
        if (!block->isEntry)
          add(other, block->name.name, single);
      addAll(single, changes, effort);
    }
    std::vector<Change> single;
    addVariants(single);
    addAll(single, changes, effort);
  }

private:
  static void addAll(const std::vector<Change> &single,
                     std::vector<Change> &changes, Effort effort) {
    if (effort == Effort::Blocks)
      llvm::append_range(changes, single);
    else
      for (size_t i = 0; i < single.size(); ++i)
        for (size_t k = i + 1; k < single.size(); ++k)
          changes.push_back(both(single[i], single[k]));
  }
  static Change both(const Change &a, const Change &b) {
    Change change = a;
    auto append = [](auto &list, const auto &other) {
      for (const auto &one : other)
        if (!llvm::is_contained(list, one))
          list.push_back(one);
    };
    append(change.uses, b.uses);
    append(change.fields, b.fields);
    append(change.blocks, b.blocks);
    append(change.guesses, b.guesses);
    change.says += ", " + b.says;
    return change;
  }

  void add(const Family &other, StringRef name, std::vector<Change> &changes) {
    import::FoundBlock there = other.findBlock(name),
                       here = own.findBlock(name);
    // A block that nothing here calls changes nothing.
    if (!here || there.decl == here.decl)
      return;
    Change change;
    StringRef family = other.getName();
    change.says = ("block '" + name + "' of " + family).str();
    change.uses.emplace_back(family.str(), name.str());
    Reach reach(other);
    reach.walkBody(there.decl->body);
    // Blocks that it calls and this family does not have come with it.
    std::vector<std::string> pending{name.str()};
    while (!pending.empty()) {
      std::string at = std::move(pending.back());
      pending.pop_back();
      import::FoundBlock block = other.findBlock(at);
      for (const std::string &callee : other.blockNames())
        if (!own.findBlock(callee) && calls(textOf(*block.decl), callee) &&
            !llvm::is_contained(change.uses, std::pair(family.str(), callee))) {
          change.uses.emplace_back(family.str(), callee);
          pending.push_back(callee);
        }
    }
    std::set<std::string> added;
    for (const std::string &field : other.fieldNames())
      if (reach.mentionsField(field) && !own.findField(field) &&
          added.insert(field).second)
        addField(definitions.bestFor(other, field), change);
    changes.push_back(std::move(change));
  }

  static void addField(const Definition &definition, Change &change) {
    change.fields.emplace_back(definition.head, definition.value);
    if (definition.present == 0 && !definition.keys.empty())
      change.guesses.push_back(definition.head);
  }

  /// Variants of blocks: the prelude's 'heads_whole_norm' can stand for
  /// 'heads'.
  void addVariants(std::vector<Change> &changes) {
    std::set<std::string> roles;
    for (const std::string &name : own.blockNames())
      if (!own.findBlock(name).decl->isEntry && roles.insert(name).second)
        for (const spec::BlockDecl *variant : variantsOf(name))
          addVariant(name, *variant, Change(), changes);
  }
  std::vector<const spec::BlockDecl *> variantsOf(StringRef role) const {
    std::vector<const spec::BlockDecl *> variants;
    for (const spec::BlockDecl *block : library.getPreludeBlocks())
      if (block->name.name.starts_with((role + "_").str()))
        variants.push_back(block);
    return variants;
  }
  /// A role that the variant calls and this family does not have is filled with
  /// one of its own variants in turn.
  void addVariant(StringRef role, const spec::BlockDecl &variant, Change change,
                  std::vector<Change> &changes) {
    import::FoundBlock here = own.findBlock(role);
    std::string params, names;
    for (const spec::Param &param : variant.params) {
      // What nobody gives needs no name.
      if (param.defaultValue && here && here.decl->params.size() < 2)
        continue;
      StringRef comma = params.empty() ? "" : ", ";
      params += comma;
      params += param.name.name;
      if (param.defaultValue)
        params += (" = " + textOf(*param.defaultValue)).str();
      names += comma;
      names += param.name.name;
    }
    StringRef name = variant.name.name;
    std::string text =
        ("block " + role + "(" + params + ") = " + name + "(" + names + ")")
            .str();
    if (here && textOf(*here.decl) == text)
      return;
    change.says +=
        ((change.says.empty() ? "block '" : ", block '") + role + "' = " + name)
            .str();
    change.blocks.emplace_back(role.str(), text);
    addFields(variant, change);
    for (const std::string &callee : rolesOf(variant)) {
      bool isFilled = llvm::any_of(change.blocks, [&](const auto &block) {
        return block.first == callee;
      });
      if (isFilled)
        continue;
      for (const spec::BlockDecl *filling : variantsOf(callee))
        addVariant(callee, *filling, change, changes);
      return;
    }
    changes.push_back(std::move(change));
  }
  /// The names that a block calls, that no block has, and that have variants.
  std::vector<std::string> rolesOf(const spec::BlockDecl &block) const {
    std::set<std::string> roles;
    for (const spec::BlockDecl *variant : library.getPreludeBlocks()) {
      StringRef name = variant->name.name;
      for (size_t at = name.find('_'); at != StringRef::npos;
           at = name.find('_', at + 1)) {
        StringRef role = name.take_front(at);
        if (!own.findBlock(role) && !check::findBuiltin(role) &&
            calls(textOf(block), role))
          roles.insert(role.str());
      }
    }
    return {roles.begin(), roles.end()};
  }
  void addFields(const spec::BlockDecl &block, Change &change) {
    Reach reach(own);
    reach.walkBody(block.body);
    std::vector<std::string> bound = Reach::assignedNames(block.body);
    for (const spec::Param &param : block.params) {
      bound.push_back(param.name.name.str());
      if (param.defaultValue)
        reach.walkExpr(param.defaultValue);
    }
    for (const std::string &field : knownFields) {
      if (!reach.mentionsName(field) || own.findField(field) ||
          llvm::is_contained(bound, field))
        continue;
      std::optional<Definition> definition = definitions.best(field);
      if (definition && llvm::none_of(change.fields, [&](const auto &known) {
            return known.first == definition->head;
          }))
        addField(*definition, change);
    }
  }

  const import::SpecLibrary &library;
  Family own;
  const Draft &draft;
  Definitions definitions;
  std::set<std::string> knownFields;
};
} // namespace

std::vector<Change> onboard::blockChanges(const import::SpecLibrary &library,
                                          const import::Config &config,
                                          const Draft &draft, Effort effort) {
  std::vector<Change> changes;
  BlockChanges(library, config, draft).collect(changes, effort);
  return changes;
}
