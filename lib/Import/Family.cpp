//===- Family.cpp - A family with its bases -------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Family.h"

using namespace clade;
using namespace clade::import;
using llvm::StringRef;

Family::Family(const SpecLibrary &library, const spec::FamilyDecl *decl)
    : library(library) {
  // SpecLibrary::finish has checked that this ends.
  for (; decl;
       decl = decl->base ? library.findFamily(decl->base->name) : nullptr)
    chain.push_back(decl);
}

FoundBlock Family::findBlock(StringRef name) const {
  // A loop, not a recursion: families may use blocks of each other at length.
  // SpecLibrary::finish has checked that this ends.
  std::vector<const spec::FamilyDecl *> declared = chain;
  for (size_t at = 0; at < declared.size(); ++at) {
    const spec::FamilyDecl *family = declared[at];
    if (const spec::BlockDecl *block = family->findBlock(name))
      return {block, family->name.name};
    for (const spec::UseDecl *use : family->uses) {
      if (llvm::none_of(use->names, [&](const spec::Identifier &id) {
            return id.name == name;
          }))
        continue;
      const spec::FamilyDecl *owner = library.findFamily(use->family.name);
      if (!owner)
        return {};
      declared = Family(library, owner).chain;
      at = -1;
      break;
    }
  }
  if (const spec::BlockDecl *block = library.findPreludeBlock(name))
    return {block, "std"};
  return {};
}

FoundBlock Family::findQualifiedBlock(StringRef family, StringRef name) const {
  if (family == "std") {
    const spec::BlockDecl *block = library.findPreludeBlock(name);
    return {block, "std"};
  }
  const spec::FamilyDecl *decl = library.findFamily(family);
  return decl ? Family(library, decl).findBlock(name) : FoundBlock();
}

const spec::FieldDecl *Family::findField(StringRef name) const {
  if (fields.empty())
    for (const spec::FamilyDecl *family : chain)
      if (family->config)
        for (const spec::FieldDecl *field : family->config->fields)
          fields.try_emplace(field->name.name, field);
  return fields.lookup(name);
}

std::vector<std::string> Family::fieldNames() const {
  std::vector<std::string> names;
  for (const spec::FamilyDecl *family : chain)
    if (family->config)
      for (const spec::FieldDecl *field : family->config->fields)
        names.push_back(field->name.name.str());
  return names;
}

std::vector<std::string> Family::blockNames() const {
  std::vector<std::string> names;
  for (const spec::FamilyDecl *family : chain) {
    for (const spec::BlockDecl *block : family->blocks)
      names.push_back(block->name.name.str());
    for (const spec::UseDecl *use : family->uses)
      for (const spec::Identifier &id : use->names)
        names.push_back(id.name.str());
  }
  return names;
}
