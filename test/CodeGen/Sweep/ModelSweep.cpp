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
#include "test/CodeGen/Sweep/RandomModel.h"
#include "test/CodeGen/Sweep/RoundingErrors.h"
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

/// A temporary folder.
struct Folder {
  llvm::SmallString<128> path;
  Folder() { llvm::sys::fs::createUniqueDirectory("clade-sweep", path); }
  ~Folder() { llvm::sys::fs::remove_directories(path); }
};

/// A model in the interpreter, twice, and as compiled kernels.
class ModelCase {
public:
  ModelCase(Sweep &sweep, driver::Environment &environment,
            const RandomModel &draw)
      : sweep(sweep), environment(environment), draw(draw),
        errors(static_cast<unsigned>(draw.seed)) {}

  /// False if something could not be made; it was printed.
  bool create();
  /// Runs the entry for images on some, or a step of random tokens, and
  /// compares every kernel; false after an error.
  bool runImages();
  bool runText();

private:
  bool importModel(const std::string &path);
  bool runPasses(ModuleOp module,
                 llvm::function_ref<void(OpPassManager &)> build);
  std::vector<reference::SequenceChunk> drawChunks(StepTokens &tokens);
  bool compareBlock(Block &plain, Block &packed, ArrayRef<Tensor> arguments,
                    const LayerSlots *layer, SmallVector<Tensor> &results);
  void compareKernel(KernelOp plain, KernelOp packed, ArrayRef<Tensor> inputs,
                     const LayerSlots *layer, bool isOutput);
  bool compareLayers(LayersOp op, ArrayRef<Tensor> inputs,
                     SmallVector<Tensor> &results);
  /// Compares what `run` makes both interpreters do, on the entry's argument.
  bool compareEntry(StringRef name, ArrayRef<float> argument,
                    llvm::function_ref<bool(reference::Interpreter &)> run,
                    SmallVector<Tensor> &results);
  rt::ImagePatches drawImages();
  int64_t config(const char *key) const { return draw.config.at(key); }

  Sweep &sweep;
  driver::Environment &environment;
  const RandomModel &draw;
  Folder folder;
  RoundingErrors errors;
  std::optional<rt::Checkpoint> checkpoint;
  std::optional<import::ImportedModel> model;
  OwningOpRef<ModuleOp> plain;
  SlotTable plainSlots;
  std::unique_ptr<reference::Interpreter> exact, disturbed;
  std::unique_ptr<KernelRunner> runner;
  static constexpr int64_t numSequences = 3, maxTokens = 96;
  StepTokens tokens;
  std::vector<float> media; ///< Rows of all images so far.
  int64_t mediaWidth = 0;
  Observations observed;
};

bool ModelCase::runPasses(ModuleOp module,
                          llvm::function_ref<void(OpPassManager &)> build) {
  PassManager passes(module.getContext());
  build(passes);
  return succeeded(passes.run(module));
}

/// A random checkpoint and the fused module.
bool ModelCase::importModel(const std::string &path) {
  driver::RandomCheckpoint wanted;
  wanted.config = draw.config;
  wanted.dtype = draw.dtype;
  wanted.seed = draw.seed;
  if (driver::writeRandomCheckpoint(environment, wanted, path,
                                    /*isTold=*/false) != driver::Done)
    return false;
  checkpoint = environment.openCheckpoint(path);
  if (!checkpoint)
    return false;
  auto imported = import::importCheckpoint(
      environment.getLibrary(), *checkpoint, draw.dtype, draw.places);
  if (failed(imported))
    return false;
  model = std::move(*imported);
  return runPasses(*model->module, [&](OpPassManager &passes) {
    if (draw.absorbs)
      passes.addPass(createAbsorbLatentPass());
    if (draw.weights != "dense")
      passes.addPass(
          createQuantiseWeightsPass(QuantiseWeightsPassOptions{draw.weights}));
    buildFusePipeline(passes);
  });
}

bool ModelCase::create() {
  std::string path = folder.path.str().str() + "/model";
  if (!importModel(path))
    return false;
  ModuleOp module = *model->module;
  if (draw.places.count > 0) {
    std::string adapted = folder.path.str().str() + "/adapted";
    if (!fillAdapters(module, draw.seed, *checkpoint, adapted))
      return false;
    checkpoint = environment.openCheckpoint(adapted);
    if (!checkpoint)
      return false;
  }
  FailureOr<Target> target =
      Target::resolve(module.getLoc(), draw.cpu.cpu, draw.cpu.features);
  plain = module.clone();
  auto form = [&](ModuleOp module, int64_t rows) {
    return runPasses(module, [&](OpPassManager &passes) {
      buildKernelPipeline(passes, rows, 2, draw.chunk,
                          draw.inRows ? Packing::Unpublished : Packing::All);
    });
  };
  if (failed(target) || !form(*plain, 0) || !form(module, target->panelRows))
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
    chunk.adapter = static_cast<int32_t>(sweep.below(draw.places.count + 1));
    tokens.adapters.insert(tokens.adapters.end(), count, chunk.adapter);
    for (int64_t t = 0; t < count; ++t) {
      bool wanted = t + 1 == count ? sweep.chance(90) : sweep.chance(20);
      chunk.tokens.push_back(static_cast<int32_t>(sweep.below(vocabOfModels)));
      chunk.wanted.push_back(wanted);
      if (wanted)
        tokens.selected.push_back(static_cast<int32_t>(tokens.tokens.size()));
      tokens.tokens.push_back(chunk.tokens.back());
      tokens.positions.push_back(static_cast<int32_t>(length + t));
      tokens.sequenceOf.push_back(static_cast<int32_t>(chunks.size()));
      if (mediaWidth == 0)
        continue;
      int64_t rows = static_cast<int64_t>(media.size()) / mediaWidth;
      chunk.mediaRows.push_back(
          static_cast<int32_t>(sweep.chance(40) ? sweep.below(rows) : -1));
      for (int axis = 0; axis < 3; ++axis)
        chunk.mediaPositions.push_back(
            static_cast<int32_t>(sweep.below(maxTokens)));
    }
    llvm::append_range(tokens.mediaRows, chunk.mediaRows);
    llvm::append_range(tokens.mediaPositions, chunk.mediaPositions);
    tokens.firstToken.push_back(static_cast<int32_t>(tokens.tokens.size()));
    tokens.scaledLengths.push_back(maxTokens);
    tokens.sequences.push_back(chunk.sequence);
    tokens.longestContext = std::max(tokens.longestContext, length + count);
    chunks.push_back(std::move(chunk));
  }
  return chunks;
}

/// Some images, or films, of up to `maxTokens` patches each.
rt::ImagePatches ModelCase::drawImages() {
  rt::ImagePatches images;
  int64_t merge = config("merge"), patch = config("patch");
  for (int64_t i = sweep.between(1, numSequences); i > 0; --i) {
    int64_t rows = merge * sweep.between(1, 7 / merge),
            columns = merge * sweep.between(1, 7 / merge),
            frames = std::min(mostFrames, maxTokens / (rows * columns));
    images.grids.push_back(static_cast<int32_t>(rows));
    images.grids.push_back(static_cast<int32_t>(columns));
    images.frames.push_back(static_cast<int32_t>(
        config("films") == 2 ? sweep.between(1, frames) : 1));
  }
  std::normal_distribution<float> normal;
  images.pixels.resize(images.numPatches() * 3 * patch * patch);
  for (float &pixel : images.pixels)
    pixel = normal(sweep.engine());
  return images;
}

/// The names of kernel kinds, as the report has them.
std::string kindOf(StringRef architecture, KernelOp kernel) {
  architecture.consume_front("Sweep");
  return (stringifyKernelKind(kernel.getKind()) + " kernels of models, " +
          architecture.lower())
      .str();
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
  sweep.count(kindOf(draw.architecture, packedOp), difference);
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

bool ModelCase::compareEntry(
    StringRef name, ArrayRef<float> argument,
    llvm::function_ref<bool(reference::Interpreter &)> run,
    SmallVector<Tensor> &results) {
  observed.clear();
  if (!run(*exact))
    return false;
  errors.begin(observed);
  if (!run(*disturbed))
    return false;
  auto entry = plain->lookupSymbol<func::FuncOp>(name);
  Tensor given;
  given.type = cast<NamedTensorType>(entry.getArgumentTypes().front());
  given.element = given.type.getElementType().isF32() ? reference::Element::F32
                                                      : reference::Element::I32;
  given.shape.assign(given.type.getShape().begin(),
                     given.type.getShape().end());
  given.shape[0] = static_cast<int64_t>(tokens.tokens.size());
  given.elements =
      std::make_shared<std::vector<float>>(argument.begin(), argument.end());
  return compareBlock(
      entry.getBody().front(),
      model->module->lookupSymbol<func::FuncOp>(name).getBody().front(), given,
      /*layer=*/nullptr, results);
}

bool ModelCase::runImages() {
  rt::ImagePatches images = drawImages();
  int64_t fold = config("merge") * config("merge");
  tokens = {};
  for (int32_t image = 0; image < images.numImages(); ++image) {
    auto patches = static_cast<int32_t>(images.numPatches(image));
    for (int32_t patch = 0; patch < patches; ++patch) {
      tokens.positions.push_back(patch);
      tokens.sequenceOf.push_back(image);
    }
    tokens.firstToken.push_back(tokens.firstToken.back() + patches);
    tokens.scaledLengths.push_back(patches);
    tokens.sequences.push_back(image);
    tokens.longestContext = std::max<int64_t>(tokens.longestContext, patches);
  }
  tokens.tokens.resize(tokens.positions.size());
  for (int64_t patch : images.firstPatches(0, images.numImages(), fold))
    tokens.selected.push_back(static_cast<int32_t>(patch));
  tokens.pixels = images.pixels;
  tokens.grids = images.grids;
  SmallVector<Tensor> results;
  if (!compareEntry(
          "image", images.pixels,
          [&](reference::Interpreter &interpreter) {
            return succeeded(interpreter.addImages(images, fold));
          },
          results))
    return false;
  mediaWidth = results.front().rowSize();
  llvm::append_range(media, results.front().data());
  return true;
}

bool ModelCase::runText() {
  tokens = {};
  auto chunks = drawChunks(tokens);
  if (chunks.empty())
    return true;
  tokens.media = media;
  SmallVector<Tensor> results;
  return compareEntry(
      "forward", std::vector<float>(tokens.tokens.begin(), tokens.tokens.end()),
      [&](reference::Interpreter &interpreter) {
        return succeeded(interpreter.step(chunks));
      },
      results);
}

} // namespace

void clade::cpu::test::sweepModels(Sweep &sweep, int64_t cases,
                                   const std::string &specs) {
  driver::Environment environment(driver::SpecOptions{{specs}, {}});
  if (!environment.ok())
    return sweep.count("kernels of models", "the specs have errors");
  int64_t before = sweep.total();
  for (size_t number = 0; sweep.total() - before < cases; ++number) {
    RandomModel draw = RandomModel::draw(sweep, number);
    ModelCase model(sweep, environment, draw);
    bool works = model.create(), hasImages = draw.special == Special::Images;
    for (int i = 0; i < 3 && works; ++i)
      works = hasImages && i == 0 ? model.runImages() : model.runText();
    if (!works)
      sweep.count("kernels of models", draw.text() + "does not run");
  }
}
