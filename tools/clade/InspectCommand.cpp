//===- InspectCommand.cpp - clade inspect ---------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/CompileModel.h"
#include "tools/clade/KernelCost.h"
#include "tools/clade/Shards.h"

#include "dialect/Clade/CladeDialect.h"
#include "dialect/WMap/WMapDialect.h"
#include "lib/Pipelines/Pipelines.h"
#include "lib/Transforms/StoredBlocks.h"
#include "lib/Weights/Slots.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/ViewOpGraph.h"
#include "runtime/Engine/Artifact.h"
#include "runtime/Support/File.h"
#include "runtime/Weights/Certificate.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <fstream>
#include <sstream>

using namespace clade;
using namespace clade::driver;
using mlir::failed;
using mlir::RankedTensorType;
using nlohmann::json;

namespace {
struct InspectOptions {
  SpecOptions specs;
  std::string model, adapter, dot, shard;
  ModelChoice choice;
  bool asJson = false;
};
} // namespace

/// The steps of a weight that do not keep every bit.
static json lossySteps(wmap::FuncOp weight) {
  json steps = json::array();
  weight.walk([&](mlir::Operation *op) {
    auto cast = llvm::dyn_cast<wmap::CastOp>(op);
    if (cast && cast.isLossy())
      steps.push_back(
          "cast " +
          typeText(mlir::getElementTypeOrSelf(cast.getInput().getType())) +
          " to " +
          typeText(mlir::getElementTypeOrSelf(cast.getResult().getType())));
    else if (llvm::isa<wmap::ShiftOp, wmap::UnitRowsOp, wmap::QuantiseOp>(op))
      steps.push_back(op->getName().stripDialect().str());
    else if (llvm::isa<wmap::AddOp>(op))
      steps.push_back("adapter added");
  });
  return steps;
}

static json sourcesOf(wmap::FuncOp weight) {
  json sources = json::array();
  weight.walk([&](wmap::SourceOp source) {
    auto type = llvm::cast<RankedTensorType>(source.getResult().getType());
    auto block = llvm::dyn_cast<wmap::BlockType>(type.getElementType());
    std::string stored = source.getEncoding() ? source.getEncoding()->str()
                         : block              ? block.getFormat().upper()
                                              : typeText(type.getElementType());
    sources.push_back({{"name", source.getName().str()},
                       {"shape", type.getShape().vec()},
                       {"dtype", stored}});
  });
  return sources;
}

static json describeWeight(wmap::FuncOp weight, int64_t copies) {
  auto type = llvm::cast<RankedTensorType>(weight.getResultType());
  auto format = blockFormatOf(returnedValue(weight));
  return {{"name", weight.getSymName().str()},
          {"layers", copies},
          {"shape", type.getShape().vec()},
          {"dtype", format ? *format : typeText(type.getElementType())},
          {"bytes", weightBytes(weight) * copies},
          {"sources", sourcesOf(weight)},
          {"lossy", lossySteps(weight)}};
}

/// Every weight that a parameter names, the entry's first.
static json describeWeights(mlir::ModuleOp module, const SlotTable &slots) {
  llvm::MapVector<llvm::StringRef, int64_t> copies;
  for (llvm::StringRef name : slots.globals)
    copies[name] += 1;
  for (const LayerSlots &layer : slots.layers)
    for (llvm::StringRef name : slots.kinds[layer.kind].params)
      copies[name] += 1;
  json weights = json::array();
  for (auto [name, count] : copies)
    if (auto weight = module.lookupSymbol<wmap::FuncOp>(name))
      weights.push_back(describeWeight(weight, count));
  return weights;
}

/// Keys and values of one attention: what a token costs in each layer of a
/// kind.
static json describeStates(mlir::ModuleOp kernels, const SlotTable &slots) {
  json states = json::array();
  for (auto [index, kind] : llvm::enumerate(slots.kinds)) {
    mlir::func::FuncOp function = kind.function;
    function = kernels.lookupSymbol<mlir::func::FuncOp>(function.getSymName());
    int64_t layers = llvm::count_if(slots.layers, [&](const LayerSlots &l) {
      return l.kind == int64_t(index);
    });
    llvm::DenseMap<int64_t, json> windows;
    function.walk([&](AttendCachedOp attend) {
      windows[attend.getState()] =
          attend.getWindow() ? json(*attend.getWindow()) : json();
    });
    function.walk([&](CacheWriteOp write) {
      auto key = llvm::cast<NamedTensorType>(write.getKey().getType());
      auto value = llvm::cast<NamedTensorType>(write.getValue().getType());
      int64_t elements = key.getNumFeatures() +
                         (write.getShared() ? 0 : value.getNumFeatures());
      int64_t bytes =
          elements * (key.getElementType().getIntOrFloatBitWidth() / 8);
      states.push_back({{"kind", function.getSymName().str()},
                        {"form", write.getShared() ? "latent" : "kv"},
                        {"layers", layers},
                        {"kv_heads", key.getShape()[1]},
                        {"dtype", typeText(key.getElementType())},
                        {"window", windows.lookup(write.getState())},
                        {"bytes_per_token", bytes * layers}});
    });
  }
  return states;
}

/// The functions of the computation: the entry, and one for each kind of layer,
/// which `layers` layers run; each with its kernels and what they cost when one
/// sequence decodes one token, with nothing before it.
static json describeFunctions(mlir::ModuleOp module, const SlotTable &slots) {
  json functions = json::array();
  for (const FunctionCost &function : costOf(module, slots)) {
    json kernels = json::array();
    for (const KernelCost &kernel : function.kernels) {
      json description = {{"kind", kernel.kind},
                          {"weights", kernel.weights},
                          {"multiply_adds_per_token", kernel.multiplyAdds},
                          {"bytes_per_step", kernel.bytes({})}};
      if (kernel.stateBytes)
        description["state_bytes_per_past_token"] = kernel.stateBytes;
      kernels.push_back(std::move(description));
    }
    functions.push_back({{"name", function.name},
                         {"layers", function.layers},
                         {"kernels", kernels}});
  }
  return functions;
}

static json describeModel(import::ImportedModel &model, const SlotTable &slots,
                          mlir::ModuleOp kernels,
                          const rt::Checkpoint &checkpoint) {
  json functions = describeFunctions(kernels, slots);
  int64_t multiplyAdds = 0;
  double stepBytes = 0;
  for (const json &function : functions)
    for (const json &kernel : function["kernels"]) {
      int64_t times = std::max(function["layers"].get<int64_t>(), int64_t(1));
      multiplyAdds += times * kernel["multiply_adds_per_token"].get<int64_t>();
      stepBytes += times * kernel["bytes_per_step"].get<double>();
    }
  json kinds = json::array();
  for (auto [index, kind] : llvm::enumerate(slots.kinds)) {
    mlir::func::FuncOp function = kind.function;
    json layers = json::array();
    for (const LayerSlots &layer : slots.layers)
      if (layer.kind == int64_t(index))
        layers.push_back(layer.layer);
    kinds.push_back(
        {{"name", function.getSymName().str()}, {"layers", layers}});
  }
  json weights = describeWeights(*model.module, slots),
       states = describeStates(kernels, slots);
  int64_t bytes = 0, perToken = 0, stored = 0, lossy = 0;
  for (const json &weight : weights) {
    bytes += weight["bytes"].get<int64_t>();
    lossy += weight["lossy"].empty() ? 0 : 1;
  }
  for (const json &state : states)
    perToken += state["bytes_per_token"].get<int64_t>();
  for (const rt::StoredTensor &tensor : checkpoint.tensors())
    stored += tensor.bytes.size();
  return {{"family", model.family},
          {"architecture", model.architecture},
          {"dtype", model.dtype},
          {"kinds", kinds},
          {"weights", weights},
          {"states", states},
          {"functions", functions},
          {"totals",
           {{"layers", slots.layers.size()},
            {"tensors", checkpoint.tensors().size()},
            {"stored_bytes", stored},
            {"weight_bytes", bytes},
            {"lossy_weights", lossy},
            {"multiply_adds_per_token", multiplyAdds},
            {"bytes_per_step", stepBytes},
            {"state_bytes_per_token", perToken}}}};
}

static void printModel(const json &model) {
  llvm::raw_ostream &os = llvm::outs();
  auto text = [](const json &value) { return value.get<std::string>(); };
  const json &totals = model["totals"];
  os << "family " << text(model["family"]) << " ("
     << text(model["architecture"]) << "), computed in " << text(model["dtype"])
     << ", " << totals["layers"].get<int64_t>() << " layers of "
     << model["kinds"].size()
     << (model["kinds"].size() == 1 ? " kind" : " kinds") << "\n\n";
  os << llvm::format("%-52s %6s %-14s %-5s %s\n", "weight", "layers", "shape",
                     "dtype", "made of");
  for (const json &weight : model["weights"]) {
    os << llvm::format("%-52s %6d %-14s %-5s", text(weight["name"]).c_str(),
                       weight["layers"].get<int>(),
                       shapeText(weight["shape"]).c_str(),
                       text(weight["dtype"]).c_str());
    for (const json &source : weight["sources"])
      os << " " << text(source["name"]) << ":" << text(source["dtype"]);
    for (const json &step : weight["lossy"])
      os << "  [lossy: " << text(step) << "]";
    os << "\n";
  }
  os << "\n";
  for (const json &state : model["states"]) {
    os << "state of " << text(state["kind"]) << ": "
       << state["layers"].get<int64_t>() << " layers, "
       << state["bytes_per_token"].get<int64_t>() << " bytes a token, "
       << text(state["dtype"]);
    if (text(state["form"]) == "latent")
      os << ", one latent for all heads";
    if (!state["window"].is_null())
      os << ", window " << state["window"].get<int64_t>();
    os << "\n";
  }
  for (const json &function : model["functions"]) {
    os << "\nkernels of " << text(function["name"]);
    if (int64_t layers = function["layers"])
      os << ", run by " << layers << " layers";
    os << "\n";
    for (const json &kernel : function["kernels"]) {
      os << llvm::format("  %-10s", text(kernel["kind"]).c_str());
      if (int64_t cost = kernel["multiply_adds_per_token"])
        os << llvm::format(" %14lld multiply-adds a token",
                           static_cast<long long>(cost));
      if (double bytes = kernel["bytes_per_step"])
        os << llvm::format(" %9.0f bytes a step", bytes);
      if (kernel.contains("state_bytes_per_past_token"))
        os << llvm::format(
            " %8lld bytes a token of the past",
            kernel["state_bytes_per_past_token"].get<long long>());
      for (const json &weight : kernel["weights"])
        os << " " << text(weight);
      os << "\n";
    }
  }
  os << "\ntotal: " << totals["tensors"].get<int64_t>() << " tensors of "
     << totals["stored_bytes"].get<int64_t>() << " bytes become "
     << totals["weight_bytes"].get<int64_t>() << " bytes of weights ("
     << totals["lossy_weights"].get<int64_t>() << " lossy); "
     << totals["state_bytes_per_token"].get<int64_t>() << " bytes of state and "
     << totals["multiply_adds_per_token"].get<int64_t>()
     << " multiply-adds in products a token; a step of one token reads "
     << llvm::format("%.0f", totals["bytes_per_step"].get<double>())
     << " bytes of weights\n";
}

/// Writes the kernels and the values between them as a graph for Graphviz.
static int writeGraph(mlir::ModuleOp kernels, const std::string &path) {
  std::error_code error;
  llvm::raw_fd_ostream file(path, error);
  if (!error) {
    mlir::PassManager passes(kernels.getContext());
    passes.addPass(mlir::createPrintOpGraphPass(file));
    if (failed(passes.run(kernels)))
      return Failed;
    file.close();
    error = file.error();
    file.clear_error();
  }
  return error ? fail("cannot write '" + path + "': " + error.message()) : Done;
}

/// What was proven of each tensor.
static int printCertificate(const std::string &artifact) {
  rt::StatusOr<std::string> text =
      rt::readTextFile(artifact + "/" + rt::certificateFile);
  rt::StatusOr<rt::Certificate> certificate =
      text.ok() ? rt::Certificate::fromJson(*text) : text.takeStatus();
  if (!certificate.ok())
    return fail("'" + artifact + "/" + rt::certificateFile +
                "': " + certificate.status().message());
  llvm::raw_ostream &os = llvm::outs();
  int64_t exact = 0, dropped = 0;
  for (const rt::CertifiedTensor &tensor : certificate->tensors) {
    os << tensor.name << " " << rt::dtypeName(tensor.dtype) << " "
       << rt::shapeText(tensor.shape) << ": ";
    bool isDropped = tensor.weights.empty();
    dropped += isDropped;
    exact += !isDropped && tensor.loss.empty();
    if (isDropped)
      os << "dropped by name\n";
    else
      os << "read by " << llvm::join(tensor.weights, ", ") << "; "
         << (tensor.loss.empty() ? "comes back bit for bit"
                                 : "does not come back: " + tensor.loss)
         << "\n";
  }
  os << "proven for plan " << certificate->plan << ": "
     << certificate->tensors.size() << " tensors, each read or dropped ("
     << dropped << "); " << exact << " come back bit for bit\n";
  return Done;
}

static int inspectArtifact(const InspectOptions &options) {
  std::ifstream stream(options.model + "/manifest.json", std::ios::binary);
  std::ostringstream buffer;
  buffer << stream.rdbuf();
  if (!stream)
    return fail("cannot read '" + options.model + "/manifest.json'");
  rt::StatusOr<rt::Manifest> manifest = rt::Manifest::fromJson(buffer.str());
  if (!manifest.ok())
    return fail("'" + options.model + "': " + manifest.status().message());
  if (options.asJson) {
    llvm::outs() << manifest->toJson();
    return Done;
  }
  llvm::raw_ostream &os = llvm::outs();
  os << "artifact of family " << manifest->model.family << " ("
     << manifest->model.architecture << "), " << manifest->model.dtype
     << ", precision " << manifest->model.precision << ", weights "
     << manifest->model.weights << ", for " << manifest->target.kind << " "
     << manifest->target.cpu << "\n";
  os << "weights from " << manifest->model.checkpoint;
  if (manifest->model.adapter)
    os << " with the adapter " << *manifest->model.adapter;
  os << ": " << manifest->weightSlots << " slots\n";
  int64_t page = 0;
  for (const rt::ManifestState &state : manifest->states)
    page += state.keyPageBytes() + state.valuePageBytes();
  os << manifest->layers.size() << " layers, " << manifest->states.size()
     << " states, " << page << " bytes of state a page\n";
  for (const auto &[name, file] : manifest->files)
    os << llvm::format("%-24s %12llu bytes  %s\n", name.c_str(),
                       static_cast<unsigned long long>(file.bytes),
                       file.xxh128.c_str());
  return manifest->files.count(rt::certificateFile)
             ? printCertificate(options.model)
             : Done;
}

static int inspectRank(Environment &environment,
                       const rt::Checkpoint &checkpoint,
                       const InspectOptions &options) {
  auto rank =
      weightsOfRank(environment, checkpoint, options.choice, options.shard);
  if (!rank)
    return Failed;
  if (options.asJson)
    llvm::outs() << rank->description.dump(2, ' ', false,
                                           json::error_handler_t::replace)
                 << "\n";
  else
    printRank(rank->description);
  return Done;
}

static int run(const InspectOptions &options) {
  if (rt::isArtifact(options.model)) {
    if (!options.adapter.empty())
      return fail("--adapter is merged into a checkpoint, got the artifact '" +
                  options.model + "'");
    if (!options.dot.empty())
      return fail("--dot needs a checkpoint, got the artifact '" +
                  options.model + "'");
    if (!options.shard.empty())
      return fail("--shard needs a checkpoint, got the artifact '" +
                  options.model + "'");
    return inspectArtifact(options);
  }
  Environment environment(options.specs);
  if (!environment.ok())
    return Failed;
  std::optional<rt::Checkpoint> checkpoint =
      environment.openCheckpoint(options.model, options.adapter);
  if (!checkpoint)
    return Failed;
  if (!options.shard.empty())
    return inspectRank(environment, *checkpoint, options);
  auto model = import::importCheckpoint(environment.getLibrary(), *checkpoint,
                                        options.choice.dtype);
  if (failed(model))
    return Failed;
  // Weights as the compiler fuses them, before they are packed for a machine.
  if (!fuseModule(*model->module, options.choice))
    return Failed;
  auto slots = assignSlots(*model->module);
  if (failed(slots))
    return Failed;
  mlir::OwningOpRef<mlir::ModuleOp> kernels = model->module->clone();
  mlir::PassManager lowering(&environment.getContext());
  buildKernelPipeline(lowering, /*rows=*/0, /*inner=*/1, /*chunk=*/0);
  if (failed(lowering.run(*kernels)))
    return Failed;
  if (!options.dot.empty() && writeGraph(*kernels, options.dot) != Done)
    return Failed;
  json description = describeModel(*model, *slots, *kernels, *checkpoint);
  if (options.asJson)
    llvm::outs() << description.dump(2, ' ', false,
                                     json::error_handler_t::replace)
                 << "\n";
  else
    printModel(description);
  return Done;
}

void driver::addInspectCommand(CLI::App &app, int &status) {
  auto *command = app.add_subcommand(
      "inspect", "Show what a checkpoint or an artifact is made of");
  command->footer(
      "For a checkpoint: each weight of the compiled model, the "
      "published tensors that it is made of and the\n"
      "steps that lose bits; what a token costs in keys and "
      "values; the kernels and their cost; the kinds\n"
      "of layers. No tensor is read.\n"
      "For an artifact: what its manifest says, and what was proven of "
      "each tensor of its checkpoint.");
  auto options = std::make_shared<InspectOptions>();
  command->add_option("model", options->model, "A checkpoint or an artifact")
      ->required()
      ->check(CLI::ExistingPath);
  command
      ->add_option("--dtype", options->choice.dtype,
                   "Type to compute in (default: the checkpoint's own)")
      ->check(CLI::IsMember({"bf16", "f32"}));
  command
      ->add_option("--adapter", options->adapter,
                   "A folder with a LoRA adapter in PEFT's form, to merge into "
                   "the weights of a checkpoint")
      ->check(CLI::ExistingDirectory);
  options->choice.addLatentTo(*command);
  addShardOption(*command, options->shard);
  addWeightsOption(*command, options->choice.weights);
  command->add_option("--dot", options->dot,
                      "Write the kernels of a checkpoint as a graph for "
                      "Graphviz to this file");
  command->add_flag("--json", options->asJson, "Print one JSON object");
  options->specs.addTo(*command);
  command->callback([options, &status] { status = run(*options); });
}
