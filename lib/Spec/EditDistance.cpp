//===- EditDistance.cpp - The nearest name --------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/EditDistance.h"

#include "llvm/ADT/Twine.h"

using llvm::ArrayRef;
using llvm::StringRef;

std::optional<StringRef>
clade::spec::nearestName(StringRef word, ArrayRef<StringRef> candidates) {
  // A longer word is no slip of the pen, and comparing it would cost time.
  if (word.empty() || word.size() > 200)
    return std::nullopt;
  unsigned allowed = (word.size() + 2) / 3;
  std::optional<StringRef> best;
  for (StringRef candidate : candidates) {
    unsigned distance =
        word.edit_distance(candidate, /*AllowReplacements=*/true, allowed);
    if (distance == 0 || distance > allowed)
      continue;
    best = candidate;
    allowed = distance - 1;
    if (allowed == 0)
      break;
  }
  return best;
}

std::string clade::spec::didYouMean(StringRef word,
                                    ArrayRef<StringRef> candidates) {
  std::optional<StringRef> name = nearestName(word, candidates);
  return name ? ("; did you mean '" + *name + "'?").str() : std::string();
}
