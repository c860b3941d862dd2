//===- Draft.h - A first spec of an unknown family --------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Derives a family from the nearest one: which blocks of other families it
// takes, which keys its fields read, what its tensors are called. Every step is
// tried on the configuration and the header and kept if less is left unsettled.
// What no step settles stands in the text as a 'todo' with the evidence.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_ONBOARD_DRAFT_H
#define CLADE_ONBOARD_DRAFT_H

#include "lib/Onboard/Fitting.h"

namespace clade::onboard {

struct Draft {
  std::string name, base, reference;
  std::vector<std::string> architectures;
  /// Blocks of other families: (family, block).
  std::vector<std::pair<std::string, std::string>> uses;
  /// Fields with their values: ('o_bias', 'attention_out_bias').
  std::vector<std::pair<std::string, std::string>> fields;
  /// Blocks of its own: name and text.
  std::vector<std::pair<std::string, std::string>> blocks;
  /// Of `fields`, those that nothing in the configuration speaks for.
  std::set<std::string> guesses;
  std::vector<std::string> ignores, requirements, equations;
  /// Requirements with a question, which are no part of the text yet.
  std::vector<std::string> questions;

  /// The text of the family, not yet in canonical form.
  std::string text() const;
};

struct DraftResult {
  std::string text; ///< In canonical form.
  Fitting fitting;  ///< Of the draft.
  size_t questions = 0;
  std::vector<std::string> steps; ///< What was tried and kept, in order.
};

/// The draft of a family, derived from `like` or from the nearest family.
/// `name` must not be that of a family. Reports if nothing can be derived.
mlir::FailureOr<DraftResult>
draftFamily(import::SpecLibrary &library, const import::Config &config,
            llvm::ArrayRef<rt::StoredTensor> tensors, llvm::StringRef name,
            const spec::FamilyDecl *like);

} // namespace clade::onboard

#endif // CLADE_ONBOARD_DRAFT_H
