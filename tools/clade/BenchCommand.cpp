//===- BenchCommand.cpp - clade bench -------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/ArtifactCache.h"
#include "tools/clade/BenchEngine.h"
#include "tools/clade/BenchPeer.h"
#include "tools/clade/BenchReport.h"
#include "tools/clade/KernelCost.h"
#include "tools/clade/MachineLimits.h"
#include "tools/clade/Progress.h"
#include "tools/clade/WeightError.h"

#include "runtime/Support/File.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <fstream>

using namespace clade;
using namespace clade::driver;
using mlir::failed;
using nlohmann::json;

namespace {
struct BenchOptions {
  SpecOptions specs;
  ModelChoice choice;
  std::string checkpoint, adapter, svgFile;
  std::vector<std::string> peers;
  std::vector<int64_t> prompts{128, 512, 2048}, contexts{128, 2048},
      batches{1, 4, 16};
  int threads = 0, rounds = 9;
  int64_t steps = 32;
  bool withKernels = false, asJson = false;
};

/// What is measured, and what it is predicted from.
struct Bench {
  const BenchOptions &options;
  std::unique_ptr<MachineLimits> limits;
  std::unique_ptr<BenchEngine> engine;
  std::vector<std::unique_ptr<BenchPeer>> peers;
  std::vector<FunctionCost> costs;
  std::vector<ScheduledKernel> schedule;
  cpu::Arithmetic arithmetic = cpu::Arithmetic::F32;
  BenchReport report = {};

  double predictedBytes(const StepShape &step) const;
  double predictedFlops(const StepShape &step) const;
  /// One pass over the probes.
  std::pair<double, double> measureLimits();
  rt::Status measureContext(int64_t context);
  rt::Status measureBatches(rt::SequenceId sequence, int64_t context);
  rt::Status measureKernels(Environment &environment,
                            const rt::Checkpoint &checkpoint);
};
} // namespace

double Bench::predictedBytes(const StepShape &step) const {
  double bytes = 0;
  for (const ScheduledKernel &scheduled : schedule)
    bytes += scheduled.kernel->bytes(step);
  return bytes;
}

double Bench::predictedFlops(const StepShape &step) const {
  double flops = 0;
  for (const ScheduledKernel &scheduled : schedule)
    flops += scheduled.kernel->flops(step);
  return flops;
}

std::pair<double, double> Bench::measureLimits() {
  double read = limits->readBandwidth(), peak = limits->peak(arithmetic);
  report.readBandwidth.add(read);
  report.peak.add(peak);
  return {read, peak};
}

/// Prefill of prompts of a length and what follows one by one, every engine in
/// turn.
rt::Status Bench::measureContext(int64_t context) {
  bool isPrompt = llvm::is_contained(options.prompts, context),
       isContext = llvm::is_contained(options.contexts, context);
  BenchRow prefill, decode;
  prefill.isPrefill = true;
  prefill.context = decode.context = context;
  for (const auto &peer : peers)
    for (BenchRow *row : {&prefill, &decode})
      row->peers.push_back({peer->name(), peer->version(), {}});
  double flops = predictedFlops({1, context, 1, 0}),
         bytes = predictedBytes({1, 1, 1, context + options.steps / 2});
  rt::SequenceId sequence = rt::SequenceId::None;
  for (int round = 0; round < options.rounds; ++round) {
    showProgress(llvm::formatv("measuring {0} tokens", context).str(), round,
                 options.rounds);
    auto [read, peak] = measureLimits();
    if (sequence != rt::SequenceId::None)
      engine->release(sequence);
    CLADE_ASSIGN_OR_RETURN(
        double seconds, engine->prefill(engine->drawTokens(context), sequence));
    prefill.tokensPerSecond.add(context / seconds);
    prefill.share.add(flops / seconds / peak);
    if (isContext) {
      CLADE_ASSIGN_OR_RETURN(seconds,
                             engine->decode(sequence, 1, options.steps));
      decode.tokensPerSecond.add(options.steps / seconds);
      decode.share.add(bytes * options.steps / seconds / read);
    }
    for (auto [i, peer] : llvm::enumerate(peers)) {
      CLADE_ASSIGN_OR_RETURN(BenchPeer::Times times,
                             peer->run(engine->drawTokens(context),
                                       isContext ? options.steps : 0));
      prefill.peers[i].tokensPerSecond.add(context / times.prefill);
      if (isContext)
        decode.peers[i].tokensPerSecond.add(options.steps / times.decode);
    }
  }
  if (isPrompt)
    report.rows.push_back(std::move(prefill));
  if (isContext) {
    if (llvm::is_contained(options.batches, 1))
      report.rows.push_back(std::move(decode));
    CLADE_RETURN_IF_ERROR(measureBatches(sequence, context));
  }
  engine->release(sequence);
  return {};
}

/// Decoding of several sequences at once, each a copy of one.
rt::Status Bench::measureBatches(rt::SequenceId sequence, int64_t context) {
  for (int64_t batch : options.batches) {
    if (batch == 1)
      continue;
    BenchRow row;
    row.context = context;
    row.batch = batch;
    double bytes = predictedBytes({batch, 1, 1, context + options.steps / 2});
    for (int round = 0; round < options.rounds; ++round) {
      showProgress(
          llvm::formatv("measuring {0} sequences of {1} tokens", batch, context)
              .str(),
          round, options.rounds);
      double read = measureLimits().first;
      rt::StatusOr<double> seconds =
          engine->decode(sequence, batch, options.steps);
      if (!seconds.ok() &&
          seconds.status().code() == rt::StatusCode::ResourceExhausted) {
        report.notes.push_back(row.title() +
                               " left out: " + seconds.status().message());
        break;
      }
      if (!seconds.ok())
        return seconds.takeStatus();
      row.tokensPerSecond.add(batch * options.steps / *seconds);
      row.share.add(bytes * options.steps / *seconds / read);
    }
    if (!row.tokensPerSecond.empty())
      report.rows.push_back(std::move(row));
  }
  return {};
}

/// '…q_proj.weight+k_proj.weight', the names of weights without what all have.
static std::string shortNames(const std::vector<std::string> &weights) {
  std::string names;
  for (const std::string &weight : weights) {
    llvm::StringRef name(weight);
    if (size_t place = name.find("{layer}."); place != llvm::StringRef::npos)
      name = name.drop_front(place + 8);
    names += (names.empty() ? "" : ", ") + name.str();
  }
  return names;
}

namespace {
/// Takes the time of each kernel of a step from the calls of its trace: one for
/// each result, after the kernel has ended on all threads.
class KernelClock {
public:
  void begin() {
    seconds.clear();
    last = Clock::now();
  }
  /// Forgets the first of two equal steps.
  void dropFirst() {
    seconds.erase(seconds.begin(), seconds.begin() + seconds.size() / 2);
  }
  void tick() {
    auto now = Clock::now();
    seconds.push_back(std::chrono::duration<double>(now - last).count());
    last = now;
  }
  /// Adds the times of one step to the rows of its kernels. False if the calls
  /// are not those of the schedule.
  bool addTo(const std::vector<ScheduledKernel> &schedule,
             const std::map<const KernelCost *, size_t> &places,
             std::vector<KernelRow> &rows) const {
    std::vector<double> sums(rows.size(), 0);
    size_t next = 0;
    for (const ScheduledKernel &scheduled : schedule)
      for (size_t result = 0; result < scheduled.kernel->results; ++result) {
        if (next == seconds.size())
          return false;
        sums[places.at(scheduled.kernel)] += seconds[next++];
      }
    for (auto [row, sum] : llvm::zip_equal(rows, sums))
      row.seconds.add(sum);
    return next == seconds.size();
  }

private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last;
  std::vector<double> seconds;
};
} // namespace

/// The time of each kernel, by code that shows its results: a step that decodes
/// a token behind 128, and one that reads a prompt of 512.
rt::Status Bench::measureKernels(Environment &environment,
                                 const rt::Checkpoint &checkpoint) {
  constexpr int64_t promptTokens = 512, contextTokens = 128;
  llvm::SmallString<128> folder;
  if (llvm::sys::fs::createUniqueDirectory("clade-bench", folder))
    return rt::Status::ioError("cannot create a temporary folder");
  llvm::scope_exit cleanUp([&] { llvm::sys::fs::remove_directories(folder); });
  ModelChoice traced = options.choice;
  traced.isTraced = true;
  std::string artifact = (folder + "/artifact").str();
  if (!compileToFolder(environment, checkpoint, traced, artifact))
    return rt::Status::unsupported("the traced code was not compiled");
  KernelClock clock;
  CLADE_ASSIGN_OR_RETURN(
      auto tracedEngine,
      BenchEngine::create(artifact, options.threads, promptTokens + 1,
                          [&](const void *, int64_t) { clock.tick(); }));
  std::map<const KernelCost *, size_t> places;
  std::vector<KernelRow> rows;
  for (const ScheduledKernel &scheduled : schedule) {
    auto [place, isNew] = places.try_emplace(scheduled.kernel, rows.size());
    if (!isNew) {
      ++rows[place->second].calls;
      continue;
    }
    KernelRow row;
    row.function = scheduled.function->name;
    row.kind = scheduled.kernel->kind;
    row.weights = shortNames(scheduled.kernel->weights);
    rows.push_back(std::move(row));
  }
  for (bool isPrefill : {false, true}) {
    StepShape step{1, isPrefill ? promptTokens : 1, 1,
                   isPrefill ? 0 : contextTokens};
    KernelTable table{isPrefill ? "a step of 512 tokens"
                                : "a step of one token behind 128",
                      isPrefill, rows};
    for (const auto &[cost, place] : places) {
      table.rows[place].bytes = cost->bytes(step) * rows[place].calls;
      table.rows[place].flops = cost->flops(step) * rows[place].calls;
    }
    for (int round = 0; round < options.rounds; ++round) {
      showProgress("measuring kernels", round, options.rounds);
      rt::SequenceId sequence;
      clock.begin();
      CLADE_RETURN_IF_ERROR(
          tracedEngine
              ->prefill(tracedEngine->drawTokens(isPrefill ? promptTokens
                                                           : contextTokens),
                        sequence)
              .takeStatus());
      if (!isPrefill) {
        // The first step comes behind the copy of the sequence, and touches
        // what the second finds in place.
        clock.begin();
        CLADE_RETURN_IF_ERROR(
            tracedEngine->decode(sequence, 1, 2).takeStatus());
        clock.dropFirst();
      }
      tracedEngine->release(sequence);
      if (!clock.addTo(schedule, places, table.rows))
        return rt::Status::unsupported(
            "the kernels that ran are not those of the schedule");
    }
    report.kernels.push_back(std::move(table));
  }
  return {};
}

/// What the kernel names this machine.
static std::string cpuName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (llvm::StringRef(line).starts_with("model name"))
      return llvm::StringRef(line).split(':').second.trim().str();
  return "CPU";
}

/// Starts the engines that --peers names.
static bool startPeers(Bench &bench, const rt::Checkpoint &checkpoint) {
  for (llvm::StringRef wanted : bench.options.peers) {
    auto [engine, model] = wanted.split(':');
    showProgress("starting " + engine.str());
    auto peer = BenchPeer::start(
        engine.str(), model.empty() ? checkpoint.path() : model.str(),
        bench.report.dtype, bench.report.threads);
    if (!peer.ok())
      return fail("cannot measure beside " + engine.str() + ": " +
                  peer.status().message()) == Done;
    bench.peers.push_back(std::move(*peer));
  }
  return true;
}

static int run(const BenchOptions &options) {
  if (!options.adapter.empty() && !options.peers.empty())
    return fail("--peers measures the checkpoint without the adapter: leave "
                "out one of --adapter and --peers");
  Environment environment(options.specs);
  if (!environment.ok())
    return Failed;
  std::optional<rt::Checkpoint> checkpoint =
      environment.openCheckpoint(options.checkpoint, options.adapter);
  if (!checkpoint)
    return Failed;
  auto target = cpu::Target::resolve(
      mlir::UnknownLoc::get(&environment.getContext()), options.choice.cpu);
  if (failed(target))
    return Failed;
  auto model = import::importCheckpoint(environment.getLibrary(), *checkpoint,
                                        options.choice.dtype);
  if (failed(model))
    return Failed;
  std::string weights = weightFormOf(*model->module, options.choice);
  if (!formKernels(*model->module, /*panelRows=*/0, options.choice))
    return Failed;
  auto slots = assignSlots(*model->module);
  if (failed(slots))
    return Failed;
  std::optional<std::string> artifact =
      compileToCache(environment, *checkpoint, options.choice);
  if (!artifact)
    return Failed;

  cpu::Arithmetic arithmetic =
      model->dtype == "bf16" ? cpu::Arithmetic::BF16 : cpu::Arithmetic::F32;
  if (weights != "dense")
    arithmetic = options.choice.precision == "fused" && weights != "f16"
                     ? cpu::Arithmetic::Int8
                     : cpu::Arithmetic::F32;
  Bench bench{options, {}, {}, {}, {}, {}, arithmetic};
  bench.costs = costOf(*model->module, *slots);
  bench.schedule = scheduleOf(*model->module, *slots, bench.costs);
  bench.limits = MachineLimits::create(*target, options.threads);
  if (!bench.limits)
    return Failed;
  BenchReport &report = bench.report;
  report.cpu = target->cpu;
  report.cpuName = cpuName();
  report.family = model->family;
  report.dtype = model->dtype;
  report.weights = weights;
  report.arithmetic = arithmetic == cpu::Arithmetic::Int8   ? "int8"
                      : arithmetic == cpu::Arithmetic::BF16 ? "bf16"
                                                            : "f32";
  report.threads = options.threads ? options.threads : rt::defaultThreadCount();
  report.bytesPerStep = bench.predictedBytes({});
  for (const ScheduledKernel &scheduled : bench.schedule)
    report.multiplyAddsPerToken += scheduled.kernel->multiplyAdds;

  std::vector<int64_t> lengths(options.prompts);
  llvm::append_range(lengths, options.contexts);
  llvm::sort(lengths);
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  auto engine = BenchEngine::create(*artifact, options.threads,
                                    lengths.back() + options.steps);
  if (!engine.ok())
    return fail(engine.status());
  bench.engine = std::move(*engine);
  if (!startPeers(bench, *checkpoint))
    return Failed;
  for (int64_t length : lengths)
    if (rt::Status status = bench.measureContext(length); !status.ok())
      return fail(status);
  llvm::stable_sort(report.rows, [](const BenchRow &a, const BenchRow &b) {
    return a.isPrefill > b.isPrefill;
  });
  if (options.withKernels)
    if (rt::Status status = bench.measureKernels(environment, *checkpoint);
        !status.ok())
      return fail(status);
  if (!options.choice.weights.empty() && weights != "dense") {
    auto error = measureWeightError(environment, *checkpoint, options.choice,
                                    *artifact, options.threads);
    if (!error)
      return Failed;
    report.notes.push_back(error->text());
    report.weightError = error->toJson();
  }
  clearProgress();
  if (!options.svgFile.empty())
    if (rt::Status status = rt::writeTextFile(options.svgFile, report.toSvg());
        !status.ok())
      return fail(status);
  if (options.asJson)
    llvm::outs() << report.toJson().dump(2, ' ', false,
                                         json::error_handler_t::replace)
                 << "\n";
  else
    report.print();
  return Done;
}

void driver::addBenchCommand(CLI::App &app, int &status) {
  auto *command = app.add_subcommand(
      "bench",
      "Measure speed beside what the machine can do, and other engines");
  command->footer(
      "Every round measures, in turn, how fast the machine reads memory and "
      "multiplies, then this engine and\n"
      "the others, on tokens drawn anew. Medians; the limit of prefill is "
      "arithmetic, that of decode reading.\n"
      "Example:  clade bench CHECKPOINT --kernels --peers "
      "transformers,llama.cpp:model.gguf");
  auto options = std::make_shared<BenchOptions>();
  command
      ->add_option("checkpoint", options->checkpoint,
                   "A checkpoint's folder or a GGUF file")
      ->required()
      ->check(CLI::ExistingPath);
  command
      ->add_option("--adapter", options->adapter,
                   "A folder with a LoRA adapter in PEFT's form, to merge into "
                   "the weights")
      ->check(CLI::ExistingDirectory);
  options->choice.addTo(*command);
  options->specs.addTo(*command);
  command
      ->add_option("--threads", options->threads, "Threads; 0 for one a core")
      ->check(CLI::Range(0, 1024));
  command
      ->add_option("--prefill", options->prompts, "Lengths of prompts to read")
      ->delimiter(',')
      ->check(CLI::Range(int64_t(1), int64_t(1) << 20))
      ->capture_default_str();
  command
      ->add_option("--context", options->contexts,
                   "Tokens that decoded ones come behind")
      ->delimiter(',')
      ->check(CLI::Range(int64_t(1), int64_t(1) << 20))
      ->capture_default_str();
  command->add_option("--batch", options->batches, "Sequences decoded at once")
      ->delimiter(',')
      ->check(CLI::Range(int64_t(1), int64_t(1024)))
      ->capture_default_str();
  command->add_option("--rounds", options->rounds, "Measurements of each")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--steps", options->steps, "Tokens decoded in a round")
      ->check(CLI::Range(int64_t(1), int64_t(4096)))
      ->capture_default_str();
  command
      ->add_option(
          "--peers", options->peers,
          "Engines to measure beside: transformers, llama.cpp, openvino; "
          "NAME:MODEL where it is not the same checkpoint")
      ->delimiter(',');
  command->add_flag("--kernels", options->withKernels,
                    "Also the time of every kernel, beside what it must read "
                    "or compute");
  command->add_option("--svg", options->svgFile,
                      "Draw the result to this file");
  command->add_flag("--json", options->asJson, "Print one JSON object");
  command->callback([options, &status] { status = run(*options); });
}
