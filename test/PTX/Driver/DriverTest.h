//===- DriverTest.h - What tests of the virtual driver share -- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_PTX_DRIVER_DRIVERTEST_H
#define CLADE_TEST_PTX_DRIVER_DRIVERTEST_H

#include <cuda.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

/// The driver's last message.
std::string lastReport();

/// A kernel `add(int *data, int value, int n)` that adds, and `fill(int *data)`
/// of one block with 4 bytes of dynamic shared memory a thread; a variable
/// `table` of four ints.
extern const char *const addPtx;

/// The first device (sm_80) with a context of its own, which is destroyed.
class DriverTest : public testing::Test {
protected:
  void SetUp() override;
  void TearDown() override;

  CUfunction find(const char *name);
  /// Launches `add` with one block of 64 threads.
  CUresult launchAdd(CUdeviceptr data, int value, int n,
                     CUstream stream = nullptr);
  std::vector<int> read(CUdeviceptr data, size_t count);

  CUcontext context = nullptr;
  CUmodule module = nullptr;
};

#define EXPECT_OK(...) EXPECT_EQ(__VA_ARGS__, CUDA_SUCCESS)
#define ASSERT_OK(...) ASSERT_EQ(__VA_ARGS__, CUDA_SUCCESS)

#endif // CLADE_TEST_PTX_DRIVER_DRIVERTEST_H
