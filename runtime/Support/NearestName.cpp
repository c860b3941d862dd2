//===- NearestName.cpp - The name that was meant --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/NearestName.h"

#include <algorithm>
#include <numeric>
#include <vector>

using namespace clade::rt;

/// Levenshtein's distance, one row of its table at a time.
static size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t(0));
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

std::optional<std::string>
clade::rt::nearestName(std::string_view word,
                       std::span<const std::string> candidates) {
  // A longer word is no slip of the pen, and comparing it would cost time.
  if (word.empty() || word.size() > 200)
    return std::nullopt;
  size_t allowed = (word.size() + 2) / 3;
  std::optional<std::string> best;
  for (const std::string &candidate : candidates) {
    size_t edits = editDistance(word, candidate);
    if (edits > allowed || (best && edits == allowed))
      continue;
    best = candidate;
    allowed = edits;
  }
  return best;
}
