//===- Words.cpp - What the text of a family names ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Words.h"

#include "lib/Import/Reach.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace clade;
using namespace clade::onboard;
using llvm::StringRef;

StringRef onboard::textOf(const spec::Node &node) {
  spec::SourceRange range = node.getRange();
  return StringRef(range.Start.getPointer(),
                   range.End.getPointer() - range.Start.getPointer())
      .trim();
}

static bool isNamePart(char c) { return llvm::isAlnum(c) || c == '_'; }

static void addNames(StringRef text, llvm::StringSet<> &names) {
  while (!text.empty()) {
    text = text.drop_until(isNamePart);
    StringRef name = text.take_while(isNamePart);
    names.insert(name);
    text = text.drop_front(name.size());
  }
}

/// The names of the addresses in a text: what stands behind 'at'.
static void addAddresses(StringRef text, llvm::StringSet<> &names) {
  constexpr llvm::StringLiteral at = " at ";
  for (size_t found = text.find(at); found != StringRef::npos;
       found = text.find(at, found + 1))
    addNames(text.drop_front(found + at.size()).take_while([](char c) {
      return isNamePart(c) || StringRef("./{}").contains(c);
    }),
             names);
}

size_t onboard::strangers(const import::SpecLibrary &library,
                          const spec::FamilyDecl *decl,
                          llvm::ArrayRef<TensorGroup> groups) {
  import::Family family(library, decl);
  import::Reach reach(family);
  reach.walkFamily();
  llvm::StringSet<> names;
  for (const spec::BlockDecl *block : reach.getBlocks())
    addAddresses(textOf(*block), names);
  for (const spec::FamilyDecl *one : family.getChain()) {
    for (const spec::BlockDecl *block : one->blocks)
      if (block->isEntry)
        addAddresses(textOf(*block), names);
    if (one->weights)
      addNames(textOf(*one->weights), names);
  }
  return llvm::count_if(groups, [&](const TensorGroup &group) {
    return !names.contains(moduleOf(group.name).rsplit('.').second) &&
           !names.contains(moduleOf(group.name));
  });
}
