//===- ConvertWeights.cpp - Compiled weights of a device ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// weights.safetensors holds the fused weights before they are packed for a
// machine, those of a layer under the layer's number; shard.json says which
// parts of the whole weights they are.
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Shards.h"

#include "lib/Weights/Compose.h"
#include "runtime/Support/File.h"
#include "runtime/Support/OutputDirectory.h"
#include "runtime/Weights/WeightLoader.h"

using namespace clade;
using namespace clade::driver;
using mlir::failed;

/// Makes the weights and writes them; compares what comes back.
static rt::StatusOr<ConvertReport> write(const rt::Checkpoint &checkpoint,
                                         const RankWeights &rank,
                                         const rt::WeightTable &table,
                                         const std::string &output) {
  CLADE_ASSIGN_OR_RETURN(rt::LoadedWeights loaded,
                         rt::loadWeights(table, checkpoint));
  std::vector<rt::StoredTensor> tensors;
  int64_t bytes = 0;
  for (const rt::WeightEntry &entry : table.entries)
    for (auto [i, slot] : llvm::enumerate(entry.slots)) {
      rt::StoredTensor tensor;
      tensor.name =
          withLayer(entry.param, entry.layers.empty()
                                     ? std::nullopt
                                     : std::optional<int64_t>(entry.layers[i]));
      tensor.dtype = entry.program.dtype;
      tensor.shape = entry.program.shape;
      tensor.bytes = loaded.slot(slot);
      bytes += static_cast<int64_t>(tensor.bytes.size());
      tensors.push_back(std::move(tensor));
    }
  CLADE_ASSIGN_OR_RETURN(auto folder, rt::OutputDirectory::create(output));
  std::string path = folder->path() + "/weights.safetensors";
  CLADE_RETURN_IF_ERROR(rt::writeSafetensors(path, tensors));
  CLADE_RETURN_IF_ERROR(rt::writeTextFile(
      folder->path() + "/shard.json",
      rank.description.dump(1, ' ', false,
                            nlohmann::json::error_handler_t::replace) +
          "\n"));
  CLADE_ASSIGN_OR_RETURN(rt::SafetensorsFile file,
                         rt::SafetensorsFile::open(path));
  for (const rt::StoredTensor &tensor : tensors) {
    const rt::StoredTensor *back = rt::findTensor(file.tensors(), tensor.name);
    if (!back || back->dtype != tensor.dtype || back->shape != tensor.shape ||
        !std::equal(back->bytes.begin(), back->bytes.end(),
                    tensor.bytes.begin(), tensor.bytes.end()))
      return rt::Status::corruption("tensor '" + tensor.name + "' of '" + path +
                                    "' is not what was written");
  }
  CLADE_RETURN_IF_ERROR(folder->commit());
  ConvertReport report;
  report.facts = {{"tensors", tensors.size()}, {"bytes", bytes}};
  return report;
}

std::optional<ConvertReport>
driver::convertToWeights(Environment &environment,
                         const rt::Checkpoint &checkpoint,
                         const ConvertOptions &options) {
  if (rt::fileExists(options.output) &&
      !rt::fileExists(options.output + "/shard.json"))
    return fail("'" + options.output +
                "' exists and does not hold the weights of a device"),
           std::nullopt;
  ModelChoice choice;
  choice.dtype = options.dtype;
  choice.precision = options.precision;
  auto rank = weightsOfRank(environment, checkpoint, choice, options.shard);
  if (!rank)
    return std::nullopt;
  auto table = weightTable(rank->uses);
  if (failed(table))
    return std::nullopt;
  auto report = write(checkpoint, *rank, *table, options.output);
  if (!report.ok())
    return fail(report.status()), std::nullopt;
  return std::move(*report);
}
