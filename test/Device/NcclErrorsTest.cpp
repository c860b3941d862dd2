//===- NcclErrorsTest.cpp - Where there is no NCCL ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The library is looked for once in a process: each case is one of its own.
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/NcclLibrary.h"

#include <gtest/gtest.h>

#include <cstdlib>

using namespace clade::rt;

namespace {

/// Loads the library at `path` in a child, which ends well if it says `text`.
void expectError(const char *path, StatusCode code, const std::string &text) {
  EXPECT_EXIT(
      {
        ::setenv(ncclVariable, path, 1);
        StatusOr<const NcclLibrary *> library = NcclLibrary::load();
        bool isExpected =
            !library.ok() && library.status().code() == code &&
            library.status().message().find(text) != std::string::npos;
        std::fputs(library.status().message().c_str(), stderr);
        std::exit(isExpected ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST(NcclErrorsTest, SaysWhatIsMissing) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  expectError("/nowhere/libnccl.so.2", StatusCode::NotFound,
              "no NCCL: cannot load '/nowhere/libnccl.so.2': ");
  expectError("libm.so.6", StatusCode::Unsupported,
              "the NCCL library 'libm.so.6' has no function 'ncclGetVersion'");
}

} // namespace
