//===- CompileModel.cpp - From a checkpoint to an artifact ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/CompileModel.h"

#include "tools/clade/EncoderEntry.h"
#include "tools/clade/ImageEntry.h"
#include "tools/clade/Progress.h"

#include "lib/CodeGen/CPU/CompileModel.h"
#include "lib/CodeGen/CUDA/Assemble.h"
#include "lib/CodeGen/CUDA/CompileModel.h"
#include "lib/Import/Quantisation.h"
#include "lib/Pipelines/Pipelines.h"
#include "lib/Transforms/Passes.h"
#include "lib/Weights/AdapterTable.h"
#include "lib/Weights/Certify.h"
#include "lib/Weights/Serialize.h"
#include "mlir/Pass/PassManager.h"
#include "runtime/Engine/Artifact.h"
#include "runtime/Image/Processor.h"
#include "runtime/Support/File.h"
#include "runtime/Weights/PackedBlocks.h"
#include "runtime/Weights/PackedWeights.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <nlohmann/json.hpp>

using namespace clade;
using namespace clade::driver;
using mlir::failed;
using mlir::succeeded;
namespace func = mlir::func;
using nlohmann::json;

void ModelChoice::addTo(CLI::App &command) {
  command
      .add_option(
          "--dtype", dtype,
          "Type to compute in: bf16 or f32 (default: the checkpoint's own)")
      ->check(CLI::IsMember({"bf16", "f32"}));
  command
      .add_option("--precision", precision,
                  "fused keeps values inside a kernel in f32; reference rounds "
                  "after every op")
      ->check(CLI::IsMember({"fused", "reference"}));
  addLatentTo(command);
  addWeightsOption(command, weights);
  command
      .add_option("--layout", layout,
                  "How weights lie that are published row by row in the type "
                  "to compute in: panels, made of them, which are read "
                  "fastest, or rows, read where they are")
      ->check(CLI::IsMember({"panels", "rows"}));
  command
      .add_option("--scan-chunk", scanChunk,
                  "Tokens of a prompt that a linear recurrence computes at a "
                  "time, a multiple of 16 up to 256; 0 for one after the other")
      ->check(CLI::Validator(
          [](std::string &text) {
            int64_t tokens = 0;
            bool isValid = !llvm::StringRef(text).getAsInteger(10, tokens) &&
                           tokens >= 0 && tokens <= 256 && tokens % 16 == 0;
            return isValid ? std::string()
                           : "expected a multiple of 16 up to 256, got '" +
                                 text + "'";
          },
          "TOKENS"));
  command.add_option("--target-cpu", cpu,
                     "CPU to compile for, such as native, znver4, x86-64-v3");
  command.add_option("--dump-dir", dumpFolder,
                     "Write the module after every stage to this folder");
}

void ModelChoice::addTargetTo(CLI::App &command) {
  command
      .add_option("--target", target,
                  "What to compile for: cpu, or cuda for NVIDIA's GPUs, which "
                  "need not be there")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  command.add_option(
      "--arch", arch,
      "With --target cuda: the GPU to compile for, such as "
      "sm_80, sm_90a (default: sm_80, which all later ones run)");
}

void ModelChoice::addLatentTo(CLI::App &command) {
  command
      .add_option("--latent", latent,
                  "Latent attention: expanded keeps keys and values of each "
                  "head, absorbed the latent; auto absorbs where that takes "
                  "less memory, with --precision fused")
      ->check(CLI::IsMember({"auto", "expanded", "absorbed"}));
}

void driver::addWeightsOption(CLI::App &command, std::string &weights) {
  command
      .add_option(
          "--weights", weights,
          "What the weights of products are held as: dense, the type "
          "to compute in, the default but for checkpoints in f16; f16; int8 or "
          "q8_0, q4_0, or int4 with a head in 8 "
          "bits: groups of 32 with a scale; int8_channel: rows with a scale; "
          "q4_k, q6_k: GGUF's blocks "
          "of 256; keep, blocks where the checkpoint has them and "
          "dense elsewhere")
      ->check(CLI::IsMember({"dense", "keep", "f16", "int8", "int8_channel",
                             "int4", "q8_0", "q4_0", "q4_k", "q6_k"}));
}

/// Writes the module after a stage to DIR/NN-stage.mlir. Prints what is wrong.
static bool dump(mlir::ModuleOp module, const ModelChoice &choice, int number,
                 llvm::StringRef stage) {
  if (choice.dumpFolder.empty())
    return true;
  std::string path =
      (choice.dumpFolder + "/0" + llvm::Twine(number) + "-" + stage + ".mlir")
          .str();
  std::error_code error = llvm::sys::fs::create_directories(choice.dumpFolder);
  if (!error) {
    llvm::raw_fd_ostream file(path, error);
    if (!error) {
      module.print(file);
      file.close();
      error = file.error();
      file.clear_error();
    }
  }
  return !error ||
         fail("cannot write '" + path + "': " + error.message()) == Done;
}

static bool runPasses(mlir::ModuleOp module,
                      llvm::function_ref<void(mlir::OpPassManager &)> build) {
  mlir::PassManager passes(module.getContext());
  build(passes);
  return succeeded(passes.run(module));
}

bool driver::chooseLatentForm(mlir::ModuleOp module,
                              const ModelChoice &choice) {
  bool isAsked = choice.latent == "absorbed",
       rounds = choice.precision == "reference";
  if (isAsked && rounds)
    return fail("--latent absorbed makes other products than the published "
                "implementation, so it cannot round where that does; leave out "
                "--precision reference") == Done;
  if (rounds || choice.latent == "expanded")
    return true;
  AbsorbLatentPassOptions options;
  options.onlySmaller = !isAsked;
  if (!runPasses(module, [&](mlir::OpPassManager &passes) {
        passes.addPass(createAbsorbLatentPass(options));
      }))
    return false;
  bool isThere =
      module.walk([](HeadLinearOp) { return mlir::WalkResult::interrupt(); })
          .wasInterrupted();
  return !isAsked || isThere ||
         fail("--latent absorbed: the model has no attention whose keys and "
              "values of all heads come from one latent") == Done;
}

std::string driver::latentFormOf(const rt::Manifest &manifest) {
  return llvm::any_of(
             manifest.states,
             [](const rt::ManifestState &state) { return state.isLatent(); })
             ? "absorbed"
             : "expanded";
}

std::string driver::weightFormOf(mlir::ModuleOp module,
                                 const ModelChoice &choice) {
  if (!choice.weights.empty())
    return choice.weights;
  auto type = module->getAttrOfType<mlir::TypeAttr>("clade.dtype");
  bool isWide = type && type.getValue().isF32();
  return isWide && areStoredAsHalves(module) ? "f16" : "dense";
}

bool driver::chooseWeightForm(mlir::ModuleOp module,
                              const ModelChoice &choice) {
  std::string form = weightFormOf(module, choice);
  return form == "dense" || runPasses(module, [&](mlir::OpPassManager &passes) {
           passes.addPass(createQuantiseWeightsPass(
               QuantiseWeightsPassOptions{form, choice.isCuda()}));
         });
}

bool driver::fuseModule(mlir::ModuleOp module, const ModelChoice &choice) {
  return chooseLatentForm(module, choice) && chooseWeightForm(module, choice) &&
         runPasses(module, buildFusePipeline);
}

/// A state slot for each attention, convolution and scan of each layer, by the
/// order of the layers; one group for each window, and one for all states of
/// fixed size.
static void describeStates(const SlotTable &slots,
                           llvm::ArrayRef<LayerSlots> layers,
                           rt::Manifest &manifest) {
  auto groupOf = [&](std::optional<int64_t> window, bool perSequence) {
    auto it = llvm::find_if(manifest.groups, [&](const rt::ManifestGroup &g) {
      return g.window == window && g.perSequence == perSequence;
    });
    if (it == manifest.groups.end())
      it = manifest.groups.insert(
          it, rt::ManifestGroup{window ? std::optional<int32_t>(*window)
                                       : std::nullopt,
                                perSequence});
    return static_cast<int32_t>(it - manifest.groups.begin());
  };
  auto recurrent = [&](rt::ManifestState &state, int64_t bytes) {
    state.kind = "recurrent";
    state.group = groupOf(std::nullopt, /*perSequence=*/true);
    state.bytes = bytes;
  };
  for (const LayerSlots &layer : layers) {
    const KindSlots &kind = slots.kinds[layer.kind];
    std::vector<rt::ManifestState> states(kind.numStates);
    func::FuncOp function = kind.function;
    function.walk([&](CacheWriteOp write) {
      auto key = write.getKey().getType(), value = write.getValue().getType();
      rt::ManifestState &state = states[write.getState()];
      state.kind = write.getShared() ? "latent" : "kv";
      state.heads = key.getShape()[1];
      state.keySize = key.getShape()[2];
      state.valueSize = value.getShape()[2];
      state.dtype = key.getElementType().isBF16() ? "bf16" : "f32";
    });
    function.walk([&](AttendCachedOp attend) {
      states[attend.getState()].group =
          groupOf(attend.getWindow(), /*perSequence=*/false);
    });
    function.walk([&](CausalConvOp conv) {
      recurrent(states[conv.getState()], conv.getStateBytes());
    });
    function.walk([&](ScanOp scan) {
      recurrent(states[scan.getState()], scan.getStateBytes());
    });
    manifest.layers.push_back({static_cast<int32_t>(layer.kind),
                               static_cast<int32_t>(layer.layer),
                               static_cast<int32_t>(layer.firstWeight),
                               static_cast<int32_t>(manifest.states.size())});
    llvm::append_range(manifest.states, states);
  }
}

/// The rows of the schedules that an entry runs.
static std::vector<LayerSlots> layersOf(func::FuncOp entry,
                                        const SlotTable &slots) {
  std::vector<LayerSlots> layers;
  auto module = entry->getParentOfType<mlir::ModuleOp>();
  entry.walk([&](LayersOp op) {
    auto schedule = module.lookupSymbol<ScheduleOp>(op.getSchedule());
    llvm::append_range(layers,
                       llvm::ArrayRef(slots.layers)
                           .slice(slots.firstLayer.lookup(op.getSchedule()),
                                  schedule.getRows().size()));
  });
  return layers;
}

/// Gives all layers the states of the one that needs most, where nothing is
/// kept from layer to layer and from step to step.
static void shareStates(const SlotTable &slots, std::vector<CladeLayer> &layers,
                        std::vector<rt::ManifestState> &states) {
  std::vector<rt::ManifestState> common;
  for (CladeLayer &layer : layers) {
    llvm::ArrayRef<rt::ManifestState> own(states);
    own = own.drop_front(layer.first_state)
              .take_front(slots.kinds[layer.kind].numStates);
    if (own.size() > common.size())
      common.assign(own.begin(), own.end());
    for (auto [mine, shared] : llvm::zip(own, common)) {
      shared.heads = std::max(shared.heads, mine.heads);
      shared.keySize = std::max(shared.keySize, mine.keySize);
      shared.valueSize = std::max(shared.valueSize, mine.valueSize);
    }
    layer.first_state = 0;
  }
  states = std::move(common);
}

/// The entries' layers and states.
static void describeLayers(mlir::ModuleOp module, const SlotTable &slots,
                           rt::Manifest &manifest) {
  for (auto entry : module.getOps<func::FuncOp>()) {
    if (!entry->hasAttr(entryAttr))
      continue;
    std::vector<LayerSlots> layers = layersOf(entry, slots);
    if (entry.getSymName() != "image") {
      describeStates(slots, layers, manifest);
      manifest.wholeSequences = readsWholeSequences(module);
      bool isOneGroup =
          manifest.groups.size() == 1 && !manifest.groups.front().perSequence;
      if (manifest.wholeSequences && isOneGroup)
        shareStates(slots, manifest.layers, manifest.states);
      continue;
    }
    rt::Manifest images;
    describeStates(slots, layers, images);
    manifest.images = imageEntryOf(module);
    shareStates(slots, images.layers, images.states);
    manifest.images->states = images.states;
    manifest.images->layers = images.layers;
  }
}

/// The positions that every table of learned ones has rows for; nothing without
/// such a table.
static std::optional<int64_t> numPositions(mlir::ModuleOp module) {
  std::optional<int64_t> rows;
  module.walk([&](EmbedOp embed) {
    if (!embed.getIds().getDefiningOp<PositionsOp>())
      return;
    int64_t own = embed.getTable().getType().getShape()[0];
    rows = std::min(rows.value_or(own), own);
  });
  return rows;
}

std::string driver::absolutePath(const std::string &path) {
  llvm::SmallString<256> absolute(path);
  llvm::sys::fs::make_absolute(absolute);
  llvm::sys::path::remove_dots(absolute, /*remove_dot_dot=*/true);
  return absolute.str().str();
}

static rt::Manifest describeModel(const import::ImportedModel &model,
                                  const rt::Checkpoint &checkpoint,
                                  const ModelChoice &choice,
                                  const rt::ManifestTarget &target) {
  rt::Manifest manifest;
  manifest.target = target;
  const json &config = model.config->json();
  manifest.model.family = model.family;
  manifest.model.architecture = model.architecture;
  manifest.model.dtype = model.dtype;
  manifest.model.precision = choice.precision;
  manifest.model.weights = choice.weights;
  manifest.model.layout =
      choice.hasRows() || choice.isCuda() ? "rows" : "panels";
  manifest.model.checkpoint = absolutePath(checkpoint.path());
  if (checkpoint.adapter())
    manifest.model.adapter = absolutePath(checkpoint.adapter()->path());
  manifest.model.eos = stopTokens(checkpoint, *model.config);
  if (auto it = config.find("bos_token_id");
      it != config.end() && it->is_number_integer())
    manifest.model.bos = it->get<int32_t>();
  return manifest;
}

static rt::ManifestTarget describeTarget(const cpu::Target &target) {
  rt::ManifestTarget result{"cpu", target.cpu, {}};
  llvm::SmallVector<llvm::StringRef> features;
  llvm::StringRef(target.features)
      .split(features, ',', -1, /*KeepEmpty=*/false);
  for (llvm::StringRef feature : features)
    result.features.push_back(feature.str());
  // A name alone would not tell the runtime what the machine has to have.
  for (const std::string &need : target.needs)
    if (!llvm::is_contained(result.features, need))
      result.features.push_back(need);
  return result;
}

bool driver::formKernels(mlir::ModuleOp module, int64_t panelRows,
                         const ModelChoice &choice) {
  return dump(module, choice, 1, "import") && fuseModule(module, choice) &&
         dump(module, choice, 2, "fuse") &&
         runPasses(module,
                   [&](mlir::OpPassManager &passes) {
                     Packing packing = choice.isCuda()    ? Packing::Blocks
                                       : choice.hasRows() ? Packing::Unpublished
                                                          : Packing::All;
                     buildKernelPipeline(passes, panelRows, 2, choice.scanChunk,
                                         packing);
                   }) &&
         dump(module, choice, 3, "kernels");
}

/// Makes the weights of a table in a file; gives the index of it.
static rt::StatusOr<std::string> packInto(const std::string &path,
                                          const std::string &tableText,
                                          const rt::Checkpoint &checkpoint) {
  CLADE_ASSIGN_OR_RETURN(rt::WeightTable table,
                         rt::WeightTable::parse(tableText, "weights.json"));
  rt::LoadOptions options;
  options.progress = [](int64_t done, int64_t total) {
    showProgress("packing weights", done, total);
  };
  return rt::packWeights(path, table, tableText, checkpoint, options);
}

rt::StatusOr<std::map<std::string, std::string>>
driver::processorFiles(const rt::Checkpoint &checkpoint) {
  std::map<std::string, std::string> files;
  for (const char *name : {rt::preprocessorFile, rt::processorFile})
    if (std::optional<std::string> path = checkpoint.filePath(name)) {
      CLADE_ASSIGN_OR_RETURN(files[name], rt::readTextFile(*path));
    }
  return files;
}

namespace {
/// The machine that a model is compiled for: one of the two.
struct CodeTarget {
  std::optional<cpu::Target> cpu;
  std::optional<cuda::Target> cuda;

  /// Rows of the panels that weights are packed into.
  int64_t panelRows() const {
    return cpu ? cpu->panelRows : rt::packedBlockRows;
  }
  rt::ManifestTarget describe() const {
    return cpu ? describeTarget(*cpu)
               : rt::ManifestTarget{"cuda", cuda->arch, {}};
  }
};
} // namespace

/// Prints what is wrong.
static std::optional<CodeTarget> resolveTarget(mlir::MLIRContext &context,
                                               const ModelChoice &choice) {
  mlir::Location unknown = mlir::UnknownLoc::get(&context);
  CodeTarget result;
  if (!choice.isCuda()) {
    if (!choice.arch.empty())
      return fail("--arch is that of --target cuda, which is not given"),
             std::nullopt;
    auto target = cpu::Target::resolve(unknown, choice.cpu);
    if (failed(target))
      return std::nullopt;
    result.cpu = *target;
    return result;
  }
  auto target = cuda::Target::resolve(
      unknown, choice.arch.empty() ? cuda::defaultArch.str() : choice.arch);
  if (failed(target))
    return std::nullopt;
  result.cuda = *target;
  return result;
}

std::optional<rt::ManifestTarget> driver::targetOf(Environment &environment,
                                                   const ModelChoice &choice) {
  std::optional<CodeTarget> target =
      resolveTarget(environment.getContext(), choice);
  if (!target)
    return std::nullopt;
  return target->describe();
}

/// A file that is removed at the end.
struct TemporaryFile {
  llvm::SmallString<128> path;
  ~TemporaryFile() {
    if (!path.empty())
      llvm::sys::fs::remove(path);
  }
};

/// Compiles for a CPU, to the file `object`. Prints what is wrong.
static bool addCpuCode(mlir::ModuleOp module, const SlotTable &slots,
                       const cpu::Target &target, const ModelChoice &choice,
                       TemporaryFile &object, rt::Manifest &manifest,
                       rt::ArtifactContents &contents) {
  if (llvm::sys::fs::createTemporaryFile("clade-code", "so", object.path))
    return fail("cannot create a temporary file for the code") == Done;
  auto code = cpu::compileModel(
      module, slots, target,
      {choice.precision == "reference", choice.isTraced,
       [&](mlir::ModuleOp code) { return dump(code, choice, 4, "code"); }},
      object.path);
  if (failed(code))
    return false;
  contents.code = object.path.str().str();
  manifest.entries["forward"] = {code->symbol, code->outputWidth};
  auto needs = [](const cpu::CompiledEntry &entry,
                  rt::ManifestWorkspace &workspace,
                  rt::ManifestScratch &scratch) {
    workspace = {entry.workspace.fixed, entry.workspace.perToken,
                 entry.workspace.perSelected, entry.workspace.perSequence};
    scratch = {entry.scratch.fixedBytes, entry.scratch.bytesPerContextToken};
  };
  needs(*code, manifest.workspace, manifest.scratch);
  if (code->images && manifest.images) {
    manifest.entries["image"] = {code->images->symbol,
                                 code->images->outputWidth};
    needs(*code->images, manifest.images->workspace, manifest.images->scratch);
  }
  return true;
}

/// Compiles for a GPU. Prints what is wrong.
static bool addCudaCode(mlir::ModuleOp module, const SlotTable &slots,
                        const cuda::Target &target, const ModelChoice &choice,
                        rt::Manifest &manifest,
                        rt::ArtifactContents &contents) {
  cuda::LayerStates states;
  for (const CladeLayer &layer : manifest.layers)
    states.text.push_back(layer.first_state);
  if (manifest.images)
    for (const CladeLayer &layer : manifest.images->layers)
      states.images.push_back(layer.first_state);
  auto code = cuda::compileModel(
      module, slots, target, states, choice.isTraced, !manifest.wholeSequences,
      [&](mlir::ModuleOp code) { return dump(code, choice, 4, "code"); });
  if (failed(code))
    return false;
  // Its launches are the step; the workspace is theirs to know.
  manifest.entries["forward"] = {"forward", code->outputWidth};
  if (code->images && manifest.images) {
    manifest.entries["image"] = {"image", code->images->outputWidth};
    contents.extraFiles[rt::imageLaunchesFile] = code->images->plan.toJson();
  }
  contents.extraFiles[rt::kernelsFile] = std::move(code->ptx);
  contents.extraFiles[rt::launchesFile] = code->plan.toJson();
  for (auto &[arch, machineCode] : code->machineCode)
    contents.extraFiles[rt::machineCodeFile(arch)] = std::move(machineCode);
  return true;
}

/// In f32 the code for GPUs rounds where the published ops do, as it keeps no
/// more anywhere; not so in bf16, and products with blocks round activations.
static bool checkPrecision(const CodeTarget &target, llvm::StringRef dtype,
                           const ModelChoice &choice) {
  bool isExact =
      dtype == "f32" && (choice.weights == "dense" || choice.weights == "f16");
  return !target.cuda || choice.precision == "fused" || isExact ||
         fail("--target cuda has --precision reference in f32 only, with dense "
              "weights or --weights f16") == Done;
}

bool driver::compileToFolder(Environment &environment,
                             const rt::Checkpoint &checkpoint,
                             const ModelChoice &given,
                             const std::string &folder) {
  ModelChoice choice = given;
  std::optional<CodeTarget> target =
      resolveTarget(environment.getContext(), choice);
  if (!target)
    return false;
  showProgress("compiling: reading the specs and headers");
  auto model = import::importCheckpoint(environment.getLibrary(), checkpoint,
                                        choice.dtype, choice.places);
  if (failed(model))
    return false;
  choice.weights = weightFormOf(*model->module, choice);
  if (!checkPrecision(*target, model->dtype, choice))
    return false;
  showProgress("compiling: forming kernels");
  mlir::ModuleOp module = *model->module;
  if (!formKernels(module, target->panelRows(), choice))
    return false;
  auto slots = assignSlots(module);
  if (failed(slots))
    return false;
  rt::Manifest manifest =
      describeModel(*model, checkpoint, choice, target->describe());
  describeLayers(module, *slots, manifest);
  manifest.tokenTypes = numTokenTypes(module);
  manifest.weightSlots = slots->numWeights;
  module.walk([&](RotaryTableOp table) {
    manifest.lengthDependentRotary |=
        table.getLongFrequencies() || table.getDynamicFactor();
  });
  rt::StatusOr<std::string> tokenizer = std::string();
  if (checkpoint.tokenizerPath())
    tokenizer = rt::readTextFile(*checkpoint.tokenizerPath());
  if (!tokenizer.ok())
    return fail(tokenizer.status()) == Done;
  auto processor = processorFiles(checkpoint);
  if (!processor.ok())
    return fail(processor.status()) == Done;
  showProgress("compiling: generating code");
  rt::ArtifactContents contents;
  if (manifest.images)
    contents.extraFiles = std::move(*processor);
  TemporaryFile object;
  if (target->cpu ? !addCpuCode(module, *slots, *target->cpu, choice, object,
                                manifest, contents)
                  : !addCudaCode(module, *slots, *target->cuda, choice,
                                 manifest, contents))
    return false;
  auto weights = serializeWeights(module, *slots);
  if (failed(weights))
    return false;
  manifest.model.vocab = numTokenIds(module).value_or(manifest.logitsWidth());
  manifest.model.maxPositions = numPositions(module);
  if (choice.places.count > 0) {
    auto adapters = serializeAdapters(module, *slots, choice.places.count + 1);
    if (failed(adapters))
      return false;
    manifest.adapters = {static_cast<int32_t>(choice.places.count),
                         static_cast<int32_t>(choice.places.rank),
                         std::move(adapters->weights)};
    contents.extraFiles[rt::adaptersFile] = std::move(adapters->text);
  }
  contents.weights = *weights;
  contents.extraFiles[rt::certificateFile] =
      certifyWeights(module, *slots, checkpoint.tensors(), *weights).toJson();
  if (checkpoint.tokenizerPath())
    contents.extraFiles["tokenizer.json"] = *tokenizer;
  if (checkpoint.generationConfigText())
    contents.extraFiles["generation_config.json"] =
        *checkpoint.generationConfigText();
  // What holds its weights can be converted back: the family, its configuration
  // and the code's layout say how.
  if (choice.isPacked) {
    json config = model->config->json();
    import::eraseQuantisation(config);
    contents.extraFiles["config.json"] =
        config.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
    contents.pack = [&](const std::string &path) {
      return packInto(path, *weights, checkpoint);
    };
  }
  showProgress("compiling: writing the artifact");
  rt::Status status = rt::writeArtifact(folder, manifest, contents);
  clearProgress();
  return status.ok() || fail(status) == Done;
}

rt::StatusOr<std::string> driver::checkpointOf(const std::string &artifact) {
  CLADE_ASSIGN_OR_RETURN(std::string text,
                         rt::readTextFile(artifact + "/manifest.json"));
  json manifest = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (manifest.is_object() && manifest.contains("model") &&
      manifest["model"].is_object() &&
      manifest["model"].contains("checkpoint") &&
      manifest["model"]["checkpoint"].is_string())
    return manifest["model"]["checkpoint"].get<std::string>();
  return rt::Status::corruption("'" + artifact +
                                "/manifest.json' does not name a checkpoint");
}
