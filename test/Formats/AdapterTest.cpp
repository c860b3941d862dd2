//===- AdapterTest.cpp - Adapters as PEFT publishes them ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Adapter.h"
#include "runtime/Formats/Checkpoint.h"
#include "test/Formats/TestFiles.h"

#include <list>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

void expectSays(const Status &status, StatusCode code,
                const std::string &message) {
  EXPECT_EQ(static_cast<int>(status.code()), static_cast<int>(code));
  EXPECT_NE(status.message().find(message), std::string::npos)
      << status.message();
}

constexpr const char *plain = R"("peft_type":"LORA","r":4,"lora_alpha":6)";

StatusOr<AdapterConfig> configOf(const std::string &more) {
  return AdapterConfig::parse("{" + std::string(plain) + more + "}");
}

void expectScale(const AdapterConfig &config, const std::string &module,
                 int64_t rank, double scale) {
  auto found = config.scaleOf(module);
  ASSERT_OK(found);
  EXPECT_EQ(found->rank, rank) << module;
  EXPECT_DOUBLE_EQ(found->scale, scale) << module;
}

TEST(AdapterConfig, Scale) {
  auto config = configOf("");
  ASSERT_OK(config);
  expectScale(*config, "model.layers.0.self_attn.q_proj", 4, 1.5);
  config = configOf(R"(,"use_rslora":true)");
  ASSERT_OK(config);
  expectScale(*config, "model.layers.0.self_attn.q_proj", 4, 3);
}

TEST(AdapterConfig, PatternsMatchTheEnd) {
  auto config = configOf(
      R"(,"rank_pattern":{"z_proj":8,"q_proj":2,"layers.[01].k_proj":16},)"
      R"("alpha_pattern":{"^model.layers.0.q_proj":7,"q_proj":1})");
  ASSERT_OK(config);
  expectScale(*config, "model.layers.0.q_proj", 2, 3.5);
  expectScale(*config, "model.layers.1.q_proj", 2, 0.5);
  expectScale(*config, "model.layers.1.k_proj", 16, 6.0 / 16);
  expectScale(*config, "model.layers.2.k_proj", 4, 1.5);
  // Not within a word, and not in the middle.
  expectScale(*config, "model.layers.0.xq_proj", 4, 1.5);
  expectScale(*config, "model.q_proj.inner", 4, 1.5);
}

TEST(AdapterConfig, FirstPatternCounts) {
  auto config = configOf(R"(,"rank_pattern":{"[xq]_proj":8,"q_proj":2})");
  ASSERT_OK(config);
  expectScale(*config, "q_proj", 8, 0.75);
}

TEST(AdapterConfig, WhatSaysNothingMayStay) {
  EXPECT_TRUE(configOf(R"(,"use_dora":false,"modules_to_save":[],)"
                       R"("layer_replication":null,"new_key":{},"bias":null,)"
                       R"("init_lora_weights":"gaussian")")
                  .ok());
}

TEST(AdapterConfig, Errors) {
  auto refused = [](const std::string &more, StatusCode code,
                    const std::string &message) {
    auto config = configOf(more);
    ASSERT_FALSE(config.ok()) << more;
    expectSays(config.status(), code, message);
  };
  using enum StatusCode;
  expectSays(AdapterConfig::parse("[]").status(), Corruption,
             "expected an object");
  expectSays(AdapterConfig::parse("{}").status(), Corruption,
             "expected 'peft_type'");
  expectSays(AdapterConfig::parse(R"({"peft_type":"LORA"})").status(),
             Corruption, "expected 'r'");
  expectSays(
      AdapterConfig::parse(R"({"peft_type":"LORA","r":0,"lora_alpha":1})")
          .status(),
      Corruption, "expected 'r' to be a positive integer, got 0");
  refused(R"(,"new_key":1)", Unsupported,
          "'new_key' is 1: this kind of adapter is not supported");
  refused(R"(,"use_rslora":1)", Corruption,
          "expected 'use_rslora' to be true or false, got 1");
  refused(R"(,"fan_in_fan_out":"no")", Corruption,
          "expected 'fan_in_fan_out' to be true or false");
  refused(R"(,"peft_version":3)", Corruption,
          "expected 'peft_version' to be a string, got 3");
  refused(R"(,"rank_pattern":[1])", Corruption,
          "expected 'rank_pattern' to be an object of numbers");
  refused(R"(,"rank_pattern":{"q":1.5})", Corruption,
          "expected 'rank_pattern.q' to be a positive integer, got 1.5");
  refused(R"(,"alpha_pattern":{"q":"x"})", Corruption,
          "expected 'alpha_pattern.q' to be a number");
  refused(R"(,"target_parameters":"x")", Corruption,
          "expected 'target_parameters' to be a list of names");
  refused(R"(,"target_parameters":[1])", Corruption,
          "expected 'target_parameters' to be a list of names");
  refused(R"(,"trainable_token_indices":[1])", Unsupported,
          "'trainable_token_indices' is [1]: weights that an adapter replaces");
}

TEST(AdapterConfig, PatternsThatTakeTooLong) {
  auto config = configOf(R"(,"rank_pattern":{"(a|aa)+[bc]":8})");
  ASSERT_OK(config);
  auto scale = config->scaleOf(std::string(60, 'a'));
  ASSERT_FALSE(scale.ok());
  expectSays(scale.status(), StatusCode::InvalidArgument,
             "'rank_pattern': pattern '(a|aa)+[bc]' takes too long to match");
}

/// A folder with an adapter of rank 4.
class AdapterTest : public ::testing::Test {
protected:
  void add(const std::string &name, std::vector<int64_t> shape) {
    int64_t count = 1;
    for (int64_t size : shape)
      count *= size;
    values.push_back(std::vector<float>(static_cast<size_t>(count), 1.0f));
    tensors.push_back(
        makeTensor(name, DType::F32, std::move(shape), values.back()));
  }
  StatusOr<Adapter> open(const std::string &more = "") {
    dir.write("adapter_config.json", "{" + std::string(plain) + more + "}");
    EXPECT_TRUE(
        writeSafetensors(dir / "adapter_model.safetensors", tensors).ok());
    return Adapter::open(dir.path());
  }
  void refused(const std::string &more, const std::string &message) {
    auto adapter = open(more);
    ASSERT_FALSE(adapter.ok());
    EXPECT_NE(adapter.status().message().find(message), std::string::npos)
        << adapter.status().message();
  }

  TempDir dir;
  std::vector<StoredTensor> tensors;
  std::list<std::vector<float>> values;
};

TEST_F(AdapterTest, Modules) {
  add("base_model.model.model.q.lora_A.weight", {4, 6});
  add("base_model.model.model.q.lora_B.weight", {8, 4});
  add("base_model.model.model.embed.lora_embedding_A", {4, 32});
  add("base_model.model.model.embed.lora_embedding_B", {6, 4});
  add("base_model.model.model.embed.base_layer.weight", {32, 6});
  auto adapter = open();
  ASSERT_OK(adapter);
  ASSERT_EQ(adapter->factors().size(), 2u);
  const AdapterFactors &q = adapter->factors().at("model.q");
  EXPECT_EQ(q.kind, AdapterFactors::Kind::Linear);
  EXPECT_EQ(q.rank, 4);
  EXPECT_DOUBLE_EQ(q.scale, 1.5);
  EXPECT_EQ(q.a->shape, (std::vector<int64_t>{4, 6}));
  EXPECT_EQ(adapter->tensorName(q, "model.{layer}.q", q.suffixB),
            "base_model.model.model.{layer}.q.lora_B.weight");
  EXPECT_EQ(adapter->factors().at("model.embed").kind,
            AdapterFactors::Kind::Embedding);
  EXPECT_EQ(adapter->wholeWeights().count("model.embed"), 1u);
}

TEST_F(AdapterTest, ParametersAreNestedInTheirOrder) {
  std::string experts = "base_model.model.model.0.mlp.experts.";
  add(experts + "base_layer.lora_A.weight", {12, 6});
  add(experts + "base_layer.lora_B.weight", {10, 12});
  add(experts + "lora_A.weight", {12, 5});
  add(experts + "lora_B.weight", {6, 12});
  auto adapter = open(R"(,"target_parameters":["mlp.experts.down_proj",)"
                      R"("mlp.experts.gate_up_proj"])");
  ASSERT_OK(adapter);
  const AdapterFactors &up =
      adapter->factors().at("model.0.mlp.experts.gate_up_proj");
  EXPECT_EQ(up.kind, AdapterFactors::Kind::Parameter);
  EXPECT_EQ(up.experts, 3);
  EXPECT_EQ(up.b->shape, (std::vector<int64_t>{10, 12}));
  EXPECT_EQ(adapter->tensorName(up, "model.{layer}.mlp.experts.gate_up_proj",
                                up.suffixA),
            "base_model.model.model.{layer}.mlp.experts.base_layer.lora_A."
            "weight");
  EXPECT_EQ(adapter->factors().at("model.0.mlp.experts.down_proj").a->shape,
            (std::vector<int64_t>{12, 5}));
}

TEST_F(AdapterTest, ParameterErrors) {
  add("base_model.model.mlp.experts.lora_A.weight", {12, 6});
  add("base_model.model.mlp.experts.lora_B.weight", {10, 12});
  refused(R"(,"target_parameters":["mlp.experts.a","mlp.experts.b"])",
          "'target_parameters' name 2 parameters of module 'mlp.experts', the "
          "file has 1");
  add("base_model.model.mlp.experts.base_layer.lora_A.weight", {12, 6});
  add("base_model.model.mlp.experts.base_layer.lora_B.weight", {10, 12});
  refused(R"(,"target_parameters":["mlp.experts.a","mlp.experts.b"])",
          "which of the nested factors of module 'mlp.experts' is parameter "
          "'a' is known only for");
}

TEST_F(AdapterTest, RanksAreWhole) {
  add("base_model.model.mlp.experts.lora_A.weight", {13, 6});
  add("base_model.model.mlp.experts.lora_B.weight", {10, 13});
  refused(R"(,"target_parameters":["mlp.experts.down_proj"])",
          "is F32 [13, 6], expected a multiple of the rank 4 as rows");
}

TEST_F(AdapterTest, Files) {
  dir.write("adapter_config.json", "{" + std::string(plain) + "}");
  auto adapter = Adapter::open(dir.path());
  expectSays(adapter.status(), StatusCode::NotFound,
             "has no 'adapter_model.safetensors'");
  expectSays(Adapter::open(dir / "none").status(), StatusCode::NotFound,
             "is no adapter, expected a directory with "
             "'adapter_config.json'");
  refused("", "holds no tensors");
  add("base_model.model.q.lora_A.weight", {4});
  add("base_model.model.q.lora_B.weight", {8, 4});
  refused("", "is F32 [4], expected two axes of F32, BF16 or F16");
  add("base_model.model.q.lora_embedding_A", {4, 3});
  refused("", "module 'q' has factors of two kinds");
}

TEST_F(AdapterTest, BesideACheckpoint) {
  add("base_model.model.q.lora_A.weight", {4, 6});
  add("base_model.model.q.lora_B.weight", {8, 4});
  ASSERT_OK(open());
  TempDir model;
  model.write("config.json", "{}");
  std::vector<float> weight(48, 1.0f);
  std::vector<StoredTensor> own = {
      makeTensor("q.weight", DType::F32, {8, 6}, weight)};
  ASSERT_OK(writeSafetensors(model / "model.safetensors", own));
  auto checkpoint = Checkpoint::open(model.path(), dir.path());
  ASSERT_OK(checkpoint);
  EXPECT_EQ(checkpoint->tensors().size(), 3u);
  EXPECT_EQ(checkpoint->ownTensors().size(), 1u);
  EXPECT_TRUE(checkpoint->find("base_model.model.q.lora_A.weight"));
  EXPECT_TRUE(checkpoint->adapter());
  auto without = Checkpoint::open(model.path(), "");
  ASSERT_OK(without);
  EXPECT_FALSE(without->adapter());
  EXPECT_EQ(without->ownTensors().size(), 1u);

  own.push_back(makeTensor("base_model.model.q.lora_A.weight", DType::F32,
                           {8, 6}, weight));
  ASSERT_OK(writeSafetensors(model / "model.safetensors", own));
  auto both = Checkpoint::open(model.path(), dir.path());
  ASSERT_FALSE(both.ok());
  EXPECT_NE(both.status().message().find(
                "tensor 'base_model.model.q.lora_A.weight' is both in"),
            std::string::npos);
}

} // namespace
