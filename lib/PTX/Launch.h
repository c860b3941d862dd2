//===- Launch.h - One launch while it runs ----------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_LAUNCH_H
#define CLADE_PTX_LAUNCH_H

#include "lib/PTX/Execution.h"
#include "lib/PTX/Machine.h"
#include "lib/PTX/Memory.h"
#include "lib/PTX/RaceChecker.h"

#include <atomic>
#include <map>
#include <mutex>
#include <tuple>

namespace clade::ptx {

/// What the blocks of a launch share.
class Launch {
public:
  Launch(const DeviceMemory &memory, const DeviceLimits &limits,
         const Program &program, const LaunchOptions &options,
         uint64_t parameterBase);

  LaunchReport run();

  const DeviceMemory &memory;
  const DeviceLimits &limits;
  const Program &program;
  const LaunchOptions &options;
  const uint64_t parameterBase; ///< Of the copy of the parameters.
  const uint64_t numBlocks;
  const uint32_t threadsPerBlock;
  const uint32_t sharedBytes; ///< Static and dynamic, and the reserved ones.
  uint64_t gridId = 1;

  void report(Finding finding, uint64_t otherKey = 0);
  void abort() { isAborted.store(true, std::memory_order_relaxed); }
  bool aborted() const { return isAborted.load(std::memory_order_relaxed); }
  /// Adds executed ops; ends the launch when the budget is spent.
  void spend(uint64_t ops, Warp &warp);
  void print(std::string_view text);
  std::vector<OpCounter> &counters(unsigned worker) {
    return perWorker[worker];
  }

  /// Who accessed global memory, for all blocks.
  const std::shared_ptr<LaunchRaces> races;

  /// Requests to global memory; null where nobody wants them.
  const std::unique_ptr<TraceStore> traces;

  /// Grows with every step that is not mere polling, of any block.
  std::atomic<uint64_t> progress = 0;

private:
  void work(unsigned worker);
  Counters sumCounters() const;
  std::shared_ptr<const Trace> takeTrace();

  std::atomic<uint64_t> nextBlock = 0;
  std::atomic<uint64_t> finished = 0;
  std::atomic<uint64_t> spent = 0;
  std::atomic<bool> isAborted = false;
  std::mutex mutex;
  std::map<std::tuple<FindingKind, unsigned, uint64_t>, Finding> findings;
  std::vector<std::vector<OpCounter>> perWorker;
};

/// Makes the observer of a block for the checks that are asked for; null where
/// there is none.
std::unique_ptr<Observer> makeObserver(Block &block, const Checks &checks);

} // namespace clade::ptx

#endif // CLADE_PTX_LAUNCH_H
