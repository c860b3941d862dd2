//===- DefectsTest.cpp - Kernels with one defect, and their twins ---------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DefectCase.h"

#include <algorithm>
#include <map>

using namespace clade::ptx;
using namespace clade::ptx::test;

namespace {

std::vector<std::filesystem::path> defectFiles() {
  std::vector<std::filesystem::path> files;
  std::error_code ignored; // A missing folder is found by CoverEveryCheck.
  for (const auto &entry : std::filesystem::directory_iterator(
           std::filesystem::path(CLADE_PTX_INPUTS) / "Defects", ignored))
    if (entry.path().extension() == ".ptx")
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::string nameOf(const std::filesystem::path &path) {
  std::string name = path.stem().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

struct DefectsTest : testing::TestWithParam<std::filesystem::path> {};

TEST_P(DefectsTest, IsFound) {
  DefectCase bad = readDefect(GetParam(), true);
  LaunchReport report = runDefect(bad);
  bool found = false;
  for (const Finding &finding : report.findings) {
    std::string kind(nameOf(finding.kind));
    EXPECT_TRUE(kind == bad.kind || bad.consequences.contains(kind))
        << "another finding: " << finding.str();
    // Which party of a race comes last depends on the schedule.
    unsigned other = finding.otherPlace ? finding.otherPlace->line : 0;
    bool isHere =
        bad.line == 0 || finding.place.line == bad.line || other == bad.line;
    found |= kind == bad.kind && isHere;
    EXPECT_FALSE(finding.str().empty());
  }
  EXPECT_TRUE(found) << "missed: " << bad.kind << " in line " << bad.line;
  if (!found)
    for (const Finding &finding : report.findings)
      ADD_FAILURE() << "found instead: " << finding.str();
}

TEST_P(DefectsTest, TwinIsClean) {
  LaunchReport report = runDefect(readDefect(GetParam(), false));
  EXPECT_TRUE(report.completed);
  for (const Finding &finding : report.findings)
    ADD_FAILURE() << "false alarm: " << finding.str();
}

INSTANTIATE_TEST_SUITE_P(All, DefectsTest, testing::ValuesIn(defectFiles()),
                         [](const auto &info) { return nameOf(info.param); });

TEST(Defects, CoverEveryCheck) {
  std::map<std::string, unsigned> count;
  unsigned total = 0;
  for (const auto &path : defectFiles()) {
    ++count[readDefect(path, true).kind];
    ++total;
  }
  EXPECT_GE(total, 60u);
  for (const char *kind :
       {"out-of-bounds", "use-after-free", "misaligned", "write-to-read-only",
        "uninitialised-value", "shared-race", "global-race",
        "divergent-barrier", "barrier-deadlock", "invalid-barrier",
        "warp-sync-mismatch", "read-before-async-wait", "async-misuse",
        "mbarrier-misuse", "missing-proxy-fence", "illegal-launch"})
    EXPECT_GE(count[kind], 1u) << kind;
}

} // namespace
