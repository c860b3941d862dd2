//===- LoadModelTest.cpp - What a load has to make ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights that lie in the checkpoint as they are, and weights that are made:
// now, into the cache, or for a later load.
//
//===----------------------------------------------------------------------===//

#include "test/Engine/ToySupport.h"

#include "runtime/Engine/Artifact.h"

#include <filesystem>
#include <nlohmann/json.hpp>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

class LoadModelTest : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_OK(writeToyCheckpoint(folder / "checkpoint"));
    options.weightCache = {folder / "cache", /*maxBytes=*/1 << 20,
                           /*minBytes=*/1};
  }
  /// An artifact; with `isMade`, its first weight is its tensor and zero.
  std::string artifact(bool isMade) {
    auto table = nlohmann::json::parse(toyWeightTable());
    nlohmann::json &program = table["weights"][0]["program"];
    if (isMade)
      program = {
          {"op", "concat"}, {"axis", 0}, {"inputs", {slice(program, 0)}}};
    if (isMade)
      program["inputs"].push_back(slice(program["inputs"][0]["input"], 1));
    Manifest manifest = toyManifest();
    manifest.model.checkpoint = folder / "checkpoint";
    std::string path = folder / (isMade ? "made" : "plain");
    Status status =
        writeArtifact(path, manifest, {toyCode(), table.dump(), {}});
    EXPECT_TRUE(status.ok()) << status.message();
    return path;
  }
  /// One of the halves of a tensor.
  static nlohmann::json slice(const nlohmann::json &source, int half) {
    int64_t size = source["shape"][0], middle = size / 2;
    return {{"op", "slice"},
            {"axis", 0},
            {"begin", half ? middle : 0},
            {"end", half ? size : middle},
            {"input", source}};
  }
  int64_t bytesToMake(const std::string &path) {
    auto checkpoint = Checkpoint::open(folder / "checkpoint");
    EXPECT_TRUE(checkpoint.ok());
    auto bytes =
        CompiledModel::bytesToMake(path, *checkpoint, options.weightCache);
    EXPECT_TRUE(bytes.ok()) << messageOf(bytes);
    return bytes.ok() ? *bytes : -1;
  }
  bool hasEntry() const {
    return std::filesystem::exists(folder / "cache") &&
           !std::filesystem::is_empty(folder / "cache");
  }

  TemporaryFolder folder;
  ModelOptions options;
};

TEST_F(LoadModelTest, WhatLiesInTheFileIsNotMade) {
  EXPECT_EQ(bytesToMake(artifact(/*isMade=*/false)), 0);
  std::string path = artifact(/*isMade=*/true);
  EXPECT_EQ(bytesToMake(path),
            static_cast<int64_t>(toyWeights()[0].size() * sizeof(float)));
}

TEST_F(LoadModelTest, KeptWeightsAreThereForTheNextLoad) {
  std::string path = artifact(/*isMade=*/true);
  std::atomic<bool> cancel{false};
  ASSERT_OK(CompiledModel::keepWeights(path, options, cancel));
  EXPECT_TRUE(hasEntry());
  EXPECT_EQ(bytesToMake(path), 0);
  auto model = CompiledModel::load(path, options);
  ASSERT_OK(model);
  ToyWeights expected = toyWeights();
  ASSERT_EQ((*model)->weights().size(), expected.size());
  for (size_t slot = 0; slot < expected.size(); ++slot) {
    const auto *got = static_cast<const float *>((*model)->weights()[slot]);
    EXPECT_TRUE(std::equal(expected[slot].begin(), expected[slot].end(), got));
  }
}

TEST_F(LoadModelTest, CancelledKeepingLeavesNothing) {
  std::string path = artifact(/*isMade=*/true);
  std::atomic<bool> cancel{true};
  expectError(CompiledModel::keepWeights(path, options, cancel),
              StatusCode::Cancelled, "loading of weights was cancelled");
  EXPECT_FALSE(hasEntry());
  EXPECT_GT(bytesToMake(path), 0);
}

TEST_F(LoadModelTest, KeepingTellsWhatIsWrong) {
  std::string path = artifact(/*isMade=*/true);
  std::filesystem::remove(folder / "checkpoint/model.safetensors");
  std::atomic<bool> cancel{false};
  EXPECT_FALSE(CompiledModel::keepWeights(path, options, cancel).ok());
  EXPECT_FALSE(
      CompiledModel::keepWeights(folder / "none", options, cancel).ok());
  EXPECT_FALSE(hasEntry());
}

} // namespace
