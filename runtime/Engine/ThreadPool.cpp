//===- ThreadPool.cpp - One function on every thread ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A round counter starts the workers, a countdown ends the round. The barrier
// is the sense-reversing one with a phase counter for the sense: a thread
// reads the phase before it arrives, so that a fast thread at the next barrier
// cannot confuse a slow one at this.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/ThreadPool.h"

#include <algorithm>
#include <fstream>
#include <new>
#include <sched.h>
#include <system_error>

using namespace clade::rt;

namespace {

/// About a millisecond of waiting: longer than the gaps between the phases of
/// a step, and than what a caller does between two steps of decoding, such as
/// choosing a token. Waking a core that sleeps takes long where it is a virtual
/// one, up to half a millisecond.
constexpr int maxSpins = 40000;
constexpr int maxYields = 64;

void pauseCore() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

int affinityCount() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0)
    return CPU_COUNT(&set);
  return static_cast<int>(std::thread::hardware_concurrency());
}

/// Cores that the control group (version 2) grants, rounded up; 0 if unlimited.
int quotaCount() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double quota = 0, period = 0;
  if (!(file >> quota >> period) || quota <= 0 || period <= 0)
    return 0;
  return static_cast<int>(std::min(quota / period + 0.999, 1e6));
}

} // namespace

int clade::rt::defaultThreadCount() {
  int count = std::max(affinityCount(), 1);
  if (int quota = quotaCount())
    count = std::min(count, quota);
  return std::min(count, ThreadPool::maxThreads);
}

ThreadPool::ThreadPool(int threads)
    : numThreads(threads),
      spins(threads <= defaultThreadCount() ? maxSpins : 0) {}

StatusOr<std::unique_ptr<ThreadPool>> ThreadPool::create(int threads) {
  if (threads < 1 || threads > maxThreads)
    return Status::invalidArgument("expected a number of threads in [1, " +
                                   std::to_string(maxThreads) + "], got " +
                                   std::to_string(threads));
  std::unique_ptr<ThreadPool> pool(new ThreadPool(threads));
  try {
    pool->workers.reserve(static_cast<size_t>(threads) - 1);
    for (int thread = 1; thread < threads; ++thread)
      pool->workers.emplace_back(
          [raw = pool.get(), thread] { raw->work(thread); });
  } catch (const std::exception &error) {
    return Status::resourceExhausted("cannot start " + std::to_string(threads) +
                                     " threads: " + error.what());
  }
  return pool;
}

ThreadPool::~ThreadPool() {
  stopping = true;
  round.fetch_add(1, std::memory_order_release);
  round.notify_all();
  for (std::thread &worker : workers)
    worker.join();
}

void ThreadPool::waitWhile(const std::atomic<uint32_t> &word,
                           uint32_t old) const {
  for (int i = 0; i < spins; ++i) {
    if (word.load(std::memory_order_acquire) != old)
      return;
    pauseCore();
  }
  for (int i = 0; i < maxYields; ++i) {
    if (word.load(std::memory_order_acquire) != old)
      return;
    std::this_thread::yield();
  }
  while (word.load(std::memory_order_acquire) == old)
    word.wait(old, std::memory_order_acquire);
}

void ThreadPool::work(int thread) {
  for (uint32_t seen = 0;; ++seen) {
    waitWhile(round, seen);
    if (stopping)
      return;
    task(taskContext, thread);
    if (running.fetch_sub(1, std::memory_order_acq_rel) == 1)
      running.notify_one();
  }
}

void ThreadPool::runErased(Task newTask, void *context) {
  if (numThreads == 1)
    return newTask(context, 0);
  task = newTask;
  taskContext = context;
  running.store(static_cast<uint32_t>(numThreads) - 1,
                std::memory_order_relaxed);
  round.fetch_add(1, std::memory_order_release);
  round.notify_all();
  newTask(context, 0);
  while (uint32_t left = running.load(std::memory_order_acquire))
    waitWhile(running, left);
}

void ThreadPool::barrier() {
  uint32_t current = phase.load(std::memory_order_relaxed);
  uint32_t last = static_cast<uint32_t>(numThreads) - 1;
  if (arrived.fetch_add(1, std::memory_order_acq_rel) != last)
    return waitWhile(phase, current);
  arrived.store(0, std::memory_order_relaxed);
  phase.fetch_add(1, std::memory_order_release);
  phase.notify_all();
}

void ThreadPool::barrierCallback(void *pool, int32_t) {
  static_cast<ThreadPool *>(pool)->barrier();
}
