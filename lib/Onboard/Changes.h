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
  /// Blocks of its own: name and text.
  std::vector<std::pair<std::string, std::string>> blocks;
  std::vector<std::string> ignores, questions;
  /// Of `fields`, those that nothing in the configuration speaks for.
  std::vector<std::string> guesses;
  std::string says; ///< In words.
  void apply(Draft &draft) const;
};

/// What is tried first, and what only if that does not help.
enum class Effort {
  Fields,   ///< Fields that read other keys, or are constants; keys to ignore.
  Blocks,   ///< A block of another family or a variant of the prelude's, with
            ///< the fields that it needs.
  TwoBlocks ///< Two blocks of one other family, or two variants.
};

/// The changes that may bring a draft nearer to the checkpoint. The library
/// holds the draft under its name.
std::vector<Change> changesFor(const import::SpecLibrary &library,
                               const import::Config &config, const Draft &draft,
                               const Fitting &fitting, Effort effort);

/// Blocks of other families and variants of the prelude's.
std::vector<Change> blockChanges(const import::SpecLibrary &library,
                                 const import::Config &config,
                                 const Draft &draft, Effort effort);
/// Fields that read other keys, or are constants.
std::vector<Change> fieldChanges(const import::SpecLibrary &library,
                                 const import::Config &config,
                                 const Draft &draft, const Fitting &fitting);

/// The families that know a key.
struct KeyReaders {
  std::vector<std::string> reads, ignores;
};
/// `except` is left out.
KeyReaders readersOf(const import::SpecLibrary &library, llvm::StringRef key,
                     llvm::StringRef except);

} // namespace clade::onboard

#endif // CLADE_ONBOARD_CHANGES_H
