//===- ConvertArtifact.cpp - Published tensors from packed weights --------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The way into the compiled form is derived again, from the configuration that
// the artifact keeps and without a checkpoint, and inverted. What comes out is
// compiled once more and must equal the packed weights.
//
//===----------------------------------------------------------------------===//

#include "tools/clade/ConvertTensors.h"
#include "tools/clade/Progress.h"

#include "lib/CodeGen/CPU/Target.h"
#include "runtime/Engine/Artifact.h"
#include "runtime/Support/File.h"
#include "runtime/Support/OutputDirectory.h"
#include "runtime/Weights/PackedWeights.h"

#include "llvm/Support/FileSystem.h"

using namespace clade;
using namespace clade::driver;
using mlir::failed;
using mlir::failure;
using mlir::FailureOr;
using ordered = nlohmann::ordered_json;

namespace {
/// Packed weights as tensors, by slot.
struct PackedTensors {
  rt::PackedWeights packed;
  std::string place;
  std::vector<SlotWeight> weights;
  std::vector<rt::StoredTensor> tensors; ///< Sorted by name.

  rt::WeightSources sources() const { return {tensors, place, {}}; }
};
} // namespace

static rt::StatusOr<PackedTensors> openPacked(const rt::Artifact &artifact) {
  if (!artifact.hasFile(rt::packedIndex))
    return rt::Status::invalidArgument(
        "'" + artifact.path() + "' holds no weights: convert the checkpoint '" +
        artifact.manifest().model.checkpoint + "' instead");
  PackedTensors result;
  result.place = artifact.path();
  CLADE_ASSIGN_OR_RETURN(std::string index,
                         rt::readTextFile(artifact.filePath(rt::packedIndex)));
  CLADE_ASSIGN_OR_RETURN(
      result.packed, rt::PackedWeights::open(artifact.filePath(rt::packedData),
                                             index, artifact.weightTable()));
  CLADE_RETURN_IF_ERROR(result.packed.verify());
  CLADE_ASSIGN_OR_RETURN(
      rt::WeightTable table,
      rt::WeightTable::parse(artifact.weightTable(), "weights.json"));
  result.weights.resize(static_cast<size_t>(table.numSlots));
  for (const rt::WeightEntry &entry : table.entries)
    for (int32_t slot : entry.slots) {
      rt::WeightNode node;
      node.name = "slot " + std::to_string(slot);
      node.dtype = entry.program.dtype;
      node.shape = entry.program.shape;
      rt::ByteSpan bytes = result.packed.slot(slot);
      if (rt::tensorBytes(node.dtype, node.shape) !=
          static_cast<int64_t>(bytes.size()))
        return rt::Status::corruption("'" + artifact.path() + "': weight '" +
                                      entry.param +
                                      "' has another size than its program");
      result.tensors.push_back({node.name, node.dtype, node.shape, bytes});
      result.weights[static_cast<size_t>(slot)] = {entry.param, -1,
                                                   std::move(node)};
    }
  llvm::sort(result.tensors,
             [](const auto &a, const auto &b) { return a.name < b.name; });
  return result;
}

/// Forms the kernels for which the weights were packed, and their slots.
static FailureOr<SlotTable> formAlike(import::ImportedModel &model,
                                      Environment &environment,
                                      const rt::Manifest &manifest) {
  ModelChoice choice;
  choice.precision = manifest.model.precision;
  choice.latent = latentFormOf(manifest);
  choice.weights = manifest.model.weights;
  choice.layout = manifest.model.layout;
  auto target = cpu::Target::resolve(
      mlir::UnknownLoc::get(&environment.getContext()), manifest.target.cpu);
  if (failed(target) || !formKernels(*model.module, target->panelRows, choice))
    return failure();
  return assignSlots(*model.module);
}

static bool compareWithPacked(Environment &environment,
                              const rt::Manifest &manifest,
                              const PackedTensors &packed,
                              const std::string &path, ConvertReport &report) {
  showProgress("reading the result back");
  std::optional<rt::Checkpoint> opened = environment.openCheckpoint(path);
  if (!opened)
    return false;
  auto model = import::importCheckpoint(environment.getLibrary(), *opened,
                                        manifest.model.dtype);
  auto slots = failed(model) ? FailureOr<SlotTable>(failure())
                             : formAlike(*model, environment, manifest);
  if (failed(slots))
    return false;
  auto weights = weightsBySlot(*model->module, *slots);
  if (failed(weights))
    return false;
  std::vector<rt::WeightPair> pairs;
  for (auto [a, b] : llvm::zip_equal(packed.weights, *weights))
    pairs.push_back({&a.value, &b.value});
  auto largest =
      rt::compareWeights(pairs, packed.sources(), sourcesOf(*opened));
  if (!largest.ok())
    return fail(largest.status()) == Done;
  return noteDifferences(*weights, *largest, report);
}

std::optional<ConvertReport>
driver::convertArtifactToHf(Environment &environment,
                            const ConvertOptions &options) {
  rt::Status place = checkPublishedPlace(options.output);
  if (!place.ok())
    return fail(place), std::nullopt;
  auto artifact = rt::Artifact::open(options.model);
  if (!artifact.ok())
    return fail(artifact.status()), std::nullopt;
  auto packed = openPacked(**artifact);
  if (!packed.ok())
    return fail(packed.status()), std::nullopt;
  const rt::Manifest &manifest = (*artifact)->manifest();
  if (manifest.model.weights == "keep")
    return fail("'" + options.model +
                "' keeps blocks as its checkpoint stores them, and does not "
                "say which weights have them: convert the checkpoint '" +
                manifest.model.checkpoint + "' instead"),
           std::nullopt;
  std::string configPath = (*artifact)->filePath("config.json");
  auto text = rt::readTextFile(configPath);
  if (!text.ok())
    return fail(text.status()), std::nullopt;
  import::SpecLibrary &library = environment.getLibrary();
  auto config = import::Config::parse(*text, configPath, library.getSourceMgr(),
                                      &environment.getContext());
  if (failed(config))
    return std::nullopt;
  auto family = import::findFamily(library, **config);
  if (failed(family))
    return std::nullopt;
  auto model = import::importFamily(library, *family, std::move(*config),
                                    std::nullopt, manifest.model.dtype);
  auto slots = failed(model) ? FailureOr<SlotTable>(failure())
                             : formAlike(*model, environment, manifest);
  if (failed(slots))
    return std::nullopt;
  auto plan = planConversion(packed->weights, *model->module, *slots);
  if (failed(plan))
    return std::nullopt;
  for (const WeightLoss &loss : plan->losses)
    return fail("tensor '" + loss.tensor + "' cannot be made: " + loss.reason),
           std::nullopt;
  rt::DType dtype =
      *outputType(options.dtype.empty() ? manifest.model.dtype : options.dtype);
  std::vector<OutputTensor> tensors;
  for (ConversionPlan::Tensor &tensor : plan->tensors) {
    rt::DType own = tensor.program.dtype;
    tensors.push_back({std::move(tensor.name), own, std::move(tensor.program)});
    storeAs(tensors.back(), dtype);
  }
  ordered written = ordered::parse(*text, nullptr, false);
  written.erase("torch_dtype");
  written["model_type"] = written.value("model_type", manifest.model.family);
  written["dtype"] = configType(dtype);
  auto folder = rt::OutputDirectory::create(options.output);
  if (!folder.ok())
    return fail(folder.status()), std::nullopt;
  ConvertReport report;
  rt::Status status = writePublished((*folder)->path(), tensors, written,
                                     packed->sources(), options, report);
  if (!status.ok())
    return fail(status), std::nullopt;
  for (const char *name : {"tokenizer.json", "generation_config.json"})
    if ((*artifact)->hasFile(name) &&
        llvm::sys::fs::copy_file((*artifact)->filePath(name),
                                 (*folder)->path() + "/" + name))
      return fail("cannot copy '" + (*artifact)->filePath(name) + "'"),
             std::nullopt;
  report.notes.push_back("written in the type that the artifact computes in, " +
                         manifest.model.dtype +
                         "; tensors that the model does not read are not "
                         "in an artifact");
  if (!compareWithPacked(environment, manifest, *packed, (*folder)->path(),
                         report))
    return std::nullopt;
  if (status = (*folder)->commit(); !status.ok())
    return fail(status), std::nullopt;
  return report;
}
