//===- DescribeModel.cpp - What a manifest says of a model ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/DescribeModel.h"

#include "tools/clade/EncoderEntry.h"
#include "tools/clade/ImageEntry.h"

#include "lib/Pipelines/Pipelines.h"
#include "lib/Transforms/Passes.h"

#include <nlohmann/json.hpp>

using namespace clade;
using namespace clade::driver;
namespace func = mlir::func;
using nlohmann::json;

/// A state slot for each attention, convolution and scan of each layer, by the
/// order of the layers; one group for each window, and one for all states of
/// fixed size.
static void describeStates(const SlotTable &slots,
                           llvm::ArrayRef<LayerSlots> layers,
                           rt::Manifest &manifest) {
  auto groupOf = [&](std::optional<int64_t> window, bool perSequence) {
    auto it = llvm::find_if(manifest.groups, [&](const rt::ManifestGroup &g) {
      return g.window == window && g.perSequence == perSequence;
    });
    if (it == manifest.groups.end())
      it = manifest.groups.insert(
          it, rt::ManifestGroup{window ? std::optional<int32_t>(*window)
                                       : std::nullopt,
                                perSequence});
    return static_cast<int32_t>(it - manifest.groups.begin());
  };
  auto recurrent = [&](rt::ManifestState &state, int64_t bytes) {
    state.kind = "recurrent";
    state.group = groupOf(std::nullopt, /*perSequence=*/true);
    state.bytes = bytes;
  };
  for (const LayerSlots &layer : layers) {
    const KindSlots &kind = slots.kinds[layer.kind];
    std::vector<rt::ManifestState> states(kind.numStates);
    func::FuncOp function = kind.function;
    function.walk([&](CacheWriteOp write) {
      auto key = write.getKey().getType(), value = write.getValue().getType();
      rt::ManifestState &state = states[write.getState()];
      state.kind = write.getShared() ? "latent" : "kv";
      state.heads = key.getShape()[1];
      state.keySize = key.getShape()[2];
      state.valueSize = value.getShape()[2];
      state.dtype = key.getElementType().isBF16() ? "bf16" : "f32";
    });
    function.walk([&](AttendCachedOp attend) {
      states[attend.getState()].group =
          groupOf(attend.getWindow(), /*perSequence=*/false);
    });
    function.walk([&](CausalConvOp conv) {
      recurrent(states[conv.getState()], conv.getStateBytes());
    });
    function.walk([&](ScanOp scan) {
      recurrent(states[scan.getState()], scan.getStateBytes());
    });
    manifest.layers.push_back({static_cast<int32_t>(layer.kind),
                               static_cast<int32_t>(layer.layer),
                               static_cast<int32_t>(layer.firstWeight),
                               static_cast<int32_t>(manifest.states.size())});
    llvm::append_range(manifest.states, states);
  }
}

/// The rows of the schedules that an entry runs.
static std::vector<LayerSlots> layersOf(func::FuncOp entry,
                                        const SlotTable &slots) {
  std::vector<LayerSlots> layers;
  auto module = entry->getParentOfType<mlir::ModuleOp>();
  entry.walk([&](LayersOp op) {
    auto schedule = module.lookupSymbol<ScheduleOp>(op.getSchedule());
    llvm::append_range(layers,
                       llvm::ArrayRef(slots.layers)
                           .slice(slots.firstLayer.lookup(op.getSchedule()),
                                  schedule.getRows().size()));
  });
  return layers;
}

/// Gives all layers the states of the one that needs most, where nothing is
/// kept from layer to layer and from step to step.
static void shareStates(const SlotTable &slots, std::vector<CladeLayer> &layers,
                        std::vector<rt::ManifestState> &states) {
  std::vector<rt::ManifestState> common;
  for (CladeLayer &layer : layers) {
    llvm::ArrayRef<rt::ManifestState> own(states);
    own = own.drop_front(layer.first_state)
              .take_front(slots.kinds[layer.kind].numStates);
    if (own.size() > common.size())
      common.assign(own.begin(), own.end());
    for (auto [mine, shared] : llvm::zip(own, common)) {
      shared.heads = std::max(shared.heads, mine.heads);
      shared.keySize = std::max(shared.keySize, mine.keySize);
      shared.valueSize = std::max(shared.valueSize, mine.valueSize);
    }
    layer.first_state = 0;
  }
  states = std::move(common);
}

void driver::describeLayers(mlir::ModuleOp module, const SlotTable &slots,
                            rt::Manifest &manifest) {
  for (auto entry : module.getOps<func::FuncOp>()) {
    if (!entry->hasAttr(entryAttr))
      continue;
    std::vector<LayerSlots> layers = layersOf(entry, slots);
    if (entry.getSymName() != "image") {
      describeStates(slots, layers, manifest);
      manifest.wholeSequences = readsWholeSequences(module);
      bool isOneGroup =
          manifest.groups.size() == 1 && !manifest.groups.front().perSequence;
      if (manifest.wholeSequences && isOneGroup)
        shareStates(slots, manifest.layers, manifest.states);
      continue;
    }
    rt::Manifest images;
    describeStates(slots, layers, images);
    manifest.images = imageEntryOf(module);
    shareStates(slots, images.layers, images.states);
    manifest.images->states = images.states;
    manifest.images->layers = images.layers;
  }
}

std::optional<int64_t> driver::numPositions(mlir::ModuleOp module) {
  std::optional<int64_t> rows;
  module.walk([&](EmbedOp embed) {
    if (!embed.getIds().getDefiningOp<PositionsOp>())
      return;
    int64_t own = embed.getTable().getType().getShape()[0];
    rows = std::min(rows.value_or(own), own);
  });
  return rows;
}

rt::Manifest driver::describeModel(const import::ImportedModel &model,
                                   const rt::Checkpoint &checkpoint,
                                   const ModelChoice &choice,
                                   const rt::ManifestTarget &target) {
  rt::Manifest manifest;
  manifest.target = target;
  const json &config = model.config->json();
  manifest.model.family = model.family;
  manifest.model.architecture = model.architecture;
  manifest.model.dtype = model.dtype;
  manifest.model.precision = choice.precision;
  manifest.model.weights = choice.weights;
  manifest.model.layout =
      choice.hasRows() || choice.isCuda() ? "rows" : "panels";
  manifest.model.checkpoint = absolutePath(checkpoint.path());
  if (checkpoint.adapter())
    manifest.model.adapter = absolutePath(checkpoint.adapter()->path());
  manifest.model.eos = stopTokens(checkpoint, *model.config);
  if (auto it = config.find("bos_token_id");
      it != config.end() && it->is_number_integer())
    manifest.model.bos = it->get<int32_t>();
  return manifest;
}

rt::ManifestTarget driver::describeTarget(const cpu::Target &target) {
  rt::ManifestTarget result{"cpu", target.cpu, {}};
  llvm::SmallVector<llvm::StringRef> features;
  llvm::StringRef(target.features)
      .split(features, ',', -1, /*KeepEmpty=*/false);
  for (llvm::StringRef feature : features)
    result.features.push_back(feature.str());
  // A name alone would not tell the runtime what the machine has to have.
  for (const std::string &need : target.needs)
    if (!llvm::is_contained(result.features, need))
      result.features.push_back(need);
  return result;
}
