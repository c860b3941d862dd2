//===- VerifyCommand.cpp - clade verify -----------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Level 1 of the validation: weights to the compiled form and back. Level 2:
// each block from published values. Level 3: the logits of the whole model,
// prefill and decode, on fixed random tokens. On a difference it looks for
// where it begins: by running the interpreter before and after the fusions,
// and, against the published implementation, value by value.
//
//===----------------------------------------------------------------------===//

#include "tools/clade/LocateDifference.h"
#include "tools/clade/Progress.h"
#include "tools/clade/RandomCheckpoint.h"
#include "tools/clade/VerifyPublished.h"
#include "tools/clade/VerifyReport.h"
#include "tools/clade/VerifyWeights.h"

#include "runtime/Support/File.h"
#include "runtime/Support/Text.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace clade;
using namespace clade::driver;
using mlir::failed;
using mlir::failure;
using mlir::FailureOr;
using nlohmann::json;

/// Tokens that are run if nobody says how many.
static constexpr int defaultTokens = 48;

//===----------------------------------------------------------------------===//
// Against the interpreter
//===----------------------------------------------------------------------===//

/// Compares the code of an artifact with the interpreter, in both precisions.
static int compareArtifact(Environment &environment,
                           const rt::Checkpoint &checkpoint,
                           const VerifyOptions &options,
                           const std::string &artifact) {
  rt::StatusOr<std::shared_ptr<const rt::Artifact>> opened =
      rt::Artifact::open(artifact);
  if (!opened.ok())
    return fail(opened.status());
  const rt::Manifest &manifest = (*opened)->manifest();
  ModelChoice choice = options.choice;
  choice.dtype = manifest.model.dtype;
  choice.precision = manifest.model.precision;
  choice.latent = latentFormOf(manifest);
  choice.weights = manifest.model.weights;
  choice.layout = manifest.model.layout;
  if (choice.weights != "dense" && choice.weights != "f16" &&
      choice.precision == "fused")
    return fail("with weights in " + choice.weights +
                " and --precision fused, products round their activations to 8 "
                "bits, which no bound of this level allows; compile with "
                "--precision reference");
  auto model = import::importCheckpoint(environment.getLibrary(), checkpoint,
                                        choice.dtype);
  if (failed(model) || !chooseWeightForm(*model->module, choice))
    return Failed;
  int64_t vocab = manifest.logitsWidth();
  VerifyText text = VerifyText::make(
      manifest.model.vocab, options.tokens.value_or(defaultTokens),
      manifest.wholeSequences, manifest.tokenTypes);
  auto expected = interpret(*model->module, checkpoint, vocab, text);
  if (failed(expected))
    return Failed;
  Values wide;
  if (model->dtype != "f32") {
    auto exact =
        import::importCheckpoint(environment.getLibrary(), checkpoint, "f32");
    auto logits = failed(exact) || !chooseWeightForm(*exact->module, choice)
                      ? FailureOr<Values>(failure())
                      : interpret(*exact->module, checkpoint, vocab, text);
    if (failed(logits))
      return Failed;
    wide = std::move(*logits);
  }
  std::vector<LogitsRow> rows;
  std::vector<int32_t> chunks{static_cast<int32_t>(text.prompt.size())};
  if (!manifest.wholeSequences)
    chunks.push_back(7);
  for (int32_t chunk : chunks) {
    auto logits = runArtifact(artifact, text, chunk);
    if (failed(logits))
      return Failed;
    std::string name = "compiled, prompt in pieces of " + std::to_string(chunk);
    rows.push_back(compareLogits(name, *logits, *expected,
                                 wide.empty() ? nullptr : &wide));
  }
  int status = reportLogits(rows, options, model->dtype);
  if (status != Done)
    locateInCompiler(environment, checkpoint, choice, vocab, text, *expected,
                     options.artifact);
  return status;
}

static int verifyAgainstInterpreter(Environment &environment,
                                    const rt::Checkpoint &checkpoint,
                                    const VerifyOptions &options) {
  if (!options.artifact.empty())
    return compareArtifact(environment, checkpoint, options, options.artifact);
  llvm::SmallString<128> folder;
  if (llvm::sys::fs::createUniqueDirectory("clade-verify", folder))
    return fail("cannot create a temporary folder");
  std::string artifact = (folder + "/artifact").str();
  int status =
      compileToFolder(environment, checkpoint, options.choice, artifact)
          ? compareArtifact(environment, checkpoint, options, artifact)
          : Failed;
  llvm::sys::fs::remove_directories(folder);
  return status;
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

static int verifyWeights(Environment &environment,
                         const rt::Checkpoint &checkpoint,
                         const VerifyOptions &options) {
  auto trip = roundTripWeights(environment, checkpoint, options.choice);
  if (failed(trip))
    return Failed;
  if (options.asJson) {
    json losses = json::object();
    for (const WeightLoss &loss : trip->losses)
      losses[loss.tensor] = loss.reason;
    json object = {{"level", 1},
                   {"restored", trip->restored.size()},
                   {"changed", trip->changed},
                   {"not_restored", losses},
                   {"unread", trip->unread},
                   {"passed", trip->ok()}};
    llvm::outs() << object.dump(2, ' ', false, json::error_handler_t::replace)
                 << "\n";
    return trip->ok() ? Done : Failed;
  }
  llvm::outs() << "weights: " << trip->restored.size() << " of "
               << checkpoint.tensors().size()
               << " tensors come back from the compiled form bit for bit\n";
  printNames("came back with other bits", trip->changed);
  printNames("not read", trip->unread);
  for (const WeightLoss &loss : trip->losses)
    llvm::outs() << "not restored: '" << loss.tensor << "': " << loss.reason
                 << "\n";
  return trip->ok() ? Done : Failed;
}

//===----------------------------------------------------------------------===//
// The checkpoint and what it is compared with
//===----------------------------------------------------------------------===//

using RecordPtr = std::shared_ptr<const PublishedRecord>;

/// The files with Python code of a folder, which a checkpoint of random weights
/// runs as the published one does.
static int copyCode(const std::string &from, const std::string &to) {
  std::error_code error;
  for (llvm::sys::fs::directory_iterator it(from, error), end;
       it != end && !error; it.increment(error)) {
    llvm::StringRef name = llvm::sys::path::filename(it->path());
    if (!name.ends_with(".py"))
      continue;
    if (std::error_code failed =
            llvm::sys::fs::copy_file(it->path(), to + "/" + name.str()))
      return fail("cannot copy '" + it->path() + "': " + failed.message());
  }
  return Done;
}

/// A checkpoint of random weights for a configuration that has none: for a
/// record those that it is of.
static int makeWeights(Environment &environment, const VerifyOptions &options,
                       const RecordPtr &record, const std::string &config,
                       const std::string &folder) {
  rt::StatusOr<std::string> text = rt::readTextFile(config);
  if (!text.ok())
    return fail(text.status());
  RandomCheckpoint wanted;
  wanted.config = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!wanted.config.is_object())
    return fail("expected '" + config + "' to be a JSON object");
  for (const std::string &setting : options.settings)
    if (int status = applySetting(wanted.config, setting); status != Done)
      return status;
  // A record of random weights is of weights in the type of its own run.
  wanted.dtype = record                         ? record->dtype
                 : options.choice.dtype.empty() ? "f32"
                                                : options.choice.dtype;
  wanted.seed = options.seed.value_or(0);
  showProgress("making random weights");
  if (int status =
          writeRandomCheckpoint(environment, wanted, folder, /*isTold=*/false);
      status != Done)
    return status;
  std::string beside = llvm::sys::path::parent_path(config).str();
  return options.trustsCode ? copyCode(beside.empty() ? "." : beside, folder)
                            : Done;
}

/// Null, after a message, for a record of another checkpoint.
static std::unique_ptr<PublishedSource>
openSource(const rt::Checkpoint &checkpoint, const VerifyOptions &options,
           const RecordPtr &record) {
  if (!record)
    return std::make_unique<PublishedLibrary>(
        PublishedChoice{options.checkpoint, options.adapter, options.against,
                        options.trustsCode},
        options.tokens.value_or(defaultTokens));
  showProgress("comparing the weights with those of the record");
  rt::StatusOr<CheckpointIdentity> own = identityOf(checkpoint);
  rt::Status status =
      own.ok() ? checkSame(record->checkpoint, *own) : own.takeStatus();
  if (status.ok())
    return std::make_unique<RecordedSource>(record);
  fail(std::move(status).withContext(
      rt::quoteName(recordFile(options.against))));
  return nullptr;
}

static int runLevels(Environment &environment, const rt::Checkpoint &checkpoint,
                     const VerifyOptions &options, PublishedSource *published) {
  int status = Done;
  for (int level : options.levels)
    status = std::max(
        status, level == 1 ? verifyWeights(environment, checkpoint, options)
                : !published
                    ? verifyAgainstInterpreter(environment, checkpoint, options)
                : level == 2
                    ? verifyBlocks(environment, checkpoint, options, *published)
                    : verifyAgainstPublished(environment, checkpoint, options,
                                             *published));
  return status;
}

static int verify(Environment &environment, const VerifyOptions &options,
                  const RecordPtr &record) {
  std::optional<rt::Checkpoint> checkpoint =
      environment.openCheckpoint(options.checkpoint, options.adapter);
  if (!checkpoint)
    return Failed;
  if (options.isAgainstInterpreter())
    return runLevels(environment, *checkpoint, options, nullptr);
  if (checkpoint->gguf())
    return fail("--against " + options.against +
                " needs a checkpoint with config.json, got the GGUF file '" +
                options.checkpoint + "'");
  auto published = openSource(*checkpoint, options, record);
  if (!published)
    return Failed;
  if (!options.record.empty())
    if (int status =
            recordPublished(environment, *checkpoint, options, *published);
        status != Done)
      return status;
  return runLevels(environment, *checkpoint, options, published.get());
}

/// Where published values are to go.
static int checkRecord(const VerifyOptions &options) {
  const std::string path = recordFile(options.record);
  if (!options.isAgainstLibrary())
    return fail("--record keeps what a class of Python gives: it needs "
                "--against transformers or nemo-automodel, got --against " +
                options.against);
  if (!llvm::StringRef(path).ends_with(".safetensors"))
    return fail("expected --record to name a .safetensors file or a folder "
                "that exists, got '" +
                path + "'");
  if (rt::fileExists(path) && !options.isForced)
    return fail("'" + path + "' exists; --force replaces it");
  return Done;
}

/// What no option can say for itself.
static int checkOptions(VerifyOptions &options) {
  if (options.against.empty())
    options.against = options.record.empty() ? "interpreter" : "transformers";
  if (options.isAgainstRecord() && !llvm::sys::fs::exists(options.against))
    return fail("expected --against interpreter, transformers, nemo-automodel, "
                "or a record, a .safetensors file or a folder that has "
                "'published.safetensors', got '" +
                options.against + "'"),
           Usage;
  if (!options.isRandom && !options.settings.empty())
    return fail("--set is for --random: a checkpoint's weights have the sizes "
                "that its configuration says");
  if (!options.isRandom && options.seed)
    return fail("--seed is for --random: a checkpoint has its weights");
  if (options.isAgainstInterpreter() && llvm::is_contained(options.levels, 2))
    return fail("level 2 compares a checkpoint with config.json with the "
                "published implementation: add --against transformers");
  if (options.isAgainstRecord() && options.tokens)
    return fail("a record has its tokens: leave --tokens out");
  if (options.trustsCode && options.against != "transformers")
    return fail("--trust-remote-code is for --against transformers, which "
                "alone runs code of a checkpoint");
  if (options.against == "nemo-automodel" && !options.adapter.empty())
    return fail("--adapter is for --against transformers and interpreter: peft "
                "merges into classes of transformers");
  return options.record.empty() ? Done : checkRecord(options);
}

static int run(VerifyOptions options) {
  if (int status = checkOptions(options); status != Done)
    return status;
  Environment environment(options.specs);
  if (!environment.ok())
    return Failed;
  RecordPtr record;
  if (options.isAgainstRecord()) {
    auto opened = PublishedRecord::open(recordFile(options.against));
    if (!opened.ok())
      return fail(opened.status());
    record = std::make_shared<const PublishedRecord>(std::move(*opened));
    if (!options.seed)
      options.seed = record->seed;
  }
  if (!options.isRandom)
    return verify(environment, options, record);
  const std::string config = llvm::sys::fs::is_directory(options.checkpoint)
                                 ? options.checkpoint + "/config.json"
                                 : options.checkpoint;
  llvm::SmallString<128> folder;
  if (llvm::sys::fs::createUniqueDirectory("clade-verify", folder))
    return fail("cannot create a temporary folder");
  options.checkpoint = folder.str().str();
  int status =
      makeWeights(environment, options, record, config, options.checkpoint);
  if (status == Done)
    status = verify(environment, options, record);
  llvm::sys::fs::remove_directories(folder);
  return status;
}

void driver::addVerifyCommand(CLI::App &app, int &status) {
  auto *command = app.add_subcommand(
      "verify", "Check a checkpoint's weights and logits, level by level");
  command->footer(
      "Level 1: the published tensors go to the compiled form and "
      "come back bit for bit, but for steps that\n"
      "are named (a cast that rounds, blocks that are "
      "dequantised).\n"
      "Level 2: each block, up to the next value that the published "
      "implementation names, computed from its own\n"
      "values before it, in f32 and with the bounds below; not against the "
      "interpreter.\n"
      "Level 3: the model's logits, or embeddings, beside a reference's, "
      "prefill "
      "and decode. In f32 the largest difference is below 1e-5 of the largest "
      "logit and 1 - cosine below 1e-8. In bf16 the\n"
      "error against an f32 run is at most 1.10 times that of the "
      "reference's own bf16 run ('ratio').\n"
      "  --against interpreter     compiled code against Clade's "
      "reference interpreter (the default)\n"
      "  --against transformers    both against the published "
      "implementation in Python; needs torch and\n"
      "                            transformers: $CLADE_PYTHON, or "
      "what tools/dev/python-env.sh makes\n"
      "  --against nemo-automodel  the same with a class of NeMo AutoModel's "
      "own: tools/dev/python-env.sh automodel\n"
      "  --against FILE            what one of the two gave where --record "
      "kept it; needs no Python\n"
      "Status 1 if anything is out of bounds; then it says where "
      "the difference begins, and which of the likely mistakes of specs "
      "explains it.");
  auto options = std::make_shared<VerifyOptions>();
  command
      ->add_option("checkpoint", options->checkpoint,
                   "A folder with config.json, or a .gguf file; with --random "
                   "also a config.json alone")
      ->required();
  command->add_flag("--random", options->isRandom,
                    "Make random weights for the configuration, in the "
                    "published form, and verify those; no tensor is read");
  command
      ->add_option("--set", options->settings,
                   "With --random: key=value for the configuration, such as "
                   "num_hidden_layers=2")
      ->allow_extra_args(false);
  command->add_option("--seed", options->seed,
                      "With --random: of the random numbers (default: 0)");
  command->add_option("--against", options->against,
                      "The reference: interpreter, transformers, "
                      "nemo-automodel, or a record");
  auto *record = command->add_option(
      "--record", options->record,
      "Keep what the published implementation gives in this .safetensors "
      "file, or in a folder as published.safetensors");
  command
      ->add_flag("--force", options->isForced, "Replace a record that exists")
      ->needs(record);
  command->add_flag("--trust-remote-code", options->trustsCode,
                    "With --against transformers: run the Python code that the "
                    "checkpoint brings, which may do whatever you may do");
  command
      ->add_option(
          "--level", options->levels,
          "1: weights, 2: each block, 3: the whole model; 1,2,3 for all "
          "(default: 3)")
      ->delimiter(',')
      ->check(CLI::IsMember({1, 2, 3}));
  command
      ->add_option("--tokens", options->tokens,
                   "Tokens to run, a quarter of them one by one")
      ->check(CLI::Range(2, 4096));
  command->add_option("--artifact", options->artifact,
                      "Compare this artifact instead of compiling one; after "
                      "'clade compile --trace' a difference can be traced to "
                      "its kernel");
  command
      ->add_option("--adapter", options->adapter,
                   "A folder with a LoRA adapter in PEFT's form, to merge into "
                   "the weights; the published implementation merges it with "
                   "peft")
      ->check(CLI::ExistingDirectory);
  command->add_flag("--json", options->asJson, "Print one JSON object");
  options->choice.addTo(*command);
  options->specs.addTo(*command);
  command->callback([options, &status] { status = run(*options); });
}
