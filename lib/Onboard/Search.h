//===- Search.h - From a base to a draft ------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tries one change of a draft after the other on the configuration and the
// header, and keeps what leaves the least unsettled.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_ONBOARD_SEARCH_H
#define CLADE_ONBOARD_SEARCH_H

#include "lib/Onboard/Draft.h"

namespace clade::onboard {

class Search {
public:
  Search(import::SpecLibrary &library, const import::Config &config,
         llvm::ArrayRef<rt::StoredTensor> tensors, llvm::StringRef name)
      : library(library), config(config), tensors(tensors), name(name) {}

  /// A draft from one base, and its fitting, whose cost is with that of the
  /// text; without a family if the base says nothing of the checkpoint.
  std::pair<Draft, Fitting> derive(const spec::FamilyDecl *base,
                                   std::vector<std::string> &steps);
  /// The fitting of a draft; nothing if its text is refused.
  std::optional<Fitting> fitOf(const Draft &draft);

private:
  bool improve(Draft &draft, Fitting &best, std::vector<std::string> &steps);
  void prune(Draft &draft, Fitting &best);

  import::SpecLibrary &library;
  const import::Config &config;
  llvm::ArrayRef<rt::StoredTensor> tensors;
  llvm::StringRef name;
};

} // namespace clade::onboard

#endif // CLADE_ONBOARD_SEARCH_H
