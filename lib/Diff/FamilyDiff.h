//===- FamilyDiff.h - The difference in meaning of two families -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Texts do not matter: blocks are followed to what they compute, names in them
// to the fields that they mean. Two families that compute the same in other
// words, or inherit it from elsewhere, do not differ.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIFF_FAMILYDIFF_H
#define CLADE_DIFF_FAMILYDIFF_H

#include "lib/Import/Import.h"

namespace clade::diff {

/// One difference: what is only in the second family was added.
struct Change {
  enum class Kind { Added, Removed, Changed };

  Kind kind;
  std::string name;     ///< A key, a field, a step, a tensor.
  std::string from, to; ///< Empty where there is nothing.
  std::string where;    ///< Of steps: 'forward', 'forward, each layer'.
};

/// Differences of one sort, in order.
struct Section {
  std::string name;  ///< For programs: 'fields'.
  std::string title; ///< For readers.
  std::vector<Change> changes;
};

struct FamilyDiff {
  std::vector<Section> sections;
  /// 'qwen3 = qwen2 + rms_norm at q_norm - bias of q_proj'.
  std::string summary;
  /// What could not be compared, and why.
  std::vector<std::string> notes;

  bool isEmpty() const;
};

/// A configuration for a family: keys that it does not read are left out.
/// Nothing if there is none.
using ConfigSource = llvm::function_ref<std::unique_ptr<import::Config>(
    const spec::FamilyDecl *)>;

/// Compares two families that the checks accept. `configs` gives each the
/// configuration for its weights; with `areGiven` it is that of a model, whose
/// values choose the branches and are shown.
FamilyDiff compareFamilies(import::SpecLibrary &library,
                           const spec::FamilyDecl *from,
                           const spec::FamilyDecl *to, ConfigSource configs,
                           bool areGiven);

} // namespace clade::diff

#endif // CLADE_DIFF_FAMILYDIFF_H
