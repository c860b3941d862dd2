//===- Manifest.cpp - What an artifact says about itself ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Checks that the numbers, names and references of a manifest fit together, so
// that the engine may rely on them: every size that it derives fits in 64 bits.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Manifest.h"

#include "runtime/Support/Text.h"

#include <nlohmann/json.hpp>

using namespace clade::rt;

namespace {

/// Largest size of a buffer, and of what one token adds to it.
constexpr int64_t maxBytes = int64_t(1) << 50;
constexpr int32_t maxHeadSize = 1 << 20;
/// States of sequences begin at multiples of this many bytes.
constexpr int64_t stateAlignment = 64;

int64_t pageBytes(const ManifestState &state, int64_t size) {
  int64_t element = state.dtype == "f32" ? 4 : 2;
  return state.heads * size * element * CLADE_PAGE_TOKENS;
}

Status expected(const std::string &name, const std::string &what,
                const std::string &got) {
  return Status::corruption("'" + name + "': expected " + what + ", got " +
                            got);
}

Status checkRange(const std::string &name, int64_t value, int64_t low,
                  int64_t high) {
  if (value >= low && value <= high)
    return {};
  return expected(name,
                  "a number in [" + std::to_string(low) + ", " +
                      std::to_string(high) + "]",
                  std::to_string(value));
}

Status checkOneOf(const std::string &name, const std::string &value,
                  std::initializer_list<const char *> choices) {
  std::string list;
  for (const char *choice : choices) {
    if (value == choice)
      return {};
    list += (list.empty() ? "'" : " or '") + std::string(choice) + "'";
  }
  return expected(name, list, quoteName(value));
}

/// JSON holds Unicode only; a path on disk may be any bytes.
Status checkUnicode(const std::string &name, const std::string &value) {
  try {
    (void)nlohmann::json(value).dump();
  } catch (const std::exception &) {
    return Status::corruption("'" + name + "' is not valid UTF-8");
  }
  return {};
}

Status checkModel(const ManifestModel &model) {
  for (const std::string *text :
       {&model.family, &model.architecture, &model.checkpoint})
    CLADE_RETURN_IF_ERROR(checkUnicode("model", *text));
  if (model.adapter)
    CLADE_RETURN_IF_ERROR(checkUnicode("model.adapter", *model.adapter));
  CLADE_RETURN_IF_ERROR(
      checkOneOf("model.dtype", model.dtype, {"bf16", "f32"}));
  CLADE_RETURN_IF_ERROR(
      checkOneOf("model.precision", model.precision, {"fused", "reference"}));
  CLADE_RETURN_IF_ERROR(
      checkOneOf("model.weights", model.weights,
                 {"dense", "keep", "f16", "int8", "int8_channel", "int4",
                  "q8_0", "q4_0", "q4_k", "q6_k"}));
  CLADE_RETURN_IF_ERROR(
      checkOneOf("model.layout", model.layout, {"panels", "rows"}));
  CLADE_RETURN_IF_ERROR(checkRange("model.vocab", model.vocab, 1, INT32_MAX));
  for (int32_t id : model.eos)
    CLADE_RETURN_IF_ERROR(checkRange("model.eos", id, 0, model.vocab - 1));
  if (model.bos)
    CLADE_RETURN_IF_ERROR(
        checkRange("model.bos", *model.bos, 0, model.vocab - 1));
  if (model.maxPositions)
    return checkRange("model.max_positions", *model.maxPositions, 1, INT32_MAX);
  return {};
}

Status checkTarget(const ManifestTarget &target) {
  CLADE_RETURN_IF_ERROR(
      checkOneOf("target.kind", target.kind, {"cpu", "cuda"}));
  CLADE_RETURN_IF_ERROR(checkUnicode("target.cpu", target.cpu));
  for (const std::string &feature : target.features) {
    CLADE_RETURN_IF_ERROR(checkUnicode("target.features", feature));
    if (feature.size() < 2 || (feature[0] != '+' && feature[0] != '-'))
      return expected("target.features", "'+name' or '-name'",
                      quoteName(feature));
  }
  return {};
}

Status checkEntries(const Manifest &manifest) {
  for (const auto &[name, entry] : manifest.entries) {
    std::string where = "entries." + name;
    CLADE_RETURN_IF_ERROR(checkUnicode("entries", name));
    CLADE_RETURN_IF_ERROR(checkUnicode(where + ".symbol", entry.symbol));
    if (entry.symbol.empty())
      return expected(where + ".symbol", "a name", "''");
    CLADE_RETURN_IF_ERROR(
        checkRange(where + ".output_width", entry.outputWidth, 1, INT32_MAX));
  }
  if (!manifest.entries.count("forward"))
    return Status::corruption("'entries' has no 'forward'");
  return {};
}

Status checkKeyValue(const ManifestState &state) {
  CLADE_RETURN_IF_ERROR(
      checkOneOf("states.dtype", state.dtype, {"bf16", "f32"}));
  CLADE_RETURN_IF_ERROR(
      checkRange("states.heads", state.heads, 1, maxHeadSize));
  CLADE_RETURN_IF_ERROR(
      checkRange("states.key_size", state.keySize, 1, maxHeadSize));
  return checkRange("states.value_size", state.valueSize, 1,
                    state.isLatent() ? state.keySize : maxHeadSize);
}

Status checkStates(const Manifest &manifest) {
  for (const ManifestGroup &group : manifest.groups) {
    if (group.window)
      CLADE_RETURN_IF_ERROR(
          checkRange("groups.window", *group.window, 1, INT32_MAX));
    if (group.window && group.perSequence)
      return expected("groups.window", "null in a group with per_sequence",
                      std::to_string(*group.window));
  }
  int64_t groups = static_cast<int64_t>(manifest.groups.size());
  int64_t total = 0;
  for (const ManifestState &state : manifest.states) {
    CLADE_RETURN_IF_ERROR(
        checkOneOf("states.kind", state.kind, {"kv", "latent", "recurrent"}));
    CLADE_RETURN_IF_ERROR(
        checkRange("states.group", state.group, 0, groups - 1));
    bool perSequence =
        manifest.groups[static_cast<size_t>(state.group)].perSequence;
    if (perSequence != state.isRecurrent())
      return expected("states.group",
                      std::string("a group with per_sequence ") +
                          (perSequence ? "false" : "true") +
                          " for a state of "
                          "kind " +
                          quoteName(state.kind),
                      std::to_string(state.group));
    if (state.isRecurrent()) {
      CLADE_RETURN_IF_ERROR(
          checkRange("states.bytes", state.bytes, 0, maxBytes));
      if (state.bytes % stateAlignment != 0)
        return expected("states.bytes",
                        "a multiple of " + std::to_string(stateAlignment),
                        std::to_string(state.bytes));
      total += state.bytes;
      CLADE_RETURN_IF_ERROR(
          checkRange("states: bytes of a page", total, 0, maxBytes));
      continue;
    }
    CLADE_RETURN_IF_ERROR(checkKeyValue(state));
    total += state.keyPageBytes() + state.valuePageBytes();
    CLADE_RETURN_IF_ERROR(
        checkRange("states: bytes of a page", total, 1, maxBytes));
  }
  return {};
}

Status checkLayers(const Manifest &manifest,
                   const std::vector<CladeLayer> &layers,
                   const std::vector<ManifestState> &stateList) {
  int64_t states = static_cast<int64_t>(stateList.size());
  for (const CladeLayer &layer : layers) {
    CLADE_RETURN_IF_ERROR(checkRange("layers.kind", layer.kind, 0, INT32_MAX));
    CLADE_RETURN_IF_ERROR(
        checkRange("layers.layer", layer.layer, 0, INT32_MAX));
    CLADE_RETURN_IF_ERROR(checkRange("layers.first_weight", layer.first_weight,
                                     0, manifest.weightSlots));
    CLADE_RETURN_IF_ERROR(
        checkRange("layers.first_state", layer.first_state, 0, states));
  }
  return {};
}

Status checkSizes(const ManifestWorkspace &workspace,
                  const ManifestScratch &scratch) {
  for (int64_t size : {workspace.fixed, workspace.perToken,
                       workspace.perSelected, workspace.perSequence})
    CLADE_RETURN_IF_ERROR(checkRange("workspace", size, 0, maxBytes));
  for (int64_t size : {scratch.fixed, scratch.perContext})
    CLADE_RETURN_IF_ERROR(checkRange("scratch", size, 0, maxBytes));
  return {};
}

Status checkImages(const Manifest &manifest) {
  bool hasEntry = manifest.entries.count("image") != 0;
  if (hasEntry != manifest.images.has_value())
    return expected("images",
                    hasEntry ? "an object, for the entry 'image'"
                             : "null without an entry 'image'",
                    hasEntry ? "null" : "an object");
  if (!hasEntry)
    return {};
  const ImageLayout &layout = manifest.images->layout;
  constexpr int64_t maxSide = 1 << 12;
  CLADE_RETURN_IF_ERROR(checkUnicode("images.pixels", layout.pixels));
  CLADE_RETURN_IF_ERROR(checkUnicode("images.sizes", layout.sizes));
  CLADE_RETURN_IF_ERROR(
      checkRange("images.channels", layout.channels, 1, maxSide));
  CLADE_RETURN_IF_ERROR(checkRange("images.frames", layout.frames, 0, 64));
  CLADE_RETURN_IF_ERROR(checkRange("images.patch", layout.patch, 1, maxSide));
  CLADE_RETURN_IF_ERROR(checkRange("images.merge", layout.merge, 1, maxSide));
  if (layout.fold != 1 && layout.fold != layout.merge * layout.merge)
    return expected("images.fold", "1 or the square of 'merge'",
                    std::to_string(layout.fold));
  if (manifest.images->tokens.empty())
    return expected("images.tokens", "at least one token", "none");
  for (int32_t id : manifest.images->tokens)
    CLADE_RETURN_IF_ERROR(
        checkRange("images.tokens", id, 0, manifest.model.vocab - 1));
  for (const ManifestState &state : manifest.images->states) {
    CLADE_RETURN_IF_ERROR(checkOneOf("images.states.kind", state.kind, {"kv"}));
    CLADE_RETURN_IF_ERROR(checkKeyValue(state));
  }
  CLADE_RETURN_IF_ERROR(
      checkLayers(manifest, manifest.images->layers, manifest.images->states));
  return checkSizes(manifest.images->workspace, manifest.images->scratch);
}

/// Names are single path components, so that no file outside is meant.
Status checkFiles(const Manifest &manifest) {
  for (const auto &[name, file] : manifest.files) {
    CLADE_RETURN_IF_ERROR(checkUnicode("files", name));
    bool plain = !name.empty() && name[0] != '.' &&
                 name.find('/') == std::string::npos &&
                 name.find('\0') == std::string::npos;
    if (!plain || name == "manifest.json")
      return expected("files", "a plain file name", quoteName(name));
    CLADE_RETURN_IF_ERROR(checkUnicode("files.xxh128", file.xxh128));
  }
  return {};
}

} // namespace

int64_t ManifestState::keyPageBytes() const {
  return isRecurrent() ? bytes : pageBytes(*this, keySize);
}

int64_t ManifestState::valuePageBytes() const {
  return isRecurrent() || isLatent() ? 0 : pageBytes(*this, valueSize);
}

static Status checkAdapters(const Manifest &manifest) {
  if (!manifest.adapters)
    return {};
  const ManifestAdapters &adapters = *manifest.adapters;
  CLADE_RETURN_IF_ERROR(checkRange("adapters.count", adapters.count, 1, 1024));
  CLADE_RETURN_IF_ERROR(checkRange("adapters.rank", adapters.rank, 1, 65536));
  for (int32_t slot : adapters.weights)
    CLADE_RETURN_IF_ERROR(
        checkRange("adapters.weights", slot, 0, manifest.weightSlots - 1));
  return {};
}

Status Manifest::validate() const {
  CLADE_RETURN_IF_ERROR(checkModel(model));
  CLADE_RETURN_IF_ERROR(checkTarget(target));
  CLADE_RETURN_IF_ERROR(checkEntries(*this));
  CLADE_RETURN_IF_ERROR(checkStates(*this));
  CLADE_RETURN_IF_ERROR(checkRange("weights.slots", weightSlots, 0, INT32_MAX));
  CLADE_RETURN_IF_ERROR(checkLayers(*this, layers, states));
  CLADE_RETURN_IF_ERROR(checkSizes(workspace, scratch));
  CLADE_RETURN_IF_ERROR(checkImages(*this));
  CLADE_RETURN_IF_ERROR(checkAdapters(*this));
  return checkFiles(*this);
}
