//===- GGUFTest.cpp - Reading a GGUF file ---------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/GGUF.h"
#include "test/Formats/GGUFImage.h"

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

void expectRejected(const std::string &image, StatusCode code,
                    const std::string &message) {
  auto file = GGUFFile::parse(bytesOf(image), "f");
  ASSERT_FALSE(file.ok());
  expectError(file.status(), code, "'f': " + message);
}

void expectCorrupt(const GGUFImage &image, const std::string &message) {
  expectRejected(image.build(), StatusCode::Corruption, message);
}

TEST(GGUF, ReadsTensors) {
  for (uint32_t version : {2u, 3u}) {
    GGUFImage image;
    image.version = version;
    image.text("general.architecture", "test")
        .info("b", {3, 2}, 0, 0)
        .info("a", {256, 4}, 12, 32);
    image.data = std::string(32 + 4 * 144, 'x');
    std::string bytes = image.build();
    auto file = GGUFFile::parse(bytesOf(bytes), "f");
    ASSERT_OK(file);
    EXPECT_EQ(file->version(), version);
    EXPECT_EQ(file->alignment(), 32u);
    ASSERT_EQ(file->tensors().size(), 2u);
    const StoredTensor &a = file->tensors()[0];
    EXPECT_EQ(a.name, "a");
    EXPECT_EQ(a.dtype, DType::Q4_K);
    EXPECT_EQ(a.shape, (std::vector<int64_t>{4, 256}));
    EXPECT_EQ(a.bytes.size(), 4u * 144);
    const StoredTensor *b = file->findTensor("b");
    ASSERT_TRUE(b);
    EXPECT_EQ(b->shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(a.bytes.data() - b->bytes.data(), 32);
  }
}

TEST(GGUF, Alignment) {
  GGUFImage image;
  image.alignment = 128;
  image.u32("general.alignment", 128)
      .info("a", {2}, 24, 0)
      .info("b", {2}, 24, 128);
  image.data = std::string(130, 'x');
  std::string bytes = image.build();
  auto file = GGUFFile::parse(bytesOf(bytes), "f");
  ASSERT_OK(file);
  EXPECT_EQ(file->alignment(), 128u);
  EXPECT_EQ(file->findTensor("b")->bytes.data() - bytesOf(bytes).data(),
            static_cast<ptrdiff_t>(bytes.size() - 2));

  std::string message =
      "key 'general.alignment': expected a power of two of at most 2^30";
  expectCorrupt(GGUFImage().u32("general.alignment", 0), message);
  expectCorrupt(GGUFImage().u32("general.alignment", 48), message);
  expectCorrupt(GGUFImage().u32("general.alignment", 1u << 31), message);
  expectCorrupt(GGUFImage().text("general.alignment", "32"), message);
}

TEST(GGUF, Header) {
  expectRejected("GG", StatusCode::Corruption,
                 "file ends at byte 0 of 2 inside the magic number, which "
                 "needs 4 bytes; is it truncated?");
  GGUFImage image;
  image.magic = "GGML";
  expectCorrupt(image, "file does not begin with 'GGUF'");
  image = {};
  image.version = 1;
  expectRejected(image.build(), StatusCode::Unsupported,
                 "file has version 1, expected 2 or 3");
  image.version = 0x03000000;
  expectRejected(image.build(), StatusCode::Unsupported,
                 "file is big-endian, expected little-endian");
  image = {};
  image.pairCount = 1ull << 60;
  expectCorrupt(image, "file claims 1152921504606846976 keys, which do not fit "
                       "in the 0 bytes left; is it truncated?");
  image = {};
  image.infoCount = 2;
  expectCorrupt(image, "file claims 2 tensors, which do not fit in the 0 bytes "
                       "left; is it truncated?");
}

TEST(GGUF, BrokenValues) {
  expectCorrupt(GGUFImage().pair("k", 13, "xxxxxxxx"),
                "key 'k': has value type 13, expected 0 to 12");
  expectCorrupt(GGUFImage().pair("k", 7, "\x02"),
                "key 'k': is the bool 2, expected 0 or 1");
  expectCorrupt(GGUFImage().pair("k", 10, "1234"),
                "key 'k': file ends at byte 37 of 41 inside a value, which "
                "needs 8 bytes; is it truncated?");
  expectCorrupt(GGUFImage().pair("k", 8, number<uint64_t>(UINT64_MAX)),
                "key 'k': file ends at byte 45 of 45 inside a string, which "
                "needs 18446744073709551615 bytes; is it truncated?");
  expectCorrupt(GGUFImage().u32("k", 1).u32("k", 2), "key 'k' appears twice");
}

TEST(GGUF, BrokenArrays) {
  uint64_t many = 1ull << 61;
  auto array = [](uint32_t type, uint64_t count) {
    return number(type) + number(count);
  };
  expectCorrupt(GGUFImage().pair("k", 9, array(4, many)),
                "key 'k': file claims 2305843009213693952 array elements, "
                "which do not fit in the 0 bytes left; is it truncated?");
  expectCorrupt(GGUFImage().pair("k", 9, array(8, many)),
                "key 'k': file claims 2305843009213693952 strings, which do "
                "not fit in the 0 bytes left; is it truncated?");
  expectCorrupt(GGUFImage().pair("k", 9, array(9, many)),
                "key 'k': file claims 2305843009213693952 arrays, which do not "
                "fit in the 0 bytes left; is it truncated?");
  expectCorrupt(GGUFImage().pair("k", 9, array(99, 0)),
                "key 'k': has value type 99, expected 0 to 12");
  std::string nested;
  for (int i = 0; i < 100; ++i)
    nested += array(9, 1);
  expectCorrupt(GGUFImage().pair("k", 9, nested),
                "key 'k': arrays are nested deeper than 8 levels");
}

TEST(GGUF, BrokenTensors) {
  expectCorrupt(GGUFImage().info("t", {1, 1, 1, 1, 1}, 0, 0),
                "tensor 't' has 5 dimensions, expected at most 4");
  expectCorrupt(GGUFImage().info("t", {1ull << 63}, 0, 0),
                "tensor 't' has the dimension 9223372036854775808, expected "
                "less than 2^63");
  expectCorrupt(GGUFImage().info("t", {1ull << 32, 1ull << 32}, 0, 0),
                "tensor 't' has shape [4294967296, 4294967296], whose size "
                "does not fit in 63 bits");
  expectCorrupt(GGUFImage().info("t", {128}, 12, 0),
                "tensor 't' has type Q4_K and shape [128], expected a last "
                "dimension that is a multiple of 256");
  expectCorrupt(GGUFImage().info("t", {4}, 0, 8),
                "tensor 't' has the offset 8, expected a multiple of the "
                "alignment 32");
  expectRejected(GGUFImage().info("t", {256}, 16, 0).build(),
                 StatusCode::Unsupported,
                 "tensor 't' has ggml type 16, expected one of F32, F16, Q4_0, "
                 "Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, "
                 "IQ4_NL, IQ4_XS, I8, I16, I32, I64, F64, BF16, MXFP4");
  GGUFImage twice;
  twice.info("t", {1}, 0, 0).info("t", {1}, 0, 32);
  twice.data = std::string(64, 'x');
  expectCorrupt(twice, "tensor 't' appears twice");
}

TEST(GGUF, BrokenRanges) {
  GGUFImage image;
  image.info("t", {8}, 0, 32);
  image.data = std::string(63, 'x');
  expectCorrupt(image, "tensor 't' needs 32 bytes at offset 32, but the file "
                       "holds 63 bytes of data; is it truncated?");
  // The data would begin past the file's end.
  expectCorrupt(GGUFImage().info("t", {8}, 0, 0),
                "tensor 't' needs 32 bytes at offset 0, but the file holds 0 "
                "bytes of data; is it truncated?");
  image = {};
  image.info("t", {8}, 0, UINT64_MAX - 31);
  image.data = std::string(64, 'x');
  expectCorrupt(image, "tensor 't' needs 32 bytes at offset "
                       "18446744073709551584, but the file holds 64 bytes of "
                       "data; is it truncated?");
  image = {};
  image.info("a", {16}, 0, 0).info("b", {8}, 0, 32);
  image.data = std::string(64, 'x');
  expectCorrupt(image, "tensors 'a' and 'b' overlap at offset 32");
}

TEST(GGUF, EveryTruncationFails) {
  GGUFImage image;
  image.text("s", "text")
      .pair("a", 9, number<uint32_t>(8) + number<uint64_t>(1) + ggufString("x"))
      .pair("n", 9,
            number<uint32_t>(9) + number<uint64_t>(1) + number<uint32_t>(0) +
                number<uint64_t>(2) + "ab")
      .info("t", {8}, 0, 0);
  image.data = std::string(32, 'x');
  std::string bytes = image.build();
  ASSERT_OK(GGUFFile::parse(bytesOf(bytes), "f"));
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(GGUFFile::parse(bytesOf(bytes).first(size), "f").ok());
}

} // namespace
