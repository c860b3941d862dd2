//===- PackedWeightsTest.cpp - Compiled weights in a file -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Weights/PackedWeights.h"
#include "runtime/Weights/Certificate.h"
#include "runtime/Weights/CompareWeights.h"
#include "test/Weights/Sources.h"

#include <cmath>
#include <fstream>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

class PackedWeightsTest : public ::testing::Test {
protected:
  void SetUp() override {
    sources.add(DType::BF16, {40, 24});
    sources.add(DType::F32, {7});
    dir.write("config.json", "{}");
    ASSERT_TRUE(
        writeSafetensors(dir / "model.safetensors", sources.tensors()).ok());
    auto parsed = WeightTable::parse(tableText, "t");
    ASSERT_TRUE(parsed.ok()) << parsed.status().message();
    table = std::move(*parsed);
  }

  Checkpoint checkpoint() { return std::move(*Checkpoint::open(dir.path())); }
  std::string pack() {
    auto index =
        packWeights(dir / "packed.bin", table, tableText, checkpoint());
    EXPECT_TRUE(index.ok()) << index.status().message();
    return index.ok() ? *index : "";
  }
  StatusOr<PackedWeights> open(const std::string &index) {
    return PackedWeights::open(dir / "packed.bin", index, tableText);
  }

  const std::string tableText =
      R"({"version":1,"weights":[
        {"param":"p","slot":0,"program":{"op":"pack","rows":16,"inner":2,
          "input":{"op":"source","name":"t0","dtype":"bf16","shape":[40,24]}}},
        {"param":"q","slot":1,
          "program":{"op":"source","name":"t1","dtype":"f32","shape":[7]}}]})";
  TempDir dir;
  Sources sources;
  WeightTable table;
};

TEST_F(PackedWeightsTest, EqualsWhatIsLoaded) {
  std::string index = pack();
  auto packed = open(index);
  ASSERT_TRUE(packed.ok()) << packed.status().message();
  EXPECT_TRUE(packed->verify().ok());
  EXPECT_TRUE(packed->checkSource().ok());
  Checkpoint opened = checkpoint();
  auto loaded = loadWeights(table, opened);
  ASSERT_TRUE(loaded.ok());
  ASSERT_EQ(packed->numSlots(), 2);
  for (int32_t slot = 0; slot < 2; ++slot) {
    ByteSpan a = packed->slot(slot), b = loaded->slot(slot);
    EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end())) << slot;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(a.data()) % 64, 0u);
  }
}

TEST_F(PackedWeightsTest, NamesDamageAndOtherPlans) {
  std::string index = pack();
  EXPECT_EQ(PackedWeights::open(dir / "packed.bin", index, "other")
                .takeStatus()
                .message(),
            "'packed.json': the weights were packed by another plan than "
            "'weights.json'");
  {
    std::fstream file(dir / "packed.bin",
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(5);
    file.put('x');
  }
  auto packed = open(index);
  ASSERT_TRUE(packed.ok());
  Status damaged = packed->verify();
  EXPECT_EQ(damaged.code(), StatusCode::Corruption);
  EXPECT_NE(damaged.message().find("is damaged: bytes 0 to"),
            std::string::npos);
}

TEST_F(PackedWeightsTest, RefusesIndicesThatContradictThemselves) {
  std::string index = pack();
  auto changed = [&](const std::string &from, const std::string &to) {
    std::string text = index;
    size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return open(text.replace(at, from.size(), to)).takeStatus().message();
  };
  EXPECT_EQ(changed("\"version\": 1", "\"version\": 2"),
            "'packed.json': expected version 1, got 2");
  EXPECT_EQ(changed("\"chunk\": 16777216", "\"chunk\": 1"),
            "'packed.json': expected chunks of 16777216 bytes, got 1");
  EXPECT_NE(changed("\"bytes\": ", "\"bytes\": 1").find("bytes, expected 1"),
            std::string::npos);
}

TEST_F(PackedWeightsTest, ComparesElementByElement) {
  Checkpoint opened = checkpoint();
  WeightSources all{opened.tensors(), opened.path(), {}};
  const WeightNode &p = table.entries[0].program;
  WeightNode shifted;
  shifted.op = WeightOp::Shift;
  shifted.dtype = p.inputs[0].dtype;
  shifted.shape = p.inputs[0].shape;
  shifted.value = 256;
  shifted.inputs.push_back(p.inputs[0]);
  std::vector<WeightPair> pairs = {{&p, &p}, {&p.inputs[0], &shifted}};
  auto largest = compareWeights(pairs, all, all);
  ASSERT_TRUE(largest.ok()) << largest.status().message();
  EXPECT_EQ((*largest)[0].largest, 0);
  EXPECT_NEAR((*largest)[1].largest, 256, 4);
  EXPECT_GT((*largest)[1].magnitude, 0);
  std::vector<WeightPair> other = {{&p, &table.entries[1].program}};
  EXPECT_EQ(compareWeights(other, all, all).takeStatus().code(),
            StatusCode::InvalidArgument);
}

TEST(Certificate, ReadsBackAndNamesTheTensor) {
  Certificate certificate;
  certificate.plan = "p";
  certificate.tensors = {{"a", DType::F32, {2, 3}, {"w"}, ""},
                         {"b", DType::BF16, {4}, {}, "cast"}};
  auto read = Certificate::fromJson(certificate.toJson());
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->toJson(), certificate.toJson());
  std::vector<StoredTensor> found = {{"a", DType::F32, {2, 3}, {}},
                                     {"b", DType::BF16, {4}, {}}};
  EXPECT_TRUE(read->checkTensors(found, "f").ok());
  found[1].shape = {5};
  EXPECT_EQ(read->checkTensors(found, "f").message(),
            "tensor 'b' in 'f' is BF16 [5], expected BF16 [4]");
  found.pop_back();
  EXPECT_EQ(read->checkTensors(found, "f").message(),
            "tensor 'b' is not in 'f'");
  EXPECT_EQ(read->checkPlan("text").code(), StatusCode::Corruption);
  EXPECT_EQ(Certificate::fromJson("{\"version\": 9}").takeStatus().code(),
            StatusCode::Unsupported);
  EXPECT_EQ(Certificate::fromJson("[]").takeStatus().code(),
            StatusCode::Corruption);
}

} // namespace
