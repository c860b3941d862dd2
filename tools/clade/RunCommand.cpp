//===- RunCommand.cpp - clade run -----------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/ArtifactCache.h"
#include "tools/clade/EncoderEntry.h"
#include "tools/clade/Environment.h"
#include "tools/clade/ExpertChoices.h"
#include "tools/clade/FirstLoad.h"
#include "tools/clade/ImageEntry.h"
#include "tools/clade/PictureInputs.h"
#include "tools/clade/Progress.h"
#include "tools/clade/Requests.h"
#include "tools/clade/RunInterpreted.h"

#include "runtime/Engine/LoadTokenizer.h"
#include "runtime/Engine/Memory.h"
#include "runtime/Formats/Safetensors.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <nlohmann/json.hpp>

#include <chrono>

using namespace clade;
using namespace clade::driver;
using nlohmann::json;

namespace {
struct RunOptions {
  SpecOptions specs;
  RequestOptions requests;
  ModelChoice choice;
  RowFiles rows;
  std::string model, replayFile, recordFile;
  int threads = 0, device = 0;
  int64_t chunk = 0, maxContext = 0;
  double weightCache = 16; ///< GB of made weights that are kept.
  bool interpret = false, asJson = false, verifyWeights = false;
};

/// Logits of every token of every request, as they come, or embeddings.
class RowRecorder {
public:
  RowRecorder(size_t requests, bool isBatch)
      : rows(requests), isBatch(isBatch) {}

  rt::LogitsCallback callback() {
    return [this](size_t request, int64_t, std::span<const float> logits) {
      rows[request].insert(rows[request].end(), logits.begin(), logits.end());
      width = logits.size();
    };
  }
  /// A tensor of this name, f32 [token, width]; 'NAME.0', 'NAME.1' … for a
  /// batch.
  rt::Status write(const std::string &path, const std::string &what) const {
    std::vector<rt::StoredTensor> tensors;
    for (size_t i = 0; i < rows.size(); ++i) {
      std::string name = isBatch ? what + "." + std::to_string(i) : what;
      rt::StoredTensor tensor;
      tensor.name = std::move(name);
      tensor.shape = {static_cast<int64_t>(rows[i].size()) / width, width};
      tensor.bytes = std::as_bytes(std::span(rows[i]));
      tensors.push_back(std::move(tensor));
    }
    return rt::writeSafetensors(path, tensors, {});
  }

private:
  std::vector<std::vector<float>> rows;
  bool isBatch;
  int64_t width = 1;
};

/// Prints text as tokens come, if there is a tokenizer, and numbers otherwise.
class Printer {
public:
  Printer(const rt::Tokenizer *tokenizer, bool quiet) : quiet(quiet) {
    if (tokenizer && !quiet)
      decoder.emplace(*tokenizer);
  }
  void print(int32_t token) {
    if (quiet)
      return;
    if (decoder) {
      rt::StatusOr<std::string> text = decoder->push(token);
      if (text.ok())
        llvm::outs() << *text;
    } else {
      llvm::outs() << (count++ ? " " : "") << token;
    }
    llvm::outs().flush();
  }
  void finish() {
    if (decoder) {
      rt::StatusOr<std::string> text = decoder->finish();
      if (text.ok())
        llvm::outs() << *text;
    }
    if (!quiet)
      llvm::outs() << "\n";
  }

private:
  std::optional<rt::StreamDecoder> decoder;
  bool quiet;
  size_t count = 0;
};
} // namespace

static double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

/// What one way of running gives back.
struct RunOutcome {
  rt::Generation generation;
  double loadSeconds = 0, compileSeconds = 0;
};

static int printJson(const RunOutcome &outcome, const ExpertChoices &choices,
                     const rt::Tokenizer *tokenizer) {
  json object;
  json tokens = json::array(), texts = json::array();
  for (const rt::GenerateResult &result : outcome.generation.results) {
    tokens.push_back(result.tokens);
    rt::StatusOr<std::string> text =
        tokenizer ? tokenizer->decode(result.tokens)
                  : rt::StatusOr<std::string>(std::string());
    texts.push_back(text.ok() ? *text : "");
  }
  bool single = tokens.size() == 1;
  object["tokens"] = single ? tokens[0] : tokens;
  object["text"] = single ? texts[0] : texts;
  const rt::GenerateStats &stats = outcome.generation.stats;
  object["load_s"] = outcome.loadSeconds;
  object["compile_s"] = outcome.compileSeconds;
  object["prefill_tok_s"] =
      stats.prefillSeconds > 0 ? stats.prefillTokens / stats.prefillSeconds : 0;
  object["decode_tok_s"] =
      stats.decodeSeconds > 0 ? stats.decodeTokens / stats.decodeSeconds : 0;
  // Of the run, while the model was loaded; the interpreter does not tell.
  const bool isKnown = stats.memory.resident.total() != 0;
  rt::ResidentMemory resident =
      isKnown ? stats.memory.resident : rt::residentMemory();
  object["rss_mb"] = resident.total() / 1e6;
  object["memory_mb"] = {{"anonymous", resident.anonymous / 1e6},
                         {"file", resident.file / 1e6}};
  if (isKnown)
    object["memory_mb"].update({{"weights", stats.memory.weights / 1e6},
                                {"cache", stats.memory.cache / 1e6},
                                {"plan", stats.memory.plan / 1e6}});
  if (choices.isReplayed())
    object["experts"] = {{"choices", choices.numChoices()},
                         {"differing", choices.numDiffering()}};
  llvm::outs() << object.dump(-1, ' ', false, json::error_handler_t::replace)
               << "\n";
  return Done;
}

/// What images have become, and pictures, for the model's entry for images.
static rt::Status addImages(Requests &requests,
                            const std::optional<rt::ManifestImages> &entry,
                            const PictureSource &source) {
  CLADE_RETURN_IF_ERROR(addInputs(requests.requests, requests.inputs, entry));
  return addPictures(requests, entry, source);
}

static std::optional<RunOutcome>
runInterpreted(Environment &environment, const rt::Checkpoint &checkpoint,
               const RunOptions &options, Requests requests,
               const PictureSource &source,
               const rt::GenerateOptions &generateOptions) {
  RunOutcome outcome;
  showProgress("reading the specs and headers");
  auto start = std::chrono::steady_clock::now();
  auto model = import::importCheckpoint(environment.getLibrary(), checkpoint,
                                        options.choice.dtype);
  // The interpreter takes the spec at its word unless asked for another form.
  if (failed(model) ||
      (options.choice.latent == "absorbed" &&
       !chooseLatentForm(*model->module, options.choice)) ||
      !chooseWeightForm(*model->module, options.choice))
    return std::nullopt;
  outcome.compileSeconds = since(start);
  const bool isWhole = readsWholeSequences(*model->module);
  if (rt::Status status = fitRequests(isWhole, options.rows, requests.requests);
      !status.ok())
    return fail(status), std::nullopt;
  std::optional<rt::ManifestImages> images = imageEntryOf(*model->module);
  if (rt::Status status = addImages(requests, images, source); !status.ok())
    return fail(status), std::nullopt;
  showProgress("loading weights");
  start = std::chrono::steady_clock::now();
  auto interpreter = reference::Interpreter::create(*model->module, checkpoint);
  if (failed(interpreter))
    return std::nullopt;
  outcome.loadSeconds = since(start);
  showProgress("reading the prompt");
  auto generation = generateInterpreted(
      **interpreter, (*interpreter)->outputWidth(), requests.requests,
      stopTokens(checkpoint, *model->config), isWhole ? 0 : options.chunk,
      generateOptions, images ? &*images : nullptr);
  if (failed(generation))
    return std::nullopt;
  outcome.generation = std::move(*generation);
  return outcome;
}

/// The token of a run from which on weights are made for the next one.
static constexpr int64_t keptFromToken = 16;

static rt::ModelOptions modelOptionsOf(const RunOptions &options) {
  rt::ModelOptions modelOptions;
  modelOptions.threads = options.threads;
  modelOptions.device = options.device;
  modelOptions.verifyWeights = options.verifyWeights;
  modelOptions.weightCache.folder = cacheFolder("weights");
  modelOptions.weightCache.maxBytes =
      static_cast<int64_t>(options.weightCache * 1e9);
  return modelOptions;
}

/// Runs `artifact`; makes the weights of `keep`, if it is one, meanwhile.
static std::optional<RunOutcome>
runCompiled(const std::string &artifact, const std::string &keep,
            const RunOptions &options, Requests requests, PictureSource source,
            rt::GenerateOptions generateOptions) {
  RunOutcome outcome;
  rt::ModelOptions modelOptions = modelOptionsOf(options);
  WeightKeeper keeper(keep, modelOptions);
  modelOptions.progress = [&](int64_t done, int64_t total) {
    showProgress(options.verifyWeights ? "verifying weights"
                                       : "loading weights",
                 done, total);
  };
  auto model = rt::CompiledModel::load(artifact, modelOptions);
  if (!model.ok())
    return fail(model.status()), std::nullopt;
  outcome.loadSeconds = (*model)->loadSeconds();
  // Opening the artifact has checked its files.
  if (source.folder == artifact)
    source.hasFile = [&](const std::string &name) {
      return (*model)->artifact().hasFile(name);
    };
  if (rt::Status status = fitRequests((*model)->manifest().wholeSequences,
                                      options.rows, requests.requests);
      !status.ok())
    return fail(status), std::nullopt;
  if (rt::Status status =
          addImages(requests, (*model)->manifest().images, source);
      !status.ok())
    return fail(status), std::nullopt;
  rt::SessionOptions sessionOptions;
  sessionOptions.threads = options.threads;
  sessionOptions.maxContext = options.maxContext;
  if (options.chunk > 0)
    sessionOptions.chunk = options.chunk;
  auto session = rt::Session::create(*model, sessionOptions);
  if (!session.ok())
    return fail(session.status()), std::nullopt;
  for (const std::string &path : options.requests.areAdaptersBeside
                                     ? options.requests.adapters
                                     : std::vector<std::string>())
    if (auto loaded = (*session)->loadAdapter(path); !loaded.ok())
      return fail(loaded.status()), std::nullopt;
  showProgress("reading the prompt");
  // The first tokens come before what is for other runs, and a run that has no
  // more would be over before anything is kept.
  int64_t numTokens = 0;
  generateOptions.onToken =
      [&, print = generateOptions.onToken](const rt::GeneratedToken &token) {
        if (++numTokens == keptFromToken)
          keeper.start();
        return print(token);
      };
  auto generation = rt::generate(**session, requests.requests, generateOptions);
  if (!generation.ok())
    return fail(generation.status()), std::nullopt;
  outcome.generation = std::move(*generation);
  return outcome;
}

static int run(RunOptions options) {
  // An artifact knows its checkpoint; a checkpoint is compiled first.
  bool isArtifact = llvm::sys::fs::exists(options.model + "/manifest.json");
  options.requests.areAdaptersBeside = isArtifact;
  if (!isArtifact && options.requests.adapters.size() > 1)
    return fail("one --adapter is merged into a checkpoint, got " +
                std::to_string(options.requests.adapters.size()) +
                "; 'clade compile --adapter-slots' makes an artifact that "
                "takes several");
  std::string checkpointPath = options.model;
  if (isArtifact) {
    rt::StatusOr<std::string> path = checkpointOf(options.model);
    if (!path.ok())
      return fail(path.status());
    checkpointPath = *path;
  }
  // An artifact that holds its weights runs without its checkpoint.
  bool isPacked = isArtifact &&
                  llvm::sys::fs::exists(options.model + "/" + rt::packedIndex);
  rt::StatusOr<rt::Checkpoint> checkpoint = rt::Checkpoint::open(
      checkpointPath, isArtifact || options.requests.adapters.empty()
                          ? ""
                          : options.requests.adapters.front());
  if (!checkpoint.ok() && !isPacked)
    return fail(checkpoint.status());
  std::unique_ptr<rt::Tokenizer> tokenizer;
  std::string ownTokenizer = options.model + "/tokenizer.json";
  rt::StatusOr<std::unique_ptr<rt::Tokenizer>> loaded =
      isArtifact && llvm::sys::fs::exists(ownTokenizer)
          ? rt::loadTokenizer(ownTokenizer)
      : checkpoint.ok() ? rt::loadTokenizer(*checkpoint)
                        : rt::Status::notFound("'" + options.model +
                                               "' has no 'tokenizer.json'");
  if (loaded.ok())
    tokenizer = std::move(*loaded);
  else if (!options.requests.prompt.empty())
    return fail(loaded.status());
  rt::StatusOr<Requests> made = makeRequests(options.requests, tokenizer.get());
  if (!made.ok())
    return fail(made.status());
  const std::vector<rt::GenerateRequest> *requests = &made->requests;

  RowRecorder recorder(requests->size(), !options.requests.batchFile.empty());
  Printer printer(tokenizer.get(), options.asJson || requests->size() > 1);
  rt::GenerateOptions generateOptions;
  generateOptions.onToken = [&](const rt::GeneratedToken &token) {
    clearProgress();
    printer.print(token.token);
    return true;
  };
  if (!options.rows.logits.empty() || !options.rows.embeddings.empty())
    generateOptions.onLogits = recorder.callback();
  ExpertChoices choices(!options.requests.batchFile.empty(),
                        !options.recordFile.empty());
  if (!options.replayFile.empty())
    if (rt::Status status = choices.replay(options.replayFile); !status.ok())
      return fail(status);
  if (choices.isReplayed() || !options.recordFile.empty())
    generateOptions.onRoute = [&](size_t request, const rt::Route &route) {
      choices.route(request, route);
    };

  PictureSource source{options.model, {}, tokenizer.get()};
  std::optional<RunOutcome> outcome;
  if (options.interpret) {
    if (isArtifact)
      return fail("--interpret runs a checkpoint, got the artifact '" +
                  options.model + "'");
    Environment environment(options.specs);
    if (!environment.ok())
      return Failed;
    outcome = runInterpreted(environment, *checkpoint, options, *made, source,
                             generateOptions);
  } else {
    double compileSeconds = 0;
    LayoutChoice layout{options.model, ""};
    if (!isArtifact) {
      auto start = std::chrono::steady_clock::now();
      Environment environment(options.specs);
      if (!environment.ok())
        return Failed;
      std::optional<LayoutChoice> compiled =
          compileForRun(environment, *checkpoint, options.choice,
                        modelOptionsOf(options).weightCache);
      if (!compiled)
        return Failed;
      layout = *compiled;
      compileSeconds = since(start);
    }
    outcome = runCompiled(layout.artifact, layout.keep, options, *made, source,
                          generateOptions);
    if (outcome)
      outcome->compileSeconds = compileSeconds;
  }
  clearProgress();
  if (!outcome)
    return Failed;
  printer.finish();
  if (!choices.status().ok())
    return fail(choices.status());
  if (!options.recordFile.empty())
    if (rt::Status status = choices.write(options.recordFile); !status.ok())
      return fail(status);
  const bool isLogits = options.rows.embeddings.empty();
  const std::string &rowFile =
      isLogits ? options.rows.logits : options.rows.embeddings;
  if (!rowFile.empty())
    if (rt::Status status =
            recorder.write(rowFile, isLogits ? "logits" : "embeddings");
        !status.ok())
      return fail(status);
  if (options.asJson)
    return printJson(*outcome, choices, tokenizer.get());
  if (requests->size() > 1)
    for (const rt::GenerateResult &result : outcome->generation.results) {
      Printer one(tokenizer.get(), /*quiet=*/false);
      for (int32_t token : result.tokens)
        one.print(token);
      one.finish();
    }
  return Done;
}

void driver::addRunCommand(CLI::App &app, int &status) {
  auto *command = app.add_subcommand("run", "Continue a text or token numbers");
  auto options = std::make_shared<RunOptions>();
  command
      ->add_option("model", options->model,
                   "A checkpoint (compiled first, and cached) or an artifact")
      ->required();
  options->requests.addTo(*command);
  options->choice.addTargetTo(*command);
  options->choice.addTo(*command);
  options->specs.addTo(*command);
  command
      ->add_option("--threads", options->threads, "Threads; 0 for one a core")
      ->check(CLI::Range(0, 1024));
  command
      ->add_option("--device", options->device,
                   "With code for CUDA: the number of the GPU")
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--chunk", options->chunk,
                   "Feed prompts in pieces of this many tokens")
      ->check(CLI::Range(0, 1 << 20));
  command
      ->add_option("--max-context", options->maxContext,
                   "Most tokens of a sequence")
      ->check(CLI::NonNegativeNumber);
  command->add_option(
      "--logits", options->rows.logits,
      "Write the logits of every token to this safetensors file");
  command->add_option("--embeddings", options->rows.embeddings,
                      "Write the embedding of every token to this safetensors "
                      "file: of models that read texts as a whole (encoders)");
  command
      ->add_option("--replay-experts", options->replayFile,
                   "Choose the experts that this safetensors file tells: I32 "
                   "[token, active] 'layers.LAYER', of a batch "
                   "'layers.LAYER.REQUEST'")
      ->check(CLI::ExistingFile);
  command->add_option("--record-experts", options->recordFile,
                      "Write the experts that the model itself chooses to such "
                      "a file");
  command->add_flag("--verify-weights", options->verifyWeights,
                    "Compare the hashes of an artifact's packed weights");
  command
      ->add_option("--weight-cache", options->weightCache,
                   "Keep made weights of 64 MB or more for the next load, this "
                   "many GB at most; 0 for none")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command->add_flag("--interpret", options->interpret,
                    "Use the reference interpreter instead of compiled code");
  command->add_flag("--json", options->asJson, "Print one JSON object");
  command->callback([options, &status] { status = run(*options); });
}
