//===- ConvertHf.cpp - A checkpoint in the published form -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The published form is what the family itself asks for when no checkpoint
// tells otherwise. Tensors that the source stores in that form are copied;
// others are made of what the source stores, by the composition of the two
// mappings.
//
//===----------------------------------------------------------------------===//

#include "tools/clade/ConvertQuantised.h"
#include "tools/clade/Progress.h"

#include "lib/Import/Quantisation.h"
#include "runtime/Engine/LoadTokenizer.h"
#include "runtime/Support/File.h"
#include "runtime/Support/OutputDirectory.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <set>

using namespace clade;
using namespace clade::driver;
using mlir::failed;
using mlir::failure;
using mlir::FailureOr;
using nlohmann::json;
using ordered = nlohmann::ordered_json;

/// config.json of what is written.
static ordered configOf(const ConversionModel &source,
                        const rt::Checkpoint &checkpoint, rt::DType dtype) {
  // The text is that of a configuration that was read.
  ordered config =
      checkpoint.configText()
          ? ordered::parse(*checkpoint.configText(), nullptr, false)
          : ordered::parse(source.model.config->json().dump(), nullptr, false);
  import::eraseQuantisation(config);
  if (checkpoint.gguf())
    config["model_type"] = source.model.family;
  const char *key = config.contains("torch_dtype") ? "torch_dtype" : "dtype";
  config[key] = configType(dtype);
  return config;
}

/// The family over tensors that are to be written.
static FailureOr<import::ImportedModel>
importPublished(Environment &environment, const ConversionModel &source,
                const ordered &config) {
  import::SpecLibrary &library = environment.getLibrary();
  auto parsed = import::Config::parse(
      config.dump(2, ' ', false, ordered::error_handler_t::replace),
      source.model.config->getName(), library.getSourceMgr(),
      &environment.getContext());
  if (failed(parsed))
    return failure();
  auto family = import::findFamily(library, **parsed);
  if (failed(family))
    return failure();
  return import::importFamily(library, *family, std::move(*parsed),
                              std::nullopt, "f32");
}

static void collectSources(const rt::WeightNode &node, int64_t expert,
                           std::set<std::string> &names) {
  if (node.op == rt::WeightOp::Source)
    names.insert(expert < 0 ? node.name : rt::expandExpert(node.name, expert));
  for (const rt::WeightNode &input : node.inputs)
    if (node.op == rt::WeightOp::Stack)
      for (int64_t i = 0; i < node.stacked; ++i)
        collectSources(input, i, names);
    else
      collectSources(input, expert, names);
}

/// Tensors that the model does not read are part of a checkpoint, too: those of
/// a plain one are copied.
static void addUnread(const ConversionModel &source,
                      const rt::Checkpoint &checkpoint,
                      std::vector<OutputTensor> &tensors,
                      ConvertReport &report) {
  std::set<std::string> read;
  for (const SlotWeight &weight : source.weights)
    collectSources(weight.value, -1, read);
  for (const OutputTensor &tensor : tensors)
    read.insert(tensor.name);
  nlohmann::json config = source.model.config->json();
  bool isPlain = !checkpoint.gguf() && !import::eraseQuantisation(config);
  for (const rt::StoredTensor &stored : checkpoint.ownTensors()) {
    if (read.count(stored.name))
      continue;
    if (!isPlain) {
      report.notes.push_back("tensor '" + stored.name +
                             "', which the model does not read, is not "
                             "written");
      continue;
    }
    rt::WeightNode node;
    node.name = stored.name;
    node.dtype = stored.dtype;
    node.shape = stored.shape;
    tensors.push_back({stored.name, stored.dtype, std::move(node)});
  }
}

/// Chooses the stored types: a copy keeps its own unless another is asked for.
static void chooseTypes(const ConvertOptions &options,
                        const rt::Checkpoint &checkpoint, rt::DType dtype,
                        std::vector<OutputTensor> &tensors) {
  for (OutputTensor &tensor : tensors) {
    if (tensor.program.op == rt::WeightOp::BlockScale ||
        tensor.program.op == rt::WeightOp::Encode)
      continue;
    const rt::StoredTensor *stored = checkpoint.find(tensor.name);
    // An axis of size 1 may be published that the family does not name.
    bool isCopy =
        stored && !checkpoint.gguf() && isCopyOf(tensor.program, tensor.name);
    if (!isCopy) {
      // What an adapter is merged into keeps its type.
      bool keepsType = checkpoint.adapter() && stored && !checkpoint.gguf() &&
                       rt::isComputeFloat(stored->dtype) &&
                       options.dtype.empty();
      storeAs(tensor, keepsType ? stored->dtype : dtype);
      continue;
    }
    rt::WeightNode node;
    node.name = stored->name;
    node.dtype = stored->dtype;
    node.shape = stored->shape;
    tensor = {tensor.name, stored->dtype, std::move(node)};
    if (!options.dtype.empty() && rt::isComputeFloat(stored->dtype))
      storeAs(tensor, dtype);
  }
}

/// Copies what is beside the tensors: tokenizer, generation settings, licence.
static rt::Status copyFiles(const rt::Checkpoint &checkpoint,
                            const std::string &folder, ConvertReport &report) {
  if (checkpoint.gguf()) {
    auto make = [&]() -> rt::StatusOr<std::string> {
      CLADE_ASSIGN_OR_RETURN(rt::GGUFVocabulary vocabulary,
                             rt::readGGUFVocabulary(*checkpoint.gguf()));
      return rt::tokenizerJson(vocabulary);
    };
    rt::StatusOr<std::string> text = make();
    if (text.ok())
      return rt::writeTextFile(folder + "/tokenizer.json", *text);
    report.notes.push_back("'tokenizer.json' is not written: " +
                           text.status().message());
    return {};
  }
  std::error_code error;
  for (llvm::sys::fs::directory_iterator it(checkpoint.path(), error), end;
       it != end && !error; it.increment(error)) {
    llvm::StringRef name = llvm::sys::path::filename(it->path());
    bool isBeside = llvm::any_of(
        llvm::ArrayRef<llvm::StringRef>{".json", ".txt", ".model", ".jinja",
                                        ".md", "LICENSE"},
        [&](llvm::StringRef end) { return name.ends_with(end); });
    if (!isBeside || name == "config.json" || name.ends_with(".index.json") ||
        !llvm::sys::fs::is_regular_file(it->path()))
      continue;
    if (std::error_code copied =
            llvm::sys::fs::copy_file(it->path(), folder + "/" + name.str()))
      return rt::systemError("cannot copy", it->path(), copied.value());
  }
  if (error)
    return rt::systemError("cannot read", checkpoint.path(), error.value());
  if (!checkpoint.tokenizerPath())
    report.notes.push_back("the source has no 'tokenizer.json'");
  return {};
}

std::optional<ConvertReport>
driver::convertToHf(Environment &environment, const rt::Checkpoint &checkpoint,
                    const ConvertOptions &options) {
  if (rt::Status status = checkPublishedPlace(options.output); !status.ok())
    return fail(status), std::nullopt;
  showProgress("reading the specs and headers");
  auto source = ConversionModel::read(environment, checkpoint);
  if (failed(source))
    return std::nullopt;
  ConvertOptions stored = options;
  if (isOfCodes(options.dtype))
    stored.dtype.clear(); // What is no code keeps the model's own type.
  rt::DType dtype = chooseType(stored, source->model, checkpoint);
  ordered config = configOf(*source, checkpoint, dtype);
  auto target = importPublished(environment, *source, config);
  if (failed(target))
    return std::nullopt;
  auto tensors = planTensors(*source, *target);
  if (failed(tensors))
    return std::nullopt;
  ConvertReport report;
  addUnread(*source, checkpoint, *tensors, report);
  if (isOfCodes(options.dtype) &&
      !encodeLinearMaps(options.dtype, *target, dtype, *tensors, config,
                        report))
    return std::nullopt;
  chooseTypes(stored, checkpoint, dtype, *tensors);
  auto folder = rt::OutputDirectory::create(options.output);
  if (!folder.ok())
    return fail(folder.status()), std::nullopt;
  rt::Status status = writePublished((*folder)->path(), *tensors, config,
                                     sourcesOf(checkpoint), options, report);
  if (status.ok())
    status = copyFiles(checkpoint, (*folder)->path(), report);
  if (!status.ok())
    return fail(status), std::nullopt;
  if (!compareWithSource(environment, *source, checkpoint, (*folder)->path(),
                         report))
    return std::nullopt;
  if (status = (*folder)->commit(); !status.ok())
    return fail(status), std::nullopt;
  return report;
}
