//===- Definitions.h - What fields mean in all families ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Families call the same thing by the same name: how one of them reads a size
// of its configuration is how another may.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_ONBOARD_DEFINITIONS_H
#define CLADE_ONBOARD_DEFINITIONS_H

#include "lib/Import/Config.h"
#include "lib/Import/Family.h"

#include <set>

namespace clade::onboard {

/// One text that families have for a field.
struct Definition {
  std::string head;  ///< 'kind[layer]'
  std::string value; ///< 'layer_types ?? "full_attention"'
  std::set<std::string> keys;
  size_t present = 0; ///< Of the keys, those that the configuration has.
};

class Definitions {
public:
  /// `except` is left out.
  Definitions(const import::SpecLibrary &library, const import::Config &config,
              llvm::StringRef except)
      : library(library), config(config), except(except) {}

  /// All of a field, in the order of the families.
  llvm::ArrayRef<Definition> of(llvm::StringRef field);
  /// The one of a family.
  Definition in(const import::Family &family, llvm::StringRef field) const;
  /// The one that the configuration fits best: that of `family`, or, if the
  /// configuration has none of its keys, that of another, or one with a key of
  /// the same meaning.
  Definition bestFor(const import::Family &family, llvm::StringRef field);
  /// The same where no family is preferred; nothing if none has the field.
  std::optional<Definition> best(llvm::StringRef field);

private:
  Definition make(const import::Family &family,
                  const spec::FieldDecl *decl) const;
  Definition translated(Definition definition) const;

  const import::SpecLibrary &library;
  const import::Config &config;
  llvm::StringRef except;
  std::map<std::string, std::vector<Definition>> known;
};

/// 'kind[layer]' for a per-layer field.
std::string headOf(const spec::FieldDecl *field);

} // namespace clade::onboard

#endif // CLADE_ONBOARD_DEFINITIONS_H
