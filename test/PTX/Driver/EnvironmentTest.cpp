//===- EnvironmentTest.cpp - What the environment asks of the driver ------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The environment is read once, by cuInit: each test is a process of its own.
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Driver/DriverTest.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

namespace {
class EnvironmentDeathTest : public testing::Test {
protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    unsetenv("CLADE_CUDA_QUIET");
    setenv("CLADE_CUDA_DEVICES", "sm_80", 1);
  }
};

/// Ends the process with cuInit's code after a variable is set.
[[noreturn]] void initialise(const char *name, const char *value) {
  setenv(name, value, 1);
  exit(cuInit(0));
}

/// Adds to four words, of which `written` have a value; the launch's code.
CUresult launch(int written) {
  CUdevice device;
  CUcontext context;
  CUmodule module;
  CUfunction add;
  CUdeviceptr data;
  int value = 1, n = 4;
  if (cuInit(0) || cuDeviceGet(&device, 0) ||
      cuCtxCreate(&context, nullptr, 0, device) ||
      cuModuleLoadData(&module, addPtx) ||
      cuModuleGetFunction(&add, module, "add") || cuMemAlloc(&data, 16) ||
      cuMemsetD32(data, 0, written))
    return CUDA_ERROR_UNKNOWN;
  void *arguments[] = {&data, &value, &n};
  return cuLaunchKernel(add, 1, 1, 1, 32, 1, 1, 0, nullptr, arguments, nullptr);
}

using testing::ExitedWithCode;
constexpr int invalidValue = CUDA_ERROR_INVALID_VALUE;

TEST_F(EnvironmentDeathTest, DevicesMustBeKnown) {
  EXPECT_EXIT(initialise("CLADE_CUDA_DEVICES", "sm_90a,sm_75"),
              ExitedWithCode(invalidValue),
              "CLADE_CUDA_DEVICES: 'sm_90a,sm_75' is not a list of "
              "architectures out of sm_80, sm_86, sm_89, sm_90a, sm_100a");
}

TEST_F(EnvironmentDeathTest, CountsAreNumbers) {
  EXPECT_EXIT(initialise("CLADE_CUDA_MEMORY", "4G"),
              ExitedWithCode(invalidValue),
              "CLADE_CUDA_MEMORY: '4G' is not a count");
  EXPECT_EXIT(initialise("CLADE_CUDA_WORKERS", "-1"),
              ExitedWithCode(invalidValue),
              "CLADE_CUDA_WORKERS: '-1' is not a count");
}

TEST_F(EnvironmentDeathTest, ChecksHaveNames) {
  EXPECT_EXIT(initialise("CLADE_CUDA_CHECKS", "races,bounds"),
              ExitedWithCode(invalidValue),
              "CLADE_CUDA_CHECKS: 'races,bounds' is not 'all', 'none' or a "
              "list of 'uninitialised', 'races', 'async'");
  EXPECT_EXIT(initialise("CLADE_CUDA_FINDINGS", "ignore"),
              ExitedWithCode(invalidValue),
              "CLADE_CUDA_FINDINGS: 'ignore' is not 'fail' or 'report'");
  EXPECT_EXIT(initialise("CLADE_CUDA_CHECKS", "races,async"), ExitedWithCode(0),
              "");
}

TEST_F(EnvironmentDeathTest, FindingsFailALaunchOrAreReported) {
  EXPECT_EXIT(exit(launch(2) == CUDA_ERROR_LAUNCH_FAILED ? 0 : 1),
              ExitedWithCode(0), "kernel add: .*uninitialised");
  EXPECT_EXIT(
      {
        setenv("CLADE_CUDA_FINDINGS", "report", 1);
        exit(launch(2));
      },
      ExitedWithCode(0), "kernel add: .*uninitialised");
  EXPECT_EXIT(
      {
        setenv("CLADE_CUDA_CHECKS", "none", 1);
        exit(launch(2));
      },
      ExitedWithCode(0), "^$");
}

TEST_F(EnvironmentDeathTest, ReportIsALineOfEachLaunch) {
  // Each process begins this test anew: it may not remove the other's file.
  auto run = [](const std::string &path, int written) {
    std::remove(path.c_str());
    setenv("CLADE_CUDA_REPORT", path.c_str(), 1);
    exit(launch(written) == CUDA_SUCCESS ? 0 : 1);
  };
  std::string paths[] = {testing::TempDir() + "clade-cuda-good.jsonl",
                         testing::TempDir() + "clade-cuda-bad.jsonl"};
  EXPECT_EXIT(run(paths[0], 4), ExitedWithCode(0), "");
  EXPECT_EXIT(run(paths[1], 2), ExitedWithCode(1), "");
  std::string first, second, none;
  std::ifstream goodFile(paths[0]), badFile(paths[1]);
  ASSERT_TRUE(std::getline(goodFile, first) && std::getline(badFile, second));
  EXPECT_FALSE(std::getline(goodFile, none));
  auto good = nlohmann::json::parse(first), bad = nlohmann::json::parse(second);
  EXPECT_EQ(good["kernel"], "add");
  EXPECT_EQ(good["block"], nlohmann::json({32, 1, 1}));
  EXPECT_EQ(good["threads"], 32);
  EXPECT_TRUE(good["findings"].empty());
  EXPECT_GT(good["total"]["warps"], 0);
  const nlohmann::json &predicted = good["predicted"];
  EXPECT_EQ(predicted["gpu"], "A100 SXM4 80 GB");
  EXPECT_EQ(predicted["registers"], 32);
  EXPECT_EQ(predicted["blocksPerMultiprocessor"], 32);
  EXPECT_GT(predicted["seconds"], 0);
  EXPECT_GT(predicted["dramReadBytes"], 0);
  ASSERT_EQ(bad["findings"].size(), 1u);
  EXPECT_EQ(bad["findings"][0]["kind"], "uninitialised-value");
  EXPECT_GT(bad["findings"][0]["place"]["line"], 0);
  for (const std::string &path : paths)
    std::remove(path.c_str());
}

TEST_F(EnvironmentDeathTest, ReportThatCannotBeWritten) {
  EXPECT_EXIT(
      {
        setenv("CLADE_CUDA_REPORT", "/no/such/folder/report", 1);
        exit(launch(4));
      },
      ExitedWithCode(0),
      "cannot write '/no/such/folder/report', the file of CLADE_CUDA_REPORT");
}

TEST_F(EnvironmentDeathTest, QuietSaysNothing) {
  EXPECT_EXIT(
      {
        setenv("CLADE_CUDA_QUIET", "1", 1);
        exit(launch(2) == CUDA_ERROR_LAUNCH_FAILED ? 0 : 1);
      },
      ExitedWithCode(0), "^$");
}

TEST_F(EnvironmentDeathTest, NothingWorksBeforeInitialisation) {
  EXPECT_EXIT(
      {
        int count;
        exit(cuDeviceGetCount(&count));
      },
      ExitedWithCode(CUDA_ERROR_NOT_INITIALIZED), "");
}

TEST_F(EnvironmentDeathTest, RuntimeIsToldWhyItCannotWork) {
  EXPECT_EXIT(
      {
        cuInit(0);
        const void *table;
        CUuuid id = {};
        exit(cuGetExportTable(&table, &id) == CUDA_ERROR_NOT_SUPPORTED ? 0 : 1);
      },
      ExitedWithCode(0), "which the CUDA runtime \\(cudart\\) needs");
}
} // namespace
