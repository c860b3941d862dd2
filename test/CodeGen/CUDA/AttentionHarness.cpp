//===- AttentionHarness.cpp - Attention on the PTX machine ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttentionHarness.h"

#include <algorithm>

using namespace mlir;
using namespace clade;
using namespace clade::cuda;

void AttentionRun::fill() {
  slopes = problem.slopes();
  firstToken.push_back(0);
  for (auto [number, sequence] : llvm::enumerate(problem.sequences)) {
    for (int32_t i = sequence.length - sequence.run; i < sequence.length; ++i) {
      positions.push_back(i);
      sequenceOf.push_back(static_cast<int32_t>(number));
    }
    firstToken.push_back(static_cast<int32_t>(positions.size()));
    pagesStride = std::max(pagesStride, (sequence.length + 31) / 32);
  }
  for (const AttentionProblem::Sequence &sequence : problem.sequences)
    for (int32_t entry = 0; entry < pagesStride; ++entry) {
      int64_t begin = sequence.length - sequence.run + 1 -
                      problem.window.value_or(sequence.length);
      bool isThere = entry * 32 < sequence.length && entry * 32 + 32 > begin;
      pages.push_back(isThere ? numPages++ : -1);
    }
  // Pages do not follow each other.
  for (int32_t &page : pages)
    if (page >= 0)
      page = numPages - 1 - page;
  int64_t rows = numPages * problem.kvHeads * 32;
  queries = bfloats(problem.numTokens() * problem.qHeads * problem.keySize, 1);
  keys = bfloats(rows * problem.keySize, 2);
  values = bfloats(rows * problem.valueSize, 3);
  sinks = bfloats(problem.qHeads, 4);
}

cpu::AttentionShape AttentionRun::shapeIn(OpBuilder &builder) const {
  Type type = problem.isNarrow ? Type(builder.getBF16Type())
                               : Type(builder.getF32Type());
  cpu::AttentionShape shape{
      problem.qHeads, problem.kvHeads, problem.keySize, problem.valueSize,
      type,           problem.window,  scale,           problem.softcap};
  shape.slopes = slopes;
  shape.hasSharedRows = problem.hasSharedRows;
  shape.isBidirectional = problem.isBidirectional;
  shape.hasGroups = problem.groupTokens > 0;
  if (problem.hasSinks)
    shape.sinkType = type;
  return shape;
}

uint64_t AttentionRun::upload(ptx::test::Harness &harness,
                              const std::vector<uint16_t> &numbers) const {
  if (problem.isNarrow)
    return harness.buffer(numbers);
  std::vector<float> wide;
  for (uint16_t number : numbers)
    wide.push_back(floatOf(number));
  return harness.buffer(wide);
}

template <typename T> static T *pointerTo(uint64_t address) {
  return reinterpret_cast<T *>(address);
}

uint64_t AttentionRun::uploadStep(ptx::test::Harness &harness) const {
  CladeStep step = {};
  step.num_tokens = static_cast<int32_t>(positions.size());
  step.num_sequences = static_cast<int32_t>(problem.sequences.size());
  step.positions = pointerTo<int32_t>(harness.buffer(positions));
  step.sequence_of = pointerTo<int32_t>(harness.buffer(sequenceOf));
  step.first_token = pointerTo<int32_t>(harness.buffer(firstToken));
  return harness.buffer(std::vector{step});
}

uint64_t AttentionRun::uploadState(ptx::test::Harness &harness) const {
  CladeKVState state = {};
  state.keys = pointerTo<void>(upload(harness, keys));
  if (!problem.hasSharedRows)
    state.values = pointerTo<void>(upload(harness, values));
  state.pages = pointerTo<int32_t>(harness.buffer(pages));
  state.pages_stride = pagesStride;
  return harness.buffer(std::vector{state});
}

AttentionOutcome AttentionRun::run(uint64_t traceCapacity) {
  Target target = targetOf("sm_80");
  AttentionOutcome outcome;
  MLIRContext context;
  OpBuilder own(&context);
  SmallVector<AttentionKernel> kernels = attentionKernels(target, shapeIn(own));
  auto partial = static_cast<size_t>(partialBytes(shapeIn(own)));
  std::vector<float> output;
  auto count = static_cast<size_t>(problem.numTokens() * problem.qHeads *
                                   problem.valueSize);
  // Memory stays from kernel to kernel: all are in one machine.
  std::string text;
  auto tokens = static_cast<int32_t>(positions.size());
  std::vector<char> sums(partial), results(count * 4);
  bool hasResults = false;
  auto isRun = [&](auto is) {
    return llvm::any_of(problem.sequences,
                        [&](const auto &sequence) { return is(sequence.run); });
  };
  for (size_t i = 0; i < kernels.size(); ++i) {
    auto isFor = [&](const LaunchRange &range) {
      return range.rows.first <= tokens && tokens <= range.rows.last &&
             isRun([&](int32_t run) { return run >= range.minLongest; }) &&
             isRun([&](int32_t run) { return run <= range.maxShortest; });
    };
    EXPECT_LE(llvm::count_if(kernels[i].ranges, isFor), 1);
    const LaunchRange *range = llvm::find_if(kernels[i].ranges, isFor);
    if (range == kernels[i].ranges.end())
      continue;
    // The kernel's own context has its types.
    ptx::test::Harness harness(
        kernelText(target, kernels[i].grid.threads, 7,
                   [&](OpBuilder &builder, Location loc, ValueRange arguments) {
                     AttentionOperands operands;
                     operands.step = arguments[0];
                     operands.state = arguments[1];
                     operands.queries = arguments[2];
                     operands.output = arguments[3];
                     operands.sinks = problem.hasSinks ? arguments[4] : Value();
                     operands.partial = arguments[5];
                     operands.groups = arguments[6];
                     SmallVector<AttentionKernel> same =
                         attentionKernels(target, shapeIn(builder));
                     same[i].emit(builder, loc, operands);
                   }));
    std::vector<int32_t> groups;
    for (int32_t position : positions)
      groups.push_back(problem.groupOf(position));
    // A kernel may leave out what another one has written.
    uint64_t resultAt = hasResults ? harness.buffer(results)
                                   : harness.buffer(results.size()),
             sumsAt = partial ? harness.buffer(partial) : 0;
    if (kernels[i].readsPartial)
      sumsAt = harness.buffer(sums);
    Grid grid = kernels[i].grid;
    grid.columns = range->columns;
    ptx::LaunchOptions options = launchOf(grid, tokens, kernels[i].sharedBytes);
    options.traceCapacity = traceCapacity;
    outcome.reports.push_back(harness.launch(
        "kernel", options, uploadStep(harness), uploadState(harness),
        upload(harness, queries), resultAt, upload(harness, sinks), sumsAt,
        harness.buffer(groups), static_cast<uint64_t>(tokens)));
    outcome.kernels.push_back(kernels[i].suffix.str());
    EXPECT_TRUE(outcome.reports.back().completed);
    if (kernels[i].writesPartial)
      sums = harness.read<char>(sumsAt, partial);
    else
      results = harness.read<char>(resultAt, results.size());
    hasResults |= !kernels[i].writesPartial;
  }
  for (size_t i = 0; i < count; ++i) {
    uint16_t bits = 0;
    float value = 0;
    std::memcpy(&bits, results.data() + 2 * i, 2);
    std::memcpy(&value, results.data() + 4 * i, 4);
    outcome.output.push_back(problem.isNarrow ? floatOf(bits) : value);
  }
  return outcome;
}

double AttentionRun::keyAt(size_t sequence, int32_t position, int64_t head,
                           int64_t at) const {
  int64_t row = pageOf(sequence, position / 32) * problem.kvHeads + head;
  return floatOf(keys[static_cast<size_t>(
      (row * 32 + position % 32) * problem.keySize + at)]);
}

double AttentionRun::valueAt(size_t sequence, int32_t position, int64_t head,
                             int64_t at) const {
  if (problem.hasSharedRows)
    return keyAt(sequence, position, head, at);
  int64_t row = pageOf(sequence, position / 32) * problem.kvHeads + head;
  return floatOf(values[static_cast<size_t>(
      (row * 32 + position % 32) * problem.valueSize + at)]);
}

void AttentionRun::expectClose(const std::vector<float> &output) const {
  size_t next = 0;
  for (size_t token = 0; token < positions.size(); ++token)
    for (int64_t head = 0; head < problem.qHeads; ++head) {
      auto sequence = static_cast<size_t>(sequenceOf[token]);
      int32_t position = positions[token];
      int64_t kvHead = head / (problem.qHeads / problem.kvHeads);
      auto begin = static_cast<int32_t>(std::max<int64_t>(
          0, position + 1 - problem.window.value_or(position + 1)));
      int32_t last = problem.isBidirectional
                         ? problem.sequences[sequence].length - 1
                         : position;
      std::vector<int32_t> attended;
      for (int32_t key = begin; key <= last; ++key)
        if (problem.groupOf(key) == problem.groupOf(position))
          attended.push_back(key);
      Row scores;
      double magnitude = 0; // Of the products of a score.
      for (int32_t key : attended) {
        double score = 0, size = 0;
        for (int64_t i = 0; i < problem.keySize; ++i) {
          double product =
              floatOf(queries[(token * static_cast<size_t>(problem.qHeads) +
                               static_cast<size_t>(head)) *
                                  static_cast<size_t>(problem.keySize) +
                              static_cast<size_t>(i)]) *
              keyAt(sequence, key, kvHead, i);
          score += product;
          size += std::fabs(product);
        }
        magnitude = std::max(magnitude, size * scale);
        score *= scale;
        if (problem.softcap)
          score = *problem.softcap * std::tanh(score / *problem.softcap);
        if (problem.hasSlopes)
          score += double(slopes[static_cast<size_t>(head)]) * (key - position);
        scores.push_back(score);
      }
      double sink = floatOf(sinks[static_cast<size_t>(head)]);
      double most = *std::max_element(scores.begin(), scores.end()), total = 0;
      if (problem.hasSinks)
        total = std::exp(sink - (most = std::max(most, sink)));
      for (double &score : scores)
        total += score = std::exp(score - most);
      // Errors of f32: of scores by the length of their sums, of exponentials
      // by 2^-22, and of sums of weights by the length of the context. In bf16
      // the result is rounded, and for tensor cores the weights as well.
      double steps =
          magnitude * double(problem.keySize) + 8 + double(scores.size());
      double bound = steps * 0x1p-23;
      if (problem.isNarrow)
        bound += problem.sequences[sequence].run < tiledRun ? 0x1p-8 : 0x1p-7;
      for (int64_t i = 0; i < problem.valueSize; ++i, ++next) {
        double exact = 0, size = 0;
        for (size_t key = 0; key < scores.size(); ++key) {
          double value = valueAt(sequence, attended[key], kvHead, i);
          exact += scores[key] / total * value;
          size += scores[key] / total * std::fabs(value);
        }
        ASSERT_LE(std::fabs(output[next] - exact), bound * size)
            << "token " << token << ", head " << head << ", element " << i
            << ": got " << output[next] << ", expected " << exact;
      }
    }
}
