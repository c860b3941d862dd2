//===- SafetensorsSetTest.cpp - Sharded safetensors -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/Formats/TestFiles.h"

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

/// Writes a shard with one U8 tensor of two bytes for each name.
void writeShard(const TempDir &dir, const std::string &file,
                const std::vector<std::string> &names) {
  std::vector<uint8_t> data = {1, 2};
  std::vector<StoredTensor> tensors;
  for (const std::string &name : names)
    tensors.push_back(makeTensor(name, DType::U8, {2}, data));
  ASSERT_OK(writeSafetensors(dir / file, tensors));
}

class SafetensorsSetTest : public ::testing::Test {
protected:
  void writeIndex(const std::string &weightMap) {
    dir.write("model.safetensors.index.json",
              R"({"metadata":{"total_size":6},"weight_map":)" + weightMap +
                  "}");
  }
  void expectRejected(StatusCode code, const std::string &message) {
    auto set = SafetensorsSet::openDirectory(dir.path());
    ASSERT_FALSE(set.ok());
    expectError(set.status(), code, message);
  }
  TempDir dir;
  std::string index = dir / "model.safetensors.index.json";
};

TEST_F(SafetensorsSetTest, SingleFile) {
  writeShard(dir, "model.safetensors", {"b", "a"});
  auto set = SafetensorsSet::openDirectory(dir.path());
  ASSERT_OK(set);
  ASSERT_EQ(set->tensors().size(), 2u);
  EXPECT_EQ(set->tensors()[0].name, "a");
}

TEST_F(SafetensorsSetTest, Shards) {
  writeShard(dir, "x-1.safetensors", {"b", "d"});
  writeShard(dir, "x-2.safetensors", {"a", "c"});
  writeIndex(R"({"a":"x-2.safetensors","b":"x-1.safetensors",)"
             R"("c":"x-2.safetensors","d":"x-1.safetensors"})");
  auto set = SafetensorsSet::openDirectory(dir.path());
  ASSERT_OK(set);
  ASSERT_EQ(set->mappings().size(), 2u);
  ASSERT_EQ(set->tensors().size(), 4u);
  EXPECT_EQ(set->tensors()[0].name, "a");
  EXPECT_EQ(set->tensors()[3].name, "d");
  EXPECT_TRUE(findTensor(set->tensors(), "c"));
}

TEST_F(SafetensorsSetTest, Nothing) {
  expectRejected(StatusCode::NotFound,
                 "'" + dir.path() +
                     "' has neither 'model.safetensors' nor "
                     "'model.safetensors.index.json'");
}

TEST_F(SafetensorsSetTest, MissingShard) {
  writeIndex(R"({"a":"x.safetensors"})");
  expectRejected(StatusCode::NotFound,
                 "'" + index + "': shard 'x.safetensors' does not exist");
}

TEST_F(SafetensorsSetTest, MissingTensor) {
  writeShard(dir, "x.safetensors", {"a"});
  writeIndex(R"({"a":"x.safetensors","b":"x.safetensors"})");
  expectRejected(StatusCode::Corruption,
                 "'" + index + "': tensor 'b' is not in 'x.safetensors'");
}

TEST_F(SafetensorsSetTest, MissingTensorBeforeOthers) {
  writeShard(dir, "x.safetensors", {"b", "d"});
  writeIndex(R"({"d":"x.safetensors","b":"x.safetensors",)"
             R"("a":"x.safetensors","c":"x.safetensors"})");
  expectRejected(StatusCode::Corruption,
                 "'" + index + "': tensor 'a' is not in 'x.safetensors'");
}

TEST_F(SafetensorsSetTest, TensorInTwoShards) {
  writeShard(dir, "x.safetensors", {"a"});
  writeShard(dir, "y.safetensors", {"a", "b"});
  writeIndex(R"({"a":"x.safetensors","b":"y.safetensors"})");
  expectRejected(StatusCode::Corruption,
                 "'" + (dir / "y.safetensors") +
                     "': tensor 'a' is also in this shard, but the index "
                     "places it in 'x.safetensors'");
}

TEST_F(SafetensorsSetTest, TensorAbsentFromIndex) {
  writeShard(dir, "x.safetensors", {"a", "b"});
  writeIndex(R"({"a":"x.safetensors"})");
  expectRejected(StatusCode::Corruption,
                 "'" + (dir / "x.safetensors") +
                     "': tensor 'b' is not in the index '" + index + "'");
}

TEST_F(SafetensorsSetTest, IndexForm) {
  dir.write("model.safetensors.index.json", "{}");
  expectRejected(StatusCode::Corruption,
                 "'" + index + "': has no object 'weight_map'");
  writeIndex("{}");
  expectRejected(StatusCode::Corruption,
                 "'" + index + "': 'weight_map' is empty");
  writeIndex(R"({"a":3})");
  expectRejected(StatusCode::Corruption,
                 "'" + index +
                     "': 'weight_map' gives tensor 'a' a value of type number, "
                     "expected a file name");
  writeIndex(R"({"a":"x","a":"y"})");
  expectRejected(StatusCode::Corruption,
                 "'" + index + "': key 'a' appears twice");
  for (std::string name : {"../x", "/etc/x", "..", ""}) {
    writeIndex(R"({"a":")" + name + R"("})");
    expectRejected(StatusCode::Corruption,
                   "'" + index + "': 'weight_map' gives tensor 'a' the file '" +
                       name + "', expected a plain file name");
  }
}

TEST_F(SafetensorsSetTest, BrokenShard) {
  dir.write("x.safetensors", "short");
  writeIndex(R"({"a":"x.safetensors"})");
  expectRejected(StatusCode::Corruption,
                 "'" + (dir / "x.safetensors") +
                     "': file has 5 bytes, expected at least 8 for the "
                     "header's length");
}

} // namespace
