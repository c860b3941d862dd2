//===- CompileCommand.cpp - clade compile ---------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/ArtifactCache.h"
#include "tools/clade/WeightError.h"

#include "llvm/Support/raw_ostream.h"

using namespace clade;
using namespace clade::driver;

namespace {
struct CompileOptions {
  SpecOptions specs;
  ModelChoice choice;
  bool hasRank = false, skipsError = false;
  std::string checkpoint, adapter, artifact;
};
} // namespace

static int run(const CompileOptions &options) {
  Environment environment(options.specs);
  if (!environment.ok())
    return Failed;
  if (options.choice.places.count == 0 && options.hasRank)
    return fail("--adapter-rank is that of --adapter-slots, which is not "
                "given");
  std::optional<rt::Checkpoint> checkpoint =
      environment.openCheckpoint(options.checkpoint, options.adapter);
  if (!checkpoint)
    return Failed;
  if (!compileThroughCache(environment, *checkpoint, options.choice,
                           options.artifact))
    return Failed;
  const std::string &form = options.choice.weights;
  if (form.empty() || form == "dense" || options.skipsError)
    return Done;
  auto error = measureWeightError(environment, *checkpoint, options.choice,
                                  options.artifact, /*threads=*/0);
  if (!error)
    return Failed;
  llvm::outs() << error->text() << "\n";
  return Done;
}

void driver::addCompileCommand(CLI::App &app, int &status) {
  auto *command = app.add_subcommand(
      "compile",
      "Compile a checkpoint to an artifact: machine code and a weight table");
  command->footer("An artifact is a folder. 'clade run ARTIFACT' executes it; "
                  "it reads the weights from the\n"
                  "checkpoint, packed for this CPU as they are loaded.");
  auto options = std::make_shared<CompileOptions>();
  command
      ->add_option("checkpoint", options->checkpoint,
                   "A folder with config.json, or a .gguf file")
      ->required();
  command
      ->add_option("-o,--output", options->artifact,
                   "The artifact's folder; an artifact there is replaced")
      ->required();
  command
      ->add_option("--adapter", options->adapter,
                   "A folder with a LoRA adapter in PEFT's form, to merge into "
                   "the weights")
      ->check(CLI::ExistingDirectory);
  command
      ->add_option("--adapter-slots", options->choice.places.count,
                   "Places for this many LoRA adapters that are loaded beside "
                   "the weights when the model runs")
      ->check(CLI::Range(1, 1024));
  options->choice.places.rank = 16;
  auto *rank =
      command
          ->add_option("--adapter-rank", options->choice.places.rank,
                       "The largest rank that such an adapter may have "
                       "(default: 16)")
          ->check(CLI::Range(1, 65536));
  options->choice.addTargetTo(*command);
  command->add_flag("--trace", options->choice.isTraced,
                    "Make code that shows every kernel's results, slower, for "
                    "'clade verify --artifact'");
  options->choice.addTo(*command);
  command->add_flag("--no-error", options->skipsError,
                    "With --weights: do not compile the dense form as well to "
                    "print how far the logits of a text are from its");
  options->specs.addTo(*command);
  command->callback([options, rank, &status] {
    options->hasRank = rank->count() > 0;
    status = run(*options);
  });
}
