//===- WeightLoaderTest.cpp - Loading whole tables ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Weights/WeightLoader.h"
#include "test/Weights/Sources.h"

#include <thread>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

bool isAligned(const void *data) {
  return reinterpret_cast<uintptr_t>(data) % 64 == 0;
}

class WeightLoaderTest : public ::testing::Test {
protected:
  /// Writes all sources as a checkpoint and opens it.
  const Checkpoint &checkpoint() {
    dir.write("config.json", "{}");
    auto tensors = sources.tensors();
    EXPECT_TRUE(writeSafetensors(dir / "model.safetensors", tensors).ok());
    auto result = Checkpoint::open(dir.path());
    EXPECT_TRUE(result.ok());
    opened.emplace(std::move(*result));
    return *opened;
  }

  /// A table with one slot for each program.
  static WeightTable table(const std::vector<std::string> &programs) {
    std::string text;
    for (size_t i = 0; i < programs.size(); ++i)
      text += (i ? R"(,{"param":"p)" : R"({"param":"p)") + std::to_string(i) +
              R"(","slot":)" + std::to_string(i) + R"(,"program":)" +
              programs[i] + "}";
    return parse(text);
  }

  static WeightTable parse(const std::string &weights) {
    auto result =
        WeightTable::parse(R"({"version":1,"weights":[)" + weights + "]}", "f");
    EXPECT_TRUE(result.ok()) << result.status().message();
    return result.ok() ? std::move(*result) : WeightTable();
  }

  void expectSlot(const LoadedWeights &weights, int32_t slot,
                  const WeightNode &program) {
    expectSlot(weights, slot, encode(evaluate(program, sources.decoded)));
  }
  void expectSlot(const LoadedWeights &weights, int32_t slot,
                  const std::vector<std::byte> &expected) {
    ByteSpan made = weights.slot(slot);
    EXPECT_TRUE(
        std::equal(made.begin(), made.end(), expected.begin(), expected.end()))
        << "slot " << slot;
    ByteSpan all = weights.allocated();
    bool isMade =
        made.data() >= all.data() && made.data() < all.data() + all.size();
    EXPECT_TRUE(!isMade || isAligned(made.data()));
    EXPECT_EQ(weights.table()[slot], made.data());
  }

  static std::string packed(const std::string &input) {
    return R"({"op":"pack","rows":16,"inner":2,"input":)" + input + "}";
  }

  /// The tensors of `count` experts.
  static std::string stack(int count, const std::string &input) {
    return R"({"op":"stack","count":)" + std::to_string(count) +
           R"(,"input":)" + input + "}";
  }

  TempDir dir;
  Sources sources;
  std::optional<Checkpoint> opened;
};

TEST_F(WeightLoaderTest, AnyThreadCountGivesTheSame) {
  std::string a = sources.add(DType::BF16, {1500, 500});
  std::string b = sources.add(DType::BF16, {700, 500});
  std::string norm = sources.add(DType::BF16, {500});
  WeightTable weights = table(
      {packed(a),
       packed(R"({"op":"concat","axis":0,"inputs":[)" + a + "," + b + "]}"),
       R"({"op":"cast","dtype":"f32","input":)" + norm + "}",
       packed(R"({"op":"unit_rows","input":)" + a + "}"),
       R"({"op":"transpose","perm":[1,0],"input":)" + b + "}", a});
  std::vector<std::vector<std::byte>> expected;
  for (const WeightEntry &entry : weights.entries)
    expected.push_back(encode(evaluate(entry.program, sources.decoded)));
  const Checkpoint &from = checkpoint();
  for (int threads : {0, 1, 2, 7}) {
    LoadOptions options;
    options.threads = threads;
    auto loaded = loadWeights(weights, from, options);
    ASSERT_OK(loaded);
    ASSERT_EQ(loaded->numSlots(), 6);
    for (int32_t i = 0; i < 6; ++i)
      expectSlot(*loaded, i, expected[static_cast<size_t>(i)]);
  }
}

TEST_F(WeightLoaderTest, Layers) {
  // The layers' tensors are t0, t1, t2.
  for (int i = 0; i < 3; ++i)
    sources.add(DType::F32, {4, 6});
  std::string program =
      R"({"op":"source","name":"t{layer}","dtype":"f32","shape":[4,6]})";
  WeightTable weights =
      parse(R"({"param":"p","slots":[2,0,1],"layers":[0,1,2],"program":)" +
            program + "}");
  auto loaded = loadWeights(weights, checkpoint());
  ASSERT_OK(loaded);
  for (int32_t layer = 0; layer < 3; ++layer) {
    WeightNode node = weights.entries[0].program;
    node.name = "t" + std::to_string(layer);
    expectSlot(*loaded, (layer + 2) % 3, node);
  }
}

TEST_F(WeightLoaderTest, EqualSlotsShareOneWeight) {
  sources.add(DType::BF16, {8, 8});
  sources.add(DType::BF16, {8, 8});
  std::string program =
      R"({"op":"source","name":"t{layer}","dtype":"bf16","shape":[8,8]})";
  std::string fixed =
      R"({"op":"source","name":"t0","dtype":"bf16","shape":[8,8]})";
  auto loaded = loadWeights(
      parse(R"({"param":"p","slots":[0,1,2],"layers":[0,1,0],"program":)" +
            packed(program) + R"(},{"param":"q","slots":[3,4],"program":)" +
            packed(fixed) + "}"),
      checkpoint());
  ASSERT_OK(loaded);
  EXPECT_EQ(loaded->table()[0], loaded->table()[2]);
  EXPECT_NE(loaded->table()[0], loaded->table()[1]);
  EXPECT_EQ(loaded->table()[3], loaded->table()[4]);
  EXPECT_EQ(loaded->allocatedBytes(), 3 * 16 * 8 * 2);
}

TEST_F(WeightLoaderTest, SourcesStayInTheMapping) {
  std::string a = sources.add(DType::F32, {16, 4}); // At the data's start.
  std::string b = sources.add(DType::F32, {3});
  std::string c = sources.add(DType::F32, {4}); // At byte 12 after `b`.
  WeightTable weights = table({a, b, c});
  auto loaded = loadWeights(weights, checkpoint());
  ASSERT_OK(loaded);
  for (int32_t i = 0; i < 3; ++i)
    EXPECT_EQ(loaded->table()[i],
              opened->find("t" + std::to_string(i))->bytes.data());
  EXPECT_FALSE(isAligned(loaded->table()[2]));
  EXPECT_EQ(loaded->mappedBytes(), 256 + 12 + 16);
  EXPECT_EQ(loaded->allocatedBytes(), 0);

  // The weights keep the mapping.
  opened.reset();
  for (int32_t i = 0; i < 3; ++i)
    expectSlot(*loaded, i, weights.entries[static_cast<size_t>(i)].program);

  LoadOptions options;
  options.useMappings = false;
  auto copied = loadWeights(weights, checkpoint(), options);
  ASSERT_OK(copied);
  EXPECT_EQ(copied->mappedBytes(), 0);
  EXPECT_EQ(copied->allocatedBytes(), 256 + 64 + 64);
  for (int32_t i = 0; i < 3; ++i)
    EXPECT_TRUE(isAligned(copied->table()[i]));
  opened.reset();
  for (int32_t i = 0; i < 3; ++i)
    expectSlot(*copied, i, weights.entries[static_cast<size_t>(i)].program);
}

/// Bytes between two elements are no place that code could read elements from.
TEST_F(WeightLoaderTest, OddAddressesAreCopied) {
  WeightTable weights = table({Sources::json("t", DType::F32, {4})});
  alignas(64) std::byte bytes[64] = {};
  bytes[5] = std::byte(7);
  StoredTensor tensor{"t", DType::F32, {4}, ByteSpan(bytes).subspan(2, 16)};
  auto loaded = loadWeights(weights, WeightSources{{&tensor, 1}, "here", {}});
  ASSERT_OK(loaded);
  EXPECT_EQ(loaded->mappedBytes(), 0);
  EXPECT_TRUE(isAligned(loaded->table()[0]));
  EXPECT_EQ(loaded->slot(0)[3], std::byte(7));
}

TEST_F(WeightLoaderTest, MovesKeepAddresses) {
  WeightTable weights = table({packed(sources.add(DType::BF16, {5, 5}))});
  auto loaded = loadWeights(weights, checkpoint());
  ASSERT_OK(loaded);
  const void *address = loaded->table()[0];
  LoadedWeights moved = std::move(*loaded);
  EXPECT_EQ(moved.table()[0], address);
  expectSlot(moved, 0, weights.entries[0].program);
  EXPECT_EQ(LoadedWeights().numSlots(), 0);
}

TEST_F(WeightLoaderTest, BlocksFromGGUF) {
  auto gguf = Checkpoint::open(CLADE_FORMAT_INPUTS "/blocks.gguf");
  ASSERT_OK(gguf);
  WeightTable weights = table(
      {packed(R"({"op":"cast","dtype":"bf16","input":{"op":"source",)"
              R"("name":"Q4_K.stored","dtype":"q4_k","shape":[2,512]}})")});
  auto loaded = loadWeights(weights, *gguf);
  ASSERT_OK(loaded);
  const StoredTensor *decoded = gguf->find("Q4_K.decoded");
  NaiveTensor tensor = {DType::F32, {2, 512}, std::vector<float>(1024), {}};
  std::memcpy(tensor.values.data(), decoded->bytes.data(), 4096);
  sources.decoded["Q4_K.stored"] = tensor;
  expectSlot(*loaded, 0, weights.entries[0].program);
}

TEST_F(WeightLoaderTest, NothingToLoad) {
  sources.add(DType::F32, {1});
  auto loaded = loadWeights(WeightTable(), checkpoint());
  ASSERT_OK(loaded);
  EXPECT_EQ(loaded->numSlots(), 0);
  EXPECT_EQ(loaded->allocatedBytes(), 0);
}

TEST_F(WeightLoaderTest, Progress) {
  // Some pieces of a megabyte, so that there is something between.
  WeightTable weights = table({packed(sources.add(DType::F32, {2048, 1024}))});
  std::vector<std::pair<int64_t, int64_t>> calls;
  LoadOptions options;
  options.threads = 2;
  std::thread::id caller = std::this_thread::get_id();
  options.progress = [&](int64_t done, int64_t total) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    calls.emplace_back(done, total);
  };
  ASSERT_OK(loadWeights(weights, checkpoint(), options));
  ASSERT_FALSE(calls.empty());
  for (size_t i = 0; i < calls.size(); ++i) {
    EXPECT_EQ(calls[i].second, 2048 * 1024 * 4);
    EXPECT_LE(i ? calls[i - 1].first : 1, calls[i].first);
  }
  EXPECT_EQ(calls.back().first, calls.back().second);
}

TEST_F(WeightLoaderTest, Cancel) {
  WeightTable weights = table({packed(sources.add(DType::F32, {64, 64}))});
  std::atomic<bool> cancel{true};
  LoadOptions options;
  options.cancel = &cancel;
  expectError(loadWeights(weights, checkpoint(), options).status(),
              StatusCode::Cancelled, "loading of weights was cancelled");
}

TEST_F(WeightLoaderTest, CancelMidway) {
  WeightTable weights = table({packed(sources.add(DType::F32, {4096, 1024}))});
  std::atomic<bool> cancel{false};
  LoadOptions options;
  options.threads = 1;
  options.cancel = &cancel;
  options.progress = [&](int64_t done, int64_t total) {
    cancel = true;
    EXPECT_LT(done, total);
  };
  EXPECT_EQ(loadWeights(weights, checkpoint(), options).status().code(),
            StatusCode::Cancelled);
}

TEST_F(WeightLoaderTest, Errors) {
  sources.add(DType::F32, {2, 3});
  const Checkpoint &from = checkpoint();
  auto expectRejected = [&](const std::string &source, StatusCode code,
                            const std::string &message) {
    WeightTable weights = parse(
        R"({"param":"p","slot":0,"program":{"op":"source",)" + source + "}}");
    expectError(loadWeights(weights, from).status(), code,
                "weight 'p': tensor " + message);
  };
  std::string quotedPath = "'" + dir.path() + "'";
  expectRejected(R"("name":"t9","dtype":"f32","shape":[2,3])",
                 StatusCode::NotFound, "'t9' is not in " + quotedPath);
  expectRejected(
      R"("name":"t0","dtype":"f32","shape":[3,2])", StatusCode::InvalidArgument,
      "'t0' in " + quotedPath + " is F32 [2, 3], expected F32 [3, 2]");
  expectRejected(R"("name":"t0","dtype":"bf16","shape":[2,3])",
                 StatusCode::InvalidArgument,
                 "'t0' in " + quotedPath +
                     " is F32 [2, 3], expected BF16 [2, 3]");
}

TEST_F(WeightLoaderTest, StackFollowsTheExperts) {
  for (int i = 0; i < 3; ++i)
    sources.add(DType::BF16, {5, 6});
  std::string each = Sources::json("t{expert}", DType::BF16, {5, 6});
  auto loaded = loadWeights(table({stack(3, each)}), checkpoint());
  ASSERT_OK(loaded);
  std::vector<std::byte> expected;
  for (const char *name : {"t0", "t1", "t2"})
    expected.insert(expected.end(), sources.stored[name].begin(),
                    sources.stored[name].end());
  expectSlot(*loaded, 0, expected);
  // No part of the file holds them in this order and aligned.
  EXPECT_EQ(loaded->mappedBytes(), 0);
}

TEST_F(WeightLoaderTest, StackByAnyNumberOfThreads) {
  for (int i = 0; i < 4; ++i)
    sources.add(DType::BF16, {300, 500});
  WeightTable weights = table(
      {packed(stack(4, Sources::json("t{expert}", DType::BF16, {300, 500})))});
  const Checkpoint &from = checkpoint();
  for (int threads : {1, 2, 7}) {
    LoadOptions options;
    options.threads = threads;
    auto loaded = loadWeights(weights, from, options);
    ASSERT_OK(loaded);
    expectSlot(*loaded, 0, weights.entries[0].program);
  }
}

TEST_F(WeightLoaderTest, StacksOfLayers) {
  // Layer 1 has the experts t10, t11 and t12, layer 2 t20, t21 and t22.
  for (int i = 0; i < 23; ++i)
    sources.add(DType::F32, {4, 6});
  WeightTable weights = parse(
      R"({"param":"p","slots":[0,1,2],"layers":[2,1,2],"program":)" +
      packed(stack(3, Sources::json("t{layer}{expert}", DType::F32, {4, 6}))) +
      "}");
  auto loaded = loadWeights(weights, checkpoint());
  ASSERT_OK(loaded);
  for (auto [slot, layer] : {std::pair(0, "t2"), std::pair(1, "t1")}) {
    std::map<std::string, NaiveTensor> experts;
    for (const char *expert : {"0", "1", "2"})
      experts[std::string("t") + expert] =
          sources.decoded.at(layer + std::string(expert));
    WeightNode program = weights.entries[0].program;
    program.inputs[0].inputs[0].name = "t{expert}";
    expectSlot(*loaded, slot, encode(evaluate(program, experts)));
  }
  EXPECT_EQ(loaded->table()[0], loaded->table()[2]);
}

TEST_F(WeightLoaderTest, ExpertThatIsMissing) {
  sources.add(DType::F32, {2, 3});
  sources.add(DType::F32, {2, 3});
  const Checkpoint &from = checkpoint();
  std::string each = Sources::json("t{expert}", DType::F32, {2, 3});
  std::string where = "' is not in '" + dir.path() + "'";
  ASSERT_OK(loadWeights(table({stack(2, each)}), from));
  expectError(loadWeights(table({stack(3, each)}), from).status(),
              StatusCode::NotFound, "weight 'p0': tensor 't2" + where);
  expectError(loadWeights(table({packed(stack(5, each))}), from).status(),
              StatusCode::NotFound, "weight 'p0': tensor 't2" + where);
}

TEST_F(WeightLoaderTest, ExpertThatIsMissingInALayer) {
  for (int i = 0; i < 21; ++i)
    sources.add(DType::F32, {3});
  WeightTable weights =
      parse(R"({"param":"p","slots":[0,1],"layers":[1,2],"program":)" +
            stack(2, Sources::json("t{layer}{expert}", DType::F32, {3})) + "}");
  expectError(loadWeights(weights, checkpoint()).status(), StatusCode::NotFound,
              "weight 'p': tensor 't21' is not in '" + dir.path() + "'");
}

TEST_F(WeightLoaderTest, ExpertOfAnotherShape) {
  sources.add(DType::F32, {2, 3});
  sources.add(DType::F32, {3, 2});
  std::string each = Sources::json("t{expert}", DType::F32, {2, 3});
  expectError(loadWeights(table({stack(2, each)}), checkpoint()).status(),
              StatusCode::InvalidArgument,
              "weight 'p0': tensor 't1' in '" + dir.path() +
                  "' is F32 [3, 2], expected F32 [2, 3]");
}

TEST_F(WeightLoaderTest, MoreThanMemory) {
  // A pack that pads 2^21 bytes to 2^37, as many times as it takes.
  std::string one = sources.add(DType::F32, {1, 1 << 19});
  std::string large =
      R"({"op":"pack","rows":65536,"inner":65536,"input":)" + one + "}";
  auto status =
      loadWeights(table(std::vector<std::string>(1 << 12, large)), checkpoint())
          .takeStatus();
  EXPECT_EQ(status.code(), StatusCode::ResourceExhausted);
  EXPECT_EQ(status.message().rfind("cannot allocate 562949953421312 bytes for "
                                   "weights: ",
                                   0),
            0u)
      << status.message();
}

} // namespace
