//===- CheckpointTest.cpp - Directories and GGUF files as checkpoints -----===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Checkpoint.h"
#include "test/Formats/GGUFImage.h"

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

void writeModel(const TempDir &dir) {
  std::vector<float> data = {1, 2};
  std::vector<StoredTensor> tensors = {makeTensor("w", DType::F32, {2}, data)};
  ASSERT_OK(writeSafetensors(dir / "model.safetensors", tensors));
}

TEST(Checkpoint, Directory) {
  TempDir dir;
  writeModel(dir);
  dir.write("config.json", "{\"a\": 1}");
  auto checkpoint = Checkpoint::open(dir.path());
  ASSERT_OK(checkpoint);
  EXPECT_EQ(checkpoint->kind(), Checkpoint::Kind::Safetensors);
  EXPECT_EQ(checkpoint->path(), dir.path());
  EXPECT_EQ(checkpoint->configText(), "{\"a\": 1}");
  EXPECT_EQ(checkpoint->generationConfigText(), std::nullopt);
  EXPECT_EQ(checkpoint->tokenizerPath(), std::nullopt);
  EXPECT_EQ(checkpoint->filePath("nothing"), std::nullopt);
  EXPECT_EQ(checkpoint->gguf(), nullptr);
  ASSERT_TRUE(checkpoint->find("w"));
  EXPECT_EQ(checkpoint->find("w")->bytes.size(), 8u);
  EXPECT_EQ(checkpoint->find("v"), nullptr);
  EXPECT_EQ(checkpoint->mappings().size(), 1u);
}

TEST(Checkpoint, FilesBeside) {
  TempDir dir;
  writeModel(dir);
  dir.write("config.json", "{}");
  dir.write("generation_config.json", "{\"eos_token_id\": 1}");
  dir.write("tokenizer.json", "{}");
  dir.write("tokenizer_config.json", "{}");
  auto checkpoint = Checkpoint::open(dir.path());
  ASSERT_OK(checkpoint);
  EXPECT_EQ(checkpoint->generationConfigText(), "{\"eos_token_id\": 1}");
  EXPECT_EQ(checkpoint->tokenizerPath(), dir / "tokenizer.json");
  EXPECT_EQ(checkpoint->filePath("tokenizer_config.json"),
            dir / "tokenizer_config.json");
}

TEST(Checkpoint, SpansSurviveMoves) {
  TempDir dir;
  writeModel(dir);
  dir.write("config.json", "{}");
  auto opened = Checkpoint::open(dir.path());
  ASSERT_OK(opened);
  const std::byte *data = opened->find("w")->bytes.data();
  Checkpoint moved = std::move(*opened);
  EXPECT_EQ(moved.find("w")->bytes.data(), data);
  float value;
  std::memcpy(&value, data, sizeof(value));
  EXPECT_EQ(value, 1.0f);
}

TEST(Checkpoint, GGUF) {
  auto checkpoint = Checkpoint::open(CLADE_TEST_INPUTS "/blocks.gguf");
  ASSERT_OK(checkpoint);
  EXPECT_EQ(checkpoint->kind(), Checkpoint::Kind::GGUF);
  EXPECT_EQ(checkpoint->configText(), std::nullopt);
  EXPECT_EQ(checkpoint->tokenizerPath(), std::nullopt);
  EXPECT_EQ(checkpoint->filePath("config.json"), std::nullopt);
  ASSERT_TRUE(checkpoint->gguf());
  EXPECT_EQ(*checkpoint->gguf()->getInt("test.u8"), 250);
  ASSERT_TRUE(checkpoint->find("Q6_K.stored"));
  EXPECT_EQ(checkpoint->find("Q6_K.stored")->dtype, DType::Q6_K);
}

TEST(Checkpoint, Errors) {
  TempDir dir;
  std::string missing = dir / "missing";
  expectError(Checkpoint::open(missing).status(), StatusCode::NotFound,
              "cannot open '" + missing + "': No such file or directory");
  expectError(Checkpoint::open(dir.path()).status(), StatusCode::NotFound,
              "'" + dir.path() + "' has no 'config.json'");
  dir.write("config.json", "{}");
  expectError(Checkpoint::open(dir.path()).status(), StatusCode::NotFound,
              "'" + dir.path() +
                  "' has neither 'model.safetensors' nor "
                  "'model.safetensors.index.json'");
  std::string other = dir.write("other", "text");
  expectError(Checkpoint::open(other).status(), StatusCode::InvalidArgument,
              "'" + other +
                  "' is not a checkpoint, expected a directory with "
                  "'config.json' or a GGUF file");
  std::string broken = dir.write("broken.gguf", "GGUF");
  expectError(Checkpoint::open(broken).status(), StatusCode::Corruption,
              "'" + broken +
                  "': file ends at byte 4 of 4 inside the version, which needs "
                  "4 bytes; is it truncated?");
}

} // namespace
