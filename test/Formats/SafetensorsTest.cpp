//===- SafetensorsTest.cpp - Reading one safetensors file -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/Formats/TestFiles.h"

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

void expectRejected(const std::string &image, StatusCode code,
                    const std::string &message) {
  auto file = SafetensorsFile::parse(bytesOf(image), "f");
  ASSERT_FALSE(file.ok());
  expectError(file.status(), code, "'f': " + message);
}

/// A file with one tensor 't' of this entry, then `dataBytes` of data.
void expectTensorRejected(const std::string &entry, size_t dataBytes,
                          const std::string &message,
                          StatusCode code = StatusCode::Corruption) {
  // Padding puts the data at byte 64.
  std::string header = "{\"t\": " + entry + "}";
  header.resize(std::max<size_t>(header.size(), 120), ' ');
  expectRejected(safetensorsImage(header, dataBytes), code,
                 "tensor 't' " + message);
}

TEST(Safetensors, Reads) {
  std::string header =
      R"({"__metadata__":{"format":"pt"},)"
      R"("b":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},)"
      R"("a":{"dtype":"F64","shape":[],"data_offsets":[0,8]},)"
      R"("none":{"dtype":"F32","shape":[0,4],"data_offsets":[8,8]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string image = safetensorsImage(header, 20);
  image[image.size() - 20] = 'A';
  image[image.size() - 1] = 'Z';
  TempDir dir;
  auto file = SafetensorsFile::open(dir.write("f", image));
  ASSERT_OK(file);
  ASSERT_EQ(file->tensors().size(), 3u);
  EXPECT_EQ(file->metadata().at("format"), "pt");
  const StoredTensor *a = file->find("a");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->dtype, DType::F64);
  EXPECT_TRUE(a->shape.empty());
  EXPECT_EQ(a->bytes.front(), std::byte('A'));
  const StoredTensor *b = file->find("b");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(b->bytes.size(), 12u);
  EXPECT_EQ(b->bytes.back(), std::byte('Z'));
  EXPECT_TRUE(file->find("none")->bytes.empty());
  EXPECT_EQ(file->find("c"), nullptr);
}

TEST(Safetensors, HeaderLength) {
  expectRejected("1234567", StatusCode::Corruption,
                 "file has 7 bytes, expected at least 8 for the header's "
                 "length");
  expectRejected(number<uint64_t>(UINT64_MAX) + "{}", StatusCode::Corruption,
                 "header length is 18446744073709551615 bytes, expected at "
                 "most 100000000");
  expectRejected(number<uint64_t>(3) + "{}", StatusCode::Corruption,
                 "header length is 3 bytes, but only 2 bytes follow");
  expectRejected(safetensorsImage("", 0), StatusCode::Corruption,
                 "header does not begin with '{'");
  expectRejected(safetensorsImage(" {}", 0), StatusCode::Corruption,
                 "header does not begin with '{'");
}

TEST(Safetensors, HeaderJson) {
  auto file =
      SafetensorsFile::parse(bytesOf(safetensorsImage("{\"a\":", 0)), "f");
  EXPECT_EQ(file.status().message().rfind("'f': header: invalid JSON at ", 0),
            0u)
      << file.status().message();
  expectRejected(safetensorsImage("{\"a\":1,\"a\":2}", 0),
                 StatusCode::Corruption, "header: key 'a' appears twice");
  expectRejected(safetensorsImage("{\"b\":1,\"a\":1,\"b\":2}", 0),
                 StatusCode::Corruption, "header: key 'b' appears twice");
  expectRejected(
      safetensorsImage(R"({"__metadata__":{},"a":1,"__metadata__":{}})", 0),
      StatusCode::Corruption, "header: key '__metadata__' appears twice");
  // Of several entries that are wrong the first by name is told.
  expectRejected(safetensorsImage(R"({"c":1,"a":true,"b":[]})", 0),
                 StatusCode::Corruption,
                 "tensor 'a' is of type boolean, expected an object");
  expectRejected(safetensorsImage("{\"a\":[[[[[[[[]]]]]]]]}", 0),
                 StatusCode::Corruption, "header: nested deeper than 8 levels");
}

TEST(Safetensors, Metadata) {
  expectRejected(safetensorsImage(R"({"__metadata__": 3})", 0),
                 StatusCode::Corruption,
                 "'__metadata__' is of type number, expected an object of "
                 "strings");
  expectRejected(safetensorsImage(R"({"__metadata__": {"k": 3}})", 0),
                 StatusCode::Corruption,
                 "'__metadata__' key 'k' is of type number, expected a string");
}

TEST(Safetensors, EntryForm) {
  expectTensorRejected("7", 0, "is of type number, expected an object");
  expectTensorRejected("{}", 0, "has no 'dtype'");
  expectTensorRejected(R"({"dtype":"F32"})", 0, "has no 'shape'");
  expectTensorRejected(R"({"dtype":"F32","shape":[1]})", 0,
                       "has no 'data_offsets'");
}

TEST(Safetensors, DTypes) {
  expectTensorRejected(R"({"dtype":1,"shape":[1],"data_offsets":[0,4]})", 4,
                       "has a 'dtype' of type number, expected a string");
  for (std::string name : {"F12", "f32", "Q4_K"})
    expectTensorRejected(
        R"({"dtype":")" + name + R"(","shape":[1],"data_offsets":[0,4]})", 4,
        "has unknown dtype '" + name + "'", StatusCode::Unsupported);
}

TEST(Safetensors, Shapes) {
  expectTensorRejected(R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})", 4,
                       "has a 'shape' of type number, expected an array");
  expectTensorRejected(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})",
                       4, "has the negative dimension -1");
  expectTensorRejected(R"({"dtype":"F32","shape":[1.5],"data_offsets":[0,4]})",
                       4,
                       "has the dimension '1.5', expected an integer below "
                       "2^63");
  expectTensorRejected(
      R"({"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]})",
      4,
      "has the dimension '9223372036854775808', expected an integer below "
      "2^63");
  expectTensorRejected(
      R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]})",
      4,
      "has dtype F32 and shape [4294967296, 4294967296], whose size does not "
      "fit in 63 bits");
}

TEST(Safetensors, Ranges) {
  std::string form = "expected two non-negative integers [begin, end]";
  expectTensorRejected(R"({"dtype":"F32","shape":[1],"data_offsets":4})", 4,
                       "has 'data_offsets' '4', " + form);
  expectTensorRejected(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})", 4,
                       "has 'data_offsets' '[0]', " + form);
  expectTensorRejected(R"({"dtype":"F32","shape":[1],"data_offsets":[-4,0]})",
                       4, "has 'data_offsets' '[-4,0]', " + form);
  expectTensorRejected(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})", 4,
                       "has the byte range [4, 0), which ends before it "
                       "begins");
  expectTensorRejected(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 4,
                       "has the byte range [0, 8), but the file holds 4 bytes "
                       "of data; is it truncated?");
  expectTensorRejected(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})", 4,
                       "has the byte range [0, 4) of 4 bytes, but dtype F32 "
                       "and shape [2] needs 8");
}

TEST(Safetensors, Misaligned) {
  std::string header =
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
      R"("b":{"dtype":"F16","shape":[1],"data_offsets":[1,3]}})";
  header.resize(120, ' ');
  expectRejected(safetensorsImage(header, 3), StatusCode::Corruption,
                 "tensor 'b' starts at byte 129 of the file, which is not a "
                 "multiple of the 2 bytes of dtype F16");
}

/// A file of two U8 tensors and ten bytes.
void expectPairRejected(const std::string &a, const std::string &b,
                        const std::string &message) {
  std::string entry = R"(":{"dtype":"U8","shape":)";
  expectRejected(
      safetensorsImage("{\"a" + entry + a + "},\"b" + entry + b + "}}", 10),
      StatusCode::Corruption, message);
}

TEST(Safetensors, Tiling) {
  expectPairRejected(R"([6],"data_offsets":[0,6])",
                     R"([5],"data_offsets":[5,10])",
                     "tensors 'a' and 'b' overlap at byte 5 of the data");
  expectPairRejected(R"([5],"data_offsets":[0,5])",
                     R"([4],"data_offsets":[6,10])",
                     "bytes [5, 6) of the data, before tensor 'b', belong to "
                     "no tensor");
  expectPairRejected(R"([5],"data_offsets":[0,5])",
                     R"([4],"data_offsets":[5,9])",
                     "1 bytes at the end of the file belong to no tensor");
}

TEST(Safetensors, EveryTruncationFails) {
  std::string header =
      R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";
  std::string image = safetensorsImage(header, 4);
  ASSERT_OK(SafetensorsFile::parse(bytesOf(image), "f"));
  for (size_t size = 0; size < image.size(); ++size)
    EXPECT_FALSE(SafetensorsFile::parse(bytesOf(image).first(size), "f").ok());
}

} // namespace
