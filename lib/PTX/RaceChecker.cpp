//===- RaceChecker.cpp - Finds accesses without an order ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/RaceChecker.h"

#include "lib/PTX/Launch.h"

#include <cstdio>
#include <cstring>

namespace clade::ptx {

static_assert(clusterBarrier < numBarriers);

RaceChecker::RaceChecker(Block &block, std::shared_ptr<LaunchRaces> races)
    : block(block), races(std::move(races)),
      clocks(uint32_t(block.linearId) & 0xFFFFFF, block.warps.size()),
      shared((block.shared.size() + 3) / 4) {}

std::unique_ptr<Observer> makeObserver(Block &block, const Checks &checks) {
  if (!checks.races)
    return nullptr;
  return std::make_unique<RaceChecker>(block, block.launch.races);
}

//===----------------------------------------------------------------------===//
// Accesses
//===----------------------------------------------------------------------===//

/// A page of the global shadow that is held while neighbours are accessed.
struct RaceChecker::Cursor {
  RaceChecker &checker;
  GlobalShadow::Page *page = nullptr;
  uint64_t number = 0;

  explicit Cursor(RaceChecker &checker) : checker(checker) {}
  ~Cursor() { leave(); }
  void leave() {
    if (page)
      page->lock.clear(std::memory_order_release);
    page = nullptr;
  }
  ShadowCell &cell(uint64_t address) {
    uint64_t wanted = address / GlobalShadow::pageBytes;
    if (!page || number != wanted) {
      leave();
      Cached &cached = checker.cache[wanted % checker.cache.size()];
      if (cached.number != wanted)
        cached = {wanted, &checker.races->shadow.page(address)};
      while (cached.page->lock.test_and_set(std::memory_order_acquire))
        ;
      page = cached.page;
      number = wanted;
    }
    return page->cells[address % GlobalShadow::pageBytes / 4];
  }
};

ShadowAccess RaceChecker::accessOf(Warp &warp, const Op &op,
                                   const AccessShape &shape) {
  if (op.counter < races->ops.size())
    races->ops[op.counter].store(&op, std::memory_order_relaxed);
  ShadowAccess access;
  access.block = clocks.block;
  access.agent = isAsync ? asyncAgent : warp.index;
  access.time = clocks.timeOf(access.agent);
  access.op = op.counter;
  access.isStrong = shape.isStrong || shape.kind == AccessKind::Atomic;
  access.isAsync = isAsync && isAsyncProxy;
  return access;
}

void RaceChecker::touch(Warp &warp, const Op &op, const AccessShape &shape,
                        Space space, ShadowAccess &access, uint64_t address,
                        uint64_t bytes, const std::byte *values,
                        Cursor &cursor) {
  bool reads =
      shape.kind == AccessKind::Read || shape.kind == AccessKind::AsyncRead;
  for (uint64_t at = address; at < address + bytes;) {
    uint64_t base = at & ~uint64_t(3);
    unsigned first = at - base;
    unsigned last = std::min<uint64_t>(4, address + bytes - base);
    access.mask = (1u << last) - (1u << first);
    Accessor now = {clocks, warp.index, access};
    ShadowCell *cell = nullptr;
    const std::byte *memory;
    if (space == Space::Shared) {
      if (base / 4 >= shared.size())
        return;
      cell = &shared[base / 4];
      memory = block.shared.data() + at;
    } else {
      cell = &cursor.cell(base);
      memory = reinterpret_cast<const std::byte *>(at);
    }
    Conflict conflict;
    if (reads) {
      conflict = shadowRead(*cell, now);
    } else {
      unsigned count = last - first;
      bool isSilent =
          values && std::memcmp(values + (at - address), memory, count) == 0;
      conflict = shadowWrite(*cell, now, isSilent);
    }
    if (conflict)
      report(warp, op, access, !reads, space, at, conflict);
    at = base + 4;
  }
}

/// Whether lanes of one instruction that store to one address store the same.
static bool storesDiffer(const AccessShape &shape, LaneMask mask,
                         const uint64_t *addresses, unsigned lane) {
  if (!shape.values)
    return false;
  for (unsigned other = 0; other < lane; ++other)
    if ((mask >> other & 1) && addresses[other] == addresses[lane] &&
        std::memcmp(shape.values + other * shape.bytes,
                    shape.values + lane * shape.bytes, shape.bytes) != 0)
      return true;
  return false;
}

void RaceChecker::access(Warp &warp, const Op &op, const AccessShape &shape,
                         Space space, LaneMask mask,
                         const uint64_t *addresses) {
  settleReads(warp);
  ShadowAccess access = accessOf(warp, op, shape);
  Cursor cursor(*this);
  bool isWrite = shape.kind == AccessKind::Write;
  bool isAtomic = shape.kind == AccessKind::Atomic;
  for (unsigned lane = 0; lane < warpSize; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    access.lane = lane;
    access.isMany = 0;
    if (!isWrite && !isAtomic) {
      // One record for neighbours that read the same bytes.
      while (lane + 1 < warpSize && (mask >> (lane + 1) & 1) &&
             addresses[lane + 1] == addresses[lane]) {
        ++lane;
        access.isMany = 1;
      }
    } else if (lane && (mask >> (lane - 1) & 1) &&
               addresses[lane] == addresses[lane - 1] && isWrite &&
               !storesDiffer(shape, mask, addresses, lane)) {
      continue;
    }
    touch(warp, op, shape, space, access, addresses[lane], shape.bytes,
          shape.values ? shape.values + lane * shape.bytes : nullptr, cursor);
  }
  cursor.leave();
  if (access.isStrong && !isAsync)
    synchronise(warp, op, shape, space, mask, addresses);
}

/// Whether a strong access has one of two modifiers.
static bool hasModifier(const Warp &warp, const Op &op, std::string_view one,
                        std::string_view other) {
  const Instruction &source =
      warp.frame->code->function->instructions[op.source];
  for (std::string_view modifier : source.modifiers)
    if (modifier == one || modifier == other)
      return true;
  return false;
}

void RaceChecker::settleReads(Warp &warp) {
  for (const StrongRead &read : strongReads[warp.index])
    clocks.strongRead(*read.table, warp.index, read.address, read.isAcquire);
  strongReads[warp.index].clear();
}

void RaceChecker::synchronise(Warp &warp, const Op &op,
                              const AccessShape &shape, Space space,
                              LaneMask mask, const uint64_t *addresses) {
  bool isAcquire = hasModifier(warp, op, "acquire", "acq_rel");
  bool isRelease = hasModifier(warp, op, "release", "acq_rel");
  SyncTable &table = space == Space::Shared ? sharedSync : races->sync;
  for (unsigned lane = 0; lane < warpSize; ++lane) {
    if (!(mask >> lane & 1) || (lane && (mask >> (lane - 1) & 1) &&
                                addresses[lane] == addresses[lane - 1]))
      continue;
    if (shape.kind != AccessKind::Write)
      strongReads[warp.index].push_back({&table, addresses[lane], isAcquire});
    if (shape.kind != AccessKind::Read)
      clocks.strongWrite(table, warp.index, addresses[lane], isRelease);
  }
}

void RaceChecker::accessRange(Warp &warp, const Op &op,
                              const AccessShape &shape, Space space,
                              unsigned lane, uint64_t address, uint64_t bytes) {
  settleReads(warp);
  ShadowAccess access = accessOf(warp, op, shape);
  access.lane = lane;
  Cursor cursor(*this);
  touch(warp, op, shape, space, access, address, bytes, nullptr, cursor);
}

//===----------------------------------------------------------------------===//
// Findings
//===----------------------------------------------------------------------===//

static std::string describeGlobal(const Block &block, uint64_t address) {
  const auto *owner = block.launch.memory.at(address);
  if (!owner)
    return "global memory";
  std::string name = owner->name.empty()
                         ? "allocation " + std::to_string(owner->serial)
                         : "'" + owner->name + "'";
  return "byte " + std::to_string(address - owner->base) + " of " + name;
}

/// The thread with a linear number in a block with a linear number.
static ThreadId threadAt(const Block &block, uint64_t linear, uint32_t thread) {
  const auto &grid = block.launch.options.grid;
  const auto &shape = block.launch.options.block;
  ThreadId id;
  id.block = {uint32_t(linear % grid[0]), uint32_t(linear / grid[0] % grid[1]),
              uint32_t(linear / grid[0] / grid[1])};
  id.thread = {thread % shape[0], thread / shape[0] % shape[1],
               thread / shape[0] / shape[1]};
  return id;
}

static std::string describe(const ShadowAccess &access, bool isWrite) {
  std::string what = isWrite ? "write" : "read";
  return access.agent >= firstAsyncAgent ? "asynchronous " + what : what;
}

void RaceChecker::report(Warp &warp, const Op &op, const ShadowAccess &access,
                         bool isWrite, Space space, uint64_t address,
                         const Conflict &conflict) {
  const ShadowAccess &other = conflict.other;
  bool isShared = space == Space::Shared;
  Finding finding;
  finding.kind = isShared ? FindingKind::SharedRace : FindingKind::GlobalRace;
  std::string where = isShared
                          ? "shared memory at byte " + std::to_string(address)
                          : describeGlobal(block, address);
  std::string now = describe(access, isWrite);
  std::string before = describe(other, conflict.otherIsWrite);
  finding.text = "this " + now + " of " + where + " and a " + before +
                 " are not ordered by a barrier, or by a fence and an atomic";
  if (conflict.isUnfenced) {
    finding.kind = FindingKind::MissingProxyFence;
    finding.text = "the asynchronous proxy reads " + where +
                   ", which was written without a fence.proxy.async between";
  } else if (other.agent >= firstAsyncAgent && conflict.otherIsWrite &&
             access.agent < firstAsyncAgent) {
    finding.kind = FindingKind::ReadBeforeAsyncWait;
    finding.text = "this " + now + " of " + where +
                   " may come before an asynchronous copy to it is done: the "
                   "thread has not waited for it, nor synchronised with one "
                   "that has";
  } else if (other.agent == access.agent && other.op == access.op &&
             other.time == access.time && isWrite && conflict.otherIsWrite) {
    finding.text = "lanes of one warp store different values to " + where +
                   " in one instruction";
  }
  unsigned otherWarp =
      other.agent < firstAsyncAgent ? other.agent : issuers[other.agent];
  const Op *otherOp = other.op < races->ops.size()
                          ? races->ops[other.op].load(std::memory_order_relaxed)
                          : nullptr;
  if (otherOp)
    finding.otherPlace = warp.placeOf(*otherOp);
  finding.otherThread =
      threadAt(block, other.block, otherWarp * warpSize + other.lane);
  warp.report(std::move(finding), op, access.lane);
}

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

void RaceChecker::barrierArrive(Warp &warp, unsigned barrier, LaneMask mask) {
  settleReads(warp);
  clocks.barrierArrive(warp.index, barrier);
  arrived[barrier] |= 1u << warp.index;
}

void RaceChecker::barrierComplete(Block &, unsigned barrier) {
  for (unsigned warp = 0; warp < block.warps.size(); ++warp)
    if (arrived[barrier] >> warp & 1)
      clocks.barrierLeave(warp, barrier);
  arrived[barrier] = 0;
  clocks.barrierReset(barrier);
}

void RaceChecker::warpSync(Warp &warp, LaneMask mask) {
  settleReads(warp);
  clocks.warpSync(warp.index, mask);
}

void RaceChecker::fence(Warp &warp, const Op &, LaneMask,
                        std::string_view scope) {
  settleReads(warp);
  if (scope.starts_with("proxy"))
    return scope.starts_with("proxy.async") ? clocks.proxyFence(warp.index)
                                            : void();
  clocks.fence(warp.index,
               scope == "cta" ? FenceScope::Block : FenceScope::Device);
}

//===----------------------------------------------------------------------===//
// Asynchronous queues
//===----------------------------------------------------------------------===//

unsigned RaceChecker::agentOf(QueueKind kind, uint64_t id) {
  auto [place, isNew] = agents.try_emplace({kind, id}, 0u);
  if (isNew) // Queues share an agent where there are more than agents.
    place->second =
        firstAsyncAgent + (agents.size() - 1) % (numAgents - firstAsyncAgent);
  return place->second;
}

void RaceChecker::learn(Warp &warp, QueueKind kind, uint64_t id,
                        uint32_t time) {
  Knowledge done;
  releaseQueue(agentOf(kind, id), time, done);
  clocks.acquire(warp.index, done);
}

void RaceChecker::release(Warp &warp, Knowledge &to) {
  settleReads(warp);
  clocks.release(warp.index, to);
}

void RaceChecker::releaseQueue(unsigned agent, uint32_t time, Knowledge &to) {
  to.times.at[agent] = std::max(to.times.at[agent], time + 1);
}

void RaceChecker::acquire(Warp &warp, unsigned lane, const Knowledge &from) {
  clocks.acquire(warp.index, from, 1u << lane);
}

AsyncScope::AsyncScope(RaceChecker *checker, Warp &warp, QueueKind kind,
                       uint64_t id)
    : checker(checker) {
  if (!checker)
    return;
  queueAgent = checker->agentOf(kind, id);
  checker->issuers[queueAgent] = warp.index;
  checker->asyncAgent = queueAgent;
  checker->isAsync = true;
  checker->isAsyncProxy = kind != QueueKind::SmallCopies;
  queueTime = checker->clocks.timeOf(queueAgent);
}

AsyncScope::~AsyncScope() {
  if (!checker)
    return;
  checker->isAsync = false;
  // What the queue does next has a time of its own.
  checker->clocks.advance(queueAgent);
}

} // namespace clade::ptx
