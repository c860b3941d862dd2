//===- KernelRun.cpp - The kernels of a model, one by one -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/Sweep/KernelRun.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/KernelQueries.h"
#include "lib/Weights/Serialize.h"
#include "runtime/Weights/WeightLoader.h"
#include "test/CodeGen/ProductHarness.h"
#include "test/CodeGen/Sweep/Sweep.h"
#include "test/CodeGen/TileEmulation.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/Support/MathExtras.h"
#include <barrier>
#include <cstring>

using namespace mlir;
using namespace clade;
using namespace clade::cpu;
using namespace clade::cpu::test;

/// (step, layer row, packed activations, table of buffers, thread).
using KernelFunction = void(const CladeStep *, const CladeLayer *, void *packed,
                            void *const *buffers, int64_t thread);

std::unique_ptr<KernelRunner>
KernelRunner::create(ModuleOp module, const Target &target,
                     bool referenceRounding, const rt::Checkpoint &checkpoint,
                     int64_t numSequences, int64_t maxTokens) {
  auto runner = std::make_unique<KernelRunner>();
  runner->module = module;
  runner->target = target;
  runner->numSequences = numSequences;
  runner->pagesOfSequence = llvm::divideCeil(maxTokens, CLADE_PAGE_TOKENS);
  FailureOr<SlotTable> slots = assignSlots(module);
  if (failed(slots))
    return nullptr;
  runner->slots = std::move(*slots);
  if (!runner->compile(referenceRounding) || !runner->loadWeights(checkpoint))
    return nullptr;
  runner->makeStates();
  return runner;
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

/// Adds a function for a kernel that takes its buffers from a table.
bool KernelRunner::addKernel(ModuleOp code, KernelEmitter &kernels,
                             KernelOp kernel, ArrayRef<StringRef> params,
                             bool outputIsF32,
                             std::vector<std::string> &names) {
  FailureOr<func::FuncOp> function = kernels.emit(kernel, params, outputIsF32);
  if (failed(function))
    return false;
  std::string name = "run" + std::to_string(names.size());
  addFunction(
      code, name, 4, 1, [&](OpBuilder &builder, Location loc, ValueRange args) {
        SmallVector<Value> arguments{args[0], args[1], args[4], args[2]};
        unsigned fixed = arguments.size();
        Type pointer = args[0].getType();
        for (unsigned i = fixed; i < function->getNumArguments(); ++i)
          arguments.push_back(LLVM::LoadOp::create(
              builder, loc, pointer,
              emitAddress(builder, loc, args[3], pointer,
                          emitIndex(builder, loc, i - fixed))));
        func::CallOp::create(builder, loc, *function, arguments);
      });
  functions[kernel] = name;
  names.push_back(name);
  return true;
}

bool KernelRunner::compile(bool referenceRounding) {
  DialectRegistry registry;
  registerCompileDialects(registry);
  MLIRContext *context = module.getContext();
  context->appendDialectRegistry(registry);
  context->loadAllAvailableDialects();
  OwningOpRef<ModuleOp> code = ModuleOp::create(module.getLoc());
  KernelEmitter kernels(*code, target, referenceRounding);
  std::vector<std::string> names;
  for (auto function : module.getOps<func::FuncOp>()) {
    ArrayRef<StringRef> params = slots.globals;
    for (KindSlots &kind : slots.kinds)
      if (kind.function == function)
        params = kind.params;
    Operation *end = function.getBody().front().getTerminator();
    for (KernelOp kernel : function.getOps<KernelOp>()) {
      bool isOutput =
          function->hasAttr(entryAttr) &&
          llvm::is_contained(end->getOperands(), Value(kernel.getResult(0)));
      if (!addKernel(*code, kernels, kernel, params, isOutput, names))
        return false;
    }
  }
  scratch = kernels.getScratch();
  packedBytesPerRow = kernels.getPackedBytesPerRow();
  packedBytesPerSequence = kernels.getPackedBytesPerSequence();
  loaded = loadKernels(*code, target, names);
  return loaded != nullptr;
}

//===----------------------------------------------------------------------===//
// Weights and states
//===----------------------------------------------------------------------===//

bool KernelRunner::loadWeights(const rt::Checkpoint &checkpoint) {
  FailureOr<std::string> text = serializeWeights(module, slots);
  if (failed(text))
    return false;
  auto table = rt::WeightTable::parse(*text, "weights");
  if (!table.ok())
    return emitError(module.getLoc()) << table.status().message(), false;
  auto made = rt::loadWeights(*table, checkpoint);
  if (!made.ok())
    return emitError(module.getLoc()) << made.status().message(), false;
  for (int32_t slot = 0; slot < made->numSlots(); ++slot) {
    rt::ByteSpan bytes = made->slot(slot);
    weights.emplace_back(std::vector<std::byte>(bytes.begin(), bytes.end()));
    weightTable.push_back(weights.back().as<void>());
  }
  return true;
}

/// Keys and values are NaN at first, states of fixed size zero.
void KernelRunner::makeStates() {
  states.resize(slots.numStates);
  auto make = [](int64_t bytes) {
    return std::make_unique<GuardedBuffer>(bytes);
  };
  for (const LayerSlots &layer : slots.layers) {
    func::FuncOp function = slots.kinds[layer.kind].function;
    auto at = [&](int64_t state) -> State & {
      return states[layer.firstState + state];
    };
    function.walk([&](CacheWriteOp write) {
      auto bytes = [&](Value rows) {
        auto type = cast<NamedTensorType>(rows.getType());
        return numSequences * pagesOfSequence * CLADE_PAGE_TOKENS *
               type.getNumFeatures() * type.getElementTypeBitWidth() / 8;
      };
      State &state = at(write.getState());
      state.keys = make(bytes(write.getKey()));
      if (!write.getShared())
        state.values = make(bytes(write.getValue()));
    });
    auto recurrent = [&](int64_t state, int64_t bytes) {
      at(state).isRecurrent = true;
      at(state).keys = make(numSequences * bytes);
      std::memset(at(state).keys->as<void>(), 0, numSequences * bytes);
    };
    function.walk([&](CausalConvOp conv) {
      recurrent(conv.getState(), conv.getStateBytes());
    });
    function.walk(
        [&](ScanOp scan) { recurrent(scan.getState(), scan.getStateBytes()); });
  }
}

std::vector<CladeKVState>
KernelRunner::stateRows(const StepTokens &step,
                        std::deque<GuardedBuffer> &memory) {
  std::vector<int32_t> pages, own;
  for (int32_t sequence : step.sequences) {
    own.push_back(sequence);
    // Neighbours in a sequence are no neighbours in memory.
    for (int64_t i = 0; i < pagesOfSequence; ++i)
      pages.push_back(static_cast<int32_t>(i * numSequences + sequence));
  }
  const auto *table = memory.emplace_back(pages).as<int32_t>(),
             *single = memory.emplace_back(own).as<int32_t>();
  std::vector<CladeKVState> rows;
  for (const State &state : states)
    rows.push_back(
        {state.keys ? state.keys->as<void>() : nullptr,
         state.values ? state.values->as<void>() : nullptr,
         state.isRecurrent ? single : table,
         state.isRecurrent ? 1 : static_cast<int32_t>(pagesOfSequence)});
  return rows;
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

/// Bytes of an element in memory.
static int64_t elementBytes(Type type) {
  return std::max<int64_t>(type.getIntOrFloatBitWidth() / 8, 1);
}

static void store(const reference::Tensor &tensor, const GuardedBuffer &to) {
  Type type = tensor.type.getElementType();
  for (auto [i, value] : llvm::enumerate(tensor.data())) {
    if (type.isF32())
      to.as<float>()[i] = value;
    else if (type.isBF16())
      to.as<uint16_t>()[i] = roundToBF16(value);
    else if (type.isInteger(32))
      to.as<int32_t>()[i] = static_cast<int32_t>(value);
    else
      to.as<uint8_t>()[i] = value != 0;
  }
}

static std::vector<float> read(const GuardedBuffer &from, Type type,
                               int64_t count) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i)
    values[i] = type.isF32()    ? from.as<float>()[i]
                : type.isBF16() ? widenBF16(from.as<uint16_t>()[i])
                : type.isInteger(32)
                    ? static_cast<float>(from.as<int32_t>()[i])
                    : static_cast<float>(from.as<uint8_t>()[i]);
  return values;
}

namespace {
struct Barrier {
  std::barrier<> threads;
  static void wait(void *self, int32_t) {
    static_cast<Barrier *>(self)->threads.arrive_and_wait();
  }
};

/// A CladeStep whose arrays lie between walls.
struct StepMemory {
  StepMemory(const StepTokens &tokens, int threads)
      : barrier{std::barrier<>(threads)} {
    auto keep = [&]<typename T>(const std::vector<T> &values) {
      return arrays.emplace_back(values).template as<T>();
    };
    step.struct_size = sizeof(CladeStep);
    step.abi_version = CLADE_ABI_VERSION;
    step.num_threads = threads;
    step.num_tokens = static_cast<int32_t>(tokens.tokens.size());
    step.num_sequences = static_cast<int32_t>(tokens.sequences.size());
    step.num_selected = static_cast<int32_t>(tokens.selected.size());
    step.tokens = keep(tokens.tokens);
    step.positions = keep(tokens.positions);
    step.sequence_of = keep(tokens.sequenceOf);
    step.first_token = keep(tokens.firstToken);
    step.selected = keep(tokens.selected);
    step.scaled_lengths = keep(tokens.scaledLengths);
    step.pixels = keep(tokens.pixels);
    step.grids = keep(tokens.grids);
    step.media = keep(tokens.media);
    step.media_rows = keep(tokens.mediaRows);
    step.media_positions = keep(tokens.mediaPositions);
    step.adapters = keep(tokens.adapters);
    step.barrier = Barrier::wait;
    step.barrier_state = &barrier;
  }
  std::deque<GuardedBuffer> arrays;
  Barrier barrier;
  CladeStep step = {};
};
} // namespace

std::vector<std::vector<float>>
KernelRunner::run(const KernelPlace &place, const StepTokens &tokens,
                  ArrayRef<reference::Tensor> inputs, int threads) {
  StepMemory memory(tokens, threads);
  CladeStep &step = memory.step;
  CladeLayer layer = {};
  if (place.layer)
    layer = {static_cast<int32_t>(place.layer->kind),
             static_cast<int32_t>(place.layer->layer),
             static_cast<int32_t>(place.layer->firstWeight),
             static_cast<int32_t>(place.layer->firstState)};
  step.layers = &layer;
  step.num_layers = 1;
  GuardedBuffer table(weightTable);
  step.weights = table.as<const void *>();
  GuardedBuffer stateTable(stateRows(tokens, memory.arrays));
  step.states = stateTable.as<CladeKVState>();
  step.scratch_bytes = llvm::alignTo(
      scratch.fixedBytes + scratch.bytesPerContextToken * tokens.longestContext,
      64);
  GuardedBuffer scratchMemory(threads * step.scratch_bytes);
  step.scratch = scratchMemory.as<char>();
  // As the runtime plans it: whole blocks of 64 rows, and one to spare.
  GuardedBuffer packed(packedBytesPerRow *
                           (llvm::alignTo(step.num_tokens, 64) + 64) +
                       packedBytesPerSequence * step.num_sequences);

  std::deque<GuardedBuffer> buffers;
  std::vector<void *> pointers;
  for (const reference::Tensor &input : inputs) {
    Type type = input.type.getElementType();
    buffers.emplace_back(input.size() * elementBytes(type));
    store(input, buffers.back());
    pointers.push_back(buffers.back().as<void>());
  }
  KernelOp kernel = place.kernel;
  std::vector<std::pair<Type, int64_t>> results;
  for (unsigned i = 0; i < kernel.getNumResults(); ++i) {
    auto type = cast<NamedTensorType>(kernel.getResult(i).getType());
    // What is the same for all rows is written once a row, and read from the
    // first.
    bool hasRows = type.getRank() > 0 && type.hasSequence();
    int64_t rows =
        worksOnSelected(kernel) ? step.num_selected : step.num_tokens;
    Type element = resultType(kernel, i, place.outputIsF32);
    int64_t features = type.getNumFeatures();
    results.emplace_back(
        element, (hasRows ? rows : std::min<int64_t>(rows, 1)) * features);
    buffers.emplace_back(rows * features * elementBytes(element));
    pointers.push_back(buffers.back().as<void>());
  }
  GuardedBuffer pointerTable(pointers);
  auto *function =
      loaded->function<KernelFunction>(functions.lookup(kernel).c_str());
  onThreads(threads, [&](int thread) {
    function(&step, &layer, packed.as<void>(), pointerTable.as<void *>(),
             thread);
  });
  std::vector<std::vector<float>> values;
  for (auto [i, result] : llvm::enumerate(results))
    values.push_back(
        read(buffers[inputs.size() + i], result.first, result.second));
  return values;
}
