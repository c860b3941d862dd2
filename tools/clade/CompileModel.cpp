//===- CompileModel.cpp - From a checkpoint to an artifact ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/CompileModel.h"

#include "tools/clade/DescribeModel.h"
#include "tools/clade/EncoderEntry.h"
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

std::string driver::absolutePath(const std::string &path) {
  llvm::SmallString<256> absolute(path);
  llvm::sys::fs::make_absolute(absolute);
  llvm::sys::path::remove_dots(absolute, /*remove_dot_dot=*/true);
  return absolute.str().str();
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
