//===- ConvertTensors.h - The tensors of another form -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the forms share that a checkpoint is converted to: the model of the
// source, the tensors that are made of it, and the comparison of the weights
// and of the computation that the written files give with those of the source.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_CONVERTTENSORS_H
#define CLADE_TOOLS_CLADE_CONVERTTENSORS_H

#include "lib/Weights/Compose.h"
#include "runtime/Weights/CompareWeights.h"
#include "tools/clade/Convert.h"

namespace clade::driver {

/// A checkpoint as the model reads it, in f32: no type that is stored is lost
/// in it.
struct ConversionModel {
  import::ImportedModel model;
  SlotTable slots;
  std::vector<SlotWeight> weights;
  std::vector<std::string> computation;

  static mlir::FailureOr<ConversionModel>
  read(Environment &environment, const rt::Checkpoint &checkpoint);
};

/// A tensor to write.
struct OutputTensor {
  std::string name;
  rt::DType dtype;
  rt::WeightNode program; ///< Of the source's tensors; of this dtype.
};

/// The tensors of `target`, in f32, made of those of the source. Reports what
/// cannot be made.
mlir::FailureOr<std::vector<OutputTensor>>
planTensors(const ConversionModel &source, import::ImportedModel &target);

/// Adds the rounding to `dtype`.
void storeAs(OutputTensor &tensor, rt::DType dtype);

/// Whether the program is the source tensor of that name, perhaps rounded or in
/// another shape.
bool isCopyOf(const rt::WeightNode &program, const std::string &name);

/// Makes tensors in the new file `path` of `bytes` bytes that begins with
/// `header`, each at its offset.
rt::Status writeTensors(const std::string &path, const std::string &header,
                        int64_t bytes, std::span<const OutputTensor> tensors,
                        std::span<const int64_t> offsets,
                        const rt::WeightSources &sources);

/// The tensors of a checkpoint as sources.
rt::WeightSources sourcesOf(const rt::Checkpoint &checkpoint);

/// Notes the weights that differ, those of all layers under one name, with the
/// largest difference of any. Prints one that the type it is stored in does not
/// explain, and says false.
bool noteDifferences(std::span<const SlotWeight> written,
                     std::span<const rt::WeightDifference> differences,
                     ConvertReport &report);

/// The bytes that a size such as 5GB, 300MB or 2GiB means; nothing for another
/// text or 0.
std::optional<int64_t> parseSize(llvm::StringRef text);

/// Writes model.safetensors, or shards with an index of at most
/// options.maxShardSize bytes of tensors each, and config.json to a folder;
/// adds what was written to the report. A larger tensor has a shard of its own.
rt::Status writePublished(const std::string &folder,
                          const std::vector<OutputTensor> &tensors,
                          const nlohmann::ordered_json &config,
                          const rt::WeightSources &sources,
                          const ConvertOptions &options, ConvertReport &report);

/// InvalidArgument unless there is nothing, an empty folder or a checkpoint at
/// `path`.
rt::Status checkPublishedPlace(const std::string &path);

/// The name of a type in config.json.
std::string configType(rt::DType dtype);

/// Opens what was written at `path` and compares all of it with the source:
/// fills in `report.lossy`. Prints a difference that is none of rounding.
bool compareWithSource(Environment &environment, const ConversionModel &source,
                       const rt::Checkpoint &checkpoint,
                       const std::string &path, ConvertReport &report);

/// What tensors become that are not copied: as asked, else the model's own
/// type. A GGUF file does not know it; f32 holds whatever its blocks decode to.
rt::DType chooseType(const ConvertOptions &options,
                     const import::ImportedModel &model,
                     const rt::Checkpoint &checkpoint);

/// "bf16", "f32", "f16", "q8_0" … as a type; the names were checked before.
std::optional<rt::DType> outputType(const std::string &name);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_CONVERTTENSORS_H
