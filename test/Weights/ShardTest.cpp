//===- ShardTest.cpp - Parts of weights before and after moving -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each part of each axis of a weight, as shards of the whole and with slices at
// the sources: the same bytes.
//
//===----------------------------------------------------------------------===//

#include "ModuleFixture.h"
#include "lib/Weights/Compose.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "runtime/Weights/WeightLoader.h"

#include <map>
#include <random>

using namespace clade;

namespace {

class ShardTest : public ModuleFixture {
protected:
  /// The bytes of @w of the module.
  std::vector<std::byte> evaluate() {
    WeightUse use;
    use.function = module->lookupSymbol<wmap::FuncOp>("w");
    use.slots = {0};
    use.layers = {-1};
    auto table = weightTable({use});
    EXPECT_TRUE(mlir::succeeded(table)) << diagnostics;
    if (mlir::failed(table))
      return {};
    std::vector<rt::StoredTensor> tensors;
    for (const auto &[name, tensor] : sources(use.function))
      tensors.push_back(tensor);
    auto loaded =
        rt::loadWeights(*table, rt::WeightSources{tensors, "here", {}});
    EXPECT_TRUE(loaded.ok()) << loaded.status().message();
    if (!loaded.ok())
      return {};
    rt::ByteSpan bytes = loaded->slot(0);
    return {bytes.begin(), bytes.end()};
  }

  /// Small numbers under each name that is read; the same bytes each time.
  std::map<std::string, rt::StoredTensor> sources(wmap::FuncOp function) {
    std::map<std::string, rt::StoredTensor> found;
    function.walk([&](wmap::SourceOp source) {
      auto type = source.getResult().getType();
      std::string name = source.getName().str();
      bool isF32 = type.getElementType().isF32();
      rt::StoredTensor tensor{name,
                              isF32 ? rt::DType::F32 : rt::DType::U8,
                              type.getShape().vec(),
                              {}};
      std::vector<std::byte> &bytes = held[name];
      if (bytes.empty()) {
        std::mt19937 random(static_cast<unsigned>(held.size()));
        for (int64_t i = 0; i < type.getNumElements(); ++i) {
          auto number = static_cast<float>(random() % 97) - 48;
          const auto *from = reinterpret_cast<const std::byte *>(&number);
          if (isF32)
            bytes.insert(bytes.end(), from, from + sizeof(number));
          else
            bytes.push_back(std::byte(random()));
        }
      }
      tensor.bytes = bytes;
      found[name] = tensor;
    });
    return found;
  }

  /// Every part of every axis of a weight in `count` parts. `body` makes %w of
  /// `type`. Gives how many slices were left above another op than a source.
  int check(const std::string &body, const std::string &type, int64_t count) {
    auto whole =
        llvm::dyn_cast<mlir::RankedTensorType>(mlir::parseType(type, &context));
    int left = 0;
    for (int64_t axis = 0; axis < whole.getRank(); ++axis) {
      llvm::SmallVector<int64_t> shape(whole.getShape());
      if (shape[axis] % count != 0)
        continue;
      shape[axis] /= count;
      std::string part;
      llvm::raw_string_ostream(part)
          << mlir::RankedTensorType::get(shape, whole.getElementType());
      for (int64_t number = 0; number < count; ++number) {
        EXPECT_TRUE(parse(
            "wmap.func @w -> " + part + " {\n" + body +
            "\n%part = wmap.shard %w axis " + std::to_string(axis) + " part " +
            std::to_string(number) + " of " + std::to_string(count) + " : " +
            type + " -> " + part + "\nwmap.return %part : " + part + "\n}"))
            << diagnostics;
        std::vector<std::byte> before = evaluate();
        mlir::PassManager passes(&context);
        passes.addPass(mlir::createCanonicalizerPass());
        EXPECT_TRUE(mlir::succeeded(passes.run(*module))) << diagnostics;
        EXPECT_FALSE(before.empty());
        EXPECT_EQ(before == evaluate(), true)
            << "axis " << axis << ", part " << number << " of " << body;
        module->walk([&](wmap::SliceOp slice) {
          left += !slice.getInput().getDefiningOp<wmap::SourceOp>() &&
                  !slice.getInput().getDefiningOp<wmap::SliceOp>();
        });
      }
    }
    held.clear();
    return left;
  }

  std::map<std::string, std::vector<std::byte>> held;
};

TEST_F(ShardTest, Elementwise) {
  EXPECT_EQ(check(R"(
%0 = wmap.source "w" : tensor<8x6xf32>
%1 = wmap.cast %0 : tensor<8x6xf32> -> tensor<8x6xbf16>
%w = wmap.shift %1 by 1.0 : tensor<8x6xbf16> -> tensor<8x6xbf16>)",
                  "tensor<8x6xbf16>", 2),
            0);
}

TEST_F(ShardTest, MovedAndJoined) {
  EXPECT_EQ(check(R"(
%0 = wmap.source "a" : tensor<8x6xf32>
%1 = wmap.source "b" : tensor<6x4xf32>
%2 = wmap.transpose %1 [1, 0] : tensor<6x4xf32> -> tensor<4x6xf32>
%w = wmap.concat %0, %2 axis 0 : (tensor<8x6xf32>, tensor<4x6xf32>) -> tensor<12x6xf32>)",
                  "tensor<12x6xf32>", 3),
            0);
}

TEST_F(ShardTest, Blocks) {
  std::string body = R"(
%0 = wmap.source "w" : tensor<8x16xui8>
%1 = wmap.source "z" : tensor<4x2xf32>
%2 = wmap.source "s" : tensor<4x2xf32>
%3 = wmap.subtract %0 minus %1 blocks [2, 8] : (tensor<8x16xui8>, tensor<4x2xf32>) -> tensor<8x16xf32>
%w = wmap.scale %3 by %2 blocks [2, 8] : (tensor<8x16xf32>, tensor<4x2xf32>) -> tensor<8x16xf32>)";
  EXPECT_EQ(check(body, "tensor<8x16xf32>", 2), 0);
  // An eighth is half a block of either axis.
  EXPECT_EQ(check(body, "tensor<8x16xf32>", 8), 2 * 8);
}

TEST_F(ShardTest, Quotients) {
  EXPECT_EQ(check(R"(
%0 = wmap.source "w" : tensor<8x16xui8>
%1 = wmap.source "s" : tensor<8x4xui8>
%2 = wmap.source "g" : tensor<1x1xf32>
%3 = wmap.divide %1 by %2 blocks [8, 4] : (tensor<8x4xui8>, tensor<1x1xf32>) -> tensor<8x4xf32>
%w = wmap.scale %0 by %3 blocks [1, 4] : (tensor<8x16xui8>, tensor<8x4xf32>) -> tensor<8x16xf32>)",
                  "tensor<8x16xf32>", 2),
            0);
}

TEST_F(ShardTest, Adapters) {
  EXPECT_EQ(check(R"(
%0 = wmap.source "w" : tensor<2x8x6xf32>
%1 = wmap.source "b" : tensor<2x8x4xf32>
%2 = wmap.source "a" : tensor<2x4x6xf32>
%3 = wmap.low_rank %1 by %2 scale 0.5 : (tensor<2x8x4xf32>, tensor<2x4x6xf32>) -> tensor<2x8x6xf32>
%w = wmap.add %0 plus %3 : tensor<2x8x6xf32>, tensor<2x8x6xf32>)",
                  "tensor<2x8x6xf32>", 2),
            0);
}

TEST_F(ShardTest, Heads) {
  std::string body = R"(
%0 = wmap.source "w" : tensor<16x6xf32>
%w = wmap.rope_unpermute %0 heads 4 : tensor<16x6xf32> -> tensor<16x6xf32>)";
  EXPECT_EQ(check(body, "tensor<16x6xf32>", 2), 0);
}

TEST_F(ShardTest, Panels) {
  // Along its other axes a panel is no part of a matrix.
  EXPECT_EQ(check(R"(
%0 = wmap.source "w" : tensor<30x6xf32>
%w = wmap.pack %0 rows 8 inner 1 : tensor<30x6xf32> -> tensor<4x6x8x1xf32>)",
                  "tensor<4x6x8x1xf32>", 2),
            2 * 2);
}

TEST_F(ShardTest, Codes) {
  EXPECT_EQ(check(R"(
%0 = wmap.source "w" : tensor<8x4xui8>
%1 = wmap.bitcast %0 : tensor<8x4xui8> -> tensor<8x8xui4>
%2 = wmap.source "t" : tensor<16xf32>
%3 = wmap.gather %2 by %1 : (tensor<16xf32>, tensor<8x8xui4>) -> tensor<8x8xf32>
%4 = wmap.reshape %3 : tensor<8x8xf32> -> tensor<4x16xf32>
%w = wmap.unit_rows %4 : tensor<4x16xf32> -> tensor<4x16xf32>)",
                  "tensor<4x16xf32>", 2),
            2);
}

} // namespace
