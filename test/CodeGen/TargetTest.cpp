//===- TargetTest.cpp - CPU names, features and tiles ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/Target.h"
#include "test/CodeGen/KernelTestSupport.h"

#include "mlir/IR/Builders.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace clade::cpu;
using namespace clade::cpu::test;

namespace {

class TargetTest : public testing::Test {
protected:
  FailureOr<Target> resolve(StringRef cpu, StringRef features = "") {
    CollectedErrors errors(&context);
    FailureOr<Target> target =
        Target::resolve(UnknownLoc::get(&context), cpu, features);
    message = errors.text();
    return target;
  }

  MLIRContext context;
  Builder builder{&context};
  std::string message;
};

TEST_F(TargetTest, NativeIsMadeExplicit) {
  FailureOr<Target> target = resolve("native");
  ASSERT_TRUE(succeeded(target)) << message;
  EXPECT_NE(target->cpu, "native");
  EXPECT_NE(target->features.find("+sse4.2"), std::string::npos);

  // What it was made to stands for the same target.
  FailureOr<Target> again = resolve(target->cpu, target->features);
  ASSERT_TRUE(succeeded(again)) << message;
  EXPECT_EQ(again->features, target->features);
  EXPECT_EQ(again->width, target->width);
  EXPECT_EQ(again->hasBF16, target->hasBF16);
}

TEST_F(TargetTest, AsksAhead) {
  for (StringRef cpu : {"x86-64-v3", "emeraldrapids", "znver5"})
    EXPECT_TRUE(resolve(cpu)->asksAhead(12)) << cpu.str();
  for (StringRef cpu : {"znver2", "znver3"}) {
    EXPECT_TRUE(resolve(cpu)->asksAhead(1)) << cpu.str();
    EXPECT_TRUE(resolve(cpu)->asksAhead(8)) << cpu.str();
    EXPECT_FALSE(resolve(cpu)->asksAhead(12)) << cpu.str();
  }
  for (StringRef cpu : {"znver4", "aarch64"})
    EXPECT_FALSE(resolve(cpu)->asksAhead(1)) << cpu.str();
}

TEST_F(TargetTest, WidthFollowsFeatures) {
  struct {
    const char *cpu, *features;
    int64_t width, panelRows;
    bool fma, bf16;
  } cases[] = {{"x86-64-v2", "", 4, 16, false, false},
               {"x86-64-v3", "", 8, 16, true, false},
               {"x86-64-v4", "", 16, 32, true, false},
               {"x86-64-v4", "+avx512bf16", 16, 32, true, true},
               {"znver4", "", 16, 32, true, true},
               {"znver4", "-avx512bf16", 16, 32, true, false},
               {"znver4", "-avx512f", 8, 16, true, false},
               {"znver4", "-avx2,-fma,-avx512f", 4, 16, false, false},
               {"x86-64-v2", "+avx2", 8, 16, false, false}};
  for (auto [cpu, features, width, panelRows, fma, bf16] : cases) {
    FailureOr<Target> target = resolve(cpu, features);
    ASSERT_TRUE(succeeded(target)) << message;
    EXPECT_EQ(target->width, width) << cpu << " " << features;
    EXPECT_EQ(target->panelRows, panelRows) << cpu << " " << features;
    EXPECT_EQ(target->hasFMA, fma) << cpu << " " << features;
    EXPECT_EQ(target->hasBF16, bf16) << cpu << " " << features;
  }
}

TEST_F(TargetTest, TilesFollowFeatures) {
  struct {
    const char *cpu, *features;
    bool tiles;
  } cases[] = {{"sapphirerapids", "", true},
               {"graniterapids", "", true},
               {"cooperlake", "", false},
               {"znver4", "", false},
               {"sapphirerapids", "-amx-bf16", false},
               {"x86-64-v3", "+amx-tile,+amx-bf16", true}};
  for (auto [cpu, features, tiles] : cases) {
    FailureOr<Target> target = resolve(cpu, features);
    ASSERT_TRUE(succeeded(target)) << message;
    EXPECT_EQ(target->hasTiles, tiles) << cpu << " " << features;
  }
}

TEST_F(TargetTest, NeedsAreListed) {
  auto needs = [&](StringRef cpu, StringRef features, StringRef feature) {
    FailureOr<Target> target = resolve(cpu, features);
    return succeeded(target) && llvm::is_contained(target->needs, feature);
  };
  EXPECT_TRUE(needs("sapphirerapids", "", "+amx-bf16"));
  EXPECT_TRUE(needs("sapphirerapids", "", "+avx512bf16"));
  EXPECT_FALSE(needs("sapphirerapids", "-amx-tile", "+amx-bf16"));
  EXPECT_FALSE(needs("znver4", "", "+amx-tile"));
  EXPECT_TRUE(needs("x86-64-v3", "", "+avx2"));
  EXPECT_FALSE(needs("x86-64-v3", "", "+avx512f"));
  EXPECT_TRUE(needs("x86-64-v2", "", "+sse4.2"));
  FailureOr<Target> arm = resolve("neoverse-n1");
  ASSERT_TRUE(succeeded(arm)) << message;
  EXPECT_TRUE(arm->needs.empty());
}

TEST_F(TargetTest, ArmHasItsOwnFeatures) {
  struct {
    const char *cpu, *features;
    bool dot;
  } cases[] = {{"aarch64", "", false},
               {"aarch64", "+dotprod", true},
               {"cortex-a76", "", true},
               {"neoverse-n1", "-dotprod", false},
               {"apple-m1", "", true}};
  for (auto [cpu, features, dot] : cases) {
    FailureOr<Target> target = resolve(cpu, features);
    ASSERT_TRUE(succeeded(target)) << message;
    EXPECT_TRUE(target->isArm) << cpu;
    EXPECT_EQ(target->width, 4) << cpu;
    EXPECT_EQ(target->panelRows, 16) << cpu;
    EXPECT_TRUE(target->hasFMA && target->hasF16) << cpu;
    EXPECT_EQ(target->hasSignedDot, dot) << cpu << " " << features;
    EXPECT_EQ(target->triple().substr(0, 8), "aarch64-") << cpu;
  }
  EXPECT_TRUE(failed(resolve("neoverse-n1", "+avx2")));
  EXPECT_EQ(message, "unknown CPU feature 'avx2'\n");
}

TEST_F(TargetTest, TilesDivideWhatTheyTile) {
  for (const char *cpu :
       {"x86-64-v2", "x86-64-v3", "x86-64-v4", "znver4", "aarch64"}) {
    FailureOr<Target> target = resolve(cpu);
    ASSERT_TRUE(succeeded(target)) << message;
    EXPECT_EQ(target->rowTile(TokenClass::One), 1);
    for (TokenClass tokens :
         {TokenClass::One, TokenClass::Few, TokenClass::Many})
      for (Type type :
           {Type(builder.getF32Type()), Type(builder.getBF16Type())}) {
        int64_t rowTile = target->rowTile(tokens);
        int64_t rows = target->registerRows(type, rowTile);
        int64_t columns = target->columnTile(rows);
        EXPECT_EQ(rowTile % rows, 0) << cpu;
        EXPECT_EQ(target->panelRows % columns, 0) << cpu;
        EXPECT_EQ(columns % target->width, 0) << cpu;
        EXPECT_LE(rows * columns, target->accumulators * target->width) << cpu;
      }
  }
}

TEST_F(TargetTest, PaddedSizes) {
  FailureOr<Target> target = resolve("x86-64-v4");
  ASSERT_TRUE(succeeded(target)) << message;
  Type f32 = builder.getF32Type(), bf16 = builder.getBF16Type();
  EXPECT_EQ(target->packedWeightElements(f32, 33, 7), 64 * 7);
  EXPECT_EQ(target->packedWeightElements(bf16, 32, 7), 32 * 8);
  EXPECT_EQ(target->packedActivationElements(f32, 13, 7, 12), 24 * 7);
  EXPECT_EQ(target->packedActivationElements(bf16, 1, 7, 1), 8);
}

TEST_F(TargetTest, TokenClasses) {
  EXPECT_EQ(tokenClassOf(1), TokenClass::One);
  EXPECT_EQ(tokenClassOf(2), TokenClass::Few);
  EXPECT_EQ(tokenClassOf(8), TokenClass::Few);
  EXPECT_EQ(tokenClassOf(9), TokenClass::Many);
}

TEST_F(TargetTest, RefusesWhatItDoesNotKnow) {
  struct {
    const char *cpu, *features, *message;
  } cases[] = {
      {"pentium9", "", "unknown CPU 'pentium9'\n"},
      {"", "", "unknown CPU ''\n"},
      {"x86-64-v3", "+avx9", "unknown CPU feature 'avx9'\n"},
      {"x86-64-v3", "+", "unknown CPU feature ''\n"},
      {"x86-64-v3", "avx2", "expected '+' or '-' before CPU feature 'avx2'\n"},
      {"x86-64", "", "expected a CPU with SSE4.2, got 'x86-64'\n"},
      {"x86-64-v3", "-sse4.2", "expected a CPU with SSE4.2, got 'x86-64-v3'\n"},
      {"i686", "", "expected a 64-bit CPU, got 'i686'\n"}};
  for (auto [cpu, features, expected] : cases) {
    EXPECT_TRUE(failed(resolve(cpu, features))) << cpu << " " << features;
    EXPECT_EQ(message, expected);
  }
}

} // namespace
