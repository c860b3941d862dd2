//===- NearestName.h - The name that was meant ------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_SUPPORT_NEARESTNAME_H
#define CLADE_RUNTIME_SUPPORT_NEARESTNAME_H

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace clade::rt {

/// The candidate that the fewest insertions, deletions and replacements make of
/// `word`, if those are at most a third of its length; the first of equals.
std::optional<std::string> nearestName(std::string_view word,
                                       std::span<const std::string> candidates);

} // namespace clade::rt

#endif // CLADE_RUNTIME_SUPPORT_NEARESTNAME_H
