//===- Warp.cpp - Control flow of a warp ----------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Builder.h"
#include "lib/PTX/Execution.h"
#include "lib/PTX/Launch.h"

#include <algorithm>
#include <bit>

using namespace clade::ptx;

namespace {

/// Jumps back of a split before the others that could run get a turn, and the
/// length of the turn in ops.
constexpr unsigned patience = 256;
constexpr unsigned turnOps = 1024;

} // namespace

Warp::Warp(Block &block, unsigned index, LaneMask lanes)
    : block(block), index(index), existing(lanes) {
  waiting.reserve(warpSize);
}

Warp::~Warp() = default;

void Warp::reset() {
  exited = 0;
  waiting.clear();
  freeFrames.clear();
  for (auto &owned : frames)
    freeFrames.push_back(owned.get());
  asyncState.reset();
  std::fill(localShadow.begin(), localShadow.end(), 0);
  frame = makeFrame(*block.launch.program.entry, nullptr);
  frame->users = 1;
  active = existing;
  pc = 0;
  event = polled = wantsYield = isForced = wrote = false;
  mergeAt = ~0u;
  backJumps = turn = 0;
  executed = 0;
  clusterArrived = 0;
  cachedBegin = 1;
  cachedEnd = 0;
}

//===----------------------------------------------------------------------===//
// Splits
//===----------------------------------------------------------------------===//

void Warp::park(Split split) { waiting.push_back(split); }

void Warp::branch(const Op &op, LaneMask exec, uint32_t target) {
  LaneMask rest = active & ~exec;
  if (rest) {
    if (block.launch.options.counters)
      ++counter(op).divergences;
    park({rest, pc, frame});
    ++frame->users;
    active = exec;
    event = true;
  } else if (target < pc && !waiting.empty()) {
    event = true;
    ++backJumps;
  }
  pc = target;
}

/// Splits at the same op of the same frame become one.
void Warp::mergeSplits() {
  for (size_t i = 0; i < waiting.size(); ++i) {
    Split &first = waiting[i];
    if (first.state == Split::State::Barrier)
      continue;
    for (size_t j = i + 1; j < waiting.size();) {
      Split &second = waiting[j];
      if (second.state == Split::State::Barrier || second.pc != first.pc ||
          second.frame != first.frame) {
        ++j;
        continue;
      }
      first.mask |= second.mask;
      first.state = Split::State::Ready;
      --first.frame->users;
      waiting.erase(waiting.begin() + j);
    }
  }
}

/// Chooses the split that runs; false where none can.
bool Warp::reschedule() {
  if (waiting.empty() && active) {
    mergeAt = ~0u;
    wantsYield = false;
    backJumps = turn = 0;
    return true;
  }
  LaneMask current = active;
  if (active)
    park({active, pc, frame});
  active = 0;
  mergeSplits();
  bool rotates = wantsYield || (backJumps >= patience && turn == 0);
  wantsYield = false;
  const Split *best = nullptr;
  for (const Split &split : waiting) {
    if (split.state != Split::State::Ready)
      continue;
    bool isCurrent = (split.mask & current) != 0;
    if (turn && isCurrent) { // Its turn is not over.
      best = &split;
      break;
    }
    if (rotates && isCurrent)
      continue;
    // The longest waiting one, or the deepest and least far one.
    if (!best || (!rotates && (split.frame->depth > best->frame->depth ||
                               (split.frame->depth == best->frame->depth &&
                                split.pc < best->pc))))
      best = &split;
  }
  if (rotates) {
    backJumps = 0;
    turn = best ? turnOps : 0;
  }
  if (!best) // Nobody else could take the turn.
    for (const Split &split : waiting)
      if (split.state == Split::State::Ready)
        best = &split;
  if (!best)
    return joinWaiting();
  Split chosen = *best;
  waiting.erase(waiting.begin() + (best - waiting.data()));
  active = chosen.mask;
  pc = chosen.pc;
  frame = chosen.frame;
  updateMergePoint();
  return true;
}

/// No split is ready: those at bar.warp.sync may complete it from different
/// places, and those at an aligned instruction need not wait any longer.
bool Warp::joinWaiting() {
  for (const Split &split : waiting) {
    if (split.state != Split::State::WarpSync ||
        !(split.op->flags & flagJoinsAnywhere))
      continue;
    LaneMask members = split.waitsFor;
    LaneMask come = 0;
    auto belongs = [&](const Split &other) {
      return other.state == Split::State::WarpSync &&
             (other.op->flags & flagJoinsAnywhere) && other.waitsFor == members;
    };
    for (const Split &other : waiting)
      if (belongs(other))
        come |= other.mask;
    if (members & alive() & ~come)
      continue;
    if (block.observer)
      block.observer->warpSync(*this, members);
    for (Split &other : waiting)
      if (belongs(other)) {
        other.state = Split::State::Ready;
        ++other.pc;
      }
    return reschedule();
  }
  Split *next = nullptr;
  for (Split &split : waiting)
    if (split.state == Split::State::Converge && (!next || split.pc < next->pc))
      next = &split;
  // Lanes that wait for those first: they cannot come any more.
  if (next && breakWait())
    return reschedule();
  if (!next)
    return false;
  next->state = Split::State::Ready;
  isForced = true;
  return reschedule();
}

bool Warp::breakWait() {
  for (Split &split : waiting)
    if (split.state == Split::State::WarpSync) {
      split.state = Split::State::Ready;
      isForced = true;
      return true;
    }
  return false;
}

void Warp::updateMergePoint() {
  mergeAt = ~0u;
  for (const Split &split : waiting)
    if (split.frame == frame && split.state != Split::State::Barrier &&
        split.pc > pc)
      mergeAt = std::min(mergeAt, split.pc);
}

bool Warp::converge(const Op &op, LaneMask exec, LaneMask members) {
  LaneMask missing = members & alive() & ~exec;
  if (!missing) {
    if (block.observer)
      block.observer->warpSync(*this, members);
    return true;
  }
  if (isForced) {
    isForced = false;
    report(FindingKind::WarpSyncMismatch, op, std::countr_zero(exec),
           "waits for the lanes " + maskText(members) + " of its warp, but " +
               maskText(missing) + " never come here");
    return true;
  }
  waitHere(op, exec, Split::State::WarpSync, members);
  return false;
}

LaneMask Warp::convergeGroups(const Op &op, LaneMask exec,
                              const uint32_t *members) {
  LaneMask ready = 0, first = members[std::countr_zero(exec)];
  bool isUniform = true;
  for (LaneMask rest = exec; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    isUniform &= members[lane] == first;
    ready |= LaneMask(!(members[lane] & alive() & ~exec)) << lane;
  }
  if (isUniform)
    return converge(op, exec, first) ? exec : 0;
  if (ready == exec)
    return exec;
  if (!ready) {
    LaneMask all = 0;
    for (LaneMask rest = exec; rest; rest &= rest - 1)
      all |= members[std::countr_zero(rest)];
    return converge(op, exec, all) ? exec : 0;
  }
  LaneMask blocked = exec & ~ready;
  active &= ~blocked;
  Split split{blocked, pc - 1, frame, Split::State::WarpSync,
              members[std::countr_zero(blocked)]};
  split.op = &op;
  park(split);
  ++frame->users;
  event = true;
  return ready;
}

void Warp::deferLanes(LaneMask lanes) {
  active &= ~lanes;
  park({lanes, pc - 1, frame});
  ++frame->users;
  event = true;
}

bool Warp::convergeAll(const Op &op, LaneMask exec) {
  LaneMask missing = alive() & ~exec;
  if (!missing)
    return true;
  if (isForced) {
    isForced = false;
    reportDivergence(op, exec, missing);
    return true;
  }
  waitHere(op, exec, Split::State::Converge, allLanes);
  return false;
}

/// Reports an aligned instruction without all lanes, once for those that take
/// part in it at different places.
void Warp::reportDivergence(const Op &op, LaneMask exec, LaneMask missing) {
  Finding finding;
  finding.kind = FindingKind::DivergentBarrier;
  finding.text = "the lanes " + maskText(exec) + " execute it without " +
                 maskText(missing) +
                 " of their warp; all must execute it together";
  LaneMask reported = 0;
  for (const Split &split : waiting) {
    if (split.state == Split::State::Barrier)
      reported |= split.mask;
    if (!split.op || finding.otherPlace || split.op == &op)
      continue;
    finding.otherPlace = placeOf(*split.op);
    finding.otherThread = threadOf(unsigned(std::countr_zero(split.mask)));
  }
  if (missing & ~reported)
    report(std::move(finding), op, unsigned(std::countr_zero(exec)));
}

/// Parks the lanes of `exec` at the op itself.
void Warp::waitHere(const Op &op, LaneMask exec, Split::State state,
                    LaneMask members) {
  leaveOthers(exec);
  Split split{exec, pc - 1, frame, state, members};
  split.op = &op;
  park(split);
  active = 0;
  event = true;
}

/// The lanes of the running split that are not in `exec` go on after this op.
void Warp::leaveOthers(LaneMask exec) {
  if (LaneMask rest = active & ~exec) {
    park({rest, pc, frame});
    ++frame->users;
  }
}

void Warp::waitAtBarrier(const Op &op, LaneMask exec, unsigned barrier) {
  leaveOthers(exec);
  Split split{exec, pc, frame, Split::State::Barrier};
  split.barrier = uint16_t(barrier);
  split.op = &op;
  park(split);
  active = 0;
  event = true;
}

void Warp::retryLater(LaneMask exec) {
  leaveOthers(exec);
  active = exec;
  --pc;
  yield(true);
}

void Warp::yield(bool polls) {
  wantsYield = true;
  polled |= polls;
  event = true;
}

void Warp::abortLaunch() {
  block.launch.abort();
  event = true;
}

void Warp::release(unsigned barrier) {
  const BarrierState &state = block.barriers[barrier];
  for (Split &split : waiting) {
    if (split.state != Split::State::Barrier || split.barrier != barrier)
      continue;
    split.state = Split::State::Ready;
    if (!split.op->extra)
      continue;
    // bar.red: 1 counts, 2 is "all", 3 is "any".
    auto *row = split.frame->registers + split.op->s[0].offset;
    if (split.op->extra == 1) {
      for (unsigned lane = 0; lane < warpSize; ++lane)
        if (split.mask >> lane & 1)
          reinterpret_cast<uint32_t *>(row)[lane] = state.count;
    } else {
      bool holds = split.op->extra == 2 ? state.conjunction : state.disjunction;
      LaneMask &mask = *reinterpret_cast<LaneMask *>(row);
      mask = holds ? mask | split.mask : mask & ~split.mask;
    }
  }
}

//===----------------------------------------------------------------------===//
// The loop
//===----------------------------------------------------------------------===//

Warp::Outcome Warp::run(uint64_t slice) {
  Launch &launch = block.launch;
  polled = false;
  if (!active && !reschedule())
    return alive() ? Outcome::Blocked : Outcome::Finished;
  OpCounter *counters =
      launch.options.counters ? launch.counters(block.worker).data() : nullptr;
  uint64_t left = slice;
  while (true) {
    const Op *ops = frame->code->ops.data();
    uint64_t steps = turn ? std::min<uint64_t>(turn, left) : left;
    uint64_t n = steps;
    while (n && pc < mergeAt) {
      const Op &op = ops[pc++];
      --n;
      LaneMask exec = active;
      if (op.guardId >= 0) {
        LaneMask guard = predicate(op.guard);
        exec &= op.guardNegated ? ~guard : guard;
      }
      if (counters) {
        OpCounter &count = counters[op.counter];
        ++count.warps;
        count.lanes += unsigned(std::popcount(exec));
      }
      if (frame->mayPoison)
        executePoisoned(op, exec);
      else if (exec)
        op.handler(*this, op, exec);
      if (event)
        break;
    }
    executed += steps - n;
    left -= steps - n;
    turn = turn > steps - n ? turn - unsigned(steps - n) : 0;
    event = false;
    if (launch.aborted()) {
      exited = existing;
      waiting.clear();
      active = 0;
      return Outcome::Finished;
    }
    bool yields = wantsYield && waiting.empty();
    if (!reschedule())
      return alive() ? Outcome::Blocked : Outcome::Finished;
    if (yields || left == 0)
      return polled && yields ? Outcome::Polled : Outcome::Sliced;
  }
}
