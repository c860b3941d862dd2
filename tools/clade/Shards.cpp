//===- Shards.cpp - The weights of one of several devices -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Shards.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace clade;
using namespace clade::driver;
using mlir::failed;
using mlir::RankedTensorType;
using nlohmann::json;

void driver::addShardOption(CLI::App &command, std::string &shard) {
  command
      .add_option("--shard", shard,
                  "What one of several devices holds: tp devices share each "
                  "layer, ep the experts, pp are stages; such as tp=2,rank=0")
      ->check(CLI::Validator(
          [](std::string &text) {
            Mesh mesh;
            return Mesh::parse(text, mesh).value_or("");
          },
          "MESH"));
}

static json describeCuts(const WeightShard &shard) {
  json cuts = json::array();
  for (const AxisCut &cut : shard.cuts) {
    json parts = json::array();
    for (auto [begin, size] : cut.parts)
      parts.push_back({begin, size});
    cuts.push_back({{"axis", cut.axis}, {"name", cut.name}, {"parts", parts}});
  }
  return cuts;
}

std::string driver::typeText(mlir::Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

namespace {
/// What a weight reads of the tensors under one name, in some layers.
struct ReadBytes {
  int64_t read = 0, stored = 0;
};

/// Adds up the bytes of tensors that a rank reads, each tensor once.
class ReadCounter {
public:
  explicit ReadCounter(const rt::Checkpoint &checkpoint)
      : checkpoint(checkpoint) {}

  ReadBytes add(const SourceRead &read, llvm::ArrayRef<int64_t> layers) {
    ReadBytes sum;
    for (int64_t layer : layers) {
      std::string name = withLayer(
          read.name, layer < 0 ? std::nullopt : std::optional<int64_t>(layer));
      int64_t stored = storedBytes(name, read.stack);
      // Reads are whole elements, and elements or blocks whole bytes.
      auto bytes = static_cast<int64_t>(static_cast<__int128>(stored) *
                                        read.elements / read.total);
      sum.read += bytes;
      sum.stored += stored;
      int64_t &known = perName[name];
      total += std::max<int64_t>(bytes - known, 0);
      known = std::max(known, bytes);
    }
    return sum;
  }
  int64_t totalBytes() const { return total; }

private:
  int64_t storedBytes(const std::string &name, int64_t stack) const {
    int64_t bytes = 0;
    for (int64_t i = 0; i < std::max<int64_t>(stack, 1); ++i)
      if (const rt::StoredTensor *tensor =
              checkpoint.find(stack ? withExpert(name, i) : name))
        bytes += static_cast<int64_t>(tensor->bytes.size());
    return bytes;
  }

  const rt::Checkpoint &checkpoint;
  llvm::StringMap<int64_t> perName;
  int64_t total = 0;
};
} // namespace

std::optional<RankWeights>
driver::weightsOfRank(Environment &environment,
                      const rt::Checkpoint &checkpoint,
                      const ModelChoice &choice, const std::string &shard) {
  Mesh mesh;
  if (!shard.empty())
    if (std::optional<std::string> problem = Mesh::parse(shard, mesh))
      return fail(*problem), std::nullopt;
  auto model = import::importCheckpoint(environment.getLibrary(), checkpoint,
                                        choice.dtype);
  if (failed(model) || !fuseModule(*model->module, choice))
    return std::nullopt;
  mlir::ModuleOp module = *model->module;
  auto slots = assignSlots(module);
  auto shards =
      failed(slots)
          ? mlir::FailureOr<llvm::SmallVector<WeightShard>>(mlir::failure())
          : planShards(module, *slots, mesh);
  if (failed(shards))
    return std::nullopt;
  llvm::SmallVector<RankedTensorType> wholes;
  for (const WeightShard &one : *shards) {
    wmap::FuncOp function = one.function;
    wholes.push_back(llvm::cast<RankedTensorType>(function.getResultType()));
  }
  applyShards(module, *shards);
  mlir::PassManager passes(&environment.getContext());
  passes.addPass(mlir::createCanonicalizerPass());
  passes.addPass(mlir::createCSEPass());
  if (failed(passes.run(module)))
    return std::nullopt;

  json weights = json::array();
  ReadCounter counter(checkpoint);
  int64_t bytes = 0, stored = 0;
  for (auto [one, whole] : llvm::zip_equal(*shards, wholes)) {
    wmap::FuncOp function = one.function;
    auto part = llvm::cast<RankedTensorType>(function.getResultType());
    json reads = json::array();
    for (const SourceRead &read : readsOf(function)) {
      ReadBytes sum = counter.add(read, one.layers);
      reads.push_back(
          {{"name", read.name}, {"bytes", sum.read}, {"of", sum.stored}});
    }
    json layers = json::array();
    for (int64_t layer : one.layers)
      if (layer >= 0)
        layers.push_back(layer);
    bytes += part.getNumElements() * (part.getElementTypeBitWidth() / 8) *
             static_cast<int64_t>(one.layers.size());
    weights.push_back({{"name", function.getSymName().str()},
                       {"layers", layers},
                       {"dtype", typeText(part.getElementType())},
                       {"shape", whole.getShape().vec()},
                       {"part", part.getShape().vec()},
                       {"cuts", describeCuts(one)},
                       {"summed", one.isSummed},
                       {"reads", reads}});
  }
  for (const rt::StoredTensor &tensor : checkpoint.tensors())
    stored += static_cast<int64_t>(tensor.bytes.size());
  json description = {{"mesh",
                       {{"tp", mesh.tensor},
                        {"ep", mesh.expert},
                        {"pp", mesh.pipeline},
                        {"rank", mesh.rank}}},
                      {"weights", weights},
                      {"totals",
                       {{"read_bytes", counter.totalBytes()},
                        {"stored_bytes", stored},
                        {"weight_bytes", bytes}}}};
  return RankWeights{std::move(*model), collectShardUses(module),
                     std::move(description)};
}

std::string driver::shapeText(const json &shape) {
  std::string text;
  for (const json &size : shape)
    text += (text.empty() ? "" : "x") + std::to_string(size.get<int64_t>());
  return text;
}

void driver::printRank(const json &description) {
  llvm::raw_ostream &os = llvm::outs();
  const json &mesh = description["mesh"], &totals = description["totals"];
  os << "rank " << mesh["rank"].get<int64_t>()
     << " of tp=" << mesh["tp"].get<int64_t>()
     << ", ep=" << mesh["ep"].get<int64_t>()
     << ", pp=" << mesh["pp"].get<int64_t>() << "\n\n";
  os << llvm::format("%-52s %6s %-14s %-14s %s\n", "weight", "layers", "whole",
                     "part", "cut along, reads");
  for (const json &weight : description["weights"]) {
    os << llvm::format("%-52s %6d %-14s %-14s",
                       weight["name"].get_ref<const std::string &>().c_str(),
                       std::max(static_cast<int>(weight["layers"].size()), 1),
                       shapeText(weight["shape"]).c_str(),
                       shapeText(weight["part"]).c_str());
    if (weight["cuts"].empty())
      os << " whole";
    for (const json &cut : weight["cuts"])
      os << " " << cut["name"].get<std::string>();
    if (weight["summed"].get<bool>())
      os << " (results are summed)";
    for (const json &read : weight["reads"])
      os << ", " << read["bytes"].get<int64_t>() << " of "
         << read["of"].get<int64_t>() << " bytes of "
         << read["name"].get<std::string>();
    os << "\n";
  }
  os << "\ntotal: reads " << totals["read_bytes"].get<int64_t>() << " of "
     << totals["stored_bytes"].get<int64_t>() << " bytes, for "
     << totals["weight_bytes"].get<int64_t>() << " bytes of weights\n";
}
