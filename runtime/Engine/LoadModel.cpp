//===- LoadModel.cpp - Weights from files ---------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Artifact, weight table and checkpoint come together here; or the artifact
// holds its weights, or a cache does, and they are mapped.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/CompiledModel.h"

#include "runtime/Engine/ThreadPool.h"
#include "runtime/Support/File.h"
#include "runtime/Support/Text.h"
#include "runtime/Weights/Certificate.h"

#include <chrono>
#include <set>

using namespace clade::rt;

Status CompiledModel::checkCertificate(const Checkpoint *opened) const {
  if (!code->hasFile(certificateFile))
    return {}; // Artifacts need not have one.
  std::string path = code->filePath(certificateFile);
  auto check = [&]() -> Status {
    CLADE_ASSIGN_OR_RETURN(std::string text, readTextFile(path));
    CLADE_ASSIGN_OR_RETURN(Certificate certificate,
                           Certificate::fromJson(text));
    CLADE_RETURN_IF_ERROR(certificate.checkPlan(code->weightTable()));
    return opened ? certificate.checkTensors(opened->tensors(), opened->path())
                  : Status();
  };
  return check().withContext(quoteName(path));
}

void CompiledModel::usePacked(const PackedWeights &packed) {
  for (int32_t slot = 0; slot < packed.numSlots(); ++slot)
    slotBytes.push_back(packed.slot(slot));
  for (ByteSpan slot : slotBytes)
    slots.push_back(slot.data());
  weightOwner = packed.mapping();
}

uint64_t CompiledModel::weightBytes() const {
  uint64_t bytes = 0;
  std::set<const void *> seen;
  for (ByteSpan slot : slotBytes)
    if (seen.insert(slot.data()).second)
      bytes += slot.size();
  return bytes;
}

Status CompiledModel::loadPacked(const ModelOptions &options) {
  CLADE_ASSIGN_OR_RETURN(std::string index,
                         readTextFile(code->filePath(packedIndex)));
  StatusOr<PackedWeights> opened = PackedWeights::open(
      code->filePath(packedData), index, code->weightTable());
  if (!opened.ok())
    return opened.takeStatus().withContext(quoteName(code->path()));
  CLADE_RETURN_IF_ERROR(
      checkSlots(*code, static_cast<size_t>(opened->numSlots())));
  CLADE_RETURN_IF_ERROR(opened->checkSource());
  CLADE_RETURN_IF_ERROR(checkCertificate(/*opened=*/nullptr));
  LoadOptions loadOptions;
  loadOptions.threads = options.threads;
  loadOptions.progress = options.progress;
  if (options.verifyWeights)
    CLADE_RETURN_IF_ERROR(opened->verify(loadOptions));
  usePacked(*opened);
  return {};
}

Status CompiledModel::loadFromCheckpoint(const ModelOptions &options) {
  if (options.verifyWeights)
    return Status::invalidArgument(
        quoteName(code->path()) +
        " holds no weights that could be verified: 'clade convert --to packed' "
        "writes them, with their hashes");
  CLADE_ASSIGN_OR_RETURN(
      WeightTable table,
      WeightTable::parse(code->weightTable(), code->filePath("weights.json")));
  CLADE_RETURN_IF_ERROR(checkSlots(*code, static_cast<size_t>(table.numSlots)));
  CLADE_ASSIGN_OR_RETURN(
      Checkpoint opened,
      Checkpoint::open(checkpoint, manifest().model.adapter.value_or("")));
  CLADE_RETURN_IF_ERROR(checkCertificate(&opened));
  LoadOptions loadOptions;
  loadOptions.threads =
      options.threads ? options.threads : defaultThreadCount();
  loadOptions.progress = options.progress;
  CLADE_ASSIGN_OR_RETURN(std::optional<PackedWeights> kept,
                         cachedWeights(options.weightCache, table,
                                       code->weightTable(), opened,
                                       loadOptions));
  if (kept) {
    usePacked(*kept);
    return {};
  }
  CLADE_ASSIGN_OR_RETURN(LoadedWeights loaded,
                         loadWeights(table, opened, loadOptions));
  // The weights keep what they need of the checkpoint alive.
  auto owner = std::make_shared<LoadedWeights>(std::move(loaded));
  slots.assign(owner->table(), owner->table() + owner->numSlots());
  for (int32_t slot = 0; slot < owner->numSlots(); ++slot)
    slotBytes.push_back(owner->slot(slot));
  weightOwner = std::move(owner);
  readAhead = std::make_unique<ReadAhead>(opened.mappings(), slotBytes);
  return {};
}

StatusOr<int64_t> CompiledModel::bytesToMake(const std::string &path,
                                             const Checkpoint &checkpoint,
                                             const WeightCacheOptions &cache) {
  CLADE_ASSIGN_OR_RETURN(std::shared_ptr<const Artifact> code,
                         Artifact::open(path));
  if (code->hasFile(packedIndex))
    return 0;
  CLADE_ASSIGN_OR_RETURN(
      WeightTable table,
      WeightTable::parse(code->weightTable(), code->filePath("weights.json")));
  return isCached(cache, table, code->weightTable(), checkpoint)
             ? 0
             : rt::bytesToMake(table).value_or(INT64_MAX);
}

Status CompiledModel::keepWeights(const std::string &path,
                                  const ModelOptions &options,
                                  const std::atomic<bool> &cancel) {
  CLADE_ASSIGN_OR_RETURN(std::shared_ptr<const Artifact> code,
                         Artifact::open(path));
  CLADE_ASSIGN_OR_RETURN(
      WeightTable table,
      WeightTable::parse(code->weightTable(), code->filePath("weights.json")));
  const ManifestModel &model = code->manifest().model;
  CLADE_ASSIGN_OR_RETURN(Checkpoint opened,
                         Checkpoint::open(options.checkpoint.empty()
                                              ? model.checkpoint
                                              : options.checkpoint,
                                          model.adapter.value_or("")));
  LoadOptions loadOptions;
  loadOptions.threads = 1;
  loadOptions.cancel = &cancel;
  auto kept = cachedWeights(options.weightCache, table, code->weightTable(),
                            opened, loadOptions);
  return kept.ok() ? Status() : kept.takeStatus();
}

Status CompiledModel::moveToDevice(const ModelOptions &options) {
  DeviceModelSources sources;
  sources.arch = manifest().target.cpu;
  sources.kernels = code->kernels();
  sources.machineCode = code->machineCode();
  sources.plan = code->launches();
  sources.numStates = static_cast<int64_t>(manifest().states.size());
  sources.outputWidth = manifest().logitsWidth();
  if (const std::optional<ManifestImages> &images = manifest().images) {
    int64_t width = manifest().entries.at("image").outputWidth;
    sources.mediaWidth = width;
    sources.images = {*code->imageLaunches(),
                      static_cast<int64_t>(images->states.size()), width,
                      images->layout.width(), /*mediaWidth=*/0};
  }
  sources.weights = std::move(slotBytes);
  sources.progress = options.progress;
  CLADE_ASSIGN_OR_RETURN(deviceModel,
                         DeviceModel::create(sources, options.device));
  slots.clear();
  readAhead = nullptr;
  weightOwner = nullptr;
  return {};
}

StatusOr<std::shared_ptr<const CompiledModel>>
CompiledModel::load(const std::string &path, const ModelOptions &options) {
  auto start = std::chrono::steady_clock::now();
  std::shared_ptr<CompiledModel> model(new CompiledModel());
  CLADE_ASSIGN_OR_RETURN(model->code, Artifact::open(path));
  bool isOwn = options.checkpoint.empty();
  model->checkpoint =
      isOwn ? model->manifest().model.checkpoint : options.checkpoint;
  CLADE_RETURN_IF_ERROR(isOwn && model->code->hasFile(packedIndex)
                            ? model->loadPacked(options)
                            : model->loadFromCheckpoint(options));
  if (model->manifest().target.isCuda())
    CLADE_RETURN_IF_ERROR(model->moveToDevice(options));
  model->seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
  return std::shared_ptr<const CompiledModel>(std::move(model));
}
