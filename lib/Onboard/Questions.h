//===- Questions.h - What a draft leaves open -------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What no change of a family settles is written down: equations for tensors
// under other names, and a 'todo' with its evidence for all else.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_ONBOARD_QUESTIONS_H
#define CLADE_ONBOARD_QUESTIONS_H

#include "lib/Onboard/Draft.h"

namespace clade::onboard {

/// The equations of weights under other names: of several modules that differ
/// in one part of their paths alike, one. Doubts stand in them.
std::vector<std::string> equationsOf(llvm::ArrayRef<Pairing> pairings);
/// One equation for each pairing.
std::vector<std::string> plainEquationsOf(llvm::ArrayRef<Pairing> pairings);

/// Adds what is left of a fitting: keys, weights, tensors, requirements.
void addQuestions(Draft &draft, const import::SpecLibrary &library,
                  const import::Config &config, const Fitting &fitting);

} // namespace clade::onboard

#endif // CLADE_ONBOARD_QUESTIONS_H
