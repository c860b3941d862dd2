//===- WeightCacheTest.cpp - Made weights kept for the next load ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Weights/WeightCache.h"
#include "test/Weights/Sources.h"

#include <filesystem>
#include <fstream>
#include <thread>

using namespace clade::rt;
using namespace clade::rt::test;
namespace fs = std::filesystem;

namespace {

class WeightCacheTest : public ::testing::Test {
protected:
  void SetUp() override {
    sources.add(DType::BF16, {40, 24});
    dir.write("config.json", "{}");
    write("model.safetensors");
    options = {dir / "cache", /*maxBytes=*/1 << 20, /*minBytes=*/0};
  }

  void write(const std::string &name) {
    ASSERT_TRUE(writeSafetensors(dir / name, sources.tensors()).ok());
  }
  static std::string tableText(int rows) {
    return R"({"version":1,"weights":[
      {"param":"p","slot":0,"program":{"op":"pack","rows":)" +
           std::to_string(rows) + R"(,"inner":2,
        "input":{"op":"source","name":"t0","dtype":"bf16","shape":[40,24]}}}]})";
  }
  /// What the cache gives for panels of `rows` rows; `made` counts what it had
  /// to make.
  std::optional<PackedWeights> get(int rows = 16) {
    std::string text = tableText(rows);
    auto table = WeightTable::parse(text, "t");
    auto checkpoint = Checkpoint::open(dir.path());
    EXPECT_TRUE(table.ok() && checkpoint.ok());
    LoadOptions load;
    bool isMade = false;
    load.progress = [&](int64_t, int64_t) { isMade = true; };
    auto got = cachedWeights(options, *table, text, *checkpoint, load);
    EXPECT_TRUE(got.ok()) << got.status().message();
    made += isMade;
    if (got.ok() && *got) {
      auto loaded = loadWeights(*table, *checkpoint);
      EXPECT_TRUE(loaded.ok());
      ByteSpan a = (*got)->slot(0), b = loaded->slot(0);
      EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end()));
    }
    return got.ok() ? std::move(*got) : std::nullopt;
  }
  std::vector<std::string> entries() {
    std::vector<std::string> names;
    if (fs::exists(options.folder))
      for (const auto &entry : fs::directory_iterator(options.folder))
        names.push_back(entry.path().string());
    return names;
  }

  TempDir dir;
  Sources sources;
  WeightCacheOptions options;
  int made = 0;
};

TEST_F(WeightCacheTest, MakesOnce) {
  ASSERT_TRUE(get());
  EXPECT_EQ(made, 1);
  ASSERT_TRUE(get());
  EXPECT_EQ(made, 1);
  EXPECT_EQ(entries().size(), 1u); // Nothing unfinished beside it.
}

TEST_F(WeightCacheTest, TellsWhatItHolds) {
  auto holds = [&](int rows) {
    std::string text = tableText(rows);
    auto table = WeightTable::parse(text, "t");
    auto checkpoint = Checkpoint::open(dir.path());
    EXPECT_TRUE(table.ok() && checkpoint.ok());
    return isCached(options, *table, text, *checkpoint);
  };
  EXPECT_FALSE(holds(16));
  ASSERT_TRUE(get(16));
  EXPECT_TRUE(holds(16));
  EXPECT_FALSE(holds(8));
  options.minBytes = 1 << 20; // Then they are made each time.
  EXPECT_FALSE(holds(16));
  options = {options.folder, /*maxBytes=*/0, /*minBytes=*/0};
  EXPECT_FALSE(holds(16));
}

TEST_F(WeightCacheTest, CountsWhatHasToBeMade) {
  auto bytes = [](const std::string &program) {
    auto table = WeightTable::parse(
        R"({"version":1,"weights":[{"param":"p","slot":0,"program":)" +
            program + "}]}",
        "t");
    EXPECT_TRUE(table.ok()) << table.status().message();
    return table.ok() ? bytesToMake(*table).value_or(-1) : -2;
  };
  const std::string source =
      R"({"op":"source","name":"t0","dtype":"bf16","shape":[40,24]})";
  auto slice = [&](int axis) {
    return R"({"op":"slice","axis":)" + std::to_string(axis) +
           R"(,"begin":8,"end":16,"input":)" + source + "}";
  };
  EXPECT_EQ(bytes(source), 0);
  EXPECT_EQ(bytes(R"({"op":"reshape","shape":[20,48],"input":)" + source + "}"),
            0);
  EXPECT_EQ(bytes(slice(0)), 0);
  EXPECT_EQ(bytes(slice(1)), 40 * 8 * 2);
  EXPECT_EQ(
      bytes(R"({"op":"pack","rows":16,"inner":2,"input":)" + source + "}"),
      48 * 24 * 2);
}

TEST_F(WeightCacheTest, GivesUpWhenCancelled) {
  std::string text = tableText(16);
  auto table = WeightTable::parse(text, "t");
  auto checkpoint = Checkpoint::open(dir.path());
  ASSERT_TRUE(table.ok() && checkpoint.ok());
  std::atomic<bool> cancel{true};
  LoadOptions load;
  load.cancel = &cancel;
  auto got = cachedWeights(options, *table, text, *checkpoint, load);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.status().code(), StatusCode::Cancelled);
  EXPECT_TRUE(entries().empty());
}

TEST_F(WeightCacheTest, KnowsPlansAndFilesApart) {
  ASSERT_TRUE(get(16));
  ASSERT_TRUE(get(8));
  EXPECT_EQ(made, 2);
  // The same path, size and modification time, but another file.
  std::string path = dir / "model.safetensors";
  auto time = fs::last_write_time(path);
  Sources other;
  other.add(DType::BF16, {40, 24});
  ASSERT_TRUE(writeSafetensors(path, other.tensors()).ok());
  fs::last_write_time(path, time);
  ASSERT_TRUE(get(16));
  EXPECT_EQ(made, 3);
  // Bytes that change in place.
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-3, std::ios::end);
    file.put('x');
  }
  fs::last_write_time(path, time);
  ASSERT_TRUE(get(16));
  EXPECT_EQ(made, 4);
}

TEST_F(WeightCacheTest, DropsWhatWasNotUsedForLongest) {
  ASSERT_TRUE(get(16));
  int64_t bytes = get(16)->bytes();
  options.maxBytes = 5 * bytes / 2;
  auto wait = [] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  };
  wait();
  ASSERT_TRUE(get(8));
  wait();
  ASSERT_TRUE(get(16)); // Used again, so 8 goes.
  wait();
  ASSERT_TRUE(get(4));
  EXPECT_EQ(entries().size(), 2u);
  made = 0;
  ASSERT_TRUE(get(16));
  EXPECT_EQ(made, 0);
  ASSERT_TRUE(get(8));
  EXPECT_EQ(made, 1);
}

TEST_F(WeightCacheTest, KeepsWhatIsMapped) {
  auto mapped = get(16);
  ASSERT_TRUE(mapped);
  options.maxBytes = mapped->bytes() + 64;
  ASSERT_TRUE(get(8));
  EXPECT_EQ(entries().size(), 1u);
  EXPECT_TRUE(mapped->verify().ok());
}

TEST_F(WeightCacheTest, MakesDamagedEntriesAgain) {
  ASSERT_TRUE(get());
  std::string entry = entries().front();
  fs::resize_file(entry + "/packed.bin", 64);
  ASSERT_TRUE(get());
  EXPECT_EQ(made, 2);
  fs::remove(entry + "/packed.json");
  ASSERT_TRUE(get());
  EXPECT_EQ(made, 3);
  EXPECT_EQ(entries().size(), 1u);
}

TEST_F(WeightCacheTest, LeavesOutWhatDoesNotFit) {
  options.minBytes = 1 << 20;
  EXPECT_FALSE(get());
  options.minBytes = 0;
  options.maxBytes = 64;
  EXPECT_FALSE(get());
  options.maxBytes = 1 << 20;
  options.folder = "";
  EXPECT_FALSE(get());
  EXPECT_TRUE(entries().empty());
}

TEST_F(WeightCacheTest, IsNoReasonToFail) {
  options.folder = dir.write("file", "not a folder") + "/cache";
  EXPECT_FALSE(get());
}

TEST_F(WeightCacheTest, TellsWhatIsWrongWithTheCheckpoint) {
  std::string text = tableText(16);
  auto table = WeightTable::parse(text, "t");
  table->entries[0].program.inputs[0].name = "gone";
  auto checkpoint = Checkpoint::open(dir.path());
  auto got = cachedWeights(options, *table, text, *checkpoint);
  EXPECT_EQ(got.takeStatus().code(), StatusCode::NotFound);
  EXPECT_TRUE(entries().empty());
}

TEST_F(WeightCacheTest, TouchesNoOtherFiles) {
  fs::create_directories(options.folder + "/mine");
  std::ofstream(options.folder + "/mine/packed.bin") << "x";
  std::ofstream(options.folder + "/mine/packed.json") << "x";
  ASSERT_TRUE(get(16));
  options.maxBytes = get(16)->bytes();
  ASSERT_TRUE(get(8));
  EXPECT_TRUE(fs::exists(options.folder + "/mine/packed.bin"));
}

} // namespace
