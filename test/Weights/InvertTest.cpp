//===- InvertTest.cpp - Tests of the way back -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Published tensors of counted elements go through the table of a mapping and
// then through that of its inverse, both run by the runtime: what comes back is
// compared bit for bit.
//
//===----------------------------------------------------------------------===//

#include "lib/Weights/Invert.h"

#include "ModuleFixture.h"
#include "lib/Weights/Serialize.h"
#include "mlir/IR/Verifier.h"
#include "runtime/Weights/WeightLoader.h"

#include <cstring>
#include <map>

using namespace clade;

namespace {

/// Tensors with bytes of their own, sorted by name.
class Tensors {
public:
  void add(const std::string &name, rt::DType dtype,
           const std::vector<int64_t> &shape, rt::ByteSpan bytes) {
    std::vector<std::byte> &copy = held[name];
    copy.assign(bytes.begin(), bytes.end());
    rt::StoredTensor tensor;
    tensor.name = name;
    tensor.dtype = dtype;
    tensor.shape = shape;
    tensor.bytes = copy;
    all[name] = tensor;
  }
  std::vector<rt::StoredTensor> list() const {
    std::vector<rt::StoredTensor> tensors;
    for (const auto &[name, tensor] : all)
      tensors.push_back(tensor);
    return tensors;
  }
  const rt::StoredTensor *find(const std::string &name) const {
    auto it = all.find(name);
    return it == all.end() ? nullptr : &it->second;
  }

private:
  std::map<std::string, std::vector<std::byte>> held;
  std::map<std::string, rt::StoredTensor> all;
};

class InvertTest : public ModuleFixture {
protected:
  /// A module whose entry uses all of `functions`, or whose two layers do.
  bool build(const std::string &functions, bool inLayers = false) {
    std::string text = functions, params;
    if (!parse(functions))
      return false;
    int number = 0;
    module->walk([&](wmap::FuncOp function) {
      std::string type;
      llvm::raw_string_ostream os(type);
      auto tensor =
          llvm::cast<mlir::RankedTensorType>(function.getResultType());
      os << "!clade.tensor<[";
      for (auto [axis, size] : llvm::enumerate(tensor.getShape()))
        os << (axis ? ", " : "") << "a" << axis << " = " << size;
      os << "], " << tensor.getElementType() << ">";
      params += "  %p" + std::to_string(number++) + " = clade.param @\"" +
                function.getSymName().str() + "\" : " + type + "\n";
    });
    text += "func.func @main() attributes {clade.entry} {\n" +
            (inLayers ? "" : params) + "  return\n}\nfunc.func @kind() {\n" +
            (inLayers ? params : "") +
            "  return\n}\n"
            "clade.schedule @layers kinds [@kind] rows [0, 0]\n";
    return parse(text);
  }

  /// The bytes of a source of `bytes` bytes that are no padding.
  static size_t contentOf(wmap::SourceOp source, size_t bytes) {
    for (mlir::Operation *user : source->getUsers())
      if (user->hasAttr(paddingAttr)) {
        auto kept =
            llvm::cast<mlir::RankedTensorType>(user->getResult(0).getType());
        return bytes * kept.getDimSize(0) /
               source.getResult().getType().getDimSize(0);
      }
    return bytes;
  }

  /// Each source of the mapping, in each of two layers, with elements that
  /// count up.
  Tensors published() {
    Tensors tensors;
    module->walk([&](wmap::SourceOp source) {
      auto type =
          llvm::cast<mlir::RankedTensorType>(source.getResult().getType());
      int64_t experts = source.getStack().value_or(1);
      llvm::ArrayRef<int64_t> shape = type.getShape();
      if (source.getStack())
        shape = shape.drop_front();
      size_t bytes = type.getNumElements() / experts *
                     (type.getElementType().getIntOrFloatBitWidth() / 8);
      std::vector<std::byte> data(bytes);
      for (int64_t layer : {0, 1})
        for (int64_t expert = 0; expert < experts; ++expert) {
          std::string name =
              withExpert(withLayer(source.getName(), layer), expert);
          for (size_t i = 0; i < bytes; ++i)
            data[i] = i < contentOf(source, bytes)
                          ? static_cast<std::byte>(i % 119 + layer +
                                                   2 * expert + name.size())
                          : std::byte(0);
          tensors.add(name,
                      type.getElementType().isBF16() ? rt::DType::BF16
                                                     : rt::DType::F32,
                      shape.vec(), data);
        }
    });
    return tensors;
  }

  static std::optional<rt::LoadedWeights>
  load(llvm::ArrayRef<WeightUse> uses,
       const std::vector<rt::StoredTensor> &from, rt::WeightTable &table) {
    auto text = serializeWeights(uses);
    if (failed(text))
      return std::nullopt;
    auto read = rt::WeightTable::parse(*text, "table");
    EXPECT_TRUE(read.ok()) << read.status().message() << *text;
    if (!read.ok())
      return std::nullopt;
    table = *read;
    auto loaded = rt::loadWeights(table, rt::WeightSources{from, "test", {}});
    EXPECT_TRUE(loaded.ok()) << loaded.status().message();
    return loaded.ok() ? std::optional(std::move(*loaded)) : std::nullopt;
  }

  /// There and back; the names that came back.
  std::vector<std::string> roundTrip() {
    auto slots = assignSlots(*module);
    if (failed(slots))
      return {};
    inverse = invertWeights(*module, *slots);
    EXPECT_TRUE(mlir::succeeded(mlir::verify(*inverse.module))) << diagnostics;
    Tensors original = published(), compiled;
    auto uses = collectUses(*module, *slots);
    rt::WeightTable table;
    std::vector<rt::StoredTensor> from = original.list();
    auto loaded = load(uses, from, table);
    if (!loaded)
      return {};
    for (auto [use, entry] : llvm::zip_equal(uses, table.entries))
      for (auto [slot, layer] : llvm::zip_equal(use.slots, use.layers))
        compiled.add(withLayer(compiledName(use), layer), entry.program.dtype,
                     entry.program.shape, loaded->slot(slot));
    std::vector<rt::StoredTensor> middle = compiled.list();
    if (inverse.uses.empty())
      return {};
    auto back = load(inverse.uses, middle, table);
    if (!back)
      return {};
    for (auto [slot, name] : llvm::enumerate(inverse.tensors)) {
      const rt::StoredTensor *expected = original.find(name);
      EXPECT_TRUE(expected) << name;
      rt::ByteSpan bytes = back->slot(static_cast<int32_t>(slot));
      EXPECT_TRUE(expected && std::ranges::equal(expected->bytes, bytes))
          << name;
    }
    return inverse.tensors;
  }

  InverseWeights inverse;
};

using Names = std::vector<std::string>;

TEST_F(InvertTest, ConcatenatedAndPacked) {
  ASSERT_TRUE(build(R"(
wmap.func @qkv -> tensor<2x3x16x2xbf16> {
  %q = wmap.source "q" : tensor<3x4x6xbf16>
  %k = wmap.source "k" : tensor<5x6xbf16>
  %0 = wmap.reshape %q : tensor<3x4x6xbf16> -> tensor<12x6xbf16>
  %1 = wmap.concat %0, %k axis 0 : (tensor<12x6xbf16>, tensor<5x6xbf16>) -> tensor<17x6xbf16>
  %2 = wmap.pack %1 rows 16 inner 2 : tensor<17x6xbf16> -> tensor<2x3x16x2xbf16>
  wmap.return %2 : tensor<2x3x16x2xbf16>
})"));
  EXPECT_EQ(roundTrip(), (Names{"q", "k"}));
  EXPECT_TRUE(inverse.losses.empty());
}

TEST_F(InvertTest, PaddedInBothAxes) {
  ASSERT_TRUE(build(R"(
wmap.func @w -> tensor<1x3x16x2xbf16> {
  %0 = wmap.source "w" : tensor<5x5xbf16>
  %1 = wmap.pack %0 rows 16 inner 2 : tensor<5x5xbf16> -> tensor<1x3x16x2xbf16>
  wmap.return %1 : tensor<1x3x16x2xbf16>
})"));
  EXPECT_EQ(roundTrip(), Names{"w"});
}

TEST_F(InvertTest, RowsThatAFileIsPaddedWith) {
  ASSERT_TRUE(build(R"(
wmap.func @w -> tensor<5x2x3xbf16> {
  %0 = wmap.source "w" : tensor<8x2x3xbf16>
  %1 = wmap.slice %0 axis 0 from 0 {wmap.padding} : tensor<8x2x3xbf16> -> tensor<5x2x3xbf16>
  wmap.return %1 : tensor<5x2x3xbf16>
}
wmap.func @v -> tensor<5xf32> {
  %0 = wmap.source "v" : tensor<128xf32>
  %1 = wmap.slice %0 axis 0 from 0 {wmap.padding} : tensor<128xf32> -> tensor<5xf32>
  wmap.return %1 : tensor<5xf32>
})"));
  EXPECT_EQ(roundTrip(), (Names{"w", "v"}));
  EXPECT_TRUE(inverse.losses.empty());
}

TEST_F(InvertTest, TooManyRowsOfPadding) {
  ASSERT_TRUE(build(R"(
wmap.func @w -> tensor<5xf32> {
  %0 = wmap.source "w" : tensor<65537xf32>
  %1 = wmap.slice %0 axis 0 from 0 {wmap.padding} : tensor<65537xf32> -> tensor<5xf32>
  wmap.return %1 : tensor<5xf32>
})"));
  EXPECT_EQ(roundTrip(), Names{});
  ASSERT_EQ(inverse.losses.size(), 1u);
  EXPECT_EQ(inverse.losses[0].reason,
            "zeros are put behind at most 65536 rows");
}

TEST_F(InvertTest, TransposedCastAndPermuted) {
  ASSERT_TRUE(build(R"(
wmap.func @a -> tensor<4x2x3xf32> {
  %0 = wmap.source "a" : tensor<2x3x4xbf16>
  %1 = wmap.cast %0 : tensor<2x3x4xbf16> -> tensor<2x3x4xf32>
  %2 = wmap.transpose %1 [2, 0, 1] : tensor<2x3x4xf32> -> tensor<4x2x3xf32>
  wmap.return %2 : tensor<4x2x3xf32>
}
wmap.func @b -> tensor<12x3xf32> {
  %0 = wmap.source "b" : tensor<12x3xf32>
  %1 = wmap.rope_unpermute %0 heads 2 : tensor<12x3xf32> -> tensor<12x3xf32>
  wmap.return %1 : tensor<12x3xf32>
})"));
  EXPECT_EQ(roundTrip(), (Names{"a", "b"}));
}

TEST_F(InvertTest, SlicesOfSeveralWeightsMeet) {
  ASSERT_TRUE(build(R"(
wmap.func @v -> tensor<3x4xf32> {
  %0 = wmap.source "pack" : tensor<9x4xf32>
  %1 = wmap.slice %0 axis 0 from 6 : tensor<9x4xf32> -> tensor<3x4xf32>
  wmap.return %1 : tensor<3x4xf32>
}
wmap.func @qk -> tensor<6x4xf32> {
  %0 = wmap.source "pack" : tensor<9x4xf32>
  %1 = wmap.slice %0 axis 0 from 3 : tensor<9x4xf32> -> tensor<3x4xf32>
  %2 = wmap.slice %0 axis 0 from 0 : tensor<9x4xf32> -> tensor<3x4xf32>
  %3 = wmap.concat %1, %2 axis 0 : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<6x4xf32>
  wmap.return %3 : tensor<6x4xf32>
})"));
  EXPECT_EQ(roundTrip(), Names{"pack"});
}

TEST_F(InvertTest, ShardsOfAllDevicesMeet) {
  const char *shard = R"(
wmap.func @w%n -> tensor<3x4xf32> {
  %0 = wmap.source "w" : tensor<6x4xf32>
  %1 = wmap.shard %0 axis 0 part %n of 2 : tensor<6x4xf32> -> tensor<3x4xf32>
  wmap.return %1 : tensor<3x4xf32>
})";
  auto part = [&](char number) {
    std::string text = shard;
    for (size_t at; (at = text.find("%n")) != std::string::npos;)
      text.replace(at, 2, 1, number);
    return text;
  };
  ASSERT_TRUE(build(part('1') + part('0')));
  EXPECT_EQ(roundTrip(), Names{"w"});
  ASSERT_TRUE(build(part('1')));
  EXPECT_EQ(roundTrip(), Names{});
  ASSERT_EQ(inverse.losses.size(), 1u);
  EXPECT_EQ(inverse.losses[0].reason, "the weights hold 0 of 6 along axis 0");
}

TEST_F(InvertTest, SlicesBehindAReshape) {
  ASSERT_TRUE(build(R"(
wmap.func @k -> tensor<2x3x4xf32> {
  %0 = wmap.source "kv" : tensor<10x4xf32>
  %1 = wmap.reshape %0 : tensor<10x4xf32> -> tensor<2x5x4xf32>
  %2 = wmap.slice %1 axis 1 from 0 : tensor<2x5x4xf32> -> tensor<2x3x4xf32>
  wmap.return %2 : tensor<2x3x4xf32>
}
wmap.func @v -> tensor<2x2x4xf32> {
  %0 = wmap.source "kv" : tensor<10x4xf32>
  %1 = wmap.reshape %0 : tensor<10x4xf32> -> tensor<2x5x4xf32>
  %2 = wmap.slice %1 axis 1 from 3 : tensor<2x5x4xf32> -> tensor<2x2x4xf32>
  wmap.return %2 : tensor<2x2x4xf32>
})"));
  EXPECT_EQ(roundTrip(), Names{"kv"});
}

TEST_F(InvertTest, EachExpertHasItsOwn) {
  ASSERT_TRUE(build(R"(
wmap.func @gate_up -> tensor<2x1x2x16x2xf32> {
  %0 = wmap.source "experts.{expert}.gate" {stack = 2 : i64} : tensor<2x3x4xf32>
  %1 = wmap.source "experts.{expert}.up" {stack = 2 : i64} : tensor<2x3x4xf32>
  %2 = wmap.concat %0, %1 axis 1 : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x6x4xf32>
  %3 = wmap.pack %2 rows 16 inner 2 : tensor<2x6x4xf32> -> tensor<2x1x2x16x2xf32>
  wmap.return %3 : tensor<2x1x2x16x2xf32>
})"));
  EXPECT_EQ(roundTrip(), (Names{"experts.0.gate", "experts.1.gate",
                                "experts.0.up", "experts.1.up"}));
  EXPECT_TRUE(inverse.losses.empty());
}

TEST_F(InvertTest, PublishedStackSplitAndFusedAgain) {
  ASSERT_TRUE(build(R"(
wmap.func @up_gate -> tensor<2x6x4xf32> {
  %0 = wmap.source "gate_up" : tensor<2x6x4xf32>
  %1 = wmap.slice %0 axis 1 from 3 : tensor<2x6x4xf32> -> tensor<2x3x4xf32>
  %2 = wmap.slice %0 axis 1 from 0 : tensor<2x6x4xf32> -> tensor<2x3x4xf32>
  %3 = wmap.concat %1, %2 axis 1 : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x6x4xf32>
  wmap.return %3 : tensor<2x6x4xf32>
})"));
  EXPECT_EQ(roundTrip(), Names{"gate_up"});
}

TEST_F(InvertTest, EachLayerHasItsOwn) {
  ASSERT_TRUE(build(R"(
wmap.func @"l.{layer}.up" -> tensor<3x2xf32> {
  %0 = wmap.source "l.{layer}.up" : tensor<2x3xf32>
  %1 = wmap.transpose %0 [1, 0] : tensor<2x3xf32> -> tensor<3x2xf32>
  wmap.return %1 : tensor<3x2xf32>
}
wmap.func @nameless -> tensor<3xf32> {
  %0 = wmap.source "l.{layer}.norm" : tensor<3xf32>
  wmap.return %0 : tensor<3xf32>
})",
                    /*inLayers=*/true));
  EXPECT_EQ(roundTrip(), (Names{"l.0.up", "l.1.up", "l.0.norm", "l.1.norm"}));
}

TEST_F(InvertTest, ATiedTensorComesBackOnce) {
  ASSERT_TRUE(build(R"(
wmap.func @embed -> tensor<4x2xf32> {
  %0 = wmap.source "embed" : tensor<4x2xf32>
  wmap.return %0 : tensor<4x2xf32>
}
wmap.func @head -> tensor<1x2x16x1xf32> {
  %0 = wmap.source "embed" : tensor<4x2xf32>
  %1 = wmap.pack %0 rows 16 inner 1 : tensor<4x2xf32> -> tensor<1x2x16x1xf32>
  wmap.return %1 : tensor<1x2x16x1xf32>
})"));
  EXPECT_EQ(roundTrip(), Names{"embed"});
}

TEST_F(InvertTest, NamesWhatIsLost) {
  ASSERT_TRUE(build(R"(
wmap.func @cast -> tensor<4xbf16> {
  %0 = wmap.source "narrowed" : tensor<4xf32>
  %1 = wmap.cast %0 : tensor<4xf32> -> tensor<4xbf16>
  wmap.return %1 : tensor<4xbf16>
}
wmap.func @shift -> tensor<4xf32> {
  %0 = wmap.source "shifted" : tensor<4xf32>
  %1 = wmap.shift %0 by -1.0 : tensor<4xf32> -> tensor<4xf32>
  wmap.return %1 : tensor<4xf32>
}
wmap.func @part -> tensor<2x3xf32> {
  %0 = wmap.source "cut" : tensor<5x3xf32>
  %1 = wmap.slice %0 axis 0 from 0 : tensor<5x3xf32> -> tensor<2x3xf32>
  wmap.return %1 : tensor<2x3xf32>
}
wmap.func @kept -> tensor<4xf32> {
  %0 = wmap.source "kept" : tensor<4xf32>
  wmap.return %0 : tensor<4xf32>
})"));
  EXPECT_EQ(roundTrip(), Names{"kept"});
  ASSERT_EQ(inverse.losses.size(), 3u);
  EXPECT_EQ(inverse.losses[0],
            (WeightLoss{"narrowed", "cast from f32 to bf16"}));
  EXPECT_EQ(inverse.losses[1],
            (WeightLoss{"shifted", "'wmap.shift' has no exact inverse"}));
  EXPECT_EQ(inverse.losses[2],
            (WeightLoss{"cut", "the weights hold 2 of 5 along axis 0"}));
}

TEST_F(InvertTest, AnExactUseSavesALossyOne) {
  ASSERT_TRUE(build(R"(
wmap.func @narrow -> tensor<4xbf16> {
  %0 = wmap.source "w" : tensor<4xf32>
  %1 = wmap.cast %0 : tensor<4xf32> -> tensor<4xbf16>
  wmap.return %1 : tensor<4xbf16>
}
wmap.func @wide -> tensor<4xf32> {
  %0 = wmap.source "w" : tensor<4xf32>
  wmap.return %0 : tensor<4xf32>
})"));
  EXPECT_EQ(roundTrip(), Names{"w"});
}

TEST_F(InvertTest, ABitcastThatKeepsTheWidth) {
  ASSERT_TRUE(build(R"(
wmap.func @w -> tensor<4xf16> {
  %0 = wmap.source "w" : tensor<4xbf16>
  %1 = wmap.bitcast %0 : tensor<4xbf16> -> tensor<4xf16>
  wmap.return %1 : tensor<4xf16>
})"));
  EXPECT_EQ(roundTrip(), Names{"w"});
}

TEST_F(InvertTest, QuantisedSourcesAreNamed) {
  ASSERT_TRUE(build(R"(
wmap.func @w -> tensor<4x16xf32> {
  %0 = wmap.source "scaled" : tensor<4x16xf8E4M3FN>
  %1 = wmap.source "scales" : tensor<2x1xf32>
  %2 = wmap.scale %0 by %1 blocks [2, 16] : (tensor<4x16xf8E4M3FN>, tensor<2x1xf32>) -> tensor<4x16xf32>
  wmap.return %2 : tensor<4x16xf32>
}
wmap.func @v -> tensor<4x16xf32> {
  %0 = wmap.source "packed" : tensor<4x2xsi32>
  %1 = wmap.bitcast %0 : tensor<4x2xsi32> -> tensor<4x16xui4>
  %2 = wmap.cast %1 : tensor<4x16xui4> -> tensor<4x16xf32>
  wmap.return %2 : tensor<4x16xf32>
}
wmap.func @u -> tensor<4x16xf32> {
  %0 = wmap.source "codes" : tensor<4x16xui8>
  %1 = wmap.cast %0 : tensor<4x16xui8> -> tensor<4x16xf32>
  wmap.return %1 : tensor<4x16xf32>
})"));
  auto slots = assignSlots(*module);
  ASSERT_TRUE(succeeded(slots));
  inverse = invertWeights(*module, *slots);
  EXPECT_TRUE(inverse.tensors.empty());
  EXPECT_EQ(inverse.losses,
            (std::vector<WeightLoss>{
                {"scaled", "'wmap.scale' dequantises it"},
                {"scales", "'wmap.scale' dequantises it"},
                {"packed", "'wmap.bitcast' takes its elements apart"},
                {"codes", "cast from ui8 to f32"}}));
}

TEST_F(InvertTest, QuantisedBlocksAreNamed) {
  ASSERT_TRUE(build(R"(
wmap.func @w -> tensor<4x32xf32> {
  %0 = wmap.source "blocks" {encoding = "Q8_0"} : tensor<4x32xf32>
  wmap.return %0 : tensor<4x32xf32>
})"));
  auto slots = assignSlots(*module);
  ASSERT_TRUE(succeeded(slots));
  inverse = invertWeights(*module, *slots);
  EXPECT_TRUE(inverse.tensors.empty());
  ASSERT_EQ(inverse.losses.size(), 1u);
  EXPECT_EQ(inverse.losses[0],
            (WeightLoss{"blocks", "blocks of Q8_0 are dequantised"}));
}

/// What is packed in blocks comes back bit for bit; what is quantised says how
/// far it is off, and comes back where rounding is accepted.
TEST_F(InvertTest, PackedBlocksComeBack) {
  ASSERT_TRUE(build(R"(
wmap.func @stored -> tensor<1x1x544xui8> {
  %0 = wmap.source "blocks" : tensor<16x32x!wmap.block<"q8_0">>
  %1 = wmap.pack_blocks %0 rows 16 : tensor<16x32x!wmap.block<"q8_0">> -> tensor<1x1x544xui8>
  wmap.return %1 : tensor<1x1x544xui8>
}
wmap.func @made -> tensor<1x2x288xui8> {
  %0 = wmap.source "numbers" : tensor<4x40xbf16>
  %1 = wmap.quantise %0 : tensor<4x40xbf16> -> tensor<4x64x!wmap.block<"q4_0">>
  %2 = wmap.pack_blocks %1 rows 16 : tensor<4x64x!wmap.block<"q4_0">> -> tensor<1x2x288xui8>
  wmap.return %2 : tensor<1x2x288xui8>
})"));
  auto slots = assignSlots(*module);
  ASSERT_TRUE(succeeded(slots));
  inverse = invertWeights(*module, *slots);
  EXPECT_EQ(inverse.tensors, std::vector<std::string>{"blocks"});
  ASSERT_EQ(inverse.losses.size(), 1u);
  EXPECT_EQ(
      inverse.losses[0],
      (WeightLoss{"numbers",
                  "quantised to q4_0: off by at most 1/8 of the largest "
                  "magnitude of its 32 columns, and the rounding of that to "
                  "f16"}));
  inverse = invertWeights(*module, *slots, /*mayRound=*/true);
  EXPECT_EQ(inverse.tensors, (std::vector<std::string>{"blocks", "numbers"}));
  EXPECT_TRUE(inverse.losses.empty());
  EXPECT_TRUE(succeeded(verify(*inverse.module)));
}

TEST_F(InvertTest, RowsWithOneScaleSayHowFarTheyAreOff) {
  ASSERT_TRUE(build(R"(
wmap.func @rows -> tensor<1x16x68xui8> {
  %0 = wmap.source "numbers" : tensor<4x40xbf16>
  %1 = wmap.quantise %0 : tensor<4x40xbf16> -> tensor<4x64x!wmap.block<"q8_row">>
  %2 = wmap.pack_blocks %1 rows 16 : tensor<4x64x!wmap.block<"q8_row">> -> tensor<1x16x68xui8>
  wmap.return %2 : tensor<1x16x68xui8>
})"));
  auto slots = assignSlots(*module);
  ASSERT_TRUE(succeeded(slots));
  inverse = invertWeights(*module, *slots);
  ASSERT_EQ(inverse.losses.size(), 1u);
  EXPECT_EQ(inverse.losses[0],
            (WeightLoss{"numbers",
                        "quantised to q8_row: off by at most 1/254 of the "
                        "largest magnitude of its row, and the rounding of "
                        "that to f32"}));
  inverse = invertWeights(*module, *slots, /*mayRound=*/true);
  EXPECT_EQ(inverse.tensors, std::vector<std::string>{"numbers"});
  EXPECT_TRUE(succeeded(verify(*inverse.module)));
}

} // namespace
