//===- ThreadPool.h - One function on every thread --------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A fixed set of threads that all run the same function with their own number
// (single program, multiple data), and a barrier for use inside it. Waiting
// spins for a bounded time, then sleeps: more threads than cores work, slowly.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_ENGINE_THREADPOOL_H
#define CLADE_RUNTIME_ENGINE_THREADPOOL_H

#include "runtime/Support/Status.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace clade::rt {

/// Threads that this process may use: its CPU affinity, and the quota of its
/// control group if there is one. At least 1.
int defaultThreadCount();

/// Not thread-safe: one run() at a time. barrier() is for the function only.
class ThreadPool {
public:
  static constexpr int maxThreads = 1024;

  /// Starts `threads` - 1 workers. InvalidArgument outside [1, maxThreads],
  /// ResourceExhausted if the system refuses a thread.
  static StatusOr<std::unique_ptr<ThreadPool>> create(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  int size() const { return numThreads; }

  /// Calls `function(thread)` once for each thread in [0, size()); thread 0 is
  /// the caller. Returns when all have returned. Allocates nothing.
  template <typename Function> void run(Function &&function) {
    using Plain = std::remove_reference_t<Function>;
    runErased([](void *context,
                 int thread) { (*static_cast<Plain *>(context))(thread); },
              const_cast<void *>(static_cast<const void *>(&function)));
  }

  /// Returns when all threads have called it as often as this one has. What a
  /// thread wrote before is visible to all after.
  void barrier();
  /// The same in the form of CladeStep::barrier; `pool` is a ThreadPool.
  static void barrierCallback(void *pool, int32_t thread);

private:
  using Task = void (*)(void *context, int thread);

  explicit ThreadPool(int threads);
  void runErased(Task task, void *context);
  void work(int thread);
  /// Returns when `word` differs from `old`.
  void waitWhile(const std::atomic<uint32_t> &word, uint32_t old) const;

  const int numThreads;
  /// Tries before giving up the core; none if there are too few cores.
  const int spins;
  Task task = nullptr;
  void *taskContext = nullptr;
  bool stopping = false;
  // Each on a cache line of its own: different threads wait on them.
  alignas(64) std::atomic<uint32_t> round{0};
  alignas(64) std::atomic<uint32_t> running{0};
  alignas(64) std::atomic<uint32_t> arrived{0};
  alignas(64) std::atomic<uint32_t> phase{0};
  std::vector<std::thread> workers;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_THREADPOOL_H
