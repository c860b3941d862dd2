//===- AttentionTest.cpp - Attention against intervals --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every case runs for this machine's CPU and for two older ones, on 1, 2 and 5
// threads, whose results must be the same bits.
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/Attention/AttentionReference.h"
#include "test/CodeGen/KernelTestSupport.h"

#include <cmath>
#include <gtest/gtest.h>

namespace clade::cpu::test {

namespace {

using Sequences = std::vector<SequencePart>;

/// Prefill from nothing, a continued prefill, a decode step, and a short one.
const Sequences mixed = {{0, 37}, {61, 19}, {95, 1}, {3, 2}, {0, 1}};

void expectWithin(const std::vector<float> &actual,
                  const std::vector<Interval> &expected) {
  ASSERT_EQ(actual.size(), expected.size());
  int failures = 0;
  for (size_t i = 0; i < actual.size() && failures < 5; ++i) {
    Interval bounds = expected[i];
    // Written so that a NaN fails.
    if (actual[i] >= bounds.low && actual[i] <= bounds.high)
      continue;
    ++failures;
    ADD_FAILURE() << "element " << i << ": expected " << bounds.low << " to "
                  << bounds.high << ", got " << actual[i];
  }
}

class AttentionTest : public testing::TestWithParam<TestCPU> {
protected:
  /// Compiles `attention` and compares its results for `sequences`.
  void check(const AttentionCase &attention, const Sequences &sequences,
             bool exact = false) {
    SCOPED_TRACE(testing::Message()
                 << attention.qHeads << "/" << attention.kvHeads << " heads of "
                 << attention.keySize << "/" << attention.valueSize
                 << (attention.bf16 ? " bf16" : " f32") << ", window "
                 << attention.window.value_or(0));
    auto compiled = CompiledAttention::create(attention, GetParam());
    ASSERT_TRUE(compiled);
    checkCompiled(*compiled, attention, sequences, exact);
  }

  void checkCompiled(const CompiledAttention &compiled,
                     const AttentionCase &attention, const Sequences &sequences,
                     bool exact = false) {
    AttentionData data(attention, sequences, /*seed=*/7, exact);
    std::vector<float> actual = compiled.run(data, /*threads=*/1);
    expected = attentionIntervals(data);
    expectWithin(actual, expected);
    EXPECT_EQ(compiled.run(data, /*threads=*/2), actual);
    EXPECT_EQ(compiled.run(data, /*threads=*/5), actual);
  }

  std::vector<Interval> expected;
};

TEST_P(AttentionTest, headSizes) {
  for (bool bf16 : {true, false})
    for (int64_t size : {16, 24, 32, 64, 80, 96, 128, 256}) {
      AttentionCase attention;
      attention.bf16 = bf16;
      attention.keySize = attention.valueSize = size;
      attention.scale = 1 / std::sqrt(float(size));
      check(attention, mixed);
    }
}

TEST_P(AttentionTest, oddHeadSizes) {
  for (bool bf16 : {true, false})
    for (auto [keySize, valueSize] : {std::pair{1, 3}, {7, 33}, {67, 1}}) {
      AttentionCase attention;
      attention.bf16 = bf16;
      attention.keySize = keySize;
      attention.valueSize = valueSize;
      check(attention, mixed);
    }
}

TEST_P(AttentionTest, valueSizeDiffersFromKeySize) {
  for (bool bf16 : {true, false})
    for (auto [keySize, valueSize] : {std::pair{192, 128}, {64, 160}}) {
      AttentionCase attention;
      attention.bf16 = bf16;
      attention.keySize = keySize;
      attention.valueSize = valueSize;
      check(attention, mixed);
    }
}

TEST_P(AttentionTest, queryHeadsPerKeyHead) {
  for (bool bf16 : {true, false})
    for (auto [qHeads, kvHeads] : {std::pair{1, 1},
                                   {3, 3},
                                   {8, 4},
                                   {6, 2},
                                   {8, 2},
                                   {5, 1},
                                   {8, 1},
                                   {14, 2},
                                   {9, 1},
                                   {16, 1},
                                   {24, 1},
                                   {71, 1}}) {
      AttentionCase attention;
      attention.bf16 = bf16;
      attention.qHeads = qHeads;
      attention.kvHeads = kvHeads;
      attention.keySize = attention.valueSize = 32;
      check(attention, mixed);
    }
}

/// Contexts of one token are cut into two to eight slices, which begin with
/// pages; beside some that are not cut, and prompts.
TEST_P(AttentionTest, longContexts) {
  const Sequences sequences = {{2600, 1}, {30, 1},   {1023, 1}, {1024, 1},
                               {1500, 9}, {8300, 1}, {0, 1}};
  for (bool bf16 : {true, false})
    for (int64_t window : {0, 1500})
      for (auto [qHeads, kvHeads] : {std::pair{4, 1}, {3, 3}, {20, 2}}) {
        AttentionCase attention;
        attention.bf16 = bf16;
        attention.qHeads = qHeads;
        attention.kvHeads = kvHeads;
        attention.keySize = 24;
        attention.valueSize = 33;
        if (window > 0)
          attention.window = window;
        if (qHeads == 3)
          attention.softcap = 2;
        // Once for each row, however many slices there are.
        attention.hasSinks = qHeads != 3;
        check(attention, sequences);
      }
}

TEST_P(AttentionTest, sinks) {
  for (bool bf16 : {true, false})
    for (bool rounds : {false, true}) {
      AttentionCase attention;
      attention.bf16 = bf16;
      attention.keySize = attention.valueSize = 40;
      attention.referenceRounding = bf16 && rounds;
      attention.hasSinks = true;
      check(attention, mixed, attention.referenceRounding);
    }
}

TEST_P(AttentionTest, bothDirections) {
  const Sequences sequences = {{0, 70}, {0, 1}, {0, 33}, {0, 32}, {0, 5}};
  for (bool bf16 : {true, false})
    for (bool rounds : {false, true}) {
      AttentionCase attention;
      attention.bf16 = bf16;
      attention.qHeads = attention.kvHeads = 3;
      attention.keySize = attention.valueSize = 40;
      attention.referenceRounding = bf16 && rounds;
      attention.isBidirectional = true;
      check(attention, sequences, attention.referenceRounding);
    }
}

/// Only tokens of one number see each other: pages, blocks of keys and tiles
/// hold parts of several groups, or pages have none that a tile sees.
TEST_P(AttentionTest, groups) {
  const Sequences sequences = {{0, 40}, {0, 1}, {0, 33}, {0, 170}};
  for (bool bf16 : {true, false})
    for (int64_t run : {5, 90}) {
      AttentionCase attention;
      attention.bf16 = bf16;
      attention.qHeads = attention.kvHeads = run == 5 ? 3 : 1;
      attention.keySize = attention.valueSize = 40;
      attention.isBidirectional = true;
      attention.groups = 3;
      attention.groupRun = run;
      check(attention, sequences);
    }
}

TEST_P(AttentionTest, windows) {
  const Sequences sequences = {
      {0, 70}, {45, 50}, {500, 1}, {1023, 40}, {31, 1}};
  for (bool bf16 : {true, false})
    for (int64_t window : {1l, 5l, 31l, 32l, 33l, 512l, 100000l, 1l << 40}) {
      AttentionCase attention;
      attention.bf16 = bf16;
      attention.keySize = attention.valueSize = 32;
      attention.window = window;
      check(attention, sequences);
    }
}

TEST_P(AttentionTest, softcap) {
  for (bool bf16 : {true, false}) {
    AttentionCase attention;
    attention.bf16 = bf16;
    attention.softcap = 5.0f;
    attention.scale = 0.5f;
    check(attention, mixed);
  }
}

TEST_P(AttentionTest, largeScoresDoNotOverflow) {
  for (bool bf16 : {true, false}) {
    AttentionCase attention;
    attention.bf16 = bf16;
    attention.scale = 40.0f;
    check(attention, mixed);
  }
}

TEST_P(AttentionTest, referenceRounding) {
  for (int64_t size : {24, 64, 256})
    for (float scale : {0.125f, 0.0883883f}) {
      AttentionCase attention;
      attention.keySize = attention.valueSize = size;
      attention.referenceRounding = true;
      attention.scale = scale;
      check(attention, mixed);
    }
}

/// With products that no order of summation rounds, nearly every element is
/// determined to the last bit.
TEST_P(AttentionTest, referenceRoundingIsExact) {
  for (bool softcap : {false, true}) {
    AttentionCase attention;
    attention.referenceRounding = true;
    if (softcap)
      attention.softcap = 3.0f; // not a power of two: every rounding shows
    check(attention, mixed, /*exact=*/true);
    size_t determined = 0;
    for (Interval bounds : expected)
      determined += bounds.low == bounds.high;
    EXPECT_GT(determined, expected.size() * 9 / 10);
  }
}

TEST_P(AttentionTest, referenceRoundingDiffersFromFused) {
  AttentionCase fused, reference;
  reference.referenceRounding = true;
  AttentionData data(fused, mixed, /*seed=*/7);
  auto first = CompiledAttention::create(fused, GetParam());
  auto second = CompiledAttention::create(reference, GetParam());
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->run(data, 1), second->run(data, 1));
}

TEST_P(AttentionTest, referenceRoundingLeavesF32Alone) {
  AttentionCase fused, reference;
  fused.bf16 = reference.bf16 = false;
  reference.referenceRounding = true;
  AttentionData data(fused, mixed, /*seed=*/7);
  auto first = CompiledAttention::create(fused, GetParam());
  auto second = CompiledAttention::create(reference, GetParam());
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->run(data, 1), second->run(data, 1));
}

TEST_P(AttentionTest, valuesAreTheFirstElementsOfKeys) {
  for (bool bf16 : {true, false}) {
    AttentionCase attention;
    attention.bf16 = bf16;
    attention.hasSharedRows = true;
    attention.qHeads = 40; // More than one tile has rows.
    attention.keySize = 80;
    attention.valueSize = 52;
    check(attention, mixed);
  }
}

TEST_P(AttentionTest, stepsOfManyShapes) {
  AttentionCase attention;
  attention.qHeads = 4;
  attention.kvHeads = 2;
  attention.keySize = attention.valueSize = 32;
  auto compiled = CompiledAttention::create(attention, GetParam());
  ASSERT_TRUE(compiled);
  for (const Sequences &sequences :
       {Sequences{{0, 1}}, Sequences{{0, 2}}, Sequences{{31, 1}},
        Sequences{{32, 1}}, Sequences{{31, 2}}, Sequences{{0, 33}},
        Sequences{{5, 200}}, Sequences{{300, 1}, {301, 1}, {0, 1}, {63, 1}},
        Sequences{{40, 16}, {40, 17}, {40, 15}, {0, 8}, {7, 9}}})
    checkCompiled(*compiled, attention, sequences);
}

INSTANTIATE_TEST_SUITE_P(CPUs, AttentionTest, testing::ValuesIn(productCPUs()),
                         [](const auto &info) { return info.param.name; });

TEST(AttentionScratchTest, growsWithContextUpToTheWindow) {
  auto context = makeContext();
  auto target = Target::resolve(mlir::UnknownLoc::get(context.get()), "native");
  ASSERT_TRUE(succeeded(target));
  AttentionShape shape = {};
  shape.qHeads = 4;
  shape.kvHeads = 1;
  shape.keySize = shape.valueSize = 64;
  shape.elementType = mlir::BFloat16Type::get(context.get());
  AttentionScratch open = attentionScratch(*target, shape);
  EXPECT_EQ(attentionScratchBytes(*target, shape, 1000),
            open.fixedBytes + 1000 * open.bytesPerToken);
  shape.window = 512;
  EXPECT_EQ(attentionScratchBytes(*target, shape, 10000),
            attentionScratchBytes(*target, shape, 20000));
  EXPECT_LT(attentionScratchBytes(*target, shape, 10),
            attentionScratchBytes(*target, shape, 20));
}

} // namespace

} // namespace clade::cpu::test
