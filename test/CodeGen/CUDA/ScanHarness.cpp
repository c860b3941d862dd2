//===- ScanHarness.cpp - Linear recurrences on the PTX machine ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ScanHarness.h"

#include "clade/abi.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <algorithm>
#include <random>

using namespace mlir;
using namespace clade;
using namespace clade::cuda;
using cpu::emitAdd;
using cpu::emitIndex;
using cpu::emitMul;

ScanRun::ScanRun(const ScanProblem &problem) : problem(problem) {
  firstToken.push_back(0);
  for (auto [number, sequence] : llvm::enumerate(problem.sequences)) {
    for (int32_t i = 0; i < sequence.run; ++i) {
      positions.push_back(sequence.before + i);
      sequenceOf.push_back(static_cast<int32_t>(number));
    }
    firstToken.push_back(static_cast<int32_t>(positions.size()));
    pages.insert(pages.begin(), static_cast<int32_t>(number));
  }
  numTokens = static_cast<int32_t>(positions.size());
  std::mt19937 random(7);
  auto fill = [&](std::vector<float> &numbers, int64_t count, float low,
                  float high) {
    std::uniform_real_distribution<float> some(low, high);
    for (int64_t i = 0; i < count; ++i)
      numbers.push_back(some(random));
  };
  int64_t keyHeads = problem.heads / problem.headsOfKey;
  fill(queries, numTokens * keyHeads * problem.keySize, -1, 1);
  fill(keys, numTokens * keyHeads * problem.keySize, -1, 1);
  fill(values, numTokens * problem.heads * problem.valueSize, -1, 1);
  fill(decays, numTokens * problem.heads, -problem.decay, 0);
  fill(rates, numTokens * problem.heads, 0, 1);
  fill(initial, static_cast<int64_t>(stateSize()), -1, 1);
  for (size_t i = 0; i < problem.sequences.size(); ++i) {
    // Sequence i has page n − 1 − i, of zeros before its first token.
    const auto &own = problem.sequences[problem.sequences.size() - 1 - i];
    float most = own.before > 0 ? 1 : 0;
    fill(states, static_cast<int64_t>(stateSize()), -most, most);
  }
  // The delta rule is for keys of length one.
  for (size_t first = 0; first < keys.size();
       first += static_cast<size_t>(problem.keySize)) {
    double sum = 0;
    auto row = llvm::MutableArrayRef(keys).slice(
        first, static_cast<size_t>(problem.keySize));
    for (float key : row)
      sum += double(key) * key;
    for (float &key : row)
      key = static_cast<float>(key / std::sqrt(sum));
  }
}

/// Parts are told apart by the arguments that have them.
LinearScan ScanRun::scanIn(OpBuilder &builder, Location loc,
                           ValueRange arguments) const {
  LinearRecurrence parts;
  parts.query = arguments[2];
  parts.key = arguments[3];
  parts.value = arguments[4];
  parts.logDecay = arguments[5];
  parts.rate = problem.hasRate ? arguments[6] : Value();
  parts.heads = problem.heads;
  parts.keySize = problem.keySize;
  parts.valueSize = problem.valueSize;
  parts.keysAreLast = problem.keysAreLast;
  LinearScan scan{parts, static_cast<int64_t>(stateSize()) * 4, {}, {}, {}, {},
                  {}};
  scan.step = arguments[0];
  scan.state = arguments[1];
  auto index = [&builder, loc](int64_t value) {
    return emitIndex(builder, loc, value);
  };
  auto row = [&builder, loc, index](Value outer, int64_t size, Value inner) {
    return emitAdd(builder, loc, emitMul(builder, loc, outer, index(size)),
                   inner);
  };
  ScanProblem own = problem;
  Type f32 = builder.getF32Type();
  scan.rowAt = [=, &builder](Value token) {
    return [=, &builder](Value part, Value head, Value at) -> Value {
      Value place;
      if (part == parts.query || part == parts.key) {
        Value group =
            arith::DivUIOp::create(builder, loc, head, index(own.headsOfKey));
        place =
            row(row(token, own.heads / own.headsOfKey, group), own.keySize, at);
      } else {
        place = row(token, own.heads, head);
        if (part == parts.value)
          place = row(place, own.valueSize, at);
      }
      return cpu::emitLoad(builder, loc, f32, part, place);
    };
  };
  Value first = arguments[8];
  if (problem.hasInitial)
    scan.initial = [=, &builder](Value, Value head, Value key,
                                 Value value) -> Value {
      Value place =
          own.keysAreLast
              ? row(row(head, own.valueSize, value), own.keySize, key)
              : row(row(head, own.keySize, key), own.valueSize, value);
      return cpu::emitLoad(builder, loc, f32, first, place);
    };
  Value output = arguments[7];
  scan.store = [=, &builder](Value token, Value head, Value value, Value y) {
    cpu::emitStore(builder, loc, y, output,
                   row(row(token, own.heads, head), own.valueSize, value));
  };
  return scan;
}

template <typename T> static T *pointerTo(uint64_t address) {
  return reinterpret_cast<T *>(address);
}

ScanOutcome ScanRun::run() const {
  Target target = targetOf("sm_80");
  ScanOutcome outcome;
  outcome.states = states;
  // What no kernel writes stays.
  outcome.output.assign(values.size(), NAN);
  for (bool isChunked : {false, true}) {
    bool isLaunched =
        llvm::any_of(problem.sequences, [&](const auto &sequence) {
          return (sequence.run >= chunkedRun) == isChunked;
        });
    if (!isLaunched)
      continue;
    LinearRecurrence sizes;
    MLIRContext context;
    OpBuilder own(&context);
    OwningOpRef<ModuleOp> module = ModuleOp::create(own.getUnknownLoc());
    own.setInsertionPointToEnd(module->getBody());
    // Only whether there is a rate matters here.
    sizes.rate =
        problem.hasRate ? emitIndex(own, own.getUnknownLoc(), 0) : Value();
    sizes.heads = problem.heads;
    sizes.keySize = problem.keySize;
    sizes.valueSize = problem.valueSize;
    EXPECT_TRUE(canScanChunks(target, sizes));
    Grid grid = isChunked ? chunkScanGrid(sizes) : linearScanGrid(sizes);
    int64_t shared = isChunked ? chunkScanShared(sizes) : 0;
    std::string text =
        kernelText(target, grid.threads, 9,
                   [&](OpBuilder &builder, Location loc, ValueRange arguments) {
                     LinearScan scan = scanIn(builder, loc, arguments);
                     if (isChunked)
                       emitChunkScan(builder, loc, scan);
                     else
                       emitLinearScan(builder, loc, scan, /*hasChunks=*/true);
                   });
    ptx::test::Harness harness(text);
    CladeStep step = {};
    step.num_tokens = numTokens;
    step.num_sequences = static_cast<int32_t>(problem.sequences.size());
    step.positions = pointerTo<int32_t>(harness.buffer(positions));
    step.sequence_of = pointerTo<int32_t>(harness.buffer(sequenceOf));
    step.first_token = pointerTo<int32_t>(harness.buffer(firstToken));
    CladeRecurrentState state = {};
    uint64_t memory = harness.buffer(outcome.states),
             output = harness.buffer(outcome.output);
    state.memory = pointerTo<char>(memory);
    state.pages = pointerTo<int32_t>(harness.buffer(pages));
    state.pages_stride = 1;
    outcome.reports.push_back(harness.launch(
        "kernel", launchOf(grid, numTokens, shared),
        harness.buffer(std::vector{step}), harness.buffer(std::vector{state}),
        harness.buffer(queries), harness.buffer(keys), harness.buffer(values),
        harness.buffer(decays), harness.buffer(rates), output,
        harness.buffer(initial), static_cast<uint64_t>(numTokens)));
    outcome.areChunked.push_back(isChunked);
    outcome.states = harness.read<float>(memory, states.size());
    outcome.output = harness.read<float>(output, values.size());
  }
  return outcome;
}

/// A bound of errors goes with each number: of what is computed from it, and
/// 2^-20 for each factor on the way: of a product of split numbers, what is
/// left out is at most 3 · 2^-22 of it. That is, in chunks, for a token that
/// reads S: the query or key, S, and before these the key and W; for one of the
/// chunk: both keys or query and key, P or A, and W; with a rate also the
/// inverse and what it is multiplied by.
ScanRun::Exact ScanRun::compute() const {
  Exact exact;
  auto keySize = static_cast<size_t>(problem.keySize),
       valueSize = static_cast<size_t>(problem.valueSize),
       heads = static_cast<size_t>(problem.heads);
  exact.output.resize(values.size());
  exact.outputBound.resize(values.size());
  exact.states.assign(states.begin(), states.end());
  exact.stateBound.assign(states.size(), 0);
  for (auto [number, sequence] : llvm::enumerate(problem.sequences)) {
    // Sums in f32 of as many numbers as keys and tokens.
    double exactly = double(keySize + 64) * 0x1p-23;
    double rounding =
        sequence.run >= chunkedRun ? 0x1p-20 + exactly / 4 : exactly / 4;
    size_t page = static_cast<size_t>(pages[number]) * stateSize();
    auto first = static_cast<size_t>(firstToken[number]);
    for (size_t head = 0; head < heads; ++head) {
      std::vector<double> state(keySize * valueSize), magnitude(state.size()),
          bound(state.size());
      auto placeOf = [&](size_t key, size_t value) {
        return page + statePlace(static_cast<int64_t>(head),
                                 static_cast<int64_t>(key),
                                 static_cast<int64_t>(value));
      };
      for (size_t key = 0; key < keySize; ++key)
        for (size_t value = 0; value < valueSize; ++value) {
          size_t at = placeOf(key, value);
          double start = problem.hasInitial && sequence.before == 0
                             ? initial[at - page]
                             : states[at];
          state[key * valueSize + value] = start;
          magnitude[key * valueSize + value] = std::fabs(start);
        }
      for (size_t token = first; token < first + size_t(sequence.run);
           ++token) {
        size_t own = token * heads + head;
        size_t keyRow = (token * heads + head) /
                        static_cast<size_t>(problem.headsOfKey) * keySize;
        const float *key = &keys[keyRow], *query = &queries[keyRow];
        double decay = std::exp(double(decays[own])), rate = rates[own];
        for (size_t i = 0; i < state.size(); ++i) {
          state[i] *= decay;
          magnitude[i] *= decay;
          bound[i] = bound[i] * decay + magnitude[i] * 0x1p-22;
        }
        for (size_t value = 0; value < valueSize; ++value) {
          double update = values[own * valueSize + value];
          double size = std::fabs(update), error = 0;
          if (problem.hasRate) {
            for (size_t i = 0; i < keySize; ++i) {
              size_t at = i * valueSize + value;
              update -= state[at] * key[i];
              size += magnitude[at] * std::fabs(key[i]);
              error += (bound[at] + 4 * rounding * magnitude[at]) *
                       std::fabs(key[i]);
            }
            update *= rate;
            size *= rate;
            error = error * rate + 2 * rounding * size;
          }
          double output = 0, outputSize = 0, outputError = 0;
          for (size_t i = 0; i < keySize; ++i) {
            size_t at = i * valueSize + value;
            state[at] += key[i] * update;
            magnitude[at] += std::fabs(key[i]) * size;
            bound[at] += std::fabs(key[i]) * (error + 2 * rounding * size);
            output += state[at] * query[i];
            outputSize += magnitude[at] * std::fabs(query[i]);
            outputError += bound[at] * std::fabs(query[i]);
          }
          size_t place = own * valueSize + value;
          exact.output[place] = output;
          exact.outputBound[place] = outputError + 4 * rounding * outputSize;
        }
      }
      for (size_t key = 0; key < keySize; ++key)
        for (size_t value = 0; value < valueSize; ++value) {
          exact.states[placeOf(key, value)] = state[key * valueSize + value];
          exact.stateBound[placeOf(key, value)] =
              bound[key * valueSize + value];
        }
    }
  }
  return exact;
}

void ScanRun::expectClose(const ScanOutcome &outcome) const {
  Exact exact = compute();
  for (size_t i = 0; i < outcome.output.size(); ++i)
    ASSERT_LE(std::fabs(outcome.output[i] - exact.output[i]),
              exact.outputBound[i])
        << "output " << i << ": got " << outcome.output[i] << ", expected "
        << exact.output[i];
  for (size_t i = 0; i < outcome.states.size(); ++i)
    ASSERT_LE(std::fabs(outcome.states[i] - exact.states[i]),
              exact.stateBound[i])
        << "state " << i << ": got " << outcome.states[i] << ", expected "
        << exact.states[i];
}

double ScanRun::relativeError(const ScanOutcome &outcome) const {
  Exact exact = compute();
  double error = 0, size = 0;
  for (size_t i = 0; i < outcome.output.size(); ++i) {
    error += std::pow(outcome.output[i] - exact.output[i], 2);
    size += std::pow(exact.output[i], 2);
  }
  return std::sqrt(error / size);
}
