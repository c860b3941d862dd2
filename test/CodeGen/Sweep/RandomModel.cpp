//===- RandomModel.cpp - What is drawn of a model -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/Sweep/RandomModel.h"

#include "dialect/WMap/WMapDialect.h"
#include "runtime/Formats/Safetensors.h"
#include "runtime/Support/File.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <deque>
#include <span>

using namespace mlir;
using namespace clade;
using namespace clade::cpu::test;

namespace {

/// A key of a configuration and its sizes: multiples of `step` up to `high`.
struct SizeKey {
  const char *name;
  int64_t high;
  int64_t step = 1;
};

struct ModelKind {
  const char *architecture;
  std::vector<SizeKey> sizes;
  Special special = Special::None;
};

const std::vector<ModelKind> &modelKinds() {
  static const std::vector<ModelKind> kinds = {
      {"SweepElementwise", {{"hidden_size", 80}, {"rows", 5}}},
      {"SweepReductions", {{"hidden_size", 80}, {"rows", 6}}},
      {"SweepProducts",
       {{"hidden_size", 90}, {"inner_size", 130}, {"rows", 5}}},
      {"SweepShapes", {{"rows", 6}, {"columns", 20}, {"small", 7}}},
      {"SweepRouting",
       {{"hidden_size", 60}, {"inner_size", 60}, {"active", 5}, {"spare", 5}}},
      {"SweepAttention",
       {{"hidden_size", 70},
        {"kv_heads", 3},
        {"group", 4},
        {"head", 40, 2},
        {"v_head", 40},
        {"window", 60}}},
      {"SweepRecurrent",
       {{"hidden_size", 60},
        {"rows", 4},
        {"columns", 10},
        {"key", 24},
        {"value", 24}},
       Special::Scans},
      {"SweepLatent",
       {{"hidden_size", 60},
        {"heads", 20},
        {"rank", 70},
        {"nope", 20},
        {"pe", 16, 2},
        {"v_head", 24}},
       Special::Latent},
      {"SweepAdapters",
       {{"hidden_size", 60}, {"inner_size", 60}, {"active", 3}, {"spare", 3}},
       Special::Adapters},
      {"SweepImages",
       {{"hidden_size", 60, 2},
        {"heads", 4},
        {"head", 40, 4},
        {"v_head", 40},
        {"time", 5},
        {"height", 5},
        {"width", 5},
        {"patch", 5},
        {"merge", 3},
        {"rows", 7},
        {"columns", 7},
        {"side", 5},
        {"films", 2}},
       Special::Images}};
  return kinds;
}

} // namespace

RandomModel RandomModel::draw(Sweep &sweep, size_t number) {
  const auto &kinds = modelKinds();
  const ModelKind &kind = kinds[number % kinds.size()];
  RandomModel model;
  model.architecture = kind.architecture;
  model.special = kind.special;
  model.cpu = sweep.cpu();
  model.config["architectures"] = {kind.architecture};
  model.config["vocab_size"] = vocabOfModels;
  for (const SizeKey &key : kind.sizes)
    model.config[key.name] = key.step * sweep.between(1, key.high / key.step);
  model.dtype = sweep.chance(50) ? "bf16" : "f32";
  model.rounds = sweep.chance(40);
  model.weights = "dense";
  if (sweep.chance(35)) {
    constexpr const char *forms[] = {"f16",  "int8", "int8_channel",
                                     "int4", "q4_k", "q6_k"};
    model.weights = forms[sweep.below(std::size(forms))];
    // Products that round their activations have no bound of this kind.
    model.rounds |= model.weights != "f16";
  }
  model.inRows = model.weights == "dense" && sweep.chance(30);
  model.chunk = kind.special == Special::Scans && sweep.chance(60)
                    ? 16 * sweep.between(1, 3)
                    : 0;
  model.absorbs = kind.special == Special::Latent && sweep.chance(60);
  if (kind.special == Special::Adapters)
    model.places = {sweep.between(1, 3), sweep.between(1, 20)};
  model.seed = sweep.engine()();
  return model;
}

std::string RandomModel::text() const {
  return llvm::formatv("{0} {1} {2} weights {3}{4}{5}{6}, {7}: ", cpu.name,
                       architecture, dtype, weights, rounds ? ", rounding" : "",
                       inRows ? ", rows" : "", absorbs ? ", absorbed" : "",
                       config.dump());
}

bool clade::cpu::test::fillAdapters(ModuleOp module, uint64_t seed,
                                    const rt::Checkpoint &checkpoint,
                                    const std::string &folder) {
  std::mt19937_64 random(seed);
  std::map<std::string, std::vector<int64_t>> factors;
  module.walk([&](wmap::SourceOp source) {
    StringRef name = source.getName();
    if (!name.consume_front(adapterSourcePrefix))
      return;
    // '{layer}' stays; what else stands for several matrices is one tensor.
    std::string plain = ("adapter." + name).str();
    for (char &letter : plain)
      if (letter == '*')
        letter = '_';
    auto type = cast<RankedTensorType>(source.getType());
    factors[plain] = {type.getShape().begin(), type.getShape().end()};
    source.setName(plain);
  });
  std::deque<std::vector<float>> values;
  std::vector<rt::StoredTensor> tensors(checkpoint.ownTensors().begin(),
                                        checkpoint.ownTensors().end());
  for (const auto &[name, shape] : factors)
    for (int layer = 0; layer < layersOfModels; ++layer) {
      std::string place = name, key = "{layer}";
      if (size_t at = place.find(key); at != place.npos)
        place.replace(at, key.size(), std::to_string(layer));
      std::normal_distribution<float> normal(
          0, 1 / std::sqrt(static_cast<float>(shape.back())));
      std::vector<float> &own = values.emplace_back(
          static_cast<size_t>(shape[0] * shape[1] * shape[2]));
      for (float &value : own)
        value = normal(random);
      tensors.push_back(
          {place, rt::DType::F32, shape, std::as_bytes(std::span(own))});
    }
  return !llvm::sys::fs::create_directory(folder) &&
         rt::writeTextFile(folder + "/config.json",
                           checkpoint.configText().value_or(""))
             .ok() &&
         rt::writeSafetensors(folder + "/model.safetensors", tensors, {}).ok();
}
