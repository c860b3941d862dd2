//===- TileEmulationTest.cpp - What emulated tiles compute ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tests of products can be trusted as far as the emulation can. What is checked
// here is where Intel's pseudo code differs from a plain sum: in which order
// what is rounded, denormal numbers, signs of bytes and what is refused. Where
// the machine has tiles both are compared.
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/TileEmulation.h"
#include "test/CodeGen/KernelTestSupport.h"
#include "test/CodeGen/ProductHarness.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "runtime/Engine/CpuFeatures.h"
#include <array>
#include <gtest/gtest.h>
#include <random>

using namespace mlir;
using namespace clade::cpu;
using namespace clade::cpu::test;

namespace {

/// Tiles 0, 1 and 2: sums of `rows` by `columns`, and what is multiplied, with
/// `words` pairs or fours of columns.
std::array<uint8_t, 64> configOf(int64_t rows, int64_t columns, int64_t words) {
  std::array<uint8_t, 64> config = {1};
  auto set = [&](int64_t tile, int64_t tileRows, int64_t bytes) {
    config[16 + 2 * tile] = static_cast<uint8_t>(bytes);
    config[48 + tile] = static_cast<uint8_t>(tileRows);
  };
  set(0, rows, 4 * columns);
  set(1, rows, 4 * words);
  set(2, words, 4 * columns);
  return config;
}

void configure(int64_t rows, int64_t columns, int64_t words) {
  tiles::loadConfig(configOf(rows, columns, words).data());
}

/// One sum of bf16: `before` plus the products of `a` and `b`.
float dot(float before, const std::vector<uint16_t> &a,
          const std::vector<uint16_t> &b) {
  int64_t pairs = static_cast<int64_t>(a.size() / 2);
  configure(1, 1, pairs);
  tiles::load(0, &before, 4);
  tiles::load(1, a.data(), 4 * pairs);
  tiles::load(2, b.data(), 4);
  tiles::dotBF16(0, 1, 2);
  float sum;
  tiles::store(0, &sum, 4);
  tiles::release();
  return sum;
}

constexpr uint16_t one = 0x3f80;
/// 2 to the power of `exponent`, a normal number, with more bits set.
uint16_t power(int exponent, int bits = 0) {
  return static_cast<uint16_t>((exponent + 127) << 7 | bits);
}

TEST(TileEmulationTest, EvenAndOddColumnsAreSummedFirst) {
  // Neither half of 2^-23 moves one by itself, both together do.
  EXPECT_EQ(dot(1, {power(-24), power(-24)}, {one, one}), 1 + 0x1p-23f);
  EXPECT_EQ(dot(1, {power(-24), 0, power(-24), 0}, {one, 0, one, 0}),
            1 + 0x1p-23f);
  // In another instruction they are added one after the other.
  float first = dot(1, {power(-24), 0}, {one, 0});
  EXPECT_EQ(dot(first, {power(-24), 0}, {one, 0}), 1);
}

TEST(TileEmulationTest, SumsAreRoundedToEven) {
  // Odd ones: 1 + 2^-24 is a tie, to 1; a little more is not.
  EXPECT_EQ(dot(0, {0, one, 0, power(-24)}, {0, one, 0, one}), 1);
  EXPECT_EQ(dot(0, {0, one, 0, power(-24, 1)}, {0, one, 0, one}), 1 + 0x1p-23f);
  // 1 + 2^-23 and a half more: up, to even.
  EXPECT_EQ(dot(1 + 0x1p-23f, {power(-24), 0}, {one, 0}), 1 + 0x1p-22f);
}

TEST(TileEmulationTest, DenormalNumbersCountAsZero) {
  EXPECT_EQ(dot(0, {0x0040, 0}, {power(100), 0}), 0);
  EXPECT_EQ(dot(0, {power(-100), 0}, {power(-27), 0}), 0);
  EXPECT_EQ(dot(0x1p-127f, {0, 0}, {one, one}), 0);
  EXPECT_EQ(dot(0, {power(-100), 0}, {power(-26), 0}), 0x1p-126f);
  // 2^-126 less 3/4 of the last place that a number there could have: less than
  // the least normal number whatever it is rounded to.
  EXPECT_EQ(dot(0, {power(-126), 0, power(-75, 0x8000), 0},
                {one, 0, power(-76, 0x40), 0}),
            0);
}

TEST(TileEmulationTest, BytesHaveTheSignsOfTheirSides) {
  configure(1, 2, 1);
  std::array<int32_t, 2> sums = {10, 0};
  std::array<int8_t, 4> a = {-128, -1, 127, 1};
  std::array<uint8_t, 8> b = {255, 1, 255, 128, 0, 255, 0, 0};
  tiles::load(0, sums.data(), 8);
  tiles::load(1, a.data(), 4);
  tiles::load(2, b.data(), 8);
  tiles::dotSU8(0, 1, 2);
  tiles::store(0, sums.data(), 8);
  tiles::release();
  EXPECT_EQ(sums[0], 10 - 128 * 255 - 1 + 127 * 255 + 128);
  EXPECT_EQ(sums[1], -255);
}

TEST(TileEmulationTest, RowsLieApartAndOthersAreZero) {
  configure(2, 2, 1);
  const std::array<float, 8> from = {1, 2, -1, -1, 3, 4, -1, -1};
  std::array<float, 6> to;
  to.fill(9);
  tiles::load(0, from.data(), 16);
  tiles::store(0, to.data(), 12);
  EXPECT_EQ(to, (std::array<float, 6>{1, 2, 9, 3, 4, 9}));
  tiles::zero(0);
  tiles::store(0, to.data(), 8);
  EXPECT_EQ(to, (std::array<float, 6>{0, 0, 0, 0, 4, 9}));
  EXPECT_FALSE(tiles::areReleased());
  tiles::release();
  EXPECT_TRUE(tiles::areReleased());
}

TEST(TileEmulationDeathTest, RefusesWhatTheManualDoes) {
  testing::FLAGS_gtest_death_test_style = "fast";
  EXPECT_DEATH(tiles::zero(0), "tiles are not configured");
  configure(2, 3, 4);
  EXPECT_DEATH(tiles::zero(3), "the tile has no configuration");
  EXPECT_DEATH(tiles::dotBF16(0, 1, 1), "expected three tiles");
  EXPECT_DEATH(tiles::dotBF16(1, 0, 2), "the shapes of tiles do not fit");
  tiles::release();
  std::array<uint8_t, 64> config = configOf(17, 1, 1);
  EXPECT_DEATH(tiles::loadConfig(config.data()), "a tile is too large");
  config = configOf(1, 1, 1);
  config[0] = 2;
  EXPECT_DEATH(tiles::loadConfig(config.data()), "expected palette 1");
  config = configOf(1, 1, 1);
  config[48] = 0;
  EXPECT_DEATH(tiles::loadConfig(config.data()), "rows or bytes, and not both");
}

/// sums (f32 or i32 [5][7]) += a * b by the instruction `name`, of 64 bytes of
/// columns.
using MultiplyFunction = void(void *sums, const void *a, const void *b,
                              const void *config);

std::unique_ptr<LoadedCode> compile(MLIRContext *context, StringRef name,
                                    bool isEmulated) {
  Location loc = UnknownLoc::get(context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  addFunction(*module, "multiply", 4, 0,
              [&](OpBuilder &builder, Location loc, ValueRange args) {
                auto call = [&](StringRef intrinsic, ValueRange arguments) {
                  LLVM::CallIntrinsicOp::create(
                      builder, loc, builder.getStringAttr(intrinsic),
                      arguments);
                };
                auto constant = [&](Type type, int64_t value) -> Value {
                  return LLVM::ConstantOp::create(builder, loc, type, value);
                };
                auto number = [&](int64_t tile) {
                  return constant(builder.getI8Type(), tile);
                };
                auto stride = [&](int64_t bytes) {
                  return constant(builder.getI64Type(), bytes);
                };
                call("llvm.x86.ldtilecfg", args[3]);
                call("llvm.x86.tileloadd64", {number(0), args[0], stride(28)});
                call("llvm.x86.tileloadd64", {number(1), args[1], stride(64)});
                call("llvm.x86.tileloadd64", {number(2), args[2], stride(28)});
                call(name, {number(0), number(1), number(2)});
                call("llvm.x86.tilestored64", {number(0), args[0], stride(28)});
                call("llvm.x86.tilerelease", {});
              });
  if (isEmulated) {
    EXPECT_EQ(emulateTiles(*module), 7);
  }
  return LoadedCode::create(
      *module, {"native", "+amx-tile,+amx-bf16,+amx-int8", 3}, {"multiply"});
}

TEST(TileEmulationTest, AgreesWithTheMachine) {
  if (areTilesEmulated())
    GTEST_SKIP() << "this machine has no tiles";
  ASSERT_TRUE(clade::rt::requestRegisters().ok());
  std::unique_ptr<MLIRContext> context = makeContext();
  std::mt19937 random(5);
  std::array<uint8_t, 64> config = configOf(5, 7, 16);
  for (StringRef name : {"llvm.x86.tdpbf16ps", "llvm.x86.tdpbsud"}) {
    auto real = compile(context.get(), name, false),
         emulated = compile(context.get(), name, true);
    ASSERT_TRUE(real && emulated);
    for (int time = 0; time < 1000; ++time) {
      // Exponents about that of one, or, now and then, about the least.
      bool isSmall = time % 8 == 0;
      std::vector<uint16_t> a(5 * 32), b(16 * 14);
      for (std::vector<uint16_t> *numbers : {&a, &b})
        for (uint16_t &bits : *numbers)
          bits = static_cast<uint16_t>((random() & 0x87ff) |
                                       (isSmall ? 0x1c00 : 0x3c00));
      std::vector<uint32_t> first(5 * 7), second;
      for (uint32_t &bits : first)
        bits = (random() & 0x83ffffff) | (isSmall ? 0 : 0x3c000000);
      second = first;
      real->function<MultiplyFunction>("multiply")(first.data(), a.data(),
                                                   b.data(), config.data());
      emulated->function<MultiplyFunction>("multiply")(second.data(), a.data(),
                                                       b.data(), config.data());
      ASSERT_EQ(first, second) << name.str() << " " << time;
    }
  }
}

} // namespace
