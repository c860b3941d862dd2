//===- ThreadPoolTest.cpp - One function on every thread ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Meant to run under ThreadSanitizer as well: plain variables are shared, and
// only the pool orders the accesses.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/ThreadPool.h"
#include "ToySupport.h"

#include <chrono>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

class ThreadPoolTest : public ::testing::TestWithParam<int> {
protected:
  std::unique_ptr<ThreadPool> pool = std::move(*ThreadPool::create(GetParam()));
};

TEST_P(ThreadPoolTest, EveryThreadRunsOnce) {
  std::vector<int> calls(static_cast<size_t>(GetParam()));
  for (int round = 0; round < 200; ++round)
    pool->run([&](int thread) { ++calls[static_cast<size_t>(thread)]; });
  for (int count : calls)
    EXPECT_EQ(count, 200);
}

TEST_P(ThreadPoolTest, BarrierMakesWritesVisible) {
  auto n = static_cast<size_t>(GetParam());
  std::vector<int> values(n), sums(n);
  constexpr int phases = 100;
  pool->run([&](int thread) {
    auto t = static_cast<size_t>(thread);
    for (int phase = 1; phase <= phases; ++phase) {
      values[t] = phase * (thread + 1);
      pool->barrier();
      int sum = 0;
      for (int value : values)
        sum += value;
      sums[t] += sum;
      ThreadPool::barrierCallback(pool.get(), thread);
    }
  });
  int each = GetParam() * (GetParam() + 1) / 2;
  for (int sum : sums)
    EXPECT_EQ(sum, each * phases * (phases + 1) / 2);
}

TEST_P(ThreadPoolTest, WakesSleepers) {
  int calls = 0;
  for (int round = 0; round < 3; ++round) {
    // Longer than workers spin.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::atomic<int> count{0};
    pool->run([&](int thread) {
      // Threads that wait at the barrier fall asleep, too.
      if (thread == 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      pool->barrier();
      ++count;
    });
    calls += count;
  }
  EXPECT_EQ(calls, 3 * GetParam());
}

INSTANTIATE_TEST_SUITE_P(Sizes, ThreadPoolTest,
                         ::testing::Values(1, 2, 3, 4, 16));

TEST(ThreadPoolSizeTest, Limits) {
  expectError(ThreadPool::create(0).takeStatus(), StatusCode::InvalidArgument,
              "expected a number of threads in [1, 1024], got 0");
  expectError(ThreadPool::create(1025).takeStatus(),
              StatusCode::InvalidArgument,
              "expected a number of threads in [1, 1024], got 1025");
  EXPECT_GE(defaultThreadCount(), 1);
}

TEST(ThreadPoolSizeTest, UnusedPoolEnds) {
  for (int i = 0; i < 20; ++i)
    ASSERT_OK(ThreadPool::create(4));
}

} // namespace
