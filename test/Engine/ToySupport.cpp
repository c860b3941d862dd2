//===- ToySupport.cpp - The hand-written model as an artifact -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The reference has its own loops over whole sequences, with plain arrays in
// place of pages; sums run in the same order, so results agree bit for bit.
//
//===----------------------------------------------------------------------===//

#include "ToySupport.h"
#include "ToyModel.h"
#include "runtime/Formats/Safetensors.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

std::string makeFolder() {
  std::string path = std::filesystem::temp_directory_path() / "clade-XXXXXX";
  EXPECT_NE(::mkdtemp(path.data()), nullptr);
  return path;
}

} // namespace

TemporaryFolder::TemporaryFolder() : path(makeFolder()) {}
TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(path); }

void clade::rt::test::expectError(const Status &status, StatusCode code,
                                  const std::string &message) {
  EXPECT_EQ(status.code(), code) << status.message();
  EXPECT_EQ(status.message().substr(0, message.size()), message);
}

Manifest clade::rt::test::toyManifest() {
  Manifest m;
  m.model = {"toy",      "ToyForCausalLM", "f32", "reference", TOY_VOCAB,
             "/nowhere", {1, 2},           0,     std::nullopt};
  m.target = {"cpu", "x86-64", {}};
  m.entries["forward"] = {"clade_step_forward", TOY_VOCAB};
  for (int32_t i = 0; i < TOY_LAYERS; ++i) {
    m.layers.push_back({i % 2, i, TOY_FIRST_LAYER + i * TOY_LAYER_WEIGHTS, i});
    m.states.push_back(
        {"kv", i % 2, TOY_KV_HEADS, TOY_KEY_SIZE, TOY_VALUE_SIZE, "f32"});
  }
  m.groups = {{std::nullopt}, {TOY_WINDOW}};
  m.weightSlots = TOY_SLOTS;
  m.workspace = {TOY_WORKSPACE_FIXED, TOY_WORKSPACE_TOKEN,
                 TOY_WORKSPACE_SELECTED, TOY_WORKSPACE_SEQUENCE};
  m.scratch = {TOY_SCRATCH_FIXED, TOY_SCRATCH_CONTEXT};
  return m;
}

std::string clade::rt::test::toyCode() { return TOY_CODE; }

ToyWeights clade::rt::test::toyWeights() {
  std::vector<size_t> sizes = {TOY_VOCAB * TOY_WIDTH, TOY_WIDTH,
                               TOY_VOCAB * TOY_WIDTH};
  for (int i = 0; i < TOY_LAYERS; ++i)
    for (size_t rows :
         {TOY_HEADS * TOY_KEY_SIZE, TOY_KV_HEADS * TOY_KEY_SIZE,
          TOY_KV_HEADS * TOY_VALUE_SIZE, TOY_HEADS * TOY_VALUE_SIZE})
      sizes.push_back(rows * TOY_WIDTH);
  std::mt19937 random(7);
  ToyWeights weights;
  for (size_t size : sizes)
    for (std::vector<float> &slot = weights.emplace_back(); slot.size() < size;)
      slot.push_back(static_cast<float>(random() % 2001) / 1000.0f - 1.0f);
  return weights;
}

std::shared_ptr<const CompiledModel>
clade::rt::test::makeToyModel(const TemporaryFolder &folder,
                              Manifest manifest) {
  std::string path = folder / "toy";
  Status written =
      writeArtifact(path, std::move(manifest), {toyCode(), "{}", {}});
  EXPECT_TRUE(written.ok()) << written.message();
  auto artifact = Artifact::open(path);
  EXPECT_TRUE(artifact.ok()) << messageOf(artifact);
  if (!artifact.ok())
    return nullptr;
  auto weights = std::make_shared<ToyWeights>(toyWeights());
  std::vector<const void *> slots;
  for (const std::vector<float> &slot : *weights)
    slots.push_back(slot.data());
  auto model = CompiledModel::create(*artifact, std::move(slots), weights);
  EXPECT_TRUE(model.ok()) << messageOf(model);
  return model.ok() ? *model : nullptr;
}

std::string clade::rt::test::toyWeightTable() {
  nlohmann::json entries = nlohmann::json::array();
  ToyWeights weights = toyWeights();
  for (size_t i = 0; i < weights.size(); ++i) {
    std::string name = "slot." + std::to_string(i);
    entries.push_back({{"param", name},
                       {"slot", i},
                       {"program",
                        {{"op", "source"},
                         {"name", name},
                         {"dtype", "F32"},
                         {"shape", {weights[i].size()}}}}});
  }
  return nlohmann::json{{"version", 1}, {"weights", entries}}.dump();
}

Status clade::rt::test::writeToyCheckpoint(const std::string &path) {
  std::filesystem::create_directory(path);
  std::ofstream(path + "/config.json") << "{}";
  ToyWeights weights = toyWeights();
  std::vector<StoredTensor> tensors;
  for (size_t i = 0; i < weights.size(); ++i)
    tensors.push_back({"slot." + std::to_string(i),
                       DType::F32,
                       {static_cast<int64_t>(weights[i].size())},
                       std::as_bytes(std::span(weights[i]))});
  return writeSafetensors(path + "/model.safetensors", tensors);
}

std::string clade::rt::test::toyTokenizer() {
  nlohmann::json vocabulary;
  // Ids 0 to 2 are special, then come the bytes of 'é' and '€', then letters.
  std::vector<std::string> tokens = {"<s>",    "</s>",   "<e>",    "<0xC3>",
                                     "<0xA9>", "<0xE2>", "<0x82>", "<0xAC>"};
  for (char letter = 'A'; tokens.size() < TOY_VOCAB; ++letter)
    tokens.push_back(std::string(1, letter));
  nlohmann::json added = nlohmann::json::array();
  for (size_t i = 0; i < tokens.size(); ++i)
    vocabulary[tokens[i]] = i;
  for (size_t i = 0; i < 3; ++i)
    added.push_back({{"id", i},
                     {"content", tokens[i]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  return nlohmann::json{
      {"version", "1.0"},
      {"added_tokens", added},
      {"model",
       {{"type", "BPE"},
        {"byte_fallback", true},
        {"fuse_unk", false},
        {"vocab", vocabulary},
        {"merges", nlohmann::json::array()}}},
      {"decoder",
       {{"type", "Sequence"},
        {"decoders", {{{"type", "ByteFallback"}}, {{"type", "Fuse"}}}}}},
  }
      .dump();
}

std::vector<int32_t> clade::rt::test::toyTokens(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> tokens;
  while (tokens.size() < count)
    tokens.push_back(static_cast<int32_t>(random() % TOY_VOCAB));
  return tokens;
}

//===----------------------------------------------------------------------===//
// The reference
//===----------------------------------------------------------------------===//

namespace {

using Rows = std::vector<std::vector<float>>;

/// matrix [rows][x.size()] times x.
std::vector<float> product(const std::vector<float> &matrix,
                           const std::vector<float> &x) {
  std::vector<float> result;
  for (size_t row = 0; row < matrix.size(); row += x.size()) {
    float sum = 0;
    for (size_t i = 0; i < x.size(); ++i)
      sum += matrix[row + i] * x[i];
    result.push_back(sum);
  }
  return result;
}

std::vector<float> attention(const std::vector<float> &q, const Rows &keys,
                             const Rows &values, size_t begin, size_t end) {
  std::vector<float> result(TOY_HEADS * TOY_VALUE_SIZE);
  for (int h = 0; h < TOY_HEADS; ++h) {
    int kv = h * TOY_KV_HEADS / TOY_HEADS;
    std::vector<float> scores;
    float total = 0;
    for (size_t p = begin; p <= end; ++p) {
      float dot = 0;
      for (int i = 0; i < TOY_KEY_SIZE; ++i)
        dot += keys[p][kv * TOY_KEY_SIZE + i] * q[h * TOY_KEY_SIZE + i];
      scores.push_back(std::exp(std::tanh(dot)));
      total += scores.back();
    }
    for (size_t p = begin; p <= end; ++p)
      for (int i = 0; i < TOY_VALUE_SIZE; ++i)
        result[h * TOY_VALUE_SIZE + i] +=
            scores[p - begin] / total * values[p][kv * TOY_VALUE_SIZE + i];
  }
  return result;
}

} // namespace

std::vector<std::vector<float>>
clade::rt::test::toyReference(const ToyWeights &weights,
                              const std::vector<int32_t> &tokens,
                              int32_t scaledLength) {
  Rows x;
  for (size_t t = 0; t < tokens.size(); ++t)
    for (int i = 0; i < TOY_WIDTH; ++i) {
      if (i == 0)
        x.emplace_back();
      x[t].push_back(weights[TOY_EMBEDDING][tokens[t] * TOY_WIDTH + i] +
                     std::sin(weights[TOY_POSITION][i] * float(t)) +
                     float(scaledLength) / 1024);
    }
  for (int layer = 0; layer < TOY_LAYERS; ++layer) {
    const auto *own = &weights[TOY_FIRST_LAYER + layer * TOY_LAYER_WEIGHTS];
    Rows keys, values;
    for (const std::vector<float> &row : x) {
      keys.push_back(product(own[TOY_KEY], row));
      values.push_back(product(own[TOY_VALUE], row));
    }
    for (size_t t = 0; t < x.size(); ++t) {
      bool cut = layer % 2 == 1 && t + 1 > TOY_WINDOW;
      std::vector<float> mixed =
          attention(product(own[TOY_QUERY], x[t]), keys, values,
                    cut ? t + 1 - TOY_WINDOW : 0, t);
      std::vector<float> update = product(own[TOY_PROJECTION], mixed);
      for (int i = 0; i < TOY_WIDTH; ++i)
        x[t][i] += std::tanh(update[i]);
    }
  }
  Rows logits;
  for (const std::vector<float> &row : x)
    logits.push_back(product(weights[TOY_OUTPUT], row));
  return logits;
}
