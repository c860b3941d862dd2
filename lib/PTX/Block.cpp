//===- Block.cpp - Warps of a block and their barriers --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Execution.h"
#include "lib/PTX/Instructions/AsyncState.h"
#include "lib/PTX/Launch.h"

#include <algorithm>
#include <bit>

using namespace clade::ptx;

namespace {

/// Ops of a warp before the next warp of the block runs.
constexpr uint64_t slice = 4096;
/// Rounds in which no warp wrote anything before the block makes room for
/// another (it may wait for one), and ops after which it does so anyway.
constexpr unsigned patientRounds = 16;
constexpr uint64_t longRun = 20'000'000;
/// Rounds in which every warp only polled, and no other block did anything,
/// before that is a deadlock.
constexpr unsigned deadRounds = 2000;
/// Requests that a block keeps before it hands them on.
constexpr size_t traceChunk = 4096;

} // namespace

Block::Block(Launch &launch, unsigned worker) : launch(launch), worker(worker) {
  uint32_t threads = launch.threadsPerBlock;
  for (uint32_t first = 0; first < threads; first += warpSize) {
    uint32_t lanes = std::min(threads - first, warpSize);
    LaneMask mask = lanes == warpSize ? allLanes : (LaneMask(1) << lanes) - 1;
    warps.push_back(std::make_unique<Warp>(*this, first / warpSize, mask));
  }
  shared.resize(launch.sharedBytes);
  sharedShadow.resize(launch.sharedBytes);
}

Block::~Block() = default;

void Block::reset(uint64_t linear) {
  linearId = linear;
  const auto &grid = launch.options.grid;
  id = {uint32_t(linear % grid[0]), uint32_t(linear / grid[0] % grid[1]),
        uint32_t(linear / grid[0] / grid[1])};
  barriers.fill({});
  std::fill(sharedShadow.begin(), sharedShadow.end(), 0);
  asyncState.reset();
  observer = makeObserver(*this, launch.options.checks);
  trace.clear();
  isTraced = launch.traces && launch.traces->wants(linear);
  idleRounds = 0;
  lastProgress = 0;
  ticks = 0;
  for (auto &warp : warps)
    warp->reset();
}

void Block::request(uint64_t line, uint8_t sectors, AccessKind kind,
                    const Op &op) {
  RequestKind known =
      kind == AccessKind::Atomic ? RequestKind::Atomic
      : kind == AccessKind::Write || kind == AccessKind::AsyncWrite
          ? RequestKind::Write
          : RequestKind::Read;
  trace.emplace_back(line - (launch.memory.base() >> 7), sectors, known,
                     op.counter);
  if (trace.size() < traceChunk)
    return;
  launch.traces->add(linearId, trace);
  isTraced = launch.traces->wants(linearId);
}

//===----------------------------------------------------------------------===//
// Barriers
//===----------------------------------------------------------------------===//

void Block::arrive(Warp &warp, const Op &op, unsigned barrier, LaneMask lanes,
                   uint32_t expected) {
  BarrierState &state = barriers[barrier];
  unsigned first = std::countr_zero(lanes);
  if (state.isUsed && state.expected != expected) {
    Finding finding;
    finding.kind = FindingKind::InvalidBarrier;
    auto count = [](uint32_t n) {
      return n ? std::to_string(n) + " threads" : std::string("all threads");
    };
    finding.text = "barrier " + std::to_string(barrier) + " is for " +
                   count(expected) + " here, but for " + count(state.expected) +
                   " where others wait";
    finding.otherPlace = warp.placeOf(*state.first);
    finding.otherThread = state.firstThread;
    warp.report(std::move(finding), op, first);
  }
  if (!state.isUsed) {
    state.expected = expected;
    state.isUsed = true;
    state.first = &op;
    state.firstThread = warp.threadOf(first);
  }
  unsigned threads = unsigned(std::popcount(lanes));
  state.arrivedThreads += threads;
  // A whole warp counts as 32 threads, also where some have exited.
  state.arrived += lanes == warp.alive() ? warpSize : threads;
  if (observer)
    observer->barrierArrive(warp, barrier, lanes);
  if (expected && state.arrived > expected)
    warp.report(FindingKind::InvalidBarrier, op, first,
                std::to_string(state.arrived) + " threads come to barrier " +
                    std::to_string(barrier) + ", which is for " +
                    std::to_string(expected));
  checkComplete(barrier);
}

void Block::checkComplete(unsigned barrier) {
  BarrierState &state = barriers[barrier];
  if (!state.isUsed)
    return;
  if (state.expected) {
    if (state.arrived >= state.expected)
      complete(barrier);
    return;
  }
  uint32_t alive = 0;
  for (auto &warp : warps)
    alive += unsigned(std::popcount(warp->alive()));
  if (state.arrivedThreads >= alive)
    complete(barrier);
}

void Block::complete(unsigned barrier) {
  if (observer)
    observer->barrierComplete(*this, barrier);
  for (auto &warp : warps) {
    warp->release(barrier);
    if (barrier == clusterBarrier)
      warp->clusterArrived = 0;
  }
  barriers[barrier] = {};
}

void Block::laneExit() {
  for (unsigned barrier = 0; barrier < barriers.size(); ++barrier)
    if (barriers[barrier].isUsed && !barriers[barrier].expected)
      checkComplete(barrier);
}

//===----------------------------------------------------------------------===//
// Scheduling
//===----------------------------------------------------------------------===//

/// Nothing can go on: says where the first waits and where another one does.
void Block::reportDeadlock() {
  if (reportStuckMbarriers(*this)) {
    launch.abort();
    return;
  }
  struct Waiter {
    Warp *warp;
    const Op *op;
    LaneMask mask;
  };
  std::vector<Waiter> waiters;
  for (auto &warp : warps)
    for (const Split &split : warp->waiting)
      if (split.op)
        waiters.push_back({warp.get(), split.op, split.mask});
  if (waiters.empty()) {
    // All poll: where the first warp is now.
    for (auto &warp : warps)
      if (warp->active && warp->frame) {
        const Op &op = warp->frame->code->ops[warp->pc];
        warp->report(
            FindingKind::BarrierDeadlock, op, std::countr_zero(warp->active),
            "every warp of the block waits for something that never comes");
        break;
      }
    launch.abort();
    return;
  }
  const Waiter &first = waiters.front();
  Finding finding;
  finding.kind = FindingKind::BarrierDeadlock;
  unsigned threads = 0;
  for (const Waiter &waiter : waiters)
    threads += waiter.op == first.op ? unsigned(std::popcount(waiter.mask)) : 0;
  finding.text = std::to_string(threads) +
                 " threads wait here and nothing can let them go on";
  for (const Waiter &waiter : waiters)
    if (waiter.op != first.op) {
      finding.text += "; others wait elsewhere";
      finding.otherPlace = waiter.warp->placeOf(*waiter.op);
      finding.otherThread =
          waiter.warp->threadOf(std::countr_zero(waiter.mask));
      break;
    }
  first.warp->report(std::move(finding), *first.op,
                     std::countr_zero(first.mask));
  launch.abort();
}

Block::Outcome Block::run() {
  uint64_t total = 0;
  unsigned silentRounds = 0;
  while (!launch.aborted()) {
    bool hasFinished = true, hasRun = false, hasWorked = false,
         hasWritten = false;
    uint64_t ops = 0;
    for (auto &warp : warps) {
      if (!warp->alive())
        continue;
      Warp::Outcome outcome = warp->run(slice);
      ops += warp->executed;
      hasRun |= warp->executed != 0;
      hasWorked |= warp->executed != 0 && outcome != Warp::Outcome::Polled;
      hasWritten |= warp->wrote || outcome == Warp::Outcome::Finished;
      warp->executed = 0;
      warp->wrote = false;
      hasFinished &= outcome == Warp::Outcome::Finished;
    }
    launch.spend(ops, *warps.front());
    total += ops;
    if (hasFinished)
      break;
    if (!hasRun) {
      bool isBroken = false;
      for (auto &warp : warps)
        isBroken = isBroken || warp->breakWait();
      if (isBroken)
        continue;
      reportDeadlock();
      break;
    }
    silentRounds = hasWritten ? 0 : silentRounds + 1;
    if (hasWorked) {
      idleRounds = 0;
      launch.progress.fetch_add(1, std::memory_order_relaxed);
    } else {
      uint64_t progress = launch.progress.load(std::memory_order_relaxed);
      idleRounds = progress == lastProgress ? idleRounds + 1 : 0;
      lastProgress = progress;
      if (idleRounds >= deadRounds) {
        reportDeadlock();
        break;
      }
    }
    if (silentRounds >= patientRounds || total >= longRun)
      return Outcome::Suspended;
  }
  if (!launch.aborted())
    finishBlock(*this);
  if (isTraced)
    launch.traces->add(linearId, trace);
  if (observer)
    observer->blockEnd(*this);
  return Outcome::Finished;
}
