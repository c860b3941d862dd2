//===- VerifyCommand.cpp - clade verify -----------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Level 3 of the validation: the logits of the whole model, prefill and decode,
// on fixed random tokens. On a difference it looks for where it begins: by
// running the interpreter before and after the fusions, and, against the
// published implementation, linear map by linear map.
//
//===----------------------------------------------------------------------===//

#include "tools/clade/Compare.h"
#include "tools/clade/CompileModel.h"
#include "tools/clade/Environment.h"
#include "tools/clade/PublishedRun.h"
#include "tools/clade/RunInterpreted.h"

#include "dialect/Clade/CladeDialect.h"
#include "lib/Import/WeightResolver.h"
#include "lib/Pipelines/Pipelines.h"
#include "mlir/Pass/PassManager.h"

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
  std::string checkpoint, against = "interpreter";
  int level = 3, tokens = 48;
  bool asJson = false;
};

/// What the engines run: a prompt, and tokens that are decoded one by one.
struct Text {
  std::vector<int32_t> prompt, forced;
};

/// One comparison of the table.
struct Row {
  std::string name;
  Distance distance;
  std::optional<double> ratio; ///< bf16: error over the reference's own error.
  bool passed = false;
};

using Values = std::vector<float>;
using Observer = std::function<void(const reference::Event &)>;
} // namespace

/// Token numbers that depend on nothing but the vocabulary.
static Text makeText(int64_t vocab, int tokens) {
  Text text;
  uint64_t state = 1;
  int decoded = std::max(1, tokens / 4);
  for (int i = 0; i < tokens; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    auto token =
        static_cast<int32_t>((state >> 33) % static_cast<uint64_t>(vocab));
    (i < tokens - decoded ? text.prompt : text.forced).push_back(token);
  }
  return text;
}

static std::vector<rt::GenerateRequest> requestsFor(const Text &text) {
  rt::GenerateRequest request;
  request.prompt = text.prompt;
  request.forced = text.forced;
  request.maxTokens = text.forced.size();
  return {request};
}

static rt::GenerateOptions collectInto(Values &logits) {
  rt::GenerateOptions options;
  options.onLogits = [&](size_t, int64_t, std::span<const float> row) {
    logits.insert(logits.end(), row.begin(), row.end());
  };
  return options;
}

static FailureOr<Values> interpret(mlir::ModuleOp module,
                                   const rt::Checkpoint &checkpoint,
                                   int64_t vocab, const Text &text,
                                   const Observer &observer = nullptr) {
  auto interpreter = reference::Interpreter::create(module, checkpoint);
  if (failed(interpreter))
    return failure();
  if (observer)
    (*interpreter)->setObserver(observer);
  Values logits;
  auto ran = generateInterpreted(**interpreter, vocab, requestsFor(text), {},
                                 /*chunk=*/0, collectInto(logits));
  return failed(ran) ? FailureOr<Values>(failure()) : logits;
}

/// The logits of compiled code, with prompts in pieces of `chunk` tokens.
static FailureOr<Values> runArtifact(const std::string &artifact,
                                     const Text &text, int32_t chunk) {
  auto model = rt::CompiledModel::load(artifact, {});
  if (!model.ok())
    return fail(model.status()), failure();
  rt::SessionOptions options;
  options.chunk = chunk;
  auto session = rt::Session::create(*model, options);
  if (!session.ok())
    return fail(session.status()), failure();
  Values logits;
  auto generation =
      rt::generate(**session, requestsFor(text), collectInto(logits));
  if (!generation.ok())
    return fail(generation.status()), failure();
  return logits;
}

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

/// Says which half of the compiler a difference comes from: the fusions, which
/// the interpreter can run, or the code behind them.
static void locate(Environment &environment, const rt::Checkpoint &checkpoint,
                   const std::string &dtype, int64_t vocab, const Text &text,
                   const Values &before) {
  auto model =
      import::importCheckpoint(environment.getLibrary(), checkpoint, dtype);
  if (failed(model))
    return;
  mlir::PassManager passes(&environment.getContext());
  buildFusePipeline(passes);
  if (failed(passes.run(*model->module)))
    return;
  auto after = interpret(*model->module, checkpoint, vocab, text);
  if (failed(after))
    return;
  Distance fused = distance(*after, before);
  bool same = dtype == "f32" ? withinF32(fused) : fused.largest <= 4e-2;
  llvm::errs() << llvm::format("the fused module differs from the imported one "
                               "by %.3e in the interpreter: ",
                               fused.largest)
               << (same ? "the difference begins in the generated code, whose "
                          "single ops cannot be compared\n"
                        : "the difference begins in a fusion\n");
}

static int verifyAgainstInterpreter(Environment &environment,
                                    const rt::Checkpoint &checkpoint,
                                    const VerifyOptions &options) {
  auto model = import::importCheckpoint(environment.getLibrary(), checkpoint,
                                        options.choice.dtype);
  if (failed(model))
    return Failed;
  llvm::SmallString<128> folder;
  if (llvm::sys::fs::createUniqueDirectory("clade-verify", folder))
    return fail("cannot create a temporary folder");
  std::string artifact = (folder + "/artifact").str();
  bool compiled =
      compileToFolder(environment, checkpoint, options.choice, artifact);
  using Opened = rt::StatusOr<std::shared_ptr<const rt::Artifact>>;
  Opened manifest = compiled ? rt::Artifact::open(artifact)
                             : Opened(std::shared_ptr<const rt::Artifact>());
  int status = Failed;
  std::vector<Row> rows;
  auto compareAll = [&]() -> int {
    if (!compiled || !manifest.ok())
      return compiled ? fail(manifest.status()) : Failed;
    int64_t vocab = (*manifest)->manifest().model.vocab;
    Text text = makeText(vocab, options.tokens);
    auto expected = interpret(*model->module, checkpoint, vocab, text);
    if (failed(expected))
      return Failed;
    Values wide;
    if (model->dtype != "f32") {
      auto exact =
          import::importCheckpoint(environment.getLibrary(), checkpoint, "f32");
      auto logits = failed(exact)
                        ? FailureOr<Values>(failure())
                        : interpret(*exact->module, checkpoint, vocab, text);
      if (failed(logits))
        return Failed;
      wide = std::move(*logits);
    }
    for (int32_t chunk : {static_cast<int32_t>(text.prompt.size()), 7}) {
      auto logits = runArtifact(artifact, text, chunk);
      if (failed(logits))
        return Failed;
      std::string name =
          "compiled, prompt in pieces of " + std::to_string(chunk);
      rows.push_back(
          compare(name, *logits, *expected, wide.empty() ? nullptr : &wide));
    }
    status = report(rows, options, model->dtype);
    if (status != Done)
      locate(environment, checkpoint, model->dtype, vocab, text, *expected);
    return status;
  };
  status = compareAll();
  manifest =
      Opened(std::shared_ptr<const rt::Artifact>()); // Unloads the code before
                                                     // its file goes.
  llvm::sys::fs::remove_directories(folder);
  return status;
}

//===----------------------------------------------------------------------===//
// Against the published implementation
//===----------------------------------------------------------------------===//

/// The module of the published implementation that a linear map is: the name of
/// its weight without '.weight'.
static std::optional<std::string> moduleOf(mlir::Operation *op, int64_t layer) {
  auto linear = llvm::dyn_cast<LinearOp>(op);
  auto param = linear ? linear.getWeight().getDefiningOp<ParamOp>() : ParamOp();
  if (!param)
    return std::nullopt;
  llvm::StringRef name =
      param.getName().take_until([](char c) { return c == '#' || c == '~'; });
  if (!name.consume_back(".weight"))
    return std::nullopt;
  return import::withLayer(name, layer < 0 ? std::nullopt
                                           : std::optional<int64_t>(layer));
}

/// Prints the first linear map, in the order of computation, whose result
/// leaves the bounds for f32.
static void locateAgainst(const PublishedRun &published, mlir::ModuleOp module,
                          const rt::Checkpoint &checkpoint, int64_t vocab,
                          const Text &text) {
  bool found = false;
  int64_t compared = 0;
  Observer observer = [&](const reference::Event &event) {
    if (found)
      return;
    auto name = moduleOf(event.op, event.layer);
    const Values *expected = name ? published.find(*name) : nullptr;
    // Only the prompt, which both run in one piece, has comparable rows.
    if (!expected ||
        expected->size() != static_cast<size_t>(event.value.size()))
      return;
    ++compared;
    Distance away = distance(
        {event.value.data().data(), event.value.data().size()}, *expected);
    if (withinF32(away))
      return;
    found = true;
    llvm::errs() << "first difference: layer " << event.layer << ", '" << *name
                 << "' (" << event.op->getName().getStringRef() << ")"
                 << llvm::format(
                        ": %.3e of the largest value, 1 - cosine %.3e\n",
                        away.largest, 1 - away.cosine);
    mlir::emitRemark(event.op->getLoc()) << "computed here";
  };
  if (failed(interpret(module, checkpoint, vocab, {text.prompt, text.forced},
                       observer)))
    return;
  if (!found)
    llvm::errs() << "all " << compared
                 << " linear maps of the prompt agree in f32: the difference "
                    "begins behind the last "
                 << "of them, in decoding, or in rounding\n";
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
  int64_t vocab = exact->config->json().value("vocab_size", int64_t(1));
  Text text = makeText(std::max<int64_t>(vocab, 1), options.tokens);
  rt::StatusOr<PublishedRun> wide =
      runPublished(options.checkpoint, text.prompt, text.forced, "f32");
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
    rt::StatusOr<PublishedRun> narrow =
        runPublished(options.checkpoint, text.prompt, text.forced, dtype);
    if (!narrow.ok())
      return fail(narrow.status());
    reference = narrow->logits;
    auto logits = interpret(*model->module, checkpoint, vocab, text);
    if (failed(logits))
      return Failed;
    rows.push_back(compare("interpreter", *logits, reference, &wide->logits));
  }
  std::optional<std::string> artifact =
      compileToCache(environment, checkpoint, options.choice);
  if (!artifact)
    return Failed;
  auto compiled = runArtifact(*artifact, text, text.prompt.size());
  if (failed(compiled))
    return Failed;
  rows.push_back(compare("compiled", *compiled, reference,
                         dtype == "f32" ? nullptr : &wide->logits));
  int status = report(rows, options, dtype);
  if (status != Done)
    locateAgainst(*wide, *exact->module, checkpoint, vocab, text);
  return status;
}

static int run(const VerifyOptions &options) {
  Environment environment(options.specs);
  if (!environment.ok())
    return Failed;
  std::optional<rt::Checkpoint> checkpoint =
      environment.openCheckpoint(options.checkpoint);
  if (!checkpoint)
    return Failed;
  return options.against == "transformers"
             ? verifyAgainstPublished(environment, *checkpoint, options)
             : verifyAgainstInterpreter(environment, *checkpoint, options);
}

void driver::addVerifyCommand(CLI::App &app, int &status) {
  auto *command = app.add_subcommand(
      "verify",
      "Compare the model's logits with a reference, prefill and decode");
  command->footer("In f32 the largest difference is below 1e-5 of the largest "
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
                  "the difference begins.");
  auto options = std::make_shared<VerifyOptions>();
  command
      ->add_option("checkpoint", options->checkpoint,
                   "A folder with config.json, or a .gguf file")
      ->required();
  command->add_option("--against", options->against, "The reference")
      ->check(CLI::IsMember({"interpreter", "transformers"}));
  command->add_option("--level", options->level, "3: the whole model")
      ->check(CLI::IsMember({3}));
  command
      ->add_option("--tokens", options->tokens,
                   "Tokens to run, a quarter of them one by one")
      ->check(CLI::Range(2, 4096));
  command->add_flag("--json", options->asJson, "Print one JSON object");
  options->choice.addTo(*command);
  options->specs.addTo(*command);
  command->callback([options, &status] { status = run(*options); });
}
