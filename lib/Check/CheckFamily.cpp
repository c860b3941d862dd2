//===- CheckFamily.cpp - What a family declares --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/FamilyChecker.h"

#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::check;
using import::SpecLibrary;

std::vector<EntryType> FamilyChecker::checkAll() {
  checkUses();
  std::vector<EntryType> types;
  std::vector<const spec::BlockDecl *> found = entries();
  if (decl->serves && found.empty())
    error(decl->name.loc, "family '" + decl->name.name +
                              "' serves an architecture but has no entry");
  if (decl->serves && decl->serves->condition) {
    Type type = evalConfig(decl->serves->condition, Frame::Context::Config, {},
                           Layers::No);
    if (!type.mayBe(Type::Kind::Bool))
      error(decl->serves->condition->getLoc(),
            "expected true or false, got " + type.describe());
  }
  for (const spec::BlockDecl *entry : found)
    types.push_back(checkEntry(entry));
  checkUnreached();
  if (decl->config)
    for (const spec::FieldDecl *own : decl->config->fields)
      if (family.findField(own->name.name) == own)
        field(own->name.name, own->getLoc(), /*ofGivenLayer=*/true);
  checkRequirements();
  checkParts();
  if (decl->weights)
    checkWeights(decl->weights);
  return types;
}

void FamilyChecker::checkUses() {
  const SpecLibrary &library = session.getLibrary();
  for (const spec::UseDecl *use : decl->uses) {
    import::Family owner(library, library.findFamily(use->family.name));
    for (const spec::Identifier &name : use->names)
      if (!owner.findBlock(name.name))
        error(name.loc, "family '" + use->family.name + "' has no block '" +
                            name.name + "'" +
                            SpecLibrary::hint(name.name, owner.blockNames()));
  }
}

/// The entries by late binding, those of the base first.
std::vector<const spec::BlockDecl *> FamilyChecker::entries() const {
  std::vector<const spec::BlockDecl *> result;
  for (const spec::FamilyDecl *owner : llvm::reverse(family.getChain()))
    for (const spec::BlockDecl *block : owner->blocks) {
      const spec::BlockDecl *bound = family.findBlock(block->name.name).decl;
      if (block->isEntry && !llvm::is_contained(result, bound))
        result.push_back(bound);
    }
  return result;
}

/// 'a tensor [token, d]' as '[token, d]'.
static std::string shortText(const Type &type) {
  if (type.isTensor() && type.axes)
    return toString(*type.axes);
  if (!type.is(Type::Kind::Tuple))
    return type.describe();
  return llvm::join(llvm::map_range(type.elements, shortText), ", ");
}

EntryType FamilyChecker::checkEntry(const spec::BlockDecl *entry) {
  bool isForward = entry->name.name == "forward";
  Frame frame;
  std::string text;
  for (const spec::Param &param : entry->params) {
    StringRef name = param.name.name;
    // The entry of a language model takes the tokens of a step, and their
    // types.
    bool isTokens = name == "tokens" || name == "types" ||
                    (isForward && entry->params.size() == 1);
    Type type = isTokens ? Type::tensor(Axes{{"token", {}}}) : Type::unknown();
    text += (text.empty() ? "" : ", ") +
            (isTokens ? toString(*type.axes) : name.str());
    if (isTokens || !param.defaultValue)
      frame.vars[name.str()] = std::move(type);
  }
  layers = Layers::No;
  position.reset();
  Type result = runBlock(family.findBlock(entry->name.name), frame,
                         entry->getLoc(), decl->name.name);
  bool isOutput = result.isUnknown() ||
                  (result.is(Type::Kind::Tensor) &&
                   (!result.axes || (hasToken(*result.axes) &&
                                     !featuresOf(*result.axes).empty())));
  if (isForward && !isOutput)
    error(entry->getLoc(),
          "expected an entry to return a tensor with features for each token, "
          "got " +
              result.describe());
  return {entry->name.name.str(), text + " -> " + shortText(result)};
}

/// Whether the family is only a base of others, which may have the names that
/// it lacks: it has no entry, and others derive from it.
static bool isAbstract(const SpecLibrary &library,
                       const spec::FamilyDecl *family) {
  import::Family whole(library, family);
  for (const spec::FamilyDecl *owner : whole.getChain())
    if (llvm::any_of(owner->blocks, [](auto *block) { return block->isEntry; }))
      return false;
  return llvm::any_of(library.getFamilies(), [&](auto *other) {
    return other->base && other->base->name == family->name.name;
  });
}

/// Blocks that no entry reaches are run with arguments of which nothing is
/// known; those of an abstract base in the families that derive from it.
void FamilyChecker::checkUnreached() {
  const SpecLibrary &library = session.getLibrary();
  std::vector<std::pair<const spec::BlockDecl *, StringRef>> blocks;
  for (const spec::FamilyDecl *owner : family.getChain())
    if ((owner == decl) != isAbstract(library, owner))
      for (const spec::BlockDecl *block : owner->blocks)
        if (family.findBlock(block->name.name).decl == block)
          blocks.emplace_back(block, owner->name.name);
  for (auto [block, owner] : blocks) {
    if (reached.count(block))
      continue;
    Frame frame;
    for (const spec::Param &param : block->params)
      if (!param.defaultValue)
        frame.vars[param.name.name.str()] = Type::unknown();
    layers = Layers::Maybe;
    position = Type::unknown();
    runBlock({block, owner}, frame, block->getLoc(), decl->name.name);
  }
}

void FamilyChecker::checkRequirements() {
  if (!decl->config)
    return;
  for (const spec::RequireDecl *requirement : decl->config->requirements) {
    Type type = evalConfig(requirement->condition, Frame::Context::Config, {},
                           Layers::Maybe);
    if (!type.mayBe(Type::Kind::Bool))
      error(requirement->condition->getLoc(),
            "expected true or false, got " + type.describe());
  }
}

void FamilyChecker::checkParts() {
  for (const spec::PartDecl *part : decl->parts) {
    Type config =
        evalConfig(part->config, Frame::Context::Config, {}, Layers::No);
    if (!config.mayBe(Type::Kind::Record))
      error(part->config->getLoc(),
            "expected an object of the configuration for part '" +
                part->name.name + "', got " + config.describe());
    if (!part->at)
      continue;
    Frame frame;
    frame.context = Frame::Context::Config;
    frame.family = decl->name.name;
    address(part->at, frame);
  }
}
