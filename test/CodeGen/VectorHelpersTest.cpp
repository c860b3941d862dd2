//===- VectorHelpersTest.cpp - Masks, conversions and packing -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The pieces of vector code, executed on each instruction set.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "test/CodeGen/KernelTestSupport.h"
#include "test/CodeGen/ProductHarness.h"

#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <random>

using namespace mlir;
using namespace clade::cpu;
using namespace clade::cpu::test;

namespace {

class VectorHelpersTest : public testing::TestWithParam<TestCPU> {
protected:
  void SetUp() override {
    context = makeContext();
    FailureOr<Target> resolved = Target::resolve(
        UnknownLoc::get(context.get()), GetParam().cpu, GetParam().features);
    ASSERT_TRUE(succeeded(resolved));
    target = *resolved;
    module = ModuleOp::create(UnknownLoc::get(context.get()));
    f32 = Float32Type::get(context.get());
    bf16 = BFloat16Type::get(context.get());
  }

  std::unique_ptr<LoadedCode> load(ArrayRef<std::string> names) {
    return LoadedCode::create(*module, {target.cpu, target.features, 3}, names);
  }

  std::unique_ptr<MLIRContext> context;
  Target target;
  OwningOpRef<ModuleOp> module;
  Type f32, bf16;
};

using CopyFunction = void(const void *from, void *to);

TEST_P(VectorHelpersTest, MaskedAccessesStayInTheirLanes) {
  std::vector<std::string> names;
  int64_t width = target.width;
  for (Type type : {f32, bf16})
    for (int64_t count = 0; count <= width; ++count) {
      names.push_back((type == bf16 ? "bf16_" : "f32_") +
                      std::to_string(count));
      addFunction(
          *module, names.back(), 2, 0,
          [&, type = type](OpBuilder &b, Location loc, ValueRange args) {
            Value mask = emitConstantMask(b, loc, width, count);
            Value zero = emitIndex(b, loc, 0);
            Value vector = emitMaskedLoad(b, loc, VectorType::get(width, type),
                                          args[0], zero, mask);
            emitStore(b, loc, vector, args[1], zero, mask);
            // The lanes without a mask are loaded as zeros.
            emitStore(b, loc, vector, args[1], emitIndex(b, loc, width));
          });
    }
  std::unique_ptr<LoadedCode> loaded = load(names);
  ASSERT_TRUE(loaded);
  for (int64_t count = 0; count <= width; ++count) {
    std::vector<uint32_t> from(width, 0x40404040), to(2 * width, 0x11111111);
    loaded->function<CopyFunction>(("f32_" + std::to_string(count)).c_str())(
        from.data(), to.data());
    std::vector<uint16_t> halfFrom(width, 0x4040), halfTo(2 * width, 0x1111);
    loaded->function<CopyFunction>(("bf16_" + std::to_string(count)).c_str())(
        halfFrom.data(), halfTo.data());
    for (int64_t i = 0; i < width; ++i) {
      EXPECT_EQ(to[i], i < count ? 0x40404040u : 0x11111111u);
      EXPECT_EQ(to[width + i], i < count ? 0x40404040u : 0u);
      EXPECT_EQ(halfTo[i], i < count ? 0x4040u : 0x1111u);
      EXPECT_EQ(halfTo[width + i], i < count ? 0x4040u : 0u);
    }
  }
}

/// Every kind of f32: all exponents, ties, the neighbours of ties, infinities.
std::vector<float> interestingFloats() {
  std::vector<float> values;
  for (uint32_t sign : {0u, 0x80000000u})
    for (uint32_t exponent = 1; exponent <= 255; ++exponent)
      for (uint32_t mantissa :
           {0x0u, 0x1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu, 0x17fffu, 0x18000u,
            0x18001u, 0x7f7fffu, 0x7f8000u, 0x7fffffu})
        if (exponent < 255 || mantissa == 0)
          values.push_back(
              llvm::bit_cast<float>(sign | exponent << 23 | mantissa));
  values.push_back(0.0f);
  values.push_back(-0.0f);
  return values;
}

TEST_P(VectorHelpersTest, RoundsToNearestEven) {
  int64_t width = target.width;
  addFunction(
      *module, "round", 2, 0, [&](OpBuilder &b, Location loc, ValueRange args) {
        Value zero = emitIndex(b, loc, 0);
        Value x = emitLoad(b, loc, VectorType::get(width, f32), args[0], zero);
        emitStore(b, loc, emitRoundToBF16(b, loc, x), args[1], zero);
      });
  addFunction(
      *module, "widen", 2, 0, [&](OpBuilder &b, Location loc, ValueRange args) {
        Value zero = emitIndex(b, loc, 0);
        Value x = emitLoad(b, loc, VectorType::get(width, bf16), args[0], zero);
        emitStore(b, loc, emitWiden(b, loc, x), args[1], zero);
      });
  std::unique_ptr<LoadedCode> loaded = load({"round", "widen"});
  ASSERT_TRUE(loaded);
  std::vector<float> values = interestingFloats();
  values.resize(llvm::alignTo(values.size(), width));
  for (size_t i = 0; i < values.size(); i += width) {
    std::vector<uint16_t> rounded(width);
    std::vector<float> widened(width);
    loaded->function<CopyFunction>("round")(&values[i], rounded.data());
    loaded->function<CopyFunction>("widen")(rounded.data(), widened.data());
    for (int64_t lane = 0; lane < width; ++lane) {
      EXPECT_EQ(rounded[lane], roundToBF16(values[i + lane]))
          << values[i + lane];
      EXPECT_EQ(widened[lane], widenBF16(rounded[lane])) << values[i + lane];
    }
  }
  std::vector<float> nan(width, llvm::bit_cast<float>(0x7f800001u));
  std::vector<uint16_t> rounded(width);
  loaded->function<CopyFunction>("round")(nan.data(), rounded.data());
  for (uint16_t bits : rounded)
    EXPECT_TRUE(std::isnan(widenBF16(bits))) << bits;
}

/// `packed`, all ones before, holds `matrix`, zeros up to a whole `depth`, and
/// nothing else.
void checkPacked(const Target &target, const Buffer &packed,
                 const std::vector<float> &matrix, int64_t rows, int64_t k,
                 int64_t tile, Type type) {
  bool isBF16 = type.isBF16(), isWide = target.activationBytes(type) == 4;
  int64_t depth = target.activationDepth(type), pack = isWide ? 1 : depth,
          size = isWide ? 4 : 2;
  int64_t paddedK = llvm::alignTo(k, depth);
  std::vector<char> expected(packed.size() + 64, char(0xff));
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < paddedK; ++column) {
      float value = column < k ? matrix[row * k + column] : 0;
      if (isBF16)
        value = widenBF16(roundToBF16(value));
      uint32_t bits = llvm::bit_cast<uint32_t>(value);
      if (!isWide)
        bits >>= 16;
      int64_t index = packedIndex(row, column, paddedK, tile, pack);
      std::memcpy(&expected[index * size], &bits, size);
    }
  EXPECT_EQ(std::memcmp(packed.as<void>(), expected.data(), expected.size()), 0)
      << "row tile " << tile << " k " << k << (isBF16 ? " bf16" : " f32");
}

TEST_P(VectorHelpersTest, PacksRows) {
  struct Shape {
    Type type;
    int64_t rowTile, k, lanes;
  };
  std::vector<Shape> shapes;
  for (Type type : {f32, bf16})
    for (int64_t rowTile : {1, 4, 8, 12})
      for (int64_t k : {1, 2, 15, 16, 31, 32, 33, 65})
        for (int64_t lanes : {target.width, 2 * target.width})
          shapes.push_back({type, rowTile, k, lanes});
  std::vector<std::string> names;
  for (auto [i, shape] : llvm::enumerate(shapes)) {
    names.push_back("pack" + std::to_string(i));
    addPackFunction(*module, names.back(), target, shape.type, shape.rowTile,
                    shape.k, shape.lanes);
  }
  std::unique_ptr<LoadedCode> loaded = load(names);
  ASSERT_TRUE(loaded);
  constexpr int64_t kRows = 13;
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (auto [i, shape] : llvm::enumerate(shapes)) {
    int64_t stride = llvm::alignTo(shape.k, shape.lanes);
    std::vector<float> x(kRows * stride,
                         std::numeric_limits<float>::quiet_NaN());
    std::vector<float> matrix;
    for (int64_t row = 0; row < kRows; ++row)
      for (int64_t column = 0; column < shape.k; ++column)
        matrix.push_back(x[row * stride + column] = uniform(random));
    Buffer packed(target.packedActivationElements(shape.type, kRows, shape.k,
                                                  shape.rowTile) *
                  target.activationBytes(shape.type));
    std::memset(packed.as<void>(), 0xff, packed.size() + 64);
    loaded->function<PackFunction>(names[i].c_str())(x.data(),
                                                     packed.as<void>(), kRows);
    checkPacked(target, packed, matrix, kRows, shape.k, shape.rowTile,
                shape.type);
  }
}

INSTANTIATE_TEST_SUITE_P(All, VectorHelpersTest,
                         testing::ValuesIn(productCPUs()),
                         [](const auto &info) {
                           return std::string(info.param.name);
                         });

} // namespace
