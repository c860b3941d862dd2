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

#include "tools/clade/Compare.h"
#include "tools/clade/EncoderEntry.h"
#include "tools/clade/ExplainDifference.h"
#include "tools/clade/LocateDifference.h"
#include "tools/clade/LocatePublished.h"
#include "tools/clade/Progress.h"
#include "tools/clade/RandomCheckpoint.h"
#include "tools/clade/VerifyBlocks.h"
#include "tools/clade/VerifyWeights.h"

#include "runtime/Support/File.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace clade;
using namespace clade::driver;
using mlir::failed;
using mlir::failure;
using mlir::FailureOr;
using nlohmann::json;

namespace {
struct VerifyOptions {
  SpecOptions specs;
  ModelChoice choice;
  std::string checkpoint, adapter, artifact, against = "interpreter";
  std::vector<int> levels = {3};
  std::vector<std::string> settings;
  int tokens = 48;
  bool asJson = false, isRandom = false;
};

/// One comparison of the table.
struct Row {
  std::string name;
  Distance distance;
  std::optional<double> ratio; ///< bf16: error over the reference's own error.
  bool passed = false;
};
} // namespace

/// Compares; `wide` is the reference in f32 where the comparison is in bf16.
static Row compare(std::string name, const Values &result,
                   const Values &reference, const Values *wide) {
  Row row{std::move(name), distance(result, reference), std::nullopt, false};
  bool sameSize = result.size() == reference.size() && !reference.empty();
  if (wide) {
    double ratio = 0;
    row.passed = sameSize && withinBF16(result, reference, *wide, ratio);
    row.ratio = ratio;
  } else {
    row.passed = sameSize && withinF32(row.distance);
  }
  return row;
}

static int report(const std::vector<Row> &rows, const VerifyOptions &options,
                  const std::string &dtype) {
  clearProgress();
  bool ok = llvm::all_of(rows, [](const Row &row) { return row.passed; });
  if (options.asJson) {
    json list = json::array();
    for (const Row &row : rows)
      list.push_back({{"name", row.name},
                      {"largest", row.distance.largest},
                      {"cosine", row.distance.cosine},
                      {"ratio", row.ratio ? json(*row.ratio) : json()},
                      {"passed", row.passed}});
    json object = {{"level", 3},
                   {"against", options.against},
                   {"dtype", dtype},
                   {"rows", list},
                   {"passed", ok}};
    llvm::outs() << object.dump(2, ' ', false, json::error_handler_t::replace)
                 << "\n";
    return ok ? Done : Failed;
  }
  llvm::outs() << llvm::format("%-44s %-5s %12s %14s %7s\n", "logits", "dtype",
                               "largest", "1 - cosine", "ratio");
  for (const Row &row : rows) {
    llvm::outs() << llvm::format("%-44s %-5s %12.3e %14.3e ", row.name.c_str(),
                                 dtype.c_str(), row.distance.largest,
                                 1 - row.distance.cosine);
    if (row.ratio)
      llvm::outs() << llvm::format("%7.3f", *row.ratio);
    else
      llvm::outs() << "      -";
    llvm::outs() << (row.passed ? "  ok\n" : "  FAIL\n");
  }
  return ok ? Done : Failed;
}

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
  if (choice.weights != "dense" && choice.precision == "fused")
    return fail("with weights in " + choice.weights +
                " and --precision fused, products round their activations to 8 "
                "bits, which no bound of this level allows; compile with "
                "--precision reference");
  auto model = import::importCheckpoint(environment.getLibrary(), checkpoint,
                                        choice.dtype);
  if (failed(model) || !chooseWeightForm(*model->module, choice))
    return Failed;
  int64_t vocab = manifest.logitsWidth();
  VerifyText text =
      VerifyText::make(manifest.model.vocab, options.tokens,
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
  std::vector<Row> rows;
  std::vector<int32_t> chunks{static_cast<int32_t>(text.prompt.size())};
  if (!manifest.wholeSequences)
    chunks.push_back(7);
  for (int32_t chunk : chunks) {
    auto logits = runArtifact(artifact, text, chunk);
    if (failed(logits))
      return Failed;
    std::string name = "compiled, prompt in pieces of " + std::to_string(chunk);
    rows.push_back(
        compare(name, *logits, *expected, wide.empty() ? nullptr : &wide));
  }
  int status = report(rows, options, model->dtype);
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
// Against the published implementation
//===----------------------------------------------------------------------===//

static int64_t vocabularyOf(const import::ImportedModel &model) {
  return model.config->json().value("vocab_size", int64_t(1));
}

/// What a model and its published implementation run.
static VerifyText textFor(const import::ImportedModel &model,
                          const VerifyOptions &options) {
  return VerifyText::make(std::max<int64_t>(vocabularyOf(model), 1),
                          options.tokens, readsWholeSequences(*model.module),
                          numTokenTypes(*model.module));
}

static int verifyAgainstPublished(Environment &environment,
                                  const rt::Checkpoint &checkpoint,
                                  const VerifyOptions &options) {
  if (checkpoint.gguf())
    return fail("--against transformers needs a checkpoint with config.json, "
                "got the GGUF file '" +
                options.checkpoint + "'");
  auto exact =
      import::importCheckpoint(environment.getLibrary(), checkpoint, "f32");
  auto model = failed(exact)
                   ? FailureOr<import::ImportedModel>(failure())
                   : import::importCheckpoint(environment.getLibrary(),
                                              checkpoint, options.choice.dtype);
  if (failed(model))
    return Failed;
  int64_t vocab = vocabularyOf(*exact);
  VerifyText text = textFor(*exact, options);
  showProgress("running the published implementation in f32");
  rt::StatusOr<PublishedRun> wide =
      runPublished(options.checkpoint, options.adapter, text, "f32");
  if (!wide.ok())
    return fail(wide.status());
  std::vector<Row> rows;
  auto ours = interpret(*exact->module, checkpoint, vocab, text);
  if (failed(ours))
    return Failed;
  std::string dtype = model->dtype;
  Values reference = wide->logits;
  if (dtype == "f32") {
    rows.push_back(compare("interpreter", *ours, reference, nullptr));
  } else {
    showProgress("running the published implementation in " + dtype);
    rt::StatusOr<PublishedRun> narrow =
        runPublished(options.checkpoint, options.adapter, text, dtype);
    if (!narrow.ok())
      return fail(narrow.status());
    reference = narrow->logits;
    auto logits = interpret(*model->module, checkpoint, vocab, text);
    if (failed(logits))
      return Failed;
    rows.push_back(compare("interpreter", *logits, reference, &wide->logits));
  }
  std::optional<std::string> artifact =
      options.artifact.empty()
          ? compileToCache(environment, checkpoint, options.choice)
          : options.artifact;
  if (!artifact)
    return Failed;
  auto compiled = runArtifact(*artifact, text, text.prompt.size());
  if (failed(compiled))
    return Failed;
  rows.push_back(compare("compiled", *compiled, reference,
                         dtype == "f32" ? nullptr : &wide->logits));
  int status = report(rows, options, dtype);
  if (status != Done) {
    locateAgainstPublished(*wide, *exact->module, checkpoint, vocab, text);
    explainDifference(environment, checkpoint, vocab, text, wide->logits);
  }
  return status;
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

static void print(llvm::StringRef title, llvm::ArrayRef<std::string> names) {
  if (names.empty())
    return;
  llvm::outs() << title << ":";
  constexpr size_t most = 8;
  for (const std::string &name : names.take_front(most))
    llvm::outs() << " '" << name << "'";
  if (names.size() > most)
    llvm::outs() << " … and " << names.size() - most << " more";
  llvm::outs() << "\n";
}

static int reportBlocks(const BlockComparison &blocks,
                        const VerifyOptions &options) {
  clearProgress();
  // The logits alone are no block.
  bool hasBlocks = llvm::any_of(
      blocks.rows, [](const auto &row) { return row.name != logitsRow; });
  bool ok = hasBlocks && llvm::all_of(blocks.rows, [](const auto &row) {
              return row.passed;
            });
  if (options.asJson) {
    json list = json::array();
    for (const BlockRow &row : blocks.rows)
      list.push_back({{"name", row.name},
                      {"layers", row.layers},
                      {"layer", row.worst < 0 ? json() : json(row.worst)},
                      {"largest", row.distance.largest},
                      {"cosine", row.distance.cosine},
                      {"passed", row.passed}});
    json object = {{"level", 2},
                   {"against", options.against},
                   {"rows", list},
                   {"not_compared", blocks.notCompared},
                   {"passed", ok}};
    llvm::outs() << object.dump(2, ' ', false, json::error_handler_t::replace)
                 << "\n";
    return ok ? Done : Failed;
  }
  llvm::outs() << llvm::format("%-52s %6s %5s %12s %14s\n",
                               "block, up to the value", "layers", "worst",
                               "largest", "1 - cosine");
  for (const BlockRow &row : blocks.rows) {
    std::string worst = row.worst < 0 ? "-" : std::to_string(row.worst),
                layers = row.layers == 0 ? "-" : std::to_string(row.layers);
    llvm::outs() << llvm::format(
        "%-52s %6s %5s %12.3e %14.3e  %s\n", row.name.c_str(), layers.c_str(),
        worst.c_str(), row.distance.largest, 1 - row.distance.cosine,
        row.passed ? "ok" : "FAIL");
  }
  print("not compared", blocks.notCompared);
  if (!hasBlocks)
    return fail("no value of the model is one that the published "
                "implementation names");
  return ok ? Done : Failed;
}

static int verifyBlocks(Environment &environment,
                        const rt::Checkpoint &checkpoint,
                        const VerifyOptions &options) {
  if (options.against != "transformers" || checkpoint.gguf())
    return fail("level 2 compares a checkpoint with config.json with the "
                "published implementation: add --against transformers");
  auto model =
      import::importCheckpoint(environment.getLibrary(), checkpoint, "f32");
  if (failed(model))
    return Failed;
  VerifyText text = textFor(*model, options);
  showProgress("running the published implementation in f32");
  rt::StatusOr<PublishedRun> published =
      runPublished(options.checkpoint, options.adapter, text, "f32");
  if (!published.ok())
    return fail(published.status());
  auto blocks = compareBlocks(*published, *model->module, checkpoint,
                              vocabularyOf(*model), text);
  return failed(blocks) ? Failed : reportBlocks(*blocks, options);
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
  print("came back with other bits", trip->changed);
  print("not read", trip->unread);
  for (const WeightLoss &loss : trip->losses)
    llvm::outs() << "not restored: '" << loss.tensor << "': " << loss.reason
                 << "\n";
  return trip->ok() ? Done : Failed;
}

static int runLevel(Environment &environment, const rt::Checkpoint &checkpoint,
                    const VerifyOptions &options, int level) {
  if (level == 1)
    return verifyWeights(environment, checkpoint, options);
  if (level == 2)
    return verifyBlocks(environment, checkpoint, options);
  return options.against == "transformers"
             ? verifyAgainstPublished(environment, checkpoint, options)
             : verifyAgainstInterpreter(environment, checkpoint, options);
}

/// A checkpoint of random weights for a configuration that has none.
static int makeWeights(Environment &environment, const VerifyOptions &options,
                       const std::string &config, const std::string &folder) {
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
  wanted.dtype = options.choice.dtype.empty() ? "f32" : options.choice.dtype;
  showProgress("making random weights");
  return writeRandomCheckpoint(environment, wanted, folder, /*isTold=*/false);
}

static int verify(Environment &environment, const VerifyOptions &options) {
  std::optional<rt::Checkpoint> checkpoint =
      environment.openCheckpoint(options.checkpoint, options.adapter);
  if (!checkpoint)
    return Failed;
  int status = Done;
  for (int level : options.levels)
    status =
        std::max(status, runLevel(environment, *checkpoint, options, level));
  return status;
}

static int run(VerifyOptions options) {
  Environment environment(options.specs);
  if (!environment.ok())
    return Failed;
  const std::string config = llvm::sys::fs::is_directory(options.checkpoint)
                                 ? options.checkpoint + "/config.json"
                                 : options.checkpoint;
  if (!options.isRandom) {
    if (!options.settings.empty())
      return fail(
          "--set is for --random: a checkpoint's weights have the sizes "
          "that its configuration says");
    return verify(environment, options);
  }
  llvm::SmallString<128> folder;
  if (llvm::sys::fs::createUniqueDirectory("clade-verify", folder))
    return fail("cannot create a temporary folder");
  options.checkpoint = folder.str().str();
  int status = makeWeights(environment, options, config, options.checkpoint);
  if (status == Done)
    status = verify(environment, options);
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
      "values before it, in f32 and with the bounds below; needs --against "
      "transformers.\n"
      "Level 3: the model's logits, or embeddings, beside a reference's, "
      "prefill "
      "and decode. In f32 the largest difference is below 1e-5 of the largest "
      "logit and 1 - cosine below 1e-8. In bf16 the\n"
      "error against an f32 run is at most 1.10 times that of the "
      "reference's own bf16 run ('ratio').\n"
      "  --against interpreter   compiled code against Clade's "
      "reference interpreter (the default)\n"
      "  --against transformers  both against the published "
      "implementation in Python; needs torch and\n"
      "                          transformers: $CLADE_PYTHON, or "
      "what tools/dev/python-env.sh makes\n"
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
  command->add_option("--against", options->against, "The reference")
      ->check(CLI::IsMember({"interpreter", "transformers"}));
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
