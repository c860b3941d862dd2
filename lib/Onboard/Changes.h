//===- Changes.h - What may be changed of a family --------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_ONBOARD_CHANGES_H
#define CLADE_ONBOARD_CHANGES_H

#include "lib/Onboard/Draft.h"

namespace clade::onboard {

/// One step from a draft to another.
struct Change {
  std::vector<std::pair<std::string, std::string>> uses, fields;
  std::vector<std::string> ignores;
  std::string says; ///< In words.
  void apply(Draft &draft) const;
};

/// The changes that may bring a draft nearer to the checkpoint: blocks of other
/// families with the fields that they need, fields that read other keys, and
/// constants.
std::vector<Change> changesFor(const import::SpecLibrary &library,
                               const import::Config &config, const Draft &draft,
                               const Fitting &fitting);

/// The families that know a key.
struct KeyReaders {
  std::vector<std::string> reads, ignores;
};
/// `except` is left out.
KeyReaders readersOf(const import::SpecLibrary &library, llvm::StringRef key,
                     llvm::StringRef except);

} // namespace clade::onboard

#endif // CLADE_ONBOARD_CHANGES_H
