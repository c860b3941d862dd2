//===- EditDistance.h - The nearest name ------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Hints for words that are almost right.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_SPEC_EDITDISTANCE_H
#define CLADE_SPEC_EDITDISTANCE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>

namespace clade::spec {

/// The first of the `candidates` nearest to `word` that is not `word` itself
/// and at most a third of its letters (rounded up) away.
std::optional<llvm::StringRef>
nearestName(llvm::StringRef word, llvm::ArrayRef<llvm::StringRef> candidates);

/// "; did you mean 'name'?" for the nearest name, or an empty string.
std::string didYouMean(llvm::StringRef word,
                       llvm::ArrayRef<llvm::StringRef> candidates);

} // namespace clade::spec

#endif // CLADE_SPEC_EDITDISTANCE_H
