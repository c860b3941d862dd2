//===- AttentionHarness.cpp - Attention as a callable function ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/Attention/AttentionHarness.h"

#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "test/CodeGen/TileEmulation.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <barrier>
#include <numeric>
#include <random>
#include <thread>

using namespace mlir;

namespace clade::cpu::test {

namespace {

/// Writes random elements of the case's type.
class ElementSource {
public:
  ElementSource(unsigned seed, bool bf16, bool exact)
      : engine(seed), bf16(bf16), exact(exact) {}

  void fill(const GuardedBuffer &buffer, int64_t index, int64_t count) {
    for (int64_t i = 0; i < count; ++i)
      store(buffer, index + i, next());
  }

private:
  float next() {
    if (exact)
      return std::uniform_int_distribution<int>(-8, 8)(engine) / 8.0f;
    return std::normal_distribution<float>()(engine);
  }
  void store(const GuardedBuffer &buffer, int64_t index, float value) {
    if (bf16)
      buffer.as<uint16_t>()[index] = roundToBF16(value);
    else
      buffer.as<float>()[index] = value;
  }

  std::mt19937 engine;
  bool bf16, exact;
};

int64_t elementBytes(const AttentionCase &attention) {
  return attention.bf16 ? 2 : 4;
}

/// Bytes behind each thread's scratch memory that must stay as they are.
constexpr int64_t fenceBytes = 256;

void checkFence(const char *fence) {
  bool intact = std::all_of(fence, fence + fenceBytes, [](char byte) {
    return static_cast<unsigned char>(byte) == 0xff;
  });
  if (!intact)
    llvm::report_fatal_error("attention left its scratch memory");
}

int64_t countTokens(const std::vector<SequencePart> &sequences) {
  int64_t tokens = 0;
  for (const SequencePart &part : sequences)
    tokens += part.count;
  return tokens;
}

int64_t countPages(const std::vector<SequencePart> &sequences) {
  int64_t pages = 0;
  for (const SequencePart &part : sequences)
    pages += llvm::divideCeil(part.start + part.count, CLADE_PAGE_TOKENS);
  return pages;
}

} // namespace

//===----------------------------------------------------------------------===//
// Data
//===----------------------------------------------------------------------===//

AttentionData::AttentionData(const AttentionCase &attention,
                             std::vector<SequencePart> parts, unsigned seed,
                             bool exact)
    : attention(attention), exact(exact), sequences(std::move(parts)),
      queries(countTokens(sequences) * attention.qHeads * attention.keySize *
              elementBytes(attention)),
      keys(countPages(sequences) * CLADE_PAGE_TOKENS * attention.kvHeads *
           attention.keySize * elementBytes(attention)),
      values(countPages(sequences) * CLADE_PAGE_TOKENS * attention.kvHeads *
             (attention.hasSharedRows ? 0 : attention.valueSize) *
             elementBytes(attention)) {
  makePages(seed);
  ElementSource source(seed, attention.bf16, exact);
  for (int64_t s = 0, e = sequences.size(); s < e; ++s) {
    const SequencePart &part = sequences[s];
    for (int64_t i = 0; i < part.count; ++i) {
      positions.push_back(part.start + i);
      sequenceOf.push_back(s);
    }
    int64_t end = part.start + part.count;
    for (int64_t p = firstAttended(s); p < end; ++p)
      for (int64_t h = 0; h < attention.kvHeads; ++h) {
        int64_t row = slot(s, p, h);
        source.fill(keys, row * attention.keySize, attention.keySize);
        if (!attention.hasSharedRows)
          source.fill(values, row * attention.valueSize, attention.valueSize);
      }
  }
  source.fill(queries, 0, numTokens() * attention.qHeads * attention.keySize);
  std::mt19937 random(seed);
  for (int64_t head = 0; head < attention.qHeads; ++head)
    sinks.push_back(std::normal_distribution<float>()(random));
}

/// Every sequence takes pages of its own in shuffled order; entries outside of
/// what it attends are -1.
void AttentionData::makePages(unsigned seed) {
  std::vector<int32_t> free(countPages(sequences));
  std::iota(free.begin(), free.end(), 0);
  std::shuffle(free.begin(), free.end(), std::mt19937(seed));
  pagesStride = llvm::divideCeil(contextTokens(), CLADE_PAGE_TOKENS) + 1;
  pages.assign(sequences.size() * pagesStride, -1);
  for (int64_t s = 0, e = sequences.size(); s < e; ++s) {
    int64_t end = sequences[s].start + sequences[s].count;
    for (int64_t page = firstAttended(s) / CLADE_PAGE_TOKENS;
         page * CLADE_PAGE_TOKENS < end; ++page) {
      pages[s * pagesStride + page] = free.back();
      free.pop_back();
    }
  }
}

int64_t AttentionData::contextTokens() const {
  int64_t longest = 0;
  for (const SequencePart &part : sequences)
    longest = std::max(longest, part.start + part.count);
  return longest;
}

int64_t AttentionData::firstAttended(int64_t sequence) const {
  if (!attention.window)
    return 0;
  return std::max<int64_t>(0,
                           sequences[sequence].start - *attention.window + 1);
}

int64_t AttentionData::slot(int64_t sequence, int64_t position,
                            int64_t head) const {
  int64_t page = pages[sequence * pagesStride + position / CLADE_PAGE_TOKENS];
  return (page * attention.kvHeads + head) * CLADE_PAGE_TOKENS +
         position % CLADE_PAGE_TOKENS;
}

float AttentionData::element(const GuardedBuffer &buffer, int64_t index) const {
  return attention.bf16 ? widenBF16(buffer.as<uint16_t>()[index])
                        : buffer.as<float>()[index];
}
float AttentionData::query(int64_t token, int64_t head, int64_t i) const {
  return element(queries,
                 (token * attention.qHeads + head) * attention.keySize + i);
}
float AttentionData::key(int64_t sequence, int64_t position, int64_t head,
                         int64_t i) const {
  return element(keys, slot(sequence, position, head) * attention.keySize + i);
}
float AttentionData::value(int64_t sequence, int64_t position, int64_t head,
                           int64_t i) const {
  if (attention.hasSharedRows)
    return key(sequence, position, head, i);
  return element(values,
                 slot(sequence, position, head) * attention.valueSize + i);
}

//===----------------------------------------------------------------------===//
// Compiled functions
//===----------------------------------------------------------------------===//

static AttentionShape makeShape(const AttentionCase &attention,
                                MLIRContext *context) {
  AttentionShape shape;
  shape.qHeads = attention.qHeads;
  shape.kvHeads = attention.kvHeads;
  shape.keySize = attention.keySize;
  shape.valueSize = attention.valueSize;
  shape.elementType = attention.bf16 ? Type(BFloat16Type::get(context))
                                     : Type(Float32Type::get(context));
  shape.window = attention.window;
  shape.scale = attention.scale;
  shape.softcap = attention.softcap;
  shape.referenceRounding = attention.referenceRounding;
  shape.isBidirectional = attention.isBidirectional;
  shape.hasGroups = attention.groups > 0;
  shape.hasSharedRows = attention.hasSharedRows;
  if (attention.hasSinks)
    shape.sinkType = Float32Type::get(context);
  return shape;
}

static OwningOpRef<ModuleOp> makeModule(MLIRContext *context,
                                        const Target &target,
                                        const AttentionShape &shape) {
  OpBuilder builder(context);
  Location loc = builder.getUnknownLoc();
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  builder.setInsertionPointToEnd(module->getBody());
  Type pointer = LLVM::LLVMPointerType::get(context);
  SmallVector<Type> types(4, pointer);
  types.append({builder.getIndexType(), pointer});
  auto function = func::FuncOp::create(builder, loc, "attention",
                                       builder.getFunctionType(types, {}));
  builder.setInsertionPointToStart(function.addEntryBlock());
  ValueRange args = function.getArguments();
  StepView step(builder, loc, args[0]);
  emitAttention(builder, loc, target, shape, args[0], args[1], args[2], args[3],
                args[4], emitToIndex(builder, loc, step.numThreads()),
                step.scratchOf(args[4]), step.workspace(),
                shape.sinkType ? args[5] : Value(),
                shape.hasGroups ? step.tokens() : Value());
  func::ReturnOp::create(builder, loc);
  return module;
}

std::unique_ptr<CompiledAttention>
CompiledAttention::create(const AttentionCase &attention, const TestCPU &cpu) {
  auto compiled = std::make_unique<CompiledAttention>();
  compiled->context = makeContext();
  compiled->shape = makeShape(attention, compiled->context.get());
  FailureOr<Target> target = Target::resolve(
      UnknownLoc::get(compiled->context.get()), cpu.cpu, cpu.features);
  if (failed(target))
    return nullptr;
  compiled->resolved = std::make_unique<Target>(*target);
  OwningOpRef<ModuleOp> module =
      makeModule(compiled->context.get(), *target, compiled->shape);
  compiled->module = loadKernels(*module, *target, {"attention"});
  return compiled->module ? std::move(compiled) : nullptr;
}

std::vector<float> CompiledAttention::run(const AttentionData &data,
                                          int threads, int repeats) const {
  const AttentionCase &attention = data.attention;
  int64_t outputs = data.numTokens() * attention.qHeads * attention.valueSize;
  int64_t scratchBytes =
      attentionScratchBytes(target(), shape, data.contextTokens());
  int64_t stride = scratchBytes + fenceBytes;
  GuardedBuffer output(outputs * elementBytes(attention));
  GuardedBuffer scratch(threads * stride);
  GuardedBuffer slices(data.sequences.size() *
                       attentionSliceBytes(target(), shape));
  std::barrier barrier(threads);
  GuardedBuffer pages(data.pages), positions(data.positions),
      sequenceOf(data.sequenceOf);

  std::vector<int32_t> begins{0};
  for (const SequencePart &part : data.sequences)
    begins.push_back(begins.back() + static_cast<int32_t>(part.count));
  GuardedBuffer firstToken(begins);
  std::vector<int32_t> groups;
  for (int32_t position : data.positions)
    groups.push_back(attention.groups ? attention.groupOf(position) : 0);
  GuardedBuffer tokens(groups);

  CladeKVState state = {};
  state.keys = data.keys.as<void>();
  state.values = attention.hasSharedRows ? nullptr : data.values.as<void>();
  state.pages = pages.as<int32_t>();
  state.pages_stride = data.pagesStride;
  CladeStep step = {};
  step.struct_size = sizeof(CladeStep);
  step.abi_version = CLADE_ABI_VERSION;
  step.num_threads = threads;
  step.num_tokens = data.numTokens();
  step.num_sequences = data.sequences.size();
  step.tokens = tokens.as<int32_t>();
  step.positions = positions.as<int32_t>();
  step.sequence_of = sequenceOf.as<int32_t>();
  step.first_token = firstToken.as<int32_t>();
  step.states = &state;
  step.scratch = scratch.as<char>();
  step.scratch_bytes = stride;
  step.workspace = slices.as<char>();
  step.barrier_state = &barrier;
  step.barrier = [](void *state, int32_t) {
    static_cast<std::barrier<> *>(state)->arrive_and_wait();
  };

  auto *function =
      module->function<void(const CladeStep *, const CladeKVState *,
                            const void *, void *, int64_t, const float *)>(
          "attention");
  GuardedBuffer sinks(data.sinks);
  auto work = [&](int thread) {
    for (int i = 0; i < repeats; ++i) {
      function(&step, &state, data.queries.as<void>(), output.as<void>(),
               thread, sinks.as<float>());
      // What slices left is read until here.
      barrier.arrive_and_wait();
    }
  };
  std::vector<std::thread> others;
  for (int thread = 1; thread < threads; ++thread)
    others.emplace_back(work, thread);
  work(0);
  for (std::thread &thread : others)
    thread.join();

  for (int thread = 0; thread < threads; ++thread)
    checkFence(scratch.as<char>() + thread * stride + scratchBytes);
  std::vector<float> result(outputs);
  for (int64_t i = 0; i < outputs; ++i)
    result[i] = attention.bf16 ? widenBF16(output.as<uint16_t>()[i])
                               : output.as<float>()[i];
  return result;
}

} // namespace clade::cpu::test
