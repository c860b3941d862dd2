//===- VerifyPublished.cpp - Beside the published implementation ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/VerifyPublished.h"

#include "tools/clade/ArtifactCache.h"
#include "tools/clade/EncoderEntry.h"
#include "tools/clade/ExplainDifference.h"
#include "tools/clade/LocatePublished.h"
#include "tools/clade/LocateRounding.h"
#include "tools/clade/Progress.h"
#include "tools/clade/VerifyReport.h"

#include "llvm/Support/raw_ostream.h"

using namespace clade;
using namespace clade::driver;
using mlir::failed;
using mlir::failure;
using mlir::FailureOr;

static int64_t vocabularyOf(const import::ImportedModel &model) {
  return model.config->json().value("vocab_size", int64_t(1));
}

/// What a model and its published implementation run.
static rt::StatusOr<VerifyText> textFor(const import::ImportedModel &model,
                                        PublishedSource &source) {
  return source.text({std::max<int64_t>(vocabularyOf(model), 1),
                      readsWholeSequences(*model.module),
                      numTokenTypes(*model.module)});
}

/// A run whose logits do not have the model's number of values cannot be
/// compared. Prints that.
static bool haveSameSize(const Values &ours, const Values &published,
                         const std::string &dtype) {
  if (ours.size() == published.size())
    return true;
  fail("the published implementation gives " +
       std::to_string(published.size()) + " values as 'logits' in " + dtype +
       ", and the model " + std::to_string(ours.size()));
  return false;
}

namespace {
/// Both sides of level 3, run.
struct Comparison {
  const PublishedRun *wide = nullptr, *own = nullptr; ///< In f32, in `dtype`.
  std::string dtype;
  int64_t vocab = 1;
  VerifyText text;
  std::vector<LogitsRow> rows;
};
} // namespace

/// The interpreter and compiled code beside the published logits. Prints what
/// is wrong.
static bool compareModel(Environment &environment,
                         const rt::Checkpoint &checkpoint,
                         const VerifyOptions &options, PublishedSource &source,
                         const import::ImportedModel &exact,
                         const import::ImportedModel &model,
                         Comparison &found) {
  rt::StatusOr<VerifyText> text = textFor(exact, source);
  if (!text.ok())
    return fail(text.status()), false;
  found.text = std::move(*text);
  found.vocab = vocabularyOf(exact);
  found.dtype = model.dtype;
  rt::StatusOr<const PublishedRun *> wide = source.run(found.text, "f32");
  if (!wide.ok())
    return fail(wide.status()), false;
  found.wide = *wide;
  bool isNarrow = found.dtype != "f32";
  rt::StatusOr<const PublishedRun *> own = source.run(found.text, found.dtype);
  if (!own.ok())
    return fail(own.status()), false;
  found.own = *own;
  const Values &reference = found.own->logits,
               *exactReference = isNarrow ? &found.wide->logits : nullptr;
  auto logits = interpret(isNarrow ? *model.module : *exact.module, checkpoint,
                          found.vocab, found.text);
  if (failed(logits) || !haveSameSize(*logits, found.wide->logits, "f32") ||
      !haveSameSize(*logits, reference, found.dtype))
    return false;
  found.rows.push_back(
      compareLogits("interpreter", *logits, reference, exactReference));
  std::optional<std::string> artifact =
      options.artifact.empty()
          ? compileToCache(environment, checkpoint, options.choice)
          : options.artifact;
  if (!artifact)
    return false;
  auto compiled = runArtifact(*artifact, found.text, found.text.prompt.size());
  if (failed(compiled))
    return false;
  found.rows.push_back(
      compareLogits("compiled", *compiled, reference, exactReference));
  return true;
}

/// Says where a difference begins, and why.
static void explain(Environment &environment, const rt::Checkpoint &checkpoint,
                    const import::ImportedModel &exact,
                    const import::ImportedModel &model,
                    const Comparison &found) {
  if (found.rows.front().passed) {
    llvm::errs() << "the interpreter agrees: the difference begins in the "
                    "compiled code, where 'clade verify' without --against "
                    "looks for it\n";
    return;
  }
  if (found.dtype != "f32") {
    auto logits = interpret(*exact.module, checkpoint, found.vocab, found.text);
    if (failed(logits))
      return;
    clearProgress();
    if (withinF32(distance(*logits, found.wide->logits))) {
      llvm::errs() << "in f32 the logits agree: what differs is how values "
                      "round to "
                   << found.dtype << "\n";
      locateRounding(*found.own, *model.module, checkpoint, found.vocab,
                     found.text);
      return;
    }
  }
  locateAgainstPublished(*found.wide, *exact.module, checkpoint, found.vocab,
                         found.text);
  explainDifference(environment, checkpoint, found.vocab, found.text,
                    found.wide->logits);
}

int driver::verifyAgainstPublished(Environment &environment,
                                   const rt::Checkpoint &checkpoint,
                                   const VerifyOptions &options,
                                   PublishedSource &source) {
  auto exact =
      import::importCheckpoint(environment.getLibrary(), checkpoint, "f32");
  auto model = failed(exact)
                   ? FailureOr<import::ImportedModel>(failure())
                   : import::importCheckpoint(environment.getLibrary(),
                                              checkpoint, options.choice.dtype);
  Comparison found;
  if (failed(model) || !compareModel(environment, checkpoint, options, source,
                                     *exact, *model, found))
    return Failed;
  int status = reportLogits(found.rows, options, found.dtype, found.wide->code);
  if (status != Done)
    explain(environment, checkpoint, *exact, *model, found);
  return status;
}

int driver::verifyBlocks(Environment &environment,
                         const rt::Checkpoint &checkpoint,
                         const VerifyOptions &options,
                         PublishedSource &source) {
  auto model =
      import::importCheckpoint(environment.getLibrary(), checkpoint, "f32");
  if (failed(model))
    return Failed;
  rt::StatusOr<VerifyText> text = textFor(*model, source);
  if (!text.ok())
    return fail(text.status());
  rt::StatusOr<const PublishedRun *> published = source.run(*text, "f32");
  if (!published.ok())
    return fail(published.status());
  auto blocks = compareBlocks(**published, *model->module, checkpoint,
                              vocabularyOf(*model), *text);
  return failed(blocks) ? Failed
                        : reportBlocks(*blocks, options, (*published)->code);
}

/// Everything but the values: of which checkpoint, and which text.
static rt::StatusOr<PublishedRecord>
beginRecord(const import::ImportedModel &model,
            const rt::Checkpoint &checkpoint, const VerifyOptions &options,
            PublishedSource &source) {
  PublishedRecord record;
  record.dtype = model.dtype;
  if (options.isRandom)
    record.seed = options.seed.value_or(0);
  CLADE_ASSIGN_OR_RETURN(record.checkpoint, identityOf(checkpoint));
  CLADE_ASSIGN_OR_RETURN(record.text, textFor(model, source));
  return record;
}

int driver::recordPublished(Environment &environment,
                            const rt::Checkpoint &checkpoint,
                            const VerifyOptions &options,
                            PublishedSource &source) {
  auto model = import::importCheckpoint(environment.getLibrary(), checkpoint,
                                        options.choice.dtype);
  if (failed(model))
    return Failed;
  rt::StatusOr<PublishedRecord> record =
      beginRecord(*model, checkpoint, options, source);
  if (!record.ok())
    return fail(record.status());
  rt::StatusOr<const PublishedRun *> wide = source.run(record->text, "f32");
  if (!wide.ok())
    return fail(wide.status());
  record->wide = **wide;
  if (record->dtype != "f32") {
    rt::StatusOr<const PublishedRun *> narrow =
        source.run(record->text, record->dtype);
    if (!narrow.ok())
      return fail(narrow.status());
    record->narrow = **narrow;
  }
  const std::string path = recordFile(options.record);
  rt::Status status = record->write(path);
  if (!status.ok())
    return fail(status);
  clearProgress();
  // The levels alone give the JSON.
  if (!options.asJson)
    llvm::outs() << "recorded: " << path << ", " << record->wide.modules.size()
                 << " values of modules, in " << record->dtype << "\n";
  return Done;
}
