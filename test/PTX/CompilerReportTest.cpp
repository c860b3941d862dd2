//===- CompilerReportTest.cpp - What ptxas says of a kernel ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/CompilerReport.h"

#include <gtest/gtest.h>

using namespace clade::ptx;

namespace {

/// As ptxas 13.0 prints it.
const char *report = R"(ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'gemm' for 'sm_80'
ptxas info    : Function properties for gemm
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 222 registers, used 1 barriers, 49152 bytes smem
ptxas info    : Compiling entry function 'gemm2' for 'sm_80'
ptxas info    : Used 7 registers
ptxas info    : Compiling entry function 'gemm' for 'sm_90a'
ptxas info    : Function properties for gemm
    816 bytes stack frame, 800 bytes spill stores, 804 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 49152 bytes smem
)";

TEST(CompilerReport, FindsTheKernel) {
  auto found = readCompilerReport(report, "gemm", "sm_80");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->architecture, "sm_80");
  EXPECT_EQ(found->registers, 222u);
  EXPECT_EQ(found->spillStores, 0u);
  found = readCompilerReport(report, "gemm", "sm_90a");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->registers, 255u);
  EXPECT_EQ(found->spillStores, 800u);
  EXPECT_EQ(found->spillLoads, 804u);
  // An architecture that is not there: the last.
  EXPECT_EQ(readCompilerReport(report, "gemm", "sm_100a")->registers, 255u);
  EXPECT_EQ(readCompilerReport(report, "gemm2", "sm_90a")->registers, 7u);
}

TEST(CompilerReport, IsNotThere) {
  EXPECT_FALSE(readCompilerReport(report, "gem", "sm_80"));
  EXPECT_FALSE(readCompilerReport("", "gemm", "sm_80"));
  EXPECT_FALSE(readCompilerReport("Compiling entry function 'gemm' for", "gemm",
                                  "sm_80"));
  EXPECT_FALSE(readCompilerReport("Compiling entry function 'gemm\nUsed "
                                  "x registers",
                                  "gemm", "sm_80"));
}

} // namespace
