//===- AttentionReference.h - What attention may answer ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Naive attention in intervals of doubles. Each f32 operation of the kernel
// widens its interval by what it may err; each rounding to bf16 is applied to
// both ends, so that intervals mostly shrink to one number again.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_CODEGEN_ATTENTION_ATTENTIONREFERENCE_H
#define CLADE_TEST_CODEGEN_ATTENTION_ATTENTIONREFERENCE_H

#include "test/CodeGen/Attention/AttentionHarness.h"

namespace clade::cpu::test {

struct Interval {
  double low, high;
};

/// The interval of each element of [token][qHeads][valueSize].
std::vector<Interval> attentionIntervals(const AttentionData &data);

} // namespace clade::cpu::test

#endif // CLADE_TEST_CODEGEN_ATTENTION_ATTENTIONREFERENCE_H
