//===- ManifestTest.cpp - What an artifact says about itself --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Round trips, the hash, and every message of the reader and the validator.
//
//===----------------------------------------------------------------------===//

#include "ToySupport.h"

#include <nlohmann/json.hpp>

using namespace clade::rt;
using namespace clade::rt::test;
using nlohmann::json;

namespace {

TEST(ManifestTest, RoundTrip) {
  Manifest manifest = toyManifest();
  manifest.files["code.so"] = {12, "00112233445566778899aabbccddeeff"};
  manifest.lengthDependentRotary = true;
  manifest.model.maxPositions = 4096;
  manifest.wholeSequences = true;
  manifest.tokenTypes = 2;
  std::string text = manifest.toJson();
  auto read = Manifest::fromJson(text);
  ASSERT_OK(read);
  EXPECT_EQ(read->toJson(), text);
  EXPECT_EQ(read->model.maxPositions, 4096);
  EXPECT_EQ(read->groups[1].window, 40);
  EXPECT_EQ(read->layers[2].first_weight, manifest.layers[2].first_weight);
  EXPECT_TRUE(read->lengthDependentRotary);
  EXPECT_TRUE(read->wholeSequences);
  EXPECT_EQ(read->tokenTypes, 2);
  EXPECT_EQ(text.back(), '\n');
}

TEST(ManifestTest, LooseTextNeedsNoHash) {
  json value = json::parse(toyManifest().toJson());
  value.erase("hash");
  auto read = Manifest::fromLooseJson(value.dump());
  ASSERT_OK(read);
  EXPECT_EQ(read->toJson(), toyManifest().toJson());
}

TEST(ManifestTest, EveryFlippedBitIsNoticed) {
  const std::string text = toyManifest().toJson();
  for (size_t i = 0; i < text.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = text;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      auto read = Manifest::fromJson(damaged);
      ASSERT_FALSE(read.ok()) << "byte " << i << ", bit " << bit;
      ASSERT_EQ(read.status().code(), StatusCode::Corruption)
          << read.status().message();
    }
}

TEST(ManifestTest, EveryTruncationIsNoticed) {
  const std::string text = toyManifest().toJson();
  for (size_t length = 0; length < text.size(); ++length) {
    auto read = Manifest::fromJson(text.substr(0, length));
    ASSERT_EQ(read.status().code(), StatusCode::Corruption) << length;
  }
}

TEST(ManifestTest, HashMessages) {
  std::string text = toyManifest().toJson();
  expectError(Manifest::fromJson("{}").takeStatus(), StatusCode::Corruption,
              "the line with member 'hash' is missing");
  text[text.find("toy")] = 'b';
  expectError(Manifest::fromJson(text).takeStatus(), StatusCode::Corruption,
              "the text does not match its hash");
}

/// Reads the toy's manifest after `change` was applied to its JSON.
Status readChanged(const std::function<void(json &)> &change) {
  json value = json::parse(toyManifest().toJson());
  change(value);
  return Manifest::fromLooseJson(value.dump()).takeStatus();
}

struct BadManifest {
  const char *pointer; ///< JSON pointer of what is changed.
  json value;          ///< Null: the member is removed.
  const char *message;
  StatusCode code = StatusCode::Corruption;
};

class BadManifestTest : public ::testing::TestWithParam<BadManifest> {};

TEST_P(BadManifestTest, IsRefused) {
  const BadManifest &bad = GetParam();
  json::json_pointer pointer(bad.pointer);
  Status status = readChanged([&](json &value) {
    if (bad.value.is_null())
      value[pointer.parent_pointer()].erase(pointer.back());
    else
      value[pointer] = bad.value;
  });
  EXPECT_EQ(status.code(), bad.code);
  EXPECT_EQ(status.message(), bad.message);
}

constexpr StatusCode unsupported = StatusCode::Unsupported;

INSTANTIATE_TEST_SUITE_P(
    Reader, BadManifestTest,
    ::testing::Values(
        BadManifest{"/format", "x",
                    "expected member 'format' to be 'clade-artifact'"},
        BadManifest{"/version", nullptr,
                    "member 'version' is missing or not an integer"},
        BadManifest{"/version", 1,
                    "expected 'version' 7, got 1; compile the model again",
                    unsupported},
        BadManifest{"/abi_version", 10,
                    "expected 'abi_version' 9, got 10; compile the model again",
                    unsupported},
        BadManifest{"/extra", 1, "manifest: unknown member 'extra'"},
        BadManifest{"/model", nullptr, "manifest: member 'model' is missing"},
        BadManifest{"/model", 3, "'model': expected an object, got number"},
        BadManifest{"/model/family", 3,
                    "'model': 'family': expected a string, got number"},
        BadManifest{"/model/vocab", 1.5,
                    "'model': 'vocab': expected an integer, got number"},
        BadManifest{"/model/bos", -3000000000,
                    "'model': 'bos' is out of range: -3000000000"},
        BadManifest{"/model/eos", 1,
                    "'model': 'eos': expected an array, got number"},
        BadManifest{"/model/eos/1", "a",
                    "'model': 'eos[1]': expected an integer, got string"},
        BadManifest{"/layers/1/kind", 5000000000,
                    "layers[1]: 'kind' is out of range: 5000000000"},
        BadManifest{"/layers/1/more", 5, "layers[1]: unknown member 'more'"},
        BadManifest{"/entries", 1,
                    "manifest: 'entries': expected an object, got number"},
        BadManifest{"/files/a", json::object({{"bytes", -1}, {"xxh128", ""}}),
                    "files['a']: 'bytes' is out of range: -1"},
        BadManifest{"/length_dependent_rotary", 1,
                    "manifest: 'length_dependent_rotary': expected true or "
                    "false, got number"}));

INSTANTIATE_TEST_SUITE_P(
    Validator, BadManifestTest,
    ::testing::Values(
        BadManifest{"/model/dtype", "f16",
                    "'model.dtype': expected 'bf16' or 'f32', got 'f16'"},
        BadManifest{
            "/model/precision", "high",
            "'model.precision': expected 'fused' or 'reference', got 'high'"},
        BadManifest{"/model/layout", "tiles",
                    "'model.layout': expected 'panels' or 'rows', got 'tiles'"},
        BadManifest{
            "/model/weights", "int2",
            "'model.weights': expected 'dense' or 'keep' or 'f16' or "
            "'int8' or 'int8_channel' or 'int4' or 'q8_0' or 'q4_0' or 'q4_k' "
            "or 'q6_k', got 'int2'"},
        BadManifest{
            "/model/vocab", 0,
            "'model.vocab': expected a number in [1, 2147483647], got 0"},
        BadManifest{"/model/eos/0", 50,
                    "'model.eos': expected a number in [0, 49], got 50"},
        BadManifest{"/model/bos", -2,
                    "'model.bos': expected a number in [0, 49], got -2"},
        BadManifest{"/model/max_positions", 0,
                    "'model.max_positions': expected a number in "
                    "[1, 2147483647], got 0"},
        BadManifest{"/target/kind", "tpu",
                    "'target.kind': expected 'cpu' or 'cuda', got 'tpu'"},
        BadManifest{"/target/features", json::array({"avx2"}),
                    "'target.features': expected '+name' or '-name', got "
                    "'avx2'"},
        BadManifest{"/entries/forward", nullptr, "'entries' has no 'forward'"},
        BadManifest{"/entries/forward/symbol", "",
                    "'entries.forward.symbol': expected a name, got ''"},
        BadManifest{"/entries/forward/output_width", 0,
                    "'entries.forward.output_width': expected a number in "
                    "[1, 2147483647], got 0"},
        BadManifest{"/layers/0/first_weight", 16,
                    "'layers.first_weight': expected a number in [0, 15], got "
                    "16"},
        BadManifest{"/layers/0/first_state", 4,
                    "'layers.first_state': expected a number in [0, 3], got 4"},
        BadManifest{"/layers/0/kind", -1,
                    "'layers.kind': expected a number in [0, 2147483647], got "
                    "-1"},
        BadManifest{"/layers/0/layer", -1,
                    "'layers.layer': expected a number in [0, 2147483647], "
                    "got -1"},
        BadManifest{"/weights/slots", -1,
                    "'weights.slots': expected a number in [0, 2147483647], "
                    "got -1"},
        BadManifest{"/states/0/group", 2,
                    "'states.group': expected a number in [0, 1], got 2"},
        BadManifest{"/states/0/kind", "scan",
                    "'states.kind': expected 'kv' or 'latent' or 'recurrent', "
                    "got 'scan'"},
        BadManifest{"/states/0/dtype", "f8",
                    "'states.dtype': expected 'bf16' or 'f32', got 'f8'"},
        BadManifest{"/states/0/heads", 0,
                    "'states.heads': expected a number in [1, 1048576], got 0"},
        BadManifest{"/states/0/key_size", 2000000,
                    "'states.key_size': expected a number in [1, 1048576], got "
                    "2000000"},
        BadManifest{"/states/0/value_size", 0,
                    "'states.value_size': expected a number in [1, 1048576], "
                    "got 0"},
        BadManifest{"/groups/1/window", 0,
                    "'groups.window': expected a number in [1, 2147483647], "
                    "got 0"},
        BadManifest{"/groups/1/per_sequence", true,
                    "'groups.window': expected null in a group with "
                    "per_sequence, got 40"},
        BadManifest{"/groups/0/per_sequence", nullptr,
                    "groups[0]: member 'per_sequence' is missing"},
        BadManifest{"/groups/0/per_sequence", true,
                    "'states.group': expected a group with per_sequence false "
                    "for a state of kind 'kv', got 0"},
        BadManifest{
            "/states/0",
            json::object({{"kind", "recurrent"}, {"group", 0}, {"bytes", 64}}),
            "'states.group': expected a group with per_sequence true "
            "for a state of kind 'recurrent', got 0"},
        BadManifest{
            "/states/0",
            json::object({{"kind", "recurrent"}, {"group", 0}, {"heads", 1}}),
            "states[0]: member 'bytes' is missing"},
        BadManifest{"/workspace/per_token", -1,
                    "'workspace': expected a number in [0, 1125899906842624], "
                    "got -1"},
        BadManifest{"/scratch/fixed", -1,
                    "'scratch': expected a number in [0, 1125899906842624], "
                    "got -1"},
        BadManifest{"/files/a~1b", json::object({{"bytes", 1}, {"xxh128", ""}}),
                    "'files': expected a plain file name, got 'a/b'"},
        BadManifest{"/files/..", json::object({{"bytes", 1}, {"xxh128", ""}}),
                    "'files': expected a plain file name, got '..'"}));

TEST(ManifestTest, PageOfAllStatesHasALimit) {
  Manifest manifest = toyManifest();
  ManifestState &state = manifest.states[0];
  state.heads = state.keySize = state.valueSize = 1 << 20;
  manifest.states.resize(8, state);
  expectError(manifest.validate(), StatusCode::Corruption,
              "'states: bytes of a page': expected a number in "
              "[1, 1125899906842624], got ");
}

TEST(ManifestTest, LatentStatesHaveKeysAlone) {
  Manifest manifest = toyManifest();
  ManifestState &state = manifest.states[0];
  state.kind = "latent";
  state.valueSize = state.keySize - 1;
  auto read = Manifest::fromJson(manifest.toJson());
  ASSERT_OK(read);
  EXPECT_EQ(read->toJson(), manifest.toJson());
  EXPECT_TRUE(read->states[0].isLatent());
  EXPECT_EQ(read->states[0].valuePageBytes(), 0);
  EXPECT_EQ(read->states[0].keyPageBytes(), manifest.states[0].keyPageBytes());
  EXPECT_EQ(read->states[0].valueSize, state.valueSize);

  state.valueSize = state.keySize + 1;
  expectError(manifest.validate(), StatusCode::Corruption,
              "'states.value_size': expected a number in [1, " +
                  std::to_string(state.keySize) + "], got " +
                  std::to_string(state.valueSize));
}

/// Two recurrent states in a group of their own.
Manifest recurrentManifest() {
  Manifest manifest = toyManifest();
  manifest.groups.push_back({std::nullopt, true});
  manifest.states.push_back({"recurrent", 2, 0, 0, 0, "", 192});
  manifest.states.push_back({"recurrent", 2, 0, 0, 0, "", 0});
  return manifest;
}

TEST(ManifestTest, RecurrentStates) {
  Manifest manifest = recurrentManifest();
  auto read = Manifest::fromJson(manifest.toJson());
  ASSERT_OK(read);
  EXPECT_EQ(read->toJson(), manifest.toJson());
  size_t last = read->states.size() - 2;
  EXPECT_TRUE(read->states[last].isRecurrent());
  EXPECT_EQ(read->states[last].bytes, 192);
  EXPECT_EQ(read->states[last].keyPageBytes(), 192);
  EXPECT_EQ(read->states[last].valuePageBytes(), 0);
  EXPECT_TRUE(read->groups[2].perSequence);
  EXPECT_FALSE(read->groups[1].perSequence);
}

TEST(ManifestTest, RecurrentStatesHaveSizes) {
  Manifest manifest = recurrentManifest();
  manifest.states.back().bytes = -64;
  expectError(manifest.validate(), StatusCode::Corruption,
              "'states.bytes': expected a number in [0, 1125899906842624], got "
              "-64");
  manifest.states.back().bytes = 65;
  expectError(manifest.validate(), StatusCode::Corruption,
              "'states.bytes': expected a multiple of 64, got 65");
  manifest.states.back().bytes = int64_t(1) << 50;
  expectError(manifest.validate(), StatusCode::Corruption,
              "'states: bytes of a page': expected a number in "
              "[0, 1125899906842624], got 1125899906848192");
}

/// The toy with an entry for images.
Manifest imagesManifest() {
  Manifest manifest = toyManifest();
  manifest.entries["image"] = {"toy_image", 12};
  ManifestImages &images = manifest.images.emplace();
  images.layout = {"pixel_values", "image_sizes", 0, 3, 14, 2, 4, true, true};
  images.gridPositions = true;
  images.tokens = {10, 12};
  images.layers = {{0, 0, 3, 0}, {0, 1, 7, 0}};
  images.states = {{"kv", 0, 2, 64, 64, "f32"}};
  images.workspace = {1, 2, 3, 4};
  images.scratch = {5, 6};
  return manifest;
}

TEST(ManifestTest, Images) {
  Manifest manifest = imagesManifest();
  auto read = Manifest::fromJson(manifest.toJson());
  ASSERT_OK(read);
  EXPECT_EQ(read->toJson(), manifest.toJson());
  ASSERT_TRUE(read->images);
  EXPECT_EQ(read->images->layout.pixels, "pixel_values");
  EXPECT_EQ(read->images->layout.width(), 3 * 14 * 14);
  EXPECT_EQ(read->images->layout.fold, 4);
  EXPECT_EQ(read->images->layout.frames, 0);
  EXPECT_TRUE(read->images->gridPositions);
  EXPECT_EQ(read->images->tokens, (std::vector<int32_t>{10, 12}));
  EXPECT_EQ(read->images->layers[1].first_weight, 7);
  EXPECT_EQ(read->images->workspace.perSelected, 3);
  EXPECT_EQ(read->images->scratch.perContext, 6);
}

TEST(ManifestTest, BadImages) {
  auto expectBad = [](std::function<void(Manifest &)> change,
                      const char *message) {
    Manifest manifest = imagesManifest();
    change(manifest);
    expectError(manifest.validate(), StatusCode::Corruption, message);
  };
  expectBad([](Manifest &m) { m.images.reset(); },
            "'images': expected an object, for the entry 'image', got null");
  expectBad([](Manifest &m) { m.entries.erase("image"); },
            "'images': expected null without an entry 'image', got an object");
  expectBad([](Manifest &m) { m.images->layout.channels = 0; },
            "'images.channels': expected a number in [1, 4096], got 0");
  expectBad([](Manifest &m) { m.images->layout.frames = -1; },
            "'images.frames': expected a number in [0, 64], got -1");
  expectBad([](Manifest &m) { m.images->layout.patch = 5000; },
            "'images.patch': expected a number in [1, 4096], got 5000");
  expectBad([](Manifest &m) { m.images->layout.merge = 0; },
            "'images.merge': expected a number in [1, 4096], got 0");
  expectBad([](Manifest &m) { m.images->layout.fold = 2; },
            "'images.fold': expected 1 or the square of 'merge', got 2");
  expectBad([](Manifest &m) { m.images->tokens.clear(); },
            "'images.tokens': expected at least one token, got none");
  expectBad([](Manifest &m) { m.images->tokens = {50}; },
            "'images.tokens': expected a number in [0, 49], got 50");
  expectBad([](Manifest &m) { m.images->states[0].kind = "recurrent"; },
            "'images.states.kind': expected 'kv', got 'recurrent'");
  expectBad([](Manifest &m) { m.images->layers[0].first_state = 2; },
            "'layers.first_state': expected a number in [0, 1], got 2");
}

TEST(ManifestTest, Adapters) {
  Manifest manifest = toyManifest();
  manifest.model.adapter = "/adapters/one";
  manifest.adapters = {3, 16, {0, 2}};
  std::string text = manifest.toJson();
  auto read = Manifest::fromJson(text);
  ASSERT_OK(read);
  EXPECT_EQ(read->toJson(), text);
  EXPECT_EQ(read->model.adapter, "/adapters/one");
  ASSERT_TRUE(read->adapters);
  EXPECT_EQ(read->adapters->count, 3);
  EXPECT_EQ(read->adapters->rank, 16);
  EXPECT_EQ(read->adapters->weights, (std::vector<int32_t>{0, 2}));
}

TEST(ManifestTest, BadAdapters) {
  auto refused = [](const ManifestAdapters &adapters,
                    const std::string &member) {
    Manifest manifest = toyManifest();
    manifest.adapters = adapters;
    Status status = manifest.validate();
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.message().find(member), std::string::npos)
        << status.message();
  };
  refused({0, 16, {}}, "adapters.count");
  refused({2, 0, {}}, "adapters.rank");
  refused({2, 16, {toyManifest().weightSlots}}, "adapters.weights");
  refused({2, 16, {-1}}, "adapters.weights");
}

TEST(ManifestTest, NamesAreUnicode) {
  Manifest manifest = toyManifest();
  manifest.model.checkpoint = "/tmp/\xff";
  expectError(manifest.validate(), StatusCode::Corruption,
              "'model' is not valid UTF-8");
}

TEST(ManifestTest, PageBytes) {
  ManifestState state{"kv", 0, 3, 64, 48, "bf16"};
  EXPECT_EQ(state.keyPageBytes(), 3 * 64 * 32 * 2);
  EXPECT_EQ(state.valuePageBytes(), 3 * 48 * 32 * 2);
  state.dtype = "f32";
  EXPECT_EQ(state.keyPageBytes(), 3 * 64 * 32 * 4);
}

} // namespace
