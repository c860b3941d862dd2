//===- Family.h - A family with its bases -----------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Late binding: which block, field or weight item a name means for the family
// that is being compiled. Order: own, used, base, prelude.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_FAMILY_H
#define CLADE_IMPORT_FAMILY_H

#include "lib/Import/SpecLibrary.h"

namespace clade::import {

/// A block and the family whose text it stands in ('std' for the prelude).
struct FoundBlock {
  const spec::BlockDecl *decl = nullptr;
  llvm::StringRef family;
  explicit operator bool() const { return decl != nullptr; }
};

class Family {
public:
  Family(const SpecLibrary &library, const spec::FamilyDecl *decl);

  llvm::StringRef getName() const { return chain.front()->name.name; }
  /// The family itself, its base, the base's base, …
  llvm::ArrayRef<const spec::FamilyDecl *> getChain() const { return chain; }
  const SpecLibrary &getLibrary() const { return library; }

  /// The block that a bare name means.
  FoundBlock findBlock(llvm::StringRef name) const;
  /// The block of a qualified name 'family.block' or 'std.block'.
  FoundBlock findQualifiedBlock(llvm::StringRef family,
                                llvm::StringRef name) const;
  const spec::FieldDecl *findField(llvm::StringRef name) const;

  /// Names for hints.
  std::vector<std::string> fieldNames() const;
  std::vector<std::string> blockNames() const;

private:
  const SpecLibrary &library;
  std::vector<const spec::FamilyDecl *> chain;
  /// By name, of the nearest family; made at the first question.
  mutable llvm::StringMap<const spec::FieldDecl *> fields;
};

} // namespace clade::import

#endif // CLADE_IMPORT_FAMILY_H
