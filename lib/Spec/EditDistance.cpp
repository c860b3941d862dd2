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

/// Whether two neighbouring letters of `a`, exchanged, give `b`.
static bool isSwap(StringRef a, StringRef b) {
  if (a.size() != b.size())
    return false;
  size_t i = 0;
  while (i < a.size() && a[i] == b[i])
    ++i;
  return i + 1 < a.size() && a[i] == b[i + 1] && a[i + 1] == b[i] &&
         a.drop_front(i + 2) == b.drop_front(i + 2);
}

/// The edit distance, in which a swap of neighbours counts once; what exceeds
/// `limit` may be any number above it.
static unsigned distance(StringRef word, StringRef candidate, unsigned limit) {
  if (isSwap(word, candidate))
    return 1;
  return word.edit_distance(candidate, /*AllowReplacements=*/true, limit);
}

std::optional<StringRef>
clade::spec::nearestName(StringRef word, ArrayRef<StringRef> candidates) {
  // A longer word is no slip of the pen, and comparing it would cost time.
  if (word.empty() || word.size() > 200)
    return std::nullopt;
  unsigned allowed = (word.size() + 2) / 3;
  std::optional<StringRef> best;
  for (StringRef candidate : candidates) {
    unsigned edits = distance(word, candidate, allowed);
    if (edits == 0 || edits > allowed)
      continue;
    best = candidate;
    allowed = edits - 1;
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
