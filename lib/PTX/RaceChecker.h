//===- RaceChecker.h - Finds accesses without an order ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Follows every access of a block to shared and global memory and what orders
// them (Clocks.h, Shadow.h), and reports pairs that nothing orders, reads of
// what an asynchronous copy has not brought yet, and missing proxy fences.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_RACECHECKER_H
#define CLADE_PTX_RACECHECKER_H

#include "lib/PTX/Clocks.h"
#include "lib/PTX/Execution.h"
#include "lib/PTX/Shadow.h"

#include <atomic>
#include <map>
#include <memory>
#include <vector>

namespace clade::ptx {

/// What the blocks of a launch share.
struct LaunchRaces {
  explicit LaunchRaces(size_t numCounters) : ops(numCounters) {}
  GlobalShadow shadow;
  SyncTable sync;
  /// The ops that accessed memory, by Op::counter.
  std::vector<std::atomic<const Op *>> ops;
};

/// The queues of asynchronous work; each has an agent of its own while there
/// are agents.
enum class QueueKind : uint8_t {
  SmallCopies, ///< cp.async of a warp.
  BulkGroup,   ///< cp.async.bulk with .bulk_group of a warp.
  Warpgroup,   ///< wgmma of a warp.
  Mbarrier,    ///< Bulk copies that complete on an mbarrier.
};

class RaceChecker final : public Observer {
public:
  RaceChecker(Block &block, std::shared_ptr<LaunchRaces> races);

  void access(Warp &warp, const Op &op, const AccessShape &shape, Space space,
              LaneMask mask, const uint64_t *addresses) override;
  void accessRange(Warp &warp, const Op &op, const AccessShape &shape,
                   Space space, unsigned lane, uint64_t address,
                   uint64_t bytes) override;
  void barrierArrive(Warp &warp, unsigned barrier, LaneMask mask) override;
  void barrierComplete(Block &block, unsigned barrier) override;
  void warpSync(Warp &warp, LaneMask mask) override;
  void fence(Warp &warp, const Op &op, LaneMask mask,
             std::string_view scope) override;

  //===--- For the instructions that are asynchronous ---===//

  /// The queue waits are for; `id` tells those of a kind apart.
  unsigned agentOf(QueueKind kind, uint64_t id);
  /// `warp` knows that what the queue did up to `time` is done.
  void learn(Warp &warp, QueueKind kind, uint64_t id, uint32_t time);
  /// Hands what the warp, or the queue up to `time`, knows to `to`.
  void release(Warp &warp, Knowledge &to);
  void releaseQueue(unsigned agent, uint32_t time, Knowledge &to);
  void acquire(Warp &warp, unsigned lane, const Knowledge &from);

private:
  friend class AsyncScope;
  struct Cursor;

  void touch(Warp &warp, const Op &op, const AccessShape &shape, Space space,
             ShadowAccess &access, uint64_t address, uint64_t bytes,
             const std::byte *values, Cursor &cursor);
  /// What strong accesses hand on through their addresses.
  void synchronise(Warp &warp, const Op &op, const AccessShape &shape,
                   Space space, LaneMask mask, const uint64_t *addresses);
  /// Takes the strong reads that the warp has begun: they are told of before
  /// they are done, and see what others release until then.
  void settleReads(Warp &warp);
  void report(Warp &warp, const Op &op, const ShadowAccess &access,
              bool isWrite, Space space, uint64_t address,
              const Conflict &conflict);
  ShadowAccess accessOf(Warp &warp, const Op &op, const AccessShape &shape);

  Block &block;
  std::shared_ptr<LaunchRaces> races;
  BlockClocks clocks;
  std::vector<ShadowCell> shared;
  SyncTable sharedSync;
  struct StrongRead {
    SyncTable *table;
    uint64_t address;
    bool isAcquire;
  };
  std::array<std::vector<StrongRead>, firstAsyncAgent>
      strongReads; ///< By warp.
  std::map<std::pair<QueueKind, uint64_t>, unsigned> agents;
  std::array<uint32_t, numAgents> issuers = {};   ///< The last warp, by agent.
  std::array<uint32_t, numBarriers> arrived = {}; ///< Warps at each barrier.
  /// Set inside of an AsyncScope.
  unsigned asyncAgent = 0;
  bool isAsync = false;
  bool isAsyncProxy = false;
  /// Pages of the global shadow that were used last.
  struct Cached {
    uint64_t number = ~uint64_t(0);
    GlobalShadow::Page *page = nullptr;
  };
  std::array<Cached, 64> cache;
};

/// The race checker of a block, or null where races are not checked.
inline RaceChecker *checkerOf(Block &block) {
  return static_cast<RaceChecker *>(block.observer.get());
}

/// While it lives, the accesses of the warp are those of an asynchronous queue:
/// the warp issues them, and who accesses them later must have waited. wgmma
/// and bulk copies are of the asynchronous proxy, cp.async is not.
class AsyncScope {
public:
  AsyncScope(RaceChecker *checker, Warp &warp, QueueKind kind, uint64_t id);
  ~AsyncScope();
  AsyncScope(const AsyncScope &) = delete;
  AsyncScope &operator=(const AsyncScope &) = delete;
  /// The queue's time, for `learn`.
  uint32_t time() const { return queueTime; }
  unsigned agent() const { return queueAgent; }

private:
  RaceChecker *checker;
  unsigned queueAgent = 0;
  uint32_t queueTime = 0;
};

} // namespace clade::ptx

#endif // CLADE_PTX_RACECHECKER_H
