//===- ConvertTensors.cpp - The tensors of another form -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/ConvertTensors.h"

#include "tools/clade/Progress.h"

#include "runtime/Support/CheckedMath.h"
#include "runtime/Support/File.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"

#include <fcntl.h>
#include <map>
#include <set>
#include <unistd.h>

using namespace clade;
using namespace clade::driver;
using mlir::failed;
using mlir::failure;
using mlir::FailureOr;

FailureOr<ConversionModel>
ConversionModel::read(Environment &environment,
                      const rt::Checkpoint &checkpoint) {
  ConversionModel result;
  auto model =
      import::importCheckpoint(environment.getLibrary(), checkpoint, "f32");
  if (failed(model))
    return failure();
  result.model = std::move(*model);
  auto slots = assignSlots(*result.model.module);
  if (failed(slots))
    return failure();
  result.slots = std::move(*slots);
  auto weights = weightsBySlot(*result.model.module, result.slots);
  if (failed(weights))
    return failure();
  result.weights = std::move(*weights);
  result.computation = computationOf(*result.model.module, result.slots);
  return result;
}

FailureOr<std::vector<OutputTensor>>
driver::planTensors(const ConversionModel &source,
                    import::ImportedModel &target) {
  auto slots = assignSlots(*target.module);
  if (failed(slots))
    return failure();
  auto plan = planConversion(source.weights, *target.module, *slots);
  if (failed(plan))
    return failure();
  for (const WeightLoss &loss : plan->losses)
    fail("tensor '" + loss.tensor + "' cannot be made: " + loss.reason);
  if (!plan->losses.empty())
    return failure();
  std::vector<OutputTensor> tensors;
  for (ConversionPlan::Tensor &tensor : plan->tensors) {
    rt::DType dtype = tensor.program.dtype;
    tensors.push_back(
        {std::move(tensor.name), dtype, std::move(tensor.program)});
  }
  return tensors;
}

void driver::storeAs(OutputTensor &tensor, rt::DType dtype) {
  tensor.dtype = dtype;
  if (tensor.program.dtype == dtype)
    return;
  rt::WeightNode cast;
  cast.op = rt::WeightOp::Cast;
  cast.dtype = dtype;
  cast.shape = tensor.program.shape;
  cast.inputs.push_back(std::move(tensor.program));
  tensor.program = std::move(cast);
}

bool driver::isCopyOf(const rt::WeightNode &program, const std::string &name) {
  const rt::WeightNode *node = &program;
  while ((node->op == rt::WeightOp::Cast && isComputeFloat(node->dtype)) ||
         node->op == rt::WeightOp::Reshape)
    node = &node->inputs.front();
  return node->op == rt::WeightOp::Source && node->name == name;
}

rt::Status driver::writeTensors(const std::string &path,
                                const std::string &header, int64_t bytes,
                                std::span<const OutputTensor> tensors,
                                std::span<const int64_t> offsets,
                                const rt::WeightSources &sources) {
  rt::FileDescriptor file(::open(
      path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, /*mode=*/0666));
  if (file.get() < 0)
    return rt::systemError("cannot create", path, errno);
  if (::pwrite(file.get(), header.data(), header.size(), 0) !=
      static_cast<ssize_t>(header.size()))
    return rt::systemError("cannot write", path, errno);
  rt::WeightTable table;
  table.numSlots = static_cast<int32_t>(tensors.size());
  for (const OutputTensor &tensor : tensors) {
    rt::WeightEntry entry;
    entry.param = tensor.name;
    entry.slots = {static_cast<int32_t>(table.entries.size())};
    entry.program = tensor.program;
    table.entries.push_back(std::move(entry));
  }
  rt::LoadOptions options;
  options.file = file.get();
  options.offsets = offsets;
  options.fileBytes = bytes;
  options.progress = [](int64_t done, int64_t total) {
    showProgress("writing tensors", done, total);
  };
  rt::StatusOr<rt::LoadedWeights> made =
      rt::loadWeights(table, sources, options);
  if (!made.ok())
    return made.takeStatus();
  if (::fsync(file.get()) != 0)
    return rt::systemError("cannot write", path, errno);
  return {};
}

rt::WeightSources driver::sourcesOf(const rt::Checkpoint &checkpoint) {
  return {checkpoint.tensors(), checkpoint.path(), {}};
}

/// The types that a weight is stored in, as text.
static void collectTypes(const rt::WeightNode &node,
                         std::set<std::string> &types) {
  if (node.op == rt::WeightOp::Source)
    types.insert(std::string(rt::dtypeName(node.dtype)));
  for (const rt::WeightNode &input : node.inputs)
    collectTypes(input, types);
}

/// The largest rounding error of a type, as a share of the largest element:
/// half a step, and some for what is rounded on the way.
static double roundingOf(const std::set<std::string> &types) {
  double most = 0;
  for (const std::string &type : types)
    most = std::max(most, type == "F32"    ? 0x1p-22
                          : type == "F16"  ? 0x1p-10
                          : type == "BF16" ? 0x1p-7
                          : type == "Q8_0" ? 0x1p-6
                          : type == "Q6_K" ? 0x1p-4
                                           : 0x1p-2);
  return most;
}

bool driver::noteDifferences(std::span<const SlotWeight> written,
                             std::span<const rt::WeightDifference> differences,
                             ConvertReport &report) {
  std::map<std::pair<std::string, std::string>, double> byName;
  for (auto [weight, difference] : llvm::zip_equal(written, differences)) {
    if (difference.largest == 0)
      continue;
    std::set<std::string> types;
    collectTypes(weight.value, types);
    std::string stored = "stored as " + llvm::join(types, ", ");
    // Norms near zero have one added before they are rounded.
    double most = std::max(difference.magnitude, 1.0);
    if (!(difference.largest <= roundingOf(types) * most))
      return fail("weight '" + weight.name + "', " + stored +
                  ", came back with a difference of " +
                  std::to_string(difference.largest) +
                  ", more than rounding explains") == Done;
    double &largest = byName[{weight.name, stored}];
    largest = std::max(largest, difference.largest);
  }
  for (auto &[key, difference] : byName)
    report.lossy.push_back({key.first, key.second, difference});
  return true;
}

bool driver::compareWithSource(Environment &environment,
                               const ConversionModel &source,
                               const rt::Checkpoint &checkpoint,
                               const std::string &path, ConvertReport &report) {
  showProgress("reading the result back");
  std::optional<rt::Checkpoint> opened = environment.openCheckpoint(path);
  if (!opened)
    return false;
  auto written = ConversionModel::read(environment, *opened);
  if (failed(written))
    return false;
  for (auto [index, text] : llvm::enumerate(source.computation))
    if (index >= written->computation.size() ||
        !isSameComputation(written->computation[index], text))
      return fail("'" + path + "' would compute something else than '" +
                  checkpoint.path() + "', in part " + std::to_string(index) +
                  " of " + std::to_string(source.computation.size()) +
                  ": this configuration cannot be said in that form") == Done;
  if (source.weights.size() != written->weights.size())
    return fail("'" + path + "' has " +
                std::to_string(written->weights.size()) +
                " weights, expected " +
                std::to_string(source.weights.size())) == Done;
  std::vector<rt::WeightPair> pairs;
  for (auto [a, b] : llvm::zip_equal(source.weights, written->weights))
    pairs.push_back({&a.value, &b.value});
  rt::LoadOptions options;
  options.progress = [](int64_t done, int64_t total) {
    showProgress("comparing with the source", done, total);
  };
  auto largest = rt::compareWeights(pairs, sourcesOf(checkpoint),
                                    sourcesOf(*opened), options);
  if (!largest.ok())
    return fail(largest.status()) == Done;
  return noteDifferences(written->weights, *largest, report);
}

std::string driver::configType(rt::DType dtype) {
  return dtype == rt::DType::BF16  ? "bfloat16"
         : dtype == rt::DType::F16 ? "float16"
                                   : "float32";
}

rt::Status driver::checkPublishedPlace(const std::string &path) {
  if (!llvm::sys::fs::exists(path) ||
      llvm::sys::fs::exists(path + "/config.json"))
    return {};
  std::error_code error;
  if (llvm::sys::fs::is_directory(path) &&
      llvm::sys::fs::directory_iterator(path, error) ==
          llvm::sys::fs::directory_iterator())
    return {};
  return rt::Status::invalidArgument("'" + path +
                                     "' exists and is not a checkpoint");
}

std::optional<int64_t> driver::parseSize(llvm::StringRef text) {
  int64_t number = 0;
  if (text.consumeInteger(10, number) || number <= 0)
    return std::nullopt;
  auto unit = llvm::StringSwitch<int64_t>(text)
                  .Cases({"", "B"}, 1)
                  .Case("KB", 1000)
                  .Case("MB", 1000 * 1000)
                  .Case("GB", 1000 * 1000 * 1000)
                  .Case("KiB", int64_t(1) << 10)
                  .Case("MiB", int64_t(1) << 20)
                  .Case("GiB", int64_t(1) << 30)
                  .Default(0);
  return unit == 0 ? std::nullopt : rt::checkedMul(number, unit);
}

/// Writes one file; gives its size.
static rt::StatusOr<int64_t>
writeSafetensorsFile(const std::string &path,
                     llvm::ArrayRef<OutputTensor> tensors,
                     const rt::WeightSources &sources) {
  std::vector<rt::StoredTensor> described;
  for (const OutputTensor &tensor : tensors)
    described.push_back(
        {tensor.name, tensor.dtype, tensor.program.shape, rt::ByteSpan()});
  CLADE_ASSIGN_OR_RETURN(rt::SafetensorsLayout layout,
                         rt::layOutSafetensors(described, {{"format", "pt"}}));
  CLADE_RETURN_IF_ERROR(writeTensors(path, layout.header, layout.bytes, tensors,
                                     layout.offsets, sources));
  return layout.bytes;
}

/// The tensors of each shard, by name, and their bytes in all.
static std::pair<std::vector<std::vector<OutputTensor>>, int64_t>
cutIntoShards(std::vector<OutputTensor> tensors, int64_t most) {
  llvm::sort(tensors, [](const OutputTensor &a, const OutputTensor &b) {
    return a.name < b.name;
  });
  std::vector<std::vector<OutputTensor>> shards(1);
  int64_t filled = 0, total = 0;
  for (OutputTensor &tensor : tensors) {
    int64_t size =
        rt::tensorBytes(tensor.dtype, tensor.program.shape).value_or(0);
    if (filled > 0 && size > most - filled) {
      shards.emplace_back();
      filled = 0;
    }
    filled += size;
    total += size;
    shards.back().push_back(std::move(tensor));
  }
  return {std::move(shards), total};
}

/// Writes all tensors in the files that transformers writes; gives their size.
static rt::StatusOr<int64_t>
writeSafetensorsSet(const std::string &folder,
                    const std::vector<OutputTensor> &tensors,
                    const rt::WeightSources &sources, int64_t most) {
  auto [shards, total] = cutIntoShards(tensors, most);
  if (shards.size() == 1)
    return writeSafetensorsFile(folder + "/model.safetensors", tensors,
                                sources);
  int64_t bytes = 0;
  nlohmann::json places = nlohmann::json::object();
  for (auto [number, shard] : llvm::enumerate(shards)) {
    std::string name = llvm::formatv("model-{0,0+5}-of-{1,0+5}.safetensors",
                                     number + 1, shards.size());
    CLADE_ASSIGN_OR_RETURN(
        int64_t size,
        writeSafetensorsFile(folder + "/" + name, shard, sources));
    bytes += size;
    for (const OutputTensor &tensor : shard)
      places[tensor.name] = name;
  }
  nlohmann::json index = {{"metadata", {{"total_size", total}}},
                          {"weight_map", std::move(places)}};
  CLADE_RETURN_IF_ERROR(rt::writeTextFile(
      folder + "/model.safetensors.index.json",
      index.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
          "\n"));
  return bytes;
}

rt::Status driver::writePublished(const std::string &folder,
                                  const std::vector<OutputTensor> &tensors,
                                  const nlohmann::ordered_json &config,
                                  const rt::WeightSources &sources,
                                  const ConvertOptions &options,
                                  ConvertReport &report) {
  CLADE_ASSIGN_OR_RETURN(
      int64_t bytes,
      writeSafetensorsSet(folder, tensors, sources,
                          parseSize(options.maxShardSize).value_or(INT64_MAX)));
  CLADE_RETURN_IF_ERROR(rt::writeTextFile(
      folder + "/config.json",
      config.dump(2, ' ', false,
                  nlohmann::ordered_json::error_handler_t::replace) +
          "\n"));
  report.facts = {{"tensors", tensors.size()}, {"bytes", bytes}};
  return {};
}

rt::DType driver::chooseType(const ConvertOptions &options,
                             const import::ImportedModel &model,
                             const rt::Checkpoint &checkpoint) {
  if (!options.dtype.empty())
    return *outputType(options.dtype);
  if (checkpoint.gguf()) {
    bool narrow = llvm::all_of(
        checkpoint.ownTensors(), [](const rt::StoredTensor &tensor) {
          return tensor.shape.size() < 2 || tensor.dtype == rt::DType::BF16;
        });
    return narrow ? rt::DType::BF16 : rt::DType::F32;
  }
  const nlohmann::json &config = model.config->json();
  for (const char *key : {"dtype", "torch_dtype"})
    if (auto it = config.find(key); it != config.end() && it->is_string())
      return *it == "bfloat16"  ? rt::DType::BF16
             : *it == "float16" ? rt::DType::F16
                                : rt::DType::F32;
  bool allF32 =
      llvm::all_of(checkpoint.ownTensors(), [](const rt::StoredTensor &tensor) {
        return tensor.dtype == rt::DType::F32;
      });
  return allF32 ? rt::DType::F32 : rt::DType::BF16;
}

std::optional<rt::DType> driver::outputType(const std::string &name) {
  return rt::parseDType(name);
}
