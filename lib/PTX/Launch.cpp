//===- Launch.cpp - One launch while it runs ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Launch.h"

#include "lib/PTX/Operations.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <deque>
#include <thread>

using namespace clade::ptx;

namespace {

/// Blocks that a worker holds at once while they wait for each other.
constexpr size_t mostResident = 4096;
constexpr uint64_t residentBytes = uint64_t(2) << 30;

uint32_t sharedOf(const Program &program, const LaunchOptions &options) {
  return options.dynamicShared ? program.dynamicOffset + options.dynamicShared
                               : program.sharedEnd;
}

} // namespace

Launch::Launch(const DeviceMemory &memory, const DeviceLimits &limits,
               const Program &program, const LaunchOptions &options,
               uint64_t parameterBase)
    : memory(memory), limits(limits), program(program), options(options),
      parameterBase(parameterBase),
      numBlocks(uint64_t(options.grid[0]) * options.grid[1] * options.grid[2]),
      threadsPerBlock(options.block[0] * options.block[1] * options.block[2]),
      sharedBytes(sharedOf(program, options)),
      races(std::make_shared<LaunchRaces>(program.numCounters)),
      traces(options.traceCapacity && options.counters
                 ? std::make_unique<TraceStore>(options.traceCapacity)
                 : nullptr) {}

void Launch::work(unsigned worker) {
  std::deque<std::unique_ptr<Block>> resident;
  std::vector<std::unique_ptr<Block>> idle;
  uint64_t blockBytes =
      2 * uint64_t(sharedBytes) +
      uint64_t(program.entry->frameBytes) * ((threadsPerBlock + 31) / 32);
  size_t limit = std::clamp<uint64_t>(
      residentBytes / std::max<uint64_t>(blockBytes, 1), 2, mostResident);
  bool isExhausted = false;
  while (!aborted()) {
    // A new block as long as there is one: it may be what the others wait for.
    if (!isExhausted && resident.size() < limit) {
      uint64_t next = nextBlock.fetch_add(1);
      if (next < numBlocks) {
        std::unique_ptr<Block> block;
        if (idle.empty()) {
          block = std::make_unique<Block>(*this, worker);
        } else {
          block = std::move(idle.back());
          idle.pop_back();
        }
        block->reset(next);
        resident.push_front(std::move(block));
      } else {
        isExhausted = true;
      }
    }
    if (resident.empty())
      return;
    std::unique_ptr<Block> block = std::move(resident.front());
    resident.pop_front();
    if (block->run() == Block::Outcome::Finished)
      idle.push_back(std::move(block));
    else
      resident.push_back(std::move(block));
  }
}

LaunchReport Launch::run() {
  unsigned workers = options.workers
                         ? options.workers
                         : std::max(1u, std::thread::hardware_concurrency());
  if (options.deterministic)
    workers = 1;
  workers = unsigned(std::min<uint64_t>(workers, numBlocks));
  auto begin = std::chrono::steady_clock::now();
  perWorker.assign(workers, std::vector<OpCounter>(program.numCounters));
  if (workers == 1) {
    work(0);
  } else {
    std::vector<std::thread> threads;
    for (unsigned worker = 1; worker < workers; ++worker)
      threads.emplace_back([this, worker] { work(worker); });
    work(0);
    for (std::thread &thread : threads)
      thread.join();
  }
  LaunchReport result;
  result.completed = !aborted();
  result.workers = workers;
  result.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
          .count();
  for (auto &[key, finding] : findings)
    result.findings.push_back(std::move(finding));
  std::stable_sort(result.findings.begin(), result.findings.end(),
                   [](const Finding &a, const Finding &b) {
                     return a.place.line < b.place.line;
                   });
  if (options.counters)
    result.counters = sumCounters();
  if (traces)
    result.trace = takeTrace();
  return result;
}

void Launch::spend(uint64_t ops, Warp &warp) {
  uint64_t before = spent.fetch_add(ops, std::memory_order_relaxed);
  if (before + ops < options.budget || before >= options.budget)
    return;
  const Op &op = warp.frame && warp.alive()
                     ? warp.frame->code->ops[std::min<size_t>(
                           warp.pc, warp.frame->code->ops.size() - 1)]
                     : program.entry->ops.front();
  LaneMask lanes = warp.active ? warp.active : warp.existing;
  warp.report(FindingKind::BudgetExhausted, op, std::countr_zero(lanes),
              "the launch has executed " + std::to_string(options.budget) +
                  " instructions of warps, its budget; a warp is here");
  abort();
}

void Launch::report(Finding finding, uint64_t otherKey) {
  std::lock_guard<std::mutex> lock(mutex);
  auto [found, isNew] = findings.try_emplace(
      {finding.kind, finding.place.line, otherKey}, finding);
  if (!isNew) {
    ++found->second.count;
    return;
  }
  if (findings.size() >= options.maxFindings)
    abort();
}

void Launch::print(std::string_view text) {
  std::lock_guard<std::mutex> lock(mutex);
  if (options.print)
    options.print(text);
  else
    std::fwrite(text.data(), 1, text.size(), stdout);
}

/// The line of the text that an op comes from.
static unsigned lineOf(const Code &code, const Op &op) {
  const Function &function = *code.function;
  return function.instructions.empty() ? function.line
                                       : function.instructions[op.source].line;
}

/// Adds what an op computed to the operations of its format.
static void addOperations(Counters &sums, const Code &code, const Op &op,
                          const OpCounter &count) {
  if (code.function->instructions.empty())
    return;
  const Instruction &instruction = code.function->instructions[op.source];
  if (count.flops) {
    unsigned format = unsigned(tensorFormat(op.type));
    sums.tensorOperations[format] += count.flops;
    if (instruction.opcode != "wgmma")
      sums.warpTensorOperations[format] += count.flops;
    return;
  }
  if (unsigned operations = operationsOf(instruction, op.kind))
    sums.vectorOperations[unsigned(vectorFormat(instruction))] +=
        operations * count.lanes;
}

Counters Launch::sumCounters() const {
  Counters sums;
  sums.blocks = std::min<uint64_t>(nextBlock.load(), numBlocks);
  sums.threads = sums.blocks * threadsPerBlock;
  for (const auto &code : program.codes) {
    if (!code)
      continue;
    for (const Op &op : code->ops) {
      if (op.isHidden)
        continue;
      OpCounter count;
      for (const auto &counters : perWorker)
        count += counters[op.counter];
      if (!count.warps)
        continue;
      sums.total += count;
      sums.byClass[unsigned(op.kind)] += count;
      // Asynchronous copies go to shared memory without registers between.
      sums.dataPasses +=
          op.kind == Class::Async ? count.sharedWaves : count.dataPasses();
      addOperations(sums, *code, op, count);
      unsigned line = lineOf(*code, op);
      if (sums.byLine.size() <= line)
        sums.byLine.resize(line + 1);
      sums.byLine[line] += count;
    }
  }
  return sums;
}

std::shared_ptr<const Trace> Launch::takeTrace() {
  auto trace = std::make_shared<Trace>();
  trace->numBlocks = numBlocks;
  trace->blocks = traces->take();
  trace->origins.resize(program.numCounters);
  for (const auto &code : program.codes) {
    if (!code || code->function->instructions.empty())
      continue;
    for (const Op &op : code->ops)
      trace->origins[op.counter] = {
          lineOf(*code, op), usesL1(code->function->instructions[op.source]),
          evictsFirst(code->function->instructions[op.source])};
  }
  return trace;
}
