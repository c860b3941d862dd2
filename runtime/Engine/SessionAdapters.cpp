//===- SessionAdapters.cpp - Adapters beside the weights ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The weights of places for adapters belong to the session: those of the model
// are shared. Place 0 stays zero, and an adapter fills the next free one: what
// it says of each module, with zeros up to the rank that the code was compiled
// for and the scale multiplied into B.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Session.h"
#include "runtime/Formats/Adapter.h"
#include "runtime/Formats/Dequantize.h"
#include "runtime/Support/CheckedMath.h"
#include "runtime/Support/Text.h"
#include "runtime/Weights/WeightLoader.h"

#include <algorithm>
#include <cstring>
#include <set>

using namespace clade::rt;

namespace {

constexpr std::string_view sourcePrefix = "adapter:";
/// Stands for the number of an expert in the name of a source.
constexpr std::string_view allExperts = "*";

/// The factors of one adapter as the table of places names them.
class PaddedFactors {
public:
  PaddedFactors(const Adapter &adapter, int32_t rank)
      : adapter(adapter), rank(rank) {}

  /// Adds the tensors that a program reads for a layer.
  Status add(const WeightNode &node, int64_t layer) {
    for (const WeightNode &input : node.inputs)
      CLADE_RETURN_IF_ERROR(add(input, layer));
    if (node.op != WeightOp::Source)
      return {};
    std::string name = expandLayer(node.name, layer);
    if (known.count(name))
      return {};
    std::vector<float> &values = known[name];
    values.assign(static_cast<size_t>(*elementCount(node.shape)), 0.0f);
    std::string_view module = name;
    if (!module.starts_with(sourcePrefix) || node.shape.size() != 3 ||
        node.dtype != DType::F32)
      return Status::corruption("source " + quoteName(name) +
                                " is no factor of an adapter");
    module.remove_prefix(sourcePrefix.size());
    bool isA = module.ends_with(".lora_A");
    module.remove_suffix(std::string_view(".lora_A").size());
    for (const std::string &candidate : moduleNames(module)) {
      CLADE_ASSIGN_OR_RETURN(bool isFilled,
                             fill(candidate, isA, node.shape, values));
      if (isFilled)
        break;
    }
    tensors.push_back({name, DType::F32, node.shape,
                       std::as_bytes(std::span<const float>(values))});
    return {};
  }

  /// What is wrong with a module that no place is for.
  Status withoutPlace(const std::string &module) const {
    return Status::unsupported(
        quoteName(adapter.path()) + " adapts module " + quoteName(module) +
        ", for which the code has no place: only linear maps of layers have "
        "one; merge the adapter into the weights");
  }

  /// Sorted by name. Unsupported for a module that no place is for.
  StatusOr<std::vector<StoredTensor>> finish() {
    for (const auto &[module, factors] : adapter.factors())
      if (!used.count(module))
        return withoutPlace(module);
    if (!adapter.wholeWeights().empty())
      return Status::unsupported(
          "tensor " + quoteName(adapter.wholeWeights().begin()->second->name) +
          " of " + quoteName(adapter.path()) +
          " is a whole weight: merge the adapter into the weights");
    std::sort(tensors.begin(), tensors.end(),
              [](const StoredTensor &a, const StoredTensor &b) {
                return a.name < b.name;
              });
    return tensors;
  }

private:
  /// The source of a module, [1, rank, in] of A or [1, out, rank] of B times
  /// the scale; or that of all experts of a layer. False if the adapter says
  /// nothing of it.
  StatusOr<bool> fill(const std::string &module, bool isA,
                      const std::vector<int64_t> &shape,
                      std::span<float> values) {
    size_t star = module.find(allExperts);
    if (star == module.npos)
      return fillFrom(module, Part(), isA, shape, values);
    // A module for each expert, or one parameter with the matrices of all.
    bool isFilled = false;
    std::vector<int64_t> own = shape;
    own[0] = 1;
    size_t size = values.size() / static_cast<size_t>(shape[0]);
    for (int64_t expert = 0; expert < shape[0]; ++expert) {
      std::string name = module;
      name.replace(star, allExperts.size(), std::to_string(expert));
      CLADE_ASSIGN_OR_RETURN(
          bool isOne,
          fillFrom(name, Part(), isA, own,
                   values.subspan(static_cast<size_t>(expert) * size, size)));
      isFilled |= isOne;
    }
    if (isFilled)
      return true;
    std::string prefix = module.substr(0, star);
    std::string map = module.substr(star + allExperts.size() + 1);
    CLADE_ASSIGN_OR_RETURN(isFilled,
                           fillFrom(prefix + map, Part(), isA, shape, values));
    // The maps of a gate and of what it gates may be one, one behind the other.
    bool isGate = map == "gate_proj", isUp = map == "up_proj";
    if (isFilled || (!isGate && !isUp))
      return isFilled;
    return fillFrom(prefix + "gate_up_proj", {2, isGate ? 0 : 1}, isA, shape,
                    values);
  }

  /// Which of so many equal parts of B's rows.
  struct Part {
    int64_t count = 1, number = 0;
  };

  StatusOr<bool> fillFrom(const std::string &module, Part part, bool isA,
                          const std::vector<int64_t> &shape,
                          std::span<float> values) {
    auto found = adapter.factors().find(module);
    if (found == adapter.factors().end())
      return false;
    const AdapterFactors &factors = found->second;
    used.insert(module);
    // Matrices of several experts are a parameter, that of one is a module.
    bool isParameter = factors.kind == AdapterFactors::Kind::Parameter;
    if (factors.kind == AdapterFactors::Kind::Embedding)
      return Status::unsupported("module " + quoteName(module) + " of " +
                                 quoteName(adapter.path()) +
                                 " is adapted as no linear map");
    if ((isParameter ? factors.experts : 1) != shape[0])
      return Status::unsupported(
          "module " + quoteName(module) + " of " + quoteName(adapter.path()) +
          " is adapted as " + std::to_string(factors.experts) +
          " matrices, expected " + std::to_string(shape[0]));
    if (factors.rank > rank)
      return Status::invalidArgument(
          "module " + quoteName(module) + " of " + quoteName(adapter.path()) +
          " has rank " + std::to_string(factors.rank) +
          ", the code was compiled for at most " + std::to_string(rank));
    int64_t in = factors.a->shape[1], out = factors.b->shape[0];
    int64_t expected = shape[isA ? 2 : 1] * (isA ? 1 : part.count);
    // Older releases of PEFT took the first axis of a parameter's matrix as
    // that of inputs: A is then what B should be, and the other way round.
    bool isSwapped = isParameter && part.count == 1 && in != out &&
                     (isA ? out : in) == expected;
    bool readsA = isA != isSwapped;
    const StoredTensor &stored = readsA ? *factors.a : *factors.b;
    if ((readsA ? in : out) != expected)
      return Status::invalidArgument("tensor " + quoteName(stored.name) +
                                     " of " + quoteName(adapter.path()) +
                                     " is " + shapeText(stored.shape) +
                                     ", expected " + std::to_string(expected) +
                                     (readsA ? " columns" : " rows"));
    int64_t count = stored.shape[0] * stored.shape[1];
    std::vector<float> plain(static_cast<size_t>(count));
    decodeToF32(stored.dtype, stored.bytes.data(), count, plain.data());
    int64_t experts = shape[0], own = factors.rank;
    float scale = isA ? 1.0f : static_cast<float>(factors.scale);
    int64_t first = isA ? 0 : expected / part.count * part.number;
    int64_t size = isA ? shape[2] : shape[1];
    for (int64_t expert = 0; expert < experts; ++expert)
      for (int64_t r = 0; r < own; ++r)
        for (int64_t i = 0; i < size; ++i) {
          // A [experts · rank, in], B [out, rank · experts], the expert last.
          int64_t from =
              readsA ? (expert * own + r) * in + i
                     : (first + i) * own * experts + r * experts + expert;
          int64_t to = isA ? (expert * rank + r) * size + i
                           : (expert * size + i) * rank + r;
          values[static_cast<size_t>(to)] =
              plain[static_cast<size_t>(from)] * scale;
        }
    return true;
  }

  const Adapter &adapter;
  int32_t rank;
  std::map<std::string, std::vector<float>> known;
  std::set<std::string> used;
  std::vector<StoredTensor> tensors;
};

/// Bytes of a slot of the table.
int64_t bytesOf(const WeightEntry &entry) {
  return *tensorBytes(entry.program.dtype, entry.program.shape);
}

} // namespace

Status Session::makePlaces() {
  const Manifest &manifest = model().manifest();
  weights.assign(model().weights().begin(), model().weights().end());
  if (!manifest.adapters)
    return {};
  const ManifestAdapters &places = *manifest.adapters;
  const Artifact &artifact = model().artifact();
  if (!artifact.hasFile(adaptersFile))
    return Status::corruption(quoteName(artifact.path()) +
                              " has places for adapters, but no '" +
                              adaptersFile + "'");
  CLADE_ASSIGN_OR_RETURN(adapterTable,
                         WeightTable::open(artifact.filePath(adaptersFile)));
  if (static_cast<size_t>(adapterTable.numSlots) != places.weights.size())
    return Status::corruption(quoteName(artifact.filePath(adaptersFile)) +
                              " has " + std::to_string(adapterTable.numSlots) +
                              " slots, the manifest has " +
                              std::to_string(places.weights.size()));
  int64_t total = 0;
  placeOffsets.resize(places.weights.size());
  for (const WeightEntry &entry : adapterTable.entries)
    for (int32_t slot : entry.slots) {
      placeOffsets[static_cast<size_t>(slot)] = total;
      std::optional<int64_t> all =
          checkedMul<int64_t>(bytesOf(entry), places.count + 1);
      std::optional<int64_t> end = all ? checkedAdd(total, *all) : std::nullopt;
      end = end ? checkedAlignUp(*end, int64_t(64)) : std::nullopt;
      if (!end)
        return Status::corruption("the places for adapters are too large");
      total = *end;
    }
  const char *what = "the places for adapters";
  auto bytes = static_cast<uint64_t>(total);
  if (deviceStep) {
    const std::shared_ptr<CudaStream> &stream = deviceStep->stream();
    CLADE_ASSIGN_OR_RETURN(
        deviceAdapters, DeviceBuffer::allocate(stream->device(), bytes, what));
    CLADE_RETURN_IF_ERROR(stream->zero(deviceAdapters.address(), bytes));
    for (size_t slot = 0; slot < placeOffsets.size(); ++slot)
      deviceStep->setWeight(places.weights[slot],
                            deviceAdapters.address() +
                                static_cast<uint64_t>(placeOffsets[slot]));
    return {};
  }
  CLADE_RETURN_IF_ERROR(adapterMemory.reserve(bytes, what));
  std::memset(adapterMemory.data(), 0, bytes);
  for (size_t slot = 0; slot < placeOffsets.size(); ++slot)
    weights[static_cast<size_t>(places.weights[slot])] =
        adapterMemory.data() + placeOffsets[slot];
  return {};
}

/// Copies the matrices of an adapter to place `place` of a slot of its table.
Status Session::fillPlace(int32_t slot, int32_t place, ByteSpan matrices) {
  uint64_t at = static_cast<uint64_t>(placeOffsets[static_cast<size_t>(slot)]) +
                static_cast<uint64_t>(place) * matrices.size();
  if (deviceStep)
    return deviceStep->stream()->upload(deviceAdapters.address() + at,
                                        matrices.data(), matrices.size());
  std::memcpy(adapterMemory.data() + at, matrices.data(), matrices.size());
  return {};
}

StatusOr<int32_t> Session::loadAdapter(const std::string &path) {
  const std::optional<ManifestAdapters> &places = model().manifest().adapters;
  if (!places)
    return Status::unsupported(
        quoteName(model().artifact().path()) +
        " has no places for adapters: compile it with --adapter-slots");
  if (numAdapters >= places->count)
    return Status::resourceExhausted("all " + std::to_string(places->count) +
                                     " places for adapters are taken");
  CLADE_ASSIGN_OR_RETURN(Adapter adapter, Adapter::open(path));
  PaddedFactors factors(adapter, places->rank);
  for (const WeightEntry &entry : adapterTable.entries)
    for (size_t i = 0; i < entry.slots.size(); ++i)
      CLADE_RETURN_IF_ERROR(factors.add(
          entry.program, entry.layers.empty() ? 0 : entry.layers[i]));
  CLADE_ASSIGN_OR_RETURN(std::vector<StoredTensor> tensors, factors.finish());
  LoadOptions options;
  options.threads = pool->size();
  CLADE_ASSIGN_OR_RETURN(
      LoadedWeights made,
      loadWeights(adapterTable, WeightSources{tensors, path, {}}, options));
  int32_t place = numAdapters + 1;
  for (int32_t slot = 0; slot < adapterTable.numSlots; ++slot)
    CLADE_RETURN_IF_ERROR(fillPlace(slot, place, made.slot(slot)));
  if (deviceStep)
    CLADE_RETURN_IF_ERROR(deviceStep->stream()->synchronize());
  numAdapters = place;
  return place;
}

Status Session::checkAdapter(int32_t adapter) const {
  if (adapter >= 0 && adapter <= numAdapters)
    return {};
  return Status::invalidArgument(
      "expected an adapter in [0, " + std::to_string(numAdapters) +
      "], 0 for none, got " + std::to_string(adapter));
}

Status Session::setAdapter(SequenceId id, int32_t adapter) {
  CLADE_RETURN_IF_ERROR(checkAdapter(adapter));
  return cache->setAdapter(id, adapter);
}
