//===- SafetensorsWriterTest.cpp - Writing safetensors --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/Formats/TestFiles.h"

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

TEST(SafetensorsWriter, RoundTrip) {
  TempDir dir;
  std::vector<float> floats = {1, 2, 3, 4, 5, 6};
  std::vector<uint8_t> bytes = {7, 8, 9};
  std::vector<uint16_t> none;
  std::vector<StoredTensor> tensors = {
      makeTensor("bytes", DType::U8, {3}, bytes),
      makeTensor("floats", DType::F32, {2, 3}, floats),
      makeTensor("none \"quoted\" \n", DType::BF16, {0}, none)};
  ASSERT_OK(writeSafetensors(dir / "f", tensors, {{"format", "pt"}}));

  auto file = SafetensorsFile::open(dir / "f");
  ASSERT_OK(file);
  EXPECT_EQ(file->metadata().at("format"), "pt");
  ASSERT_EQ(file->tensors().size(), 3u);
  for (const StoredTensor &tensor : tensors) {
    const StoredTensor *read = file->find(tensor.name);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->dtype, tensor.dtype);
    EXPECT_EQ(read->shape, tensor.shape);
    ASSERT_EQ(read->bytes.size(), tensor.bytes.size());
    EXPECT_TRUE(std::equal(read->bytes.begin(), read->bytes.end(),
                           tensor.bytes.begin()));
  }
  // The wide elements come first, at an aligned place.
  auto address =
      reinterpret_cast<uintptr_t>(file->find("floats")->bytes.data());
  EXPECT_EQ(address % 64, 0u);
}

TEST(SafetensorsWriter, NoTensors) {
  TempDir dir;
  ASSERT_OK(writeSafetensors(dir / "f", {}));
  auto file = SafetensorsFile::open(dir / "f");
  ASSERT_OK(file);
  EXPECT_TRUE(file->tensors().empty());
}

TEST(SafetensorsWriter, Errors) {
  TempDir dir;
  std::vector<float> floats = {1, 2};
  StoredTensor good = makeTensor("t", DType::F32, {2}, floats);
  auto expectRefused = [&](std::vector<StoredTensor> tensors,
                           const std::string &message) {
    expectError(writeSafetensors(dir / "f", tensors),
                StatusCode::InvalidArgument, message);
    EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
  };
  StoredTensor bad = good;
  bad.shape = {3};
  expectRefused({bad}, "tensor 't' has 8 bytes, which is not dtype F32 and "
                       "shape [3]");
  bad.shape = {-2};
  expectRefused({bad}, "tensor 't' has the shape [-2], which has no size in "
                       "bytes");
  bad.dtype = DType::Q4_K;
  expectRefused({bad}, "tensor 't' has block type Q4_K, which safetensors "
                       "cannot hold");
  bad = good;
  bad.name = "__metadata__";
  expectRefused({bad}, "a tensor cannot be named '__metadata__'");
  bad.name = "\xff";
  expectRefused({bad}, "a tensor name or metadata is not UTF-8");
  expectRefused({good, good}, "two tensors are named 't'");
}

} // namespace
