//===- Sweep.h - Random cases of kernels ------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A case is one run of one kernel whose shape, data, CPU, number of threads and
// place of buffers are drawn. All memory that a kernel gets lies between pages
// that cannot be accessed: leaving it ends the program.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_CODEGEN_SWEEP_SWEEP_H
#define CLADE_TEST_CODEGEN_SWEEP_SWEEP_H

#include "test/CodeGen/GuardedBuffer.h"
#include "test/CodeGen/KernelTestSupport.h"
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace clade::cpu::test {

/// Draws, and counts what was compared. The same seed draws the same cases on
/// machines with the same instructions.
class Sweep {
public:
  explicit Sweep(uint64_t seed) : random(seed), cpus(productCPUs()) {}

  /// In [0, limit) and in [low, high].
  int64_t below(int64_t limit) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(limit));
  }
  int64_t between(int64_t low, int64_t high) {
    return low + below(high - low + 1);
  }
  bool chance(int percent) { return below(100) < percent; }
  /// A size up to `high`: mostly any, sometimes a multiple of 16.
  int64_t size(int64_t high) {
    return chance(25) ? 16 * between(1, std::max<int64_t>(1, high / 16))
                      : between(1, high);
  }
  const TestCPU &cpu() { return cpus[below(cpus.size())]; }
  void drawWall() {
    GuardedBuffer::setWall(chance(50) ? GuardedBuffer::Wall::Behind
                                      : GuardedBuffer::Wall::Before);
  }
  std::mt19937_64 &engine() { return random; }

  /// Says what runs next. If it leaves its memory, the program tells so before
  /// it ends.
  void begin(const std::string &text);
  /// Counts a case of `kind`; `difference` says what is wrong, if anything is.
  void count(const std::string &kind, const std::string &difference);
  /// How many cases were counted.
  int64_t total() const;
  /// Prints the number of cases of each kind, and 'N passed, M failed'. Returns
  /// whether all passed.
  bool report() const;

private:
  std::mt19937_64 random;
  std::vector<TestCPU> cpus;
  struct Count {
    int64_t cases = 0, failed = 0;
  };
  std::map<std::string, Count> counts;
};

/// Calls `work` with each number below `threads`, each on a thread of its own.
template <typename Work> void onThreads(int threads, Work work) {
  std::vector<std::thread> workers;
  for (int thread = 0; thread < threads; ++thread)
    workers.emplace_back(work, thread);
  for (std::thread &worker : workers)
    worker.join();
}

/// Each draws about `cases` cases.
void sweepProducts(Sweep &sweep, int64_t cases);
void sweepGroupProducts(Sweep &sweep, int64_t cases);
void sweepAttention(Sweep &sweep, int64_t cases);
/// The kernels of models of the families in the file `specs`.
void sweepModels(Sweep &sweep, int64_t cases, const std::string &specs);

} // namespace clade::cpu::test

#endif // CLADE_TEST_CODEGEN_SWEEP_SWEEP_H
