//===- DefectsTest.cpp - Kernels with one defect, and their twins ---------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every file of Defects/ is a kernel and a defective version of it. Lines that
// end in "//bad" are of the defective one only, those with "//good" of the
// other only; "//here" marks where the finding is expected. What is launched
// stands at the top:
//
//   //! [good|bad] grid X [Y [Z]]       1 unless given
//   //! [good|bad] block X [Y [Z]]
//   //! [good|bad] shared BYTES         dynamic shared memory
//   //! [good|bad] in N [modulo M]      words 0, 1, 2 … (modulo M)
//   //! [good|bad] in N uninitialised
//   //! [good|bad] out N [zero]
//   //! bad freed in|out                before the launch
//   //! deterministic                   blocks run in order
//   //! finding KIND
//   //! consequence KIND                may follow from the defect
//
// The defective version must have the finding, at the line, and none of a kind
// that is not named; the other one must have none at all.
//
//===----------------------------------------------------------------------===//

#include "KernelHarness.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

using namespace clade::ptx;
using namespace clade::ptx::test;

namespace {

struct Buffer {
  uint64_t words = 1;
  uint64_t modulo = 0;
  bool isZero = false;
  bool isUninitialised = false;
  bool isFreed = false;
};

struct Case {
  std::string text;
  LaunchOptions options;
  Buffer in, out;
  std::string kind;
  std::set<std::string> consequences;
  unsigned line = 0;
};

void readDirective(std::istringstream words, bool isBad, Case &result) {
  std::string word;
  words >> word;
  if (word == "good" || word == "bad") {
    if ((word == "bad") != isBad)
      return;
    words >> word;
  }
  if (word == "grid" || word == "block") {
    auto &shape = word == "grid" ? result.options.grid : result.options.block;
    shape = {1, 1, 1};
    for (uint32_t &extent : shape)
      if (uint32_t value; words >> value)
        extent = value;
  } else if (word == "shared") {
    words >> result.options.dynamicShared;
  } else if (word == "deterministic") {
    result.options.deterministic = true;
  } else if (word == "finding") {
    words >> result.kind;
  } else if (word == "consequence") {
    words >> word;
    result.consequences.insert(word);
  } else if (word == "freed") {
    words >> word;
    (word == "in" ? result.in : result.out).isFreed = true;
  } else if (word == "in" || word == "out") {
    Buffer &buffer = word == "in" ? result.in : result.out;
    buffer = {};
    buffer.isUninitialised = word == "out";
    words >> buffer.words;
    while (words >> word) {
      if (word == "modulo")
        words >> buffer.modulo;
      buffer.isZero |= word == "zero";
      buffer.isUninitialised |= word == "uninitialised";
    }
  } else {
    ADD_FAILURE() << "unknown directive '" << word << "'";
  }
}

/// One of the two versions of a file. Lines of the other are empty, so that
/// numbers stay.
Case readCase(const std::filesystem::path &path, bool isBad) {
  Case result;
  std::ifstream file(path);
  std::string line;
  for (unsigned number = 1; std::getline(file, line); ++number) {
    if (line.starts_with("//! "))
      readDirective(std::istringstream(line.substr(4)), isBad, result);
    std::string tags;
    if (size_t at = line.find("//"); at != 0 && at != std::string::npos)
      tags = line.substr(at + 2);
    auto has = [&](const char *tag) {
      return tags.find(tag) != std::string::npos;
    };
    if (has("here") && !has(isBad ? "good" : "bad"))
      result.line = number;
    result.text += has(isBad ? "good" : "bad") ? "\n" : line + "\n";
  }
  return result;
}

uint64_t makeBuffer(Harness &harness, const Buffer &buffer) {
  if (buffer.isUninitialised && !buffer.isZero)
    return harness.buffer(buffer.words * 4);
  std::vector<uint32_t> values(buffer.words);
  for (uint64_t i = 0; i < buffer.words && !buffer.isZero; ++i)
    values[i] = uint32_t(buffer.modulo ? i % buffer.modulo : i);
  return harness.buffer(values);
}

LaunchReport run(const Case &given) {
  Harness harness(given.text);
  harness.mayFind = true;
  uint64_t in = makeBuffer(harness, given.in);
  uint64_t out = makeBuffer(harness, given.out);
  if (given.in.isFreed)
    EXPECT_TRUE(harness.machine.free(in));
  if (given.out.isFreed)
    EXPECT_TRUE(harness.machine.free(out));
  return harness.launch("kernel", given.options, in, out);
}

std::vector<std::filesystem::path> defectFiles() {
  std::vector<std::filesystem::path> files;
  for (const auto &entry : std::filesystem::directory_iterator(
           std::filesystem::path(CLADE_PTX_INPUTS) / "Defects"))
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
  Case bad = readCase(GetParam(), true);
  LaunchReport report = run(bad);
  bool found = false;
  for (const Finding &finding : report.findings) {
    std::string kind(nameOf(finding.kind));
    EXPECT_TRUE(kind == bad.kind || bad.consequences.contains(kind))
        << "another finding: " << finding.str();
    // Which party of a race comes last depends on the schedule.
    unsigned other = finding.otherPlace ? finding.otherPlace->line : 0;
    bool isHere = bad.line == 0 || finding.place.line == bad.line ||
                  other == bad.line;
    found |= kind == bad.kind && isHere;
    EXPECT_FALSE(finding.str().empty());
  }
  EXPECT_TRUE(found) << "missed: " << bad.kind << " in line " << bad.line;
  if (!found)
    for (const Finding &finding : report.findings)
      ADD_FAILURE() << "found instead: " << finding.str();
}

TEST_P(DefectsTest, TwinIsClean) {
  LaunchReport report = run(readCase(GetParam(), false));
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
    ++count[readCase(path, true).kind];
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
