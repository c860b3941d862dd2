//===- DequantizeTest.cpp - Decoding of stored elements -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Block types are checked bit for bit against what the `gguf` package decodes
// (Inputs/make-blocks.py writes the file).
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Dequantize.h"
#include "runtime/Formats/GGUF.h"
#include "test/Formats/TestFiles.h"

#include <cmath>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

class DequantizeBlocks : public ::testing::TestWithParam<DType> {};

TEST_P(DequantizeBlocks, EqualsThePublishedDecoder) {
  auto file = GGUFFile::open(CLADE_TEST_INPUTS "/blocks.gguf");
  ASSERT_OK(file);
  std::string name(dtypeName(GetParam()));
  const StoredTensor *stored = file->findTensor(name + ".stored");
  const StoredTensor *decoded = file->findTensor(name + ".decoded");
  ASSERT_TRUE(stored && decoded);
  ASSERT_EQ(stored->dtype, GetParam());
  ASSERT_EQ(stored->shape, (std::vector<int64_t>{2, 512}));

  std::vector<float> values(1024), expected(1024);
  std::memcpy(expected.data(), decoded->bytes.data(), decoded->bytes.size());
  decodeToF32(GetParam(), stored->bytes.data(), 1024, values.data());
  for (size_t i = 0; i < values.size(); ++i)
    ASSERT_EQ(std::bit_cast<uint32_t>(values[i]),
              std::bit_cast<uint32_t>(expected[i]))
        << "element " << i << ": " << values[i] << ", expected " << expected[i];
}

INSTANTIATE_TEST_SUITE_P(
    AllTypes, DequantizeBlocks,
    ::testing::Values(DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0,
                      DType::Q5_1, DType::IQ4_NL, DType::Q2_K, DType::Q3_K,
                      DType::Q4_K, DType::Q5_K, DType::Q6_K, DType::IQ4_XS,
                      DType::MXFP4),
    [](const auto &info) { return std::string(dtypeName(info.param)); });

template <typename T>
void expectDecoded(DType type, const std::vector<T> &stored,
                   const std::vector<float> &expected) {
  // One byte off, since stored data may lie anywhere.
  std::vector<std::byte> shifted = {std::byte(0)};
  ByteSpan bytes = bytesOf(stored);
  shifted.insert(shifted.end(), bytes.begin(), bytes.end());
  std::vector<float> values(stored.size());
  decodeToF32(type, shifted.data() + 1, static_cast<int64_t>(stored.size()),
              values.data());
  EXPECT_EQ(values, expected) << dtypeName(type);
}

TEST(Dequantize, PlainTypes) {
  expectDecoded<double>(DType::F64, {0.1, 1e300},
                        {0.1f, std::numeric_limits<float>::infinity()});
  expectDecoded<float>(DType::F32, {1.5f, -2.0f}, {1.5f, -2.0f});
  expectDecoded<uint16_t>(DType::F16, {0x3c00, 0x0001}, {1.0f, 0x1p-24f});
  expectDecoded<uint16_t>(DType::BF16, {0x3f80, 0xc000}, {1.0f, -2.0f});
  expectDecoded<uint8_t>(DType::F8_E4M3, {0x38, 0x7e}, {1.0f, 448.0f});
  expectDecoded<uint8_t>(DType::F8_E5M2, {0x3c}, {1.0f});
  expectDecoded<int64_t>(DType::I64, {-3, (1ll << 24) + 1}, {-3.0f, 0x1p24f});
  expectDecoded<int32_t>(DType::I32, {-3}, {-3.0f});
  expectDecoded<int16_t>(DType::I16, {-3}, {-3.0f});
  expectDecoded<int8_t>(DType::I8, {-3}, {-3.0f});
  expectDecoded<uint8_t>(DType::U8, {253}, {253.0f});
  expectDecoded<uint16_t>(DType::U16, {65533}, {65533.0f});
  expectDecoded<uint32_t>(DType::U32, {4294967295u}, {0x1p32f});
  expectDecoded<uint64_t>(DType::U64, {UINT64_MAX}, {0x1p64f});
  expectDecoded<uint8_t>(DType::BOOL, {0, 1, 7}, {0.0f, 1.0f, 1.0f});
}

TEST(Dequantize, Exponents) {
  expectDecoded<uint8_t>(DType::F8_E8M0, {127, 0, 1, 254},
                         {1.0f, 0x1p-127f, 0x1p-126f, 0x1p127f});
  EXPECT_TRUE(std::isnan(f8E8M0ToF32(255)));
}

TEST(Dequantize, CodesOfFourBits) {
  auto decode = [](DType type, std::vector<uint8_t> stored) {
    std::vector<float> values(2 * stored.size());
    decodeToF32(type, bytesOf(stored).data(),
                static_cast<int64_t>(values.size()), values.data());
    return values;
  };
  // The low code is the first element, but for the last type.
  EXPECT_EQ(decode(DType::U4, {0x10, 0xf7}), (std::vector<float>{0, 1, 7, 15}));
  EXPECT_EQ(decode(DType::U4_HIGH, {0x10, 0xf7}),
            (std::vector<float>{1, 0, 15, 7}));
  EXPECT_EQ(decode(DType::F4, {0x10, 0x32, 0x54, 0x76, 0xf9}),
            (std::vector<float>{0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.5f, -6}));
  EXPECT_TRUE(std::signbit(decode(DType::F4, {0x08})[0]));
}

TEST(Dequantize, Encode) {
  std::vector<float> values = {1.0f, std::bit_cast<float>(0x3f818000)};
  std::vector<uint16_t> halves(2);
  auto *out = reinterpret_cast<std::byte *>(halves.data());
  encodeFromF32(DType::BF16, values.data(), 2, out);
  EXPECT_EQ(halves, (std::vector<uint16_t>{0x3f80, 0x3f82}));
  encodeFromF32(DType::F16, values.data(), 2, out);
  EXPECT_EQ(halves, (std::vector<uint16_t>{0x3c00, 0x3c0c}));
  std::vector<float> same(2);
  encodeFromF32(DType::F32, values.data(), 2,
                reinterpret_cast<std::byte *>(same.data()));
  EXPECT_EQ(same, values);
}

} // namespace
