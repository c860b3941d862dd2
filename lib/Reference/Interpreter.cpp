//===- Interpreter.cpp - Runs the clade dialect by its rules --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights, sequences and steps; Evaluator.cpp runs the ops.
//
//===----------------------------------------------------------------------===//

#include "lib/Reference/Interpreter.h"

#include "lib/Reference/Evaluator.h"
#include "lib/Weights/Serialize.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace clade;
using namespace clade::reference;

/// Token ids and positions are held as f32, which is exact up to here.
static constexpr int64_t maxInteger = int64_t(1) << 24;

class Interpreter::Impl {
public:
  /// A sequence; its states are empty once it is removed.
  struct Sequence {
    int64_t scaledLength;
    int64_t length = 0;
    bool removed = false;
    SequenceStates states;
  };

  ModuleOp module;
  func::FuncOp entry;
  std::vector<float> media; ///< Rows of images.
  int64_t mediaWidth = 0;
  SlotTable slots;
  WeightValues weights;
  std::vector<Sequence> sequences;
  std::function<void(const Event &)> observer;
  std::function<void(int sequence, const rt::Route &)> router;

  LogicalResult checkChunks(ArrayRef<SequenceChunk> chunks);
  Batch makeBatch(ArrayRef<SequenceChunk> chunks) const;
  FailureOr<Tensor> run(ArrayRef<SequenceChunk> chunks, const Batch &batch);
};

/// Whether the interpreter can call `entry`.
static LogicalResult checkEntry(func::FuncOp entry) {
  FunctionType type = entry.getFunctionType();
  auto isTokens = [](Type argument) {
    auto tensor = dyn_cast<NamedTensorType>(argument);
    return tensor && tensor.getRank() == 1 && tensor.hasSequence() &&
           tensor.getElementType().isInteger(32);
  };
  auto isRows = [](Type result) {
    auto tensor = dyn_cast<NamedTensorType>(result);
    return tensor && tensor.hasSequence() &&
           tensor.getNames().front() == selectedAxis;
  };
  bool fits = (type.getNumInputs() == 2 || type.getNumInputs() == 3) &&
              llvm::all_of(type.getInputs().drop_back(), isTokens) &&
              isa<BatchType>(type.getInputs().back());
  if (entry.isExternal() || !fits || type.getNumResults() != 1 ||
      !isRows(type.getResult(0)))
    return entry.emitError() << "expected an entry from i32 tokens and a batch "
                                "to one tensor over "
                                "'selected', got "
                             << type;
  return success();
}

/// The entry of this name, or the only one.
static FailureOr<func::FuncOp> findEntry(ModuleOp module, StringRef name) {
  SmallVector<func::FuncOp> entries;
  for (auto function : module.getOps<func::FuncOp>())
    if (function->hasAttr(entryAttr) &&
        (name.empty() || function.getSymName() == name))
      entries.push_back(function);
  if (entries.size() == 1)
    return entries.front();
  // Beside an entry for images there is one for text.
  if (name.empty() && entries.size() > 1)
    return findEntry(module, "forward");
  if (!name.empty())
    return module.emitError() << "expected an entry '@" << name << "'";
  return module.emitError() << "expected one function with '" << entryAttr
                            << "', got " << entries.size();
}

FailureOr<std::unique_ptr<Interpreter>>
Interpreter::create(ModuleOp module, const rt::Checkpoint &checkpoint,
                    const rt::LoadOptions &options, StringRef entryName) {
  // The rules rely on everything that the verifiers check.
  if (failed(verify(module)))
    return failure();
  FailureOr<func::FuncOp> entry = findEntry(module, entryName);
  if (failed(entry) || failed(checkEntry(*entry)))
    return failure();
  FailureOr<SlotTable> slots = assignSlots(module);
  if (failed(slots))
    return failure();
  FailureOr<std::string> table = serializeWeights(module, *slots);
  if (failed(table))
    return failure();

  auto impl = std::make_unique<Impl>();
  impl->module = module;
  impl->entry = *entry;
  impl->slots = std::move(*slots);
  if (impl->slots.numWeights > 0) {
    auto program = rt::WeightTable::parse(*table, "weights");
    if (!program.ok())
      return module.emitError() << program.status().message();
    auto weights = rt::loadWeights(*program, checkpoint, options);
    if (!weights.ok())
      return module.emitError() << weights.status().message();
    impl->weights = WeightValues(std::move(*weights));
  }
  return std::unique_ptr<Interpreter>(new Interpreter(std::move(impl)));
}

Interpreter::Interpreter(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Interpreter::~Interpreter() = default;

int Interpreter::addSequence(int64_t scaledLength) {
  impl->sequences.push_back(
      {scaledLength, 0, false, SequenceStates(impl->slots.numStates)});
  return impl->sequences.size() - 1;
}

void Interpreter::removeSequence(int sequence) {
  impl->sequences[sequence].removed = true;
  impl->sequences[sequence].states = {};
}

int64_t Interpreter::length(int sequence) const {
  return impl->sequences[sequence].length;
}

void Interpreter::setObserver(std::function<void(const Event &)> observer) {
  impl->observer = std::move(observer);
}

void Interpreter::setRouter(
    std::function<void(int sequence, const rt::Route &route)> router) {
  impl->router = std::move(router);
}

LogicalResult Interpreter::Impl::checkChunks(ArrayRef<SequenceChunk> chunks) {
  llvm::DenseSet<int> seen;
  if (chunks.empty())
    return entry.emitError() << "expected at least one chunk in a step";
  for (const SequenceChunk &chunk : chunks) {
    if (chunk.sequence < 0 ||
        chunk.sequence >= static_cast<int>(sequences.size()) ||
        sequences[chunk.sequence].removed)
      return entry.emitError()
             << "expected a known sequence, got " << chunk.sequence;
    if (!seen.insert(chunk.sequence).second)
      return entry.emitError() << "expected one chunk of each sequence, got "
                                  "several of "
                               << chunk.sequence;
    if (chunk.tokens.empty())
      return entry.emitError()
             << "expected at least one token of sequence " << chunk.sequence;
    if (!chunk.wanted.empty() && chunk.wanted.size() != chunk.tokens.size())
      return entry.emitError()
             << "expected " << chunk.tokens.size()
             << " marks of wanted tokens, got " << chunk.wanted.size();
    if (!chunk.types.empty() && chunk.types.size() != chunk.tokens.size())
      return entry.emitError()
             << "expected " << chunk.tokens.size() << " types of tokens, got "
             << chunk.types.size();
    if (!chunk.types.empty() && entry.getNumArguments() != 3)
      return entry.emitError() << "expected no types of tokens";
    int64_t end = sequences[chunk.sequence].length + chunk.tokens.size();
    if (end > maxInteger)
      return entry.emitError() << "expected at most " << maxInteger
                               << " tokens in a sequence, got " << end;
    for (int32_t token : chunk.tokens)
      if (token < 0 || token >= maxInteger)
        return entry.emitError() << "expected token ids from 0 to "
                                 << maxInteger - 1 << ", got " << token;
  }
  return success();
}

Batch Interpreter::Impl::makeBatch(ArrayRef<SequenceChunk> chunks) const {
  Batch batch;
  for (auto [row, chunk] : llvm::enumerate(chunks)) {
    const Sequence &sequence = sequences[chunk.sequence];
    int64_t last = chunk.tokens.size() - 1;
    for (auto [i, token] : llvm::enumerate(chunk.tokens)) {
      bool wanted = chunk.wanted.empty() ? static_cast<int64_t>(i) == last
                                         : chunk.wanted[i];
      if (wanted)
        batch.selected.push_back(batch.numTokens());
      batch.ids.push_back(token);
      batch.sequenceOf.push_back(row);
      batch.positions.push_back(sequence.length + i);
      batch.types.push_back(chunk.types.empty() ? 0 : chunk.types[i]);
      batch.adapters.push_back(chunk.adapter);
      for (int64_t axis = 0; axis < 3; ++axis)
        batch.mediaPositions.push_back(
            chunk.mediaPositions.empty() ? sequence.length + i
                                         : chunk.mediaPositions[3 * i + axis]);
      batch.mediaRows.push_back(chunk.mediaRows.empty() ? -1
                                                        : chunk.mediaRows[i]);
    }
    batch.scaledLengths.push_back(sequence.scaledLength);
  }
  batch.media = media;
  return batch;
}

FailureOr<Tensor> Interpreter::Impl::run(ArrayRef<SequenceChunk> chunks,
                                         const Batch &batch) {
  SmallVector<SequenceStates *> states;
  // States of fixed size cannot be cut back to a length.
  std::vector<std::vector<RecurrentState>> before;
  for (const SequenceChunk &chunk : chunks) {
    states.push_back(&sequences[chunk.sequence].states);
    before.push_back(states.back()->recurrent);
  }
  std::function<void(int64_t, const rt::Route &)> route;
  if (router)
    route = [&](int64_t row, const rt::Route &made) {
      router(chunks[row].sequence, made);
    };
  FailureOr<Tensor> result = evaluateEntry(
      entry, {module, slots, weights, batch, states, observer, route});
  for (auto [row, chunk] : llvm::enumerate(chunks)) {
    Sequence &sequence = sequences[chunk.sequence];
    if (succeeded(result))
      sequence.length += chunk.tokens.size();
    else
      sequence.states.recurrent = std::move(before[row]);
    for (KeyValueState &state : sequence.states.caches)
      state.truncate(sequence.length);
  }
  return result;
}

int64_t Interpreter::outputWidth() const {
  return cast<NamedTensorType>(impl->entry.getResultTypes().front())
      .getNumFeatures();
}

FailureOr<int64_t> Interpreter::addImages(const rt::ImagePatches &images,
                                          int64_t fold) {
  FailureOr<func::FuncOp> entry = findEntry(impl->module, "image");
  if (failed(entry))
    return failure();
  Batch batch;
  batch.pixels = images.pixels;
  std::vector<SequenceStates> states(images.numImages(),
                                     SequenceStates(impl->slots.numStates));
  SmallVector<SequenceStates *> pointers;
  for (int64_t image = 0; image < images.numImages(); ++image) {
    for (int64_t patch = 0; patch < images.numPatches(image); ++patch) {
      batch.ids.push_back(0);
      batch.sequenceOf.push_back(image);
      batch.positions.push_back(patch);
      batch.adapters.push_back(0);
    }
    batch.grids.emplace_back(images.grids[2 * image],
                             images.grids[2 * image + 1]);
    batch.scaledLengths.push_back(images.numPatches(image));
    pointers.push_back(&states[image]);
  }
  batch.selected = images.firstPatches(0, images.numImages(), fold);
  FailureOr<Tensor> rows =
      evaluateEntry(*entry, {impl->module, impl->slots, impl->weights, batch,
                             pointers, impl->observer, nullptr});
  if (failed(rows))
    return failure();
  impl->mediaWidth = rows->rowSize();
  int64_t first =
      impl->mediaWidth == 0 ? 0 : impl->media.size() / impl->mediaWidth;
  llvm::append_range(impl->media, rows->data());
  return first;
}

FailureOr<std::vector<std::vector<float>>>
Interpreter::step(ArrayRef<SequenceChunk> chunks) {
  if (failed(impl->checkChunks(chunks)))
    return failure();
  Batch batch = impl->makeBatch(chunks);
  FailureOr<Tensor> result = impl->run(chunks, batch);
  if (failed(result))
    return failure();
  std::vector<std::vector<float>> rows;
  int64_t size = result->rowSize();
  for (int64_t row = 0; row < result->numRows(); ++row) {
    ArrayRef<float> values = result->data().slice(row * size, size);
    rows.emplace_back(values.begin(), values.end());
  }
  return rows;
}
