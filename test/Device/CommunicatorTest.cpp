//===- CommunicatorTest.cpp - GPUs that exchange buffers ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Against the libnccl that CLADE_NCCL names, which is FakeNccl.cpp: it notes
// calls. The GPU is the virtual one.
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/Communicator.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <dlfcn.h>

using namespace clade::rt;

namespace {

class CommunicatorTest : public testing::Test {
protected:
  void SetUp() override {
    ::unsetenv("FAKE_NCCL_FAIL");
    ASSERT_TRUE(std::getenv(ncclVariable))
        << ncclVariable << " names no library; ctest sets it";
    auto opened = CudaDevice::open(0);
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    device = *opened;
    auto made = CudaStream::create(device);
    ASSERT_TRUE(made.ok());
    stream = *made;
    calls();
  }
  void TearDown() override { ::unsetenv("FAKE_NCCL_FAIL"); }

  static std::string calls() {
    void *library = ::dlopen(std::getenv(ncclVariable), RTLD_NOW);
    using Function = const char *(*)();
    return reinterpret_cast<Function>(::dlsym(library, "fakeNcclCalls"))();
  }
  std::unique_ptr<NcclCommunicator> join(int rank, int size) {
    auto id = NcclCommunicator::makeId();
    EXPECT_TRUE(id.ok()) << id.status().message();
    auto result = NcclCommunicator::create(device, *id, rank, size);
    EXPECT_TRUE(result.ok()) << result.status().message();
    return result.ok() ? std::move(*result) : nullptr;
  }

  std::shared_ptr<const CudaDevice> device;
  std::shared_ptr<CudaStream> stream;
};

TEST_F(CommunicatorTest, RanksAddAndGatherBuffers) {
  std::vector<std::unique_ptr<NcclCommunicator>> ranks;
  for (int rank : {0, 1})
    ranks.push_back(join(rank, 2));
  auto sum = DeviceBuffer::allocate(device, 16, "sums"),
       own = DeviceBuffer::allocate(device, 16, "numbers"),
       all = DeviceBuffer::allocate(device, 32, "all");
  ASSERT_TRUE(stream->zero(sum->address(), 16).ok());
  for (auto &communicator : ranks) {
    float numbers[4] = {1, 2, 3, float(communicator->rank())};
    ASSERT_TRUE(stream->upload(own->address(), numbers, 16).ok());
    ASSERT_TRUE(communicator
                    ->allReduce(own->address(), sum->address(), 4,
                                ElementType::F32, JoinKind::Sum, *stream)
                    .ok());
    ASSERT_TRUE(communicator
                    ->allGather(own->address(), all->address(), 16,
                                ElementType::U8, *stream)
                    .ok());
  }
  float sums[4], gathered[8];
  ASSERT_TRUE(stream->download(sums, sum->address(), 16).ok());
  ASSERT_TRUE(stream->download(gathered, all->address(), 32).ok());
  ASSERT_TRUE(stream->synchronize().ok());
  EXPECT_EQ(std::vector(sums, sums + 4), (std::vector<float>{2, 4, 6, 1}));
  EXPECT_EQ(std::vector(gathered, gathered + 8),
            (std::vector<float>{1, 2, 3, 0, 1, 2, 3, 1}));
}

TEST_F(CommunicatorTest, CallsAreNccls) {
  {
    auto communicator = join(1, 4);
    ASSERT_TRUE(communicator);
    EXPECT_EQ(communicator->rank(), 1);
    EXPECT_EQ(communicator->size(), 4);
    EXPECT_TRUE(
        communicator
            ->allReduce(0, 0, 8, ElementType::BF16, JoinKind::Max, *stream)
            .ok());
    EXPECT_TRUE(
        communicator
            ->reduceScatter(0, 0, 2, ElementType::F32, JoinKind::Sum, *stream)
            .ok());
    EXPECT_TRUE(
        communicator->broadcast(0, 3, ElementType::U8, 3, *stream).ok());
    EXPECT_TRUE(
        communicator
            ->together([&]() -> Status {
              CLADE_RETURN_IF_ERROR(
                  communicator->send(0, 5, ElementType::F32, 2, *stream));
              return communicator->receive(0, 5, ElementType::F32, 0, *stream);
            })
            .ok());
    EXPECT_TRUE(communicator->check().ok());
  }
  EXPECT_EQ(calls(), "id;init 4 1;allReduce 8 9 2;reduceScatter 2 7 0;"
                     "broadcast 3 1 3 1;begin 1;send 5 7 2;receive 5 7 0;"
                     "end 0;async;destroy;");
}

TEST_F(CommunicatorTest, FailuresAreStatuses) {
  auto id = NcclCommunicator::makeId();
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(NcclCommunicator::create(device, *id, 4, 4).status().message(),
            "expected a rank below the number of ranks, got 4 of 4");
  ::setenv("FAKE_NCCL_FAIL", "init", 1);
  auto failed = NcclCommunicator::create(device, *id, 0, 2);
  EXPECT_EQ(failed.status().code(), StatusCode::IOError);
  EXPECT_EQ(failed.status().message(),
            "cannot join rank 0 of 2 on " + device->name() +
                ": the NCCL library says unhandled system error");
  ::setenv("FAKE_NCCL_FAIL", "id", 1);
  EXPECT_EQ(NcclCommunicator::makeId().status().message(),
            "cannot make an id for ranks: the NCCL library says unhandled "
            "system error");
  ::unsetenv("FAKE_NCCL_FAIL");
  auto communicator = join(0, 2);
  ASSERT_TRUE(communicator);
  EXPECT_EQ(communicator->send(0, 1, ElementType::U8, 2, *stream).message(),
            "no rank 2: there are 2");
  EXPECT_EQ(
      communicator->broadcast(0, 1, ElementType::U8, -1, *stream).message(),
      "no rank -1: there are 2");
  ::setenv("FAKE_NCCL_FAIL", "allReduce", 1);
  EXPECT_EQ(
      communicator->allReduce(0, 0, 1, ElementType::F32, JoinKind::Sum, *stream)
          .message(),
      "an all-reduce of rank 0 of 2 failed: the NCCL library says unhandled "
      "system "
      "error (a cable is loose)");
}

/// A group is ended whatever became of its calls, and what failed is aborted:
/// destroying would wait for ever.
TEST_F(CommunicatorTest, FailedOnesAreAborted) {
  auto communicator = join(0, 2);
  ASSERT_TRUE(communicator);
  calls();
  ::setenv("FAKE_NCCL_FAIL", "send", 1);
  Status status = communicator->together(
      [&] { return communicator->send(0, 1, ElementType::U8, 1, *stream); });
  EXPECT_EQ(status.message(),
            "a send of rank 0 of 2 failed: the NCCL library says "
            "unhandled system error (a cable is loose)");
  communicator = nullptr;
  EXPECT_EQ(calls(), "begin 1;send 1 1 1;end 0;abort;");
  communicator = join(0, 2);
  ASSERT_TRUE(communicator);
  ::setenv("FAKE_NCCL_FAIL", "async", 1);
  EXPECT_EQ(communicator->check().message(),
            "the work of rank 0 of 2 failed: the NCCL library says unhandled "
            "system error "
            "(a cable is loose)");
  communicator = nullptr;
  EXPECT_EQ(calls(), "id;init 2 0;async;abort;");
}

} // namespace
