//===- ModelSweep.cpp - Kernels of random models --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Models of Inputs/kernels.spec in random sizes, with random weights, run some
// steps in the reference interpreter. Each kernel is given what it was given
// there, and what it makes of that is compared. States are the compiled code's
// own.
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/Sweep/KernelRun.h"
#include "test/CodeGen/Sweep/RoundingErrors.h"
#include "test/CodeGen/Sweep/Sweep.h"
#include "tools/clade/RandomCheckpoint.h"

#include "lib/Pipelines/Pipelines.h"
#include "lib/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>

using namespace mlir;
using namespace clade;
using namespace clade::cpu;
using namespace clade::cpu::test;
using clade::reference::Tensor;

namespace {

/// A key of a configuration and its sizes: multiples of `step` up to `high`.
struct SizeKey {
  const char *name;
  int64_t high;
  int64_t step = 1;
};

struct ModelKind {
  const char *architecture;
  std::vector<SizeKey> sizes;
  bool hasScans = false;
};

const std::vector<ModelKind> &modelKinds() {
  static const std::vector<ModelKind> kinds = {
      {"SweepElementwise", {{"hidden_size", 80}, {"rows", 5}}},
      {"SweepReductions", {{"hidden_size", 80}, {"rows", 6}}},
      {"SweepProducts",
       {{"hidden_size", 90}, {"inner_size", 130}, {"rows", 5}}},
      {"SweepShapes", {{"rows", 6}, {"columns", 20}, {"small", 7}}},
      {"SweepRouting",
       {{"hidden_size", 60}, {"inner_size", 60}, {"active", 5}, {"spare", 5}}},
      {"SweepAttention",
       {{"hidden_size", 70},
        {"kv_heads", 3},
        {"group", 4},
        {"head", 40, 2},
        {"v_head", 40},
        {"window", 60}}},
      {"SweepRecurrent",
       {{"hidden_size", 60},
        {"rows", 4},
        {"columns", 10},
        {"key", 24},
        {"value", 24}},
       /*hasScans=*/true}};
  return kinds;
}

/// A temporary folder.
struct Folder {
  llvm::SmallString<128> path;
  Folder() { llvm::sys::fs::createUniqueDirectory("clade-sweep", path); }
  ~Folder() { llvm::sys::fs::remove_directories(path); }
};

/// What is drawn of a model.
struct Draw {
  const ModelKind *kind;
  nlohmann::json config;
  TestCPU cpu;
  std::string dtype, weights;
  bool rounds, inRows;
  int64_t chunk;
  uint64_t seed;

  std::string text() const {
    return llvm::formatv("{0} {1} {2} weights {3}{4}{5}, {6}: ", cpu.name,
                         kind->architecture, dtype, weights,
                         rounds ? ", rounding" : "", inRows ? ", rows" : "",
                         config.dump());
  }
};

constexpr int64_t vocab = 40, maxTokens = 96;

Draw drawModel(Sweep &sweep) {
  const auto &kinds = modelKinds();
  Draw draw{&kinds[sweep.below(kinds.size())], {}, sweep.cpu()};
  draw.config["architectures"] = {draw.kind->architecture};
  draw.config["vocab_size"] = vocab;
  for (const SizeKey &key : draw.kind->sizes)
    draw.config[key.name] = key.step * sweep.between(1, key.high / key.step);
  draw.dtype = sweep.chance(50) ? "bf16" : "f32";
  draw.rounds = sweep.chance(40);
  draw.weights = "dense";
  if (sweep.chance(35)) {
    constexpr const char *forms[] = {"f16", "int8", "int4", "q4_k", "q6_k"};
    draw.weights = forms[sweep.below(5)];
    // Products that round their activations have no bound of this kind.
    draw.rounds |= draw.weights != "f16";
  }
  draw.inRows = draw.weights == "dense" && sweep.chance(30);
  draw.chunk =
      draw.kind->hasScans && sweep.chance(60) ? 16 * sweep.between(1, 3) : 0;
  draw.seed = sweep.engine()();
  return draw;
}

/// The entry of a module.
func::FuncOp entryOf(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    if (function->hasAttr(entryAttr))
      return function;
  return {};
}

/// A model in the interpreter, twice, and as compiled kernels.
class ModelCase {
public:
  ModelCase(Sweep &sweep, driver::Environment &environment, const Draw &draw)
      : sweep(sweep), environment(environment), draw(draw),
        errors(static_cast<unsigned>(draw.seed)) {}

  /// False if something could not be made; it was printed.
  bool create();
  /// Runs a step of random tokens and compares every kernel; false after an
  /// error.
  bool step();

private:
  bool runPasses(ModuleOp module,
                 llvm::function_ref<void(OpPassManager &)> build);
  std::vector<reference::SequenceChunk> drawChunks(StepTokens &tokens);
  bool compareBlock(Block &plain, Block &packed, ArrayRef<Tensor> arguments,
                    const LayerSlots *layer, SmallVector<Tensor> &results);
  void compareKernel(KernelOp plain, KernelOp packed, ArrayRef<Tensor> inputs,
                     const LayerSlots *layer, bool isOutput);
  bool compareLayers(LayersOp op, ArrayRef<Tensor> inputs,
                     SmallVector<Tensor> &results);

  Sweep &sweep;
  driver::Environment &environment;
  const Draw &draw;
  Folder folder;
  RoundingErrors errors;
  std::optional<rt::Checkpoint> checkpoint;
  std::optional<import::ImportedModel> model;
  OwningOpRef<ModuleOp> plain;
  SlotTable plainSlots;
  std::unique_ptr<reference::Interpreter> exact, disturbed;
  std::unique_ptr<KernelRunner> runner;
  static constexpr int64_t numSequences = 3;
  StepTokens tokens;
  Observations observed;
};

bool ModelCase::runPasses(ModuleOp module,
                          llvm::function_ref<void(OpPassManager &)> build) {
  PassManager passes(module.getContext());
  build(passes);
  return succeeded(passes.run(module));
}

bool ModelCase::create() {
  driver::RandomCheckpoint wanted;
  wanted.config = draw.config;
  wanted.dtype = draw.dtype;
  wanted.seed = draw.seed;
  std::string path = folder.path.str().str() + "/model";
  if (driver::writeRandomCheckpoint(environment, wanted, path,
                                    /*isTold=*/false) != driver::Done)
    return false;
  checkpoint = environment.openCheckpoint(path);
  if (!checkpoint)
    return false;
  auto imported = import::importCheckpoint(environment.getLibrary(),
                                           *checkpoint, draw.dtype);
  if (failed(imported))
    return false;
  model = std::move(*imported);
  ModuleOp module = *model->module;
  FailureOr<Target> target =
      Target::resolve(module.getLoc(), draw.cpu.cpu, draw.cpu.features);
  bool isFused = runPasses(module, [&](OpPassManager &passes) {
    if (draw.weights != "dense")
      passes.addPass(
          createQuantiseWeightsPass(QuantiseWeightsPassOptions{draw.weights}));
    buildFusePipeline(passes);
  });
  plain = module.clone();
  auto form = [&](ModuleOp module, int64_t rows) {
    return runPasses(module, [&](OpPassManager &passes) {
      buildKernelPipeline(passes, rows, 2, draw.chunk,
                          draw.inRows ? Packing::Unpublished : Packing::All);
    });
  };
  if (failed(target) || !isFused || !form(*plain, 0) ||
      !form(module, target->panelRows))
    return false;
  FailureOr<SlotTable> slots = assignSlots(*plain);
  auto first = reference::Interpreter::create(*plain, *checkpoint),
       second = reference::Interpreter::create(*plain, *checkpoint);
  if (failed(slots) || failed(first) || failed(second))
    return false;
  plainSlots = std::move(*slots);
  exact = std::move(*first);
  disturbed = std::move(*second);
  exact->setObserver([this](const reference::Event &event) {
    observed[{event.op, event.resultNumber, event.layer}] = event.value;
  });
  disturbed->setObserver(
      [this](const reference::Event &event) { errors.observe(event); });
  for (int64_t i = 0; i < numSequences; ++i) {
    exact->addSequence(maxTokens);
    disturbed->addSequence(maxTokens);
  }
  sweep.drawWall();
  runner = KernelRunner::create(module, *target, draw.rounds, *checkpoint,
                                numSequences, maxTokens);
  return runner != nullptr;
}

/// A prompt, a part of one, or one token of some of the sequences.
std::vector<reference::SequenceChunk>
ModelCase::drawChunks(StepTokens &tokens) {
  std::vector<reference::SequenceChunk> chunks;
  int32_t first = static_cast<int32_t>(sweep.below(numSequences));
  for (int32_t i = 0, e = sweep.between(1, numSequences); i < e; ++i) {
    reference::SequenceChunk chunk;
    chunk.sequence = (first + i) % numSequences;
    int64_t length = exact->length(chunk.sequence);
    int64_t count = sweep.chance(40) ? 1 : sweep.between(1, 40);
    count = std::min(count, maxTokens - length);
    if (count <= 0)
      continue;
    for (int64_t t = 0; t < count; ++t) {
      bool wanted = t + 1 == count ? sweep.chance(90) : sweep.chance(20);
      chunk.tokens.push_back(static_cast<int32_t>(sweep.below(vocab)));
      chunk.wanted.push_back(wanted);
      if (wanted)
        tokens.selected.push_back(static_cast<int32_t>(tokens.tokens.size()));
      tokens.tokens.push_back(chunk.tokens.back());
      tokens.positions.push_back(static_cast<int32_t>(length + t));
      tokens.sequenceOf.push_back(static_cast<int32_t>(chunks.size()));
    }
    tokens.firstToken.push_back(static_cast<int32_t>(tokens.tokens.size()));
    tokens.scaledLengths.push_back(maxTokens);
    tokens.sequences.push_back(chunk.sequence);
    tokens.longestContext = std::max(tokens.longestContext, length + count);
    chunks.push_back(std::move(chunk));
  }
  return chunks;
}

/// The names of kernel kinds, as the report has them.
std::string kindOf(KernelOp kernel) {
  return (stringifyKernelKind(kernel.getKind()) + " kernels of models").str();
}

void ModelCase::compareKernel(KernelOp plainOp, KernelOp packedOp,
                              ArrayRef<Tensor> inputs, const LayerSlots *layer,
                              bool isOutput) {
  int threads = static_cast<int>(sweep.between(1, 3));
  std::string text =
      llvm::formatv("{0}{1} tokens, {2} selected, {3} threads\n", draw.text(),
                    tokens.tokens.size(), tokens.selected.size(), threads);
  llvm::raw_string_ostream stream(text);
  plainOp->print(stream);
  sweep.begin(text);
  auto results =
      runner->run({packedOp, layer, isOutput}, tokens, inputs, threads);
  std::string difference;
  for (auto [i, result] : llvm::enumerate(results)) {
    EventKey key{plainOp, static_cast<unsigned>(i), layer ? layer->layer : -1};
    ArrayRef<float> expected = observed.at(key).data();
    double bound = errors.bound(key);
    for (auto [at, value] : llvm::enumerate(result))
      // Written so that a NaN fails.
      if (difference.empty() &&
          !(std::abs(double(value) - expected[at]) <= bound))
        difference =
            llvm::formatv("result {0} element {1} of {2}: expected {3}, "
                          "got {4}, bound {5}, of ",
                          i, at, expected.size(), expected[at], value, bound);
  }
  if (!difference.empty())
    difference += text;
  sweep.count(kindOf(packedOp), difference);
}

bool ModelCase::compareLayers(LayersOp op, ArrayRef<Tensor> inputs,
                              SmallVector<Tensor> &results) {
  auto schedule = plain->lookupSymbol<ScheduleOp>(op.getSchedule());
  results.assign(inputs.begin(), inputs.end());
  for (const LayerSlots &row :
       ArrayRef(plainSlots.layers)
           .slice(plainSlots.firstLayer.lookup(op.getSchedule()),
                  schedule.getRows().size())) {
    func::FuncOp kind = plainSlots.kinds[row.kind].function;
    auto packed = model->module->lookupSymbol<func::FuncOp>(kind.getSymName());
    SmallVector<Tensor> carried;
    if (!compareBlock(kind.getBody().front(), packed.getBody().front(), results,
                      &row, carried))
      return false;
    llvm::copy(carried, results.begin());
  }
  results.truncate(op.getNumResults());
  return true;
}

bool ModelCase::compareBlock(Block &plainBlock, Block &packedBlock,
                             ArrayRef<Tensor> arguments,
                             const LayerSlots *layer,
                             SmallVector<Tensor> &results) {
  llvm::DenseMap<Value, Tensor> values;
  const Tensor *next = arguments.begin();
  for (BlockArgument argument : plainBlock.getArguments())
    if (isa<NamedTensorType>(argument.getType()))
      values[argument] = *next++;
  auto tensorsOf = [&](ValueRange operands) {
    SmallVector<Tensor> tensors;
    for (Value operand : operands)
      if (auto it = values.find(operand); it != values.end())
        tensors.push_back(it->second);
    return tensors;
  };
  Operation *end = plainBlock.getTerminator();
  for (auto [op, packed] : llvm::zip_equal(plainBlock.without_terminator(),
                                           packedBlock.without_terminator())) {
    SmallVector<Tensor> inputs = tensorsOf(op.getOperands()), made;
    if (auto layers = dyn_cast<LayersOp>(op)) {
      if (!compareLayers(layers, inputs, made))
        return false;
    } else if (auto kernel = dyn_cast<KernelOp>(op)) {
      bool isOutput = !layer && llvm::is_contained(end->getOperands(),
                                                   Value(op.getResult(0)));
      compareKernel(kernel, cast<KernelOp>(packed), inputs, layer, isOutput);
      for (unsigned i = 0; i < op.getNumResults(); ++i)
        made.push_back(observed.at({&op, i, layer ? layer->layer : -1}));
    } else {
      return op.emitError() << "expected a kernel or layers", false;
    }
    for (auto [result, tensor] : llvm::zip_equal(op.getResults(), made))
      values[result] = tensor;
  }
  results = tensorsOf(end->getOperands());
  return true;
}

bool ModelCase::step() {
  tokens = {};
  auto chunks = drawChunks(tokens);
  if (chunks.empty())
    return true;
  observed.clear();
  if (failed(exact->step(chunks)))
    return false;
  errors.begin(observed);
  if (failed(disturbed->step(chunks)))
    return false;
  func::FuncOp entry = entryOf(*plain);
  Tensor ids;
  ids.type = cast<NamedTensorType>(entry.getArgumentTypes().front());
  ids.element = reference::Element::I32;
  ids.shape = {static_cast<int64_t>(tokens.tokens.size())};
  ids.elements = std::make_shared<std::vector<float>>(tokens.tokens.begin(),
                                                      tokens.tokens.end());
  SmallVector<Tensor> results;
  return compareBlock(entry.getBody().front(),
                      entryOf(*model->module).getBody().front(), ids,
                      /*layer=*/nullptr, results);
}

} // namespace

void clade::cpu::test::sweepModels(Sweep &sweep, int64_t cases,
                                   const std::string &specs) {
  driver::Environment environment(driver::SpecOptions{{specs}, {}});
  if (!environment.ok())
    return sweep.count("kernels of models", "the specs have errors");
  int64_t before = sweep.total();
  while (sweep.total() - before < cases) {
    Draw draw = drawModel(sweep);
    ModelCase model(sweep, environment, draw);
    bool works = model.create();
    for (int i = 0; i < 3 && works; ++i)
      works = model.step();
    if (!works)
      sweep.count("kernels of models", draw.text() + "does not run");
  }
}
