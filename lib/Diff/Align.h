//===- Align.h - Which steps of two families are the same -------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIFF_ALIGN_H
#define CLADE_DIFF_ALIGN_H

#include "lib/Diff/Trace.h"

namespace clade::diff {

/// A pair of steps that stand for each other; one side is missing where a step
/// was added or removed.
struct Pair {
  std::optional<unsigned> from, to;
};

/// Pairs the steps of two traces so that their order is kept and as much as
/// possible agrees: Needleman and Wunsch, 1970.
std::vector<Pair> align(const Trace &from, const Trace &to);

/// What differs in a pair, in words: 'bias: true -> qkv_bias', 'at h -> at x',
/// 'takes q_norm, not q_proj'. Empty if nothing does, or if only the inputs do
/// and the steps that were added or removed say so.
std::vector<std::string> differences(const Pair &pair,
                                     llvm::ArrayRef<Pair> pairs,
                                     const Trace &from, const Trace &to);

} // namespace clade::diff

#endif // CLADE_DIFF_ALIGN_H
