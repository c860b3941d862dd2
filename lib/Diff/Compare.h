//===- Compare.h - What is compared of two families -------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIFF_COMPARE_H
#define CLADE_DIFF_COMPARE_H

#include "lib/Diff/FamilyDiff.h"
#include "lib/Import/FieldValues.h"

namespace clade::diff {

/// One of two families, with its configuration if there is one.
struct Side {
  Side(import::SpecLibrary &library, const spec::FamilyDecl *decl,
       std::unique_ptr<import::Config> config);

  import::Family family;
  std::unique_ptr<import::Config> config;
  /// Null without a configuration.
  std::unique_ptr<import::FieldValues> values;
};

/// Texts by name.
using Texts = std::map<std::string, std::string>;
std::vector<Change> compareMaps(const Texts &from, const Texts &to);

// Declarations.cpp. Names of what is in a part begin with the part's name.
Texts servedBy(const Side &side);
/// By dotted key: 'read' or 'ignored'.
Texts keysOf(const Side &side);
/// Fields that are used, as they are written; with `withValues` what they are.
Texts fieldsOf(const Side &side, bool withValues);
Texts requirementsOf(const Side &side);
Texts equationsOf(const Side &side);

// Computation.cpp
/// Steps on all branches, or with `areGiven` on those that the configurations
/// choose, layer by layer.
Section compareComputation(const Side &from, const Side &to, bool areGiven,
                           std::vector<std::string> &notes);
/// Changes next to each other that differ in the last part of the name but one
/// become one: 'self_attn.{k_proj, q_proj}.bias'.
std::vector<Change> mergeSiblings(std::vector<Change> changes);

} // namespace clade::diff

#endif // CLADE_DIFF_COMPARE_H
