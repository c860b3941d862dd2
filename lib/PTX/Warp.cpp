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
/// Local memory of a thread with all its calls, as a GPU has.
constexpr uint64_t largestStack = 512 * 1024;
constexpr unsigned deepestCall = 2000;

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
// Frames
//===----------------------------------------------------------------------===//

Frame *Warp::makeFrame(const Code &code, Frame *caller) {
  auto reusable = std::find_if(freeFrames.begin(), freeFrames.end(),
                               [&](Frame *f) { return f->code == &code; });
  Frame *made;
  if (reusable != freeFrames.end()) {
    made = *reusable;
    *reusable = freeFrames.back();
    freeFrames.pop_back();
  } else {
    frames.push_back(std::make_unique<Frame>());
    made = frames.back().get();
    made->code = &code;
    made->storage =
        std::make_unique_for_overwrite<std::byte[]>(code.frameBytes + 64);
    auto address = reinterpret_cast<uintptr_t>(made->storage.get());
    made->registers = made->storage.get() + (64 - address % 64) % 64;
    // Values nobody wrote are the same in every run.
    std::memset(made->registers, 0, code.frameBytes);
  }
  made->caller = caller;
  made->depth = caller ? caller->depth + 1 : 0;
  made->users = 0;
  made->localBase = caller ? caller->localBase + caller->code->localBytes : 0;
  made->mayPoison = block.launch.options.checks.uninitialised &&
                    !code.maybeUnassigned.empty();
  made->poison.clear();
  made->poisonLine.clear();
  if (made->mayPoison) {
    made->poison.assign(code.registerOffsets.size(), 0);
    made->poisonLine.assign(code.registerOffsets.size(), 0);
    for (uint32_t id : code.maybeUnassigned)
      made->poison[id] = allLanes;
  }
  growLocal(made->localBase + code.localBytes);
  return made;
}

void Warp::dropFrame(Frame *unused) {
  while (unused && --unused->users == 0) {
    freeFrames.push_back(unused);
    unused = unused->caller;
  }
}

void Warp::growLocal(uint64_t bytes) {
  if (bytes <= localStride)
    return;
  uint64_t stride = std::max(bytes, localStride * 2);
  std::vector<std::byte> moved(stride * warpSize);
  std::vector<uint8_t> movedShadow(stride * warpSize);
  for (unsigned lane = 0; lane < warpSize && localStride; ++lane) {
    std::memcpy(moved.data() + lane * stride, local.data() + lane * localStride,
                localStride);
    std::memcpy(movedShadow.data() + lane * stride,
                localShadow.data() + lane * localStride, localStride);
  }
  local.swap(moved);
  localShadow.swap(movedShadow);
  localStride = stride;
}

bool Warp::enter(const Op &op, LaneMask exec, const Code &code) {
  uint64_t base = frame->localBase + frame->code->localBytes;
  if (base + code.localBytes > largestStack || frame->depth >= deepestCall) {
    report(FindingKind::StackOverflow, op, std::countr_zero(exec),
           "calls nest " + std::to_string(frame->depth + 1) +
               " deep and need " + std::to_string(base + code.localBytes) +
               " bytes of stack; a thread has " + std::to_string(largestStack));
    abortLaunch();
    return false;
  }
  if (LaneMask rest = active & ~exec) {
    park({rest, pc, frame});
    ++frame->users;
  }
  Frame *callee = makeFrame(code, frame);
  callee->users = 1;
  callee->returnTo = pc;
  callee->call = &op;
  for (unsigned lane = 0; lane < warpSize && code.localBytes; ++lane)
    if (exec >> lane & 1)
      std::memset(localShadow.data() + lane * localStride + base, 0,
                  code.localBytes);
  frame = callee;
  active = exec;
  pc = 0;
  event = true;
  return true;
}

void Warp::leave(LaneMask exec) {
  if (!frame->caller)
    return exitLanes(exec);
  if (LaneMask rest = active & ~exec) {
    park({rest, pc, frame});
    ++frame->users;
  }
  Frame *callee = frame;
  frame = callee->caller;
  pc = callee->returnTo;
  active = exec;
  ++frame->users;
  dropFrame(callee);
  event = true;
}

void Warp::exitLanes(LaneMask lanes) {
  exited |= lanes;
  active &= ~lanes;
  event = true;
  if (!active)
    dropFrame(frame);
  block.laneExit();
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
    report(FindingKind::DivergentBarrier, op, std::countr_zero(exec),
           "the lanes " + maskText(exec) + " execute it without " +
               maskText(missing) +
               " of their warp; all must execute it together");
    return true;
  }
  waitHere(op, exec, Split::State::Converge, allLanes);
  return false;
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

/// As the loop, for frames in which values may be missing.
void Warp::executePoisoned(const Op &op, LaneMask exec) {
  Frame *used = frame;
  if (op.guardId >= 0) {
    if (LaneMask bad = used->poison[op.guardId] & active) {
      report(FindingKind::UninitialisedValue, op, std::countr_zero(bad),
             "the guard " + describePoison(*used, op.guardId));
      used->poison[op.guardId] = 0;
    }
  }
  if (!exec)
    return;
  LaneMask bad = 0;
  uint32_t from = 0;
  for (unsigned i = 0; i < op.numReads; ++i) {
    LaneMask mask = used->poison[op.reads[i]] & exec;
    bool isAddress = i == 0 && op.addressBytes != 0;
    if (mask && ((op.poison & PoisonIsFinding) || isAddress)) {
      report(FindingKind::UninitialisedValue, op, std::countr_zero(mask),
             (isAddress ? "the address " : "the operand ") +
                 describePoison(*used, op.reads[i]));
      used->poison[op.reads[i]] = 0;
      mask = 0;
    }
    if (mask && !bad)
      from = op.reads[i];
    bad |= mask;
  }
  op.handler(*this, op, exec);
  if (op.poison & PoisonByHandler)
    return;
  LaneMask result = op.poison & PoisonNever                ? 0
                    : (op.poison & PoisonCrossLane) && bad ? exec
                                                           : bad;
  for (unsigned i = 0; i < op.numWrites; ++i) {
    LaneMask &mask = used->poison[op.writes[i]];
    mask = (mask & ~exec) | result;
    if (result)
      used->poisonLine[op.writes[i]] = used->poisonLine[from];
  }
}

void Warp::setPoison(uint32_t id, LaneMask lanes, LaneMask exec, const Op &op) {
  if (!frame->mayPoison) {
    if (!lanes)
      return;
    frame->poison.assign(frame->code->registerOffsets.size(), 0);
    frame->poisonLine.assign(frame->code->registerOffsets.size(), 0);
    frame->mayPoison = true;
  }
  frame->poison[id] = (frame->poison[id] & ~exec) | (lanes & exec);
  if (lanes)
    frame->poisonLine[id] = frame->code->function->instructions[op.source].line;
}

void Warp::reportPoison(const Op &op, unsigned lane, std::string_view what,
                        uint32_t id) {
  report(FindingKind::UninitialisedValue, op, lane,
         std::string(what) + describePoison(*frame, id));
  frame->poison[id] = 0;
}

std::string Warp::describePoison(const Frame &in, uint32_t id) const {
  std::string text = in.code->function->registers[id].str();
  uint32_t line = in.poisonLine[id];
  return text + (line ? " holds what line " + std::to_string(line) +
                            " read from memory that was never written"
                      : " was never given a value");
}

std::string Warp::maskText(LaneMask mask) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", mask);
  return text;
}

//===----------------------------------------------------------------------===//
// Findings
//===----------------------------------------------------------------------===//

Place Warp::placeOf(const Op &op) const {
  // The op may be of a frame further out: a function owns the instruction.
  const Launch &launch = block.launch;
  for (const auto &code : launch.program.codes) {
    if (!code || code->ops.empty() || &op < code->ops.data() ||
        &op >= code->ops.data() + code->ops.size())
      continue;
    Place place;
    if (code->function->instructions.empty())
      return place;
    const Instruction &source = code->function->instructions[op.source];
    const Module &module = *launch.program.module;
    place.line = source.line;
    std::string_view line = module.lineText(source.line);
    size_t begin = line.find_first_not_of(" \t");
    place.instruction = begin == std::string_view::npos
                            ? source.fullName()
                            : std::string(line.substr(begin, 120));
    if (source.location.line && source.location.file < module.files.size()) {
      place.sourceFile = module.files[source.location.file];
      place.sourceLine = source.location.line;
    }
    return place;
  }
  return {};
}

ThreadId Warp::threadOf(unsigned lane) const {
  ThreadId id;
  id.block = block.id;
  const auto &shape = block.launch.options.block;
  uint32_t linear = index * warpSize + lane;
  id.thread = {linear % shape[0], linear / shape[0] % shape[1],
               linear / shape[0] / shape[1]};
  return id;
}

void Warp::report(Finding finding, const Op &op, unsigned lane) {
  finding.kernel = block.launch.program.kernel->name;
  finding.place = placeOf(op);
  finding.thread = threadOf(lane);
  uint64_t other = finding.otherPlace ? finding.otherPlace->line : 0;
  block.launch.report(std::move(finding), other);
  event |= block.launch.aborted();
}

void Warp::report(FindingKind kind, const Op &op, unsigned lane,
                  std::string text) {
  Finding finding;
  finding.kind = kind;
  finding.text = std::move(text);
  report(std::move(finding), op, lane);
}

OpCounter &Warp::counter(const Op &op) {
  return block.launch.counters(block.worker)[op.counter];
}

//===----------------------------------------------------------------------===//
// Rows of any width
//===----------------------------------------------------------------------===//

namespace {

template <typename T> void widen(const T *row, uint64_t *out) {
  for (unsigned i = 0; i < warpSize; ++i)
    out[i] = row[i];
}

template <typename T>
void narrow(Warp &warp, Slot slot, const uint64_t *values, LaneMask exec) {
  T narrowed[warpSize];
  for (unsigned i = 0; i < warpSize; ++i)
    narrowed[i] = T(values[i]);
  warp.write(slot, narrowed, exec);
}

} // namespace

void Warp::readWide(Slot slot, unsigned bytes, uint64_t *out) const {
  switch (bytes) {
  case 1:
    return widen(row<uint8_t>(slot), out);
  case 2:
    return widen(row<uint16_t>(slot), out);
  case 4:
    return widen(row<uint32_t>(slot), out);
  default:
    return widen(row<uint64_t>(slot), out);
  }
}

void Warp::writeWide(Slot slot, unsigned bytes, const uint64_t *values,
                     LaneMask exec) {
  switch (bytes) {
  case 1:
    return narrow<uint8_t>(*this, slot, values, exec);
  case 2:
    return narrow<uint16_t>(*this, slot, values, exec);
  case 4:
    return narrow<uint32_t>(*this, slot, values, exec);
  default:
    return narrow<uint64_t>(*this, slot, values, exec);
  }
}

uint64_t Warp::readLane(Slot slot, unsigned bytes, unsigned lane) const {
  switch (bytes) {
  case 1:
    return row<uint8_t>(slot)[lane];
  case 2:
    return row<uint16_t>(slot)[lane];
  case 4:
    return row<uint32_t>(slot)[lane];
  default:
    return row<uint64_t>(slot)[lane];
  }
}
