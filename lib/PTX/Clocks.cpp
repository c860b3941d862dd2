//===- Clocks.cpp - What happened before what -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Clocks.h"

namespace clade::ptx {

void GridClock::join(uint32_t block,
                     const std::shared_ptr<const BlockClock> &clock) {
  auto place = std::lower_bound(
      entries.begin(), entries.end(), block,
      [](const Entry &entry, uint32_t value) { return entry.block < value; });
  if (place == entries.end() || place->block != block) {
    entries.insert(place, {block, clock});
    return;
  }
  if (place->clock == clock)
    return;
  auto joined = std::make_shared<BlockClock>(*place->clock);
  joined->join(*clock);
  place->clock = std::move(joined);
}

void GridClock::join(const GridClock &other) {
  if (entries.empty()) {
    entries = other.entries;
    return;
  }
  for (const Entry &entry : other.entries)
    join(entry.block, entry.clock);
}

const BlockClock *GridClock::find(uint32_t block) const {
  auto place = std::lower_bound(
      entries.begin(), entries.end(), block,
      [](const Entry &entry, uint32_t value) { return entry.block < value; });
  return place == entries.end() || place->block != block ? nullptr
                                                         : place->clock.get();
}

void Knowledge::join(const Knowledge &other) {
  times.join(other.times);
  fenced.join(other.fenced);
  if (others == other.others || !other.others)
    return;
  if (!others) {
    others = other.others;
    return;
  }
  auto joined = std::make_shared<GridClock>(*others);
  joined->join(*other.others);
  others = std::move(joined);
}

BlockClocks::BlockClocks(uint32_t block, unsigned numWarps)
    : block(block), agents(numWarps) {
  // A time of 0 is what nobody knows of the others; accesses begin at 1.
  for (unsigned i = 0; i < numWarps; ++i)
    agents[i].known.times.at[i] = 1;
  queueTimes.fill(1);
}

bool BlockClocks::knowsOther(const Knowledge &known, uint32_t otherBlock,
                             unsigned agent, uint32_t time) {
  if (!known.others)
    return false;
  const BlockClock *clock = known.others->find(otherBlock);
  return clock && time < clock->at[agent];
}

void BlockClocks::release(unsigned agent, Knowledge &to) {
  advance(agent);
  to.join(agents[agent].known);
}

void BlockClocks::learnLanes(unsigned warp, uint32_t lanes, uint32_t time) {
  for (unsigned lane = 0; lane < 32; ++lane)
    if (lanes >> lane & 1)
      agents[warp].laneTimes[lane] =
          std::max(agents[warp].laneTimes[lane], time);
}

void BlockClocks::acquire(unsigned agent, const Knowledge &from,
                          uint32_t lanes) {
  // Nobody knows more of an agent than itself.
  learnLanes(agent, lanes, from.times.at[agent]);
  agents[agent].known.join(from);
}

void BlockClocks::barrierArrive(unsigned warp, unsigned barrier) {
  takePending(warp);
  barriers[barrier].isUsed = true;
  release(warp, barriers[barrier].gathered);
}

void BlockClocks::barrierLeave(unsigned warp, unsigned barrier) {
  acquire(warp, barriers[barrier].gathered);
  // The barrier orders the lanes of the warp as well.
  warpSync(warp, ~0u);
}

void BlockClocks::barrierReset(unsigned barrier) {
  if (barriers[barrier].isUsed)
    barriers[barrier] = {};
}

void BlockClocks::warpSync(unsigned warp, uint32_t lanes) {
  takePending(warp);
  advance(warp);
  learnLanes(warp, lanes, timeOf(warp));
}

void BlockClocks::proxyFence(unsigned warp) {
  advance(warp);
  agents[warp].known.fenced.join(agents[warp].known.times);
}

void BlockClocks::take(unsigned warp, const GridClock &clock) {
  if (clock.empty())
    return;
  Knowledge &known = agents[warp].known;
  if (const BlockClock *here = clock.find(block)) {
    learnLanes(warp, ~0u, here->at[warp]);
    known.times.join(*here);
  }
  auto joined = known.others ? std::make_shared<GridClock>(*known.others)
                             : std::make_shared<GridClock>();
  joined->join(clock);
  known.others = std::move(joined);
}

void BlockClocks::takePending(unsigned warp) {
  if (agents[warp].pending.empty())
    return;
  take(warp, agents[warp].pending);
  agents[warp].pending = {};
}

void BlockClocks::fence(unsigned warp, FenceScope scope) {
  takePending(warp);
  advance(warp);
  auto snapshot = std::make_shared<const Knowledge>(agents[warp].known);
  agents[warp].released[unsigned(FenceScope::Block)] = snapshot;
  if (scope == FenceScope::Device)
    agents[warp].released[unsigned(FenceScope::Device)] = snapshot;
}

/// Adds what `knowledge` of a block holds to a clock of all blocks.
static void hand(GridClock &to, uint32_t block, const Knowledge &knowledge) {
  to.join(block, std::make_shared<const BlockClock>(knowledge.times));
  if (knowledge.others)
    to.join(*knowledge.others);
}

void BlockClocks::strongWrite(SyncTable &table, unsigned warp, uint64_t address,
                              bool isRelease) {
  Agent &agent = agents[warp];
  if (isRelease)
    fence(warp, FenceScope::Device);
  const auto &onDevice = agent.released[unsigned(FenceScope::Device)];
  const auto &inBlock = agent.released[unsigned(FenceScope::Block)];
  if (!inBlock)
    return;
  table.with(address, [&](SyncVariable &variable) {
    if (onDevice)
      hand(variable.device, block, *onDevice);
    if (inBlock != onDevice)
      hand(variable.block, block, *inBlock);
  });
}

void BlockClocks::strongRead(SyncTable &table, unsigned warp, uint64_t address,
                             bool isAcquire) {
  table.find(address, [&](SyncVariable &variable) {
    GridClock &pending = agents[warp].pending;
    pending.join(variable.device);
    if (const BlockClock *here = variable.block.find(block))
      pending.join(block, std::make_shared<const BlockClock>(*here));
  });
  if (isAcquire)
    takePending(warp);
}

} // namespace clade::ptx
