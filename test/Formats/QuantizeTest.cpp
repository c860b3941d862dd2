//===- QuantizeTest.cpp - f32 to block types ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// test/Parity/convert.py compares the blocks with those of the `gguf` package;
// here are the edges.
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Quantize.h"
#include "runtime/Formats/Dequantize.h"
#include "runtime/Formats/GGUF.h"
#include "runtime/Formats/GGUFWriter.h"
#include "test/Formats/TestFiles.h"

#include <cmath>
#include <random>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

struct Case {
  DType type;
  double step; ///< Largest error of values in [-1, 1].
};

class QuantizeBlocks : public ::testing::TestWithParam<Case> {
protected:
  std::vector<float> thereAndBack(const std::vector<float> &values) {
    DType type = GetParam().type;
    auto count = static_cast<int64_t>(values.size());
    std::vector<std::byte> blocks(
        static_cast<size_t>(count / blockLength(type) * bytesPerBlock(type)));
    quantizeFromF32(type, values.data(), count, blocks.data());
    std::vector<float> result(values.size());
    decodeToF32(type, blocks.data(), count, result.data());
    return result;
  }
};

TEST_P(QuantizeBlocks, ErrorIsThatOfTheGrid) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(4096);
  for (float &value : values)
    value = uniform(random);
  std::vector<float> result = thereAndBack(values);
  for (size_t i = 0; i < values.size(); ++i)
    ASSERT_NEAR(result[i], values[i], GetParam().step) << i;
}

TEST_P(QuantizeBlocks, ZerosStayZero) {
  for (float value : thereAndBack(std::vector<float>(512)))
    ASSERT_EQ(value, 0);
}

TEST_P(QuantizeBlocks, ConstantsOfEitherSign) {
  for (float constant : {1.0f, -3.0f, 0.1f}) {
    std::vector<float> values(256, constant);
    for (float value : thereAndBack(values))
      ASSERT_NEAR(value, constant, std::fabs(constant) * 0.02) << constant;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, QuantizeBlocks,
                         ::testing::Values(Case{DType::Q8_0, 0.0045},
                                           Case{DType::Q4_0, 0.13},
                                           Case{DType::Q4_K, 0.12},
                                           Case{DType::Q6_K, 0.03}));

TEST(Quantize, KnowsItsTypes) {
  EXPECT_TRUE(canQuantize(DType::Q4_K));
  EXPECT_FALSE(canQuantize(DType::Q5_K));
  EXPECT_FALSE(canQuantize(DType::F32));
}

TEST(GGUFWriter, ReadsBackWhatWasWritten) {
  std::vector<GGUFEntry> metadata = {
      {"general.architecture", std::string("llama")},
      {"a.count", uint32_t(7)},
      {"a.scale", 0.5f},
      {"a.flag", true},
      {"a.names", std::vector<std::string>{"x", ""}},
      {"a.scores", std::vector<float>{1, -2}},
      {"a.kinds", std::vector<int32_t>{-1, 6}}};
  std::vector<StoredTensor> tensors = {{"w", DType::Q8_0, {2, 64}, {}},
                                       {"b", DType::F32, {3}, {}}};
  auto layout = layOutGGUF(metadata, tensors);
  ASSERT_OK(layout);
  EXPECT_EQ(layout->offsets[0] % 32, 0);
  EXPECT_EQ(layout->offsets[1] - layout->offsets[0], 160);
  std::string image = layout->header;
  image.resize(static_cast<size_t>(layout->bytes));
  auto file = GGUFFile::parse(std::as_bytes(std::span(image)), "image");
  ASSERT_OK(file);
  EXPECT_EQ(*file->getInt("a.count"), 7);
  EXPECT_EQ(*file->getFloat("a.scale"), 0.5);
  EXPECT_EQ(*file->getBool("a.flag"), true);
  EXPECT_EQ(file->getStrings("a.names")->size(), 2u);
  EXPECT_EQ((*file->getFloats("a.scores"))[1], -2);
  EXPECT_EQ((*file->getInts("a.kinds"))[0], -1);
  const StoredTensor *w = file->findTensor("w");
  ASSERT_TRUE(w);
  EXPECT_EQ(w->dtype, DType::Q8_0);
  EXPECT_EQ(w->shape, (std::vector<int64_t>{2, 64}));
  EXPECT_EQ(reinterpret_cast<const char *>(w->bytes.data()) - image.data(),
            layout->offsets[0]);
}

TEST(GGUFWriter, RefusesWhatFilesCannotHold) {
  auto messageOf = [](std::vector<GGUFEntry> metadata,
                      std::vector<StoredTensor> tensors) {
    return layOutGGUF(metadata, tensors).takeStatus().message();
  };
  EXPECT_EQ(messageOf({{"k", true}, {"k", false}}, {}),
            "two metadata entries are named 'k'");
  EXPECT_EQ(
      messageOf({}, {{"t", DType::F32, {1}, {}}, {"t", DType::F32, {1}, {}}}),
      "two tensors are named 't'");
  EXPECT_EQ(messageOf({}, {{"t", DType::F32, {1, 1, 1, 1, 1}, {}}}),
            "tensor 't' has the shape [1, 1, 1, 1, 1], expected at most 4 "
            "dimensions");
  EXPECT_EQ(messageOf({}, {{"t", DType::F8_E4M3, {1}, {}}}),
            "tensor 't' has type F8_E4M3, which GGUF files cannot hold");
  EXPECT_EQ(messageOf({}, {{"t", DType::Q4_K, {2, 32}, {}}}),
            "tensor 't' has the shape [2, 32], which Q4_K blocks cannot hold");
}

} // namespace
