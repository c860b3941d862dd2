//===- LoadModel.cpp - Weights from a checkpoint --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Artifact, weight table and checkpoint come together here.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/CompiledModel.h"

#include "runtime/Engine/ThreadPool.h"
#include "runtime/Weights/WeightLoader.h"

#include <chrono>

using namespace clade::rt;

StatusOr<std::shared_ptr<const CompiledModel>>
CompiledModel::load(const std::string &path, const ModelOptions &options) {
  auto start = std::chrono::steady_clock::now();
  CLADE_ASSIGN_OR_RETURN(auto artifact, Artifact::open(path));
  CLADE_ASSIGN_OR_RETURN(
      WeightTable table,
      WeightTable::parse(artifact->weightTable(),
                         artifact->filePath("weights.json")));
  CLADE_RETURN_IF_ERROR(
      checkSlots(*artifact, static_cast<size_t>(table.numSlots)));
  const std::string &checkpointPath =
      options.checkpoint.empty() ? artifact->manifest().model.checkpoint
                                 : options.checkpoint;
  CLADE_ASSIGN_OR_RETURN(Checkpoint checkpoint,
                         Checkpoint::open(checkpointPath));
  LoadOptions loadOptions;
  loadOptions.threads =
      options.threads ? options.threads : defaultThreadCount();
  loadOptions.progress = options.progress;
  CLADE_ASSIGN_OR_RETURN(LoadedWeights loaded,
                         loadWeights(table, checkpoint, loadOptions));
  // The weights keep what they need of the checkpoint alive.
  auto owner = std::make_shared<LoadedWeights>(std::move(loaded));
  std::vector<const void *> slots(owner->table(),
                                  owner->table() + owner->numSlots());
  std::shared_ptr<CompiledModel> model(new CompiledModel());
  model->checkpoint = checkpointPath;
  model->code = std::move(artifact);
  model->slots = std::move(slots);
  model->weightOwner = std::move(owner);
  model->seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
  return std::shared_ptr<const CompiledModel>(std::move(model));
}
