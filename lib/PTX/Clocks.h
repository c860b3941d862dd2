//===- Clocks.h - What happened before what ---------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Vector clocks for the race checks. An agent is a warp of a block (0 to 31) or
// one of the queues of its asynchronous engine (32 to 63). Each has a time,
// which advances whenever it hands on what it did; an access happened before
// what an agent does now if the agent knows a later time of who accessed.
// Between the lanes of one warp order comes from warp-level barriers: a lane
// knows the others up to the time of its warp at its last one.
//
// Two approximations, both toward silence: what one lane of a warp learns (by
// waiting at an mbarrier, say) all its lanes know; and a barrier of the block
// or the warp completes the acquire of a relaxed read before it, as a fence
// would.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_CLOCKS_H
#define CLADE_PTX_CLOCKS_H

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace clade::ptx {

constexpr unsigned numAgents = 64;
constexpr unsigned firstAsyncAgent = 32;

/// The times of the agents of one block.
struct BlockClock {
  std::array<uint32_t, numAgents> at = {};
  void join(const BlockClock &other) {
    for (unsigned i = 0; i < numAgents; ++i)
      at[i] = std::max(at[i], other.at[i]);
  }
};

/// The times of agents of several blocks, sorted by block.
class GridClock {
public:
  void join(uint32_t block, const std::shared_ptr<const BlockClock> &clock);
  void join(const GridClock &other);
  const BlockClock *find(uint32_t block) const;
  bool empty() const { return entries.empty(); }

private:
  struct Entry {
    uint32_t block;
    std::shared_ptr<const BlockClock> clock;
  };
  std::vector<Entry> entries;
};

/// What is handed on at a synchronisation: the times known, those of them that
/// a proxy fence has made visible to the asynchronous proxy, and those of other
/// blocks.
struct Knowledge {
  BlockClock times;
  BlockClock fenced;
  std::shared_ptr<const GridClock> others; ///< Null: nothing.

  void join(const Knowledge &other);
};

enum class FenceScope : uint8_t { Block, Device };

/// What was released through one address: by fences or release operations.
struct SyncVariable {
  GridClock device;
  /// By a fence of .cta scope: good for threads of that block only.
  GridClock block;
};

/// The synchronisation variables in global memory of a launch.
class SyncTable {
public:
  /// Runs `use` on the variable at `address`, which is made if it is missing.
  template <typename Use> void with(uint64_t address, Use use) {
    Shard &shard = shards[(address >> 2) % shards.size()];
    std::lock_guard<std::mutex> lock(shard.mutex);
    isUsed.store(true, std::memory_order_relaxed);
    use(shard.variables[address]);
  }
  /// Runs `use` if something was ever released through `address`.
  template <typename Use> void find(uint64_t address, Use use) {
    if (!isUsed.load(std::memory_order_relaxed))
      return;
    Shard &shard = shards[(address >> 2) % shards.size()];
    std::lock_guard<std::mutex> lock(shard.mutex);
    auto found = shard.variables.find(address);
    if (found != shard.variables.end())
      use(found->second);
  }

private:
  struct Shard {
    std::mutex mutex;
    std::unordered_map<uint64_t, SyncVariable> variables;
  };
  std::array<Shard, 16> shards;
  std::atomic<bool> isUsed = false;
};

/// Those of bar.sync and the cluster's.
constexpr unsigned numBarriers = 17;

/// The clocks of one block. All calls are from the thread that runs it.
class BlockClocks {
public:
  BlockClocks(uint32_t block, unsigned numWarps);

  const uint32_t block;

  uint32_t timeOf(unsigned agent) const {
    return agent < firstAsyncAgent ? agents[agent].known.times.at[agent]
                                   : queueTimes[agent - firstAsyncAgent];
  }
  void advance(unsigned agent) {
    if (agent < firstAsyncAgent)
      ++agents[agent].known.times.at[agent];
    else
      ++queueTimes[agent - firstAsyncAgent];
  }
  /// Whether what another lane of the warp did at `time` happened before what
  /// `lane` does now.
  bool laneKnows(unsigned warp, unsigned lane, uint32_t time) const {
    return time < agents[warp].laneTimes[lane];
  }
  /// Whether what `agent` of `otherBlock` did at `time` happened before what
  /// the agent `self` of this block does now.
  bool knows(unsigned self, uint32_t otherBlock, unsigned agent,
             uint32_t time) const {
    const Knowledge &known = agents[self].known;
    if (otherBlock == block)
      return agent == self || time < known.times.at[agent];
    return knowsOther(known, otherBlock, agent, time);
  }
  /// The same for the asynchronous proxy, on behalf of `self`.
  bool hasFenced(unsigned self, unsigned agent, uint32_t time) const {
    return time < agents[self].known.fenced.at[agent];
  }

  /// Barriers of the block. Who arrives hands on; who goes on has it all.
  void barrierArrive(unsigned warp, unsigned barrier);
  void barrierLeave(unsigned warp, unsigned barrier);
  void barrierReset(unsigned barrier);
  /// bar.warp.sync of the lanes.
  void warpSync(unsigned warp, uint32_t lanes);
  /// Hands what `agent` knows to `to` (an mbarrier's phase, a group).
  void release(unsigned agent, Knowledge &to);
  /// `lanes` of a warp learn what was handed on by others of the same warp,
  /// too.
  void acquire(unsigned agent, const Knowledge &from, uint32_t lanes = ~0u);
  /// fence.proxy.async: what the warp knows is visible to the other proxy.
  void proxyFence(unsigned warp);

  /// fence and membar.
  void fence(unsigned warp, FenceScope scope);
  /// A strong write or read-modify-write of `address`. `isRelease` with
  /// .release or .acq_rel, otherwise only what a fence released is handed on.
  void strongWrite(SyncTable &table, unsigned warp, uint64_t address,
                   bool isRelease);
  /// A strong read; without `isAcquire` it takes effect at the next fence.
  void strongRead(SyncTable &table, unsigned warp, uint64_t address,
                  bool isAcquire);

private:
  struct Agent {
    Knowledge known;
    /// The warp's time at the last warp-level barrier of each lane.
    std::array<uint32_t, 32> laneTimes = {};
    /// What the last fence of either scope released; null before it.
    std::shared_ptr<const Knowledge> released[2];
    /// What relaxed reads saw since the last fence.
    GridClock pending;
  };
  struct Barrier {
    Knowledge gathered;
    bool isUsed = false;
  };

  static bool knowsOther(const Knowledge &known, uint32_t otherBlock,
                         unsigned agent, uint32_t time);
  void take(unsigned warp, const GridClock &clock);
  /// The lanes know the other lanes of the warp up to `time`.
  void learnLanes(unsigned warp, uint32_t lanes, uint32_t time);
  void takePending(unsigned warp);

  std::vector<Agent> agents; ///< The warps; queues know nothing.
  std::array<uint32_t, numAgents - firstAsyncAgent> queueTimes;
  std::array<Barrier, numBarriers> barriers;
};

} // namespace clade::ptx

#endif // CLADE_PTX_CLOCKS_H
